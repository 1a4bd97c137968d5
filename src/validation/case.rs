//! One measured case, and what a simulation of it gave.

use crate::closed_set;
use crate::simulation::Scenario;
use crate::units::SimTime;

use super::table::CaseKind;

closed_set! {
    /// What a case counts for.
    pub enum Score: "score" {
        /// Its value is held against the prediction.
        Value = "step",
        /// Likewise, but reported apart: repeats differ by more than 15%.
        Noisy = "noisy",
        /// Only its place in a scaling series counts.
        Series = "scaling",
        /// It is shown and never counted: the configuration is incomplete.
        Unscored = "no",
    }
}

closed_set! {
    /// How a case ended.
    pub enum CaseStatus: "case status" {
        /// It was simulated.
        Ok = "ok",
        /// The simulator says that it cannot run; it was measured, so that is a miss.
        Infeasible = "infeasible",
        /// The row cannot be turned into a scenario: an unknown GPU, a model without architecture.
        Unsupported = "unsupported",
    }
}

/// What cases are grouped by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseGroups {
    /// Model family (`decoder`, `moe`, `encoder`, `cnn`), or the operation of a collective.
    pub family: String,
    /// GPU by its preset's name.
    pub gpu: String,
    /// Document that published it.
    pub source: String,
    /// Origin that several documents may share.
    pub lineage: String,
    /// Software generation that it was simulated with.
    pub stack: String,
    /// Whether layout, micro batch and recomputation are all stated.
    pub stated: bool,
}

/// Place of a case in a scaling series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPlace {
    /// Name of the series.
    pub series: String,
    /// `strong`, `weak` or `mixed-batch`.
    pub scaling: String,
}

/// One measured case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name, from the row.
    pub id: String,
    /// What was measured.
    pub kind: CaseKind,
    /// What it is grouped by.
    pub groups: CaseGroups,
    /// What it counts for.
    pub score: Score,
    /// Seconds, or GiB; `None` where the row only says whether it fitted.
    pub measured: Option<f64>,
    /// Whether it ran.
    pub ran: bool,
    /// GPUs of the job.
    pub gpus: u32,
    /// Samples per step; 0 where that means nothing.
    pub samples: u32,
    /// Place in a scaling series.
    pub series: Option<SeriesPlace>,
    /// Key of the set of alternative layouts that it competes in.
    pub contest: String,
    /// What to simulate, or why that is not possible.
    pub subject: Result<Subject, String>,
}

/// What to simulate, and how its outcome becomes the measured figure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Points and their weights, which sum to 1; more than one where the row lies between two points.
    pub points: Vec<(f64, Scenario)>,
    /// Which figure of the outcome is held against the measurement.
    pub figure: Figure,
}

/// Which figure of an outcome is held against a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Time of a step or a communication, in seconds.
    Time,
    /// Peak of memory, in GiB.
    Memory {
        /// How it was read.
        measure: MemoryMeasure,
        /// The pipeline stage that was looked at; `None`: the fullest.
        stage: Option<u32>,
    },
    /// Arrival of a flow, known since its file was read: its flows are played together.
    Arrival(SimTime),
}

closed_set! {
    /// Which peak of memory was read.
    pub enum MemoryMeasure: "memory measure" {
        /// What tensors take (PyTorch's `max_memory_allocated`).
        Allocated = "max_allocated",
        /// What the allocator holds (`max_memory_reserved`).
        Reserved = "max_reserved",
        /// What the driver reports, context included.
        Device = "nvidia_smi",
        /// Not stated; read as the device's.
        Unknown = "unknown",
    }
}

/// What a simulation of a case gave.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// How it ended.
    pub status: CaseStatus,
    /// Predicted seconds or GiB.
    pub predicted: Option<f64>,
    /// Why it did not end well; `None` when it did.
    pub reason: Option<String>,
}

impl CaseResult {
    /// A result without a prediction.
    pub fn missed(status: CaseStatus, reason: String) -> Self {
        Self {
            status,
            predicted: None,
            reason: Some(reason),
        }
    }

    /// A prediction, in the unit of the case.
    pub fn predicted(value: f64) -> Self {
        Self {
            status: CaseStatus::Ok,
            predicted: Some(value),
            reason: None,
        }
    }
}

/// A case with its result.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was measured.
    pub case: Case,
    /// What was predicted.
    pub result: CaseResult,
}

impl Judged {
    /// Predicted over measured − 1, where both are there.
    pub fn relative_error(&self) -> Option<f64> {
        Some(self.result.predicted? / self.case.measured? - 1.0)
    }

    /// Whether the case counts in the error table.
    pub fn is_scored(&self) -> bool {
        match self.case.score {
            Score::Value => true,
            Score::Noisy | Score::Series | Score::Unscored => false,
        }
    }

    /// Whether the prediction of what runs and what does not is wrong: a case that ran is judged not to run, or
    /// the other way round.
    pub fn is_miss(&self) -> bool {
        match self.result.status {
            CaseStatus::Ok => !self.case.ran,
            CaseStatus::Infeasible => self.case.ran,
            CaseStatus::Unsupported => true,
        }
    }
}
