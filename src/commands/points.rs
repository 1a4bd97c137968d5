//! The points of a spec that one command takes.

use std::iter;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::catalog::Catalog;
use crate::commands::failure::Failure;
use crate::record::Provenance;
use crate::spec::{GridPoint, Plan, Portion, Spec, Tally};

/// Points of a plan that are tested to count those that `where` keeps.
pub(super) const LOOKS: u64 = 1_000_000;

/// The points of a portion, in order. Nothing is walked before the first one is asked for, and a halt ends the walk.
pub(super) fn points(spec: &Spec, portion: Portion) -> impl Iterator<Item = GridPoint> + Send + '_ {
    let plan = spec.plan();
    iter::once_with(move || end(spec, portion, plan.len()).unwrap_or(plan.len()))
        .flat_map(move |end| portion.ranges(end))
        .flat_map(|numbers| plan.kept(numbers))
        .take(limit(portion))
}

/// The first points of a portion, as many as are asked for, among [`LOOKS`] numbers of it.
pub(super) fn first_points(spec: &Spec, portion: Portion, count: usize) -> Vec<GridPoint> {
    let plan = spec.plan();
    let Some(end) = end(spec, portion, LOOKS) else {
        return Vec::new();
    };
    kept_among(plan, portion.ranges(end).flatten())
        .take(count.min(limit(portion)))
        .collect()
}

/// The points of a plan that `where` keeps among the first [`LOOKS`] of some numbers.
pub(super) fn kept_among(
    plan: &Plan,
    numbers: impl Iterator<Item = u64>,
) -> impl Iterator<Item = GridPoint> {
    numbers
        .take(usize::try_from(LOOKS).unwrap_or(usize::MAX))
        .map(|number| plan.point(number))
        .filter(|point| plan.keeps(point))
}

fn limit(portion: Portion) -> usize {
    usize::try_from(portion.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// First number behind those that a portion takes its points from: of a shard behind the last point of the limit. `None` where
/// that is not among the first `looks` numbers.
fn end(spec: &Spec, portion: Portion, looks: u64) -> Option<u64> {
    let plan = spec.plan();
    let Some(within) = portion.limit.filter(|_| portion.shard.is_some()) else {
        return Some(plan.len());
    };
    if plan.keeps_all() {
        return Some(plan.len().min(within));
    }
    let (mut last, mut found) = (None, 0);
    for point in plan.kept(0..plan.len().min(looks)).take(limit(portion)) {
        (last, found) = (Some(point.index), found + 1);
    }
    let is_last = found == within || looks >= plan.len();
    is_last.then(|| last.map_or(0, |last| last + 1))
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
    let ranges = portion.ranges(end(spec, portion, LOOKS)?);
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
