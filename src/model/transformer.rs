//! Transformers: blocks between two ends, one rank's share of each.
//!
//! Widths of the passes count reads and writes of the tensors a kernel touches; a fused kernel
//! touches its inputs and outputs once, separate ones write every intermediate.

use std::fmt;

use crate::model::architecture::Ends;
use crate::model::block::{LayerKind, layer};
use crate::model::ends::{embedding, head, mtp};
use crate::model::lowered::{LoweredLayer, LoweredModel, Shard};
use crate::model::projector::{ImageShares, embed_patches, projector};
use crate::model::share::Share;
use crate::model::{Part, Transformer};

/// Lowers a transformer.
pub(super) fn lower(network: &Transformer, shard: &Shard) -> LoweredModel {
    let tokens = network.ends.fixed_tokens().unwrap_or(shard.seq_len);
    let mut share = Share::new(network, shard, u64::from(tokens));
    let image_shard = ImageShares::shard(network, shard);
    let images = network.vision.as_deref();
    let images = images.map(|vision| ImageShares::of(vision, network, &image_shard));
    if images.is_some() {
        share.gradients = ImageShares::gradients(shard, Part::Decoder);
    }
    let (first, last) = match network.ends {
        Ends::EncoderDecoder(stacks) => (
            share.over(u64::from(stacks.encoder_seq_len)),
            share.over(u64::from(stacks.decoder_seq_len)),
        ),
        Ends::Decoder | Ends::Encoder | Ends::Vit(_) | Ends::Dit(_) | Ends::Images(_) => {
            (share, share)
        }
    };
    let (kinds, sequence) = kinds(network);
    let of_own = |kind: LayerKind| {
        // The first stack is an encoder's, whose layers do not attend to another one.
        let share = if kind == LayerKind::of(network, 0) {
            &first
        } else {
            &last
        };
        layer(share, kind)
    };
    let lowered = |kind: StackLayer| -> LoweredLayer {
        match (kind, &images) {
            (StackLayer::OfEncoder(kind), Some(images)) => layer(&images.encoder, kind),
            (StackLayer::Projector, Some(images)) => projector(images),
            (StackLayer::Own(kind) | StackLayer::OfEncoder(kind), _) => of_own(kind),
            (StackLayer::Projector, None) => unreachable!("a projector has an encoder before it"),
        }
    };
    LoweredModel {
        layer_kinds: kinds.into_iter().map(lowered).collect(),
        sequence,
        image_layers: (network.depth() - network.layers) as usize,
        embedding: embedding(&share, |layer| {
            if let Some(images) = &images {
                embed_patches(layer, images);
            }
        }),
        head: head(&last),
        mtp: (network.mtp_layers > 0).then(|| mtp(&share)),
    }
}

/// A layer of a pipeline: what tells it from others of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StackLayer {
    /// Layer of the encoder of images.
    OfEncoder(LayerKind),
    /// Projector behind the encoder.
    Projector,
    /// Layer of the network itself.
    Own(LayerKind),
}

impl fmt::Display for StackLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfEncoder(kind) => write!(f, "encoder: {kind}"),
            Self::Projector => f.write_str("projector"),
            Self::Own(kind) => kind.fmt(f),
        }
    }
}

/// Kinds of layer in the order in which they first come, and each layer's kind.
pub(super) fn kinds(network: &Transformer) -> (Vec<StackLayer>, Vec<u16>) {
    let vision = network.vision.iter();
    let images = vision.flat_map(|vision| {
        let encoder = &vision.encoder;
        let layers = (0..encoder.layers).map(|at| LayerKind::of(encoder, at));
        let layers = layers.map(StackLayer::OfEncoder);
        layers.chain([StackLayer::Projector])
    });
    let own = (0..network.layers).map(|at| StackLayer::Own(LayerKind::of(network, at)));
    let mut kinds = Vec::with_capacity(2);
    let mut sequence = Vec::with_capacity(network.depth() as usize);
    for kind in images.chain(own) {
        let known = kinds.iter().position(|&known| known == kind);
        let index = known.unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        sequence.push(u16::try_from(index).expect("there are only a few kinds of layer"));
    }
    (kinds, sequence)
}
