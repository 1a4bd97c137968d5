//! Software generations: which kernels are fused, which communication overlaps, what the host costs.
//!
//! An A100 trained at 100 TFLOP/s in 2020 and at 200 in 2024. A stack holds the software's part of the
//! difference; nothing in it belongs to one model, layout or GPU.

pub(crate) mod choice;
mod recipes;

pub use choice::{
    CudaGraphs, Fp8Recipe, Loss, Offload, Optimizer, PipelineSchedule, Recompute, ZeroStage,
};
pub(crate) use choice::{
    EncoderHead, GradientPrecision, LossMemory, ModelGroup, SelectiveRecompute, ShardedGradients,
    Sharding, StepTensors,
};
pub(crate) use recipes::RecipeChange;

use std::cmp::Reverse;
use std::sync::Arc;

use itertools::Itertools;

use crate::closed_set::Subset;
use crate::data_table::{ValueKind, data_table};
use crate::hardware::AttentionKernel;
use crate::model::{CpExchange, ExpertDispatch, ExpertImbalance, Fusion, Model, Modules};
use crate::units::{Bytes, SimDuration};

data_table! {
    /// One software generation.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Stack {
        /// Name for people; default: the name.
        title: String = name.to_owned(),
        /// Frameworks it stands for, as lower-case fragments of their names; default: none.
        frameworks: Vec<String> = Vec::new(),
        /// First and last year it stands for.
        years: [u32; 2],
        /// Attention kernels it calls by itself, best first: the first that the GPU has.
        attention: Vec<AttentionKernel>,
        /// Sharding of parameters, gradients and optimizer states unless the spec says otherwise.
        sharding: Sharding,
        /// When ZeRO-2 reduces gradients, which decides what of them a rank holds; default: each-microbatch.
        sharded_gradients: ShardedGradients = ShardedGradients::EachMicrobatch,
        /// Recomputation unless the spec says otherwise; auto: the least that fits.
        recompute: Option<Recompute> [ValueKind::ChoiceOrAuto(Recompute::NAMES)],
        /// Meaning of selective recomputation.
        selective: SelectiveRecompute,
        /// Whether tensor parallelism shards the norms' tokens too unless the spec says otherwise.
        sequence_parallel: bool,
        /// Format of the gradient buffers.
        gradient_precision: GradientPrecision,
        /// How 8-bit tensors get their scale.
        fp8_recipe: Fp8Recipe,
        /// Which tokens an encoder's head turns into logits; default: all.
        encoder_head: EncoderHead = EncoderHead::AllTokens,
        /// How context-parallel ranks exchange keys and values unless the spec says otherwise; default: ring.
        cp_exchange: CpExchange = CpExchange::Ring,
        /// How tokens get to their experts, best first: the first that the fabric carries is taken; default: all-to-all.
        expert_dispatch: Vec<ExpertDispatch> = vec![ExpertDispatch::AllToAll],
        /// Fractions of the GPU's rates that its kernels reach.
        kernels: KernelFractions,
        /// Work that shares a kernel.
        fusion: Fusion,
        /// Communication that runs behind compute.
        overlap: Overlap,
        /// Cost of the host.
        host: Host,
        /// Memory besides tensors.
        reserve: Reserve,
        /// Layouts that its framework can run; default: all.
        offers: Offers = Offers::everything(),
    } reads {} with |fields, name: &str| {
        /// Catalogue name: `megatron-2025`.
        name: String = name.to_owned(),
        /// Modules that selective recomputation repeats where a spec names them; else those that are cheap to repeat.
        recompute_modules: Option<Modules> = None,
        /// Rule by which weights follow their gradients.
        optimizer: Optimizer = Optimizer::AdamW,
        /// State that is kept in the host's memory.
        offload: Subset<Offload> = Subset::default(),
        /// Formats and lifetimes of parameters, gradients and optimizer states in 16-bit training.
        recipe: Recipe = Recipe::read(
            fields.table("recipe").expect("its keys were found to be there"),
            fusion,
        ),
    }
}

impl Stack {
    /// Attention kernels that a spec may ask for, those that the framework calls by itself first.
    pub(crate) fn attention_kernels(&self) -> Vec<AttentionKernel> {
        let kernels = self.attention.iter().chain(&self.offers.attention);
        kernels.copied().unique().collect()
    }

    /// Imbalance of experts that its users meet with a model: its recipe's, as far as top-k routing allows it.
    pub(crate) fn expert_imbalance(&self, model: &Model) -> ExpertImbalance {
        let moe = model.transformer().and_then(|network| network.moe);
        moe.map_or(ExpertImbalance::BALANCED, |moe| {
            ExpertImbalance::new(self.recipe.expert_imbalance.min(moe.most_imbalance()))
        })
    }

    /// The stack as if the last microbatch of a step could have fewer samples than the others.
    #[cfg(test)]
    pub(crate) fn with_partial_microbatches(&self) -> Arc<Self> {
        let mut stack = self.clone();
        stack.offers.partial_microbatch = true;
        Arc::new(stack)
    }
}

data_table! {
    /// Formats and lifetimes of parameters, gradients and optimizer states in 16-bit training.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Recipe {
        /// Whether parameters are kept in fp32 alone and cast to 16 bits when they are used (autocast, FSDP mixed
        /// precision), instead of 16-bit parameters beside fp32 master weights in the optimizer.
        fp32_parameters: bool,
        /// Bytes of optimizer state per parameter: 12 for fp32 master weights and two fp32 moments; 8 without
        /// master weights; 4 with moments in 16 bits.
        optimizer_bytes: f64 [ValueKind::NumberTo(100)],
        /// Bytes that an optimizer's step moves per parameter of the rank's part beside what its kernels, the norm and the
        /// zeroing do: copies between formats, unscaling, clipping; default: 0.
        step_copies: f64 [ValueKind::NumberTo(1000)] = 0.0,
        /// Whether parameters are gathered in 8 bits when the products run in 8 or 4 bits.
        fp8_parameters: bool,
        /// Whether attention and MLP drop out activations.
        dropout: bool,
        /// Whether gradient buffers live from step to step; otherwise they are freed with the step, and with one
        /// microbatch they grow while the activations shrink.
        persistent_gradients: bool,
        /// Whether training in bf16 adds a microbatch's 16-bit gradients to an fp32 buffer behind its backward pass, until when
        /// all of them stand beside it, and all-reduces those of a step (DeepSpeed's bf16 optimizer).
        late_accumulation: bool,
        /// Copies of the logits that the loss function holds at once; default: gradient where fusion.cross_entropy,
        /// else separate.
        loss: LossMemory = if fusion.cross_entropy { LossMemory::Gradient } else { LossMemory::Separate },
        /// Whether the logits of a part of the tokens become gradients before those of the next part are computed, so that
        /// they never all exist; default: false.
        chunked_loss: bool = false,
        /// Parts of the tokens in which a chunked loss works; default: as many as leave the logits of a part as large as the
        /// stream, with gradients written over them (Liger).
        loss_chunks: Option<u32> [ValueKind::CountTo(16_777_216)] = None,
        /// Whether embedding and head are one unit of sharding that stays gathered during the passes of a microbatch, with
        /// its gradients whole until they end, as FSDP's root module is; otherwise they are units like a layer; default: false.
        gathered_ends: bool = false,
        /// Whether the layers are one loop of a compiled program, with a tensor for the same weights of all layers (a scan in
        /// JAX): weights are gathered and gradients reduced tensor by tensor, and those of all layers stand from the first
        /// backward pass on; otherwise layer by layer; default: false.
        stacked_layers: bool = false,
        /// Whether experts that are shared out over ranks are not sharded over their replicas besides; default: false.
        whole_experts: bool = false,
        /// Whether fp32 parameters are cast operation by operation (torch.autocast): the casts live until the backward
        /// pass has used them, and the residual stream stays in fp32; default: false.
        autocast: bool = false,
        /// Tokens of the busiest expert over the mean of all where a spec does not say; default: 1, balanced.
        expert_imbalance: f64 [ValueKind::RatioTo(10_000)] = 1.0,
        /// Whether routers replace their scores by random ones, as benchmarks do to balance experts; default: false.
        random_routing: bool = false,
        /// Bytes of optimizer state per parameter of networks with latent attention and experts, where recipes keep less
        /// of it; default: optimizer_bytes.
        latent_optimizer_bytes: Option<f64> [ValueKind::NumberTo(100)],
        /// Whether a tensor of each weight's shape stands in for the gradient that the product itself added to the
        /// buffer (Transformer Engine keeps one per shape); default: false.
        gradient_stand_ins: bool = false,
        /// Whether a pipeline stage holds its outputs until their gradients arrive; otherwise they are freed once
        /// sent; default: false.
        holds_stage_outputs: bool = false,
    } reads {} with |fields, fusion: Fusion| {}
}

data_table! {
    /// Layouts that a framework can run. What it lacks is infeasible where it is asked for, and never searched.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Offers {
        /// Groups of more than one rank that share a model; default: all.
        groups: Vec<ModelGroup> = ModelGroup::ALL.to_vec(),
        /// Pipeline schedules; 1f1b is also gradient accumulation without a pipeline; default: all.
        schedules: Vec<PipelineSchedule> = PipelineSchedule::ALL.to_vec(),
        /// ZeRO stages; default: all.
        zero: Vec<ZeroStage> = ZeroStage::ALL.to_vec(),
        /// Exchanges among context-parallel ranks; default: all.
        cp_exchange: Vec<CpExchange> = CpExchange::ALL.to_vec(),
        /// Whether ZeRO-3 may shard inside groups of replicas that hold copies of one another (HSDP); default: false.
        hybrid_sharding: bool = false,
        /// Attention kernels that it calls where a spec asks for them, besides those that it calls by itself; default: all.
        attention: Vec<AttentionKernel> = AttentionKernel::ALL.to_vec(),
        /// Whether the last microbatch of a step may have fewer samples than the others; default: false.
        partial_microbatch: bool = false,
        /// Recomputation; default: all.
        recompute: Vec<Recompute> = Recompute::ALL.to_vec(),
        /// Whether tensor parallelism may shard the norms' tokens too; default: true.
        sequence_parallel: bool = true,
        /// Whether mixtures of experts may train with tensor parallelism but without sequence parallelism; default: true.
        experts_without_sequence_parallel: bool = true,
        /// Ways of tokens to their experts; default: all.
        expert_dispatch: Vec<ExpertDispatch> = ExpertDispatch::ALL.to_vec(),
        /// Whether exchanges with experts may run behind the compute of another microbatch; default: true.
        overlap_ep: bool = true,
        /// Scopes of CUDA graphs; default: all.
        cuda_graphs: Vec<CudaGraphs> = CudaGraphs::ALL.to_vec(),
    }
}

impl Offers {
    /// Every layout that the simulator knows.
    pub(crate) fn everything() -> Self {
        Self {
            groups: ModelGroup::ALL.to_vec(),
            schedules: PipelineSchedule::ALL.to_vec(),
            zero: ZeroStage::ALL.to_vec(),
            cp_exchange: CpExchange::ALL.to_vec(),
            hybrid_sharding: false,
            attention: AttentionKernel::ALL.to_vec(),
            partial_microbatch: true,
            recompute: Recompute::ALL.to_vec(),
            sequence_parallel: true,
            experts_without_sequence_parallel: true,
            expert_dispatch: ExpertDispatch::ALL.to_vec(),
            overlap_ep: true,
            cuda_graphs: CudaGraphs::ALL.to_vec(),
        }
    }

    /// Whether a model may be shared by groups of more than one rank on this axis.
    pub(crate) fn has(&self, group: ModelGroup) -> bool {
        self.groups.contains(&group)
    }
}

data_table! {
    /// Fractions of the rates in the GPU's file that a generation's kernels reach; 1 = all.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct KernelFractions {
        /// Fraction of the GPU's rates that its matrix products reach, but for those of fp32.
        gemm: f64 [ValueKind::Fraction],
        /// Fraction of the same that its products of all experts of a rank reach.
        grouped: f64 [ValueKind::Fraction],
        /// Fraction that its convolutions reach.
        convolution: f64 [ValueKind::Fraction],
        /// Fraction that its attention reaches.
        attention: f64 [ValueKind::Fraction],
        /// Fraction that its memory-bound kernels reach.
        memory: f64 [ValueKind::Fraction],
    }
}

impl KernelFractions {
    /// Kernels that reach all of the GPU's rates.
    pub(crate) const ALL: Self = Self {
        gemm: 1.0,
        grouped: 1.0,
        convolution: 1.0,
        attention: 1.0,
        memory: 1.0,
    };
}

data_table! {
    /// Communication that the framework hides behind compute.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Overlap {
        /// Gradient reduction behind the last backward pass.
        gradients: bool,
        /// Gradient reduction behind the last backward pass where an encoder is trained; default: gradients.
        encoder_gradients: bool = gradients,
        /// Gathering of parameters behind the next forward pass.
        parameters: bool,
        /// Tensor-parallel communication behind its matrix product.
        tensor: bool,
        /// Whether that takes a GPU whose compiler splits the products for it (a TPU); default: false.
        tensor_by_compiler: bool = false,
        /// Sends between pipeline stages behind compute.
        pipeline: bool,
        /// Exchanges of tokens with experts behind the compute of another microbatch, in an interleaved pipeline.
        experts: bool,
        /// Whether only 1/tp of an activation is sent between stages and gathered there.
        scatter_gather: bool,
        /// Bytes of one gradient bucket.
        bucket: Bytes,
        /// Fraction of the network's rate that gathers and reductions of fully sharded parameters reach.
        sharding_fraction: f64 [ValueKind::Fraction],
        /// Whether fully sharded parameters are copied out of the buffer that a gather fills, tensor by tensor; default: false.
        copies_gathered: bool = false,
        /// SMs that a communication kernel takes from compute beside it; default: one for each channel of the library.
        communication_sms: Option<u32> [ValueKind::CountOrZeroTo(1_048_576)] = None,
        /// SMs that tensor-parallel communication takes from the product behind which it runs; default: communication_sms.
        tensor_sms: Option<u32> [ValueKind::CountOrZeroTo(1_048_576)] = communication_sms,
    }
}

impl Overlap {
    /// SMs that a communication over so many channels takes.
    pub(crate) fn taken(&self, channels: u32) -> u32 {
        self.communication_sms.unwrap_or(channels)
    }

    /// SMs that one of tensor parallelism takes behind its product.
    pub(crate) fn taken_by_tensor(&self, channels: u32) -> u32 {
        self.tensor_sms.unwrap_or(channels)
    }
}

/// Time that products lose beside a kernel that takes some of a GPU's SMs, over what these SMs' share of the GPU would be: 1.25 times as
/// long beside the 20 of the 132 SMs of an H100 that DeepEP takes (arXiv 2603.07685), where 20/112 is 0.179. Memory and power are
/// shared too.
const LOST_OVER_SHARE: f64 = 1.4;

/// Time that kernels on a GPU of so many SMs lose beside one that takes some, over its length; none where it would take
/// all of them.
pub(crate) fn slowdown(taken: u32, sms: u32) -> f64 {
    let (taken, all) = (f64::from(taken), f64::from(sms));
    if taken < all {
        LOST_OVER_SHARE * taken / (all - taken)
    } else {
        0.0
    }
}

data_table! {
    /// Times of the host's calls, on a server with x86 CPUs.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Host {
        /// Call of an operator, which launches one kernel.
        operator: SimDuration,
        /// Call of a function around a fused kernel: norm, activation, dropout with the residual addition; default:
        /// operator.
        function: SimDuration = operator,
        /// Call of a module: a linear layer, attention, the products of a group of experts.
        module: SimDuration,
        /// Whether calls of modules, functions and experts take longer on a slower CPU; default: true.
        modules_by_cpu: bool = true,
        /// Call of the product of one expert of a group; default: 0, one kernel has those of all.
        expert: SimDuration = SimDuration::ZERO,
        /// The same in 8 or 4 bits; default: expert.
        low_expert: SimDuration = expert,
        /// Bookkeeping for the rows of one expert of a group in a pass, where a module splits them off and keeps them by itself;
        /// default: 0.
        rows: SimDuration = SimDuration::ZERO,
        /// The same in 8 or 4 bits, with their cast; default: rows.
        low_rows: SimDuration = rows,
        /// Whether the host reads how many rows each expert of a group gets even where no tokens are exchanged; default: true.
        expert_rows: bool = true,
        /// Calls of an optimizer's step for one parameter tensor.
        tensor: SimDuration,
        /// The same for a tensor that ZeRO-3 shards on its own; default: tensor.
        sharded_tensor: SimDuration = tensor,
        /// Parameter tensors that the optimizer's step goes through.
        step_tensors: StepTensors,
        /// Gap between two kernels that were issued ahead.
        kernel_gap: SimDuration,
        /// Power `p` with which kernels and exposed communication `g` and their calls `h` take `(gᵖ + min(g, h)ᵖ)^(1/p)`
        /// on the GPU, which waits where calls come in bursts; the larger, the more evenly they come; default: 100, hardly
        /// any wait.
        evenness: f64 [ValueKind::RatioTo(100)] = 100.0,
        /// Work from the end of an optimizer's step to the first kernel of the next step: data, schedule, logging.
        step: SimDuration,
        /// Whether that work is done behind every microbatch, not behind the optimizer's step alone; default: false.
        step_each_microbatch: bool = false,
        /// Collection of Python's garbage, of all generations; default: 0.
        collection: SimDuration = SimDuration::ZERO,
        /// Steps from one collection to the next; default: 100.
        collection_steps: u32 [ValueKind::CountTo(1_000_000)] = 100,
        /// Whether the host waits for the GPU at both ends of each pass; default: false.
        waits_each_pass: bool = false,
        /// Whether a step is one executable, for whose kernels the host does not call (XLA); default: false.
        executable: bool = false,
        /// Scope of CUDA graphs unless the spec says otherwise.
        cuda_graphs: CudaGraphs,
        /// Scope of CUDA graphs for mixtures of experts in racks, whose scale-up domains span servers; default: cuda_graphs.
        rack_moe_graphs: CudaGraphs = cuda_graphs,
    }
}

data_table! {
    /// Memory besides tensors.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Reserve {
        /// Memory of context, libraries and communication buffers.
        context: Bytes,
        /// Fraction by which the allocator holds more than is allocated.
        fragmentation: f64 [ValueKind::NumberTo(10)],
        /// Flat buffers in which sharded gradients of 16 bits are reduced, twice as much for fp32; default: none.
        buffers: Bytes = Bytes::ZERO,
        /// Whether the optimizer flattens gradients when it steps, into blocks that fit in no freed activation and
        /// are held beside them while there is room; default: false.
        flat_step: bool = false,
    }
}

/// The stack of a framework in a year; `current` where no fragment of a stack fits.
///
/// A fragment fits where the framework's name holds its words in order, whatever stands between: `pytorch fsdp`
/// fits "PyTorch 2.6 FSDP2". Of fragments that fit, one that is part of another says less and drops out; of the
/// stacks that are left the one whose years lie nearest wins, then the one of the longest fragment.
pub(crate) fn assigned<'a>(
    stacks: impl IntoIterator<Item = &'a Arc<Stack>>,
    framework: &str,
    year: Option<u32>,
) -> Option<&'a Arc<Stack>> {
    let framework = framework.to_lowercase();
    let mut usual = None;
    let mut fitting: Vec<(&str, &Arc<Stack>)> = Vec::new();
    for stack in stacks {
        if stack.name == CURRENT {
            usual = Some(stack);
        }
        let fragments = stack.frameworks.iter().map(String::as_str);
        let fragments = fragments.filter(|fragment| holds_in_order(&framework, fragment));
        fitting.extend(fragments.max_by_key(|it| it.len()).map(|it| (it, stack)));
    }
    let says_less = |fragment: &str| {
        let mut others = fitting.iter().map(|(other, _)| *other);
        others.any(|other| other != fragment && other.contains(fragment))
    };
    let away = |[first, last]: [u32; 2]| {
        year.map_or(0, |year| {
            first.saturating_sub(year) + year.saturating_sub(last)
        })
    };
    let telling = fitting.iter().filter(|(fragment, _)| !says_less(fragment));
    let best = telling.min_by_key(|(fragment, stack)| (away(stack.years), Reverse(fragment.len())));
    best.map(|(_, stack)| *stack).or(usual)
}

/// Whether a text holds the words of another one in their order.
fn holds_in_order(text: &str, words: &str) -> bool {
    let mut rest = text;
    words.split_whitespace().all(|word| {
        let Some(at) = rest.find(word) else {
            return false;
        };
        rest = &rest[at + word.len()..];
        true
    })
}

/// Name of the stack that stands for the current generation.
pub(crate) const CURRENT: &str = "current";
