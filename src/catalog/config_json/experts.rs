//! Mixtures of experts.

use crate::model::{Family, Mlp};

use super::activation::gated;
use super::attention::{latent, windows};
use super::config::Config;
use super::rotary::{qwen_windows, rotary};
use super::table::ModelTable;

/// Decoder with `experts` experts, as its class names their number; `width` of one.
fn mixture(config: &mut Config<'_>, experts: &str, width: &str) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Moe, mlp);
    table.count("experts", config.needed(experts));
    table.count("experts_per_token", config.needed("num_experts_per_tok"));
    table.count("expert_ffn_hidden", config.needed(width));
    table
}

/// Mixtral.
pub(super) fn mixtral(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_local_experts", "intermediate_size");
    windows(config, &mut table, Some("L"));
    table
}

/// Qwen 1.5-MoE and Qwen 2-MoE: one shared expert of a width of its own.
pub(super) fn qwen2_moe(config: &mut Config<'_>) -> ModelTable {
    let mut table = qwen_mixture(config);
    table.count("shared_experts", 1);
    let width = config.needed("shared_expert_intermediate_size");
    table.count("shared_ffn_hidden", width);
    table.flags([("qkv_biases", true)]);
    table
}

/// Qwen 3-MoE.
pub(super) fn qwen3_moe(config: &mut Config<'_>) -> ModelTable {
    let mut table = qwen_mixture(config);
    table.flags([("qk_norm", true)]);
    table
}

fn qwen_mixture(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_experts", "moe_intermediate_size");
    let every = config.count("decoder_sparse_step").unwrap_or(1);
    table.count("moe_every", every.max(1));
    let dense = config.counts("mlp_only_layers").unwrap_or_default();
    let leading = (0..).zip(&dense).all(|(at, layer)| at == *layer);
    if leading {
        table.count("dense_layers", dense.len() as u32);
    } else {
        let message = "dense layers behind the first of experts are not known".to_owned();
        config.fault("mlp_only_layers", message, None);
    }
    qwen_windows(config, &mut table);
    table
}

/// OLMoE.
pub(super) fn olmoe(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_experts", "intermediate_size");
    table.flags([("qk_norm", true)]);
    table
}

/// GPT-OSS: every other layer is local, attention sinks, biases everywhere, a limit on the inputs of the activation.
pub(super) fn gpt_oss(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_local_experts", "intermediate_size");
    windows(config, &mut table, Some("LG"));
    table.flags([
        ("biases", true),
        ("sinks", true),
        ("clamped_activation", true),
    ]);
    table
}

/// Sets the layers and shared experts of classes that follow DeepSeek.
fn deepseek_layers(config: &mut Config<'_>, table: &mut ModelTable) {
    table.counts([
        ("shared_experts", config.count("n_shared_experts")),
        ("dense_layers", config.count("first_k_dense_replace")),
        ("mtp_layers", config.count("num_nextn_predict_layers")),
    ]);
}

/// GLM-4.5.
pub(super) fn glm4_moe(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "n_routed_experts", "moe_intermediate_size");
    deepseek_layers(config, &mut table);
    let qk_norm = config.flag("use_qk_norm").unwrap_or(false);
    table.flags([("qk_norm", qk_norm), ("sigmoid_router", true)]);
    table
}

/// MiniMax-M2.
pub(super) fn minimax_m2(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_local_experts", "intermediate_size");
    let qk_norm = config.flag("use_qk_norm").unwrap_or(false);
    let sigmoid = config.text("scoring_func").as_deref() == Some("sigmoid");
    table.flags([("qk_norm", qk_norm), ("sigmoid_router", sigmoid)]);
    if config.flag("use_mtp") == Some(true) {
        table.counts([("mtp_layers", config.count("num_mtp_modules"))]);
    }
    table
}

/// DeepSeek-V2, V3 and Kimi K2: latent attention, experts on few nodes.
pub(super) fn deepseek(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "n_routed_experts", "moe_intermediate_size");
    deepseek_layers(config, &mut table);
    latent(config, &mut table);
    if config
        .count("moe_layer_freq")
        .is_some_and(|every| every > 1)
    {
        let message = "`moe_layer_freq` above 1 is not known".to_owned();
        config.fault("moe_layer_freq", message, None);
    }
    if config.text("scoring_func").as_deref() == Some("sigmoid") {
        table.flags([("sigmoid_router", true)]);
    }
    let groups = config.count("n_group").filter(|groups| *groups > 1);
    if groups.is_some() {
        table.counts([("node_limit", config.count("topk_group"))]);
    }
    // Latent attention rotates a part of its heads, whatever stretches the positions.
    table.remove(["head_dim", "kv_heads", "yarn"]);
    table
}

/// DeepSeek-V3.2: an indexer chooses the keys that each token attends to.
pub(super) fn deepseek_sparse(config: &mut Config<'_>) -> ModelTable {
    let mut table = deepseek(config);
    table.counts([
        ("index_heads", Some(config.needed("index_n_heads"))),
        ("index_head_dim", Some(config.needed("index_head_dim"))),
        ("index_top_k", Some(config.needed("index_topk"))),
    ]);
    table
}

/// The text model of Llama 4: experts in every layer or every other, three chunked layers to a global one.
pub(super) fn llama4(config: &mut Config<'_>) -> ModelTable {
    let mut table = mixture(config, "num_local_experts", "intermediate_size");
    table.count("ffn_hidden", config.needed("intermediate_size_mlp"));
    table.count("shared_experts", 1);
    let every = config.count("interleave_moe_layer_step").unwrap_or(1);
    table.count("moe_every", every.max(1));
    windows(config, &mut table, Some("CCCG"));
    table
}
