//! Blocks of a layer with their norms and residuals, and which layer has which.

use std::fmt;

use crate::model::architecture::Ends;
use crate::model::attention::{self, Keys};
use crate::model::hybrid::Letter;
use crate::model::layer::{LayerBuilder, Linear};
use crate::model::lowered::LoweredLayer;
use crate::model::mlp::mlp;
use crate::model::residual::{branch_norm, norm, residual};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::window::Sight;
use crate::model::{Module, Transformer, modulation, moe, state};

/// One block of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Scales, shifts and gates of the other blocks, from a diffusion transformer's conditioning.
    Modulation,
    /// Attention over the keys in sight.
    Attention { sight: Sight, causal: bool },
    /// Attention to the tokens of an encoder or a conditioning.
    CrossAttention,
    /// Mamba-2.
    Mamba2,
    /// Mamba.
    Mamba,
    /// Gated delta net.
    DeltaNet,
    /// Dense MLP.
    Mlp,
    /// Routed experts.
    Experts,
}

/// The blocks of a layer: what tells the layers of one network apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LayerKind([Option<Block>; 4]);

impl LayerKind {
    /// The kind of layer `at` (from 0).
    pub(super) fn of(network: &Transformer, at: u32) -> Self {
        let attention = |causal| Block::Attention {
            sight: network.sight(at),
            causal,
        };
        if let Some(pattern) = &network.pattern {
            return Self::single(match pattern.at(at) {
                Letter::Attention => attention(true),
                Letter::Mamba2 => Block::Mamba2,
                Letter::Mamba => Block::Mamba,
                Letter::DeltaNet => Block::DeltaNet,
                Letter::Mlp => Block::Mlp,
                Letter::Experts => Block::Experts,
            });
        }
        let second = if network.is_routed(at) {
            Block::Experts
        } else {
            Block::Mlp
        };
        match network.ends {
            Ends::Decoder => Self::pair(attention(true), second),
            Ends::Encoder | Ends::Vit(_) | Ends::Images(_) => Self::pair(attention(false), second),
            Ends::EncoderDecoder(stacks) if at < stacks.encoder_layers => {
                Self::pair(attention(false), second)
            }
            Ends::EncoderDecoder(_) => Self([
                Some(attention(true)),
                Some(Block::CrossAttention),
                Some(second),
                None,
            ]),
            Ends::Dit(diffusion) => Self([
                Some(Block::Modulation),
                Some(attention(false)),
                (diffusion.context_length > 0).then_some(Block::CrossAttention),
                Some(second),
            ]),
        }
    }

    /// The kind of a multi-token-prediction layer: the last one's, in a hybrid network attention with experts or an MLP.
    pub(super) fn of_mtp(network: &Transformer) -> Self {
        if network.pattern.is_none() {
            return Self::of(network, network.layers.saturating_sub(1));
        }
        let attention = Block::Attention {
            sight: Sight::All,
            causal: true,
        };
        let second = if network.moe.is_some() {
            Block::Experts
        } else {
            Block::Mlp
        };
        Self::pair(attention, second)
    }

    fn single(block: Block) -> Self {
        Self([Some(block), None, None, None])
    }

    fn pair(first: Block, second: Block) -> Self {
        Self([Some(first), Some(second), None, None])
    }

    /// The blocks in their order.
    pub(super) fn blocks(self) -> impl Iterator<Item = Block> {
        self.0.into_iter().flatten()
    }

    /// The kind in a word.
    fn name(self) -> &'static str {
        if self.0.contains(&Some(Block::Experts)) {
            "moe"
        } else {
            "dense"
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Modulation => f.write_str("modulation"),
            Self::Attention { sight, .. } => match sight {
                Sight::All => f.write_str("attention"),
                Sight::Last(tokens) => write!(f, "attention over {tokens}"),
                Sight::Chunk(tokens) => write!(f, "attention in {tokens}"),
            },
            Self::CrossAttention => f.write_str("cross attention"),
            Self::Mamba2 => f.write_str("Mamba-2"),
            Self::Mamba => f.write_str("Mamba"),
            Self::DeltaNet => f.write_str("gated delta net"),
            Self::Mlp => f.write_str("MLP"),
            Self::Experts => f.write_str("experts"),
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, block) in self.blocks().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{block}")?;
        }
        Ok(())
    }
}

impl Transformer {
    /// Whether some layer has attention.
    pub(super) fn has_attention(&self) -> bool {
        self.has_block(|block| matches!(block, Block::Attention { .. } | Block::CrossAttention))
    }

    /// Whether some layer has a dense MLP.
    pub(super) fn has_dense_mlp(&self) -> bool {
        self.has_block(|block| block == Block::Mlp)
    }

    fn has_block(&self, wanted: fn(Block) -> bool) -> bool {
        (0..self.layers).any(|at| LayerKind::of(self, at).blocks().any(wanted))
    }
}

/// A layer of one kind.
pub(super) fn layer(share: &Share, kind: LayerKind) -> LoweredLayer {
    let name = match share.network.ends {
        Ends::Images(_) => "encoder",
        _ => kind.name(),
    };
    let mut layer = share.layer(name, share.residual_bytes());
    blocks(&mut layer, share, kind);
    layer.finish()
}

/// The blocks of a layer, each behind its norm and in front of its residual addition.
pub(super) fn blocks(layer: &mut LayerBuilder, share: &Share, kind: LayerKind) {
    let network = share.network;
    for block in kind.blocks() {
        if block == Block::Modulation {
            modulation::modulate(layer, share);
            continue;
        }
        norm(layer, share);
        match (block, &network.moe, &network.state) {
            (Block::Attention { sight, causal }, ..) => self_attention(layer, share, sight, causal),
            (Block::CrossAttention, ..) => cross_attention(layer, share),
            (Block::Mamba2, _, Some(sizes)) => state::mamba2(layer, share, sizes),
            (Block::Mamba, _, Some(sizes)) => state::mamba(layer, share, sizes),
            (Block::DeltaNet, _, Some(sizes)) => state::delta_net(layer, share, sizes),
            (Block::Experts, Some(experts), _) => moe::block(layer, share, experts),
            // Experts and states without sizes do not come out of a checked table.
            (
                Block::Mlp
                | Block::Experts
                | Block::Mamba2
                | Block::Mamba
                | Block::DeltaNet
                | Block::Modulation,
                ..,
            ) => {
                layer.keep_normed_input(share.norm_tokens * share.hidden);
                layer.module(Module::Mlp, |layer| {
                    enter(layer, share, Gathered::of(share.hidden));
                    mlp(layer, share, u64::from(network.ffn_hidden));
                    leave(layer, share);
                });
            }
        }
        if network.post_norms {
            branch_norm(layer, share);
        }
        residual(layer, share);
    }
}

/// Projections, attention over the keys in sight, and the product behind it.
fn self_attention(layer: &mut LayerBuilder, share: &Share, sight: Sight, causal: bool) {
    let network = share.network;
    match &network.mla {
        Some(mla) => {
            attention::latent_projections(layer, share, mla);
            if mla.index_heads > 0 {
                attention::indexer(layer, share, mla);
            }
        }
        None => attention::plain_projections(layer, share),
    }
    let keys = Keys::of(share, sight, causal);
    let chosen = network.mla.filter(|mla| mla.index_heads > 0);
    attention::core(
        layer,
        share,
        match chosen {
            Some(mla) => keys.at_most(u64::from(mla.index_top_k)),
            None => keys,
        },
    );
    output(layer, share);
}

/// The product behind attention, and its gate.
fn output(layer: &mut LayerBuilder, share: &Share) {
    let network = share.network;
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

/// Attention to the context of the layers.
fn cross_attention(layer: &mut LayerBuilder, share: &Share) {
    let context = share.network.context();
    attention::cross_projections(layer, share, context);
    attention::core(layer, share, Keys::of_context(share, context));
    output(layer, share);
}
