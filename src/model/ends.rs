//! Both ends of a transformer: embedding, head with its loss, multi-token prediction.

use crate::model::architecture::Ends;
use crate::model::block::{LayerKind, blocks};
use crate::model::layer::{Exchange, LayerBuilder, Linear, Passes};
use crate::model::lowered::LoweredLayer;
use crate::model::mlp::{activation, keep_activation_input};
use crate::model::residual::norm;
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, gather_again};
use crate::model::{CommGroup, CommOp, modulation};

/// Operators in front of the first layer; `beside` adds those of another network's.
pub(super) fn embedding(share: &Share, beside: impl FnOnce(&mut LayerBuilder)) -> LoweredLayer {
    let mut layer = match &share.network.ends {
        Ends::Vit(image) => modulation::image_embedding(share, image),
        Ends::Dit(diffusion) => modulation::latent_embedding(share, diffusion),
        Ends::Decoder | Ends::Encoder | Ends::EncoderDecoder(_) | Ends::Images(_) => {
            token_embedding(share)
        }
    };
    beside(&mut layer);
    layer.finish()
}

/// Table look-up, positions, an encoder's segments; the norm behind the first of two stacks, and their relative
/// positions.
fn token_embedding(share: &Share) -> LayerBuilder {
    let network = share.network;
    let mut layer = share.layer("embedding", 8 * share.tokens);
    let element = layer.element_bytes();
    let stream = share.tokens * share.hidden * element;
    layer.parameters(share.part(u64::from(network.vocab)) * share.hidden);
    layer.memory(Passes {
        forward: (2 * stream, 1),
        backward: (0, 0),
    });
    // The scatter of the gradients: sorted indices, rows read, rows of the table read and written.
    layer.weight_memory(3 * stream, 3);
    if share.tp > 1 {
        let exchange = if share.shard.sequence_parallel {
            (
                (CommOp::ReduceScatter, stream),
                Some((CommOp::AllGather, stream)),
            )
        } else {
            ((CommOp::AllReduce, stream), None)
        };
        layer.exchange(Exchange {
            group: CommGroup::Tensor,
            forward: Some(exchange.0),
            backward: exchange.1,
            overlappable: false,
        });
    }
    layer.operators(Passes {
        forward: (0, BATCH_OPERATORS),
        backward: (0, 0),
    });
    let local = share.residual_bytes();
    if network.learned_positions > 0 {
        layer.parameters(u64::from(network.learned_positions) * share.hidden);
        layer.memory(Passes {
            forward: (3 * local, 1),
            backward: (local, 1),
        });
    }
    if let Ends::EncoderDecoder(stacks) = network.ends {
        norm(&mut layer, &share.over(u64::from(stacks.encoder_seq_len)));
        layer.parameters(2 * RELATIVE_POSITIONS * share.part(u64::from(network.heads)));
    }
    if network.ends == Ends::Encoder {
        // The embedding of the two segments of an input.
        layer.parameters(2 * share.hidden);
        layer.memory(Passes {
            forward: (3 * local, 1),
            backward: (local, 1),
        });
    }
    if network.embedding_norm {
        norm(&mut layer, share);
    }
    if share.shard.dropout {
        let mask = share.norm_tokens * share.hidden;
        layer.memory(Passes {
            forward: (2 * local + mask, 1),
            backward: (2 * local + mask, 1),
        });
        layer.keep(mask);
    }
    layer
}

/// Operators that make a microbatch: sizes and tokens sent to the GPU and between ranks, tokens and labels cut, positions,
/// masks of loss and attention (Megatron-LM 2.5 pretrain_gpt.py get_batch, megatron/mpu/data.py broadcast_data,
/// megatron/utils.py get_ltor_masks_and_position_ids).
const BATCH_OPERATORS: u32 = 20;
/// Operators from the loss of each token to the one that is reported: cast, mask, sum and mean, copy, mean over ranks,
/// division by the microbatches (Megatron-LM 2.5 pretrain_gpt.py loss_func).
const LOSS_OPERATORS: u32 = 10;

/// Distances that T5's attention tells apart, of each head and stack (arXiv 1910.10683 §2.1).
pub(super) const RELATIVE_POSITIONS: u64 = 32;

/// Masked tokens of 32: 20 predictions for 128 tokens, 80 for 512 (arXiv 1810.04805 masks 15%).
const MASKED_OF_32: u64 = 5;

/// Operators behind the last layer.
pub(super) fn head(share: &Share) -> LoweredLayer {
    match &share.network.ends {
        Ends::Vit(image) => modulation::image_head(share, image),
        Ends::Dit(diffusion) => modulation::latent_head(share, diffusion),
        Ends::Decoder | Ends::Encoder | Ends::EncoderDecoder(_) | Ends::Images(_) => {
            token_head(share)
        }
    }
}

/// Final norm, logits and loss.
fn token_head(share: &Share) -> LoweredLayer {
    let network = share.network;
    let is_encoder = network.ends == Ends::Encoder;
    let mut layer = share.layer("head", share.residual_bytes());
    let masked = |tokens: u64| (tokens * MASKED_OF_32).div_ceil(32);
    let share = &if share.shard.masked_head && is_encoder {
        Share {
            tokens: masked(share.tokens),
            norm_tokens: masked(share.norm_tokens),
            ..*share
        }
    } else {
        *share
    };
    if is_encoder {
        language_model_transform(&mut layer, share);
    }
    norm(&mut layer, share);
    if !network.tied_embeddings {
        layer.parameters(share.part(u64::from(network.vocab)) * share.hidden);
    }
    logits(&mut layer, share);
    layer.operators(Passes {
        forward: (0, LOSS_OPERATORS),
        backward: (0, LOSS_OPERATORS / 2),
    });
    layer.finish()
}

/// The dense layer in front of an encoder's logits; not sharded over tensor parallelism.
fn language_model_transform(layer: &mut LayerBuilder, share: &Share) {
    let transform = Linear {
        tokens: share.norm_tokens,
        outputs: share.hidden,
        inputs: share.hidden,
        bias: true,
        low_precision: false,
    };
    layer.linear(transform);
    if share.splits_tokens() {
        layer.partial(transform.parameters());
    }
    let elements = share.norm_tokens * share.hidden;
    layer.keep_linear_input(elements);
    keep_activation_input(layer, share, elements);
    activation(layer, share, elements);
    layer.parameters(u64::from(share.network.vocab));
    // Pooler and next-sentence classifier see one token of each sequence: parameters, hardly work.
    layer.parameters((share.hidden + 1) * (share.hidden + 2));
}

/// Logits and loss. The loss function decides what is held per logit (`Shard::logit_bytes`). In a loss over
/// a sharded vocabulary the maximum, the exponentials, their sum and the target's logit are separate passes,
/// with three small all-reduces between the shards; a framework that has no other runs it on one shard too.
fn logits(layer: &mut LayerBuilder, share: &Share) {
    let element = layer.element_bytes();
    let stream = Gathered {
        width: share.hidden,
        low_precision: false,
    };
    enter(layer, share, stream);
    let vocab = share.vocab();
    let columns = share.part(u64::from(share.network.vocab));
    let parts = share.shard.loss_parts;
    let chunks = parts.count(share.tokens, share.hidden, columns);
    let rows = share.tokens.div_ceil(chunks);
    for _ in 0..chunks {
        layer.product(Linear {
            tokens: rows,
            outputs: vocab,
            inputs: share.hidden,
            bias: false,
            low_precision: false,
        });
    }
    // Rows that fill the last chunk up are no work of the model.
    let filling = (rows * chunks - share.tokens) as f64;
    layer.model_flops(-2.0 * filling * vocab as f64 * share.hidden as f64);
    layer.keep(share.norm_tokens * share.hidden * element);
    gather_again(layer, share, stream);
    let count = share.tokens * vocab;
    let (forward, backward) = if share.shard.fusion.cross_entropy {
        ((2 * element * count, 2), (0, 0))
    } else if share.tp > 1 || share.shard.fusion.vocab_parallel_loss {
        (((element + 36) * count, 8), ((element + 12) * count, 3))
    } else {
        (((element + 12) * count, 3), ((element + 16) * count, 3))
    };
    let of_chunks = |(bytes, kernels): (u64, u32)| (bytes, kernels * chunks as u32);
    layer.operators(Passes {
        forward: of_chunks(forward),
        backward: of_chunks(backward),
    });
    let held = share.shard.logit_bytes;
    if parts.is_chunked() {
        // Logits of one chunk, and the gradients of all its inputs; each chunk adds to the gradient of the weights.
        let logits = (held.kept + held.transient) * rows * vocab;
        layer.transient(logits + share.tokens * share.hidden * element);
        layer.weight_memory((chunks - 1) * 2 * vocab * share.hidden * element, 1);
    } else {
        layer.keep(held.kept * count);
        layer.transient(held.transient * count);
    }
    if share.tp > 1 {
        for _ in 0..3 * chunks {
            layer.exchange(Exchange {
                group: CommGroup::Tensor,
                forward: Some((CommOp::AllReduce, 4 * rows)),
                backward: None,
                overlappable: false,
            });
        }
    }
}

/// One multi-token-prediction layer: norms of the stream and of the next embedding, their joint
/// projection, a block like the last one, and a pass through the shared head (arXiv 2412.19437).
pub(super) fn mtp(share: &Share) -> LoweredLayer {
    let network = share.network;
    let mut layer = share.layer("mtp", share.residual_bytes());
    norm(&mut layer, share);
    norm(&mut layer, share);
    enter(&mut layer, share, Gathered::of(2 * share.hidden));
    layer.linear(Linear {
        tokens: share.tokens,
        outputs: share.part(share.hidden),
        inputs: 2 * share.hidden,
        bias: false,
        low_precision: true,
    });
    layer.keep_linear_input(2 * share.norm_tokens * share.hidden);
    blocks(&mut layer, share, LayerKind::of_mtp(network));
    norm(&mut layer, share);
    logits(&mut layer, share);
    layer.finish()
}
