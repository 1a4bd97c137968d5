//! Keys of attention that several classes share.

use super::config::Config;
use super::table::ModelTable;

/// Sets which layers are local, by `layer_types` where it is there, else by what is usual for the class.
pub(super) fn windows(config: &mut Config<'_>, table: &mut ModelTable, usual: Option<&str>) {
    let layers = config.count("num_hidden_layers").unwrap_or(0);
    let tokens = match config.count("sliding_window") {
        Some(tokens) if tokens > 0 => Some(("sliding_window", tokens)),
        Some(_) | None => config
            .count("attention_chunk_size")
            .map(|tokens| ("attention_chunk_size", tokens)),
    };
    let Some((key, tokens)) = tokens else { return };
    let local = if key == "sliding_window" { 'L' } else { 'C' };
    let pattern = match config.texts("layer_types") {
        Some(types) => {
            config.check_length("layer_types", types.len(), layers);
            letters(config, &types, local)
        }
        None => match usual {
            Some(usual) => usual.to_owned(),
            None => return,
        },
    };
    if pattern.contains(local) {
        table.count("sliding_window", tokens);
        table.text("window_pattern", &pattern);
    }
}

/// A letter for each type of layer; a type that is not known is noted.
fn letters(config: &mut Config<'_>, types: &[String], local: char) -> String {
    let mut letters = String::new();
    for name in types {
        match name.as_str() {
            "full_attention" => letters.push('G'),
            "sliding_attention" | "chunked_attention" => letters.push(local),
            other => {
                let message = format!("the layer type `{other}` is not known to this class");
                config.fault("layer_types", message, None);
                break;
            }
        }
    }
    letters
}

/// Sets the ranks and widths of multi-head latent attention.
pub(super) fn latent(config: &mut Config<'_>, table: &mut ModelTable) {
    table.text("attention", "mla");
    let q_lora_rank = config.count("q_lora_rank").unwrap_or(0);
    table.count("q_lora_rank", q_lora_rank);
    for key in [
        "kv_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
    ] {
        let width = config.needed(key);
        table.count(key, width);
    }
}
