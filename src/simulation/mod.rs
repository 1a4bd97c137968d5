//! A scenario is one resolved point of either kind; `simulate` plays it.

pub mod outcome;
pub mod scenario;
pub mod training;

pub use outcome::{
    CollectiveReport, Infeasible, Layout, MemoryFootprint, NetworkUse, Outcome, Percentiles,
    StepReport, TimeShares,
};
pub use scenario::{
    CollectiveScenario, CommunicationRequest, LayoutRequest, RunSettings, Scenario,
    TrainingScenario, Workload,
};
