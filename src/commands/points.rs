//! The points of a spec that one command takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::catalog::Catalog;
use crate::commands::failure::Failure;
use crate::record::Provenance;
use crate::spec::{GridPoint, Portion, Spec};

/// Points of a plan that are tested to count those that `where` keeps.
pub(super) const LOOKS: u64 = 1_000_000;

/// The points of a portion, in order.
pub(super) fn points(spec: &Spec, portion: Portion) -> impl Iterator<Item = GridPoint> + Send + '_ {
    let plan = spec.plan();
    portion.of(plan.kept(0..plan.len()))
}

/// A point by its number in the full grid.
///
/// # Errors
/// If the grid has no such point.
pub(super) fn grid_point(spec: &Spec, point: u64) -> Result<GridPoint, Failure> {
    let points = spec.plan().len();
    if point < points {
        Ok(spec.plan().point(point))
    } else {
        Err(Failure::usage(format!(
            "there is no point {point} in `{}`; its grid has points 0 to {}",
            spec.name,
            points - 1
        )))
    }
}

/// Number of points of a portion; `None` where counting takes too long.
pub fn point_count(spec: &Spec, portion: Portion) -> Option<u64> {
    let tally = spec.plan().tally(LOOKS);
    let limit = portion.limit.unwrap_or(u64::MAX);
    (tally.exact || tally.kept > limit).then(|| portion.count(tally.kept))
}

/// Threads that simulate: as many as were asked for, or one per core.
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// Provenance of the tables of a portion of a spec's points.
pub(super) fn provenance(spec: &Spec, portion: Portion) -> Provenance {
    Provenance {
        study: spec.kind,
        spec_name: spec.name.clone(),
        spec: spec.resolved_text(),
        catalog_hash: Catalog::hash(),
        metrics: Arc::clone(&spec.metrics),
        portion,
    }
}

/// The axes that take several values over a spec's points, each with its values as they are typed.
pub fn varied_values(spec: &Spec) -> Vec<(String, Vec<String>)> {
    let plan = spec.plan();
    let typed = |axis| {
        let (values, _) = plan.values_of(axis, usize::MAX);
        values.iter().map(ToString::to_string).collect()
    };
    let axes = plan.varied().into_iter();
    axes.map(|axis| (axis.to_string(), typed(axis))).collect()
}
