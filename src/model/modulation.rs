//! Ends and modulation of vision and diffusion transformers (arXiv 2010.11929, arXiv 2212.09748).

use crate::model::image::{Diffusion, Patches};
use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::lowered::LoweredLayer;
use crate::model::residual::norm;
use crate::model::share::Share;

/// Frequencies of the embedding of a diffusion step (facebookresearch/DiT models.py).
pub(super) const FREQUENCIES: u32 = 256;
/// Blocks of a diffusion transformer's layer that its conditioning shifts, scales and gates.
const MODULATED: u64 = 2;

/// A product that every tensor-parallel rank holds whole.
fn whole(layer: &mut LayerBuilder, share: &Share, tokens: u64, outputs: u64, inputs: u64) {
    let linear = Linear {
        tokens,
        outputs,
        inputs,
        bias: true,
        low_precision: false,
    };
    layer.linear(linear);
    layer.keep_linear_input(tokens * inputs);
    if share.splits_tokens() {
        layer.partial(linear.parameters());
    }
}

/// Patches to tokens, and positions.
fn patches(share: &Share, image: &Patches) -> LayerBuilder {
    let element = share.shard.format.element_bytes;
    let values = share.norm_tokens * image.patch_values();
    let mut layer = share.layer("embedding", values * element);
    whole(
        &mut layer,
        share,
        share.norm_tokens,
        share.hidden,
        image.patch_values(),
    );
    let stream = share.residual_bytes();
    layer.memory(Passes {
        forward: (3 * stream, 1),
        backward: (stream, 1),
    });
    layer
}

/// Patches, the token of the class and learned positions.
pub(super) fn image_embedding(share: &Share, image: &Patches) -> LayerBuilder {
    let mut layer = patches(share, image);
    layer.parameters((u64::from(image.patches()) + 2) * share.hidden);
    layer
}

/// Norm, and a classifier of one token of each image.
pub(super) fn image_head(share: &Share, image: &Patches) -> LoweredLayer {
    let mut layer = share.layer("head", share.residual_bytes());
    norm(&mut layer, share);
    let images = u64::from(share.shard.micro_batch);
    let classes = u64::from(image.classes);
    whole(&mut layer, share, images, classes, share.hidden);
    layer.memory(Passes {
        forward: (12 * images * classes, 3),
        backward: (12 * images * classes, 2),
    });
    layer.keep(10 * images * classes);
    layer.finish()
}

/// Patches with fixed positions, and the embeddings of the diffusion step and the class.
pub(super) fn latent_embedding(share: &Share, diffusion: &Diffusion) -> LayerBuilder {
    let mut layer = patches(share, &diffusion.latent);
    let images = u64::from(share.shard.micro_batch);
    whole(
        &mut layer,
        share,
        images,
        share.hidden,
        u64::from(FREQUENCIES),
    );
    whole(&mut layer, share, images, share.hidden, share.hidden);
    layer.parameters(diffusion.class_rows() * share.hidden);
    layer
}

/// Modulated norm, the product to noise and its variance, and the mean squared error.
pub(super) fn latent_head(share: &Share, diffusion: &Diffusion) -> LoweredLayer {
    let mut layer = share.layer("head", share.residual_bytes());
    let images = u64::from(share.shard.micro_batch);
    whole(&mut layer, share, images, 2 * share.hidden, share.hidden);
    norm(&mut layer, share);
    let values = 2 * diffusion.latent.patch_values();
    whole(&mut layer, share, share.norm_tokens, values, share.hidden);
    let bytes = 4 * share.norm_tokens * values;
    layer.memory(Passes {
        forward: (2 * bytes, 2),
        backward: (2 * bytes, 1),
    });
    layer.keep(bytes);
    layer.finish()
}

/// Shifts, scales and gates of a layer from the conditioning of each image, and their passes over the tokens.
pub(super) fn modulate(layer: &mut LayerBuilder, share: &Share) {
    let images = u64::from(share.shard.micro_batch);
    let outputs = 3 * MODULATED * share.hidden;
    whole(layer, share, images, outputs, share.hidden);
    let stream = share.residual_bytes();
    layer.memory(Passes {
        forward: (MODULATED * 4 * stream, 4),
        backward: (MODULATED * 7 * stream, 6),
    });
    // What is scaled and what is gated.
    layer.keep(MODULATED * 2 * stream);
}

impl Diffusion {
    /// Rows of the table of classes, one of them for none; 0 without classes.
    pub(super) fn class_rows(&self) -> u64 {
        match self.latent.classes {
            0 => 0,
            classes => u64::from(classes) + 1,
        }
    }
}
