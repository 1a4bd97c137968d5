//! MLP of a transformer: matrices and activation.

use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, gather_again};
use crate::model::{Fusion, Mlp, Module};

/// Dense MLP of `width` (before sharding) between entry and exit of tensor parallelism; its input is kept elsewhere.
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
    layer.module(Module::MlpIn, |layer| {
        layer.linear_of(linear(gates * width, share.hidden), gates as u32);
        gather_again(layer, share, Gathered::of(share.hidden));
        keep_activation_input(layer, share, share.tokens * width);
        layer.module(Module::MlpActivation, |layer| {
            activation(layer, share, share.tokens * width);
            layer.keep_linear_input(share.tokens * width);
        });
    });
    layer.linear(linear(share.hidden, width));
}

/// Matrices in front of the activation.
pub(super) fn gates(mlp: Mlp) -> u64 {
    if mlp.is_gated() { 2 } else { 1 }
}

/// Keeps the input of the activation over `elements` outputs.
pub(super) fn keep_activation_input(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    layer.keep(gates(share.network.mlp) * elements * layer.element_bytes());
}

/// The activation over `elements` outputs.
pub(super) fn activation(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let fused = share.shard.fusion.gated_activation;
    let activated = Activated {
        elements,
        kept: elements,
        fused,
    };
    activation_of(layer, share, activated);
}

/// What an activation works on.
#[derive(Clone, Copy)]
pub(super) struct Activated {
    /// Its outputs, and those that are kept until the backward pass.
    pub(super) elements: u64,
    pub(super) kept: u64,
    /// Whether a gated one is fused, and keeps no activated half.
    pub(super) fused: bool,
}

/// The activation, which where it is gated and not fused keeps the activated half too.
pub(super) fn activation_of(layer: &mut LayerBuilder, share: &Share, activated: Activated) {
    let Activated {
        elements,
        kept,
        fused,
    } = activated;
    let bytes = elements * layer.element_bytes();
    let Fusion {
        elementwise,
        composites,
        ..
    } = share.shard.fusion;
    let (forward, backward) = match (share.network.mlp, elementwise) {
        (Mlp::SwiGlu | Mlp::GeGlu, true) => ((3 * bytes, 1), (5 * bytes, 1)),
        (Mlp::SwiGlu | Mlp::GeGlu, false) => ((5 * bytes, 2), (11 * bytes, 4)),
        // By tanh, of whose operations the backward pass needs the hyperbolic tangent and what multiplies the input
        // (TensorFlow's graph of both passes).
        (Mlp::Gelu, _) if !composites => {
            layer.keep(2 * kept * layer.element_bytes());
            ((18 * bytes, 8), (26 * bytes, 10))
        }
        (Mlp::Gelu, _) | (Mlp::SquaredRelu, true) => ((2 * bytes, 1), (3 * bytes, 1)),
        (Mlp::SquaredRelu, false) => ((4 * bytes, 2), (6 * bytes, 2)),
    };
    layer.memory(Passes { forward, backward });
    if share.network.mlp.is_gated() && !fused {
        layer.keep(kept * layer.element_bytes());
    }
    layer.transient(
        beside_activation(share, bytes) + share.tokens * share.hidden * layer.element_bytes(),
    );
}

/// Bytes that gradients around an activation take beside what is kept of it, whose output is as many bytes: that of the
/// output, and those of the inputs unless they take the place of these.
pub(super) fn beside_activation(share: &Share, output: u64) -> u64 {
    if share.shard.fusion.in_place_gradients {
        output
    } else {
        (gates(share.network.mlp) + 1) * output
    }
}
