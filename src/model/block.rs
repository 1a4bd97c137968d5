//! A transformer block: attention and MLP (or experts) with their norms and residuals.

use crate::model::layer::{LayerBuilder, Linear};
use crate::model::lowered::LoweredLayer;
use crate::model::mlp::mlp;
use crate::model::residual::{norm, residual};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::{Transformer, attention, moe};

/// Differences between the blocks of one transformer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LayerKind {
    routed: bool,
    /// Tokens of local attention; `None`: global.
    window: Option<u64>,
}

impl LayerKind {
    /// The kind of layer `at` (from 0).
    pub(super) fn of(network: &Transformer, at: u32) -> Self {
        Self {
            routed: network.is_routed(at),
            window: network.window(at),
        }
    }
}

/// A layer of one kind.
pub(super) fn layer(share: &Share, kind: LayerKind) -> LoweredLayer {
    let name = if kind.routed { "moe" } else { "dense" };
    let mut layer = LayerBuilder::new(name, share.shard, share.residual_bytes());
    block(&mut layer, share, kind);
    layer.finish()
}

/// Attention and MLP (or experts), each behind its norm and in front of its residual addition.
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
