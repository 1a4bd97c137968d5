//! Both ends of an encoder of images: its patches, and the projector to the decoder behind it.

use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::lowered::{LoweredLayer, Shard};
use crate::model::residual::{norm, norm_passes};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, gather_again, leave};
use crate::model::{Gradients, Part, Transformer, Vision};

/// One rank's share of a sample's images.
pub(super) struct ImageShares<'a> {
    vision: &'a Vision,
    /// Share of the encoder.
    pub(super) encoder: Share<'a>,
    /// Share of the decoder, over the tokens of the images alone.
    decoder: Share<'a>,
}

impl<'a> ImageShares<'a> {
    /// Sharding of the encoder: each image is a document of its own, and nothing drops out.
    pub(super) fn shard(network: &Transformer, shard: &Shard) -> Shard {
        let images = network.vision.as_ref().map_or(1, |it| it.images.images);
        Shard {
            documents: images,
            dropout: false,
            ..*shard
        }
    }

    /// Shares of the images in front of a decoder, by the encoder's sharding.
    pub(super) fn of(vision: &'a Vision, network: &'a Transformer, shard: &'a Shard) -> Self {
        let mut encoder = Share::new(&vision.encoder, shard, u64::from(vision.images.tokens()));
        encoder.gradients = Self::gradients(shard, Part::Encoder);
        let mut decoder = Share::new(network, shard, u64::from(vision.image_tokens()));
        decoder.gradients = Self::gradients(shard, Part::Projector);
        Self {
            vision,
            encoder,
            decoder,
        }
    }

    /// Gradients that the backward pass computes of a part: where it is frozen those of its inputs, if a part in front of
    /// it is trained.
    pub(super) fn gradients(shard: &Shard, part: Part) -> Gradients {
        let mut in_front = Part::ALL.iter().take_while(|other| **other != part);
        if !shard.frozen.contains(part) {
            Gradients::of_trained(shard.lora_rank)
        } else if in_front.any(|other| !shard.frozen.contains(*other)) {
            Gradients::OfInputs
        } else {
            Gradients::None
        }
    }
}

/// Patches to tokens, the token of the class and learned positions, as a part of the embedding.
pub(super) fn embed_patches(layer: &mut LayerBuilder, images: &ImageShares<'_>) {
    let share = &images.encoder;
    let of_each = &images.vision.images;
    layer.with_gradients(share.gradients, |layer| {
        let patches = share.norm_tokens * u64::from(of_each.patches_of_each())
            / u64::from(of_each.tokens_of_each());
        let linear = Linear {
            tokens: patches,
            outputs: share.hidden,
            inputs: of_each.patch_values(),
            bias: of_each.patch_bias,
            low_precision: false,
        };
        layer.linear(linear);
        layer.keep_linear_input(patches * of_each.patch_values());
        let tokens = u64::from(share.network.learned_positions) + u64::from(of_each.class_token);
        if tokens > 0 {
            layer.parameters(tokens * share.hidden);
        }
        if share.splits_tokens() {
            layer.partial(linear.parameters());
        }
        let stream = share.residual_bytes();
        layer.memory(Passes {
            forward: (3 * stream, 1),
            backward: (stream, 1),
        });
        if share.network.embedding_norm {
            norm(layer, share);
        }
    });
}

/// The encoder's last norm, and the products that make its tokens the decoder's; the same for other layers of it whose
/// outputs go there too.
pub(super) fn projector(images: &ImageShares<'_>) -> LoweredLayer {
    let ImageShares {
        vision,
        encoder,
        decoder,
    } = images;
    let mut layer = decoder.layer("projector", encoder.residual_bytes());
    layer.with_gradients(encoder.gradients, |layer| norm(layer, encoder));
    project(&mut layer, images);
    for _ in 0..vision.projector.deepstack {
        let parameters = vision.deepstack_norm_parameters();
        layer.parameters(parameters);
        if encoder.splits_tokens() {
            layer.partial(parameters);
        }
        let elements = encoder.norm_tokens * encoder.hidden;
        layer.keep(elements * layer.element_bytes());
        norm_passes(&mut layer, encoder, elements);
        project(&mut layer, images);
    }
    layer.finish()
}

/// Products that make tokens of the encoder tokens of the decoder.
fn project(layer: &mut LayerBuilder, images: &ImageShares<'_>) {
    let ImageShares {
        vision,
        encoder,
        decoder,
    } = images;
    // Patches are put in the order of the squares, or averaged: read and written once.
    if vision.projector.merge > 1 {
        let bytes = encoder.residual_bytes();
        layer.memory(Passes {
            forward: (2 * bytes, 1),
            backward: (2 * bytes, 1),
        });
    }
    let merged = vision.projected_width();
    let inputs = vision.projector.adapted(merged);
    if vision.projector.adapter > 0 {
        adapt(layer, images, (merged, inputs));
    }
    let products = vision.projector.products(merged, decoder.network.hidden);
    let products: Vec<(u64, u64)> = products.collect();
    enter(layer, decoder, Gathered::of(inputs));
    for (at, (inputs, outputs)) in products.iter().copied().enumerate() {
        // The first product of two is cut by columns, the second by rows; a single one by rows.
        let by_columns = products.len() == 2 && at == 0;
        let (inputs, outputs) = if by_columns {
            (inputs, decoder.part(outputs))
        } else {
            (decoder.part(inputs), outputs)
        };
        let linear = Linear {
            tokens: decoder.tokens,
            outputs,
            inputs,
            bias: vision.projector.biases,
            low_precision: true,
        };
        layer.linear(linear);
        layer.keep_linear_input(decoder.tokens * inputs);
        if by_columns {
            gather_again(layer, decoder, Gathered::of(inputs));
            activate(layer, decoder.tokens * outputs);
        }
    }
    leave(layer, decoder);
    // Image tokens take their places among those of the text, or are added to what is there.
    let stream = decoder.residual_bytes();
    layer.memory(Passes {
        forward: (2 * stream, 1),
        backward: (2 * stream, 1),
    });
}

/// The adapter's product, which tensor parallelism does not cut, and its activation.
fn adapt(layer: &mut LayerBuilder, images: &ImageShares<'_>, (inputs, outputs): (u64, u64)) {
    let decoder = &images.decoder;
    let linear = Linear {
        tokens: decoder.norm_tokens,
        outputs,
        inputs,
        bias: images.vision.projector.biases,
        low_precision: true,
    };
    layer.linear(linear);
    if decoder.splits_tokens() {
        layer.partial(linear.parameters());
    }
    layer.keep_linear_input(decoder.norm_tokens * inputs);
    activate(layer, decoder.norm_tokens * outputs);
}

/// An activation over so many elements, whose input is kept.
fn activate(layer: &mut LayerBuilder, elements: u64) {
    let bytes = elements * layer.element_bytes();
    layer.memory(Passes {
        forward: (2 * bytes, 1),
        backward: (3 * bytes, 1),
    });
    layer.keep(bytes);
    layer.transient(3 * bytes);
}
