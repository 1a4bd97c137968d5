//! Networks whose layers differ in kind: Nemotron-H and -3, Qwen 3-Next and 3.5, Jamba; and Mamba, all of one kind.

use crate::model::{Family, Mlp};

use super::activation::{gated, plain};
use super::config::Config;
use super::rotary::rotary;
use super::table::ModelTable;

/// Nemotron-H and Nemotron 3: a letter a layer in `hybrid_override_pattern`, or a word in `layers_block_type`.
pub(super) fn nemotron_h(config: &mut Config<'_>) -> ModelTable {
    let mlp = plain(config);
    let mut table = rotary(config, Family::Hybrid, mlp);
    if table.lacks("head_dim") {
        table.counts([("head_dim", config.count("attention_head_dim"))]);
    }
    let (key, kinds) = match config.texts("layers_block_type") {
        Some(words) => ("layers_block_type", words),
        None => ("hybrid_override_pattern", letters_of(config)),
    };
    let layers = config.count("num_hidden_layers").unwrap_or(0);
    config.check_length(key, kinds.len(), layers);
    let mut pattern = String::new();
    for kind in &kinds {
        match kind.as_str() {
            "M" | "mamba" => pattern.push('M'),
            "*" | "attention" => pattern.push('A'),
            "-" | "mlp" => pattern.push('F'),
            "E" | "moe" => pattern.push('E'),
            other => {
                let message = format!("the kind of layer `{other}` is not known to this class");
                config.fault(key, message, None);
                return table;
            }
        }
    }
    table.text("pattern", &pattern);
    if pattern.contains('M') {
        table.counts([
            ("state_size", config.count("ssm_state_size")),
            ("state_heads", Some(config.needed("mamba_num_heads"))),
            ("state_head_dim", Some(config.needed("mamba_head_dim"))),
            ("state_groups", config.count("n_groups")),
            ("conv_width", config.count("conv_kernel")),
        ]);
    }
    if pattern.contains('E') {
        nemotron_experts(config, &mut table);
    }
    table.counts([("mtp_layers", config.count("num_nextn_predict_layers"))]);
    table
}

/// The pattern as a text of one letter a layer.
fn letters_of(config: &mut Config<'_>) -> Vec<String> {
    let key = "hybrid_override_pattern";
    let Some(pattern) = config.text(key) else {
        let message = format!("`{key}` is missing");
        config.fault("", message, None);
        return Vec::new();
    };
    pattern.chars().map(String::from).collect()
}

fn nemotron_experts(config: &mut Config<'_>, table: &mut ModelTable) {
    table.counts([
        ("experts", Some(config.needed("n_routed_experts"))),
        (
            "experts_per_token",
            Some(config.needed("num_experts_per_tok")),
        ),
        (
            "expert_ffn_hidden",
            Some(config.needed("moe_intermediate_size")),
        ),
        ("shared_experts", config.count("n_shared_experts")),
        (
            "shared_ffn_hidden",
            config.count("moe_shared_expert_intermediate_size"),
        ),
        ("latent_hidden", config.count("moe_latent_size")),
    ]);
    table.flags([("sigmoid_router", true)]);
}

/// Mamba and Falcon Mamba: selective scans alone, without attention or MLPs.
pub(super) fn mamba(config: &mut Config<'_>) -> ModelTable {
    let hidden = config.needed("hidden_size");
    let expand = config.count("expand").unwrap_or(2);
    let inner = config
        .count("intermediate_size")
        .unwrap_or(expand.saturating_mul(hidden));
    for key in ["use_bias", "mamba_proj_bias"] {
        refuse_bias(config, key, false);
    }
    refuse_bias(config, "use_conv_bias", true);
    let mut table = ModelTable::of(Family::Hybrid);
    table.text("mlp", Mlp::SwiGlu.as_str());
    table.text("norm", "rms-norm");
    table.text("pattern", "S");
    table.counts([
        ("layers", Some(config.needed("num_hidden_layers"))),
        ("hidden", Some(hidden)),
        // Nothing has heads; tensor-parallel ranks divide this many.
        ("heads", Some((hidden / 64).max(1))),
        ("head_dim", Some(64)),
        ("vocab", Some(config.needed("vocab_size"))),
        (
            "seq_len",
            Some(config.count("max_position_embeddings").unwrap_or(2048)),
        ),
        ("state_heads", Some(inner)),
        ("state_size", config.count("state_size")),
        ("conv_width", config.count("conv_kernel")),
        ("step_rank", step_rank(config, "time_step_rank")),
    ]);
    let tied = config.flag("tie_word_embeddings").unwrap_or(true);
    table.flags([("tied_embeddings", tied), ("biases", false)]);
    table
}

/// Jamba: a selective scan or, every so many layers, attention, and behind each an MLP or, every so many, experts: two of our
/// layers for one of the config's.
pub(super) fn jamba(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Hybrid, mlp);
    refuse_bias(config, "mamba_proj_bias", false);
    refuse_bias(config, "mamba_conv_bias", true);
    let layers = config.needed("num_hidden_layers");
    let mut of_period = |name: &str, usual: (u32, u32)| {
        let period = config.count(&format!("{name}_layer_period"));
        let offset = config.count(&format!("{name}_layer_offset"));
        (period.unwrap_or(usual.0).max(1), offset.unwrap_or(usual.1))
    };
    let (attention, experts) = (of_period("attn", (8, 4)), of_period("expert", (2, 1)));
    let is_at = |layer: u32, (period, offset): (u32, u32)| layer % period == offset;
    let mixtures = config.count("num_experts").unwrap_or(16);
    let pattern: String = (0..layers.min(MOST_LAYERS))
        .flat_map(|layer| {
            let mixer = if is_at(layer, attention) { 'A' } else { 'S' };
            let routed = mixtures > 1 && is_at(layer, experts);
            [mixer, if routed { 'E' } else { 'F' }]
        })
        .collect();
    table.count("layers", layers.saturating_mul(2));
    table.text("pattern", &pattern);
    if pattern.contains('E') {
        table.counts([
            ("experts", Some(mixtures)),
            (
                "experts_per_token",
                Some(config.count("num_experts_per_tok").unwrap_or(2)),
            ),
        ]);
    }
    if pattern.contains('S') {
        let hidden = config.needed("hidden_size");
        let expand = config.count("mamba_expand").unwrap_or(2);
        table.counts([
            ("state_heads", Some(expand.saturating_mul(hidden).max(1))),
            ("state_size", config.count("mamba_d_state")),
            ("conv_width", config.count("mamba_d_conv")),
            ("step_rank", step_rank(config, "mamba_dt_rank")),
        ]);
        table.flags([("state_norms", true)]);
    }
    table
}

/// Layers of a config whose pattern is written out.
const MOST_LAYERS: u32 = 4096;

/// Rank of the projection to steps; `None` where the config leaves it open (`auto`).
fn step_rank(config: &mut Config<'_>, key: &str) -> Option<u32> {
    if config.is_text(key, "auto") {
        return None;
    }
    config.count(key)
}

/// Notes a bias that is, or is not, where layers of this class always have it, or never.
fn refuse_bias(config: &mut Config<'_>, key: &str, usual: bool) {
    if config.flag(key).is_some_and(|flag| flag != usual) {
        let message = format!("`{key}` is {usual} where layers of this class are known");
        config.fault(key, message, None);
    }
}

/// Qwen 3-Next and the mixtures of Qwen 3.5: experts behind each delta net and attention.
pub(super) fn qwen3_next(config: &mut Config<'_>) -> ModelTable {
    let mut table = delta_net_hybrid(config, 'E');
    table.counts([
        ("experts", Some(config.needed("num_experts"))),
        (
            "experts_per_token",
            Some(config.needed("num_experts_per_tok")),
        ),
        (
            "expert_ffn_hidden",
            Some(config.needed("moe_intermediate_size")),
        ),
        ("shared_experts", Some(1)),
        (
            "shared_ffn_hidden",
            Some(config.needed("shared_expert_intermediate_size")),
        ),
    ]);
    let every = config.count("decoder_sparse_step").unwrap_or(1);
    let dense = config.counts("mlp_only_layers").unwrap_or_default();
    for (key, some) in [
        ("decoder_sparse_step", every > 1),
        ("mlp_only_layers", !dense.is_empty()),
    ] {
        if some {
            let message = "layers without experts are not known to this class".to_owned();
            config.fault(key, message, None);
        }
    }
    table
}

/// Dense models of Qwen 3.5: an MLP behind each delta net and attention.
pub(super) fn qwen3_5(config: &mut Config<'_>) -> ModelTable {
    delta_net_hybrid(config, 'F')
}

/// A gated delta net or, every so many layers, gated attention, and a second block behind each: two of our layers for
/// one of the config's.
fn delta_net_hybrid(config: &mut Config<'_>, second: char) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Hybrid, mlp);
    let layers = config.count("num_hidden_layers").unwrap_or(0);
    let every = config.count("full_attention_interval").unwrap_or(4).max(1);
    let types = config.texts("layer_types").unwrap_or_else(|| {
        (1..=layers)
            .map(|layer| {
                let full = layer.is_multiple_of(every);
                if full {
                    "full_attention"
                } else {
                    "linear_attention"
                }
                .to_owned()
            })
            .collect()
    });
    config.check_length("layer_types", types.len(), layers);
    let mut pattern = String::new();
    for kind in &types {
        match kind.as_str() {
            "full_attention" => pattern.push('A'),
            "linear_attention" => pattern.push('G'),
            other => {
                let message = format!("the layer type `{other}` is not known to this class");
                config.fault("layer_types", message, None);
                return table;
            }
        }
        pattern.push(second);
    }
    table.count("layers", layers.saturating_mul(2).max(1));
    table.text("pattern", &pattern);
    table.counts([
        ("state_size", Some(config.needed("linear_key_head_dim"))),
        ("state_heads", Some(config.needed("linear_num_value_heads"))),
        (
            "state_head_dim",
            Some(config.needed("linear_value_head_dim")),
        ),
        ("state_groups", Some(config.needed("linear_num_key_heads"))),
        ("conv_width", config.count("linear_conv_kernel_dim")),
        ("mtp_layers", config.count("mtp_num_hidden_layers")),
    ]);
    table.flags([("qk_norm", true), ("attention_gate", true)]);
    table
}
