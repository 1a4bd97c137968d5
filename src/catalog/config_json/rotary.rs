//! Decoders that grew out of LLaMA, without experts: rotary positions and root-mean-square norms.

use crate::model::{Family, Mlp};

use super::activation::{gated, plain};
use super::attention::windows;
use super::config::Config;
use super::table::ModelTable;

/// Fields that the configs of these classes have in common, with an MLP of this kind.
pub(super) fn rotary(config: &mut Config<'_>, family: Family, mlp: Mlp) -> ModelTable {
    let mut table = ModelTable::of(family);
    table.text("mlp", mlp.as_str());
    table.count("layers", config.needed("num_hidden_layers"));
    table.count("hidden", config.needed("hidden_size"));
    table.count("heads", config.needed("num_attention_heads"));
    table.count("vocab", config.needed("vocab_size"));
    table.count("seq_len", seq_len(config));
    table.counts([
        ("ffn_hidden", config.count("intermediate_size")),
        ("kv_heads", config.count("num_key_value_heads")),
        ("head_dim", config.count("head_dim")),
    ]);
    table.text("norm", "rms-norm");
    table.count("learned_positions", 0);
    let attention = config.flag("attention_bias").unwrap_or(false);
    let mlp_bias = config.flag("mlp_bias").unwrap_or(false);
    table.flags([
        ("biases", attention && mlp_bias),
        ("qkv_biases", attention),
        ("yarn", stretches_by_yarn(config)),
        (
            "tied_embeddings",
            config.flag("tie_word_embeddings").unwrap_or(false),
        ),
    ]);
    table
}

/// Whether positions beyond the trained ones are stretched by YaRN; older files name the method `type`.
fn stretches_by_yarn(config: &Config<'_>) -> bool {
    let tables = ["rope_scaling", "rope_parameters"];
    let names = tables
        .iter()
        .flat_map(|table| ["rope_type", "type"].map(|key| config.text_in(table, key)));
    names.flatten().any(|name| name == "yarn")
}

/// Tokens of a sample: those that positions were trained for before they were stretched, else the most that there are.
fn seq_len(config: &mut Config<'_>) -> u32 {
    let trained = "original_max_position_embeddings";
    config
        .count_in("rope_scaling", trained)
        .or_else(|| config.count_in("rope_parameters", trained))
        .unwrap_or_else(|| config.needed("max_position_embeddings"))
}

/// Llama, Mistral and Phi-3.
pub(super) fn llama(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Decoder, mlp);
    windows(config, &mut table, Some("L"));
    table
}

/// Qwen 2 and 2.5.
pub(super) fn qwen2(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Decoder, mlp);
    qwen_windows(config, &mut table);
    table.flags([("qkv_biases", true)]);
    table
}

/// Qwen 3.
pub(super) fn qwen3(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Decoder, mlp);
    qwen_windows(config, &mut table);
    table.flags([("qk_norm", true)]);
    table
}

/// Windows of Qwen: from a layer on, where they are used at all.
pub(super) fn qwen_windows(config: &mut Config<'_>, table: &mut ModelTable) {
    if config.flag("use_sliding_window") == Some(true) {
        let layers = config.count("num_hidden_layers").unwrap_or(0);
        let from = config.count("max_window_layers").unwrap_or(0).min(layers);
        let whole = "G".repeat(from as usize);
        let local = "L".repeat((layers - from) as usize);
        windows(config, table, Some(&format!("{whole}{local}")));
    }
}

/// Gemma.
pub(super) fn gemma(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::GeGlu);
    let mut table = rotary(config, Family::Decoder, mlp);
    // The default of these classes, unlike the others'.
    let tied = config.flag("tie_word_embeddings").unwrap_or(true);
    table.flags([("tied_embeddings", tied)]);
    table
}

/// Gemma 2: every other layer is local, norms in front of and behind each block.
pub(super) fn gemma2(config: &mut Config<'_>) -> ModelTable {
    let mut table = gemma(config);
    windows(config, &mut table, Some("LG"));
    table.flags([("post_norms", true)]);
    table
}

/// Gemma 3: five local layers to a global one, and norms of queries and keys.
pub(super) fn gemma3(config: &mut Config<'_>) -> ModelTable {
    let mut table = gemma(config);
    let every = config.count("sliding_window_pattern").unwrap_or(6).max(1);
    let usual = format!("{}G", "L".repeat(every as usize - 1));
    windows(config, &mut table, Some(&usual));
    table.flags([("post_norms", true), ("qk_norm", true)]);
    table
}

/// OLMo 2, whose two norms stand behind the blocks.
pub(super) fn olmo2(config: &mut Config<'_>) -> ModelTable {
    let mlp = gated(config, Mlp::SwiGlu);
    let mut table = rotary(config, Family::Decoder, mlp);
    table.flags([("qk_norm", true)]);
    table
}

/// Nemotron-4 and Minitron: two matrices with squared ReLU between.
pub(super) fn nemotron(config: &mut Config<'_>) -> ModelTable {
    let mlp = plain(config);
    let mut table = rotary(config, Family::Decoder, mlp);
    table.text("norm", "layer-norm");
    table
}
