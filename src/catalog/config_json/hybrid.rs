//! Networks whose layers differ in kind: Nemotron-H and -3, Qwen 3-Next and 3.5.

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
