//! The points of a spec that one command takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::catalog::Catalog;
use crate::commands::failure::Failure;
use crate::record::Provenance;
use crate::spec::{GridPoint, Portion, Spec, Tally};

/// Points of a plan that are tested to count those that `where` keeps.
pub(super) const LOOKS: u64 = 1_000_000;

/// The points of a portion, in order.
pub(super) fn points(spec: &Spec, portion: Portion) -> impl Iterator<Item = GridPoint> + Send + '_ {
    let plan = spec.plan();
    let limit = usize::try_from(portion.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    portion
        .ranges(end(spec, portion))
        .flat_map(|numbers| plan.kept(numbers))
        .take(limit)
}

/// First number behind those that a portion takes its points from: of a shard behind the last point of the limit.
fn end(spec: &Spec, portion: Portion) -> u64 {
    let plan = spec.plan();
    match portion.limit {
        Some(limit) if portion.shard.is_some() => {
            let within = usize::try_from(limit).unwrap_or(usize::MAX);
            let mut kept = plan.kept(0..plan.len()).take(within);
            let last = kept.by_ref().last();
            last.map_or(0, |point| point.index + 1)
        }
        Some(_) | None => plan.len(),
    }
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
    if portion.shard.is_none() {
        return (tally.exact || tally.kept > limit).then(|| tally.kept.min(limit));
    }
    let ranges = portion.ranges(end(spec, portion));
    let numbers: u64 = ranges.map(|range| range.end - range.start).sum();
    if tally.kept == tally.points {
        return Some(numbers);
    }
    (numbers <= LOOKS).then(|| points(spec, portion).count() as u64)
}

/// Number of points of a portion, scaled from the whole plan where counting takes too long.
pub(super) fn about(spec: &Spec, portion: Portion, tally: &Tally) -> u64 {
    let whole = tally.kept.min(portion.limit.unwrap_or(u64::MAX));
    let shards = portion.shard.map_or(1, |shard| u64::from(shard.of()));
    point_count(spec, portion).unwrap_or(whole / shards)
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
