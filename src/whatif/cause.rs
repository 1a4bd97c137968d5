//! Counterfactuals of a breakdown: the sizes around it simulated without a suspected part of the step.

use super::replay::{Replay, per_sample, simulated};
use crate::analysis::{Breakdown, BreakdownCause, Trial};
use crate::simulation::{Counterfactual, Scratch, StepPart, TrainingScenario};

/// Suspects that are tried at most; what comes behind them is a small part of the loss.
const MOST_SUSPECTS: usize = 4;

/// The sizes of a series that decide about its breakdown, as they ran.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    /// Smallest size.
    pub(super) baseline: &'a Replay,
    /// Last size above the threshold.
    pub(super) good: &'a Replay,
    /// First size under the threshold.
    pub(super) bad: &'a Replay,
    /// Efficiency of the first bad size, as it ran.
    pub(super) efficiency: f64,
}

impl Scene<'_> {
    /// Tries the suspects of a breakdown until one of them is confirmed. A suspect that cannot be taken
    /// away (more work, a larger batch that does not fit) is left out.
    pub(super) fn try_suspects(
        &self,
        breakdown: &Breakdown,
        threshold: f64,
        scratch: &mut Scratch,
    ) -> Vec<Trial> {
        let mut trials = Vec::new();
        for &cause in breakdown.suspects.iter().take(MOST_SUSPECTS) {
            if let Some(efficiency) = self.efficiency_without(cause, breakdown, scratch) {
                trials.push(Trial { cause, efficiency });
                if efficiency >= threshold {
                    break;
                }
            }
        }
        trials
    }

    /// Efficiency of the first bad size in a world without the cause.
    ///
    /// A part of the step is taken away at the smallest size too, since efficiency is measured
    /// against it. A batch and the efficiency of kernels are given back what they lost since the last
    /// good size, which leaves the smallest one as it was.
    fn efficiency_without(
        &self,
        cause: BreakdownCause,
        breakdown: &Breakdown,
        scratch: &mut Scratch,
    ) -> Option<f64> {
        match cause {
            BreakdownCause::Work => None,
            BreakdownCause::BatchExhausted => {
                self.against_the_same_baseline(&self.with_a_batch_that_grew()?, scratch)
            }
            BreakdownCause::ComputeEfficiency => {
                self.against_the_same_baseline(&self.with_kernels_as_before(breakdown)?, scratch)
            }
            BreakdownCause::Part(part) => {
                let mut without = |replay: &Replay| {
                    let mut changed = replay.pinned.clone();
                    changed.run.counterfactual = Some(Counterfactual::Without(part));
                    seconds_per_sample(&changed, scratch)
                };
                let (baseline, bad) = (without(self.baseline)?, without(self.bad)?);
                Some(self.efficiency(baseline, bad))
            }
        }
    }

    fn against_the_same_baseline(
        &self,
        bad: &TrainingScenario,
        scratch: &mut Scratch,
    ) -> Option<f64> {
        let seconds = seconds_per_sample(bad, scratch)?;
        Some(self.efficiency(self.baseline.seconds_per_sample(), seconds))
    }

    /// Efficiency of the bad size when both sizes take other times per sample than they did: sizes and
    /// their ratio stay, so only the times' ratio changes.
    fn efficiency(&self, baseline: f64, bad: f64) -> f64 {
        let before = self.baseline.seconds_per_sample() / self.bad.seconds_per_sample();
        self.efficiency * (baseline / bad) / before
    }

    /// The bad size with a batch that grew with the job since the last good size.
    fn with_a_batch_that_grew(&self) -> Option<TrainingScenario> {
        let mut bad = self.bad.pinned.clone();
        let grown = u64::from(self.good.pinned.workload.global_batch) * u64::from(bad.gpus)
            / u64::from(self.good.pinned.gpus);
        // Whole microbatches for every replica, or the layout would not divide.
        let round =
            u64::from(self.bad.step.layout.dp) * u64::from(self.bad.step.layout.micro_batch);
        let batch = u32::try_from(grown / round * round).ok()?;
        bad.workload.global_batch = batch;
        (batch > self.bad.pinned.workload.global_batch).then_some(bad)
    }

    /// The bad size with kernels that run as close to their peak as at the last good size.
    fn with_kernels_as_before(&self, breakdown: &Breakdown) -> Option<TrainingScenario> {
        let lost = breakdown
            .contributions
            .iter()
            .find(|part| part.cause == BreakdownCause::ComputeEfficiency)?
            .gpu_seconds_per_sample;
        let compute = self.bad.step.shares[StepPart::Compute].as_secs_f64()
            * self.bad.correction
            * f64::from(self.bad.pinned.gpus)
            / f64::from(self.bad.pinned.workload.global_batch);
        let mut bad = self.bad.pinned.clone();
        bad.run.counterfactual = Some(Counterfactual::KernelTime(1.0 - lost / compute));
        (lost < compute).then_some(bad)
    }
}

fn seconds_per_sample(scenario: &TrainingScenario, scratch: &mut Scratch) -> Option<f64> {
    let step = simulated(scenario, scratch)?;
    Some(per_sample(scenario, &step))
}
