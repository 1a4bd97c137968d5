//! Decoders behind an encoder of images.

use super::activation::{gated, plain};
use super::config::Config;
use super::table::ModelTable;
use super::{experts, rotary};
use crate::model::{Family, Mlp};

/// Values of `LlamaConfig`, which LLaVA's `text_config` leaves out.
const LLAMA: &[(&str, u32)] = &[
    ("vocab_size", 32_000),
    ("hidden_size", 4_096),
    ("intermediate_size", 11_008),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("max_position_embeddings", 2_048),
];

/// Values of `MistralConfig`, which Pixtral's `text_config` leaves out.
const MISTRAL: &[(&str, u32)] = &[
    ("vocab_size", 32_000),
    ("hidden_size", 4_096),
    ("intermediate_size", 14_336),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("num_key_value_heads", 8),
    ("max_position_embeddings", 131_072),
];

/// Values of `PixtralVisionConfig`, which its `vision_config` leaves out.
const PIXTRAL: &[(&str, u32)] = &[
    ("hidden_size", 1_024),
    ("intermediate_size", 4_096),
    ("num_hidden_layers", 24),
    ("num_attention_heads", 16),
    ("image_size", 1_024),
    ("patch_size", 16),
];

/// Values of `Gemma3TextConfig`, which Gemma's `text_config` leaves out.
const GEMMA3: &[(&str, u32)] = &[
    ("vocab_size", 262_208),
    ("hidden_size", 2_304),
    ("intermediate_size", 9_216),
    ("num_hidden_layers", 26),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("sliding_window", 4_096),
    ("max_position_embeddings", 131_072),
];

/// Pixels of an image's side where resolutions are the images' own: 1,280 tokens of 28 pixels, the most in the example of
/// Qwen2-VL's model card, as a square.
const OWN_RESOLUTION: u32 = 980;

/// LLaVA: CLIP, SigLIP or Pixtral's encoder, two products with GELU between, and any decoder that is known.
pub(super) fn llava(config: &mut Config<'_>) -> ModelTable {
    let inner = config.inner_type().unwrap_or("llama").to_owned();
    let usual = match inner.as_str() {
        "llama" => LLAMA,
        "mistral" => MISTRAL,
        _ => &[],
    };
    let mut table = config.inside("text_config", usual, |text| decoder(text, &inner));
    let is_pixtral = config.text_in("vision_config", "model_type") == Some("pixtral");
    let encoder = if is_pixtral {
        config.inside("vision_config", PIXTRAL, pixtral)
    } else {
        config.inside("vision_config", &[], contrastive)
    };
    table.inner("encoder", encoder);
    // Whether the token of the class stays among the patches; Pixtral has none.
    let strategy = "vision_feature_select_strategy";
    let known = if is_pixtral { "full" } else { "default" };
    if let Some(text) = config.text(strategy).filter(|text| text != known) {
        let message = format!("`{strategy}` = `{text}` is not known to this encoder, `{known}` is");
        config.fault(strategy, message, None);
    }
    let mut projector = ModelTable::empty();
    let biases = config.flag("multimodal_projector_bias").unwrap_or(true);
    projector.flags([("biases", biases)]);
    table.inner("projector", projector);
    table
}

/// A decoder by its `model_type`.
fn decoder(text: &mut Config<'_>, model_type: &str) -> ModelTable {
    match model_type {
        "llama" | "mistral" | "phi3" => rotary::llama(text),
        "qwen2" => rotary::qwen2(text),
        "qwen3" => rotary::qwen3(text),
        "gemma" => rotary::gemma(text),
        "gemma2" => rotary::gemma2(text),
        "mixtral" => experts::mixtral(text),
        other => {
            let message = format!("the decoder `{other}` is not known to this class");
            text.fault("model_type", message, None);
            ModelTable::of(Family::Decoder)
        }
    }
}

/// Layers with a plain MLP, and the patches that they see.
fn layers_over_patches(vision: &mut Config<'_>) -> ModelTable {
    let mut table = sizes_over_patches(vision);
    table.text("mlp", plain(vision).as_str());
    table
}

/// Sizes of an encoder's layers, and of the patches that they see.
fn sizes_over_patches(vision: &mut Config<'_>) -> ModelTable {
    let mut table = ModelTable::empty();
    table.counts([
        ("layers", Some(vision.needed("num_hidden_layers"))),
        ("hidden", Some(vision.needed("hidden_size"))),
        ("heads", Some(vision.needed("num_attention_heads"))),
        ("ffn_hidden", Some(vision.needed("intermediate_size"))),
        ("image_size", Some(vision.side("image_size"))),
        ("patch_size", Some(vision.side("patch_size"))),
        ("channels", vision.count("num_channels")),
    ]);
    table
}

/// Pixtral's encoder, a decoder without a causal mask: rotary positions in both directions over images of their own
/// sizes, which are taken as large as the largest.
fn pixtral(vision: &mut Config<'_>) -> ModelTable {
    let mlp = gated(vision, Mlp::SwiGlu);
    let mut table = sizes_over_patches(vision);
    table.text("mlp", mlp.as_str());
    table.text("norm", "rms-norm");
    table.counts([
        ("learned_positions", Some(0)),
        ("head_dim", vision.count("head_dim")),
    ]);
    table.flags([
        ("embedding_norm", true),
        ("patch_bias", false),
        ("biases", false),
    ]);
    table
}

/// Encoders that were trained with texts: CLIP and SigLIP.
fn contrastive(vision: &mut Config<'_>) -> ModelTable {
    let is_clip = match vision.text("model_type").as_deref() {
        Some("clip_vision_model") => true,
        Some("siglip_vision_model") => false,
        other => {
            let message = match other {
                Some(other) => format!("the encoder `{other}` is not known"),
                None => "the encoder has no `model_type`".to_owned(),
            };
            let hint = "clip_vision_model, siglip_vision_model and pixtral are".to_owned();
            vision.fault("model_type", message, Some(hint));
            false
        }
    };
    let mut table = layers_over_patches(vision);
    table.flags([
        ("class_token", is_clip),
        ("embedding_norm", is_clip),
        ("patch_bias", !is_clip),
    ]);
    table
}

/// Gemma 3: SigLIP, whose patches are averaged to as many tokens as the config says, and one product.
pub(super) fn gemma3(config: &mut Config<'_>) -> ModelTable {
    let mut table = config.inside("text_config", GEMMA3, rotary::gemma3);
    let encoder = config.inside("vision_config", &[], contrastive);
    let side = encoder.number("image_size") / encoder.number("patch_size").max(1);
    table.inner("encoder", encoder);
    let tokens = config.count("mm_tokens_per_image").unwrap_or(256).max(1);
    let of_side = tokens.isqrt();
    if of_side * of_side != tokens || !side.is_multiple_of(of_side) {
        let message = format!(
            "`mm_tokens_per_image` = {tokens} is no square that divides {side} × {side} patches"
        );
        config.fault("mm_tokens_per_image", message, None);
    }
    let mut projector = ModelTable::empty();
    projector.counts([
        ("merge", Some((side / of_side).max(1))),
        ("hidden", Some(0)),
    ]);
    projector.flags([("pool", true), ("biases", false)]);
    table.inner("projector", projector);
    table
}

/// InternVL: InternViT, whose patches are put side by side as `downsample_ratio` says, two products, and any decoder that is
/// known.
pub(super) fn internvl(config: &mut Config<'_>) -> ModelTable {
    let inner = config.inner_type().unwrap_or("qwen2").to_owned();
    let mut table = config.inside("text_config", &[], |text| decoder(text, &inner));
    let encoder = config.inside("vision_config", &[], |vision| {
        let mut table = layers_over_patches(vision);
        match vision.text("norm_type").as_deref() {
            None | Some("layer_norm") => {}
            Some("rms_norm") => table.text("norm", "rms-norm"),
            Some(other) => {
                let message = format!("the norm `{other}` is not known to this class");
                vision.fault("norm_type", message, None);
            }
        }
        let qk_norm = vision.flag("use_qk_norm").unwrap_or(false);
        table.flags([
            ("class_token", true),
            ("biases", true),
            ("qk_norm", qk_norm),
        ]);
        table
    });
    table.inner("encoder", encoder);
    let mut projector = ModelTable::empty();
    projector.count("merge", merged(config, "downsample_ratio"));
    table.inner("projector", projector);
    table
}

/// Patches of a side that become one token, by the ratio of sides under a key; 1/2 where it is absent.
fn merged(config: &mut Config<'_>, key: &str) -> u32 {
    let ratio = config.number(key).unwrap_or(0.5);
    let merge = (1.0 / ratio).round();
    if !(1.0..=1_024.0).contains(&merge) || (merge * ratio - 1.0).abs() > 1e-6 {
        let message = format!("`{key}` = {ratio} is not one over a whole number of patches");
        config.fault(key, message, None);
    }
    (merge as u32).clamp(1, 1_024)
}

/// Llama 4: patches through an encoder with the token of a class, squares of them through an adapter of two products, each
/// with GELU behind it, and one product to the decoder's width.
pub(super) fn llama4(config: &mut Config<'_>) -> ModelTable {
    let mut table = config.inside("text_config", &[], experts::llama4);
    let (encoder, projector) = config.inside("vision_config", &[], |vision| {
        let mut encoder = layers_over_patches(vision);
        encoder.flags([
            ("class_token", true),
            ("embedding_norm", true),
            ("patch_bias", false),
        ]);
        let mut projector = ModelTable::empty();
        let width = vision.needed("projector_output_dim");
        projector.counts([
            ("merge", Some(merged(vision, "pixel_shuffle_ratio"))),
            ("adapter", Some(vision.needed("projector_input_dim"))),
            ("hidden", Some(width)),
        ]);
        if let Some(given) = vision.count("vision_output_dim").filter(|it| *it != width) {
            let message =
                format!("`vision_output_dim` = {given} is not `projector_output_dim` = {width}");
            vision.fault("vision_output_dim", message, None);
        }
        let biases = vision.flag("multi_modal_projector_bias").unwrap_or(false);
        projector.flags([("biases", biases)]);
        (encoder, projector)
    });
    table.inner("encoder", encoder);
    table.inner("projector", projector);
    table
}

/// Qwen2-VL: rotary positions over patches of two frames, and an MLP over squares of them.
pub(super) fn qwen2_vl(config: &mut Config<'_>) -> ModelTable {
    qwen(config, |vision, table| {
        let hidden = vision.needed("embed_dim");
        let ratio = vision.count("mlp_ratio").unwrap_or(4);
        table.text("mlp", plain(vision).as_str());
        table.counts([
            ("hidden", Some(hidden)),
            ("ffn_hidden", Some(hidden.saturating_mul(ratio))),
        ]);
        hidden
    })
}

/// Qwen2.5-VL: windows in all layers but some, and a gated MLP.
pub(super) fn qwen2_5_vl(config: &mut Config<'_>) -> ModelTable {
    qwen(config, |vision, table| {
        let hidden = vision.needed("hidden_size");
        table.text("mlp", gated(vision, Mlp::SwiGlu).as_str());
        table.flags([("biases", true)]);
        table.counts([
            ("hidden", Some(hidden)),
            ("ffn_hidden", Some(vision.needed("intermediate_size"))),
        ]);
        let layers = vision.needed("depth");
        let patches = vision.needed("window_size") / vision.needed("patch_size");
        let global = vision.counts("fullatt_block_indexes").unwrap_or_default();
        if let Some(at) = global.iter().find(|at| **at >= layers) {
            let message = format!("`fullatt_block_indexes` has layer {at}, `depth` is {layers}");
            vision.fault("fullatt_block_indexes", message, None);
        }
        let letter = |at| if global.contains(&at) { 'G' } else { 'C' };
        // More layers are refused where the table is checked.
        let pattern: String = (0..layers.min(10_000)).map(letter).collect();
        if pattern.contains('C') {
            table.count("sliding_window", patches.saturating_mul(patches).max(1));
            table.text("window_pattern", &pattern);
        }
        hidden
    })
}

/// Qwen3-VL: learned positions beside rotary ones, a plain MLP, and three layers more whose outputs are projected.
pub(super) fn qwen3_vl(config: &mut Config<'_>) -> ModelTable {
    let table = config.inside("text_config", &[], rotary::qwen3);
    qwen3_images(config, table)
}

/// Qwen3-VL with experts.
pub(super) fn qwen3_vl_moe(config: &mut Config<'_>) -> ModelTable {
    let table = config.inside("text_config", &[], experts::qwen3_moe);
    qwen3_images(config, table)
}

fn qwen3_images(config: &mut Config<'_>, decoder: ModelTable) -> ModelTable {
    qwen_images(config, decoder, |vision, table, projector| {
        let hidden = vision.needed("hidden_size");
        table.text("mlp", plain(vision).as_str());
        table.counts([
            ("hidden", Some(hidden)),
            ("ffn_hidden", Some(vision.needed("intermediate_size"))),
            (
                "learned_positions",
                Some(vision.needed("num_position_embeddings")),
            ),
        ]);
        table.flags([("patch_bias", true)]);
        let layers = vision.needed("depth");
        let tapped = vision
            .counts("deepstack_visual_indexes")
            .unwrap_or_default();
        if let Some(at) = tapped.iter().find(|at| **at >= layers) {
            let message = format!("`deepstack_visual_indexes` has layer {at}, `depth` is {layers}");
            vision.fault("deepstack_visual_indexes", message, None);
        }
        let tapped = u32::try_from(tapped.len()).unwrap_or(u32::MAX);
        projector.count("deepstack", tapped);
        hidden
    })
}

/// What Qwen2-VL and Qwen2.5-VL have in common; `own` reads what differs of the encoder and gives its width.
fn qwen(
    config: &mut Config<'_>,
    own: impl FnOnce(&mut Config<'_>, &mut ModelTable) -> u32,
) -> ModelTable {
    // Older files have the decoder's keys at the top.
    let table = if config.has("text_config") {
        config.inside("text_config", &[], rotary::qwen2)
    } else {
        rotary::qwen2(config)
    };
    qwen_images(config, table, |vision, table, _| {
        table.count("learned_positions", 0);
        table.flags([("patch_bias", false)]);
        own(vision, table)
    })
}

/// Encoder and projector of all Qwens in front of a decoder; `own` reads what differs and gives the encoder's width.
fn qwen_images(
    config: &mut Config<'_>,
    mut table: ModelTable,
    own: impl FnOnce(&mut Config<'_>, &mut ModelTable, &mut ModelTable) -> u32,
) -> ModelTable {
    let (encoder, projector) = config.inside("vision_config", &[], |vision| {
        let (mut table, mut projector) = (ModelTable::empty(), ModelTable::empty());
        let hidden = own(vision, &mut table, &mut projector);
        let frames = vision.count("temporal_patch_size").unwrap_or(2);
        let colours = match vision.count("in_channels") {
            Some(colours) => colours,
            None => vision.count("in_chans").unwrap_or(3),
        };
        let patch = vision.needed("patch_size");
        let merge = vision.count("spatial_merge_size").unwrap_or(2).max(1);
        // A whole number of squares of patches.
        let square = patch.saturating_mul(merge);
        let side = OWN_RESOLUTION / square.max(1) * square;
        table.counts([
            ("layers", Some(vision.needed("depth"))),
            ("heads", Some(vision.needed("num_heads"))),
            ("image_size", Some(side.max(square))),
            ("patch_size", Some(patch)),
            ("channels", Some(colours.saturating_mul(frames))),
        ]);
        let merged = hidden.saturating_mul(merge).saturating_mul(merge);
        projector.counts([("merge", Some(merge)), ("hidden", Some(merged))]);
        (table, projector)
    });
    table.inner("encoder", encoder);
    table.inner("projector", projector);
    table
}
