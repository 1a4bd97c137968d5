//! Where scaling breaks down, and which part of the step breaks it.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::curve::{Efficiency, SizeRate};
use crate::closed_set;
use crate::simulation::{PartSeconds, StepPart};

/// Sizes under the threshold that make a breakdown point more than one bad size.
pub(crate) const CONFIRMING_SIZES: usize = 2;

closed_set! {
    /// Whether the data show a breakdown point.
    pub enum BreakdownStatus: "breakdown status" {
        /// The largest size reaches the threshold, or none does.
        None = "none",
        /// The envelope falls under the threshold and stays there for at least two sizes.
        Confirmed = "confirmed",
        /// A single size of the envelope is under the threshold, or all that are divide the batch unevenly: more sizes
        /// would tell.
        Unconfirmed = "unconfirmed",
    }
}

/// Cause of the additional time that a GPU spends on a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakdownCause {
    /// Kernels run further from their peak: smaller shards, another layout.
    ComputeEfficiency,
    /// More work per sample.
    Work,
    /// A part of the step besides compute takes longer.
    Part(StepPart),
    /// Every replica is down to one microbatch: more GPUs find no more samples to share.
    BatchExhausted,
}

impl BreakdownCause {
    /// The spelling in `scaling.parquet` and JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ComputeEfficiency => "compute-efficiency",
            Self::Work => "work",
            Self::Part(part) => part.as_str(),
            Self::BatchExhausted => "batch-exhausted",
        }
    }

    /// The cause in words.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::ComputeEfficiency => "kernels further from peak",
            Self::Work => "more work per sample",
            Self::Part(part) => part.title(),
            Self::BatchExhausted => "too few samples",
        }
    }

    /// The cause in at most 12 letters, for tables.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::ComputeEfficiency => "slow kernels",
            Self::Work => "more work",
            Self::Part(part) => part.short(),
            Self::BatchExhausted => "few samples",
        }
    }
}

crate::document::written_as!(BreakdownCause, String);

impl Serialize for BreakdownCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where an efficiency curve crosses its threshold for good.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct BreakdownPoint {
    /// Whether the data show it.
    pub status: BreakdownStatus,
    /// Size of the crossing, interpolated in log size; also where it is unconfirmed.
    pub size: Option<f64>,
    /// Place of the last size above the threshold, and of the first one of the envelope under it.
    #[serde(skip)]
    pub between: Option<(usize, usize)>,
}

impl BreakdownPoint {
    const NONE: Self = Self {
        status: BreakdownStatus::None,
        size: None,
        between: None,
    };

    /// The size, where it is confirmed.
    pub fn confirmed_size(&self) -> Option<f64> {
        self.size
            .filter(|_| self.status == BreakdownStatus::Confirmed)
    }
}

/// Finds where the upper envelope of the efficiency falls under `threshold`, where no larger size does better.
///
/// `teeth` are the sizes under the envelope, one for each. Two sizes at least of the envelope have to lie under the
/// threshold ([`CONFIRMING_SIZES`]), else the point is unconfirmed, also where only teeth do: the largest size says nothing
/// of larger ones that divide evenly. Between the last good size `a` and the first bad one `b` of the envelope, or the
/// first tooth where it has none, efficiency is taken as linear in log size:
/// `log n = log a + (E(a) − t)/(E(a) − E(b)) · log(b/a)`.
pub fn breakdown_point(
    sizes: &[SizeRate],
    efficiency: &[Efficiency],
    teeth: &[bool],
    threshold: f64,
) -> BreakdownPoint {
    let values: Vec<f64> = efficiency.iter().map(|e| e.of_baseline).collect();
    crossing(sizes, &values, teeth, threshold)
}

/// Finds the breakdown point against the best rate per GPU so far, which superlinear growth cannot hide.
pub fn breakdown_point_of_best(
    sizes: &[SizeRate],
    efficiency: &[Efficiency],
    teeth: &[bool],
    threshold: f64,
) -> BreakdownPoint {
    let values: Vec<f64> = efficiency.iter().map(|e| e.of_best).collect();
    crossing(sizes, &values, teeth, threshold)
}

fn crossing(
    sizes: &[SizeRate],
    efficiency: &[f64],
    teeth: &[bool],
    threshold: f64,
) -> BreakdownPoint {
    let Some(good) = efficiency.iter().rposition(|value| *value >= threshold) else {
        return BreakdownPoint::NONE;
    };
    let under = good + 1..efficiency.len();
    let Some(first) = under.clone().next() else {
        return BreakdownPoint::NONE;
    };
    let envelope: Vec<usize> = under.filter(|place| !teeth[*place]).collect();
    let bad = envelope.first().copied().unwrap_or(first);
    let status = if envelope.len() >= CONFIRMING_SIZES {
        BreakdownStatus::Confirmed
    } else {
        BreakdownStatus::Unconfirmed
    };
    let way = (efficiency[good] - threshold) / (efficiency[good] - efficiency[bad]);
    let (from, to) = (libm::log(sizes[good].size), libm::log(sizes[bad].size));
    BreakdownPoint {
        status,
        size: Some(libm::exp(from + way * (to - from))),
        between: Some((good, bad)),
    }
}

/// Cost of a sample at one size of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SampleCost {
    /// GPUs of the job.
    pub gpus: f64,
    /// Samples per step.
    pub samples_per_step: f64,
    /// Exclusive parts of one step.
    pub parts: PartSeconds,
    /// Model FLOPs utilization, which tells ideal work from lost efficiency; `None`: not known.
    pub mfu: Option<f64>,
    /// Microbatches per replica and step; 1 when the batch is exhausted.
    pub microbatches: Option<u32>,
}

impl SampleCost {
    fn gpu_seconds_per_sample(&self, seconds: f64) -> f64 {
        seconds * self.gpus / self.samples_per_step
    }

    /// GPU-seconds per sample that the work would take at the GPU's peak: `MFU · step`.
    fn ideal_work(&self) -> Option<f64> {
        self.mfu
            .map(|mfu| self.gpu_seconds_per_sample(mfu * self.parts.total()))
    }
}

/// One part of the loss between two sizes.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Contribution {
    /// Part of the step, or of the work in it.
    pub cause: BreakdownCause,
    /// Change in GPU-seconds per sample.
    pub gpu_seconds_per_sample: f64,
    /// Fraction of the whole loss; all contributions sum to 1.
    pub share: f64,
}

/// The change in GPU-seconds per sample from `good` to `bad` by part, largest first.
///
/// The changes sum to the whole loss. Compute is split into the work itself and the distance from
/// peak, so that a layout forced by the size cannot hide in it.
pub(crate) fn contributions(good: &SampleCost, bad: &SampleCost) -> Vec<Contribution> {
    let mut changes: Vec<(BreakdownCause, f64)> = Vec::with_capacity(11);
    for (part, seconds) in bad.parts.iter() {
        let before = good.gpu_seconds_per_sample(good.parts[part]);
        let change = bad.gpu_seconds_per_sample(seconds) - before;
        if part != StepPart::Compute {
            changes.push((BreakdownCause::Part(part), change));
            continue;
        }
        let work = match (good.ideal_work(), bad.ideal_work()) {
            (Some(before), Some(after)) => after - before,
            (Some(_) | None, _) => 0.0,
        };
        changes.push((BreakdownCause::Work, work));
        changes.push((BreakdownCause::ComputeEfficiency, change - work));
    }
    let loss: f64 = changes.iter().map(|(_, change)| change).sum();
    let mut found: Vec<Contribution> = changes
        .into_iter()
        .filter(|(_, change)| *change != 0.0)
        .map(|(cause, gpu_seconds_per_sample)| Contribution {
            cause,
            gpu_seconds_per_sample,
            share: gpu_seconds_per_sample / loss,
        })
        .collect();
    found.sort_by(|a, b| {
        b.gpu_seconds_per_sample
            .total_cmp(&a.gpu_seconds_per_sample)
            .then(a.cause.cmp(&b.cause))
    });
    found
}

/// Suspected causes, likeliest first: an exhausted batch where a fixed global batch leaves each
/// replica one microbatch (`dp · micro batch = global batch`), then the parts that grew, the largest
/// first.
pub(crate) fn suspects(
    fixed_batch: bool,
    bad: &SampleCost,
    contributions: &[Contribution],
) -> Vec<BreakdownCause> {
    let exhausted = fixed_batch && bad.microbatches == Some(1);
    let grew = contributions
        .iter()
        .filter(|part| part.gpu_seconds_per_sample > 0.0)
        .map(|part| part.cause);
    exhausted
        .then_some(BreakdownCause::BatchExhausted)
        .into_iter()
        .chain(grew)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::curve::efficiencies;

    /// Sizes of 1, 2, 4 … GPUs with these rates per GPU.
    fn of_rates(rates: &[f64]) -> Vec<SizeRate> {
        rates
            .iter()
            .enumerate()
            .map(|(place, &per_gpu)| {
                let size = f64::from(1u32 << place);
                SizeRate {
                    size,
                    rate: per_gpu * size,
                }
            })
            .collect()
    }

    fn found(rates: &[f64]) -> BreakdownPoint {
        let sizes = of_rates(rates);
        breakdown_point(
            &sizes,
            &efficiencies(&sizes),
            &vec![false; sizes.len()],
            0.8,
        )
    }

    #[test]
    fn the_breakdown_lies_between_the_last_good_and_the_first_bad_size() {
        // 0.9 at 4 GPUs, 0.7 at 8: halfway in efficiency is halfway in log size, 4·√2.
        let point = found(&[1.0, 0.95, 0.9, 0.7, 0.6]);
        assert_eq!(point.status, BreakdownStatus::Confirmed);
        assert_eq!(point.between, Some((2, 3)));
        let size = point.confirmed_size().unwrap();
        assert!((size - 4.0 * 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_single_bad_size_at_the_end_is_unconfirmed() {
        let point = found(&[1.0, 0.95, 0.9, 0.7]);
        assert_eq!(point.status, BreakdownStatus::Unconfirmed);
        assert_eq!(point.confirmed_size(), None);
        assert!(point.size.is_some());
    }

    // Whether the batch divides unevenly at every size behind 2 GPUs or at one of them alone, the curve does not stay above
    // the threshold: log n = log 2 + (0.9 − 0.8)/(0.9 − 0.6) · log(4/2) is 2.52 GPUs.
    #[test]
    fn a_curve_that_ends_in_teeth_is_unconfirmed() {
        let point = |values: &[f64], teeth: &[bool]| {
            let sizes = of_rates(values);
            breakdown_point(&sizes, &efficiencies(&sizes), teeth, 0.8)
        };
        let teeth = [false, false, true, true, true];
        let found = point(&[1.0, 0.9, 0.6, 0.4, 0.2], &teeth);
        assert_eq!(found.status, BreakdownStatus::Unconfirmed);
        assert_eq!(found.between, Some((1, 2)));
        assert!(
            (found.size.expect("a size") - 2.5198).abs() < 1e-3,
            "{found:?}"
        );
        let one_even = [false, false, true, false, true];
        let found = point(&[1.0, 0.9, 0.6, 0.4, 0.2], &one_even);
        assert_eq!(found.status, BreakdownStatus::Unconfirmed);
        assert_eq!(found.between, Some((1, 3)));
        assert_eq!(
            point(&[1.0, 0.9, 0.6, 0.85, 0.9], &teeth),
            BreakdownPoint::NONE
        );
    }

    #[test]
    fn a_dip_that_recovers_is_no_breakdown() {
        assert_eq!(found(&[1.0, 0.7, 0.7, 0.85]), BreakdownPoint::NONE);
    }

    #[test]
    fn the_last_crossing_counts_when_there_are_several() {
        // Under the threshold at 2 GPUs, above at 4, under for good from 8 on.
        let point = found(&[1.0, 0.7, 0.85, 0.75, 0.7]);
        assert_eq!(point.between, Some((2, 3)));
    }

    #[test]
    fn a_break_behind_superlinear_growth_shows_against_the_best_rate() {
        let sizes: Vec<SizeRate> = [(1.0, 1.0), (2.0, 3.0), (4.0, 4.4), (8.0, 8.0)]
            .map(|(size, rate)| SizeRate { size, rate })
            .to_vec();
        let efficiency = efficiencies(&sizes);
        // Per GPU 1, 1.5, 1.1, 1: never under the baseline, but 0.73 and 0.67 of the best.
        assert_eq!(
            breakdown_point(&sizes, &efficiency, &[false; 4], 0.8).status,
            BreakdownStatus::None
        );
        let of_best = breakdown_point_of_best(&sizes, &efficiency, &[false; 4], 0.8);
        assert_eq!(of_best.status, BreakdownStatus::Confirmed);
        assert_eq!(of_best.between, Some((1, 2)));
    }

    fn sample_cost(gpus: f64, parts: &[(StepPart, f64)], mfu: f64) -> SampleCost {
        let mut seconds = PartSeconds::default();
        for &(part, value) in parts {
            seconds[part] = value;
        }
        SampleCost {
            gpus,
            samples_per_step: 100.0,
            parts: seconds,
            mfu: Some(mfu),
            microbatches: Some(4),
        }
    }

    #[test]
    fn contributions_sum_to_the_loss_and_name_the_part_that_grew_most() {
        // 10 GPUs: 8 s compute, 2 s gradients; 20 GPUs: 4.5 s and 3 s. GPU-seconds per sample:
        // 0.8 → 0.9 compute, 0.2 → 0.6 gradients; the loss is 0.5. Ideal work is 0.5 at both
        // (MFU 0.5 of 10 s on 10 GPUs, 1/3 of 7.5 s on 20), so 0.1 of compute is lost efficiency.
        let good = sample_cost(
            10.0,
            &[(StepPart::Compute, 8.0), (StepPart::DpComm, 2.0)],
            0.5,
        );
        let bad = sample_cost(
            20.0,
            &[(StepPart::Compute, 4.5), (StepPart::DpComm, 3.0)],
            1.0 / 3.0,
        );
        let found = contributions(&good, &bad);
        assert_eq!(found[0].cause, BreakdownCause::Part(StepPart::DpComm));
        assert!((found[0].share - 0.8).abs() < 1e-12);
        let lost = found
            .iter()
            .find(|c| c.cause == BreakdownCause::ComputeEfficiency)
            .unwrap();
        assert!((lost.gpu_seconds_per_sample - 0.1).abs() < 1e-12);
        let sum: f64 = found.iter().map(|c| c.gpu_seconds_per_sample).sum();
        assert!((sum - 0.5).abs() < 1e-12);
        assert_eq!(
            suspects(true, &bad, &found),
            [
                BreakdownCause::Part(StepPart::DpComm),
                BreakdownCause::ComputeEfficiency
            ]
        );
    }

    #[test]
    fn one_microbatch_of_a_fixed_batch_is_a_cause_of_its_own() {
        let good = sample_cost(10.0, &[(StepPart::Compute, 8.0)], 0.5);
        let mut bad = sample_cost(
            20.0,
            &[(StepPart::Compute, 4.0), (StepPart::DpComm, 3.0)],
            0.3,
        );
        bad.microbatches = Some(1);
        let found = contributions(&good, &bad);
        assert_eq!(
            suspects(true, &bad, &found)[..2],
            [
                BreakdownCause::BatchExhausted,
                BreakdownCause::Part(StepPart::DpComm)
            ]
        );
        // With a batch that grows with the job there is always enough to share.
        assert_eq!(
            suspects(false, &bad, &found)[0],
            BreakdownCause::Part(StepPart::DpComm)
        );
    }
}
