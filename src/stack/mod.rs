//! The software generation a step runs on: what is fused, what overlaps, what waits.
//!
//! The same GPU trained at 100 TFLOP/s in 2020 and at 200 in 2024. A stack holds what changed;
//! nothing in it belongs to one model, layout or GPU.

pub mod choice;

pub use choice::{
    EncoderHead, ExpertDispatch, GradientPrecision, LossMemory, LowPrecisionRecipe,
    PipelineSchedule, Recompute, SelectiveRecompute, Sharding, ZeroStage,
};

use std::sync::Arc;

use crate::hardware::AttentionKernel;
use crate::units::{Bytes, SimDuration};

/// One software generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Catalog name: `megatron-2024`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Frameworks it stands for, as lower-case fragments of their names.
    pub frameworks: Vec<String>,
    /// First and last year it stands for.
    pub years: (u32, u32),
    /// Attention kernels it can call, best first.
    pub attention: Vec<AttentionKernel>,
    /// How it shards parameters unless the spec says otherwise.
    pub sharding: Sharding,
    /// What it recomputes unless the spec says otherwise; `None`: the least that fits.
    pub recompute: Option<Recompute>,
    /// What it means by selective recomputation.
    pub selective: SelectiveRecompute,
    /// Whether tensor parallelism shards the norms' tokens too unless the spec says otherwise.
    pub sequence_parallel: bool,
    /// Format of the gradient buffers.
    pub gradient_precision: GradientPrecision,
    /// Which tokens an encoder's head sees.
    pub encoder_head: EncoderHead,
    /// How tokens get to their experts.
    pub expert_dispatch: ExpertDispatch,
    /// Recipe of 8-bit tensors.
    pub fp8_recipe: LowPrecisionRecipe,
    /// How training in 16 bits keeps its state.
    pub recipe: Recipe,
    /// What this generation's kernels reach of the GPU's rates.
    pub kernels: KernelFractions,
    /// What is fused into one kernel.
    pub fusion: Fusion,
    /// What runs beside what.
    pub overlap: Overlap,
    /// What the host costs.
    pub host: Host,
    /// Memory besides tensors.
    pub reserve: Reserve,
}

/// How training in 16 bits keeps its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Whether parameters are kept in fp32 alone and cast to 16 bits when they are used (autocast, FSDP mixed
    /// precision), instead of 16-bit parameters beside fp32 master weights in the optimizer.
    pub fp32_parameters: bool,
    /// Bytes of optimizer state per parameter: 12 for fp32 master weights and two fp32 moments; 8 without master
    /// weights; 4 with moments in 16 bits.
    pub optimizer_bytes: f64,
    /// Whether parameters are gathered in 8 bits when the products run in 8 or 4 bits.
    pub fp8_parameters: bool,
    /// Whether attention and MLP drop out activations.
    pub dropout: bool,
    /// Whether gradient buffers live from step to step; otherwise they are freed with the step, and with one
    /// microbatch they grow while the activations shrink.
    pub persistent_gradients: bool,
    /// Whether a microbatch's 16-bit gradients all stand beside the fp32 buffer until its backward pass ends
    /// (DeepSpeed's bf16 optimizer).
    pub late_accumulation: bool,
    /// What of the logits the loss function holds at once.
    pub loss: LossMemory,
    /// Whether fp32 parameters are cast operation by operation (torch.autocast): the casts live until the backward
    /// pass has used them, and the residual stream stays in fp32.
    pub autocast: bool,
    /// Bytes of optimizer state per parameter of mixtures of experts, where recipes keep less of it than
    /// `optimizer_bytes`; `None`: as all models.
    pub moe_optimizer_bytes: Option<f64>,
    /// Whether a tensor of each weight's shape stands in for the gradient that the product itself added to the
    /// buffer (Transformer Engine keeps one per shape).
    pub gradient_stand_ins: bool,
    /// Whether a stage holds its outputs until their gradients arrive; otherwise they are freed when they were sent.
    pub holds_stage_outputs: bool,
}

/// What a generation's kernels reach of the rates that the GPU's file gives, per kind of kernel; 1 = all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelFractions {
    /// Matrix products.
    pub gemm: f64,
    /// Convolutions.
    pub convolution: f64,
    /// Attention.
    pub attention: f64,
    /// Kernels bounded by memory.
    pub memory: f64,
}

/// Which element-wise work shares a kernel, counted as passes over a `tokens × hidden` tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fusion {
    /// Whether bias, activation, dropout and residual are one kernel each instead of four.
    pub elementwise: bool,
    /// Whether the loss never writes fp32 logits beside the bf16 ones.
    pub cross_entropy: bool,
    /// Whether its loss, where it is not fused, is the one over a sharded vocabulary without tensor parallelism too.
    pub vocab_parallel_loss: bool,
    /// Whether weight gradients are accumulated inside their matrix product.
    pub gradient_accumulation: bool,
    /// Whether the optimizer is one kernel over all parameters.
    pub optimizer: bool,
    /// Whether a gated activation keeps its two inputs only, and not the activated half too.
    pub gated_activation: bool,
    /// Whether a root-mean-square norm is one kernel that keeps its input; otherwise it keeps the input in fp32 and
    /// the normalised input too.
    pub norm: bool,
    /// Whether the attention kernel reads shared keys and values where they are; otherwise each query head gets a copy.
    pub grouped_attention: bool,
}

/// What the framework hides behind compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Gradient reduction behind the last backward pass.
    pub gradients: bool,
    /// Gathering of parameters behind the next forward pass.
    pub parameters: bool,
    /// Tensor-parallel communication behind its matrix product.
    pub tensor: bool,
    /// Sends between pipeline stages.
    pub pipeline: bool,
    /// Exchanges of tokens between scale-up domains, behind the compute of another microbatch; needs an
    /// interleaved pipeline, whose chunks give it one.
    pub experts: bool,
    /// Whether only 1/tp of an activation is sent between stages and gathered there.
    pub scatter_gather: bool,
    /// Bytes of one gradient bucket.
    pub bucket: Bytes,
    /// Fraction of the network's rate that gathers and reductions of fully sharded parameters reach, 0–1.
    pub sharding_fraction: f64,
    /// SMs that a communication kernel takes from compute beside it.
    pub communication_sms: u32,
}

/// What the host costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// Time to issue one kernel.
    pub dispatch: SimDuration,
    /// Gap between two kernels that were issued ahead.
    pub kernel_gap: SimDuration,
    /// Per step: data, logging, schedule, `.item()`.
    pub step: SimDuration,
    /// Whether CUDA graphs replace dispatch.
    pub cuda_graphs: bool,
}

impl Host {
    /// The same host, issuing kernels and stepping in no time.
    pub fn free(self) -> Self {
        Self {
            dispatch: SimDuration::ZERO,
            kernel_gap: SimDuration::ZERO,
            step: SimDuration::ZERO,
            cuda_graphs: self.cuda_graphs,
        }
    }
}

/// Memory besides tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reserve {
    /// Context, libraries and communication buffers.
    pub context: Bytes,
    /// Fraction by which the allocator holds more than is allocated, ≥ 0.
    pub fragmentation: f64,
    /// Flat buffers in which sharded gradients of 16 bits are reduced; twice as much for fp32.
    pub buffers: Bytes,
    /// Whether the optimizer flattens gradients when it steps, into blocks that fit in no freed activation and are
    /// held beside them while there is room.
    pub flat_step: bool,
}

/// The stack that stands for a framework in a year, by rule: the longest fragment that the framework's name
/// holds wins, then the stack whose years lie nearest; `current` where no fragment fits.
pub fn assigned<'a>(
    stacks: impl IntoIterator<Item = &'a Arc<Stack>>,
    framework: &str,
    year: Option<u32>,
) -> Option<&'a Arc<Stack>> {
    let framework = framework.to_lowercase();
    let mut usual = None;
    let mut best: Option<(usize, u32, &Arc<Stack>)> = None;
    for stack in stacks {
        if stack.name == CURRENT {
            usual = Some(stack);
        }
        let fragment = stack
            .frameworks
            .iter()
            .filter(|fragment| framework.contains(fragment.as_str()))
            .map(String::len)
            .max();
        let Some(length) = fragment else { continue };
        let (first, last) = stack.years;
        let away = year.map_or(0, |year| {
            first.saturating_sub(year) + year.saturating_sub(last)
        });
        let better = best.is_none_or(|(longest, nearest, _)| {
            length > longest || (length == longest && away < nearest)
        });
        if better {
            best = Some((length, away, stack));
        }
    }
    best.map(|(_, _, stack)| stack).or(usual)
}

/// Name of the stack that stands for what is new.
pub const CURRENT: &str = "current";
