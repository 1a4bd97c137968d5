//! A point simulated with one axis changed, and what that does to its time.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::neighbours::Change;
use crate::simulation::{Outcome, Scenario, Scratch, guarded, simulate};
use crate::spec::{GridPoint, Spec, SpecError};

/// Relative change of the time under which the search over layouts only chose among equals.
const NOTHING: f64 = 1e-6;

/// Outcome of a changed point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The step ran.
    Ran {
        /// Time of one step.
        step_time_s: f64,
        /// Step time over the samples of the step.
        seconds_per_sample: f64,
        /// Layout that ran: `tp 8 pp 4 cp 1 dp 16, micro batch 2`.
        layout: String,
        /// Rent of all GPUs for an hour; null without a price.
        usd_per_hour: Option<f64>,
    },
    /// The point cannot run.
    CannotRun {
        /// Reason, as a sentence.
        reason: String,
    },
}

impl Answer {
    /// The answer with its times scaled.
    fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Ran {
                step_time_s,
                seconds_per_sample,
                layout,
                usd_per_hour,
            } => Self::Ran {
                step_time_s: step_time_s * factor,
                seconds_per_sample: seconds_per_sample * factor,
                layout,
                usd_per_hour,
            },
            Self::CannotRun { .. } => self,
        }
    }
}

/// Effect of one change on a point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Effect {
    /// The change.
    pub change: Change,
    /// Outcome of the changed point.
    pub answer: Answer,
    /// Change of the time per sample, new over old less one; below zero is faster. `None` where
    /// the changed point does not run.
    pub time_per_sample: Option<f64>,
}

/// Seconds per sample of a point that ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// Step time over the samples of the step, as simulated.
    pub seconds_per_sample: f64,
    /// Factor by which measured runs correct it. The changed points are given it too, since what errs at a point errs at
    /// its changes; so their gains are those of the simulation.
    pub correction: f64,
}

impl Baseline {
    /// Simulates one change.
    ///
    /// # Errors
    /// If the point does not have the axis, or the axis not the value.
    pub(crate) fn ask(
        self,
        (spec, point): (&Spec, &GridPoint),
        change: Change,
        scratch: &mut Scratch,
    ) -> Result<Effect, SpecError> {
        let answer = answer(spec, point, &change, scratch)?.scaled(self.correction);
        let time_per_sample = match &answer {
            Answer::Ran {
                seconds_per_sample, ..
            } => Some(seconds_per_sample / (self.seconds_per_sample * self.correction) - 1.0),
            Answer::CannotRun { .. } => None,
        };
        Ok(Effect {
            change,
            answer,
            time_per_sample,
        })
    }

    /// Simulates several changes, the most helpful first; changes that the spec refuses are left out, and
    /// so are those that change nothing.
    pub(crate) fn ask_all(
        self,
        spec: &Spec,
        point: &GridPoint,
        changes: Vec<Change>,
    ) -> Vec<Effect> {
        let effects = changes
            .into_par_iter()
            .map_init(Scratch::default, |scratch, change| {
                self.ask((spec, point), change, scratch).ok()
            });
        by_help(effects.flatten().collect())
    }
}

/// Effects, the most helpful first, without those that change nothing.
pub(super) fn by_help(mut effects: Vec<Effect>) -> Vec<Effect> {
    effects.retain(|effect| effect.time_per_sample.is_none_or(|t| t.abs() > NOTHING));
    let key = |effect: &Effect| effect.time_per_sample.unwrap_or(f64::INFINITY);
    effects.sort_by(|a, b| key(a).total_cmp(&key(b)));
    effects
}

/// Simulates a point with one axis changed, as [`Plan::altered`](crate::spec::Plan::altered) does it.
fn answer(
    spec: &Spec,
    point: &GridPoint,
    change: &Change,
    scratch: &mut Scratch,
) -> Result<Answer, SpecError> {
    let value = spec.value(change.axis, &change.value)?;
    let altered = spec.plan().altered(point, change.axis, value);
    let played = spec.plan().scenario(&altered);
    let played = played.map(|scenario| {
        let outcome = guarded(scratch, |scratch| simulate(&scenario, scratch));
        (outcome, scenario)
    });
    Ok(match played {
        Ok((Ok(Outcome::Completed(report)), Scenario::Training(training))) => {
            let step_time_s = report.step_time().as_secs_f64();
            let layout = &report.layout;
            let usd_per_hour = training.sum_over_gpus(|gpu, _| Some(gpu.price_per_hour?.usd()));
            Answer::Ran {
                usd_per_hour,
                step_time_s,
                seconds_per_sample: step_time_s / f64::from(training.workload.global_batch),
                layout: format!(
                    "tp {} pp {} cp {} dp {}, micro batch {}",
                    layout.tp, layout.pp, layout.cp, layout.dp, layout.micro_batch
                ),
            }
        }
        Ok((Ok(Outcome::Infeasible(why)), _)) | Err(why) => Answer::CannotRun {
            reason: why.to_string(),
        },
        Ok((Err(crash), _)) => Answer::CannotRun {
            reason: format!("the simulator crashed: {crash}"),
        },
        Ok((Ok(Outcome::Completed(_) | Outcome::Communicated(_)), _)) => Answer::CannotRun {
            reason: "a communication has no training step".to_owned(),
        },
    })
}
