//! Simulation of one resolved point: a training step or a collective.
//!
//! [`simulate`] takes a [`Scenario`], which has no name left to look up, and gives an [`Outcome`].

pub mod collective;
pub mod counterfactual;
pub mod infeasible;
pub mod outcome;
pub mod parts;
pub(crate) mod random;
pub mod scenario;
mod scratch;
pub mod training;

pub use collective::simulate_collective;
pub use counterfactual::Counterfactual;
pub use infeasible::{Infeasible, ReasonKind};
pub use outcome::{
    CollectiveReport, Layout, MemoryFootprint, NetworkUse, Outcome, Percentiles, StepReport,
};
pub use parts::{PartSeconds, Parts, StepPart, TimeShares};
pub use scenario::{
    CollectiveScenario, CommunicationRequest, LayoutRequest, RunSettings, Scenario,
    TrainingScenario, Workload,
};
pub use scratch::Scratch;
pub use training::{simulate_training, stage_memory, trace_training};

/// Simulates one scenario. It does no I/O and cannot fail: that a point cannot run is an outcome.
///
/// # Panics
/// Only where this program is wrong; the runner turns that into a row.
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
