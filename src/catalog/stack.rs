//! Stack tables.

use crate::hardware::AttentionKernel;
use crate::stack::{
    EncoderHead, ExpertDispatch, Fusion, GradientPrecision, Host, KernelFractions, LossMemory,
    LowPrecisionRecipe, Overlap, Recipe, Recompute, Reserve, SelectiveRecompute, Sharding, Stack,
};
use crate::units::Bytes;

use super::fault::Faults;
use super::fields::Fields;
use super::key::{Key, ValueKind as Kind};

/// The keys of a stack table.
pub(super) const KEYS: &[Key] = &[
    Key::optional("title", Kind::Text, "Name for people; default: the name."),
    Key::optional(
        "frameworks",
        Kind::TextList,
        "Frameworks it stands for, as lower-case fragments of their names; default: none.",
    ),
    Key::required(
        "years",
        Kind::Counts(2),
        "First and last year it stands for.",
    ),
    Key::required(
        "attention",
        Kind::Choices(AttentionKernel::NAMES),
        "Attention kernels it can call, best first.",
    ),
    Key::required(
        "sharding",
        Kind::Choice(Sharding::NAMES),
        "How it shards parameters unless the spec says otherwise.",
    ),
    Key::required(
        "recompute",
        Kind::ChoiceOrAuto(Recompute::NAMES),
        "What it recomputes unless the spec says otherwise; auto: the least that fits.",
    ),
    Key::required(
        "selective",
        Kind::Choice(SelectiveRecompute::NAMES),
        "What it means by selective recomputation.",
    ),
    Key::required(
        "sequence_parallel",
        Kind::Flag,
        "Whether tensor parallelism shards the norms' tokens too unless the spec says otherwise.",
    ),
    Key::required(
        "gradient_precision",
        Kind::Choice(GradientPrecision::NAMES),
        "Format of the gradient buffers.",
    ),
    Key::required(
        "fp8_recipe",
        Kind::Choice(LowPrecisionRecipe::NAMES),
        "How 8-bit tensors get their scale.",
    ),
    Key::optional(
        "encoder_head",
        Kind::Choice(EncoderHead::NAMES),
        "Which tokens an encoder's head turns into logits; left out: all.",
    ),
    Key::optional(
        "expert_dispatch",
        Kind::Choice(ExpertDispatch::NAMES),
        "How tokens get to their experts; left out: all-to-all.",
    ),
    Key::required(
        "recipe.fp32_parameters",
        Kind::Flag,
        "Whether parameters are kept in fp32 alone and cast to 16 bits when they are used.",
    ),
    Key::required(
        "recipe.optimizer_bytes",
        Kind::Number,
        "Bytes of optimizer state per parameter, fp32 master weights included.",
    ),
    Key::required(
        "recipe.fp8_parameters",
        Kind::Flag,
        "Whether parameters are gathered in 8 bits when the products run in 8 or 4 bits.",
    ),
    Key::required(
        "recipe.dropout",
        Kind::Flag,
        "Whether attention and MLP drop out activations.",
    ),
    Key::required(
        "recipe.persistent_gradients",
        Kind::Flag,
        "Whether gradient buffers live from step to step.",
    ),
    Key::required(
        "recipe.late_accumulation",
        Kind::Flag,
        "Whether 16-bit gradients of a whole microbatch stand beside the fp32 buffer.",
    ),
    Key::optional(
        "recipe.loss",
        Kind::Choice(LossMemory::NAMES),
        "What of the logits the loss function holds at once; left out: gradient where fusion.cross_entropy, else separate.",
    ),
    Key::optional(
        "recipe.autocast",
        Kind::Flag,
        "Whether fp32 parameters are cast operation by operation, which leaves the residual stream in fp32; left out: false.",
    ),
    Key::optional(
        "recipe.moe_optimizer_bytes",
        Kind::Number,
        "Bytes of optimizer state per parameter of mixtures of experts; left out: optimizer_bytes.",
    ),
    Key::optional(
        "recipe.gradient_stand_ins",
        Kind::Flag,
        "Whether a tensor of each weight's shape stands in for the gradient that the product added to the buffer; left out: false.",
    ),
    Key::optional(
        "recipe.holds_stage_outputs",
        Kind::Flag,
        "Whether a pipeline stage holds its outputs until their gradients arrive; left out: false.",
    ),
    Key::required(
        "kernels.gemm",
        Kind::Fraction,
        "What its matrix products reach of the GPU's rates.",
    ),
    Key::required(
        "kernels.convolution",
        Kind::Fraction,
        "What its convolutions reach of them.",
    ),
    Key::required(
        "kernels.attention",
        Kind::Fraction,
        "What its attention reaches of them.",
    ),
    Key::required(
        "kernels.memory",
        Kind::Fraction,
        "What its memory-bound kernels reach of them.",
    ),
    Key::required(
        "fusion.elementwise",
        Kind::Flag,
        "Whether bias, activation, dropout and residual are one kernel each instead of four.",
    ),
    Key::required(
        "fusion.cross_entropy",
        Kind::Flag,
        "Whether the loss never writes fp32 logits beside the bf16 ones.",
    ),
    Key::optional(
        "fusion.vocab_parallel_loss",
        Kind::Flag,
        "Whether a loss that is not fused takes the passes of a sharded vocabulary without tensor parallelism too; left out: false.",
    ),
    Key::required(
        "fusion.gradient_accumulation",
        Kind::Flag,
        "Whether weight gradients are accumulated inside their matrix product.",
    ),
    Key::required(
        "fusion.optimizer",
        Kind::Flag,
        "Whether the optimizer is one kernel over all parameters.",
    ),
    Key::optional(
        "fusion.gated_activation",
        Kind::Flag,
        "Whether a gated activation keeps its two inputs only, not the activated half too; left out: true.",
    ),
    Key::optional(
        "fusion.norm",
        Kind::Flag,
        "Whether a root-mean-square norm is one kernel that keeps its input alone; left out: true.",
    ),
    Key::optional(
        "fusion.grouped_attention",
        Kind::Flag,
        "Whether the attention kernel reads shared keys and values without a copy per query head; left out: true.",
    ),
    Key::required(
        "overlap.gradients",
        Kind::Flag,
        "Gradient reduction behind the last backward pass.",
    ),
    Key::required(
        "overlap.parameters",
        Kind::Flag,
        "Gathering of parameters behind the next forward pass.",
    ),
    Key::required(
        "overlap.tensor",
        Kind::Flag,
        "Tensor-parallel communication behind its matrix product.",
    ),
    Key::required(
        "overlap.pipeline",
        Kind::Flag,
        "Sends between pipeline stages behind compute.",
    ),
    Key::required(
        "overlap.experts",
        Kind::Flag,
        "Exchanges of tokens between scale-up domains behind compute, in an interleaved pipeline.",
    ),
    Key::required(
        "overlap.scatter_gather",
        Kind::Flag,
        "Whether only 1/tp of an activation is sent between stages and gathered there.",
    ),
    Key::required(
        "overlap.bucket",
        Kind::Bytes,
        "Bytes of one gradient bucket.",
    ),
    Key::required(
        "overlap.sharding_fraction",
        Kind::Fraction,
        "Fraction of the network's rate that gathers and reductions of fully sharded parameters reach.",
    ),
    Key::required(
        "overlap.communication_sms",
        Kind::CountOrZero,
        "SMs that a communication kernel takes from compute beside it.",
    ),
    Key::required("host.dispatch", Kind::Duration, "Time to issue one kernel."),
    Key::required(
        "host.kernel_gap",
        Kind::Duration,
        "Gap between two kernels that were issued ahead.",
    ),
    Key::required(
        "host.step",
        Kind::Duration,
        "Per step: data, logging, schedule, synchronisations.",
    ),
    Key::required(
        "host.cuda_graphs",
        Kind::Flag,
        "Whether CUDA graphs replace dispatch.",
    ),
    Key::required(
        "reserve.context",
        Kind::Bytes,
        "Memory of context, libraries and communication buffers.",
    ),
    Key::required(
        "reserve.fragmentation",
        Kind::Number,
        "Fraction by which the allocator holds more than is allocated.",
    ),
    Key::optional(
        "reserve.buffers",
        Kind::Bytes,
        "Flat buffers in which sharded gradients of 16 bits are reduced, twice as much for fp32; left out: none.",
    ),
    Key::optional(
        "reserve.flat_step",
        Kind::Flag,
        "Whether the optimizer flattens gradients when it steps, into blocks beside those of activations; left out: false.",
    ),
];

/// What a complete table says.
pub(super) fn read(name: &str, fields: Fields<'_>, faults: &mut Faults<'_>) -> Stack {
    let years = fields.counts("years");
    if years[0] > years[1] {
        let message = format!(
            "the first year {} is after the last, {}",
            years[0], years[1]
        );
        faults.key("years", message, None);
    }
    Stack {
        name: name.to_owned(),
        title: fields.find("title").unwrap_or_else(|| name.to_owned()),
        frameworks: fields.list("frameworks"),
        years: (years[0], years[1]),
        attention: fields.list("attention"),
        sharding: fields.get("sharding"),
        recompute: fields.find("recompute"),
        selective: fields.get("selective"),
        sequence_parallel: fields.flag("sequence_parallel"),
        gradient_precision: fields.get("gradient_precision"),
        fp8_recipe: fields.get("fp8_recipe"),
        encoder_head: fields
            .find("encoder_head")
            .unwrap_or(EncoderHead::AllTokens),
        expert_dispatch: fields
            .find("expert_dispatch")
            .unwrap_or(ExpertDispatch::AllToAll),
        recipe: recipe(fields),
        kernels: KernelFractions {
            gemm: fields.number("kernels.gemm"),
            convolution: fields.number("kernels.convolution"),
            attention: fields.number("kernels.attention"),
            memory: fields.number("kernels.memory"),
        },
        fusion: fusion(fields),
        overlap: Overlap {
            gradients: fields.flag("overlap.gradients"),
            parameters: fields.flag("overlap.parameters"),
            tensor: fields.flag("overlap.tensor"),
            pipeline: fields.flag("overlap.pipeline"),
            experts: fields.flag("overlap.experts"),
            scatter_gather: fields.flag("overlap.scatter_gather"),
            bucket: fields.get("overlap.bucket"),
            sharding_fraction: fields.number("overlap.sharding_fraction"),
            communication_sms: fields.count("overlap.communication_sms"),
        },
        host: Host {
            dispatch: fields.get("host.dispatch"),
            kernel_gap: fields.get("host.kernel_gap"),
            step: fields.get("host.step"),
            cuda_graphs: fields.flag("host.cuda_graphs"),
        },
        reserve: reserve(fields),
    }
}

/// The table `recipe`.
fn recipe(fields: Fields<'_>) -> Recipe {
    Recipe {
        fp32_parameters: fields.flag("recipe.fp32_parameters"),
        optimizer_bytes: fields.number("recipe.optimizer_bytes"),
        fp8_parameters: fields.flag("recipe.fp8_parameters"),
        dropout: fields.flag("recipe.dropout"),
        persistent_gradients: fields.flag("recipe.persistent_gradients"),
        late_accumulation: fields.flag("recipe.late_accumulation"),
        loss: fields
            .find("recipe.loss")
            .unwrap_or(if fields.flag("fusion.cross_entropy") {
                LossMemory::Gradient
            } else {
                LossMemory::Separate
            }),
        autocast: fields.find_flag("recipe.autocast").unwrap_or(false),
        moe_optimizer_bytes: fields.find_number("recipe.moe_optimizer_bytes"),
        gradient_stand_ins: fields
            .find_flag("recipe.gradient_stand_ins")
            .unwrap_or(false),
        holds_stage_outputs: fields
            .find_flag("recipe.holds_stage_outputs")
            .unwrap_or(false),
    }
}

/// The table `fusion`.
fn fusion(fields: Fields<'_>) -> Fusion {
    Fusion {
        elementwise: fields.flag("fusion.elementwise"),
        cross_entropy: fields.flag("fusion.cross_entropy"),
        vocab_parallel_loss: fields
            .find_flag("fusion.vocab_parallel_loss")
            .unwrap_or(false),
        gradient_accumulation: fields.flag("fusion.gradient_accumulation"),
        optimizer: fields.flag("fusion.optimizer"),
        gated_activation: fields.find_flag("fusion.gated_activation").unwrap_or(true),
        norm: fields.find_flag("fusion.norm").unwrap_or(true),
        grouped_attention: fields.find_flag("fusion.grouped_attention").unwrap_or(true),
    }
}

/// The table `reserve`.
fn reserve(fields: Fields<'_>) -> Reserve {
    Reserve {
        context: fields.get("reserve.context"),
        fragmentation: fields.number("reserve.fragmentation"),
        buffers: fields.find("reserve.buffers").unwrap_or(Bytes::ZERO),
        flat_step: fields.find_flag("reserve.flat_step").unwrap_or(false),
    }
}
