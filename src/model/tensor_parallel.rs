//! Communication of tensor parallelism around a sharded linear layer (arXiv 2205.05198 section 4.2).

use crate::model::layer::{Direction, Exchange, LayerBuilder};
use crate::model::share::Share;
use crate::model::{Calls, CommGroup, CommOp};

/// An input of a sharded linear layer.
#[derive(Clone, Copy)]
pub(super) struct Gathered {
    pub(super) width: u64,
    /// Whether it is cast to 8 bits before it is gathered.
    pub(super) low_precision: bool,
}

impl Gathered {
    /// An input that a low-precision recipe casts.
    pub(super) const fn of(width: u64) -> Self {
        Self {
            width,
            low_precision: true,
        }
    }

    /// Calls to gather it, beside the communication: scales of blocks are cut to what is in use, and gathered with the tensor in
    /// a group of communications (`_all_gather_mxfp8` in transformer_engine/pytorch/distributed.py of Transformer Engine 2.9).
    fn calls(self, share: &Share) -> Calls {
        Calls::functions((self.low_precision && share.shard.format.block_scales).into())
    }

    fn bytes(self, share: &Share) -> u64 {
        let format = share.shard.format;
        let cast = self.low_precision && format.low_precision;
        share.tokens * self.width * if cast { 1 } else { format.element_bytes }
    }
}

/// The maximum of a tensor, in 32 bits.
const AMAX: (CommOp, u64) = (CommOp::AllReduce, 4);

/// Whether the ranks agree on the maximum of a tensor of which each casts and gathers its tokens (`amax_reduction_group` of
/// Transformer Engine's `Linear` and `LayerNormLinear` under current scaling and sequence parallelism).
fn agrees_on_amax(share: &Share) -> bool {
    share.shard.sequence_parallel && share.shard.format.shares_amax
}

fn of_amax() -> Exchange {
    Exchange {
        group: CommGroup::Tensor,
        forward: None,
        backward: None,
        overlappable: false,
    }
}

/// Communication in front of a sharded linear layer.
pub(super) fn enter(layer: &mut LayerBuilder, share: &Share, input: Gathered) {
    if share.tp == 1 {
        return;
    }
    if agrees_on_amax(share) && input.low_precision {
        layer.exchange(Exchange {
            forward: Some(AMAX),
            ..of_amax()
        });
    }
    let bytes = share.tokens * input.width * layer.element_bytes();
    let (forward, backward) = if share.shard.sequence_parallel {
        layer.call(Direction::Forward, input.calls(share));
        let gathered = (CommOp::AllGather, input.bytes(share));
        (Some(gathered), (CommOp::ReduceScatter, bytes))
    } else {
        (None, (CommOp::AllReduce, bytes))
    };
    layer.exchange(Exchange {
        group: CommGroup::Tensor,
        forward,
        backward: Some(backward),
        overlappable: true,
    });
}

/// Gathers the input that sequence parallelism keeps sharded once more, for the weights' gradient.
pub(super) fn gather_again(layer: &mut LayerBuilder, share: &Share, input: Gathered) {
    if share.tp == 1 || !share.shard.sequence_parallel {
        return;
    }
    layer.call(Direction::BackwardInput, input.calls(share));
    layer.exchange(Exchange {
        group: CommGroup::Tensor,
        forward: None,
        backward: Some((CommOp::AllGather, input.bytes(share))),
        overlappable: true,
    });
}

/// Communication behind a sharded linear layer.
pub(super) fn leave(layer: &mut LayerBuilder, share: &Share) {
    if share.tp == 1 {
        return;
    }
    let bytes = share.tokens * share.hidden * layer.element_bytes();
    let sequence_parallel = share.shard.sequence_parallel;
    let (forward, backward) = if sequence_parallel {
        let gradient = Gathered::of(share.hidden);
        layer.call(Direction::BackwardInput, gradient.calls(share));
        let gathered = (CommOp::AllGather, gradient.bytes(share));
        ((CommOp::ReduceScatter, bytes), Some(gathered))
    } else {
        ((CommOp::AllReduce, bytes), None)
    };
    layer.exchange(Exchange {
        group: CommGroup::Tensor,
        forward: Some(forward),
        backward,
        overlappable: sequence_parallel,
    });
    // Backward passes run in the opposite order: the gradient is cast behind this, and then gathered.
    if agrees_on_amax(share) {
        layer.exchange(Exchange {
            backward: Some(AMAX),
            ..of_amax()
        });
    }
}
