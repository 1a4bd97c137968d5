//! Transformers: attention, dense MLP, embedding and head, one rank's share of each.
//!
//! Widths of the passes count reads and writes of the tensors a kernel touches; a fused kernel
//! touches its inputs and outputs once, separate ones write every intermediate.

use crate::model::layer::{KeptBy, LayerBuilder, Linear, Passes};
use crate::model::lower::{LoweredLayer, LoweredModel, Shard};
use crate::model::tensor_parallel::{Gathered, enter, gather_again, leave};
use crate::model::transformer_ends::{embedding, head, mtp};
use crate::model::{Mlp, Norm, Transformer, attention, moe};

/// Tokens and widths of one rank.
#[derive(Clone, Copy)]
pub(super) struct Share<'a> {
    pub(super) network: &'a Transformer,
    pub(super) shard: &'a Shard,
    pub(super) tp: u64,
    /// Tokens of a linear layer.
    pub(super) tokens: u64,
    /// Tokens of a norm, a dropout and a residual.
    pub(super) norm_tokens: u64,
    pub(super) hidden: u64,
}

impl<'a> Share<'a> {
    fn new(network: &'a Transformer, shard: &'a Shard) -> Self {
        let tp = u64::from(shard.tp);
        let tokens =
            u64::from(shard.micro_batch) * u64::from(shard.seq_len).div_ceil(u64::from(shard.cp));
        let norm_tokens = if shard.sequence_parallel {
            tokens.div_ceil(tp)
        } else {
            tokens
        };
        Self {
            network,
            shard,
            tp,
            tokens,
            norm_tokens,
            hidden: u64::from(network.hidden),
        }
    }

    /// This rank's part of a width or a number of heads.
    pub(super) fn part(&self, width: u64) -> u64 {
        width.div_ceil(self.tp)
    }

    /// Bytes of the residual stream on this rank.
    pub(super) fn residual_bytes(&self) -> u64 {
        self.norm_tokens * self.hidden * self.shard.format.element_bytes
    }

    /// Columns of the head on this rank; vocabularies are padded to 128 per rank.
    pub(super) fn vocab(&self) -> u64 {
        self.part(u64::from(self.network.vocab))
            .next_multiple_of(128)
    }
}

/// Lowers a transformer.
pub(super) fn lower(network: &Transformer, shard: &Shard) -> LoweredModel {
    let share = Share::new(network, shard);
    let mut kinds = Vec::with_capacity(2);
    let mut layer_kinds = Vec::with_capacity(2);
    let mut sequence = Vec::with_capacity(network.layers as usize);
    for at in 0..network.layers {
        let kind = LayerKind::of(network, at);
        let index = kinds
            .iter()
            .position(|&known| known == kind)
            .unwrap_or_else(|| {
                kinds.push(kind);
                layer_kinds.push(layer(&share, kind));
                kinds.len() - 1
            });
        sequence.push(u16::try_from(index).expect("there are at most four kinds of layer"));
    }
    LoweredModel {
        layer_kinds,
        sequence,
        embedding: embedding(&share),
        head: head(&share),
        mtp: (network.mtp_layers > 0).then(|| mtp(&share)),
    }
}

/// In what the blocks of one transformer differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LayerKind {
    routed: bool,
    /// Tokens of local attention; 0: global.
    window: u64,
}

impl LayerKind {
    pub(super) fn of(network: &Transformer, at: u32) -> Self {
        let routed = network.moe.is_some_and(|moe| at >= moe.dense_layers);
        let window = network.sliding_window.map_or(0, |window| {
            let global = window.global_every > 0 && (at + 1).is_multiple_of(window.global_every);
            if global { 0 } else { u64::from(window.tokens) }
        });
        Self { routed, window }
    }
}

fn layer(share: &Share, kind: LayerKind) -> LoweredLayer {
    let name = if kind.routed { "moe" } else { "dense" };
    let mut layer = LayerBuilder::new(name, share.shard, share.residual_bytes());
    block(&mut layer, share, kind);
    layer.finish()
}

pub(super) fn block(layer: &mut LayerBuilder, share: &Share, kind: LayerKind) {
    norm(layer, share);
    match &share.network.mla {
        Some(mla) => attention::latent_projections(layer, share, mla),
        None => attention::plain_projections(layer, share),
    }
    attention::core(layer, share, kind.window);
    let value_dim = share
        .network
        .mla
        .map_or(share.network.head_dim, |mla| mla.v_head_dim);
    let inputs = share.part(u64::from(share.network.heads)) * u64::from(value_dim);
    layer.linear(Linear {
        tokens: share.tokens,
        outputs: share.hidden,
        inputs,
        bias: share.network.biases,
        low_precision: true,
    });
    leave(layer, share);
    residual(layer, share);
    norm(layer, share);
    match &share.network.moe {
        Some(experts) if kind.routed => moe::block(layer, share, experts),
        Some(_) | None => {
            enter(layer, share, Gathered::of(share.hidden));
            mlp(layer, share, u64::from(share.network.ffn_hidden));
            leave(layer, share);
        }
    }
    residual(layer, share);
}

/// A norm over the residual stream; its input and output are kept.
pub(super) fn norm(layer: &mut LayerBuilder, share: &Share) {
    layer.parameters(share.network.norm_parameters(share.network.hidden));
    let elements = share.norm_tokens * share.hidden;
    norm_passes(layer, share, elements);
    let bytes = elements * layer.element_bytes();
    if share.shard.fused.norm || share.network.norm == Norm::LayerNorm {
        layer.keep(KeptBy::Layer, bytes);
    } else {
        layer.keep(KeptBy::Layer, 4 * elements + bytes);
    }
    // The branch's gradient joins that of the residual stream.
    layer.memory(Passes {
        forward: (0, 0),
        backward: (3 * bytes, 1),
    });
}

/// Work of a norm. Backward: one kernel for the input (reads two, writes one), one for the weights
/// (reads two). Unfused RMS norm runs as six kernels in 32 bits.
pub(super) fn norm_passes(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let bytes = elements * layer.element_bytes();
    let eager = !share.shard.fused.elementwise && share.network.norm == Norm::RmsNorm;
    let (forward, backward) = if eager {
        ((18 * bytes, 6), (27 * bytes, 9))
    } else {
        ((2 * bytes, 1), (5 * bytes, 2))
    };
    layer.memory(Passes { forward, backward });
}

/// Bias, dropout and residual behind a block.
fn residual(layer: &mut LayerBuilder, share: &Share) {
    let elements = share.norm_tokens * share.hidden;
    let bytes = elements * layer.element_bytes();
    let dropout = share.shard.dropout;
    let mask = if dropout { elements } else { 0 };
    let separate = !share.shard.fused.elementwise;
    let mut forward = (3 * bytes + mask, 1);
    if separate && dropout {
        forward = (5 * bytes + mask, 2);
    }
    let backward = if dropout {
        (2 * bytes + mask, 1)
    } else {
        (0, 0)
    };
    layer.memory(Passes { forward, backward });
    layer.keep(KeptBy::Layer, mask);
}

/// Dense MLP of `width` (before sharding) between entry and exit of tensor parallelism.
pub(super) fn mlp(layer: &mut LayerBuilder, share: &Share, width: u64) {
    let network = share.network;
    let width = share.part(width);
    let gates = gates(network.mlp);
    let linear = |outputs, inputs| Linear {
        tokens: share.tokens,
        outputs,
        inputs,
        bias: network.biases,
        low_precision: true,
    };
    layer.linear(linear(gates * width, share.hidden));
    layer.keep_linear_input(KeptBy::Layer, share.norm_tokens * share.hidden);
    gather_again(layer, share, Gathered::of(share.hidden));
    activation(layer, share, share.tokens * width);
    layer.linear(linear(share.hidden, width));
    layer.keep_linear_input(KeptBy::Layer, share.tokens * width);
}

/// Matrices in front of the activation.
pub(super) fn gates(mlp: Mlp) -> u64 {
    match mlp {
        Mlp::SwiGlu => 2,
        Mlp::Gelu | Mlp::SquaredRelu => 1,
    }
}

/// The activation over `elements` outputs; keeps its input.
pub(super) fn activation(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let bytes = elements * layer.element_bytes();
    let fused = share.shard.fused.elementwise;
    let (forward, backward) = match (share.network.mlp, fused) {
        (Mlp::SwiGlu, true) => ((3 * bytes, 1), (5 * bytes, 1)),
        (Mlp::SwiGlu, false) => ((5 * bytes, 2), (11 * bytes, 4)),
        (Mlp::Gelu, _) | (Mlp::SquaredRelu, true) => ((2 * bytes, 1), (3 * bytes, 1)),
        (Mlp::SquaredRelu, false) => ((4 * bytes, 2), (6 * bytes, 2)),
    };
    layer.memory(Passes { forward, backward });
    let inputs = gates(share.network.mlp) * bytes;
    layer.keep(KeptBy::Layer, inputs);
    if share.network.mlp == Mlp::SwiGlu && !share.shard.fused.gated_activation {
        layer.keep(KeptBy::Layer, bytes);
    }
    layer.transient(inputs + bytes + share.tokens * share.hidden * layer.element_bytes());
}
