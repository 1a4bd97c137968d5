//! Operators, parameters and activations of a model on one rank.

use crate::closed_set;
use crate::model::calls::LayerCalls;
use crate::model::{ExpertDispatch, ExpertImbalance, Fusion, Modules, Operator, Parts};
use crate::units::{Bytes, Flops};

/// Bytes of each logit while the loss is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogitBytes {
    /// Kept from the forward to the backward pass.
    pub kept: u64,
    /// Unsharded in addition while gradients of the loss are computed.
    pub transient: u64,
}

/// Parts of the tokens whose logits exist one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LossParts {
    /// One: all logits exist at once.
    Whole,
    /// As many as leave the logits of one as large as the stream of all (`inc_factor` in linkedin/Liger-Kernel
    /// src/liger_kernel/ops/fused_linear_cross_entropy.py, without its rounding of the parts to a power of 2).
    AsStream,
    /// So many.
    Count(u32),
}

impl LossParts {
    /// Number of parts of so many tokens for a stream of `hidden` columns and logits of `vocabulary` columns on this rank.
    pub(crate) fn count(self, tokens: u64, hidden: u64, vocabulary: u64) -> u64 {
        let parts = match self {
            Self::Whole => 1,
            Self::AsStream => vocabulary.div_ceil(hidden),
            Self::Count(parts) => u64::from(parts).min(tokens),
        };
        parts.max(1)
    }

    /// Whether there are several.
    pub(crate) fn is_chunked(self) -> bool {
        self != Self::Whole
    }
}

/// Formats of a step, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Format {
    /// Bytes of an activation or weight outside the low-precision products
    /// (`Precision::storage_bytes`).
    pub element_bytes: u64,
    /// Whether products of activations as they are run on tensor cores, as all but those of fp32 do.
    pub tensor_cores: bool,
    /// Whether the linear layers run in 8 or 4 bits: their inputs are cast, and kept at 1 byte.
    pub low_precision: bool,
    /// Bytes of an element of queries, keys and values as attention takes and keeps them.
    pub attention_bytes: u64,
    /// Whether ranks that cast parts of one tensor agree on its maximum first.
    pub shares_amax: bool,
    /// Whether a cast tensor has a scale for each block, which goes with it wherever it is gathered.
    pub block_scales: bool,
}

closed_set! {
    /// How context-parallel ranks get the keys and values of one another's tokens.
    pub enum CpExchange: "context exchange" {
        /// Blocks go round a ring, each behind the attention to the block before (arXiv 2310.01889).
        Ring = "ring",
        /// All are gathered before attention (arXiv 2407.21783, section 3.3.2).
        AllGather = "all-gather",
        /// All-to-alls give each rank all tokens of its part of the heads (arXiv 2309.14509).
        Ulysses = "ulysses",
    }
}

/// Sharding of a model, with everything else that shapes one rank's operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    /// Tensor-parallel ranks; must divide the heads and widths.
    pub tp: u32,
    /// Context-parallel ranks; with Ulysses they must divide the heads of a tensor-parallel rank.
    pub cp: u32,
    /// How they get keys and values.
    pub cp_exchange: CpExchange,
    /// Expert-parallel ranks; must divide the experts.
    pub ep: u32,
    /// Tensor-parallel ranks inside an expert.
    pub etp: u32,
    /// Whether norms, dropout and residuals hold 1/tp of the tokens (arXiv 2205.05198).
    pub sequence_parallel: bool,
    /// Sequences (images) of one forward pass.
    pub micro_batch: u32,
    /// Tokens of a sequence; ignored for images.
    pub seq_len: u32,
    /// Documents that a sample is packed of, equally long; tokens attend to those of their own.
    pub documents: u32,
    /// Formats.
    pub format: Format,
    /// Whether the score matrix stays on the chip (flash attention).
    pub flash_attention: bool,
    /// How tokens get to their experts.
    pub expert_dispatch: ExpertDispatch,
    /// Tokens of the busiest expert over the mean; the rank is the one that holds it.
    pub expert_imbalance: ExpertImbalance,
    /// Whether routers replace their scores by random ones.
    pub random_routing: bool,
    /// Other work that shares a kernel.
    pub fusion: Fusion,
    /// Memory of the loss.
    pub logit_bytes: LogitBytes,
    /// Parts of the tokens whose logits become gradients one after another.
    pub loss_parts: LossParts,
    /// Whether an encoder's head sees the masked tokens only.
    pub masked_head: bool,
    /// Whether dropout runs (see [`crate::model::Transformer::usual_dropout`]).
    pub dropout: bool,
    /// Rank of the adapters beside frozen linear layers (LoRA); 0: every weight is trained.
    pub lora_rank: u32,
    /// Parts of a network of images and text that are not trained.
    pub frozen: Parts,
    /// Modules that selective recomputation repeats.
    pub recomputed: Modules,
}

impl Shard {
    /// A rank that holds the whole model and works on one sample of `seq_len` tokens, in 16 bits with fused kernels.
    pub(crate) fn whole(seq_len: u32) -> Self {
        Self {
            tp: 1,
            cp: 1,
            cp_exchange: CpExchange::Ring,
            ep: 1,
            etp: 1,
            sequence_parallel: false,
            micro_batch: 1,
            seq_len,
            documents: 1,
            format: Format {
                element_bytes: 2,
                tensor_cores: true,
                low_precision: false,
                attention_bytes: 2,
                shares_amax: false,
                block_scales: false,
            },
            flash_attention: true,
            expert_dispatch: ExpertDispatch::HybridEp,
            expert_imbalance: ExpertImbalance::BALANCED,
            random_routing: false,
            fusion: Fusion::ALL,
            logit_bytes: LogitBytes {
                kept: 2,
                transient: 2,
            },
            loss_parts: LossParts::Whole,
            masked_head: false,
            dropout: false,
            lora_rank: 0,
            frozen: Parts::default(),
            recomputed: Modules::default(),
        }
    }
}

/// A model as one rank executes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoweredModel {
    /// Layers that differ from one another.
    pub layer_kinds: Vec<LoweredLayer>,
    /// The layers front to back, as indices into `layer_kinds`.
    pub sequence: Vec<u16>,
    /// Layers among them of an encoder of images and its projector, which come first.
    pub image_layers: usize,
    /// Layer in front of the first (the stem of a convolutional net).
    pub embedding: LoweredLayer,
    /// Layer behind the last: norm, logits, loss (pooling, classifier, loss).
    pub head: LoweredLayer,
    /// One multi-token-prediction layer with a pass through the head; a model has
    /// `Transformer::mtp_layers` of them.
    pub mtp: Option<LoweredLayer>,
}

/// One layer as one rank executes it for one microbatch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoweredLayer {
    /// Kind of layer: `dense`, `moe`, `embedding`, …
    pub name: &'static str,
    /// Its input.
    pub input: Bytes,
    /// Whether a backward pass runs through it: something here or in front is trained.
    pub has_backward: bool,
    /// Forward pass.
    pub forward: Vec<Operator>,
    /// Gradients of the inputs, with all communication and memory-bound work of the backward pass.
    pub backward_input: Vec<Operator>,
    /// Gradients of the weights; depend on `backward_input` of the same layer only.
    pub backward_weight: Vec<Operator>,
    /// Forward operators of whose results the backward pass needs none, so that no recomputation repeats them. They run
    /// behind the others.
    pub once: Vec<Operator>,
    /// Forward operators that selective recomputation repeats before the backward pass.
    pub selective: Vec<Operator>,
    /// Calls by which the host launches all of them.
    pub calls: LayerCalls,
    /// Parameters that this rank holds when nothing is sharded over data parallelism.
    pub parameters: ShardParameters,
    /// Activations.
    pub kept: Kept,
    /// Rows and columns of this rank's weight matrices, each pair once.
    pub weight_shapes: Vec<(u64, u64)>,
    /// Elements of its largest tensor of weights; all experts of the rank are one.
    pub largest_tensor: u64,
    /// FLOPs of the model in the forward pass of this rank, without attention that is masked or outside
    /// the window. The backward pass has twice as many, less those of `model_flops_frozen`.
    pub model_flops_forward: Flops,
    /// FLOPs of gradients that frozen weights do not have.
    pub model_flops_frozen: Flops,
}

/// Parameters of a layer on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardParameters {
    /// Parameters reduced over the dp·cp group.
    pub dense: u64,
    /// Parameters of routed experts, reduced over the experts' own data-parallel group.
    pub expert: u64,
    /// Dense ones that every tensor-parallel rank holds whole and has gradients of for its own tokens or
    /// heads alone: reduced over the tensor-parallel group, too.
    pub partial: u64,
    /// Dense ones that are not trained.
    pub frozen_dense: u64,
    /// Those of experts that are not trained.
    pub frozen_expert: u64,
    /// Dense ones of layers through which no backward pass runs; they are among those that are not trained.
    pub forward_only: u64,
    /// Tensors that hold all that are trained.
    pub tensors: u64,
}

impl ShardParameters {
    /// Those that are trained: they have gradients and optimizer states.
    pub(crate) const fn trained(self) -> Self {
        Self {
            dense: self.dense - self.frozen_dense,
            expert: self.expert - self.frozen_expert,
            partial: self.partial,
            frozen_dense: 0,
            frozen_expert: 0,
            forward_only: 0,
            tensors: self.tensors,
        }
    }

    /// Those that the backward pass comes to.
    pub(crate) const fn passed_back(self) -> Self {
        Self {
            dense: self.dense - self.forward_only,
            frozen_dense: self.frozen_dense - self.forward_only,
            forward_only: 0,
            ..self
        }
    }
}

/// Activation bytes of one layer and microbatch.
///
/// With every option of arXiv 2205.05198 they are its closed formula `sbh(34 + 5as/h)` for
/// 16-bit elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Kept from forward to backward when nothing is recomputed.
    pub none: Bytes,
    /// Kept when the modules of [`Shard::recomputed`] are.
    pub selective: Bytes,
    /// Kept when the layer is recomputed: its input.
    pub full: Bytes,
    /// Kept when single operations are recomputed: the input, the outputs of the attention kernel, of
    /// all-to-alls and of every other matrix product.
    pub operations: Bytes,
    /// Peak of what the layer holds besides while it runs: gradients of its widest tensors.
    pub transient: Bytes,
}

impl Kept {
    /// Whether none of its sizes is larger.
    pub(crate) fn holds_no_more_than(&self, other: &Self) -> bool {
        let sizes = |kept: &Self| {
            [
                kept.none,
                kept.selective,
                kept.full,
                kept.operations,
                kept.transient,
            ]
        };
        sizes(self)
            .iter()
            .zip(sizes(other))
            .all(|(own, other)| *own <= other)
    }
}
