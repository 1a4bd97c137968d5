//! Exchange of tokens with the ranks that hold their experts.

use crate::model::layer::{Exchange, LayerBuilder};
use crate::model::moe::routed::{Direction, Routed, WEIGHT_BYTES};
use crate::model::share::Share;
use crate::model::{CommGroup, CommOp, ExpertDispatch, ExpertOutputs, Shard};

/// Bytes of a number of rows as it is exchanged (`torch.long`).
const COUNT_BYTES: u64 = 8;

/// Sends rows to their experts, or outputs back. What an all-to-all sends is known once all ranks have told each other how
/// many rows go to each expert; routing weights travel behind their rows where experts apply them
/// (`MoEAlltoAllTokenDispatcher` in NVIDIA/Megatron-LM megatron/core/transformer/moe/token_dispatcher.py).
pub(super) fn exchange_tokens(
    layer: &mut LayerBuilder,
    share: &Share,
    routed: &Routed,
    direction: Direction,
) {
    let shard = share.shard;
    let is_all_to_all = shard.expert_dispatch == ExpertDispatch::AllToAll;
    let ranks = u64::from(shard.ep) * u64::from(shard.etp);
    if direction == Direction::Dispatch && is_all_to_all && routed.counted && ranks > 1 {
        let counts = ranks * u64::from(routed.local * shard.ep) * COUNT_BYTES;
        let group = if shard.ep > 1 {
            CommGroup::ExpertCounts
        } else {
            CommGroup::ExpertTensor
        };
        layer.exchange(Exchange {
            group,
            forward: Some((CommOp::AllGather, counts)),
            backward: None,
            overlappable: false,
        });
    }
    let weighs = direction == Direction::Dispatch
        && is_all_to_all
        && shard.fusion.expert_outputs == ExpertOutputs::Freed;
    let rows = routed.width * layer.element_bytes();
    let widths = [Some(rows), weighs.then_some(WEIGHT_BYTES)];
    let between_experts = widths.map(|width| {
        let width = width.filter(|_| shard.ep > 1)?;
        Some(between_experts(shard, routed, (direction, width)))
    });
    let expert_tensor = widths.map(|width| {
        let width = width.filter(|_| shard.etp > 1)?;
        Some(expert_tensor(shard, routed, (direction, width)))
    });
    let order = match direction {
        Direction::Dispatch => [between_experts, expert_tensor],
        Direction::Combine => [expert_tensor, between_experts],
    };
    for exchange in order.into_iter().flatten().flatten() {
        layer.exchange(exchange);
    }
}

/// The exchange with the ranks that hold other experts, of rows of so many bytes.
fn between_experts(
    shard: &Shard,
    routed: &Routed,
    (direction, width): (Direction, u64),
) -> Exchange {
    let tokens = routed.tokens * width * u64::from(shard.ep);
    let ((there, back), sent) = match (shard.expert_dispatch, direction) {
        (ExpertDispatch::AllGather, Direction::Dispatch) => {
            ((CommOp::AllGather, CommOp::ReduceScatter), tokens)
        }
        (ExpertDispatch::AllGather, Direction::Combine) => {
            ((CommOp::ReduceScatter, CommOp::AllGather), tokens)
        }
        (ExpertDispatch::AllToAll | ExpertDispatch::DeepEp | ExpertDispatch::HybridEp, _) => {
            ((CommOp::AllToAll, CommOp::AllToAll), routed.copies * width)
        }
    };
    Exchange {
        group: CommGroup::Expert,
        forward: Some((there, sent)),
        backward: Some((back, sent)),
        overlappable: false,
    }
}

/// The exchange with the ranks that hold other parts of the same experts, of rows of so many bytes.
fn expert_tensor(shard: &Shard, routed: &Routed, (direction, width): (Direction, u64)) -> Exchange {
    let gathered = u64::from(shard.etp) * routed.copies * width;
    let (there, back) = match direction {
        Direction::Dispatch => (CommOp::AllGather, CommOp::ReduceScatter),
        Direction::Combine => (CommOp::ReduceScatter, CommOp::AllGather),
    };
    Exchange {
        group: CommGroup::ExpertTensor,
        forward: Some((there, gathered)),
        backward: Some((back, gathered)),
        overlappable: false,
    }
}
