//! One grid point and how it ended: one row of `points.parquet`.

use std::sync::Arc;
use std::time::Duration;

use crate::closed_set;
use crate::collective::Algorithm;
use crate::record::metrics::{Bandwidths, StepMetrics};
use crate::record::whole_training::PhaseStep;
use crate::simulation::{
    CollectiveReport, Layout, NetworkUse, Outcome, ReasonKind, Scenario, StepReport,
    TrainingScenario,
};
use crate::spec::{AnalysisSettings, Axis, GridPoint, Metric};

closed_set! {
    /// How a point ended.
    pub enum PointStatus: "point status" {
        /// The point ran.
        Ok = "ok",
        /// The point cannot run; that is a result.
        Infeasible = "infeasible",
        /// The simulator panicked, or took longer than it may.
        Crashed = "crashed",
    }
}

/// Outcome of one point, a panic of the simulator and the end of its time included.
#[derive(Clone, Debug, PartialEq)]
pub enum PointEnd {
    /// The simulation gave an outcome.
    Outcome(Outcome),
    /// The simulator panicked, with this message.
    Crashed(String),
    /// The simulation was ended after this time.
    TimedOut(Duration),
}

/// One grid point and how it ended: one row of `points.parquet`.
#[derive(Clone, Debug)]
pub struct Record {
    point: GridPoint,
    /// The point with its names resolved; `None` where that already failed.
    scenario: Option<Scenario>,
    end: PointEnd,
    metrics: Option<StepMetrics>,
    metrics_of_spec: Arc<[Metric]>,
}

impl Record {
    /// Puts a row together, with the steps of the phases of its training, and computes its metrics; those of its spec are computed where they are asked for.
    pub fn new(
        point: GridPoint,
        scenario: Option<Scenario>,
        end: PointEnd,
        phases: &[PhaseStep],
        analysis: &AnalysisSettings,
        metrics_of_spec: &Arc<[Metric]>,
    ) -> Self {
        let metrics = match (&scenario, &end) {
            (Some(Scenario::Training(training)), PointEnd::Outcome(Outcome::Completed(step))) => {
                Some(StepMetrics::new(training, step, phases, analysis))
            }
            _ => None,
        };
        Self {
            point,
            scenario,
            end,
            metrics,
            metrics_of_spec: Arc::clone(metrics_of_spec),
        }
    }

    /// The point as the spec gives it, defaults resolved.
    pub(crate) fn point(&self) -> &GridPoint {
        &self.point
    }

    /// How the point ended.
    pub(crate) fn status(&self) -> PointStatus {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => PointStatus::Ok,
            PointEnd::Outcome(Outcome::Infeasible(_)) => PointStatus::Infeasible,
            PointEnd::Crashed(_) | PointEnd::TimedOut(_) => PointStatus::Crashed,
        }
    }

    /// Why the point did not run; `None` when it did.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => None,
            PointEnd::Outcome(Outcome::Infeasible(why)) => Some(why.to_string()),
            PointEnd::Crashed(message) => Some(format!("the simulator crashed: {message}")),
            PointEnd::TimedOut(most) => Some(format!(
                "timeout: the point took longer than {} s (--point-timeout)",
                most.as_secs_f64()
            )),
        }
    }

    /// Kind of reason for which the point did not run; `None` when it did.
    pub(crate) fn reason_kind(&self) -> Option<ReasonKind> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Communicated(_)) => None,
            PointEnd::Outcome(Outcome::Infeasible(why)) => Some(why.kind()),
            PointEnd::Crashed(_) => Some(ReasonKind::Crash),
            PointEnd::TimedOut(_) => Some(ReasonKind::Timeout),
        }
    }

    /// Simulated step.
    pub(crate) fn step(&self) -> Option<&StepReport> {
        match &self.end {
            PointEnd::Outcome(Outcome::Completed(step)) => Some(step),
            PointEnd::Outcome(Outcome::Communicated(_) | Outcome::Infeasible(_))
            | PointEnd::Crashed(_)
            | PointEnd::TimedOut(_) => None,
        }
    }

    /// Simulated communication.
    pub(crate) fn communication(&self) -> Option<&CollectiveReport> {
        match &self.end {
            PointEnd::Outcome(Outcome::Communicated(report)) => Some(report),
            PointEnd::Outcome(Outcome::Completed(_) | Outcome::Infeasible(_))
            | PointEnd::Crashed(_)
            | PointEnd::TimedOut(_) => None,
        }
    }

    /// Layout of the step.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.step().map(|step| &step.layout)
    }

    /// Rates, money and verdict of the step.
    pub(crate) fn metrics(&self) -> Option<&StepMetrics> {
        self.metrics.as_ref()
    }

    /// Metrics that the spec adds.
    pub(super) fn metrics_of_spec(&self) -> &[Metric] {
        &self.metrics_of_spec
    }

    /// The training scenario, if it is one.
    pub(crate) fn training(&self) -> Option<&TrainingScenario> {
        match &self.scenario {
            Some(Scenario::Training(training)) => Some(training),
            Some(Scenario::Collective(_)) | None => None,
        }
    }

    /// GPUs of the job.
    pub(crate) fn gpus(&self) -> Option<u64> {
        match &self.scenario {
            Some(Scenario::Training(training)) => Some(u64::from(training.gpus)),
            Some(Scenario::Collective(collective)) => Some(u64::from(collective.gpus)),
            None => self.point.int(Axis::Gpus),
        }
    }

    /// Bandwidths of the communication, where one ran.
    pub(crate) fn bandwidths(&self) -> Option<Bandwidths> {
        match (&self.scenario, self.communication()) {
            (Some(Scenario::Collective(scenario)), Some(report)) => {
                Bandwidths::new(scenario, report)
            }
            _ => None,
        }
    }

    /// Algorithm of the gradient reduction or of the communication.
    pub(crate) fn collective_used(&self) -> Option<&Algorithm> {
        match self.step() {
            Some(step) => step.collective_used.as_ref(),
            None => self.communication().map(|report| &report.algorithm),
        }
    }

    /// Load on the network.
    pub(crate) fn network(&self) -> Option<&NetworkUse> {
        match self.step() {
            Some(step) => Some(&step.network),
            None => self.communication().map(|report| &report.network),
        }
    }

    /// Events of the simulation.
    pub(crate) fn events(&self) -> Option<u64> {
        match self.step() {
            Some(step) => Some(step.events),
            None => self.communication().map(|report| report.events),
        }
    }

    /// A property of the scenario; null unless the point ran.
    pub(super) fn when_ok<'r, T>(&'r self, read: impl Fn(&'r Self) -> Option<T>) -> Option<T> {
        match self.status() {
            PointStatus::Ok => read(self),
            PointStatus::Infeasible | PointStatus::Crashed => None,
        }
    }
}
