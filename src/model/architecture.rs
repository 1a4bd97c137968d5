//! Architecture of a neural network, declared with the keys of a model table.

use std::num::NonZeroU32;

use crate::closed_set;
use crate::data_table::pattern::Pattern;
use crate::data_table::quantity::ParameterCount;
use crate::data_table::{Fields, ValueKind, data_table};
use crate::model::encoder_decoder::EncoderDecoder;
use crate::model::hybrid::{Letter, Recurrence};
use crate::model::image::{Diffusion, Patches};
use crate::model::vision::{Part, Projector, SampleImages};
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
        /// Layers of attention, states, MLPs and experts by a pattern.
        Hybrid = "hybrid",
        /// Vision transformer: image classifier over patches.
        Vit = "vit",
        /// Encoder, and a decoder that attends to it.
        EncoderDecoder = "encoder-decoder",
        /// Diffusion transformer over patches of a latent image.
        Dit = "dit",
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
    Transformer(Box<Transformer>),
    /// Convolutions.
    Cnn(Cnn),
}

impl Architecture {
    fn read(fields: Fields<'_>, family: Family) -> Self {
        match family {
            Family::Cnn => Self::Cnn(Cnn::read(fields)),
            Family::Decoder
            | Family::Encoder
            | Family::Moe
            | Family::Hybrid
            | Family::Vit
            | Family::EncoderDecoder
            | Family::Dit => {
                let ends = Ends::read(fields, family);
                Self::Transformer(Box::new(Transformer::read(fields, family, ends)))
            }
        }
    }
}

/// Ends of a transformer, in front of its layers and behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Token embedding and next-token head.
    Decoder,
    /// Embedding of tokens, positions and segments, and BERT's heads.
    Encoder,
    /// Two stacks that share a token embedding.
    EncoderDecoder(EncoderDecoder),
    /// Patches of an image, and a classifier.
    Vit(Patches),
    /// Patches of a noisy latent, and the noise.
    Dit(Diffusion),
    /// Patches of the images in front of a decoder.
    Images(SampleImages),
}

impl Ends {
    fn read(fields: Fields<'_>, family: Family) -> Self {
        match family {
            Family::Encoder => Self::Encoder,
            Family::EncoderDecoder => Self::EncoderDecoder(EncoderDecoder::read(fields)),
            Family::Vit => Self::Vit(Patches::read(fields)),
            Family::Dit => Self::Dit(Diffusion::read(fields)),
            Family::Decoder | Family::Moe | Family::Hybrid | Family::Cnn => Self::Decoder,
        }
    }

    /// Layers of both stacks; 0 where a model table says how many.
    fn layers(self) -> u32 {
        match self {
            Self::EncoderDecoder(stacks) => stacks.encoder_layers + stacks.decoder_layers,
            Self::Decoder | Self::Encoder | Self::Vit(_) | Self::Dit(_) | Self::Images(_) => 0,
        }
    }

    /// Tokens of a sample where the network alone decides on them: patches and the token of the class, or the
    /// tokens of both stacks.
    pub(super) fn fixed_tokens(self) -> Option<u32> {
        match self {
            Self::EncoderDecoder(stacks) => Some(stacks.encoder_seq_len + stacks.decoder_seq_len),
            Self::Vit(image) => Some(image.patches() + 1),
            Self::Dit(diffusion) => Some(diffusion.latent.patches()),
            Self::Images(images) => Some(images.tokens()),
            Self::Decoder | Self::Encoder => None,
        }
    }

    /// Rows of a learned position embedding where an activation of GELU says that there is one, beside those of text.
    fn positions(self) -> Option<u32> {
        match self {
            Self::Images(images) => Some(images.tokens_of_each()),
            Self::Decoder
            | Self::Encoder
            | Self::EncoderDecoder(_)
            | Self::Vit(_)
            | Self::Dit(_) => None,
        }
    }

    /// Whether there is one stack, over tokens of a vocabulary.
    fn is_one_stack(self) -> bool {
        match self {
            Self::Decoder | Self::Encoder => true,
            Self::EncoderDecoder(_) | Self::Vit(_) | Self::Dit(_) | Self::Images(_) => false,
        }
    }

    /// Whether samples are images.
    fn sees_images(self) -> bool {
        match self {
            Self::Vit(_) | Self::Dit(_) | Self::Images(_) => true,
            Self::Decoder | Self::Encoder | Self::EncoderDecoder(_) => false,
        }
    }
}

data_table! {
    /// A stack of attention, state and MLP blocks between two ends.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Transformer {
        /// Transformer layers; required but for cnn and encoder-decoder.
        layers: u32 [ValueKind::CountTo(100_000)] = ends.layers(),
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
        /// Tokens in the vocabulary as trained; required but for images.
        vocab: u32 [ValueKind::CountTo(268_435_456)] = 0,
        /// Tokens per sample unless the spec says otherwise; required but for images and encoder-decoder.
        seq_len: u32 [ValueKind::CountTo(16_777_216)] = 0,
        /// Activation of the MLP; default: gelu, in a moe swiglu.
        mlp: Mlp = if family == Family::Moe { Mlp::SwiGlu } else { Mlp::Gelu },
        /// Normalisation; default: rms-norm with a gate or in an encoder-decoder, else layer-norm.
        norm: Norm = if family == Family::EncoderDecoder { Norm::RmsNorm } else { Norm::usual(mlp) },
        /// Whether linear layers and norms have biases; default: with gelu, not in an encoder-decoder.
        biases: bool = mlp == Mlp::Gelu && family != Family::EncoderDecoder,
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
        /// Whether the inputs of the experts' activation are limited (GPT-OSS); default: false.
        clamped_activation: bool = false,
        /// Whether YaRN scales the rotation of queries and keys for longer sequences (GPT-OSS); default: false.
        yarn: bool = false,
        /// Whether each head adds the distance of two tokens to their score (ALiBi: BLOOM); default: false.
        alibi: bool = false,
        /// Whether embeddings are normalised before the first layer (BLOOM, BERT); default: in an encoder.
        embedding_norm: bool = family == Family::Encoder,
        /// Whether embedding and head share their matrix; default: with gelu.
        tied_embeddings: bool = mlp == Mlp::Gelu && !ends.sees_images(),
        /// Rows of a learned position embedding; default: seq_len (of an encoder of images its tokens) with gelu, else 0 (rotary), in a hybrid and with alibi 0.
        learned_positions: u32 = match ends.positions() {
            _ if alibi => 0,
            Some(rows) if mlp == Mlp::Gelu => rows,
            None if mlp == Mlp::Gelu && ends.is_one_stack() && pattern.is_none() => seq_len,
            Some(_) | None => 0,
        },
        /// Multi-token-prediction layers behind the last; default: 0.
        mtp_layers: u32 [ValueKind::CountOrZeroTo(100_000)] = 0,
    } reads {
        /// Tokens that a token sees in layers of local attention; 0 and default: none are local.
        sliding_window: Option<NonZeroU32>,
        /// With sliding_window: one layer of so many is global; 0 and default: none is.
        global_every: Option<NonZeroU32> [ValueKind::CountOrZeroTo(100_000)],
        /// With sliding_window: one letter a layer, repeated: L sees the last sliding_window tokens, C its chunk of so many, G all; default: by global_every.
        window_pattern: Option<Pattern<Reach>>,
        /// Attention of a layer; default: mha.
        attention: AttentionKind = AttentionKind::Mha,
        /// hybrid: one letter a layer, repeated: A attention, M Mamba-2, S Mamba, G gated delta net, F MLP, E experts.
        pattern: Option<Pattern<Letter>>,
    } with |fields, family: Family, ends: Ends| {
        /// Ends in front of the layers and behind them.
        ends: Ends = ends,
        /// Encoder of images in front of the decoder; `None`: there is none.
        vision: Option<Box<Vision>> = (ends == Ends::Decoder)
            .then(|| Vision::read(fields, hidden))
            .flatten()
            .map(Box::new),
        /// Layers of local attention; `None`: all are global.
        sliding_window: Option<SlidingWindow> = sliding_window.map(|tokens| SlidingWindow {
            tokens,
            pattern: window_pattern.unwrap_or_else(|| Reach::global_every(global_every)),
        }),
        /// Multi-head latent attention; `None`: plain multi-head or grouped-query.
        mla: Option<Mla> = (attention == AttentionKind::Mla).then(|| Mla::read(fields)),
        /// Routed experts; `None`: every MLP is dense.
        moe: Option<Mixture> = {
            let has_experts = pattern.as_ref().is_some_and(|it| it.has(Letter::Experts));
            (family == Family::Moe || has_experts).then(|| Mixture::read(fields, ffn_hidden))
        },
        /// Sizes of layers with a state; `None`: there are none.
        state: Option<Recurrence> = pattern.as_ref().and_then(|it| {
            it.state().map(|letter| Recurrence::read(fields, hidden, letter))
        }),
        /// Block of each layer; `None`: attention and MLP in all.
        pattern: Option<Pattern<Letter>> = pattern,
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
        /// mla: heads of an indexer that chooses the keys of each token (DeepSeek-V3.2); default: 0, none.
        index_heads: u32 [ValueKind::CountOrZeroTo(65_536)] = 0,
        /// mla: width of the indexer's heads; default: 128.
        index_head_dim: u32 [ValueKind::CountTo(16_384)] = 128,
        /// mla: keys that the indexer chooses; default: 2048.
        index_top_k: u32 [ValueKind::CountTo(16_777_216)] = 2048,
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
        shared_experts: u32 [ValueKind::CountOrZeroTo(65_536)] = 0,
        /// moe: width of a shared expert; default: expert_ffn_hidden.
        shared_ffn_hidden: u32 [ValueKind::CountTo(16_777_216)] = expert_ffn_hidden,
        /// moe: leading layers with a dense MLP; default: 0.
        dense_layers: u32 [ValueKind::CountOrZeroTo(100_000)] = 0,
        /// moe: one layer of so many behind the dense ones has experts, the last of each (Llama 4 Maverick: 2); default: 1.
        moe_every: u32 [ValueKind::CountTo(100_000)] = 1,
        /// moe: width to which tokens are projected before routed experts see them; 0 and default: none.
        latent_hidden: Option<NonZeroU32>,
        /// moe: rows of each expert over their mean, to which tokens are padded and beyond which they are dropped; default: as many as come.
        capacity_factor: Option<f64> [ValueKind::RatioTo(1000)],
        /// moe: groups of experts, of 8 (nodes of DeepSeek-V3), that those of a token may lie in; 0 and default: any.
        node_limit: Option<NonZeroU32> [ValueKind::CountOrZeroTo(65_536)],
        /// moe: whether the router scores experts by a sigmoid, with a bias for each (DeepSeek-V3), not by a softmax; default:
        /// false.
        sigmoid_router: bool = false,
    } reads {} with |fields, ffn_hidden: u32| {}
}

data_table! {
    /// A bottleneck ResNet, v1.5 (stride in the 3×3 convolution).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Cnn {
        /// cnn: bottleneck blocks of each ResNet stage (`[3, 4, 6, 3]`: ResNet-50).
        blocks: [u32; 4],
        /// cnn, vit, dit: pixels of a side of the square image; default: 224, in a dit 256.
        image_size: u32 [ValueKind::CountTo(65_536)] = 224,
        /// cnn, vit, dit: classes; default: 1000, in a dit with a context none.
        classes: u32 [ValueKind::CountTo(16_777_216)] = 1000,
    }
}

/// Encoder of images and projector in front of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vision {
    /// Encoder, whose ends are [`Ends::Images`].
    pub(crate) encoder: Transformer,
    /// Images of a sample.
    pub(crate) images: SampleImages,
    /// Projector.
    pub(crate) projector: Projector,
}

impl Vision {
    /// Encoder and projector of a model table, whose decoder is so wide; `None` where the table has no encoder.
    fn read(fields: Fields<'_>, decoder: u32) -> Option<Self> {
        let encoder = fields.table("encoder")?;
        let images = SampleImages::read(encoder);
        Some(Self {
            encoder: Transformer::read(encoder, Family::Vit, Ends::Images(images)),
            images,
            projector: Projector::read(fields.table_or_empty("projector"), decoder),
        })
    }

    /// Whether the projector's squares of patches fill an image.
    pub(crate) fn merges_evenly(&self) -> bool {
        self.images.side().is_multiple_of(self.projector.merge)
    }

    /// Tokens of a sample's images in the decoder.
    pub(crate) fn image_tokens(&self) -> u32 {
        let side = (self.images.side() / self.projector.merge).max(1);
        side.saturating_mul(side).saturating_mul(self.images.images)
    }

    /// Width of what the projector takes of one token.
    pub(super) fn projected_width(&self) -> u64 {
        let (merge, width) = (
            u64::from(self.projector.merge),
            u64::from(self.encoder.hidden),
        );
        if self.projector.pool {
            width
        } else {
            merge * merge * width
        }
    }

    /// Layers of a pipeline in front of the decoder's: the encoder's, and the projector.
    pub(crate) fn layers(&self) -> u32 {
        self.encoder.layers + 1
    }

    /// Parameters of the projector's products in front of a stream of so many columns, and of the norms of deeper layers,
    /// without the norm behind the encoder's last layer.
    pub(super) fn projector_parameters(&self, decoder: u32) -> u64 {
        let inputs = self.projected_width();
        let bias = |outputs| if self.projector.biases { outputs } else { 0 };
        let product = |(inputs, outputs)| inputs * outputs + bias(outputs);
        let adapter = match self.projector.adapter {
            0 => 0,
            width => product((inputs, u64::from(width))),
        };
        let products: u64 = self.projector.products(inputs, decoder).map(product).sum();
        let deepstack = u64::from(self.projector.deepstack);
        (adapter + products) * (1 + deepstack) + self.deepstack_norm_parameters() * deepstack
    }

    /// Parameters of the norm in front of the projection of a layer besides the last, over squares of patches.
    pub(super) fn deepstack_norm_parameters(&self) -> u64 {
        let merged = u32::try_from(self.projected_width()).unwrap_or(u32::MAX);
        self.encoder.norm_parameters(merged)
    }
}

/// Tokens that cross attention reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// Tokens of a sample.
    pub(super) tokens: u64,
    /// Width of each.
    pub(super) width: u64,
}

impl Model {
    /// Parts of which it is made and which can be frozen; none but of a network of images and text.
    pub(crate) fn parts(&self) -> &'static [Part] {
        let vision = self
            .transformer()
            .and_then(|network| network.vision.as_ref());
        if vision.is_some() { Part::ALL } else { &[] }
    }

    /// The transformer, if it is one.
    pub(crate) fn transformer(&self) -> Option<&Transformer> {
        match &self.architecture {
            Architecture::Transformer(transformer) => Some(transformer),
            Architecture::Cnn(_) => None,
        }
    }

    /// Tokens per sample unless the spec says otherwise; 1 in a convolutional network.
    pub(crate) fn seq_len(&self) -> u32 {
        self.fixed_tokens()
            .or_else(|| Some(self.transformer()?.seq_len))
            .unwrap_or(1)
    }

    /// A warning that kernels of its layers were not measured, where that is so.
    pub(crate) fn unmeasured(&self) -> Option<String> {
        let (network, name) = (self.transformer()?, &self.name);
        if network.state.is_some() {
            return Some(format!(
                "Kernels of {name}'s layers with a state were measured once, outputs of Mamba-2 on an H800: all of them run \
                 at that part of their roofline."
            ));
        }
        let chooses_keys = network.mla.is_some_and(|mla| mla.index_heads > 0);
        chooses_keys.then(|| {
            format!(
                "Nothing was measured of {name}'s sparse attention: it runs as over a window, the choice of keys as a \
                 pass over their scores."
            )
        })
    }

    /// Tokens per sample where the model alone decides on them: of images, and of an encoder-decoder's two stacks.
    pub(crate) fn fixed_tokens(&self) -> Option<u32> {
        match &self.architecture {
            Architecture::Transformer(network) => network.ends.fixed_tokens(),
            Architecture::Cnn(_) => Some(1),
        }
    }
}

impl Transformer {
    /// Whether it was trained with dropout, as a guess from its architecture: transformers with biases
    /// and learned positions were (GPT-2, arXiv 2005.14165 for GPT-3, BERT arXiv 1810.04805), and BLOOM with `ALiBi`
    /// (no flag in train/tr11-176B-ml/tr11-176B-ml.slurm of bigscience-workshop/bigscience, where Megatron drops out a
    /// tenth); those with rotary positions were not (LLaMA, arXiv 2302.13971; PaLM, arXiv 2204.02311).
    pub(crate) const fn usual_dropout(&self) -> bool {
        self.biases && (self.learned_positions > 0 || self.alibi)
    }

    /// Whether queries and keys are rotated, as a guess from its architecture: it has neither learned
    /// positions nor the `LayerNorm` of the models with ALiBi (BLOOM, arXiv 2211.05100; MPT).
    pub(crate) const fn rotary(&self) -> bool {
        self.learned_positions == 0
            && matches!(self.norm, Norm::RmsNorm)
            && matches!(self.ends, Ends::Decoder | Ends::Encoder | Ends::Images(_))
    }

    /// Heads that a split over `tp` tensor-parallel ranks would cut, in words; `None`: it cuts none.
    pub(crate) fn cut_heads(&self, tp: u32) -> Option<String> {
        if !self.heads.is_multiple_of(tp) {
            return Some(format!("{} attention heads", self.heads));
        }
        if let Some(vision) = &self.vision
            && let Some(heads) = vision.encoder.cut_heads(tp)
        {
            return Some(format!("{heads} of the encoder"));
        }
        let state = self.state?;
        let groups = state.state_groups;
        (!groups.is_multiple_of(tp) || !state.state_heads.is_multiple_of(tp))
            .then(|| format!("{groups} groups of {} state heads", state.state_heads))
    }

    /// Input of cross attention: the encoder's output, or a diffusion transformer's conditioning.
    pub(super) fn context(&self) -> Context {
        match self.ends {
            Ends::EncoderDecoder(stacks) => Context {
                tokens: u64::from(stacks.encoder_seq_len),
                width: u64::from(self.hidden),
            },
            Ends::Dit(diffusion) => Context {
                tokens: u64::from(diffusion.context_length),
                width: u64::from(diffusion.context_hidden),
            },
            Ends::Decoder | Ends::Encoder | Ends::Vit(_) | Ends::Images(_) => Context {
                tokens: 0,
                width: 0,
            },
        }
    }

    /// Layers of a pipeline: its own, and those of an encoder of images in front of them with the projector.
    pub(crate) fn depth(&self) -> u32 {
        self.layers + self.vision.as_ref().map_or(0, |vision| vision.layers())
    }

    /// Whether context parallelism can split the sequence: one stack without images and without a selective scan.
    pub(crate) fn splits_sequence(&self) -> bool {
        let pattern = self.pattern.as_ref();
        let is_text = self.ends.is_one_stack() && self.vision.is_none();
        is_text && !pattern.is_some_and(|it| it.has(Letter::Mamba))
    }

    /// Keys that a token of layer `layer` (from 0) sees.
    pub(super) fn sight(&self, layer: u32) -> Sight {
        self.sliding_window
            .as_ref()
            .map_or(Sight::All, |window| window.sight(layer))
    }

    /// Whether layer `layer` (from 0) holds routed experts in place of its MLP.
    pub(super) fn is_routed(&self, layer: u32) -> bool {
        self.moe.is_some_and(|moe| {
            let behind = (layer + 1).checked_sub(moe.dense_layers);
            behind.is_some_and(|behind| behind > 0 && behind.is_multiple_of(moe.moe_every))
        })
    }
}
