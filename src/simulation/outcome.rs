//! Results of a simulation.

use std::ops::AddAssign;

use crate::closed_set;
use crate::collective::{Algorithm, CollectiveCost, Protocol};
use crate::hardware::{AttentionKernel, Precision};
use crate::model::{CpExchange, ExpertDispatch};
use crate::simulation::TimeShares;
use crate::simulation::infeasible::Infeasible;
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
use crate::units::{Bytes, Flops, SimDuration};

/// Result of one point.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A training step ran.
    Completed(Box<StepReport>),
    /// A communication ran.
    Communicated(Box<CollectiveReport>),
    /// The point cannot run; that is a result.
    Infeasible(Infeasible),
}

/// Layout of a job, every value decided.
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
    /// Exchange of keys and values among context-parallel ranks; what the stack does where there is one rank.
    pub cp_exchange: CpExchange,
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
    /// Ranks that share one set of ZeRO-3's shards: dp × cp, fewer in hybrid sharding; 1 where parameters are whole.
    pub zero_group: u32,
    /// Recomputation policy.
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
    /// How tokens get to their experts; `None` where none leaves its rank.
    pub expert_dispatch: Option<ExpertDispatch>,
    /// Whether exchanges with experts run behind the compute of another microbatch.
    pub overlap_ep: bool,
}

impl Layout {
    /// Sets of parameters that ZeRO-3 shards, each over a group of its own: 1, or more in hybrid sharding.
    pub(crate) const fn shard_sets(&self) -> u32 {
        match self.zero {
            ZeroStage::Z3 => self.dp * self.cp / self.zero_group,
            ZeroStage::Z0 | ZeroStage::Z1 | ZeroStage::Z2 => 1,
        }
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
    /// Activations saved for the backward pass, logits included.
    pub activations: Bytes,
    /// Communication buffers, workspaces, context, allocator reserve.
    pub buffers: Bytes,
}

closed_set! {
    /// Moment of a step at which memory is counted.
    pub enum MemoryMoment: "moment" {
        /// Between steps: what is kept from one to the next.
        BetweenSteps = "between-steps",
        /// Gradients of the loss are computed, and all layers hold what they keep.
        Loss = "loss",
        /// Backward pass of the last layer, which comes first.
        LastLayer = "last-layer-backward",
        /// Backward pass of the first layer, when all other gradients are there.
        FirstLayer = "first-layer-backward",
        /// The optimizer steps.
        OptimizerStep = "optimizer-step",
    }
}

impl MemoryMoment {
    /// Number of moments.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The moment in a word or two; of layers, their backward passes are meant.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::BetweenSteps => "between steps",
            Self::Loss => "loss",
            Self::LastLayer => "last layer",
            Self::FirstLayer => "first layer",
            Self::OptimizerStep => "step",
        }
    }
}

/// Memory of a pipeline stage in the course of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StageMemory {
    /// The stage, from 0.
    pub(crate) stage: u32,
    /// Tensors at each moment, in the order of [`MemoryMoment::ALL`]; their buffers are those that hold tensors.
    pub(crate) tensors: [MemoryFootprint; MemoryMoment::COUNT],
    /// The peak, with what libraries and the allocator hold besides.
    pub(crate) peak: MemoryFootprint,
}

impl StageMemory {
    /// The fullest moment.
    pub(crate) fn fullest(&self) -> MemoryMoment {
        let moments = MemoryMoment::ALL.iter().zip(&self.tensors);
        let (moment, _) = moments
            .max_by_key(|(_, tensors)| tensors.total())
            .expect("a step has moments");
        *moment
    }
}

impl MemoryFootprint {
    /// The peak.
    pub fn total(&self) -> Bytes {
        self.weights + self.gradients + self.optimizer + self.activations + self.buffers
    }
}

/// Network traffic of a step or a communication, per GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkUse {
    /// Sent per GPU inside the scale-up domains.
    pub intra_node: Bytes,
    /// Sent per GPU between them.
    pub inter_node: Bytes,
    /// Utilisation of the busiest link while its communication runs, 0–1.
    pub link_utilization_max: f64,
}

impl NetworkUse {
    /// The traffic of a share of the work, 0–1; the links are as busy meanwhile.
    pub(crate) fn scaled(self, share: f64) -> Self {
        Self {
            intra_node: self.intra_node.scaled(share),
            inter_node: self.inter_node.scaled(share),
            ..self
        }
    }

    /// Counts a communication that happens so many times.
    pub(crate) fn add(&mut self, cost: &CollectiveCost, times: u64) {
        self.intra_node += cost.sent_intra * times;
        self.inter_node += cost.sent_inter * times;
        self.link_utilization_max = self.link_utilization_max.max(cost.link_utilization_max);
    }
}

impl AddAssign<&NetworkUse> for NetworkUse {
    fn add_assign(&mut self, other: &Self) {
        self.intra_node += other.intra_node;
        self.inter_node += other.inter_node;
        self.link_utilization_max = self.link_utilization_max.max(other.link_utilization_max);
    }
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

/// Correction of a step's times by measured runs of one's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// Time of the step as simulated.
    pub simulated: SimDuration,
    /// Share of the nearest run's error that the step is taken to have, 0–1.
    pub share: f64,
    /// Standard deviation of ln(time) among repeated measurements; 0 where nothing was repeated.
    pub spread: f64,
}

/// One training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The layout that ran.
    pub layout: Layout,
    /// Layouts simulated to find it.
    pub layouts_tried: u32,
    /// Exclusive parts of the step on the critical device.
    pub shares: TimeShares,
    /// Forward passes on the critical device, exposed communication included.
    pub forward: SimDuration,
    /// Backward passes on the critical device, exposed communication included.
    pub backward: SimDuration,
    /// Time during which any communication of the critical device ran, overlapped or exposed.
    pub comm_busy: SimDuration,
    /// Step-time percentiles over the iterations, when `variability` > 0.
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
    /// Network traffic.
    pub network: NetworkUse,
    /// Parts of the step by type of GPU, where the job has several; else empty.
    pub pools: Vec<PoolReport>,
    /// Events of the simulation.
    pub events: u64,
    /// Correction that its times hold; `None` of a step as simulated.
    pub correction: Option<Correction>,
}

/// Part of a step that one type of GPU had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolReport {
    /// Microbatches of each replica.
    pub microbatches: u32,
    /// Layers of its pipeline stages; `None` where its replicas have all.
    pub layers: Option<u32>,
    /// Time that the type takes without waiting for the others.
    pub step_time: SimDuration,
    /// Memory of the fullest GPU.
    pub memory: MemoryFootprint,
    /// Memory of each GPU.
    pub memory_capacity: Bytes,
}

impl PoolReport {
    /// Share of the memory that is filled.
    pub(crate) fn filled(&self) -> f64 {
        self.memory.total().as_f64() / self.memory_capacity.as_f64()
    }
}

impl StepReport {
    /// The step with every time scaled, so that its parts keep their shares and still sum to it.
    pub(crate) fn corrected(self, factor: f64, share: f64, spread: f64) -> Self {
        let percentiles = self.percentiles.map(|it| Percentiles {
            p50: it.p50.scaled(factor),
            p95: it.p95.scaled(factor),
            p99: it.p99.scaled(factor),
        });
        Self {
            correction: Some(Correction {
                simulated: self.step_time(),
                share,
                spread,
            }),
            shares: self.shares.map(|part| part.scaled(factor)),
            forward: self.forward.scaled(factor),
            backward: self.backward.scaled(factor),
            comm_busy: self.comm_busy.scaled(factor),
            percentiles,
            ..self
        }
    }

    /// Time of the step as simulated, before any correction.
    pub(crate) fn simulated_time(&self) -> SimDuration {
        self.correction
            .map_or_else(|| self.step_time(), |correction| correction.simulated)
    }

    /// Factor by which a correction changed its times; 1 without one.
    pub(crate) fn correction_factor(&self) -> f64 {
        self.step_time().as_secs_f64() / self.simulated_time().as_secs_f64()
    }

    /// The faster of two steps, which took the effort of both; of equal ones this.
    pub(crate) fn or_faster(self, other: Self) -> Self {
        let (tried, events) = (
            self.layouts_tried + other.layouts_tried,
            self.events + other.events,
        );
        let faster = if other.step_time() < self.step_time() {
            other
        } else {
            self
        };
        Self {
            layouts_tried: tried,
            events,
            ..faster
        }
    }

    /// Time of one step.
    pub fn step_time(&self) -> SimDuration {
        self.shares.total()
    }
}

/// One communication.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveReport {
    /// Time of the communication.
    pub time: SimDuration,
    /// Algorithm used.
    pub algorithm: Algorithm,
    /// Wire protocol used.
    pub(crate) protocol: Protocol,
    /// Network traffic.
    pub network: NetworkUse,
    /// Events of the simulation.
    pub events: u64,
}
