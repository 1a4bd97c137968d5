//! Scenarios: points with every name resolved, which the simulation plays.

use std::sync::Arc;

use crate::collective::{Algorithm, CollectiveOp, Protocol};
use crate::hardware::{AttentionKernel, Cluster, Gpu, Precision};
use crate::model::Model;
use crate::simulation::{Counterfactual, Layout, StepPart};
use crate::stack::{PipelineSchedule, Recompute, Stack, ZeroStage};
use crate::units::Bytes;

/// Resolved point.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenario {
    /// Steps of a training job.
    Training(Box<TrainingScenario>),
    /// A communication on a cluster.
    Collective(Box<CollectiveScenario>),
}

/// Training of one model on one cluster. Whatever is `None` in a request is chosen by the simulator.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingScenario {
    /// The GPU.
    pub gpu: Arc<Gpu>,
    /// Node and fabric, with the spec's topology, oversubscription and NIC rate applied.
    pub cluster: Arc<Cluster>,
    /// The network that is trained.
    pub model: Arc<Model>,
    /// Software generation.
    pub stack: Arc<Stack>,
    /// GPUs of the job: whole nodes, or part of one.
    pub gpus: u32,
    /// Samples and format of a step.
    pub workload: Workload,
    /// Requested layout.
    pub layout: LayoutRequest,
    /// Requested communication.
    pub communication: CommunicationRequest,
    /// Settings of the simulation.
    pub run: RunSettings,
}

impl TrainingScenario {
    /// Servers of the job, the last of them possibly in part.
    pub fn nodes(&self) -> u32 {
        self.gpus.div_ceil(self.cluster.gpus_per_node)
    }
}

/// Samples and format of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Samples per optimizer step.
    pub global_batch: u32,
    /// Tokens per sample; 1 for images.
    pub seq_len: u32,
    /// Format of the matrix products.
    pub precision: Precision,
}

/// Layout axes as requested; `None` is `auto`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayoutRequest {
    /// Samples per forward pass of one replica.
    pub micro_batch: Option<u32>,
    /// Attention kernel.
    pub attention: Option<AttentionKernel>,
    /// Tensor-parallel ranks.
    pub tp: Option<u32>,
    /// Pipeline stages.
    pub pp: Option<u32>,
    /// Context-parallel ranks.
    pub cp: Option<u32>,
    /// Expert-parallel ranks.
    pub ep: Option<u32>,
    /// Model chunks per pipeline stage.
    pub vpp: Option<u32>,
    /// Data-parallel replicas.
    pub dp: Option<u32>,
    /// Tensor-parallel ranks inside experts.
    pub etp: Option<u32>,
    /// Layers of each stage (of each chunk of each stage with `vpp` > 1: chunk-major, `[chunk × stage]`).
    pub layers_per_stage: Option<Vec<u32>>,
    /// ZeRO stage.
    pub zero: Option<ZeroStage>,
    /// Whether tensor parallelism shards the norms' tokens.
    pub sequence_parallel: Option<bool>,
    /// Recomputation policy.
    pub recompute: Option<Recompute>,
    /// Share of the layers that full recomputation repeats, 0–1; `None`: all where full recomputation is asked
    /// for, the least that fits where the simulator chooses it.
    pub recomputed_share: Option<f64>,
    /// Pipeline schedule.
    pub schedule: Option<PipelineSchedule>,
}

impl LayoutRequest {
    /// The request that a layout, and with more or fewer GPUs one that differs in nothing but its data-parallel
    /// replicas, is the only answer to.
    pub fn pinned(layout: &Layout) -> Self {
        let Layout {
            tp,
            pp,
            dp: _,
            cp,
            ep,
            etp,
            vpp,
            micro_batch,
            microbatches: _,
            zero,
            recompute,
            recomputed_share,
            schedule,
            sequence_parallel,
            attention,
            precision: _,
            ref layers_per_stage,
        } = *layout;
        Self {
            micro_batch: Some(micro_batch),
            attention: Some(attention),
            tp: Some(tp),
            pp: Some(pp),
            cp: Some(cp),
            ep: Some(ep),
            vpp: Some(vpp),
            dp: None,
            etp: Some(etp),
            // Convolutional nets are not cut into stages.
            layers_per_stage: (!layers_per_stage.is_empty()).then(|| layers_per_stage.clone()),
            zero: Some(zero),
            sequence_parallel: Some(sequence_parallel),
            recompute: Some(recompute),
            recomputed_share: Some(recomputed_share),
            schedule: Some(schedule),
        }
    }
}

/// Communication axes as requested; `None` is the stack's usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommunicationRequest {
    /// Algorithm of the all-reduces, or a schedule that reduces the gradients; `None`: what NCCL would
    /// choose.
    pub collective: Option<Algorithm>,
    /// Whether data-parallel communication runs beside compute.
    pub overlap_dp: Option<bool>,
    /// Whether tensor-parallel communication does.
    pub overlap_tp: Option<bool>,
    /// Whether pipeline sends do.
    pub overlap_pp: Option<bool>,
    /// Bytes of a gradient bucket.
    pub bucket: Option<Bytes>,
}

/// Settings of the simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSettings {
    /// Coefficient of variation of kernel times; 0 is deterministic.
    pub variability: f64,
    /// Simulated steps when `variability` > 0.
    pub iterations: u32,
    /// Seed of the draws, already mixed with the point's number.
    pub seed: u64,
    /// Difference from the real world; `None`: none.
    pub counterfactual: Option<Counterfactual>,
}

impl RunSettings {
    /// Simulated steps unless another number is asked for.
    pub const ITERATIONS: u32 = 32;

    /// Whether a part of the step is left out.
    pub fn leaves_out(&self, part: StepPart) -> bool {
        self.counterfactual == Some(Counterfactual::Without(part))
    }

    /// Factor on the time of kernels; 1 except in counterfactuals.
    pub fn kernel_time(&self) -> f64 {
        match self.counterfactual {
            Some(Counterfactual::KernelTime(factor)) => factor,
            Some(Counterfactual::Without(_) | Counterfactual::NetworkLatency(_)) | None => 1.0,
        }
    }

    /// Factor on the network's latencies; 1 except in counterfactuals.
    pub fn network_latency(&self) -> f64 {
        match self.counterfactual {
            Some(Counterfactual::NetworkLatency(factor)) => factor,
            Some(Counterfactual::Without(_) | Counterfactual::KernelTime(_)) | None => 1.0,
        }
    }
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            variability: 0.0,
            iterations: Self::ITERATIONS,
            seed: 0,
            counterfactual: None,
        }
    }
}

/// A communication on a cluster, as nccl-tests measures it: every GPU of the job is one rank.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveScenario {
    /// The GPU.
    pub gpu: Arc<Gpu>,
    /// Node and fabric, overrides applied.
    pub cluster: Arc<Cluster>,
    /// Ranks.
    pub gpus: u32,
    /// Operation.
    pub op: CollectiveOp,
    /// Size as nccl-tests counts it.
    pub size: Bytes,
    /// Algorithm; `None`: what NCCL would choose.
    pub algorithm: Option<Algorithm>,
    /// Wire protocol; `None`: what NCCL would choose.
    pub protocol: Option<Protocol>,
    /// Ranks that one process of the test launches one after another (`-g` of nccl-tests).
    pub ranks_per_process: u32,
}
