//! Encoder-decoders, vision and diffusion transformers, convolutional networks.

use crate::model::{Family, Mlp};

use super::activation::plain;
use super::config::Config;
use super::table::ModelTable;

/// T5, with an MLP of two matrices or, from version 1.1, with a gate.
pub(super) fn t5(config: &mut Config<'_>) -> ModelTable {
    let mut table = ModelTable::of(Family::EncoderDecoder);
    let encoder = config.needed("num_layers");
    let decoder = config.count("num_decoder_layers").unwrap_or(encoder);
    let mlp = match config.text("feed_forward_proj").as_deref() {
        None | Some("relu" | "gelu") => Mlp::Gelu,
        Some("gated-gelu") => Mlp::GeGlu,
        Some("gated-silu") => Mlp::SwiGlu,
        Some(other) => {
            let message = format!("the MLP `{other}` is not known to this class");
            config.fault("feed_forward_proj", message, None);
            Mlp::Gelu
        }
    };
    table.text("mlp", mlp.as_str());
    table.counts([
        ("encoder_layers", Some(encoder)),
        ("decoder_layers", Some(decoder)),
        ("hidden", Some(config.needed("d_model"))),
        ("ffn_hidden", Some(config.needed("d_ff"))),
        ("heads", Some(config.needed("num_heads"))),
        ("head_dim", Some(config.needed("d_kv"))),
        ("vocab", Some(config.needed("vocab_size"))),
        ("seq_len", config.count("n_positions")),
    ]);
    let tied = config.flag("tie_word_embeddings").unwrap_or(true);
    table.flags([("tied_embeddings", tied)]);
    table
}

/// Vision transformer with a classifier.
pub(super) fn vit(config: &mut Config<'_>) -> ModelTable {
    let mut table = ModelTable::of(Family::Vit);
    table.text("mlp", plain(config).as_str());
    let labels = config.table_length("id2label");
    table.counts([
        ("layers", Some(config.needed("num_hidden_layers"))),
        ("hidden", Some(config.needed("hidden_size"))),
        ("heads", Some(config.needed("num_attention_heads"))),
        ("ffn_hidden", config.count("intermediate_size")),
        ("image_size", config.count("image_size")),
        ("patch_size", config.count("patch_size")),
        ("channels", config.count("num_channels")),
        ("classes", labels.or_else(|| config.count("num_labels"))),
    ]);
    table
}

/// ResNet of bottlenecks (v1.5: the stride is in the 3×3 convolution). The config has no size of images, which are 224
/// pixels wide where no key beside it says otherwise.
pub(super) fn resnet(config: &mut Config<'_>) -> ModelTable {
    let mut table = ModelTable::of(Family::Cnn);
    for (key, known) in [("layer_type", "bottleneck"), ("hidden_act", "relu")] {
        if let Some(other) = config.text(key).filter(|other| other != known) {
            let message = format!("`{key}` = `{other}` is not known to this class, `{known}` is");
            config.fault(key, message, None);
        }
    }
    for key in ["downsample_in_first_stage", "downsample_in_bottleneck"] {
        if config.flag(key) == Some(true) {
            let message = format!("`{key}` is not known to this class");
            config.fault(key, message, None);
        }
    }
    for (key, widths) in [
        ("embedding_size", &[64][..]),
        ("num_channels", &[3]),
        ("hidden_sizes", &[256, 512, 1_024, 2_048]),
    ] {
        let given = match widths {
            [_] => config.count(key).map(|width| vec![width]),
            _ => config.counts(key),
        };
        if given.is_some_and(|given| given != widths) {
            let message = format!("`{key}` is {widths:?} in the ResNets that are known");
            config.fault(key, message, None);
        }
    }
    match config.counts("depths").as_deref() {
        // A list of something else is noted.
        None if config.has("depths") => {}
        None => {
            config.needed("depths");
        }
        Some(blocks) => {
            if blocks.len() != 4 || blocks.contains(&0) {
                let message =
                    "`depths` has a number of blocks, 1 at least, for each of four stages"
                        .to_owned();
                config.fault("depths", message, None);
            }
            table.list("blocks", blocks);
        }
    }
    let labels = config.table_length("id2label");
    table.counts([("classes", labels.or_else(|| config.count("num_labels")))]);
    table
}

/// Diffusion transformer of diffusers, conditioned on classes.
pub(super) fn dit(config: &mut Config<'_>) -> ModelTable {
    let mut table = ModelTable::of(Family::Dit);
    let heads = config.needed("num_attention_heads");
    let head_dim = config.needed("attention_head_dim");
    table.counts([
        ("layers", Some(config.needed("num_layers"))),
        ("hidden", Some(heads.saturating_mul(head_dim))),
        ("heads", Some(heads)),
        ("image_size", Some(config.needed("sample_size"))),
        ("latent_scale", Some(1)),
        ("patch_size", Some(config.needed("patch_size"))),
        ("channels", Some(config.needed("in_channels"))),
        ("classes", Some(config.needed("num_embeds_ada_norm"))),
    ]);
    let channels = config.count("in_channels").unwrap_or(0);
    if config
        .count("out_channels")
        .is_some_and(|out| out != channels.saturating_mul(2))
    {
        let message = "only noise and its variance, twice `in_channels`, are known".to_owned();
        config.fault("out_channels", message, None);
    }
    table
}
