//! MLP of a transformer: matrices and activation.

use crate::model::Mlp;
use crate::model::layer::{KeptBy, LayerBuilder, Linear, Passes};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, gather_again};

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
    if mlp.is_gated() { 2 } else { 1 }
}

/// The activation over `elements` outputs; keeps its input.
pub(super) fn activation(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let bytes = elements * layer.element_bytes();
    let fused = share.shard.fusion.elementwise;
    let (forward, backward) = match (share.network.mlp, fused) {
        (Mlp::SwiGlu | Mlp::GeGlu, true) => ((3 * bytes, 1), (5 * bytes, 1)),
        (Mlp::SwiGlu | Mlp::GeGlu, false) => ((5 * bytes, 2), (11 * bytes, 4)),
        (Mlp::Gelu, _) | (Mlp::SquaredRelu, true) => ((2 * bytes, 1), (3 * bytes, 1)),
        (Mlp::SquaredRelu, false) => ((4 * bytes, 2), (6 * bytes, 2)),
    };
    layer.memory(Passes { forward, backward });
    let inputs = gates(share.network.mlp) * bytes;
    layer.keep(KeptBy::Layer, inputs);
    if share.network.mlp.is_gated() && !share.shard.fusion.gated_activation {
        layer.keep(KeptBy::Layer, bytes);
    }
    layer.transient(inputs + bytes + share.tokens * share.hidden * layer.element_bytes());
}
