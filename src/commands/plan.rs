//! Points that a spec expands to.

use std::num::NonZeroUsize;
use std::time::Duration;

use itertools::Itertools;
use serde_json::{Value, json};

use crate::commands::points::{self, LOOKS};
use crate::report::text::{Table, Text};
use crate::runner::clock::Stopwatch;
use crate::runner::{Planned, play_point};
use crate::simulation::Scratch;
use crate::spec::{Axis, AxisValue, GridPoint, Plan, Portion, Spec, Tally};

/// Points that are simulated to estimate the time of all.
const SAMPLES: u64 = 24;
/// Time after which no further point is simulated for the estimate.
const SAMPLING_MAX: Duration = Duration::from_secs(2);
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
}

impl<'a> PlanOverview<'a> {
    /// The plan of a portion of a spec's points, with the time that some threads need for it: a few points are
    /// simulated for the estimate.
    pub fn of(spec: &'a Spec, portion: Portion, threads: Option<NonZeroUsize>) -> Self {
        let threads = points::threads(threads);
        let plan = spec.plan();
        let tally = plan.tally(LOOKS);
        let count = points::about(spec, portion, &tally);
        let first: Vec<GridPoint> = points::points(spec, portion).take(SHOWN).collect();
        let last = if portion == Portion::default() {
            last_points(plan, first.last().map_or(0, |point| point.index + 1))
        } else {
            Vec::new()
        };
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
            estimate: estimate(spec, count, threads),
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
            Some(Estimate { seconds, samples }) => format!(
                "estimated: {} on {} threads (from {samples} points), points.parquet of {}",
                words(*seconds),
                self.threads,
                self.bytes().map_or_else(
                    || "more than 16 EiB".to_owned(),
                    |bytes| crate::units::Bytes::new(bytes).to_string()
                )
            ),
            None => "estimated: nothing to do".to_owned(),
        }
    }

    /// The plan for programs.
    pub fn json(&self) -> Value {
        let values = |point: &GridPoint| {
            let mut fields = serde_json::Map::new();
            fields.insert("point".to_owned(), json!(point.index));
            for (axis, value) in point.iter() {
                fields.insert(axis.to_string(), json!(value.to_string()));
            }
            Value::Object(fields)
        };
        let axes: Vec<Value> = self
            .axes
            .iter()
            .map(|(axis, values, count)| {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                json!({"axis": axis.as_str(), "count": count, "values": values})
            })
            .collect();
        let dropped: Vec<Value> = self
            .tally
            .dropped
            .iter()
            .map(|(clause, count)| json!({"where": clause, "drops": count}))
            .collect();
        json!({
            "name": self.spec.name,
            "study": self.spec.kind.as_str(),
            "axes": axes,
            "grid_points": self.tally.points,
            "where": dropped,
            "kept": self.tally.kept,
            "exact": self.tally.exact,
            "points": self.points,
            "first": self.first.iter().map(values).collect::<Vec<_>>(),
            "last": self.last.iter().map(values).collect::<Vec<_>>(),
            "threads": self.threads,
            "estimated_s": self.estimate.as_ref().map(|estimate| estimate.seconds),
            "estimated_bytes": self.bytes(),
        })
    }
}

/// The last points that are kept, none of them before `from`.
fn last_points(plan: &Plan, from: u64) -> Vec<GridPoint> {
    let mut last: Vec<GridPoint> = (from..plan.len())
        .rev()
        .take(usize::try_from(LOOKS).unwrap_or(usize::MAX))
        .map(|index| plan.point(index))
        .filter(|point| plan.keeps(point))
        .take(SHOWN)
        .collect();
    last.reverse();
    last
}

/// Estimates the time of a run from points spread evenly over the plan.
fn estimate(spec: &Spec, points: u64, threads: NonZeroUsize) -> Option<Estimate> {
    let plan = spec.plan();
    let study = Planned::new(spec);
    let mut scratch = Scratch::default();
    let watch = Stopwatch::start();
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
    (samples > 0).then(|| Estimate {
        seconds: watch.elapsed().as_secs_f64() / samples as f64 * points as f64
            / threads.get() as f64,
        samples,
    })
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
