//! The changes of one metric between two runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::rows::{Labels, Matches, RunRows};
use super::tolerance::Tolerance;
use crate::record::{Column, columns};

/// Most points that each list of a comparison names; it counts them all.
pub const LISTED: usize = 10_000;

/// The changes of one metric.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct MetricDiff {
    /// Column of the metric.
    pub metric: &'static str,
    /// Unit of its values.
    pub unit: &'static str,
    /// Change up to which it counts as the same.
    pub tolerance: Tolerance,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Points where both runs have a value.
    pub compared: usize,
    /// Points better by more than the tolerance.
    pub better: usize,
    /// Points worse by more than the tolerance.
    pub worse: usize,
    /// The worst of them, worst first, at most [`LISTED`].
    pub regressions: Vec<MetricChange>,
    /// The relative changes, new over base less one.
    pub distribution: Distribution,
    /// Points by their relative change, from the largest fall to the largest rise.
    pub histogram: Vec<ChangeBin>,
}

/// Points whose relative change lies between two bounds.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ChangeBin {
    /// Lower bound; `None` of the first.
    pub from: Option<f64>,
    /// Upper bound, not included; `None` of the last.
    pub to: Option<f64>,
    /// Number of the points.
    pub points: usize,
}

/// Relative changes at which the bins of the histogram meet.
const BOUNDS: [f64; 8] = [-0.1, -0.05, -0.02, -0.005, 0.005, 0.02, 0.05, 0.1];

/// Points of each bin, of ascending relative changes.
fn histogram(sorted: &[f64]) -> Vec<ChangeBin> {
    let below = |bound: Option<&f64>| {
        bound.map_or(sorted.len(), |bound| {
            sorted.partition_point(|it| it < bound)
        })
    };
    let bins = (0..=BOUNDS.len()).map(|place| {
        let from = place.checked_sub(1).map(|before| BOUNDS[before]);
        let to = BOUNDS.get(place);
        let before = from.as_ref().map_or(0, |from| below(Some(from)));
        ChangeBin {
            from,
            to: to.copied(),
            points: below(to) - before,
        }
    });
    bins.collect()
}

/// Distribution of the relative changes of a metric.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Distribution {
    /// The smallest.
    pub least: f64,
    /// A tenth of the points lie below it.
    pub p10: f64,
    /// Half of the points lie below it.
    pub median: f64,
    /// A tenth of the points lie above it.
    pub p90: f64,
    /// The largest.
    pub most: f64,
}

impl Distribution {
    /// Summary of ascending values (linear interpolation); `None` if empty.
    fn of(sorted: &[f64]) -> Option<Self> {
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let quantile = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place as usize], sorted[libm::ceil(place) as usize]);
            // Between infinities there is nothing to interpolate.
            if below.to_bits() == above.to_bits() {
                below
            } else {
                below + (above - below) * place.fract()
            }
        };
        Some(Self {
            least,
            p10: quantile(0.1),
            median: quantile(0.5),
            p90: quantile(0.9),
            most,
        })
    }
}

/// One point's change in a metric.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct MetricChange {
    /// The point, by its varied axes.
    pub point: String,
    /// Value in the base run.
    pub base: f64,
    /// Value in the new run.
    pub new: f64,
    /// New over base less one.
    pub relative: f64,
}

/// Metrics of which more is better; of all others less is.
const MORE_IS_BETTER: &[Column] = &[
    columns::SAMPLES_PER_S,
    columns::TOKENS_PER_S,
    columns::TOKENS_PER_S_PER_GPU,
    columns::MODEL_FLOPS_PER_GPU_PER_S,
    columns::MFU,
    columns::HFU,
    columns::GPU_UTILIZATION,
    columns::ALGBW_BYTES_PER_S,
    columns::BUSBW_BYTES_PER_S,
    columns::GOODPUT,
];

/// The changes of a metric, the worst by their places in the base run.
pub(super) struct Changes {
    column: Column,
    compared: usize,
    better: usize,
    worse: usize,
    /// Place in the base run, value there and in the new one, relative change.
    worst: Vec<(usize, f64, f64, f64)>,
    tolerance: Tolerance,
    distribution: Distribution,
    histogram: Vec<ChangeBin>,
}

impl Changes {
    /// Compares a metric, the one at a place among those that were read; `None` where no point has it in both runs.
    pub(super) fn of(
        column: Column,
        metric: usize,
        [base, new]: [&RunRows; 2],
        matches: &Matches,
        tolerance: Tolerance,
    ) -> Option<Self> {
        let sign = if more_is_better(column) { -1.0 } else { 1.0 };
        let (base, new) = (&base.values[metric], &new.values[metric]);
        let (mut relative, mut better) = (Vec::new(), 0);
        let mut worst = Vec::new();
        for (base_row, new_row) in &matches.common {
            let (before, after) = (base[*base_row], new[*new_row]);
            if before.is_nan() || after.is_nan() {
                continue;
            }
            let change = relative_change(before, after);
            relative.push(change);
            let (most, moved) = tolerance.against(before, after, change);
            if sign * moved > most {
                worst.push((*base_row, before, after, change));
            }
            better += usize::from(-sign * moved > most);
        }
        relative.sort_unstable_by(f64::total_cmp);
        worst.sort_by(|a, b| (sign * b.3).total_cmp(&(sign * a.3)));
        let worse = worst.len();
        worst.truncate(LISTED);
        Some(Self {
            column,
            compared: relative.len(),
            better,
            worse,
            worst,
            tolerance,
            distribution: Distribution::of(&relative)?,
            histogram: histogram(&relative),
        })
    }

    /// Places in the base run of the points that are listed.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.worst.iter().map(|it| it.0)
    }

    /// The changes, the worst of them with their labels.
    pub(super) fn labelled(&self, labels: &Labels) -> MetricDiff {
        let worst = self.worst.iter();
        let regressions = worst.map(|(place, base, new, relative)| MetricChange {
            point: labels[place].clone(),
            base: *base,
            new: *new,
            relative: *relative,
        });
        MetricDiff {
            metric: self.column.name,
            unit: self.column.unit,
            tolerance: self.tolerance,
            more_is_better: more_is_better(self.column),
            compared: self.compared,
            better: self.better,
            worse: self.worse,
            regressions: regressions.collect(),
            distribution: self.distribution,
            histogram: self.histogram.clone(),
        }
    }
}

/// New over base less one.
fn relative_change(base: f64, new: f64) -> f64 {
    // From zero to zero is no change, not an undefined one.
    if base.to_bits() == new.to_bits() {
        0.0
    } else {
        new / base - 1.0
    }
}

fn more_is_better(column: Column) -> bool {
    MORE_IS_BETTER.iter().any(|it| it.name == column.name)
}
