//! Rotation of queries and keys by their positions.

use crate::model::layer::{LayerBuilder, Passes, by_element};
use crate::model::share::Share;

/// Rotation of `width` columns; eager frameworks take four kernels for each of two tensors.
pub(super) fn rotary(layer: &mut LayerBuilder, share: &Share, width: u64) {
    let bytes = share.tokens * width * layer.element_bytes();
    let passes = if share.shard.fusion.elementwise {
        (2 * bytes, 2)
    } else {
        (9 * bytes, 8)
    };
    layer.memory(Passes {
        forward: passes,
        backward: passes,
    });
}

/// Rotation of so many elements of queries and keys by kernels of one operation. Forward products with cosines and sines, which
/// all heads share, and half the rows negated (five times the bytes of the elements), the concatenation of the halves, the sum, and a
/// concatenation with the columns that are not rotated, of which there are none (seven); six small ones make cosines and sines of
/// each tensor. Backward products and negation again (five), the gradient of the split (two), the sum (three), and that of the columns that are not
/// rotated, set to zero and added (four) (`_apply_rotary_pos_emb_bshd` in megatron/core/models/common/embeddings/rope_utils.py of
/// NVIDIA/Megatron-LM).
pub(super) fn scaled_rotary(layer: &mut LayerBuilder, elements: u64) {
    let bytes = elements * layer.element_bytes();
    layer.operators(Passes {
        forward: (by_element(5 * bytes) + 7 * bytes, 24),
        backward: (by_element(5 * bytes) + 9 * bytes, 14),
    });
}
