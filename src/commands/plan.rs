//! Points that a spec expands to.

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use itertools::Itertools;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::commands::points::{self, LOOKS};
use crate::document::{Document, by_name};
use crate::halt::{self, Halt};
use crate::report::text::{Table, Text};
use crate::runner::clock::Stopwatch;
use crate::runner::{Planned, play_point};
use crate::simulation::Scratch;
use crate::spec::{Axis, AxisValue, GridPoint, Plan, Portion, Spec, StudyKind, Tally};

/// Points that are simulated to estimate the time of all.
const SAMPLES: u64 = 24;
/// Time after which no further point is simulated for the estimate, and time after which one under way is ended.
const SAMPLING_MAX: Duration = Duration::from_secs(1);
const SAMPLE_END: Duration = Duration::from_millis(1_400);
/// First and last points that are shown.
const SHOWN: usize = 3;
/// Bytes of a row in `points.parquet`, and of a file without rows; measured on sweeps/llm.toml.
const ROW_BYTES: u64 = 125;
const FILE_BYTES: u64 = 46_000;

/// A plan as it is shown: axes, points, estimated time and size.
#[derive(Debug)]
pub struct PlanOverview<'a> {
    spec: &'a Spec,
    axes: Vec<(Axis, Vec<AxisValue>, u64)>,
    tally: Tally,
    portion: Portion,
    /// Points that a run would simulate.
    points: u64,
    first: Vec<GridPoint>,
    last: Vec<GridPoint>,
    estimate: Option<Estimate>,
    threads: NonZeroUsize,
}

/// Estimated time of a run.
#[derive(Debug)]
struct Estimate {
    seconds: f64,
    samples: u64,
    /// Whether the last point was ended before it was simulated, so that the run takes longer.
    is_least: bool,
}

impl<'a> PlanOverview<'a> {
    /// The plan of a portion of a spec's points, with the time that some threads need for it: a few points are
    /// simulated for the estimate.
    pub fn of(spec: &'a Spec, portion: Portion, threads: Option<NonZeroUsize>) -> Self {
        let threads = points::threads(threads);
        let plan = spec.plan();
        let mut tally = plan.tally(LOOKS);
        let first = points::first_points(spec, portion, SHOWN);
        let last = if portion == Portion::default() {
            last_points(plan, first.last().map_or(0, |point| point.index + 1))
        } else {
            Vec::new()
        };
        let known: Vec<&GridPoint> = first.iter().chain(&last).collect();
        // An estimate may miss the few that are kept.
        tally.kept = tally.kept.max(known.len() as u64);
        let count = points::about(spec, portion, &tally).max(known.len() as u64);
        let axes = plan
            .varied()
            .into_iter()
            .map(|axis| {
                let (values, count) = plan.values_of(axis, 12);
                (axis, values, count)
            })
            .collect();
        Self {
            spec,
            axes,
            portion,
            points: count,
            estimate: estimate(spec, count, &known, threads),
            tally,
            first,
            last,
            threads,
        }
    }

    /// The plan for people.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        writeln!(text, "{}: {} study", self.spec.name, self.spec.kind);
        if !self.spec.description.is_empty() {
            writeln!(text, "{}", self.spec.description);
        }
        let mut table = Table::new(&["AXIS", ">", "VALUES"]);
        for (axis, values, count) in &self.axes {
            // Only the first values of a long axis are here.
            let more = (*count > values.len() as u64).then(|| "…".to_owned());
            let values = values.iter().map(ToString::to_string).chain(more).join(" ");
            table.row([axis.to_string(), count.to_string(), values]);
        }
        writeln!(text, "\n{}", table.render());
        self.push_counts(&mut text);
        for (title, points) in [("first", &self.first), ("last", &self.last)] {
            if !points.is_empty() {
                writeln!(text, "\n{title} points");
            }
            for point in points {
                writeln!(text, "  {}  {}", point.index, self.described(point));
            }
        }
        writeln!(text, "\n{}", self.estimate_line());
        text.finish()
    }

    fn push_counts(&self, text: &mut Text) {
        let about = if self.tally.exact { "" } else { "about " };
        writeln!(text, "points in the grid: {}", self.tally.points);
        for (clause, dropped) in &self.tally.dropped {
            writeln!(text, "where {clause}: drops {about}{dropped}");
        }
        if !self.tally.dropped.is_empty() {
            writeln!(text, "kept: {about}{}", self.tally.kept);
        }
        let limited = self.portion.limit.unwrap_or(u64::MAX).min(self.tally.kept);
        if limited != self.tally.kept {
            writeln!(text, "limit: {limited}");
        }
        if let Some(shard) = self.portion.shard {
            writeln!(text, "shard {shard}: {}", self.points);
        }
    }

    /// A point by its varied axes: `nodes=8 gpu=h100-sxm`.
    fn described(&self, point: &GridPoint) -> String {
        let axes = self.axes.iter();
        axes.filter_map(|(axis, ..)| Some(format!("{axis}={}", point.value(*axis)?)))
            .join(" ")
    }

    /// Size of `points.parquet`; `None` where it is more than 64 bits can count.
    fn bytes(&self) -> Option<u64> {
        ROW_BYTES.checked_mul(self.points)?.checked_add(FILE_BYTES)
    }

    fn estimate_line(&self) -> String {
        match &self.estimate {
            Some(Estimate {
                seconds,
                samples,
                is_least,
            }) => format!(
                "estimated: {}{} on {} threads (from {samples} points), points.parquet of {}",
                if *is_least { "at least " } else { "" },
                words(*seconds),
                self.threads,
                self.bytes().map_or_else(
                    || "more than 16 EiB".to_owned(),
                    |bytes| crate::units::Bytes::new(bytes).to_string()
                )
            ),
            None if self.points == 0 && self.tally.exact => "estimated: nothing to do".to_owned(),
            None => "estimated: unknown, as `where` keeps none of the points that were looked at"
                .to_owned(),
        }
    }

    /// The plan for programs, `clustersweep.plan/1`.
    pub fn json(&self) -> Value {
        let axes = self.axes.iter().map(|(axis, values, count)| PlannedAxis {
            axis: *axis,
            count: *count,
            values: values.iter().map(ToString::to_string).collect(),
        });
        let dropped = self.tally.dropped.iter();
        let dropped = dropped.map(|(clause, drops)| DroppedBy {
            clause: clause.clone(),
            drops: *drops,
        });
        Document::Plan.of(&PlanDocument {
            name: &self.spec.name,
            study: self.spec.kind,
            axes: axes.collect(),
            grid_points: self.tally.points,
            clauses: dropped.collect(),
            kept: self.tally.kept,
            exact: self.tally.exact,
            points: self.points,
            first: self.first.iter().map(PlannedPoint::of).collect(),
            last: self.last.iter().map(PlannedPoint::of).collect(),
            threads: self.threads,
            estimated_s: self.estimate.as_ref().map(|estimate| estimate.seconds),
            estimated_at_least: self
                .estimate
                .as_ref()
                .is_some_and(|estimate| estimate.is_least),
            estimated_bytes: self.bytes(),
        })
    }
}

/// Points of `sweep plan`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct PlanDocument<'a> {
    /// Name of the spec.
    name: &'a str,
    study: StudyKind,
    /// Axes of more than one value.
    axes: Vec<PlannedAxis>,
    /// Points before `where`.
    grid_points: u64,
    /// What each clause drops.
    #[serde(rename = "where")]
    clauses: Vec<DroppedBy>,
    /// Points that the clauses keep.
    kept: u64,
    /// Whether these numbers are counted; else they are estimated from a part of a large grid.
    exact: bool,
    /// Points that a run would simulate, after `--limit` and `--shard`.
    points: u64,
    /// The first points.
    first: Vec<PlannedPoint>,
    /// The last points; none of a shard or with a limit.
    last: Vec<PlannedPoint>,
    /// Threads of the estimate.
    threads: NonZeroUsize,
    /// Estimated time of the run; null where there is nothing to do, or none of the points that were looked at is kept.
    estimated_s: Option<f64>,
    /// Whether the run takes longer: a point of the estimate was ended for the time that it took.
    estimated_at_least: bool,
    /// Estimated size of `points.parquet`; null beyond 64 bits.
    estimated_bytes: Option<u64>,
}

/// An axis of more than one value.
#[derive(JsonSchema, Serialize)]
struct PlannedAxis {
    axis: Axis,
    /// Number of its values.
    count: u64,
    /// The first values, as text.
    values: Vec<String>,
}

/// A clause, and the points that it drops.
#[derive(JsonSchema, Serialize)]
struct DroppedBy {
    /// The clause.
    #[serde(rename = "where")]
    clause: String,
    drops: u64,
}

/// A point of the plan.
#[derive(JsonSchema, Serialize)]
struct PlannedPoint {
    /// Number in the full grid.
    point: u64,
    /// Values of all its axes, as text.
    #[serde(serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<String>")]
    axes: Vec<(Axis, String)>,
}

impl PlannedPoint {
    fn of(point: &GridPoint) -> Self {
        let axes = point.iter();
        Self {
            point: point.index,
            axes: axes
                .map(|(axis, value)| (axis, value.to_string()))
                .collect(),
        }
    }
}

/// The last points that are kept, none of them before `from`.
fn last_points(plan: &Plan, from: u64) -> Vec<GridPoint> {
    let mut last: Vec<GridPoint> = points::kept_among(plan, (from..plan.len()).rev())
        .take(SHOWN)
        .collect();
    last.reverse();
    last
}

/// Estimates the time of a run from points spread evenly over the plan, or where none is kept there from the known ones. A point that
/// takes too long is ended.
fn estimate(
    spec: &Spec,
    points: u64,
    known: &[&GridPoint],
    threads: NonZeroUsize,
) -> Option<Estimate> {
    let halt = Halt::default();
    let watch = Stopwatch::start();
    let (sampled, over) = mpsc::channel::<()>();
    let (samples, is_least) = thread::scope(|scope| {
        let flag = halt.clone();
        scope.spawn(move || {
            if over.recv_timeout(SAMPLE_END) == Err(RecvTimeoutError::Timeout) {
                flag.raise();
            }
        });
        let counted = halt.over(|| (samples(spec, known, &watch), halt::is_raised()));
        drop(sampled);
        counted
    });
    (samples > 0).then(|| Estimate {
        seconds: watch.elapsed().as_secs_f64() / samples as f64 * points as f64
            / threads.get() as f64,
        samples,
        is_least,
    })
}

/// Simulates points spread evenly over the plan, or where none is kept there the known ones, and counts them.
fn samples(spec: &Spec, known: &[&GridPoint], watch: &Stopwatch) -> u64 {
    let plan = spec.plan();
    let study = Planned::new(spec);
    let mut scratch = Scratch::default();
    let mut samples = 0;
    let stride = (plan.len() / SAMPLES).max(1);
    // An odd stride meets all values of the fastest axes.
    let stride = if stride > 1 { stride | 1 } else { 1 };
    let mut index = stride / 2;
    while index < plan.len() && watch.elapsed() < SAMPLING_MAX {
        let window = index..plan.len().min(index.saturating_add(1_000));
        if let Some(point) = plan.kept(window).next() {
            play_point(&study, &point, &mut scratch);
            samples += 1;
        }
        index = index.saturating_add(stride);
    }
    if samples == 0 {
        for point in known.iter().take_while(|_| watch.elapsed() < SAMPLING_MAX) {
            play_point(&study, point, &mut scratch);
            samples += 1;
        }
    }
    samples
}

/// Seconds of a year.
const YEAR: f64 = 365.25 * 86_400.0;

/// A span of time in words.
fn words(seconds: f64) -> String {
    if seconds < 1.0 {
        "under 1 s".to_owned()
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7_200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds < 2.0 * YEAR {
        format!("{:.0} h", seconds / 3_600.0)
    } else {
        format!("{:.0} years", seconds / YEAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2·365.25·24 = 17,532 hours are two years.
    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        for (seconds, text) in [
            (0.4, "under 1 s"),
            (100.0, "100 s"),
            (600.0, "10 min"),
            (17_531.0 * 3_600.0, "17531 h"),
            (17_533.0 * 3_600.0, "2 years"),
            (4.4e14, "13942759 years"),
        ] {
            assert_eq!(words(seconds), text);
        }
    }
}
