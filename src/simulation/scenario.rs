//! Scenarios: grid points with every name resolved, as the simulator takes them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::closed_set::Subset;
use crate::collective::{Algorithm, CollectiveOp, Protocol};
use crate::hardware::{AttentionKernel, Cluster, Gpu, Precision};
use crate::model::{CpExchange, ExpertDispatch, ExpertImbalance, Family, Model, Part, Parts};
use crate::simulation::infeasible::Infeasible;
use crate::simulation::pools::{GpuPool, MixedLayout};
use crate::simulation::{Counterfactual, Layout, StepPart};
use crate::stack::{Offload, Overlap, PipelineSchedule, RecipeChange, Recompute, Stack, ZeroStage};
use crate::units::Bytes;

/// Resolved point.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenario {
    /// Steps of a training job.
    Training(Box<TrainingScenario>),
    /// A communication on a cluster.
    Collective(Box<CollectiveScenario>),
}

/// Training of one model on one cluster. The simulator chooses what is `None` in a request.
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
    /// GPUs by type where the job has several, of which `gpu` and `cluster` are the first; else empty.
    pub pools: Vec<GpuPool>,
    /// Batch, sequence length and precision.
    pub workload: Workload,
    /// Layout axes.
    pub layout: LayoutRequest,
    /// Communication axes.
    pub communication: CommunicationRequest,
    /// Settings of the simulation itself.
    pub run: RunSettings,
}

impl TrainingScenario {
    /// Training on one whole node, a sample per GPU and step, everything else as the stack does it and the search
    /// chooses it.
    ///
    /// The fields are there to be changed: `scenario.gpus = 64; scenario.layout.tp = Some(8);`.
    pub fn new(
        model: impl Into<Arc<Model>>,
        gpu: impl Into<Arc<Gpu>>,
        cluster: impl Into<Arc<Cluster>>,
        stack: impl Into<Arc<Stack>>,
    ) -> Self {
        let (model, gpu, cluster) = (model.into(), gpu.into(), cluster.into());
        let gpus = cluster.gpus_per_node;
        Self {
            gpus,
            workload: Workload {
                global_batch: gpus,
                seq_len: model.seq_len().max(1),
                document_length: None,
                lora_rank: None,
                frozen: Parts::default(),
                precision: gpu.default_precision(),
                expert_imbalance: ExpertImbalance::BALANCED,
            },
            gpu,
            cluster,
            pools: Vec::new(),
            model,
            stack: stack.into(),
            layout: LayoutRequest::default(),
            communication: CommunicationRequest::default(),
            run: RunSettings::default(),
        }
    }

    /// Whether the tables of embedding and head are not trained: beside adapters, and in a decoder that is frozen.
    pub(crate) fn freezes_tables(&self) -> bool {
        self.workload.lora_rank.is_some() || self.workload.frozen.contains(Part::Decoder)
    }

    /// The scenario as if some of what is kept in the host's memory was not: a step is no slower without the copies.
    pub(crate) fn without_offload(&self, left_out: &[Offload]) -> Cow<'_, Self> {
        let kept = self.stack.offload.iter();
        let kept: Vec<Offload> = kept.filter(|it| !left_out.contains(it)).collect();
        let offload = Subset::of(&kept);
        if offload == self.stack.offload {
            return Cow::Borrowed(self);
        }
        let change = RecipeChange {
            offload: Some(offload),
            ..RecipeChange::default()
        };
        Cow::Owned(Self {
            stack: Arc::new(self.stack.with(&change)),
            ..self.clone()
        })
    }

    /// Servers of the job, the last of them possibly in part.
    pub(crate) fn nodes(&self) -> u32 {
        self.types()
            .map(|(_, cluster, gpus)| gpus.div_ceil(cluster.gpus_per_node))
            .sum()
    }

    /// Each type of GPU with its cluster and the number of its GPUs.
    pub(crate) fn types(&self) -> impl Iterator<Item = (&Gpu, &Cluster, u32)> {
        let only = self.pools.is_empty();
        let only = only.then_some((&*self.gpu, &*self.cluster, self.gpus));
        let pools = self.pools.iter();
        only.into_iter()
            .chain(pools.map(|pool| (&*pool.gpu, &*pool.cluster, pool.gpus)))
    }

    /// Sum over all GPUs of what each of a type has in its cluster; `None` where one type does not have it.
    pub(crate) fn sum_over_gpus(&self, of: impl Fn(&Gpu, &Cluster) -> Option<f64>) -> Option<f64> {
        self.types()
            .map(|(gpu, cluster, gpus)| Some(of(gpu, cluster)? * f64::from(gpus)))
            .sum()
    }

    /// Dense peak of a GPU in a format, in FLOP/s, the mean where the job has several types; `None` where one lacks the
    /// format.
    pub(crate) fn peak_of_each(&self, precision: Precision) -> Option<f64> {
        let peak = |gpu: &Gpu| Some(gpu.peaks.get(precision)?.as_tflops() * 1e12);
        if self.pools.is_empty() {
            return peak(&self.gpu);
        }
        Some(self.sum_over_gpus(|gpu, _| peak(gpu))? / f64::from(self.gpus))
    }

    /// The job as if all its GPUs were of one of its types.
    pub(crate) fn all_of(&self, pool: &GpuPool) -> Self {
        Self {
            gpu: Arc::clone(&pool.gpu),
            cluster: Arc::clone(&pool.cluster),
            ..self.clone()
        }
    }

    /// Whether each of several types of GPU has pipeline stages of its own.
    pub(crate) fn has_stages_by_type(&self) -> bool {
        !self.pools.is_empty() && self.layout.mixed == Some(MixedLayout::Stages)
    }

    /// Checks that ranks which run in step fill the GPUs of each type.
    ///
    /// # Errors
    /// If they do not divide those of one: `words` names the ranks.
    pub(crate) fn check_pools(
        &self,
        ranks: u64,
        words: impl Fn() -> String,
    ) -> Result<(), Infeasible> {
        let mut pools = self.pools.iter();
        match pools.find(|pool| !u64::from(pool.gpus).is_multiple_of(ranks)) {
            None => Ok(()),
            Some(pool) => Err(Infeasible::Indivisible {
                what: format!("{} {}", pool.gpus, pool.gpu.name),
                by: format!("{}, whose GPUs are of one type", words()),
            }),
        }
    }

    /// Communications that a layout overlaps with compute: as requested, else as the stack does.
    pub(crate) fn overlap(&self, layout: &Layout) -> Overlap {
        let (asked, usual) = (&self.communication, &self.stack.overlap);
        let tensor = usual.tensor && (self.gpu.rates.compiled || !usual.tensor_by_compiler);
        let gradients = if self.model.family == Family::Encoder {
            usual.encoder_gradients
        } else {
            usual.gradients
        };
        Overlap {
            gradients: asked.overlap_dp.unwrap_or(gradients),
            parameters: asked.overlap_dp.unwrap_or(usual.parameters),
            tensor: asked.overlap_tp.unwrap_or(tensor),
            pipeline: asked.overlap_pp.unwrap_or(usual.pipeline && layout.vpp > 1),
            bucket: asked.bucket.unwrap_or(usual.bucket),
            ..*usual
        }
    }
}

/// Batch, sequence length and precision of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Samples per optimizer step.
    pub global_batch: u32,
    /// Tokens per sample; 1 for images.
    pub seq_len: u32,
    /// Mean tokens of the documents that a sample is packed of, which do not attend to one another; `None`: a sample is
    /// one document.
    pub document_length: Option<u32>,
    /// Rank of the adapters that are trained beside a frozen network (LoRA); `None`: every weight is trained.
    pub lora_rank: Option<u32>,
    /// Parts of a network of images and text that are not trained.
    pub(crate) frozen: Parts,
    /// Format of the matrix products.
    pub precision: Precision,
    /// Tokens of the busiest expert over the mean.
    pub expert_imbalance: ExpertImbalance,
}

/// Reading of a layout axis that is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unstated {
    /// Every value that the stack's framework offers, of which the fastest that fits is taken.
    #[default]
    Fastest,
    /// The stack's usual ZeRO stage, recomputation and sequence parallelism, 1F1B or plain interleaving, no context
    /// parallelism and whole experts: a run was made, and does not say with what.
    Usual,
}

/// Ranks that share one set of ZeRO-3's shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroGroup {
    /// All that replicate the parameters: dp × cp.
    Replicas,
    /// So many of them, so that the groups hold copies of one another (hybrid sharding).
    Ranks(u32),
}

impl ZeroGroup {
    /// The group of a layout, which stays hybrid with another number of replicas where it is.
    pub(crate) const fn of(layout: &Layout) -> Self {
        if layout.shard_sets() > 1 {
            Self::Ranks(layout.zero_group)
        } else {
            Self::Replicas
        }
    }
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
    /// Exchange of keys and values among context-parallel ranks.
    pub cp_exchange: Option<CpExchange>,
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
    /// Ranks that share one set of ZeRO-3's shards.
    pub zero_group: Option<ZeroGroup>,
    /// Whether tensor parallelism shards the norms' tokens.
    pub sequence_parallel: Option<bool>,
    /// Recomputation policy.
    pub recompute: Option<Recompute>,
    /// Share of the layers that full recomputation repeats, 0–1; `None`: all where full recomputation is asked
    /// for, the least that fits where the simulator chooses it.
    pub recomputed_share: Option<f64>,
    /// Layers of each stage (of each chunk of each stage with `vpp` > 1) that full recomputation repeats; `None`: all
    /// where it is asked for.
    pub recompute_layers: Option<u32>,
    /// Pipeline schedule.
    pub schedule: Option<PipelineSchedule>,
    /// Sharing of the work among several types of GPU.
    pub mixed: Option<MixedLayout>,
    /// Reading of the axes that are `None`.
    pub unstated: Unstated,
}

impl LayoutRequest {
    /// The request that only this layout satisfies; with more or fewer GPUs, only the same layout with another
    /// number of data-parallel replicas.
    pub fn pinned(layout: &Layout) -> Self {
        Self {
            micro_batch: Some(layout.micro_batch),
            attention: Some(layout.attention),
            tp: Some(layout.tp),
            pp: Some(layout.pp),
            cp: Some(layout.cp),
            cp_exchange: Some(layout.cp_exchange),
            ep: Some(layout.ep),
            vpp: Some(layout.vpp),
            dp: None,
            etp: Some(layout.etp),
            // Convolutional nets are not cut into stages.
            layers_per_stage: Some(layout.layers_per_stage.clone()).filter(|list| !list.is_empty()),
            zero: Some(layout.zero),
            zero_group: Some(ZeroGroup::of(layout)),
            sequence_parallel: Some(layout.sequence_parallel),
            recompute: Some(layout.recompute),
            recomputed_share: Some(layout.recomputed_share),
            recompute_layers: None,
            schedule: Some(layout.schedule),
            mixed: None,
            unstated: Unstated::Fastest,
        }
    }
}

/// Communication axes as requested; `None` is the stack's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommunicationRequest {
    /// Algorithm of the all-reduces, or a custom schedule that reduces the gradients; `None`: as the library's tuner
    /// chooses.
    pub collective: Option<Algorithm>,
    /// Whether data-parallel communication overlaps with compute.
    pub overlap_dp: Option<bool>,
    /// Whether tensor-parallel communication overlaps with compute.
    pub overlap_tp: Option<bool>,
    /// Whether pipeline sends overlap with compute.
    pub overlap_pp: Option<bool>,
    /// How tokens get to their experts.
    pub expert_dispatch: Option<ExpertDispatch>,
    /// Whether exchanges with experts overlap with the compute of another microbatch.
    pub overlap_ep: Option<bool>,
    /// Bytes of a gradient bucket.
    pub bucket: Option<Bytes>,
}

/// Settings of the simulation itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSettings {
    /// Coefficient of variation of kernel times; 0 is deterministic.
    pub variability: f64,
    /// Simulated steps when `variability` > 0.
    pub iterations: u32,
    /// Seed of the draws, already mixed with the point's number.
    pub seed: u64,
    /// Counterfactual to simulate; `None`: the real world.
    pub counterfactual: Option<Counterfactual>,
    /// Factor by which the host's calls are faster, above 0; 1 except in counterfactuals.
    pub host_speedup: f64,
}

impl RunSettings {
    /// Simulated steps unless another number is asked for.
    pub(crate) const ITERATIONS: u32 = 32;

    /// Whether a counterfactual leaves a part of the step out.
    pub(crate) fn leaves_out(&self, part: StepPart) -> bool {
        self.counterfactual == Some(Counterfactual::Without(part))
    }

    /// Kernel-time multiplier; 1 except in counterfactuals.
    pub(crate) fn kernel_time(&self) -> f64 {
        match self.counterfactual {
            Some(Counterfactual::KernelTime(factor)) => factor,
            Some(Counterfactual::Without(_) | Counterfactual::NetworkLatency(_)) | None => 1.0,
        }
    }

    /// Network-latency multiplier; 1 except in counterfactuals.
    pub(crate) fn network_latency(&self) -> f64 {
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
            host_speedup: 1.0,
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
    /// Message size as nccl-tests counts it.
    pub size: Bytes,
    /// Algorithm; `None`: as the library's tuner chooses.
    pub algorithm: Option<Algorithm>,
    /// Wire protocol; `None`: as the library's tuner chooses.
    pub(crate) protocol: Option<Protocol>,
    /// Ranks that one process of the test launches one after another (`-g` of nccl-tests).
    pub ranks_per_process: u32,
}
