//! Routed experts: router, permutation, dispatch, grouped products, combination.

use crate::model::layer::{Exchange, ExpertRows, LayerBuilder, Linear, Passes};
use crate::model::mlp::{activation, gates, keep_activation_input, mlp};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::{CommGroup, CommOp, Mixture, Module};

/// The MLP of a routed layer behind its norm. Tokens are dispatched from the shard that the norm
/// holds, so tensor-parallel ranks act as further data-parallel ones (arXiv 2504.14960).
///
/// Routing is taken as balanced: every expert gets its mean number of tokens.
pub(super) fn block(layer: &mut LayerBuilder, share: &Share, moe: &Mixture) {
    // The router takes what the norm put out as it is, a shared expert possibly cast.
    let elements = share.norm_tokens * share.hidden;
    layer.module(Module::LayerNorm, |layer| {
        layer.keep(elements * layer.element_bytes());
    });
    if moe.shared_experts > 0 && share.shard.format.low_precision {
        layer.keep_normed_input(elements);
    }
    layer.module(Module::Moe, |layer| whole(layer, share, moe));
}

/// Router, shared and routed experts.
fn whole(layer: &mut LayerBuilder, share: &Share, moe: &Mixture) {
    let tokens = share.tokens.div_ceil(share.tp);
    router(layer, share, moe, tokens);
    if moe.shared_experts > 0 {
        layer.module(Module::SharedExperts, |layer| {
            enter(layer, share, Gathered::of(share.hidden));
            let width = u64::from(moe.shared_experts) * u64::from(moe.shared_ffn_hidden);
            mlp(layer, share, width);
            leave(layer, share);
        });
    }
    let width = moe.routed_width(share.hidden);
    let visits = tokens * u64::from(moe.experts_per_token);
    let routed = Routed {
        tokens,
        visits,
        copies: moe.rows(visits),
        width,
    };
    if width != share.hidden {
        latent(layer, share, &routed, Direction::Dispatch);
    }
    permute(layer, share, &routed);
    exchange_tokens(layer, share, &routed, Direction::Dispatch);
    experts(layer, share, moe, &routed);
    exchange_tokens(layer, share, &routed, Direction::Combine);
    permute(layer, share, &routed);
    if width != share.hidden {
        latent(layer, share, &routed, Direction::Combine);
    }
}

impl Mixture {
    /// Width of what routed experts see.
    fn routed_width(&self, hidden: u64) -> u64 {
        self.latent_hidden
            .map_or(hidden, |width| u64::from(width.get()))
    }

    /// Rows that experts work on for so many visits.
    fn rows(&self, visits: u64) -> u64 {
        match self.capacity_factor {
            Some(factor) => libm::ceil(visits as f64 * factor) as u64,
            None => visits,
        }
    }
}

/// Tokens of one rank on their way to the experts and back.
struct Routed {
    tokens: u64,
    /// Experts that they visit, all together.
    visits: u64,
    /// Rows that are sent: a visit each, or as many as the experts' capacity.
    copies: u64,
    width: u64,
}

/// Projection of tokens to the width of the routed experts, or of their outputs back; every rank holds it whole.
fn latent(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let (inputs, outputs) = match direction {
        Direction::Dispatch => (share.hidden, routed.width),
        Direction::Combine => (routed.width, share.hidden),
    };
    let projection = Linear {
        tokens: routed.tokens,
        outputs,
        inputs,
        bias: share.network.biases,
        low_precision: true,
    };
    layer.linear(projection);
    layer.keep_linear_input(routed.tokens * inputs);
    if share.tp > 1 {
        layer.partial(projection.parameters());
    }
}

/// Scores in 32 bits, top-k, and the map from tokens to experts. As separate kernels: casts, soft-max,
/// top-k with its sort, scatters of map and weights, and the sums of the balancing loss
/// (NVIDIA/Megatron-LM megatron/core/transformer/moe/router.py and moe_utils.py).
fn router(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, tokens: u64) {
    let experts = u64::from(moe.experts);
    let weights = Linear {
        tokens,
        outputs: experts,
        inputs: share.hidden,
        bias: share.network.biases,
        low_precision: false,
    };
    layer.linear(weights);
    if share.tp > 1 {
        layer.partial(weights.parameters());
    }
    let scores = 4 * tokens * experts;
    let (forward, backward) = if share.shard.fused_dispatch {
        (6, 3)
    } else {
        (20, 16)
    };
    layer.memory(Passes {
        forward: (4 * scores, forward),
        backward: (4 * scores, backward),
    });
    layer.keep(2 * scores);
}

/// Rows copied into (or summed from) the order of the experts, and the same for their gradients. Around an
/// all-to-all the host launches counts, their exchange and copies, row maps, and the sorting of tokens by expert
/// as well (NVIDIA/Megatron-LM megatron/core/transformer/moe/token_dispatcher.py).
fn permute(layer: &mut LayerBuilder, share: &Share, routed: &Routed) {
    let bytes = (routed.tokens + routed.copies) * routed.width * layer.element_bytes();
    let (forward, backward) = if share.shard.fused_dispatch {
        (2, 2)
    } else {
        (10, 6)
    };
    layer.memory(Passes {
        forward: (bytes, forward),
        backward: (bytes, backward),
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Dispatch,
    Combine,
}

fn exchange_tokens(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let bytes = routed.copies * routed.width * layer.element_bytes();
    let etp = u64::from(share.shard.etp);
    let all_to_all = (share.shard.ep > 1).then_some(Exchange {
        group: CommGroup::Expert,
        forward: Some((CommOp::AllToAll, bytes)),
        backward: Some((CommOp::AllToAll, bytes)),
        overlappable: false,
    });
    let gathered = etp * bytes;
    let (there, back) = match direction {
        Direction::Dispatch => (CommOp::AllGather, CommOp::ReduceScatter),
        Direction::Combine => (CommOp::ReduceScatter, CommOp::AllGather),
    };
    let expert_tensor = (etp > 1).then_some(Exchange {
        group: CommGroup::ExpertTensor,
        forward: Some((there, gathered)),
        backward: Some((back, gathered)),
        overlappable: false,
    });
    let order = match direction {
        Direction::Dispatch => [all_to_all, expert_tensor],
        Direction::Combine => [expert_tensor, all_to_all],
    };
    for exchange in order.into_iter().flatten() {
        layer.exchange(exchange);
    }
}

/// The experts' MLPs over the tokens that were dispatched to them.
fn experts(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, routed: &Routed) {
    let etp = u64::from(share.shard.etp);
    let local = u64::from(moe.experts).div_ceil(u64::from(share.shard.ep));
    let rows = routed.copies * etp;
    let width = u64::from(moe.expert_ffn_hidden).div_ceil(etp);
    let group = ExpertRows {
        experts: local,
        visited: (routed.visits * etp).div_ceil(local),
    };
    let linear = |outputs, inputs| Linear {
        tokens: rows.div_ceil(local),
        outputs,
        inputs,
        bias: share.network.biases,
        low_precision: true,
    };
    layer.experts(
        group,
        linear(gates(share.network.mlp) * width, routed.width),
    );
    layer.keep_linear_input(rows * routed.width);
    keep_activation_input(layer, share, rows * width);
    layer.module(Module::MoeActivation, |layer| {
        activation(layer, share, rows * width);
        layer.keep_linear_input(rows * width);
    });
    layer.experts(group, linear(routed.width, width));
    if !share.shard.fusion.elementwise {
        // Outputs wait for the gradient of the routing weights.
        let outputs = routed.copies * routed.width * layer.element_bytes();
        layer.keep(outputs);
    }
}
