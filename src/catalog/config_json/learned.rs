//! Transformers with `LayerNorm` and biases: GPT-2, GPT-NeoX, OPT, BLOOM and BERT.

use crate::model::Family;

use super::activation::plain;
use super::config::Config;
use super::table::ModelTable;

/// Keys under which a class keeps its sizes.
struct Sizes {
    layers: &'static str,
    hidden: &'static str,
    heads: &'static str,
    ffn_hidden: &'static str,
    seq_len: &'static str,
}

/// The names that most classes use.
const USUAL: Sizes = Sizes {
    layers: "num_hidden_layers",
    hidden: "hidden_size",
    heads: "num_attention_heads",
    ffn_hidden: "intermediate_size",
    seq_len: "max_position_embeddings",
};

fn with_biases(config: &mut Config<'_>, family: Family, keys: &Sizes) -> ModelTable {
    let mut table = ModelTable::of(family);
    table.count("layers", config.needed(keys.layers));
    table.count("hidden", config.needed(keys.hidden));
    table.count("heads", config.needed(keys.heads));
    table.count("vocab", config.needed("vocab_size"));
    table.count("seq_len", config.needed(keys.seq_len));
    table.counts([("ffn_hidden", config.count(keys.ffn_hidden))]);
    table.text("mlp", plain(config).as_str());
    table.text("norm", "layer-norm");
    let tied = config.flag("tie_word_embeddings").unwrap_or(true);
    table.flags([("biases", true), ("tied_embeddings", tied)]);
    table
}

/// GPT-2.
pub(super) fn gpt2(config: &mut Config<'_>) -> ModelTable {
    let keys = Sizes {
        layers: "n_layer",
        hidden: "n_embd",
        heads: "n_head",
        ffn_hidden: "n_inner",
        seq_len: "n_positions",
    };
    with_biases(config, Family::Decoder, &keys)
}

/// GPT-NeoX and Pythia: rotary positions, a head of its own.
pub(super) fn gpt_neox(config: &mut Config<'_>) -> ModelTable {
    let mut table = with_biases(config, Family::Decoder, &USUAL);
    table.count("learned_positions", 0);
    let tied = config.flag("tie_word_embeddings").unwrap_or(false);
    table.flags([("tied_embeddings", tied)]);
    table
}

/// OPT, whose table of positions has two rows more than it uses.
pub(super) fn opt(config: &mut Config<'_>) -> ModelTable {
    let keys = Sizes {
        ffn_hidden: "ffn_dim",
        ..USUAL
    };
    let mut table = with_biases(config, Family::Decoder, &keys);
    let positions = config.needed("max_position_embeddings");
    table.count("learned_positions", positions.saturating_add(2));
    let width = config.count("word_embed_proj_dim");
    if width.is_some() && width != config.count("hidden_size") {
        let message = "an embedding narrower than `hidden_size` is not known".to_owned();
        config.fault("word_embed_proj_dim", message, None);
    }
    table
}

/// BLOOM: ALiBi, and a norm behind the embedding.
pub(super) fn bloom(config: &mut Config<'_>) -> ModelTable {
    let keys = Sizes {
        layers: "n_layer",
        heads: "n_head",
        hidden: if config.count("n_embed").is_some() {
            "n_embed"
        } else {
            "hidden_size"
        },
        ffn_hidden: "n_inner",
        seq_len: "seq_length",
    };
    let mut table = with_biases(config, Family::Decoder, &keys);
    table.flags([("alibi", true), ("embedding_norm", true)]);
    table
}

/// BERT.
pub(super) fn bert(config: &mut Config<'_>) -> ModelTable {
    if config
        .count("type_vocab_size")
        .is_some_and(|types| types != 2)
    {
        let message = "only two segments of an input are known".to_owned();
        config.fault("type_vocab_size", message, None);
    }
    with_biases(config, Family::Encoder, &USUAL)
}
