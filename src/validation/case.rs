//! One measured case and the result of its simulation.

use crate::analysis::Scaling;
use crate::closed_set;
use crate::measured::job::JobRow;
use crate::measured::{CaseKind, MemoryMeasure, Score};
use crate::simulation::{CollectiveScenario, Scenario, TrainingScenario};
use crate::units::SimTime;

closed_set! {
    /// Status of a simulated case.
    pub enum CaseStatus: "case status" {
        /// Simulated.
        Ok = "ok",
        /// Predicted not to run; a miss where it was measured.
        Infeasible = "infeasible",
        /// Simulated as if the GPU had the memory that it is predicted to lack; a miss where it was measured.
        OverMemory = "over-memory",
        /// No scenario can be made of the row: an unknown GPU, a model without architecture.
        Unsupported = "unsupported",
        /// The simulator panicked on it.
        Crashed = "crashed",
    }
}

/// Groups that a case belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseGroups {
    /// Model family (`decoder`, `moe`, `encoder`, `cnn`), or the operation of a collective.
    pub family: String,
    /// Preset name of the GPU.
    pub gpu: String,
    /// Document that published it.
    pub source: String,
    /// Common origin of several documents.
    pub lineage: String,
    /// Software stack that it was simulated with; size class of a collective.
    pub stack: String,
    /// True where layout, micro batch and recomputation are all stated.
    pub stated: bool,
}

/// Place of a case in a scaling series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPlace {
    /// Name of the series.
    pub series: String,
    /// Strong or weak; `None` where the batch follows neither rule.
    pub scaling: Option<Scaling>,
}

/// One measured case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name, from the row.
    pub id: String,
    /// Kind of measurement.
    pub kind: CaseKind,
    /// Groups for the error table.
    pub groups: CaseGroups,
    /// Weight in the error table.
    pub(crate) score: Score,
    /// Measured seconds or GiB; `None` where the row only says whether the job fitted into memory.
    pub measured: Option<f64>,
    /// False where the run failed for lack of memory.
    pub ran: bool,
    /// GPUs of the job.
    pub gpus: u32,
    /// Servers of a collective; `None` of other cases.
    pub nodes: Option<u32>,
    /// Samples per step; 0 of collectives and flows.
    pub samples: u32,
    /// Place in a scaling series.
    pub series: Option<SeriesPlace>,
    /// Key of the alternative layouts of the same job; empty where there are none.
    pub contest: String,
    /// Scenario to simulate, or why there is none.
    pub subject: Result<Subject, String>,
}

impl Case {
    /// The training job that it is; `None` of other cases, and where there is no scenario.
    pub(crate) fn training(&self) -> Option<&TrainingScenario> {
        self.subject.as_ref().ok()?.training()
    }

    /// The case of a row's job; its measurement and its place in a series are left open.
    pub(super) fn of_job(job: &JobRow, kind: CaseKind, subject: Result<Subject, String>) -> Self {
        let scenario = subject.as_ref().ok().and_then(Subject::training);
        let source = job.source.clone().unwrap_or_default();
        Self {
            groups: CaseGroups {
                family: scenario.map_or_else(String::new, |it| it.model.family.to_string()),
                gpu: job.gpu.clone(),
                lineage: job.lineage.clone().unwrap_or_else(|| source.clone()),
                source,
                stack: scenario.map_or_else(String::new, |it| it.stack.name.clone()),
                stated: job.is_stated(),
            },
            score: job.score.unwrap_or(Score::Value),
            gpus: job.gpus,
            samples: job.global_batch,
            ..Self::new(kind, job.id.clone(), subject)
        }
    }

    /// A case whose run succeeded and of which nothing else is known yet.
    pub(super) fn new(kind: CaseKind, id: String, subject: Result<Subject, String>) -> Self {
        Self {
            id,
            kind,
            groups: CaseGroups::default(),
            score: Score::Value,
            measured: None,
            ran: true,
            gpus: 0,
            nodes: None,
            samples: 0,
            series: None,
            contest: String::new(),
            subject,
        }
    }
}

/// The simulated counterpart of a measurement.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Time of a step or a communication: points and their weights, which sum to 1; more than one where the row lies
    /// between two points.
    Time(Vec<(f64, Scenario)>),
    /// Peak of memory of a training job, in GiB.
    Memory {
        /// The job.
        scenario: Box<TrainingScenario>,
        /// Reading of the peak.
        measure: MemoryMeasure,
        /// The measured pipeline stage; `None`: the fullest.
        stage: Option<u32>,
    },
    /// Arrival of a flow, known since its file was read: flows of a file share links and are played together.
    Arrival(SimTime),
}

impl Subject {
    /// The time of one communication.
    pub(super) fn collective(scenario: CollectiveScenario) -> Self {
        Self::Time(vec![(1.0, Scenario::Collective(Box::new(scenario)))])
    }

    /// The (first) training job; `None` for communications.
    pub(super) fn training(&self) -> Option<&TrainingScenario> {
        match self {
            Self::Time(points) => match &points.first()?.1 {
                Scenario::Training(scenario) => Some(scenario),
                Scenario::Collective(_) => None,
            },
            Self::Memory { scenario, .. } => Some(scenario),
            Self::Arrival(_) => None,
        }
    }
}

/// Result of simulating a case.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// Status.
    pub status: CaseStatus,
    /// Predicted seconds or GiB.
    pub predicted: Option<f64>,
    /// Reason of a status other than `ok`.
    pub reason: Option<String>,
}

impl CaseResult {
    /// Result without a prediction.
    pub(crate) fn missed(status: CaseStatus, reason: String) -> Self {
        Self {
            status,
            predicted: None,
            reason: Some(reason),
        }
    }

    /// Result with a prediction, in the unit of the case.
    pub(crate) fn predicted(value: f64) -> Self {
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
    /// The case.
    pub case: Case,
    /// Result of its simulation.
    pub result: CaseResult,
}

impl Judged {
    /// Predicted/measured − 1; `None` without either.
    pub(crate) fn relative_error(&self) -> Option<f64> {
        Some(self.result.predicted? / self.case.measured? - 1.0)
    }

    /// True where the case counts in the error table.
    pub(crate) fn is_scored(&self) -> bool {
        match self.case.score {
            Score::Value => true,
            Score::Noisy | Score::Series | Score::Unscored => false,
        }
    }

    /// True where the case is unsupported, crashed, ran and is predicted infeasible, or failed and is predicted to run.
    pub fn is_miss(&self) -> bool {
        match self.result.status {
            CaseStatus::Ok => !self.case.ran,
            CaseStatus::Infeasible | CaseStatus::OverMemory => self.case.ran,
            CaseStatus::Unsupported | CaseStatus::Crashed => true,
        }
    }
}
