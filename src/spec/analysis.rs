//! Settings of the analysis, as `[analysis]` gives them.

use crate::spec::question::Question;
use crate::units::{Bandwidth, Bytes, SimDuration};

/// Settings of the analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisSettings {
    /// Scaling efficiency under which a series counts as broken, 0–1.
    pub efficiency_threshold: f64,
    /// How much is trained, and within which limits.
    pub question: Question,
    /// Phases in which the training begins; what is left runs as the rows say.
    pub phases: Vec<Phase>,
    /// Work of a training besides its steps.
    pub beside: BesideStep,
    /// Thresholds of bottlenecks.
    pub thresholds: BottleneckThresholds,
}

/// Phase of a training with another batch or sequence length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Tokens of the phase, or samples where the training is given in samples.
    pub amount: f64,
    /// Samples per optimizer step; `None`: as the rows say.
    pub global_batch: Option<u32>,
    /// Tokens per sample; `None`: as the rows say.
    pub seq_len: Option<u32>,
}

/// Work of a training besides its steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BesideStep {
    /// Mean time between failures of one node, in hours.
    pub node_mtbf_hours: Option<f64>,
    /// Time from a failure to the first step after it.
    pub restart_time: Option<SimDuration>,
    /// Size of a checkpoint; `None`: weights and optimizer states of the model.
    pub checkpoint_size: Option<Bytes>,
    /// Rate at which a checkpoint of the whole job is written.
    pub checkpoint_bandwidth: Option<Bandwidth>,
    /// Whether steps go on while a checkpoint is written.
    pub checkpoint_async: bool,
    /// Work between two checkpoints; `None`: what loses least.
    pub checkpoint_interval: Option<SimDuration>,
    /// Evaluations between the steps.
    pub evaluation: Option<Evaluation>,
    /// Rate at which the whole job reads its data.
    pub data_bandwidth: Option<Bandwidth>,
    /// Nodes that compute slower than the others.
    pub slow_nodes: Option<SlowNodes>,
}

/// Costs of a training besides its steps that a spec does not give, so that its days and cost lack them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Failures of nodes.
    pub(crate) failures: bool,
    /// Checkpoints.
    pub(crate) checkpoints: bool,
    /// Evaluations between the steps.
    pub(crate) evaluations: bool,
}

impl LeftOut {
    /// The costs in words.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let costs = [
            ("failures", self.failures),
            ("checkpoints", self.checkpoints),
            ("evaluations", self.evaluations),
        ];
        let left_out = costs.into_iter().filter(|(_, is_left_out)| *is_left_out);
        left_out.map(|(cost, _)| cost).collect()
    }
}

impl BesideStep {
    /// Costs that are not given.
    pub(crate) const fn left_out(&self) -> LeftOut {
        LeftOut {
            failures: self.node_mtbf_hours.is_none(),
            checkpoints: self.checkpoint_bandwidth.is_none(),
            evaluations: self.evaluation.is_none(),
        }
    }
}

/// Evaluations between the steps of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Steps from one to the next.
    pub every: f64,
    /// Forward passes over a global batch in each.
    pub steps: f64,
}

/// Nodes that compute slower than the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowNodes {
    /// Their number in a job.
    pub nodes: f64,
    /// Time of their kernels over that of the others, from 1.
    pub factor: f64,
}

/// Fractions from which a cause is listed in `exceeded`, and the memory's headroom, each 0–1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BottleneckThresholds {
    /// GPU utilisation.
    pub gpu_utilization: f64,
    /// Peak memory over capacity.
    pub memory: f64,
    /// Exposed communication over the step.
    pub exposed_communication: f64,
    /// Pipeline bubble over the step.
    pub bubble: f64,
    /// Fraction of the memory that is better left free: a step whose peak lies in it is `tight`.
    pub memory_headroom: f64,
}

impl Default for AnalysisSettings {
    fn default() -> Self {
        Self {
            efficiency_threshold: 0.8,
            question: Question::default(),
            phases: Vec::new(),
            beside: BesideStep::default(),
            thresholds: BottleneckThresholds::default(),
        }
    }
}

impl Default for BottleneckThresholds {
    fn default() -> Self {
        Self {
            gpu_utilization: 0.8,
            memory: 0.7,
            exposed_communication: 0.3,
            bubble: 0.15,
            memory_headroom: 0.05,
        }
    }
}
