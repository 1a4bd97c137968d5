//! Routed experts: router, permutation, dispatch, grouped products, combination.

mod exchange;
mod masks;
mod permutation;
mod routed;
mod router;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use self::exchange::exchange_tokens;
use self::masks::Masks;
use self::permutation::permute;
use self::routed::{Direction, Routed, WEIGHT_BYTES};
use self::router::router;
use crate::model::layer::{ExpertRows, LayerBuilder, Linear, Passes, by_element};
use crate::model::mlp::{
    Activated, activation_of, beside_activation, gates, keep_activation_input, mlp,
};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::{ExpertDispatch, ExpertImbalance, ExpertOutputs, Mixture, Module};

/// The MLP of a routed layer behind its norm. Tokens are dispatched from the shard that the norm
/// holds, so tensor-parallel ranks act as further data-parallel ones (arXiv 2504.14960).
///
/// The rank is the one that holds the busiest expert, for which the others wait; balanced, every rank is. It is another
/// one in every layer, so that what a rank keeps from layer to layer is that of a mean rank.
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
    let local = moe.experts.div_ceil(share.shard.ep);
    let routed = Routed {
        tokens,
        visited: moe.experts_per_token,
        most_groups: moe.node_limit.map(NonZeroU32::get),
        local,
        visits,
        kept: moe.rows(visits, 1.0),
        copies: moe.rows(
            visits,
            share.shard.expert_imbalance.of_rank(local, moe.experts),
        ),
        width,
        counted: moe.capacity_factor.is_none(),
    };
    if width != share.hidden {
        latent(layer, share, &routed, Direction::Dispatch);
    }
    let masks = Masks::of(share, moe, width);
    let permute = |layer: &mut LayerBuilder, direction| match &masks {
        Some(masks) => masks.multiply(layer, share, direction),
        None => permute(layer, share, &routed, direction),
    };
    layer.routed(|layer| {
        permute(layer, Direction::Dispatch);
        exchange_tokens(layer, share, &routed, Direction::Dispatch);
        experts(layer, share, moe, &routed);
        exchange_tokens(layer, share, &routed, Direction::Combine);
        permute(layer, Direction::Combine);
    });
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

    /// Most tokens of the busiest expert over the mean of all: those of an expert that every token visits.
    pub(crate) fn most_imbalance(&self) -> f64 {
        f64::from(self.experts) / f64::from(self.experts_per_token)
    }

    /// Share of the visits of tokens to experts that the busiest expert has beyond its capacity, 0–1: `max(f − c, 0) / E` of
    /// E experts with room for c times the mean, of which the busiest has f times the mean; `None` where experts take as many as
    /// come.
    pub(crate) fn dropped(&self, imbalance: ExpertImbalance) -> Option<f64> {
        let beyond = (imbalance.over_mean() - self.capacity_factor?).max(0.0);
        Some(beyond / f64::from(self.experts))
    }

    /// Rows that the experts of a rank work on for so many visits of a mean one, which has `busier` times as many: with a
    /// capacity all experts are padded to it, and tokens beyond it are dropped.
    fn rows(&self, visits: u64, busier: f64) -> u64 {
        match self.capacity_factor {
            Some(factor) => libm::ceil(visits as f64 * factor) as u64,
            None if busier > 1.0 => libm::ceil(visits as f64 * busier) as u64,
            None => visits,
        }
    }
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

/// The experts' MLPs over the tokens that were dispatched to them.
fn experts(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, routed: &Routed) {
    let etp = u64::from(share.shard.etp);
    let local = u64::from(routed.local);
    let rows = routed.copies * etp;
    let width = u64::from(moe.expert_ffn_hidden).div_ceil(etp);
    let pads = share.shard.format.low_precision
        && !share.shard.fusion.expert_padding
        && share.shard.expert_dispatch != ExpertDispatch::HybridEp
        && routed.counted;
    if pads {
        // Rows and their weights, then outputs.
        pad(
            layer,
            rows * (routed.width * layer.element_bytes() + WEIGHT_BYTES),
            2,
        );
    }
    let group = ExpertRows {
        experts: local,
        visited: (routed.visits * etp).div_ceil(local),
        ragged: moe.capacity_factor.is_none(),
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
    let kept = routed.kept * etp;
    layer.keep_linear_input(kept * routed.width);
    keep_activation_input(layer, share, kept * width);
    layer.module(Module::MoeActivation, |layer| {
        if share.network.clamped_activation && !share.shard.fusion.expert_biases {
            limit_gates(layer, rows * width);
        }
        let fused = share.shard.fusion.expert_activation;
        let activated = Activated {
            elements: rows * width,
            kept: kept * width,
            fused,
        };
        activation_of(layer, share, activated);
        layer.keep_linear_input(kept * width);
    });
    layer.experts(group, linear(routed.width, width));
    if pads {
        pad(layer, rows * routed.width * layer.element_bytes(), 1);
    }
    if share.network.biases && !share.shard.fusion.expert_biases {
        add_biases(layer, rows * routed.width, routed.local);
    }
    let tokens = routed.copies * routed.width;
    let element = layer.element_bytes();
    // Outputs, and what their gradient passes through: in fp32 it, its products with weights and with outputs.
    let (outputs, weighing) = match share.shard.fusion.expert_outputs {
        ExpertOutputs::Freed => (0, 0),
        ExpertOutputs::Kept => (element, element),
        ExpertOutputs::Fp32 => (4, element + 3 * 4),
    };
    layer.keep(routed.kept * routed.width * outputs);
    layer.transient(tokens * weighing);
    // Gradients of tokens beside those of gate and input of the second product; then of tokens alone, as they come from the
    // first product and as they are sent back.
    let inner = beside_activation(share, rows * width);
    layer.transient((inner.max(tokens) + tokens) * element);
}

/// Copies so many bytes into rows padded for the products of each expert, or back, by so many kernels (`Fp8Padding` and
/// `Fp8Unpadding` in transformer_engine/pytorch/module; called by `TEGroupedMLP` in megatron/core/transformer/moe/experts.py).
/// HybridEP delivers padded rows.
fn pad(layer: &mut LayerBuilder, bytes: u64, kernels: u32) {
    let copied = (2 * bytes, kernels);
    layer.memory(Passes {
        forward: copied,
        backward: copied,
    });
}

/// Limits both halves of what the activation sees, of `elements` each, which are slices of its rows. Forward two clamps and
/// their concatenation (NVIDIA/Megatron-LM megatron/core/fusions/fused_bias_geglu.py, `weighted_bias_quick_geglu_impl`).
/// Backward, of the one limit and the two, comparisons with what was limited, whose result is a byte, their conjunction (3) and a
/// choice between gradient and zero, and the gradient of the split (`clamp_backward` in
/// torch/csrc/autograd/FunctionsManual.cpp of PyTorch).
fn limit_gates(layer: &mut LayerBuilder, elements: u64) {
    let element = layer.element_bytes();
    let (compared, chosen) = (3 * (element + 1), 2 * (2 * element + 1));
    layer.operators(Passes {
        forward: (
            by_element(4 * element * elements) + 4 * element * elements,
            3,
        ),
        backward: (
            by_element((compared + chosen) * elements) + (3 + 4 * element) * elements,
            9,
        ),
    });
}

/// Adds the weighted biases of so many experts to their outputs, of `elements` together, expert by expert and in fp32.
/// Forward the product of a bias, which all rows share, and weights, which all columns do (4 bytes an element), its sum with the
/// output (10), the concatenation of all experts' (8) and the cast back (6); backward the casts of the gradient to fp32 (6)
/// and for the output (6), its products with weights and biases (16) and their sums (8), and the gradient of the split (4)
/// (NVIDIA/Megatron-LM megatron/core/transformer/moe/experts.py, `TEGroupedMLP._apply_bias`).
fn add_biases(layer: &mut LayerBuilder, elements: u64, experts: u32) {
    layer.operators(Passes {
        forward: (
            by_element(4 * elements) + (10 + 8 + 6) * elements,
            2 * experts + 2,
        ),
        backward: (
            by_element(16 * elements) + (6 + 6 + 8 + 4) * elements,
            7 * experts + 2,
        ),
    });
}
