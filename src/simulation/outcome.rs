//! What a simulation gives back.

use crate::collective::{Algorithm, Protocol};
use crate::hardware::{AttentionKernel, Precision};
use crate::simulation::Infeasible;
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
use crate::units::{Bytes, Flops, SimDuration};

/// The end of one point.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A training step ran.
    Completed(Box<StepReport>),
    /// A communication ran.
    Communicated(Box<CollectiveReport>),
    /// The point cannot run; that is a result.
    Infeasible(Infeasible),
}

/// How a job is laid out; every value decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Tensor-parallel ranks.
    pub tp: u32,
    /// Pipeline stages.
    pub pp: u32,
    /// Data-parallel replicas.
    pub dp: u32,
    /// Context-parallel ranks.
    pub cp: u32,
    /// Expert-parallel ranks.
    pub ep: u32,
    /// Tensor-parallel ranks inside experts.
    pub etp: u32,
    /// Model chunks per pipeline stage.
    pub vpp: u32,
    /// Samples per forward pass of one replica.
    pub micro_batch: u32,
    /// Microbatches per step and replica.
    pub microbatches: u32,
    /// ZeRO stage.
    pub zero: ZeroStage,
    /// What is recomputed.
    pub recompute: Recompute,
    /// Share of the layers whose forward pass full recomputation repeats, 0–1: 1 when it was asked for, the least
    /// that fits when the simulator chose it.
    pub recomputed_share: f64,
    /// Pipeline schedule.
    pub schedule: PipelineSchedule,
    /// Whether tensor parallelism shards the norms' tokens.
    pub sequence_parallel: bool,
    /// Attention kernel.
    pub attention: AttentionKernel,
    /// Format of the matrix products.
    pub precision: Precision,
    /// Layers of each virtual stage, `[chunk × stage]`.
    pub layers_per_stage: Vec<u32>,
}

/// Exclusive parts of a step on its critical device; they sum to the step exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeShares {
    /// Kernels of forward and backward.
    pub compute: SimDuration,
    /// Kernels that repeat forward work.
    pub recompute: SimDuration,
    /// Waiting for tensor-parallel communication.
    pub tp_comm: SimDuration,
    /// Waiting for context-parallel communication.
    pub cp_comm: SimDuration,
    /// Waiting for expert-parallel communication.
    pub ep_comm: SimDuration,
    /// Waiting for sends between stages.
    pub pp_comm: SimDuration,
    /// Waiting for data-parallel communication (gradients, parameters, norms).
    pub dp_comm: SimDuration,
    /// Waiting for another stage's work.
    pub bubble: SimDuration,
    /// The optimizer's kernels.
    pub optimizer: SimDuration,
    /// Waiting for the host.
    pub overhead: SimDuration,
}

impl TimeShares {
    /// The step.
    pub fn total(&self) -> SimDuration {
        let Self {
            compute,
            recompute,
            tp_comm,
            cp_comm,
            ep_comm,
            pp_comm,
            dp_comm,
            bubble,
            optimizer,
            overhead,
        } = *self;
        compute
            + recompute
            + tp_comm
            + cp_comm
            + ep_comm
            + pp_comm
            + dp_comm
            + bubble
            + optimizer
            + overhead
    }

    /// All exposed communication.
    pub fn exposed_communication(&self) -> SimDuration {
        self.tp_comm + self.cp_comm + self.ep_comm + self.pp_comm + self.dp_comm
    }
}

impl TimeShares {
    /// The share of the kind of communication that most of `parts` is.
    pub(crate) fn communication_of(&mut self, parts: &Self) -> &mut SimDuration {
        let kinds = [
            (parts.tp_comm, &mut self.tp_comm),
            (parts.cp_comm, &mut self.cp_comm),
            (parts.ep_comm, &mut self.ep_comm),
            (parts.pp_comm, &mut self.pp_comm),
        ];
        let most = kinds.into_iter().rev().max_by_key(|(time, _)| *time);
        most.expect("there are four kinds").1
    }
}

impl std::ops::AddAssign for TimeShares {
    fn add_assign(&mut self, other: Self) {
        let Self {
            compute,
            recompute,
            tp_comm,
            cp_comm,
            ep_comm,
            pp_comm,
            dp_comm,
            bubble,
            optimizer,
            overhead,
        } = other;
        self.compute += compute;
        self.recompute += recompute;
        self.tp_comm += tp_comm;
        self.cp_comm += cp_comm;
        self.ep_comm += ep_comm;
        self.pp_comm += pp_comm;
        self.dp_comm += dp_comm;
        self.bubble += bubble;
        self.optimizer += optimizer;
        self.overhead += overhead;
    }
}

/// Bytes on the fullest GPU, by part; they sum to the peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFootprint {
    /// Weights in the format of training.
    pub weights: Bytes,
    /// Gradient buffers.
    pub gradients: Bytes,
    /// Master weights and moments.
    pub optimizer: Bytes,
    /// What the backward pass needs, logits included.
    pub activations: Bytes,
    /// Communication buffers, workspaces, context, allocator reserve.
    pub buffers: Bytes,
}

impl MemoryFootprint {
    /// The peak.
    pub fn total(&self) -> Bytes {
        let Self {
            weights,
            gradients,
            optimizer,
            activations,
            buffers,
        } = *self;
        weights + gradients + optimizer + activations + buffers
    }
}

/// What a step or a communication asks of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkUse {
    /// Sent per GPU inside the scale-up domains.
    pub intra_node: Bytes,
    /// Sent per GPU between them.
    pub inter_node: Bytes,
    /// Load of the busiest link over the time that its communication takes, 0–1.
    pub link_utilization_max: f64,
}

/// Step times over the simulated iterations, when `variability` > 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// Median.
    pub p50: SimDuration,
    /// 95th percentile.
    pub p95: SimDuration,
    /// 99th percentile.
    pub p99: SimDuration,
}

/// One training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The layout that ran.
    pub layout: Layout,
    /// Layouts that were simulated to find it.
    pub layouts_tried: u32,
    /// Exclusive parts of the step on the critical device.
    pub shares: TimeShares,
    /// Forward passes on the critical device, exposed communication included.
    pub forward: SimDuration,
    /// Backward passes on it, likewise.
    pub backward: SimDuration,
    /// Time during which any communication stream of it was busy.
    pub comm_busy: SimDuration,
    /// Spread over iterations.
    pub percentiles: Option<Percentiles>,
    /// Work of the model for the whole step: no recomputation, causal attention counted once.
    pub model_flops: Flops,
    /// Work of the hardware for the whole step.
    pub hardware_flops: Flops,
    /// Tokens (images) of the step.
    pub tokens: u64,
    /// Memory of the fullest GPU.
    pub memory: MemoryFootprint,
    /// Memory of the GPU.
    pub memory_capacity: Bytes,
    /// Algorithm of the gradient reduction; `None` when nothing is reduced.
    pub collective_used: Option<Algorithm>,
    /// Load on the network.
    pub network: NetworkUse,
    /// Events of the simulation.
    pub events: u64,
}

impl StepReport {
    /// Time of one step.
    pub fn step_time(&self) -> SimDuration {
        self.shares.total()
    }
}

/// One communication.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveReport {
    /// Time of it.
    pub time: SimDuration,
    /// Algorithm that carried it.
    pub algorithm: Algorithm,
    /// Protocol that carried it.
    pub protocol: Protocol,
    /// Load on the network.
    pub network: NetworkUse,
    /// Events of the simulation.
    pub events: u64,
}
