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
/// (reads two). Unfused RMS norm runs as six kernels in 32 bits, a layer norm by its operations as the 8 and 20 of TensorFlow's
/// graph (tf.nn.moments, tf.nn.batch_normalization).
pub(super) fn norm_passes(layer: &mut LayerBuilder, share: &Share, elements: u64) {
    let bytes = elements * layer.element_bytes();
    let fusion = share.shard.fusion;
    let (forward, backward) = match share.network.norm {
        Norm::RmsNorm if !fusion.elementwise => ((18 * bytes, 6), (27 * bytes, 9)),
        Norm::LayerNorm if !fusion.composites => ((15 * bytes, 8), (41 * bytes, 20)),
        Norm::RmsNorm | Norm::LayerNorm => ((2 * bytes, 1), (5 * bytes, 2)),
    };
    layer.memory(Passes { forward, backward });
}

/// Bias, dropout and residual behind a block.
pub(super) fn residual(layer: &mut LayerBuilder, share: &Share) {
    let elements = share.norm_tokens * share.hidden;
    let bytes = elements * layer.element_bytes();
    let add = (3 * bytes, 1);
    if !share.shard.dropout {
        layer.memory(Passes {
            forward: add,
            backward: (0, 0),
        });
        return;
    }
    let Passes { forward, backward } = dropout(share, elements, bytes);
    let forward = if share.shard.fusion.elementwise {
        (add.0 + elements, 1)
    } else {
        (add.0 + forward.0, add.1 + forward.1)
    };
    layer.memory(Passes { forward, backward });
    layer.keep(elements);
}

/// Dropout of so many elements by kernels of its own, with a mask of a byte each. By its operations random numbers are drawn and
/// compared, the input scaled and selected; backward selected and scaled (TensorFlow's graph of tf.nn.dropout).
pub(super) fn dropout(share: &Share, elements: u64, bytes: u64) -> Passes {
    if share.shard.fusion.composites {
        let passes = (2 * bytes + elements, 1);
        return Passes {
            forward: passes,
            backward: passes,
        };
    }
    Passes {
        forward: (6 * bytes + 2 * elements, 4),
        backward: (4 * bytes + elements, 2),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::samples::{last_layer, moved};
    use crate::model::{Fusion, LoweredLayer};

    // BERT-large: 4,096 tokens of 1,024, 4,096 wide inside the MLP, 16 heads. By its operations GELU moves 18 tensors forward and 26
    // backward for 2 and 3, each of two layer norms 15 and 41 for 2 and 5. Each of three dropouts moves 6 tensors and twice the
    // mask of a byte an element forward, 4 and once backward, for 2 and once: 9 bytes more forward, 4 backward.
    #[test]
    fn operations_of_composites_move_what_tensorflow_does() {
        let lowered = |composites| {
            last_layer("bert-large", |shard| {
                (shard.dropout, shard.flash_attention) = (true, false);
                shard.fusion = Fusion {
                    elementwise: false,
                    composites,
                    ..Fusion::ALL
                };
            })
        };
        let [one, many] = [true, false].map(lowered);
        let (hidden, wide, scores) = (4096 * 1024, 4096 * 4096, 16 * 4096 * 4096);
        let dropped = 2 * hidden + scores;
        let forward = 2 * 16 * wide + 2 * 2 * 13 * hidden + 9 * dropped;
        assert_eq!(moved(&many.forward) - moved(&one.forward), forward);
        let backward = 2 * 23 * wide + 2 * 2 * 36 * hidden + 4 * dropped;
        let of = |layer: &LoweredLayer| moved(&layer.backward_input);
        assert_eq!(of(&many) - of(&one), backward);
    }
}
