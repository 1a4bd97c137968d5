//! The result row, the column table, and Parquet out and in.
//!
//! A record is one grid point and how it ended. [`columns`] reads every cell from it; nothing else
//! knows the names, types or order of the columns.

pub mod batch;
pub mod column;
pub mod columns;
pub mod merge;
pub mod metrics;
pub mod provenance;
pub mod read;
pub mod write;

pub use batch::{points_batch, points_schema};
pub use column::{Cell, Column, ColumnGroup, Read};
pub use merge::{MergeError, merge_points};
pub use metrics::{Bandwidths, Bottleneck, StepMetrics};
pub use provenance::{Difference, Provenance, SCHEMA_VERSION, difference, short_hash};
pub use read::{PointsReader, ReadError, batches};
pub use write::{TableWriter, WriteError, write_atomically};

use crate::closed_set;
use crate::collective::Algorithm;
use crate::simulation::{
    CollectiveReport, Layout, NetworkUse, Outcome, ReasonKind, Scenario, StepReport,
    TrainingScenario,
};
use crate::spec::{Axis, BottleneckThresholds, GridPoint};

closed_set! {
    /// How a point ended.
    pub enum PointStatus: "point status" {
        /// It ran.
        Ok = "ok",
        /// It cannot run; that is a result.
        Infeasible = "infeasible",
        /// The simulator failed on it.
        Crashed = "crashed",
    }
}

/// What came of one point.
#[derive(Clone, Debug, PartialEq)]
pub enum PointEnd {
    /// The simulation gave an outcome.
    Outcome(Outcome),
    /// The simulator panicked, with this message.
    Crashed(String),
}

/// One grid point and how it ended: one row of `points.parquet`.
#[derive(Clone, Debug)]
pub struct Record {
    point: GridPoint,
    /// The point with its names resolved; `None` where that already failed.
    scenario: Option<Scenario>,
    end: PointEnd,
    metrics: Option<StepMetrics>,
}

impl Record {
    /// Puts a row together and computes its metrics.
    pub fn new(
        point: GridPoint,
        scenario: Option<Scenario>,
        end: PointEnd,
        thresholds: &BottleneckThresholds,
    ) -> Self {
        let metrics = match (&scenario, &end) {
            (Some(Scenario::Training(training)), PointEnd::Outcome(Outcome::Completed(step))) => {
                Some(StepMetrics::new(training, step, thresholds))
            }
            _ => None,
        };
        Self {
            point,
            scenario,
            end,
            metrics,
        }
    }

    /// The point as the spec gives it, defaults resolved.
    pub fn point(&self) -> &GridPoint {
        &self.point
    }

    /// How the point ended.
    pub fn status(&self) -> PointStatus {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => PointStatus::Ok,
            PointEnd::Outcome(Outcome::Infeasible(_)) => PointStatus::Infeasible,
            PointEnd::Crashed(_) => PointStatus::Crashed,
        }
    }

    /// Why the point did not run; `None` when it did.
    pub fn reason(&self) -> Option<String> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => None,
            PointEnd::Outcome(Outcome::Infeasible(why)) => Some(why.to_string()),
            PointEnd::Crashed(message) => Some(format!("the simulator crashed: {message}")),
        }
    }

    /// Kind of reason for which the point did not run; `None` when it did.
    pub fn reason_kind(&self) -> Option<ReasonKind> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => None,
            PointEnd::Outcome(Outcome::Infeasible(why)) => Some(why.kind()),
            PointEnd::Crashed(_) => Some(ReasonKind::Crash),
        }
    }

    /// The step, where one ran.
    pub fn step(&self) -> Option<&StepReport> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(step)) => Some(step),
            PointEnd::Outcome(Outcome::Communicated(_) | Outcome::Infeasible(_))
            | PointEnd::Crashed(_) => None,
        }
    }

    /// The communication, where one ran.
    pub fn communication(&self) -> Option<&CollectiveReport> {
        match &self.end {
            PointEnd::Outcome(Outcome::Communicated(report)) => Some(report),
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Infeasible(_))
            | PointEnd::Crashed(_) => None,
        }
    }

    /// The layout that ran.
    pub fn layout(&self) -> Option<&Layout> {
        self.step().map(|step| &step.layout)
    }

    /// What is computed from the step.
    pub fn metrics(&self) -> Option<&StepMetrics> {
        self.metrics.as_ref()
    }

    /// The training scenario, if it is one.
    pub fn training(&self) -> Option<&TrainingScenario> {
        match &self.scenario {
            Some(Scenario::Training(training)) => Some(training),
            Some(Scenario::Collective(_)) | None => None,
        }
    }

    /// GPUs of the job.
    pub fn gpus(&self) -> Option<u64> {
        match &self.scenario {
            Some(Scenario::Training(training)) => Some(u64::from(training.gpus)),
            Some(Scenario::Collective(collective)) => Some(u64::from(collective.gpus)),
            None => self.point.int(Axis::Gpus),
        }
    }

    /// Bandwidths of the communication, where one ran.
    pub fn bandwidths(&self) -> Option<Bandwidths> {
        match (&self.scenario, self.communication()) {
            (Some(Scenario::Collective(scenario)), Some(report)) => {
                Bandwidths::new(scenario, report)
            }
            _ => None,
        }
    }

    /// Algorithm of the gradient reduction or of the communication.
    pub fn collective_used(&self) -> Option<&Algorithm> {
        match self.step() {
            Some(step) => step.collective_used.as_ref(),
            None => self.communication().map(|report| &report.algorithm),
        }
    }

    /// Load on the network.
    pub fn network(&self) -> Option<&NetworkUse> {
        match self.step() {
            Some(step) => Some(&step.network),
            None => self.communication().map(|report| &report.network),
        }
    }

    /// Events of the simulation.
    pub fn events(&self) -> Option<u64> {
        match self.step() {
            Some(step) => Some(step.events),
            None => self.communication().map(|report| report.events),
        }
    }

    /// Reads something of the scenario, null unless the point ran.
    fn when_ok<'r, T>(&'r self, read: impl Fn(&'r Self) -> Option<T>) -> Option<T> {
        match self.status() {
            PointStatus::Ok => read(self),
            PointStatus::Infeasible | PointStatus::Crashed => None,
        }
    }
}

#[cfg(test)]
mod tests;
