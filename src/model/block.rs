//! Blocks of a transformer's layer: attention, MLP and experts with their norms and residuals.

use std::fmt;

use crate::model::layer::{LayerBuilder, Linear};
use crate::model::lowered::LoweredLayer;
use crate::model::mlp::mlp;
use crate::model::residual::{branch_norm, norm, residual};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::window::Sight;
use crate::model::{Transformer, attention, moe};

/// One block of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Attention over the keys in sight.
    Attention(Sight),
    /// Dense MLP.
    Mlp,
    /// Routed experts.
    Experts,
}

/// The blocks of a layer: what tells the layers of one transformer apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LayerKind(pub(super) [Block; 2]);

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attention(Sight::All) => f.write_str("attention"),
            Self::Attention(Sight::Last(tokens)) => write!(f, "attention over {tokens}"),
            Self::Attention(Sight::Chunk(tokens)) => write!(f, "attention in {tokens}"),
            Self::Mlp => f.write_str("MLP"),
            Self::Experts => f.write_str("experts"),
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0;
        write!(f, "{first}, {second}")
    }
}

impl LayerKind {
    /// The kind of layer `at` (from 0).
    pub(super) fn of(network: &Transformer, at: u32) -> Self {
        let second = if network.is_routed(at) {
            Block::Experts
        } else {
            Block::Mlp
        };
        Self([Block::Attention(network.sight(at)), second])
    }

    /// The kind in a word.
    fn name(self) -> &'static str {
        if self.0.contains(&Block::Experts) {
            "moe"
        } else {
            "dense"
        }
    }
}

/// A layer of one kind.
pub(super) fn layer(share: &Share, kind: LayerKind) -> LoweredLayer {
    let mut layer = LayerBuilder::new(kind.name(), share.shard, share.residual_bytes());
    blocks(&mut layer, share, kind);
    layer.finish()
}

/// The blocks of a layer, each behind its norm and in front of its residual addition.
pub(super) fn blocks(layer: &mut LayerBuilder, share: &Share, kind: LayerKind) {
    for block in kind.0 {
        norm(layer, share);
        match (block, &share.network.moe) {
            (Block::Attention(sight), _) => self_attention(layer, share, sight),
            (Block::Experts, Some(experts)) => moe::block(layer, share, experts),
            (Block::Experts | Block::Mlp, _) => {
                enter(layer, share, Gathered::of(share.hidden));
                mlp(layer, share, u64::from(share.network.ffn_hidden));
                leave(layer, share);
            }
        }
        if share.network.post_norms {
            branch_norm(layer, share);
        }
        residual(layer, share);
    }
}

/// Projections, attention over the keys in sight, and the product behind it.
fn self_attention(layer: &mut LayerBuilder, share: &Share, sight: Sight) {
    let network = share.network;
    match &network.mla {
        Some(mla) => attention::latent_projections(layer, share, mla),
        None => attention::plain_projections(layer, share),
    }
    attention::core(layer, share, sight);
    let value_dim = network.mla.map_or(network.head_dim, |mla| mla.v_head_dim);
    let inputs = share.part(u64::from(network.heads)) * u64::from(value_dim);
    if network.attention_gate {
        attention::gate(layer, share, inputs);
    }
    layer.linear(Linear {
        tokens: share.tokens,
        outputs: share.hidden,
        inputs,
        bias: network.biases,
        low_precision: true,
    });
    leave(layer, share);
}
