//! From a model and a sharding to the operators that one rank executes.
//!
//! [`lower`] is a pure function. It yields a few distinct layers and the order in which they stand,
//! so that a model of 126 equal layers is costed once. Lists are in order of execution; the
//! backward lists already run from the last operator to the first.

use crate::model::{Architecture, Model, Operator, cnn, transformer};
use crate::units::{Bytes, Flops};

/// How keys and values reach all ranks of a context-parallel group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextExchange {
    /// Blocks travel around a ring behind the attention kernels (arXiv 2310.01889; Megatron).
    Ring,
    /// All of them are gathered first (Llama 3, arXiv 2407.21783 section 3.3.2).
    AllGather,
}

/// Which work shares a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fused {
    /// Whether the score matrix stays on the chip (flash attention).
    pub attention: bool,
    /// Whether bias, activation, dropout, residual and mask are one kernel each instead of several.
    pub elementwise: bool,
    /// Whether the loss never writes fp32 logits beside those of the matrix product.
    pub cross_entropy: bool,
}

/// Formats of a step, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// Bytes of an activation or weight outside the low-precision products
    /// (`Precision::storage_bytes`).
    pub element_bytes: u64,
    /// Whether the linear layers run in 8 or 4 bits: their inputs are cast, and kept at 1 byte.
    pub low_precision: bool,
}

/// One rank's share of a model, and what of it shapes the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Tensor-parallel ranks; must divide the heads and widths.
    pub tp: u32,
    /// Context-parallel ranks.
    pub cp: u32,
    /// Expert-parallel ranks; must divide the experts.
    pub ep: u32,
    /// Tensor-parallel ranks inside an expert.
    pub etp: u32,
    /// Whether norms, dropout and residuals hold 1/tp of the tokens (arXiv 2205.05198).
    pub sequence_parallel: bool,
    /// How keys and values travel when `cp` > 1.
    pub context_exchange: ContextExchange,
    /// Sequences (images) of one forward pass.
    pub micro_batch: u32,
    /// Tokens of a sequence; ignored for images.
    pub seq_len: u32,
    /// Formats.
    pub format: Format,
    /// Fusion.
    pub fused: Fused,
    /// Whether dropout runs (see [`crate::model::Transformer::usual_dropout`]).
    pub dropout: bool,
}

/// A model as one rank sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredModel {
    /// Layers that differ from one another.
    pub layer_kinds: Vec<LoweredLayer>,
    /// The layers front to back, as indices into `layer_kinds`.
    pub sequence: Vec<u16>,
    /// What comes before the first layer (the stem of a convolutional net).
    pub embedding: LoweredLayer,
    /// What comes behind the last: norm, logits, loss (pooling, classifier, loss).
    pub head: LoweredLayer,
    /// One multi-token-prediction layer with its own pass through the head; a model has
    /// `Transformer::mtp_layers` of them.
    pub mtp: Option<LoweredLayer>,
}

/// One layer as one rank executes it for one microbatch.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredLayer {
    /// What it is: `dense`, `moe`, `embedding`, …
    pub name: &'static str,
    /// Forward pass.
    pub forward: Vec<Operator>,
    /// Gradients of the inputs, with all communication and memory-bound work of the backward pass.
    pub backward_input: Vec<Operator>,
    /// Gradients of the weights; depend on `backward_input` of the same layer only.
    pub backward_weight: Vec<Operator>,
    /// Forward operators that selective recomputation repeats before the backward pass.
    pub selective: Vec<Operator>,
    /// Parameters that this rank holds when nothing is sharded over data parallelism.
    pub parameters: ShardParameters,
    /// Activations.
    pub kept: Kept,
    /// Work of the model in the forward pass of this rank: attention that is masked or outside the
    /// window not counted. The backward pass is twice as much.
    pub model_flops_forward: Flops,
}

/// Parameters of a layer on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardParameters {
    /// Reduced over the dp·cp group.
    pub dense: u64,
    /// Parameters of routed experts, reduced over the experts' own data-parallel group.
    pub expert: u64,
}

/// Activation bytes of one layer and microbatch.
///
/// With every option of arXiv 2205.05198 they are its closed formula `sbh(34 + 5as/h)` for
/// 16-bit elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Kept from forward to backward when nothing is recomputed.
    pub none: Bytes,
    /// Kept when the attention core is recomputed.
    pub selective: Bytes,
    /// Kept when the layer is recomputed: its input.
    pub full: Bytes,
    /// Most that the layer holds besides while it runs: gradients of its widest tensors.
    pub transient: Bytes,
}

/// Lowers a model for one rank.
///
/// Work that does not divide is rounded up; whether a sharding is allowed at all is the caller's
/// question.
///
/// # Panics
/// If a size of the shard is zero.
pub fn lower(model: &Model, shard: &Shard) -> LoweredModel {
    assert!(
        shard.tp > 0 && shard.cp > 0 && shard.ep > 0 && shard.etp > 0 && shard.micro_batch > 0,
        "group sizes and microbatch are at least 1: {shard:?}"
    );
    match &model.architecture {
        Architecture::Transformer(network) => transformer::lower(network, shard),
        Architecture::Cnn(network) => cnn::lower(network, shard),
    }
}
