//! Reasons for which a job on several types of GPU does not run.

use crate::simulation::{GpuPool, Infeasible, TrainingScenario};

/// Refuses what is simulated on one type alone.
///
/// # Errors
/// If times of kernels are drawn.
pub(super) fn check(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    if scenario.run.variability > 0.0 {
        return Err(Infeasible::Unsupported(
            "variability over several types of GPU is not simulated: leave it out or give 0"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The reason with the type that it is about.
pub(super) fn on_type(why: Infeasible, pool: &GpuPool) -> Infeasible {
    match why {
        Infeasible::OutOfMemory {
            needed,
            available,
            layout,
        } => Infeasible::OutOfMemory {
            needed,
            available,
            layout: format!("{layout}, on {}", pool.gpu.name),
        },
        other @ (Infeasible::Indivisible { .. }
        | Infeasible::Limit(_)
        | Infeasible::Unsupported(_)) => other,
    }
}
