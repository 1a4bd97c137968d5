//! Rows in the order of their experts, and back.

use crate::model::layer::{LayerBuilder, Passes};
use crate::model::moe::routed::{Direction, Routed};
use crate::model::share::Share;
use crate::model::{ExpertDispatch, places_met};

/// Rows copied into (or summed from) the order of the experts, and the same for their gradients. Where no library of its
/// own exchanges tokens, the host calls for small operators besides: forward sums that count rows, copies of the counts to
/// the host and maps of rows, of which a rank that exchanges none needs one sum, one copy and the maps; backward none
/// (operators of `MoEAlltoAllTokenDispatcher` of Megatron-Core 0.16.1 that are no views, counted by a dispatch mode of
/// PyTorch; kernels inside those of transformer_engine/pytorch/triton/permutation.py read there).
pub(super) fn permute(
    layer: &mut LayerBuilder,
    share: &Share,
    routed: &Routed,
    direction: Direction,
) {
    let bytes = routed.permuted(share, direction) * layer.element_bytes();
    layer.memory(Passes {
        forward: (bytes, 2),
        backward: (bytes, 2),
    });
    if !share.shard.fusion.permutation {
        weigh_and_pad(layer, share, routed, direction);
    }
    if share.shard.expert_dispatch.token_library().is_none() {
        let exchanges = share.shard.ep > 1 || share.shard.etp > 1;
        let forward = match (direction, exchanges) {
            (Direction::Dispatch, true) => 14,
            (Direction::Combine, true) => 2,
            (Direction::Dispatch, false) => 6,
            (Direction::Combine, false) => 1,
        };
        layer.operators(Passes {
            forward: (0, forward),
            backward: (0, 0),
        });
    }
}

/// Kernels that weigh rows, and pad each expert's to a multiple of what its product needs. Dispatch: a product with the
/// weights and a copy by index, two passes over the rows each; backward the gradient of the copy is added into rows that were set
/// to zero, four passes, and the product has two inputs, three. Combination: another copy by index
/// (pytorch/torchtitan torchtitan/models/moe/moe.py, `MoE.forward`, and utils.py, `indices_padding_wrapper`), and where the
/// stack adds outputs up by index, that sum.
fn weigh_and_pad(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let rows = routed.copies * routed.width * layer.element_bytes();
    let (forward, backward) = match direction {
        Direction::Dispatch => ((4 * rows, 2), (7 * rows, 4)),
        Direction::Combine => ((2 * rows, 1), (2 * rows, 1)),
    };
    layer.memory(Passes { forward, backward });
    if direction == Direction::Combine && share.shard.fusion.indexed_sum {
        layer.add_by_index(rows);
    }
}

impl Routed {
    /// Elements that permutation reads and writes on one way.
    ///
    /// Around an all-to-all tokens are copied for each expert that they visit, and where a rank has several experts the
    /// rows that arrive are sorted by expert (`sort_chunks_by_idxs`). What DeepEP and HybridEP deliver is a row for each
    /// token that a rank has experts for, copied for each of these experts. Of gathered tokens a rank copies the rows
    /// that visit its experts, and adds their outputs into rows of all.
    fn permuted(&self, share: &Share, direction: Direction) -> u64 {
        let (ranks, etp) = (u64::from(share.shard.ep), u64::from(share.shard.etp));
        let arrives_mixed = self.local > 1 && ranks * etp > 1;
        let sorted = if arrives_mixed {
            2 * self.copies * etp
        } else {
            0
        };
        let copied = (self.tokens + self.copies + sorted) * self.width;
        if ranks == 1 {
            return copied;
        }
        match share.shard.expert_dispatch {
            ExpertDispatch::AllToAll => copied,
            ExpertDispatch::AllGather => match direction {
                Direction::Dispatch => 2 * self.copies * self.width,
                Direction::Combine => (self.copies + self.tokens * ranks) * self.width,
            },
            ExpertDispatch::DeepEp | ExpertDispatch::HybridEp => {
                let met = places_met(ranks as f64, f64::from(self.visited), self.most_groups);
                let arrive = libm::ceil(met * self.width as f64) as u64;
                self.tokens * arrive + self.copies * self.width
            }
        }
    }
}
