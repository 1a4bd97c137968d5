//! Sensitivity of a step's time: its elasticity to every resource.

use super::replay::simulated;
use super::resource::with_more;
use crate::analysis::{Elasticity, Resource};
use crate::simulation::{LayoutRequest, Scratch, StepReport, TrainingScenario};

/// Step of the difference quotient, to either side: far above the rounding of a simulated time, small
/// enough for a tangent.
const STEP: f64 = 0.01;

/// Elasticities of a step that ran, in the order of [`Resource::ALL`]: `−∂ln T/∂ln r` for each resource
/// `r`, by central differences of simulations with 1% more and 1% less of it, the layout held.
///
/// They sum to 1 but for two remainders: the ceilings of the library's protocols belong to no resource,
/// and where a change of a rate makes the library choose another algorithm its elasticity holds that
/// jump.
///
/// A resource without which the changed scenario does not run is left out; of a job on several types of GPU all are, since
/// a change of one type deals the microbatches anew.
pub fn elasticities(
    scenario: &TrainingScenario,
    step: &StepReport,
    scratch: &mut Scratch,
) -> Vec<Elasticity> {
    if !scenario.pools.is_empty() {
        return Vec::new();
    }
    let mut pinned = scenario.clone();
    pinned.layout = LayoutRequest::pinned(&step.layout);
    Resource::ALL
        .iter()
        .filter_map(|&resource| {
            let mut log_time = |factor: f64| {
                let changed = with_more(resource, factor, &pinned);
                let step = simulated(&changed, scratch)?;
                Some(libm::log(step.step_time().as_secs_f64()))
            };
            let (more, less) = (1.0 + STEP, 1.0 - STEP);
            let change = log_time(more)? - log_time(less)?;
            Some(Elasticity {
                resource,
                percent_per_percent: -change / (libm::log(more) - libm::log(less)),
            })
        })
        .collect()
}
