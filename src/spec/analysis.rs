//! Settings of the analysis, as `[analysis]` gives them.

use crate::units::{Bandwidth, Bytes, SimDuration};

/// Settings of the analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisSettings {
    /// Scaling efficiency under which a series counts as broken, 0–1.
    pub efficiency_threshold: f64,
    /// Tokens of the whole training, for its time and cost.
    pub tokens: Option<f64>,
    /// Mean time between failures of one node, in hours.
    pub node_mtbf_hours: Option<f64>,
    /// Size of a checkpoint; `None`: weights and optimizer states of the model.
    pub checkpoint_size: Option<Bytes>,
    /// Rate at which a checkpoint of the whole job is written.
    pub checkpoint_bandwidth: Option<Bandwidth>,
    /// Time from a failure to the first step after it.
    pub restart_time: Option<SimDuration>,
    /// Thresholds of bottlenecks.
    pub thresholds: BottleneckThresholds,
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
            tokens: None,
            node_mtbf_hours: None,
            checkpoint_size: None,
            checkpoint_bandwidth: None,
            restart_time: None,
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
