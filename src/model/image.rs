//! Images as tokens: patches of vision transformers and of latents in diffusion transformers.

use crate::data_table::{ValueKind, data_table};

data_table! {
    /// Image of a vision transformer, cut into patches.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Patches {
        /// cnn, vit, dit: pixels of a side of the square image; default: 224, in a dit 256.
        image_size: u32 [ValueKind::CountTo(65_536)] = 224,
        /// vit, dit: pixels (in a dit values of the latent) of a patch's side; default: 16, in a dit 2.
        patch_size: u32 [ValueKind::CountTo(65_536)] = 16,
        /// vit, dit: values of a pixel, in a dit of the latent; default: 3, in a dit 4.
        channels: u32 [ValueKind::CountTo(65_536)] = 3,
        /// cnn, vit, dit: classes; default: 1000, in a dit with a context none.
        classes: u32 [ValueKind::CountTo(16_777_216)] = 1000,
    } reads {} with |fields| {}
}

data_table! {
    /// Latent image of a diffusion transformer, and what it is conditioned on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Diffusion {
        /// dit: width of a conditioning token, which cross attention in each layer reads; 0 and default: none.
        context_hidden: u32 = 0,
        /// dit: tokens of the conditioning; default: 77 with context_hidden, else 0.
        context_length: u32 = if context_hidden > 0 { 77 } else { 0 },
        /// dit: pixels of a side that the encoder makes one value of the latent; default: 8.
        latent_scale: u32 [ValueKind::CountTo(1_024)] = 8,
    } reads {} with |fields| {
        /// Latent as an image.
        latent: Patches = Patches {
            image_size: fields.find("image_size").unwrap_or(256).div_euclid(latent_scale).max(1),
            patch_size: fields.find("patch_size").unwrap_or(2),
            channels: fields.find("channels").unwrap_or(4),
            classes: fields.find("classes").unwrap_or(if context_hidden > 0 { 0 } else { 1000 }),
        },
    }
}

impl Patches {
    /// Patches of an image.
    pub(crate) fn patches(&self) -> u32 {
        let side = (self.image_size / self.patch_size).max(1);
        side.saturating_mul(side)
    }

    /// Values of a patch.
    pub(super) fn patch_values(&self) -> u64 {
        u64::from(self.patch_size) * u64::from(self.patch_size) * u64::from(self.channels)
    }
}
