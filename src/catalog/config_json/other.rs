//! Encoder-decoders, vision and diffusion transformers.

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
