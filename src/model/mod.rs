//! What a neural network is: its layers, their operators, FLOPs, bytes and parameters.

mod attention;
mod cnn;
mod layer;
pub mod lower;
mod moe;
pub mod operator;
pub mod parameters;
mod tensor_parallel;
mod transformer;
mod transformer_ends;

pub use lower::{
    ContextExchange, Format, Fused, Kept, LogitBytes, LoweredLayer, LoweredModel, Shard,
    ShardParameters, lower,
};
pub use operator::{CommGroup, CommOp, Operator};
pub use parameters::{LayerParameters, Parameters};

use crate::closed_set;

closed_set! {
    /// What kind of network a model is.
    pub enum Family: "model family" {
        /// Causal transformer.
        Decoder = "decoder",
        /// Bidirectional transformer with a masked-language-model head.
        Encoder = "encoder",
        /// Causal transformer whose MLPs are routed experts.
        Moe = "moe",
        /// Convolutional image classifier.
        Cnn = "cnn",
    }
}

closed_set! {
    /// Activation of the MLP; the gated one has three matrices instead of two.
    pub enum Mlp: "MLP" {
        /// Two matrices with GELU (or ReLU) between.
        Gelu = "gelu",
        /// Gate and up matrix, SiLU, product, down matrix.
        SwiGlu = "swiglu",
        /// Two matrices with squared ReLU between.
        SquaredRelu = "squared-relu",
    }
}

closed_set! {
    /// Normalisation before (or after) each block.
    pub enum Norm: "norm" {
        /// Mean and variance, weight and bias.
        LayerNorm = "layer-norm",
        /// Root mean square, weight only.
        RmsNorm = "rms-norm",
    }
}

closed_set! {
    /// How a layer attends.
    pub enum AttentionKind: "attention" {
        /// Multi-head, grouped-query or multi-query.
        Mha = "mha",
        /// Multi-head latent (DeepSeek-V2).
        Mla = "mla",
    }
}

/// A neural network.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Catalog name: `llama3-70b`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Kind of network.
    pub family: Family,
    /// Its layers.
    pub architecture: Architecture,
    /// Tokens per sample unless the spec says otherwise; 1 for images.
    pub seq_len: u32,
    /// Parameters as published (multi-token prediction not counted), to hold the count against.
    pub published_parameters: Option<f64>,
}

/// The layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// Attention and MLP blocks.
    Transformer(Transformer),
    /// Convolutions.
    Cnn(Cnn),
}

/// A stack of attention and MLP blocks between an embedding and a head.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// Whether a token sees only those before it.
    pub causal: bool,
    /// Blocks.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Width of the dense MLP.
    pub ffn_hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads (fewer than `heads`: grouped queries).
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Tokens in the vocabulary, unpadded.
    pub vocab: u32,
    /// Activation of the MLP.
    pub mlp: Mlp,
    /// Normalisation.
    pub norm: Norm,
    /// Whether linear layers of the attention and the MLP have biases.
    pub biases: bool,
    /// Whether only the query, key and value projections have biases besides (Qwen 2).
    pub qkv_biases: bool,
    /// Whether queries and keys are normalised per head (Qwen 3).
    pub qk_norm: bool,
    /// Whether the embeddings are normalised before the first block (BLOOM, BERT).
    pub embedding_norm: bool,
    /// Whether embedding and head share their matrix.
    pub tied_embeddings: bool,
    /// Learned absolute positions, 0 with rotary or ALiBi ones.
    pub learned_positions: u32,
    /// Multi-token-prediction layers behind the last.
    pub mtp_layers: u32,
    /// Window of local attention and how often it is used; `None`: all layers are global.
    pub sliding_window: Option<SlidingWindow>,
    /// Multi-head latent attention; `None`: plain multi-head or grouped-query.
    pub mla: Option<Mla>,
    /// Routed experts; `None`: every MLP is dense.
    pub moe: Option<Moe>,
}

/// Local attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Tokens that a token sees.
    pub tokens: u32,
    /// One layer of this many is global; 0: none is.
    pub global_every: u32,
}

/// Ranks of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mla {
    /// Rank of the query compression; 0: queries are not compressed.
    pub q_lora_rank: u32,
    /// Rank of the key–value compression.
    pub kv_lora_rank: u32,
    /// Width of a head without rotary positions.
    pub qk_nope_head_dim: u32,
    /// Width of the rotary part.
    pub qk_rope_head_dim: u32,
    /// Width of a value head.
    pub v_head_dim: u32,
}

/// Routed experts in place of the dense MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moe {
    /// Routed experts of a layer.
    pub experts: u32,
    /// Experts that a token visits.
    pub experts_per_token: u32,
    /// Width of one routed expert.
    pub expert_ffn_hidden: u32,
    /// Experts that every token visits besides.
    pub shared_experts: u32,
    /// Width of one shared expert.
    pub shared_ffn_hidden: u32,
    /// Leading layers with a dense MLP.
    pub dense_layers: u32,
    /// Nodes that a token's experts may lie on; 0: any.
    pub node_limit: u32,
}

/// A bottleneck ResNet, v1.5 (stride in the 3×3 convolution).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cnn {
    /// Bottleneck blocks of each of the four stages: `[3, 4, 6, 3]` for ResNet-50.
    pub blocks: [u32; 4],
    /// Pixels of a side of the square input.
    pub image_size: u32,
    /// Classes of the head.
    pub classes: u32,
}

impl Model {
    /// The transformer, if it is one.
    pub fn transformer(&self) -> Option<&Transformer> {
        match &self.architecture {
            Architecture::Transformer(transformer) => Some(transformer),
            Architecture::Cnn(_) => None,
        }
    }
}

impl Transformer {
    /// Whether it was trained with dropout: so were the transformers of 2018–2022 that have biases
    /// and learned positions (GPT-2, GPT-3, BERT), and few since.
    pub const fn usual_dropout(&self) -> bool {
        self.biases && self.learned_positions > 0
    }

    /// Whether queries and keys are rotated: neither learned positions nor the `LayerNorm` of the
    /// `ALiBi` models (BLOOM, MPT).
    pub const fn rotary(&self) -> bool {
        self.learned_positions == 0 && matches!(self.norm, Norm::RmsNorm)
    }
}
