//! Number of parameters of a network, by place.

use std::num::NonZeroU32;

use crate::model::architecture::Ends;
use crate::model::block::{Block, LayerKind};
use crate::model::ends::RELATIVE_POSITIONS;
use crate::model::hybrid::Recurrence;
use crate::model::image::Patches;
use crate::model::modulation::FREQUENCIES;
use crate::model::{Architecture, Cnn, Mixture, Mla, Model, Norm, Transformer};

/// Parameters of a network by place. All counts are exact for the architecture that the model states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// Token, position and segment embeddings, and their norm. A tied head is counted here.
    pub embedding: u64,
    /// Parameters of the layers that each token passes: attention, norms, dense MLPs, routers, shared
    /// experts; in a convolutional network the convolutions and their norms.
    pub dense: u64,
    /// Routed experts.
    pub experts: u64,
    /// Routed experts that one token visits.
    pub active_experts: u64,
    /// Norm behind the last layer and the head's own matrix.
    pub head: u64,
    /// Multi-token-prediction layers.
    pub mtp: u64,
}

impl Parameters {
    /// All trained parameters.
    pub(crate) const fn total(self) -> u64 {
        self.without_mtp() + self.mtp
    }

    /// Parameters as publications count them: all but the multi-token-prediction layers.
    pub(crate) const fn without_mtp(self) -> u64 {
        self.embedding + self.dense + self.experts + self.head
    }

    /// Parameters that one token passes through, embeddings counted whole, without multi-token prediction.
    pub(crate) const fn active(self) -> u64 {
        self.embedding + self.dense + self.active_experts + self.head
    }
}

/// Parameters of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerParameters {
    /// Those that every token passes.
    pub dense: u64,
    /// All routed experts; 0 in a dense layer.
    pub experts: u64,
    /// One routed expert; 0 in a dense layer.
    pub expert: u64,
}

impl Model {
    /// Number of parameters by place, counted from the architecture.
    pub(crate) fn parameters(&self) -> Parameters {
        match &self.architecture {
            Architecture::Transformer(transformer) => transformer.parameters(),
            Architecture::Cnn(cnn) => cnn.parameters(),
        }
    }
}

impl Transformer {
    /// Matrices of all layers as a rank of `tp` (inside experts of `etp`) holds them: rows, columns, and how many there are;
    /// an expert's count once for each expert. Those of layers that carry a state, of cross attention and of an encoder of images are left out.
    pub(crate) fn matrices(&self, tp: u32, etp: u32) -> Vec<(u64, u64, u64)> {
        let part = |width: u64, ranks: u32| width.div_ceil(u64::from(ranks));
        let (hidden, heads) = (u64::from(self.hidden), u64::from(self.heads));
        let gates = if self.mlp.is_gated() { 2 } else { 1 };
        let mut found = if let Some(mla) = &self.mla {
            let (nope, rope) = (
                u64::from(mla.qk_nope_head_dim),
                u64::from(mla.qk_rope_head_dim),
            );
            let (kv, value) = (u64::from(mla.kv_lora_rank), u64::from(mla.v_head_dim));
            let queries = mla.q_lora_rank.map_or(hidden, |rank| u64::from(rank.get()));
            vec![
                (hidden, kv + rope, 1),
                (queries, part(heads * (nope + rope), tp), 1),
                (kv, part(heads * (nope + value), tp), 1),
                (part(heads * value, tp), hidden, 1),
            ]
        } else {
            let (dim, kv_heads) = (u64::from(self.head_dim), u64::from(self.kv_heads));
            vec![
                (hidden, part((heads + 2 * kv_heads) * dim, tp), 1),
                (part(heads * dim, tp), hidden, 1),
            ]
        };
        for matrix in &mut found {
            matrix.2 = u64::from(self.layers);
        }
        let routed = (0..self.layers)
            .filter(|layer| self.is_routed(*layer))
            .count() as u64;
        let dense = u64::from(self.layers) - routed;
        let ffn = part(u64::from(self.ffn_hidden), tp);
        found.extend([(hidden, gates * ffn, dense), (ffn, hidden, dense)]);
        if let Some(moe) = self.moe {
            let width = part(u64::from(moe.expert_ffn_hidden), etp);
            let experts = routed * u64::from(moe.experts);
            found.extend([(hidden, gates * width, experts), (width, hidden, experts)]);
        }
        found.retain(|(_, _, count)| *count > 0);
        found
    }

    /// Parameters of the layers of one kind: their blocks with the norms around them.
    pub(super) fn layer_parameters(&self, kind: LayerKind) -> LayerParameters {
        let mut count = LayerParameters::default();
        let norms = if self.post_norms { 2 } else { 1 };
        for block in kind.blocks() {
            count.dense += self.block_parameters(block);
            if block != Block::Modulation {
                count.dense += norms * self.norm_parameters(self.hidden);
            }
            if let (Block::Experts, Some(moe)) = (block, self.moe) {
                let latent = moe.latent_hidden.map(NonZeroU32::get);
                count.expert =
                    self.mlp_parameters(latent.unwrap_or(self.hidden), moe.expert_ffn_hidden);
                count.experts = u64::from(moe.experts) * count.expert;
            }
        }
        count
    }

    /// Parameters of a block without its norms and routed experts.
    fn block_parameters(&self, block: Block) -> u64 {
        match (block, self.moe, self.state) {
            (Block::Attention { .. }, ..) => self.attention_parameters(),
            (Block::CrossAttention, ..) => self.cross_parameters(),
            (Block::Modulation, ..) => self.linear(self.hidden, 6 * self.hidden, true),
            (Block::Mamba2, _, Some(state)) => self.mamba2_parameters(&state),
            (Block::Mamba, _, Some(state)) => self.mamba_parameters(&state),
            (Block::DeltaNet, _, Some(state)) => self.delta_net_parameters(&state),
            (Block::Experts, Some(moe), _) => self.router_parameters(&moe),
            (Block::Mlp | Block::Experts | Block::Mamba2 | Block::Mamba | Block::DeltaNet, ..) => {
                self.mlp_parameters(self.hidden, self.ffn_hidden)
            }
        }
    }

    /// Router, shared experts, and projections to the width of the routed ones and back.
    fn router_parameters(&self, moe: &Mixture) -> u64 {
        let latent = moe.latent_hidden.map_or(0, |latent| {
            self.linear(self.hidden, latent.get(), self.biases)
                + self.linear(latent.get(), self.hidden, self.biases)
        });
        self.linear(self.hidden, moe.experts, self.biases)
            + latent
            + u64::from(moe.shared_experts)
                * self.mlp_parameters(self.hidden, moe.shared_ffn_hidden)
    }

    /// Queries of the stream, keys and values of a context, and the output (T5, `DiT` with a context).
    fn cross_parameters(&self) -> u64 {
        let width = self.heads * self.head_dim;
        let context = u32::try_from(self.context().width).expect("widths have 32 bits");
        self.linear(self.hidden, width, self.biases)
            + self.linear(context, 2 * self.kv_heads * self.head_dim, self.biases)
            + self.linear(width, self.hidden, self.biases)
    }

    /// Mamba-2 (arXiv 2405.21060 §7): one product to gate, values, keys, queries and steps; convolution with bias; decay,
    /// skip and step bias of each head; a norm; the product behind.
    fn mamba2_parameters(&self, state: &Recurrence) -> u64 {
        let heads = u64::from(state.state_heads);
        self.state_products(state, state.inner() + state.convolved() + heads)
            + state.convolved() * (u64::from(state.conv_width) + 1)
            + 3 * heads
            + state.inner()
    }

    /// Mamba (arXiv 2312.00752 §3): one product to values and gate; convolution with bias; products to steps, keys and
    /// queries, and of the steps to all channels, with bias; decay of each channel and row, skip of each channel; the product
    /// behind.
    fn mamba_parameters(&self, state: &Recurrence) -> u64 {
        let (inner, selected) = (state.inner(), state.selected());
        self.state_products(state, 2 * inner)
            + inner * (u64::from(state.conv_width) + 1)
            + inner * (selected + u64::from(state.step_rank) + 1)
            + inner * (u64::from(state.state_size) + 1)
            + if state.state_norms { selected } else { 0 }
    }

    /// Gated delta net (arXiv 2412.06464): one product to queries, keys, values, gate and two numbers of each head;
    /// convolution; decay and step bias of each head; a norm that heads share; the product behind.
    fn delta_net_parameters(&self, state: &Recurrence) -> u64 {
        let heads = u64::from(state.state_heads);
        self.state_products(state, state.inner() + state.convolved() + 2 * heads)
            + state.convolved() * u64::from(state.conv_width)
            + 2 * heads
            + u64::from(state.state_head_dim)
    }

    /// The products in front of a state and behind it.
    fn state_products(&self, state: &Recurrence, projected: u64) -> u64 {
        let hidden = u64::from(self.hidden);
        let biases = if self.biases { projected + hidden } else { 0 };
        hidden * (projected + state.inner()) + biases
    }

    /// Parameters of the token embedding (and of the head's matrix): vocabulary × hidden.
    pub(crate) fn token_embedding_parameters(&self) -> u64 {
        u64::from(self.vocab) * u64::from(self.hidden)
    }

    /// Parameters of the matrix that embedding and head share, on one of `tp` tensor-parallel ranks:
    /// the vocabulary's part, rounded up, × hidden; `None` where each has its own.
    ///
    /// With pipeline parallelism the first and the last stage each hold a copy.
    pub(crate) fn tied_table_parameters(&self, tp: u32) -> Option<u64> {
        let rows = self.vocab.div_ceil(tp);
        self.tied_embeddings
            .then(|| u64::from(rows) * u64::from(self.hidden))
    }

    /// Parameters of one multi-token-prediction layer: two norms, the projection of (embedding, state)
    /// to a state, one more layer of the network's last kind, and its norm. Embedding and head are
    /// the main network's (DeepSeek-V3, arXiv 2412.19437, §2.2).
    pub(crate) fn mtp_layer_parameters(&self) -> u64 {
        let hidden = u64::from(self.hidden);
        let layer = self.layer_parameters(LayerKind::of_mtp(self));
        layer.dense + layer.experts + 2 * hidden * hidden + 3 * self.norm_parameters(self.hidden)
    }

    fn parameters(&self) -> Parameters {
        let mut count = Parameters {
            embedding: self.embedding_parameters(),
            head: self.head_parameters(),
            mtp: u64::from(self.mtp_layers) * self.mtp_layer_parameters(),
            dense: self.image_parameters(),
            ..Parameters::default()
        };
        let visited = self.moe.map_or(0, |moe| u64::from(moe.experts_per_token));
        for at in 0..self.layers {
            let layer = self.layer_parameters(LayerKind::of(self, at));
            count.dense += layer.dense;
            count.experts += layer.experts;
            count.active_experts += visited * layer.expert;
        }
        count
    }

    /// Layers of an encoder of images, the norm behind them, and the projector; 0 where there is none.
    fn image_parameters(&self) -> u64 {
        self.vision.as_ref().map_or(0, |vision| {
            let encoder = &vision.encoder;
            let layers = (0..encoder.layers).map(|at| LayerKind::of(encoder, at));
            let layers: u64 = layers
                .map(|kind| encoder.layer_parameters(kind).dense)
                .sum();
            layers + encoder.head_parameters() + vision.projector_parameters(self.hidden)
        })
    }

    fn embedding_parameters(&self) -> u64 {
        let hidden = u64::from(self.hidden);
        let patch = |image: &Patches| image.patch_values() * hidden + hidden;
        let rows = u64::from(self.vocab) + u64::from(self.learned_positions);
        let of_kind = match &self.ends {
            Ends::Decoder => 0,
            // BERT adds an embedding of the two segments of its input.
            Ends::Encoder => 2 * hidden,
            Ends::EncoderDecoder(_) => {
                self.norm_parameters(self.hidden) + 2 * RELATIVE_POSITIONS * u64::from(self.heads)
            }
            // Positions of the patches and of the class's token, and that token.
            Ends::Vit(image) => patch(image) + (u64::from(image.patches()) + 2) * hidden,
            Ends::Images(images) => {
                let bias = if images.patch_bias { hidden } else { 0 };
                let class = if images.class_token { hidden } else { 0 };
                images.patch_values() * hidden + bias + class
            }
            Ends::Dit(diffusion) => {
                patch(&diffusion.latent)
                    + self.linear(FREQUENCIES, self.hidden, true)
                    + self.linear(self.hidden, self.hidden, true)
                    + diffusion.class_rows() * hidden
            }
        };
        let norm = if self.embedding_norm {
            self.norm_parameters(self.hidden)
        } else {
            0
        };
        let images = self.vision.as_ref();
        rows * hidden + of_kind + norm + images.map_or(0, |it| it.encoder.embedding_parameters())
    }

    fn head_parameters(&self) -> u64 {
        let matrix = if self.tied_embeddings {
            0
        } else {
            self.token_embedding_parameters()
        };
        let norm = self.norm_parameters(self.hidden);
        match &self.ends {
            Ends::Decoder | Ends::EncoderDecoder(_) => matrix + norm,
            Ends::Encoder => {
                // BERT's norms stand behind each block, so there is no last one; its heads are the pooler,
                // the next-sentence classifier, the transform before the vocabulary and the output's bias.
                let square = self.linear(self.hidden, self.hidden, true);
                matrix
                    + 2 * square
                    + self.linear(self.hidden, 2, true)
                    + norm
                    + u64::from(self.vocab)
            }
            Ends::Vit(image) => norm + self.linear(self.hidden, image.classes, true),
            Ends::Images(_) => norm,
            Ends::Dit(diffusion) => {
                let values = 2 * diffusion.latent.patch_values();
                self.linear(self.hidden, 2 * self.hidden, true)
                    + (u64::from(self.hidden) + 1) * values
            }
        }
    }

    fn attention_parameters(&self) -> u64 {
        let sinks = if self.sinks { self.heads } else { 0 };
        if let Some(mla) = self.mla {
            return self.mla_parameters(mla) + u64::from(sinks);
        }
        let query = self.heads * self.head_dim;
        let gate = if self.attention_gate { query } else { 0 };
        let key_value = 2 * self.kv_heads * self.head_dim;
        let norms = if self.qk_norm {
            2 * self.norm_parameters(self.head_dim)
        } else {
            0
        };
        self.linear(
            self.hidden,
            query + gate + key_value,
            self.biases || self.qkv_biases,
        ) + self.linear(query, self.hidden, self.biases)
            + norms
            + u64::from(sinks)
    }

    /// DeepSeek-V2, arXiv 2405.04434, §2.1: down- and up-projections of queries and of keys and
    /// values, a norm behind each down-projection, one rotary key shared by all heads.
    fn mla_parameters(&self, mla: Mla) -> u64 {
        let query_width = self.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
        let query = match mla.q_lora_rank.map(NonZeroU32::get) {
            None => self.linear(self.hidden, query_width, self.biases),
            Some(rank) => {
                self.linear(self.hidden, rank, self.biases)
                    + self.norm_parameters(rank)
                    + self.linear(rank, query_width, self.biases)
            }
        };
        let key_value = self.linear(
            self.hidden,
            mla.kv_lora_rank + mla.qk_rope_head_dim,
            self.biases,
        ) + self.norm_parameters(mla.kv_lora_rank)
            + self.linear(
                mla.kv_lora_rank,
                self.heads * (mla.qk_nope_head_dim + mla.v_head_dim),
                self.biases,
            );
        query
            + key_value
            + self.linear(self.heads * mla.v_head_dim, self.hidden, self.biases)
            + self.indexer_parameters(mla)
    }

    /// DeepSeek-V3.2 (arXiv 2512.02556 §2.1): queries of the indexer from the compressed ones, one key with its norm, and a
    /// weight of each head.
    fn indexer_parameters(&self, mla: Mla) -> u64 {
        if mla.index_heads == 0 {
            return 0;
        }
        let inputs = mla.q_lora_rank.map_or(self.hidden, NonZeroU32::get);
        self.linear(inputs, mla.index_heads * mla.index_head_dim, false)
            + self.linear(self.hidden, mla.index_head_dim + mla.index_heads, false)
            + 2 * u64::from(mla.index_head_dim)
    }

    /// Parameters of an MLP of `width` between vectors of `outer` values.
    fn mlp_parameters(&self, outer: u32, width: u32) -> u64 {
        let gates = if self.mlp.is_gated() { 2 } else { 1 };
        gates * self.linear(outer, width, self.biases) + self.linear(width, outer, self.biases)
    }

    #[expect(
        clippy::unused_self,
        reason = "reads as one of the transformer's counts"
    )]
    fn linear(&self, inputs: u32, outputs: u32, bias: bool) -> u64 {
        let matrix = u64::from(inputs) * u64::from(outputs);
        matrix + if bias { u64::from(outputs) } else { 0 }
    }

    /// Parameters of a norm over `width` values.
    pub(super) fn norm_parameters(&self, width: u32) -> u64 {
        match self.norm {
            // A diffusion transformer's conditioning is in their place.
            _ if matches!(self.ends, Ends::Dit(_)) => 0,
            // A network without biases has none in its norms either.
            Norm::LayerNorm if self.biases => 2 * u64::from(width),
            Norm::LayerNorm | Norm::RmsNorm => u64::from(width),
        }
    }
}

impl Cnn {
    fn parameters(&self) -> Parameters {
        // A convolution without bias, and scale and shift of its batch norm.
        let conv = |from: u64, to: u64, kernel: u64| from * to * kernel * kernel + 2 * to;
        let mut dense = conv(3, 64, 7);
        let mut from = 64;
        for (stage, blocks) in self.blocks.iter().enumerate() {
            let width = 64_u64 << stage;
            let out = 4 * width;
            for block in 0..*blocks {
                dense += conv(from, width, 1) + conv(width, width, 3) + conv(width, out, 1);
                if block == 0 {
                    dense += conv(from, out, 1);
                }
                from = out;
            }
        }
        Parameters {
            dense,
            head: (from + 1) * u64::from(self.classes),
            ..Parameters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mlp;

    fn gpt2_small() -> Transformer {
        Transformer {
            ends: Ends::Decoder,
            state: None,
            pattern: None,
            layers: 12,
            hidden: 768,
            ffn_hidden: 3072,
            heads: 12,
            kv_heads: 12,
            head_dim: 64,
            vocab: 50257,
            seq_len: 1024,
            mlp: Mlp::Gelu,
            norm: Norm::LayerNorm,
            biases: true,
            qkv_biases: false,
            qk_norm: false,
            post_norms: false,
            attention_gate: false,
            sinks: false,
            clamped_activation: false,
            yarn: false,
            alibi: false,
            embedding_norm: false,
            tied_embeddings: true,
            vision: None,
            learned_positions: 1024,
            mtp_layers: 0,
            sliding_window: None,
            mla: None,
            moe: None,
        }
    }

    // Embedding (50257 + 1024)·768 = 39,383,808. A layer is 12h² + 13h = 7,077,888 + 9,984 = 7,087,872,
    // twelve are 85,054,464. The last norm is 2h = 1,536. Together 124,439,808, the size of the
    // published checkpoint.
    #[test]
    fn gpt2_small_has_124_439_808_parameters() {
        let count = gpt2_small().parameters();
        assert_eq!(count.embedding, 39_383_808);
        assert_eq!(count.dense, 85_054_464);
        assert_eq!(count.head, 1_536);
        assert_eq!(count.total(), 124_439_808);
        assert_eq!(count.active(), count.total());
    }

    // torchvision's resnet50 has 25,557,032 parameters, 2,049,000 of them in the last layer
    // (2048·1000 + 1000).
    #[test]
    fn resnet50_has_25_557_032_parameters() {
        let count = Cnn {
            blocks: [3, 4, 6, 3],
            image_size: 224,
            classes: 1000,
        }
        .parameters();
        assert_eq!(count.head, 2_049_000);
        assert_eq!(count.total(), 25_557_032);
    }

    // BertForPreTraining of bert-base-uncased has 110,106,428 parameters: 109,482,240 of the encoder
    // with its pooler, 592,128 of the transform (768² + 768, and a norm of 1,536), 30,522 output
    // biases and 1,538 of the next-sentence classifier.
    #[test]
    fn bert_base_has_110_106_428_parameters_with_its_heads() {
        let bert = Transformer {
            ends: Ends::Encoder,
            vocab: 30522,
            learned_positions: 512,
            alibi: false,
            embedding_norm: true,
            ..gpt2_small()
        };
        assert_eq!(bert.parameters().total(), 110_106_428);
    }

    // Two experts of 3·4·8 = 96 each in a layer; a token visits one; the router is 4·2.
    #[test]
    fn a_token_passes_only_the_experts_it_visits() {
        let moe = Transformer {
            layers: 3,
            hidden: 4,
            mlp: Mlp::SwiGlu,
            norm: Norm::RmsNorm,
            biases: false,
            moe: Some(Mixture {
                experts: 2,
                experts_per_token: 1,
                expert_ffn_hidden: 8,
                shared_experts: 0,
                shared_ffn_hidden: 8,
                dense_layers: 1,
                moe_every: 1,
                latent_hidden: None,
                capacity_factor: None,
                node_limit: None,
                sigmoid_router: false,
            }),
            ..gpt2_small()
        };
        let count = moe.parameters();
        let layer = |at| moe.layer_parameters(LayerKind::of(&moe, at));
        assert_eq!((layer(1).expert, layer(0).experts), (96, 0));
        assert_eq!(count.experts, 2 * 2 * 96);
        assert_eq!(count.active_experts, 2 * 96);
        assert_eq!(count.total() - count.active(), 2 * 96);
    }
}
