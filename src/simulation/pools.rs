//! GPUs of one type in a job that has several.

use std::sync::Arc;

use crate::closed_set;
use crate::hardware::{Cluster, Gpu};

closed_set! {
    /// How a job shares its work among several types of GPU.
    pub enum MixedLayout: "mixed layout" {
        /// Each type has pipeline stages of its own.
        Stages = "stages",
        /// Each type has data-parallel replicas of its own.
        Replicas = "replicas",
    }
}

/// GPUs of one type in a job that has several.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuPool {
    /// The type, as the job rents it.
    pub gpu: Arc<Gpu>,
    /// Nodes of the type, on a fabric as slow as that of the slowest type.
    pub cluster: Arc<Cluster>,
    /// GPUs of the type: whole nodes.
    pub gpus: u32,
}
