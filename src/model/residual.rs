//! Residual stream of a transformer: norms in front of a block, dropout and addition behind it.

use crate::model::layer::{LayerBuilder, Passes};
use crate::model::share::Share;
use crate::model::{Module, Norm};

/// A norm over the residual stream; its input and output are kept.
pub(super) fn norm(layer: &mut LayerBuilder, share: &Share) {
    let parameters = share.network.norm_parameters(share.network.hidden);
    layer.parameters(parameters);
    if share.splits_tokens() {
        layer.partial(parameters);
    }
    let elements = share.norm_tokens * share.hidden;
    let bytes = elements * layer.element_bytes();
    let fused = share.shard.fusion.norm || share.network.norm == Norm::LayerNorm;
    layer.keep(if fused { bytes } else { 4 * elements });
    layer.module(Module::LayerNorm, |layer| {
        norm_passes(layer, share, elements);
        if !fused {
            layer.keep(bytes);
        }
    });
    // The branch's gradient joins that of the residual stream.
    layer.memory(Passes {
        forward: (0, 0),
        backward: (3 * bytes, 1),
    });
}

/// A norm over what a block adds to the residual stream; its input is kept.
pub(super) fn branch_norm(layer: &mut LayerBuilder, share: &Share) {
    let parameters = share.network.norm_parameters(share.network.hidden);
    layer.parameters(parameters);
    if share.splits_tokens() {
        layer.partial(parameters);
    }
    let elements = share.norm_tokens * share.hidden;
    norm_passes(layer, share, elements);
    layer.keep(elements * layer.element_bytes());
}

/// Work of a norm. Backward: one kernel for the input (reads two, writes one), one for the weights
/// (reads two). Unfused RMS norm runs as six kernels in 32 bits.
pub(super) fn norm_passes(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let bytes = elements * layer.element_bytes();
    let eager = !share.shard.fusion.elementwise && share.network.norm == Norm::RmsNorm;
    let (forward, backward) = if eager {
        ((18 * bytes, 6), (27 * bytes, 9))
    } else {
        ((2 * bytes, 1), (5 * bytes, 2))
    };
    layer.memory(Passes { forward, backward });
}

/// Bias, dropout and residual behind a block.
pub(super) fn residual(layer: &mut LayerBuilder, share: &Share) {
    let elements = share.norm_tokens * share.hidden;
    let bytes = elements * layer.element_bytes();
    let dropout = share.shard.dropout;
    let mask = if dropout { elements } else { 0 };
    let separate = !share.shard.fusion.elementwise;
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
    layer.keep(mask);
}
