//! Jobs on several types of GPU, each of which has data-parallel replicas or pipeline stages of its own.

mod deal;
mod dealer;
mod dealt;
mod layer_shares;
mod refusals;
mod replicas;
#[cfg(test)]
mod search_tests;
mod stages;
#[cfg(test)]
mod tests;
mod typed;

pub(crate) use stages::undivided_stages;

use crate::simulation::{Infeasible, Scratch, StepReport, TrainingScenario};

/// Simulates a job on several types of GPU.
///
/// # Errors
/// If a type cannot run as asked, or no layout fits all of them.
pub(super) fn simulate(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<StepReport, Infeasible> {
    if scenario.has_stages_by_type() {
        return stages::simulate(scenario, scratch);
    }
    Ok(replicas::fastest(scenario, scratch)?.report(scenario))
}

/// The job as if all GPUs were of the type that takes longest, with the layout and the microbatches that it has.
///
/// # Errors
/// As [`simulate`], and where the types have stages of their own.
pub(super) fn pacing(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<TrainingScenario, Infeasible> {
    if scenario.has_stages_by_type() {
        return Err(Infeasible::Unsupported(
            "the timeline of stages on several types of GPU is not drawn".to_owned(),
        ));
    }
    Ok(replicas::fastest(scenario, scratch)?.pacing())
}
