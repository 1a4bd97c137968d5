//! Cause of a breakdown: the loss by part, the suspects, and their counterfactual trials.

use schemars::JsonSchema;
use serde::Serialize;

use super::breakdown::{
    BreakdownCause, BreakdownPoint, BreakdownStatus, Contribution, SampleCost, contributions,
    suspects,
};
use super::curve::Scaling;
use super::points::SizePoint;
use super::size_choice::SizePlace;
use crate::closed_set;

closed_set! {
    /// Whether a simulation without the cause says that it is the cause.
    pub(crate) enum CauseCheck: "check of a cause" {
        /// Without it efficiency would be above the threshold at the first bad size.
        Confirmed = "confirmed",
        /// No part alone decides: without any one of them efficiency would still be under the threshold.
        NotAlone = "not-alone",
        /// Not simulated again: there is no spec, or this version gives other times.
        NotChecked = "not-checked",
    }
}

/// A breakdown point with its cause.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Breakdown {
    /// Whether the data show it.
    pub status: BreakdownStatus,
    /// Size of the crossing, interpolated; also where it is unconfirmed.
    pub size: Option<f64>,
    /// First size under the threshold.
    pub first_bad: Option<SizePlace>,
    /// Last size above it.
    pub last_good: Option<SizePlace>,
    /// Part of the step that causes it.
    pub cause: Option<BreakdownCause>,
    /// Suspected causes by the rows alone, likeliest first.
    pub suspects: Vec<BreakdownCause>,
    /// Counterfactual simulations without a suspect, in the order of trying.
    pub trials: Vec<Trial>,
    /// Whether a trial confirmed the cause; `None` where there is no cause.
    pub(crate) check: Option<CauseCheck>,
    /// The loss between the two sizes by part, largest first; sums to the loss.
    pub contributions: Vec<Contribution>,
}

/// A counterfactual simulation without a suspect.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Trial {
    /// The suspect.
    pub cause: BreakdownCause,
    /// Efficiency of the first bad size without it.
    pub efficiency: f64,
}

impl Breakdown {
    /// The cause by the rows alone. `places` are the indices of `points`, the sizes that ran, among all sizes.
    pub(super) fn new(
        point: BreakdownPoint,
        points: &[&SizePoint],
        places: &[usize],
        scaling: Scaling,
    ) -> Self {
        let costs = point
            .between
            .and_then(|(good, bad)| sample_cost(points[good]).zip(sample_cost(points[bad])));
        let fixed_batch = scaling == Scaling::Strong;
        let (suspects, contributions) = costs
            .map(|(good, bad)| {
                let contributions = contributions(&good, &bad);
                (suspects(fixed_batch, &bad, &contributions), contributions)
            })
            .unwrap_or_default();
        let named = |ran: usize| SizePlace::of(places[ran], points[ran]);
        Self {
            status: point.status,
            size: point.size,
            last_good: point.between.map(|(good, _)| named(good)),
            first_bad: point.between.map(|(_, bad)| named(bad)),
            cause: suspects.first().copied(),
            check: suspects.first().map(|_| CauseCheck::NotChecked),
            suspects,
            trials: Vec::new(),
            contributions,
        }
    }

    /// The size, where it is confirmed.
    pub(crate) fn confirmed_size(&self) -> Option<f64> {
        self.size
            .filter(|_| self.status == BreakdownStatus::Confirmed)
    }

    /// Records the counterfactual trials and picks the cause: the first suspect without which the series
    /// would not have broken, else the one whose absence restores most efficiency.
    pub(crate) fn judge(&mut self, trials: Vec<Trial>, threshold: f64) {
        let confirmed = trials.iter().find(|trial| trial.efficiency >= threshold);
        // The last of equal ones wins a maximum, hence the order.
        let most = trials.iter().rev();
        let most = most.max_by(|a, b| a.efficiency.total_cmp(&b.efficiency));
        if let Some(trial) = confirmed.or(most) {
            self.cause = Some(trial.cause);
            self.check = Some(if confirmed.is_some() {
                CauseCheck::Confirmed
            } else {
                CauseCheck::NotAlone
            });
        }
        self.trials = trials;
    }

    /// Efficiency of the first bad size without the cause; `None` where that was not simulated.
    pub(crate) fn efficiency_without_cause(&self) -> Option<f64> {
        self.trials
            .iter()
            .find(|trial| Some(trial.cause) == self.cause)
            .map(|trial| trial.efficiency)
    }

    /// Share of the cause in the loss; `None` for an exhausted batch, which is no part of the step.
    pub(crate) fn cause_share(&self) -> Option<f64> {
        self.contributions
            .iter()
            .find(|contribution| Some(contribution.cause) == self.cause)
            .map(|contribution| contribution.share)
    }
}

fn sample_cost(point: &SizePoint) -> Option<SampleCost> {
    point.measured.map(|measured| SampleCost {
        gpus: f64::from(point.gpus),
        samples_per_step: measured.samples_per_step(),
        parts: measured.parts,
        mfu: measured.mfu,
        microbatches: measured.layout.microbatches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::StepPart;

    fn broken() -> Breakdown {
        Breakdown {
            status: BreakdownStatus::Confirmed,
            size: Some(100.0),
            first_bad: None,
            last_good: None,
            cause: Some(BreakdownCause::Part(StepPart::DpComm)),
            suspects: vec![
                BreakdownCause::Part(StepPart::DpComm),
                BreakdownCause::Part(StepPart::Bubble),
            ],
            trials: Vec::new(),
            check: Some(CauseCheck::NotChecked),
            contributions: Vec::new(),
        }
    }

    const fn trial(cause: BreakdownCause, efficiency: f64) -> Trial {
        Trial { cause, efficiency }
    }

    #[test]
    fn the_suspect_without_which_nothing_breaks_is_the_cause() {
        // Without the largest part 78% are left, without the bubble 83% of a threshold of 80%.
        let mut breakdown = broken();
        let trials = vec![
            trial(BreakdownCause::Part(StepPart::DpComm), 0.78),
            trial(BreakdownCause::Part(StepPart::Bubble), 0.83),
        ];
        breakdown.judge(trials, 0.8);
        assert_eq!(
            breakdown.cause,
            Some(BreakdownCause::Part(StepPart::Bubble))
        );
        assert_eq!(breakdown.check, Some(CauseCheck::Confirmed));
        assert_eq!(breakdown.efficiency_without_cause(), Some(0.83));
    }

    #[test]
    fn where_no_suspect_decides_alone_the_one_that_helps_most_is_named() {
        let mut breakdown = broken();
        let trials = vec![
            trial(BreakdownCause::Part(StepPart::DpComm), 0.70),
            trial(BreakdownCause::Part(StepPart::Bubble), 0.75),
        ];
        breakdown.judge(trials, 0.8);
        assert_eq!(
            breakdown.cause,
            Some(BreakdownCause::Part(StepPart::Bubble))
        );
        assert_eq!(breakdown.check, Some(CauseCheck::NotAlone));
    }

    #[test]
    fn without_trials_the_rows_alone_decide() {
        let mut breakdown = broken();
        breakdown.judge(Vec::new(), 0.8);
        assert_eq!(
            breakdown.cause,
            Some(BreakdownCause::Part(StepPart::DpComm))
        );
        assert_eq!(breakdown.check, Some(CauseCheck::NotChecked));
        assert_eq!(breakdown.efficiency_without_cause(), None);
    }
}
