//! Transformers: blocks between two ends, one rank's share of each.
//!
//! Widths of the passes count reads and writes of the tensors a kernel touches; a fused kernel
//! touches its inputs and outputs once, separate ones write every intermediate.

use crate::model::Transformer;
use crate::model::architecture::Ends;
use crate::model::block::{LayerKind, layer};
use crate::model::ends::{embedding, head, mtp};
use crate::model::lowered::{LoweredModel, Shard};
use crate::model::share::Share;

/// Lowers a transformer.
pub(super) fn lower(network: &Transformer, shard: &Shard) -> LoweredModel {
    let tokens = network.ends.fixed_tokens().unwrap_or(shard.seq_len);
    let share = Share::new(network, shard, u64::from(tokens));
    let (first, last) = match network.ends {
        Ends::EncoderDecoder(stacks) => (
            share.over(u64::from(stacks.encoder_seq_len)),
            share.over(u64::from(stacks.decoder_seq_len)),
        ),
        Ends::Decoder | Ends::Encoder | Ends::Vit(_) | Ends::Dit(_) => (share, share),
    };
    let (kinds, sequence) = kinds(network);
    let of_kind = |kind: LayerKind| {
        // The first stack is an encoder's, whose layers do not attend to another one.
        let share = if kind == LayerKind::of(network, 0) {
            &first
        } else {
            &last
        };
        layer(share, kind)
    };
    LoweredModel {
        layer_kinds: kinds.into_iter().map(of_kind).collect(),
        sequence,
        embedding: embedding(&share),
        head: head(&last),
        mtp: (network.mtp_layers > 0).then(|| mtp(&share)),
    }
}

/// Kinds of layer in the order in which they first come, and each layer's kind.
pub(super) fn kinds(network: &Transformer) -> (Vec<LayerKind>, Vec<u16>) {
    let mut kinds = Vec::with_capacity(2);
    let mut sequence = Vec::with_capacity(network.layers as usize);
    for at in 0..network.layers {
        let kind = LayerKind::of(network, at);
        let known = kinds.iter().position(|&known| known == kind);
        let index = known.unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        sequence.push(u16::try_from(index).expect("there are only a few kinds of layer"));
    }
    (kinds, sequence)
}
