//! Images in front of a decoder: an encoder of their patches, and a projector to the decoder's width (arXiv 2304.08485).
//!
//! The encoder is a transformer of its own, whose layers come before the decoder's in one pipeline with the projector
//! between; the decoder's sequence holds its tokens among those of the text.

use crate::closed_set;
use crate::closed_set::Subset;
use crate::data_table::{ValueKind, data_table};

closed_set! {
    /// Part of a network of images and text, which is trained or frozen as a whole.
    pub(crate) enum Part: "part" {
        /// Encoder of images, with its embedding of patches.
        Encoder = "encoder",
        /// Projector from the encoder's width to the decoder's.
        Projector = "projector",
        /// Decoder, with the embedding of tokens and the head.
        Decoder = "decoder",
    }
}

/// Some parts, written `encoder+projector`.
pub(crate) type Parts = Subset<Part>;

data_table! {
    /// Images of a sample, cut into the tokens of an encoder.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct SampleImages {
        /// Pixels of a side of the square image.
        image_size: u32 [ValueKind::CountTo(65_536)],
        /// Pixels of a patch's side.
        patch_size: u32 [ValueKind::CountTo(65_536)],
        /// Values of a pixel, those of all frames that a patch takes in (Qwen2-VL: two); default: 3.
        channels: u32 [ValueKind::CountTo(65_536)] = 3,
        /// Images of a sample; default: 1.
        images: u32 [ValueKind::CountTo(65_536)] = 1,
        /// Whether a token of the class goes with the patches through the encoder (CLIP); default: false.
        class_token: bool = false,
        /// Whether the embedding of patches has a bias; default: true.
        patch_bias: bool = true,
    } reads {} with |fields| {}
}

data_table! {
    /// What makes the encoder's patches tokens of the decoder.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Projector {
        /// Patches of a side of the square that becomes one token; default: 1.
        merge: u32 [ValueKind::CountTo(1_024)] = 1,
        /// Whether they are averaged (Gemma 3) instead of put side by side; default: false.
        pool: bool = false,
        /// Width of a product in front of the others, with an activation behind it (Llama 4's adapter); 0 and default: none.
        adapter: u32 = 0,
        /// Width between its two products; 0: there is one product; default: the decoder's hidden.
        hidden: u32 = decoder,
        /// Layers of the encoder besides its last whose outputs are projected too, by norms and products of their own, and
        /// added to the images' tokens behind the decoder's first layers (Qwen3-VL's DeepStack); default: 0.
        deepstack: u32 [ValueKind::CountOrZeroTo(100_000)] = 0,
        /// Whether its products have biases; default: true.
        biases: bool = true,
    } reads {} with |fields, decoder: u32| {}
}

impl SampleImages {
    /// Patches of a side of an image.
    pub(super) fn side(&self) -> u32 {
        (self.image_size / self.patch_size).max(1)
    }

    /// Patches of an image.
    pub(super) fn patches_of_each(&self) -> u32 {
        self.side().saturating_mul(self.side())
    }

    /// Tokens of an image in the encoder.
    pub(crate) fn tokens_of_each(&self) -> u32 {
        self.patches_of_each()
            .saturating_add(u32::from(self.class_token))
    }

    /// Tokens of a sample's images in the encoder.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens_of_each().saturating_mul(self.images)
    }

    /// Values of a patch.
    pub(super) fn patch_values(&self) -> u64 {
        u64::from(self.patch_size) * u64::from(self.patch_size) * u64::from(self.channels)
    }
}

impl Projector {
    /// Width of what comes to its products behind the adapter.
    pub(super) fn adapted(&self, inputs: u64) -> u64 {
        match self.adapter {
            0 => inputs,
            width => u64::from(width),
        }
    }

    /// Inputs and outputs of its products behind the adapter.
    pub(super) fn products(
        &self,
        inputs: u64,
        decoder: u32,
    ) -> impl Iterator<Item = (u64, u64)> + use<> {
        let inputs = self.adapted(inputs);
        let (width, outputs) = (u64::from(self.hidden), u64::from(decoder));
        let products = match width {
            0 => [Some((inputs, outputs)), None],
            _ => [Some((inputs, width)), Some((width, outputs))],
        };
        products.into_iter().flatten()
    }
}
