//! The router of a layer of experts.

use crate::model::Mixture;
use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::share::Share;

/// Scores in 32 bits, top-k, and the map from tokens to experts (operators of `TopKRouter` of Megatron-Core 0.16.1 that are no
/// views, beside its product, counted by a dispatch mode of PyTorch).
///
/// Of separate kernels: casts, soft-max, top-k with its sort, scatters of map and weights, and the sums of the balancing loss, 24
/// forward and 16 backward; with a sigmoid, a bias for each expert and a loss for each sequence 43 and 31. Where scores, choice
/// and loss are a kernel each, in functions of their own, casts and bookkeeping of the loss are left: 9 forward, 9 backward.
pub(super) fn router(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, tokens: u64) {
    let experts = u64::from(moe.experts);
    let weights = Linear {
        tokens,
        outputs: experts,
        inputs: share.hidden,
        bias: share.network.biases,
        low_precision: false,
    };
    if share.shard.fusion.fp32_router {
        layer.linear_in_fp32(weights);
    } else {
        layer.linear(weights);
    }
    if share.tp > 1 {
        layer.partial(weights.parameters());
    }
    let scores = 4 * tokens * experts;
    let shard = share.shard;
    let is_fused = shard.fusion.router || shard.expert_dispatch.token_library().is_some();
    if is_fused {
        let (casts, fused) = ((0, 9), (4 * scores, 3));
        layer.operators(Passes {
            forward: casts,
            backward: casts,
        });
        layer.memory(Passes {
            forward: fused,
            backward: fused,
        });
    } else {
        let (forward, backward) = if moe.sigmoid_router {
            (43, 31)
        } else {
            (24, 16)
        };
        layer.operators(Passes {
            forward: (4 * scores, forward),
            backward: (4 * scores, backward),
        });
    }
    if shard.random_routing {
        randomize(layer, scores);
    }
    layer.keep(2 * scores);
}

/// Replaces scores of so many bytes by random ones: a copy that is filled, in a function which hands the gradient on, and four
/// states of random numbers that are read and set (`RandomSTE` in megatron/core/transformer/moe/moe_utils.py and
/// `CudaRNGStatesTracker.fork` in megatron/core/tensor_parallel/random.py of NVIDIA/Megatron-LM).
fn randomize(layer: &mut LayerBuilder, scores: u64) {
    layer.memory(Passes {
        forward: (3 * scores, 1),
        backward: (0, 1),
    });
    layer.operators(Passes {
        forward: (0, 1 + 4),
        backward: (0, 0),
    });
}
