//! Simulation of one resolved point: a training step or a collective.
//!
//! [`simulate`] takes a [`Scenario`], which has no name left to look up, and gives an [`Outcome`].

pub(crate) mod collective;
pub(crate) mod counterfactual;
mod guard;
pub(crate) mod infeasible;
pub(crate) mod outcome;
pub(crate) mod parts;
pub(crate) mod pools;
pub(crate) mod random;
pub(crate) mod scenario;
mod scratch;
pub(crate) mod training;

pub(crate) use collective::simulate_collective;
pub use counterfactual::Counterfactual;
pub(crate) use guard::{Crash, guarded, is_guarded, panic_message};
pub use infeasible::{Infeasible, ReasonKind};
pub(crate) use outcome::StageMemory;
pub use outcome::{
    CollectiveReport, Correction, Layout, MemoryFootprint, MemoryMoment, NetworkUse, Outcome,
    Percentiles, PoolReport, StepReport,
};
pub(crate) use parts::PartSeconds;
pub use parts::{StepPart, TimeShares};
pub use pools::{GpuPool, MixedLayout};
pub(crate) use scenario::CommunicationRequest;
pub use scenario::{
    CollectiveScenario, LayoutRequest, RunSettings, Scenario, TrainingScenario, Unstated, Workload,
    ZeroGroup,
};
pub use scratch::Scratch;
pub use training::simulate_training;
pub(crate) use training::{
    LayerLaunches, checkpoint_size, lacking_fabric, layer_launches, memory_of_layout, stage_memory,
    undivided_stages,
};

/// Simulates one scenario. It does no I/O and cannot fail: that a point cannot run is an outcome.
///
/// # Panics
/// Only where this program is wrong; `guarded` turns that into a value, the runner into a row.
pub fn simulate(scenario: &Scenario, scratch: &mut Scratch) -> Outcome {
    match scenario {
        Scenario::Training(training) => match simulate_training(training, scratch) {
            Ok(report) => Outcome::Completed(Box::new(report)),
            Err(reason) => Outcome::Infeasible(reason),
        },
        Scenario::Collective(collective) => match simulate_collective(collective, scratch) {
            Ok(report) => Outcome::Communicated(Box::new(report)),
            Err(reason) => Outcome::Infeasible(reason),
        },
    }
}
