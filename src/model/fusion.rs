//! Work that shares a kernel, declared with the keys of a stack's table `fusion`.

use crate::closed_set;
use crate::data_table::data_table;

closed_set! {
    /// What the backward pass has of the outputs of experts, whose gradient the routing weights need.
    pub(crate) enum ExpertOutputs: "outputs of experts" {
        /// Nothing: the weights multiply inputs of the second product, which it has anyway.
        Freed = "freed",
        /// The outputs.
        Kept = "kept",
        /// A copy of them in fp32, in which the weights multiply them.
        Fp32 = "fp32",
    }
}

closed_set! {
    /// Formats in which convolutional networks run in one way and not another.
    pub(crate) enum ImageFormats: "formats" {
        /// None.
        None = "none",
        /// Those of 16 bits.
        Half = "16-bit",
        /// All.
        All = "all",
    }
}

impl ImageFormats {
    /// Whether activations of so many bytes an element are among them.
    pub(super) const fn hold(self, element_bytes: u64) -> bool {
        match self {
            Self::None => false,
            Self::Half => element_bytes == 2,
            Self::All => true,
        }
    }
}

impl Fusion {
    /// Everything that can share a kernel does.
    pub(super) const ALL: Self = Self {
        elementwise: true,
        composites: true,
        cross_entropy: true,
        vocab_parallel_loss: false,
        gradient_accumulation: true,
        optimizer: true,
        gated_activation: true,
        expert_activation: true,
        norm: true,
        grouped_attention: true,
        projections: true,
        stacked_experts: false,
        fp32_router: false,
        permutation: true,
        expert_biases: true,
        router: true,
        expert_padding: true,
        yarn: true,
        latent_rotation: true,
        attention_inputs: true,
        expert_outputs: ExpertOutputs::Freed,
        indexed_sum: false,
        in_place_gradients: false,
        capacity_masks: false,
        batch_norm: ImageFormats::All,
        channels_last: ImageFormats::All,
    };
}

data_table! {
    /// Work that shares a kernel.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Fusion {
        /// Whether bias, activation, dropout, residual and mask are one kernel each instead of several.
        elementwise: bool,
        /// Whether GELU, layer norm and dropout are a kernel each, not one for each operation of their formulas; default: true.
        composites: bool = true,
        /// Whether the loss never writes fp32 logits beside the bf16 ones.
        cross_entropy: bool,
        /// Whether a loss that is not fused takes the passes of a sharded vocabulary without tensor parallelism too;
        /// default: false.
        vocab_parallel_loss: bool = false,
        /// Whether weight gradients are accumulated inside their matrix product.
        gradient_accumulation: bool,
        /// Whether the optimizer is one kernel over all parameters.
        optimizer: bool,
        /// Whether a gated activation is one kernel that keeps its two inputs only, not the activated half too;
        /// default: true.
        gated_activation: bool = true,
        /// The same of the experts' activation; default: gated_activation.
        expert_activation: bool = gated_activation,
        /// Whether a root-mean-square norm is one kernel that keeps its input alone, not an fp32 copy and the
        /// normalised input too; default: true.
        norm: bool = true,
        /// Whether the attention kernel reads shared keys and values without a copy per query head; default: true.
        grouped_attention: bool = true,
        /// Whether query, key and value are one product, and the two inputs of a gated activation; default: true.
        projections: bool = true,
        /// Whether the matrices of a rank's experts are one parameter tensor; default: false.
        stacked_experts: bool = false,
        /// Whether tokens and the router's weights are cast to fp32 for a product in that format; default: false.
        fp32_router: bool = false,
        /// Whether rows are weighted and padded while they are brought into the order of the experts, not by kernels of
        /// their own; default: true.
        permutation: bool = true,
        /// Whether kernels of the experts' products and activation add their biases and limit what the activation sees, not
        /// kernels of their own; default: true.
        expert_biases: bool = true,
        /// Whether a kernel each makes scores of what the router puts out, picks experts by them, and sums up the balancing
        /// loss; libraries that exchange tokens (DeepEP, HybridEP) bring such kernels; default: false.
        router: bool = false,
        /// Whether rows of experts are padded to what products in 8 and 4 bits need as they are permuted, not by kernels of
        /// their own; default: true.
        expert_padding: bool = true,
        /// Whether one kernel each rotates queries and keys whose rotation YaRN scales, as it does those of other models;
        /// default: true.
        yarn: bool = true,
        /// Whether a kernel each rotates queries, and puts keys and values together, of latent attention; default: true.
        latent_rotation: bool = true,
        /// Whether queries, keys and values that are rotated reach attention without copies from where their product put
        /// them; default: true.
        attention_inputs: bool = true,
        /// What the backward pass has of the outputs of experts, whose gradient the routing weights need; default: kept.
        expert_outputs: ExpertOutputs = ExpertOutputs::Kept,
        /// Whether outputs of experts are added into the rows of their tokens by index, not by a kernel of their own; default:
        /// false.
        indexed_sum: bool = false,
        /// Whether gradients of what goes into an activation take its place in memory; default: false.
        in_place_gradients: bool = false,
        /// Whether experts with a capacity get their tokens, and tokens their outputs, by products with masks of each token and
        /// place (`capacity_factor` of a model's experts); otherwise rows are copied; default: false.
        capacity_masks: bool = false,
        /// Formats in which the kernel of a batch norm also adds the other branch and rectifies; default: all where
        /// elementwise, else none.
        batch_norm: ImageFormats = if elementwise { ImageFormats::All } else { ImageFormats::None },
        /// Formats in which the channels of an image are the innermost dimension, as convolutions on tensor cores take them; in
        /// others their inputs are copied into that order first; default: all.
        channels_last: ImageFormats = ImageFormats::All,
    }
}
