//! Measured runs as a spec gives them.

use crate::simulation::TrainingScenario;
use crate::spec::product::Product;
use crate::spec::source::Place;

/// Measured run of a row.
#[derive(Clone, Debug)]
pub(super) struct RowRun {
    pub(super) name: String,
    pub(super) place: Place,
    /// Jobs and their weights, which sum to 1.
    pub(super) jobs: Vec<(f64, TrainingScenario)>,
    pub(super) step_time_s: f64,
}

/// Measured speed of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Speed {
    /// Seconds of a step.
    StepTime(f64),
    /// Tokens per second of the job.
    Tokens(f64),
    /// Tokens per second and GPU.
    TokensPerGpu(f64),
    /// Samples per second of the job.
    Samples(f64),
}

/// Measured run as a table of axes.
#[derive(Clone, Debug)]
pub(super) struct TableRun {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) product: Product,
    pub(super) speed: Speed,
}

/// Measured run, not yet simulated.
#[derive(Clone, Debug)]
pub(super) enum AskedRun {
    Table(TableRun),
    Row(Box<RowRun>),
}

/// The measured runs of a spec, not yet simulated.
#[derive(Clone, Debug, Default)]
pub(in crate::spec) struct AskedRuns(pub(super) Vec<AskedRun>);
