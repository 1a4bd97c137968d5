//! Architecture of a neural network, declared with the keys of a model table.

use std::num::NonZeroU32;

use crate::closed_set;
use crate::data_table::pattern::Pattern;
use crate::data_table::quantity::ParameterCount;
use crate::data_table::{Fields, ValueKind, data_table};
use crate::model::window::{Reach, Sight, SlidingWindow};

closed_set! {
    /// Kind of network.
    pub(crate) enum Family: "model family" {
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
    /// Activation of the MLP; gated ones have three matrices instead of two.
    pub(crate) enum Mlp: "MLP" {
        /// Two matrices with GELU (or ReLU) between.
        Gelu = "gelu",
        /// Gate and up matrix, SiLU, product, down matrix.
        SwiGlu = "swiglu",
        /// Gate and up matrix, GELU, product, down matrix.
        GeGlu = "geglu",
        /// Two matrices with squared ReLU between.
        SquaredRelu = "squared-relu",
    }
}

closed_set! {
    /// Normalisation before (or after) each block.
    pub(crate) enum Norm: "norm" {
        /// Mean and variance, weight and bias.
        LayerNorm = "layer-norm",
        /// Root mean square, weight only.
        RmsNorm = "rms-norm",
    }
}

closed_set! {
    /// Attention of a layer.
    pub(crate) enum AttentionKind: "attention" {
        /// Multi-head, grouped-query or multi-query.
        Mha = "mha",
        /// Multi-head latent (DeepSeek-V2).
        Mla = "mla",
    }
}

impl Mlp {
    /// Whether a second matrix gates the activation.
    pub(super) const fn is_gated(self) -> bool {
        match self {
            Self::SwiGlu | Self::GeGlu => true,
            Self::Gelu | Self::SquaredRelu => false,
        }
    }
}

impl Norm {
    /// The norm that comes with an activation unless the model says otherwise.
    const fn usual(mlp: Mlp) -> Self {
        match mlp {
            Mlp::SwiGlu | Mlp::GeGlu => Self::RmsNorm,
            Mlp::Gelu | Mlp::SquaredRelu => Self::LayerNorm,
        }
    }
}

data_table! {
    /// A neural network.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Model {
        /// Name for people; default: the name.
        title: String = name.to_owned(),
        /// Kind of network; decides which other keys apply.
        family: Family,
    } reads {
        /// Parameters as published, without multi-token prediction.
        published_parameters: Option<ParameterCount>,
        /// Parameters that a token passes, as published.
        published_active_parameters: Option<ParameterCount>,
    } with |fields, name: &str| {
        /// Catalogue name: `llama3-70b`.
        name: String = name.to_owned(),
        /// Layers.
        architecture: Architecture = Architecture::read(fields, family),
    }
}

/// The layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Architecture {
    /// Attention and MLP blocks.
    Transformer(Transformer),
    /// Convolutions.
    Cnn(Cnn),
}

impl Architecture {
    fn read(fields: Fields<'_>, family: Family) -> Self {
        match family {
            Family::Cnn => Self::Cnn(Cnn::read(fields)),
            Family::Decoder | Family::Encoder | Family::Moe => {
                Self::Transformer(Transformer::read(fields, family))
            }
        }
    }
}

data_table! {
    /// A stack of attention and MLP blocks between an embedding and a head.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Transformer {
        /// Transformer layers; required but for cnn.
        layers: u32 [ValueKind::CountTo(100_000)],
        /// Width of the residual stream; required but for cnn.
        hidden: u32 [ValueKind::CountTo(16_777_216)],
        /// Width of the dense MLP; default: 4·hidden.
        ffn_hidden: u32 [ValueKind::CountTo(16_777_216)] = hidden.saturating_mul(4),
        /// Query heads; required but for cnn.
        heads: u32 [ValueKind::CountTo(65_536)],
        /// Key and value heads, a divisor of heads (fewer: grouped queries); default: heads.
        kv_heads: u32 [ValueKind::CountTo(65_536)] = heads,
        /// Width of a head; default: hidden/heads, with mla v_head_dim.
        head_dim: u32 [ValueKind::CountTo(16_384)] = match attention {
            AttentionKind::Mha => (hidden / heads).max(1),
            AttentionKind::Mla => fields.get("v_head_dim"),
        },
        /// Tokens in the vocabulary as trained; required but for cnn.
        vocab: u32 [ValueKind::CountTo(268_435_456)],
        /// Tokens per sample unless the spec says otherwise; required but for cnn.
        seq_len: u32 [ValueKind::CountTo(16_777_216)],
        /// Activation of the MLP; default: gelu, in a moe swiglu.
        mlp: Mlp = if family == Family::Moe { Mlp::SwiGlu } else { Mlp::Gelu },
        /// Normalisation; default: rms-norm with swiglu, else layer-norm.
        norm: Norm = Norm::usual(mlp),
        /// Whether linear layers and norms have biases; default: with gelu.
        biases: bool = mlp == Mlp::Gelu,
        /// Whether query, key and value projections have biases without the others (Qwen 2); default: false.
        qkv_biases: bool = false,
        /// Whether queries and keys are normalised per head (Qwen 3); default: false.
        qk_norm: bool = false,
        /// Whether a norm follows each block, besides the one in front of it (Gemma 2 and 3); default: false.
        post_norms: bool = false,
        /// Whether a gate as wide as its heads scales the attention's output (Qwen 3-Next); default: false.
        attention_gate: bool = false,
        /// Whether each head has a learned logit that takes attention from all keys (GPT-OSS); default: false.
        sinks: bool = false,
        /// Whether embeddings are normalised before the first layer (BLOOM, BERT); default: in an encoder.
        embedding_norm: bool = family == Family::Encoder,
        /// Whether embedding and head share their matrix; default: with gelu.
        tied_embeddings: bool = mlp == Mlp::Gelu,
        /// Rows of a learned position embedding; default: seq_len with gelu, else 0 (rotary or ALiBi).
        learned_positions: u32 = if mlp == Mlp::Gelu { seq_len } else { 0 },
        /// Multi-token-prediction layers behind the last; default: 0.
        mtp_layers: u32 = 0,
    } reads {
        /// Tokens that a token sees in layers of local attention; 0 and default: none are local.
        sliding_window: Option<NonZeroU32>,
        /// With sliding_window: one layer of so many is global; 0 and default: none is.
        global_every: Option<NonZeroU32>,
        /// With sliding_window: one letter a layer, repeated: L sees the last sliding_window tokens, C its chunk of so many, G all; default: by global_every.
        window_pattern: Option<Pattern<Reach>>,
        /// Attention of a layer; default: mha.
        attention: AttentionKind = AttentionKind::Mha,
    } with |fields, family: Family| {
        /// Whether a token sees only those before it.
        causal: bool = family != Family::Encoder,
        /// Layers of local attention; `None`: all are global.
        sliding_window: Option<SlidingWindow> = sliding_window.map(|tokens| SlidingWindow {
            tokens,
            pattern: window_pattern.unwrap_or_else(|| Reach::global_every(global_every)),
        }),
        /// Multi-head latent attention; `None`: plain multi-head or grouped-query.
        mla: Option<Mla> = (attention == AttentionKind::Mla).then(|| Mla::read(fields)),
        /// Routed experts; `None`: every MLP is dense.
        moe: Option<Mixture> = (family == Family::Moe).then(|| Mixture::read(fields, ffn_hidden)),
    }
}

data_table! {
    /// Ranks and widths of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Mla {
        /// mla: rank of the query compression; 0 and default: none.
        q_lora_rank: Option<NonZeroU32>,
        /// mla: rank of the key and value compression.
        kv_lora_rank: u32 [ValueKind::CountTo(1_048_576)],
        /// mla: width of a query and key head without rotary positions.
        qk_nope_head_dim: u32 [ValueKind::CountTo(8_192)],
        /// mla: width of the rotary part.
        qk_rope_head_dim: u32 [ValueKind::CountTo(8_192)],
        /// mla: width of a value head.
        v_head_dim: u32 [ValueKind::CountTo(16_384)],
    }
}

data_table! {
    /// Routed experts in place of the dense MLP.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct Mixture {
        /// moe: routed experts of a layer.
        experts: u32 [ValueKind::CountTo(65_536)],
        /// moe: routed experts that a token visits.
        experts_per_token: u32 [ValueKind::CountTo(65_536)],
        /// moe: width of a routed expert; default: ffn_hidden.
        expert_ffn_hidden: u32 [ValueKind::CountTo(16_777_216)] = ffn_hidden,
        /// moe: experts that every token visits besides; default: 0.
        shared_experts: u32 = 0,
        /// moe: width of a shared expert; default: expert_ffn_hidden.
        shared_ffn_hidden: u32 [ValueKind::CountTo(16_777_216)] = expert_ffn_hidden,
        /// moe: leading layers with a dense MLP; default: 0.
        dense_layers: u32 = 0,
        /// moe: one layer of so many behind the dense ones has experts, the last of each (Llama 4 Maverick: 2); default: 1.
        moe_every: u32 [ValueKind::CountTo(100_000)] = 1,
        /// moe: width to which tokens are projected before routed experts see them; 0 and default: none.
        latent_hidden: Option<NonZeroU32>,
        /// moe: rows of each expert over their mean, to which tokens are padded and beyond which they are dropped; default: as many as come.
        capacity_factor: Option<f64> [ValueKind::Ratio],
        /// moe: nodes that a token's experts may lie on; 0 and default: any.
        node_limit: Option<NonZeroU32>,
    } reads {} with |fields, ffn_hidden: u32| {}
}

data_table! {
    /// A bottleneck ResNet, v1.5 (stride in the 3×3 convolution).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Cnn {
        /// cnn: bottleneck blocks of each ResNet stage (`[3, 4, 6, 3]`: ResNet-50).
        blocks: [u32; 4],
        /// cnn: pixels of a side of the square input; default: 224.
        image_size: u32 [ValueKind::CountTo(65_536)] = 224,
        /// cnn: classes of the head; default: 1000.
        classes: u32 [ValueKind::CountTo(16_777_216)] = 1000,
    }
}

impl Model {
    /// The transformer, if it is one.
    pub(crate) fn transformer(&self) -> Option<&Transformer> {
        match &self.architecture {
            Architecture::Transformer(transformer) => Some(transformer),
            Architecture::Cnn(_) => None,
        }
    }

    /// Tokens per sample unless the spec says otherwise; 1 for images.
    pub(crate) fn seq_len(&self) -> u32 {
        self.transformer().map_or(1, |network| network.seq_len)
    }
}

impl Transformer {
    /// Whether it was trained with dropout, as a guess from its architecture: transformers with biases
    /// and learned positions were (GPT-2, arXiv 2005.14165 for GPT-3, BERT arXiv 1810.04805); those
    /// with rotary positions were not (LLaMA, arXiv 2302.13971; PaLM, arXiv 2204.02311).
    pub(crate) const fn usual_dropout(&self) -> bool {
        self.biases && self.learned_positions > 0
    }

    /// Whether queries and keys are rotated, as a guess from its architecture: it has neither learned
    /// positions nor the `LayerNorm` of the models with ALiBi (BLOOM, arXiv 2211.05100; MPT).
    pub(crate) const fn rotary(&self) -> bool {
        self.learned_positions == 0 && matches!(self.norm, Norm::RmsNorm)
    }

    /// Keys that a token of layer `layer` (from 0) sees.
    pub(super) fn sight(&self, layer: u32) -> Sight {
        self.sliding_window
            .as_ref()
            .map_or(Sight::All, |window| window.sight(layer))
    }

    /// Whether layer `layer` (from 0) holds routed experts.
    pub(super) fn is_routed(&self, layer: u32) -> bool {
        self.moe.is_some_and(|moe| {
            let behind = (layer + 1).checked_sub(moe.dense_layers);
            behind.is_some_and(|behind| behind > 0 && behind.is_multiple_of(moe.moe_every))
        })
    }
}
