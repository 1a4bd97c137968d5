//! Model tables.

use crate::model::{
    Architecture, AttentionKind, Cnn, Family, Mla, Mlp, Model, Moe, Norm, SlidingWindow,
    Transformer,
};

use super::fault::Faults;
use super::fields::Fields;
use super::key::{Key, ValueKind as Kind};
use super::quantity::ParameterCount;

/// The keys of a model table.
pub(super) const KEYS: &[Key] = &[
    Key::optional("title", Kind::Text, "Name for people; default: the name."),
    Key::required(
        "family",
        Kind::Choice(Family::NAMES),
        "Kind of network; decides which other keys apply.",
    ),
    Key::optional(
        "published_parameters",
        Kind::ParameterCount,
        "Parameters as published, without multi-token prediction.",
    ),
    Key::optional(
        "published_active_parameters",
        Kind::ParameterCount,
        "Parameters that a token passes, as published.",
    ),
    Key::optional(
        "layers",
        Kind::CountTo(100_000),
        "Transformer layers; required but for cnn.",
    ),
    Key::optional(
        "hidden",
        Kind::CountTo(16_777_216),
        "Width of the residual stream; required but for cnn.",
    ),
    Key::optional(
        "ffn_hidden",
        Kind::CountTo(16_777_216),
        "Width of the dense MLP; default: 4·hidden.",
    ),
    Key::optional(
        "heads",
        Kind::CountTo(65_536),
        "Query heads; required but for cnn.",
    ),
    Key::optional(
        "kv_heads",
        Kind::CountTo(65_536),
        "Key and value heads, a divisor of heads; default: heads.",
    ),
    Key::optional(
        "head_dim",
        Kind::CountTo(16_384),
        "Width of a head; default: hidden/heads.",
    ),
    Key::optional(
        "vocab",
        Kind::CountTo(268_435_456),
        "Tokens in the vocabulary as trained; required but for cnn.",
    ),
    Key::optional(
        "seq_len",
        Kind::CountTo(16_777_216),
        "Tokens per sample unless the spec says otherwise; required but for cnn.",
    ),
    Key::optional(
        "mlp",
        Kind::Choice(Mlp::NAMES),
        "Activation of the MLP; default: gelu, in a moe swiglu.",
    ),
    Key::optional(
        "norm",
        Kind::Choice(Norm::NAMES),
        "Normalisation; default: rms-norm with swiglu, else layer-norm.",
    ),
    Key::optional(
        "biases",
        Kind::Flag,
        "Whether linear layers and norms have biases; default: with gelu.",
    ),
    Key::optional(
        "qkv_biases",
        Kind::Flag,
        "Whether query, key and value projections have biases without the others; default: false.",
    ),
    Key::optional(
        "qk_norm",
        Kind::Flag,
        "Whether queries and keys are normalised per head; default: false.",
    ),
    Key::optional(
        "embedding_norm",
        Kind::Flag,
        "Whether embeddings are normalised before the first layer; default: in an encoder.",
    ),
    Key::optional(
        "tied_embeddings",
        Kind::Flag,
        "Whether embedding and head share their matrix; default: with gelu.",
    ),
    Key::optional(
        "learned_positions",
        Kind::CountOrZero,
        "Rows of a learned position embedding; default: seq_len with gelu, else 0 (rotary or ALiBi).",
    ),
    Key::optional(
        "mtp_layers",
        Kind::CountOrZero,
        "Multi-token-prediction layers behind the last; default: 0.",
    ),
    Key::optional(
        "sliding_window",
        Kind::CountOrZero,
        "Tokens that a token sees in layers of local attention; 0 and default: none are local.",
    ),
    Key::optional(
        "global_every",
        Kind::CountOrZero,
        "With sliding_window: one layer of so many is global; 0 and default: none is.",
    ),
    Key::optional(
        "attention",
        Kind::Choice(AttentionKind::NAMES),
        "How a layer attends; default: mha.",
    ),
    Key::optional(
        "q_lora_rank",
        Kind::CountOrZero,
        "mla: rank of the query compression; 0 and default: none.",
    ),
    Key::optional(
        "kv_lora_rank",
        Kind::CountTo(1_048_576),
        "mla: rank of the key and value compression.",
    ),
    Key::optional(
        "qk_nope_head_dim",
        Kind::CountTo(8_192),
        "mla: width of a query and key head without rotary positions.",
    ),
    Key::optional(
        "qk_rope_head_dim",
        Kind::CountTo(8_192),
        "mla: width of the rotary part.",
    ),
    Key::optional(
        "v_head_dim",
        Kind::CountTo(16_384),
        "mla: width of a value head.",
    ),
    Key::optional(
        "experts",
        Kind::CountTo(65_536),
        "moe: routed experts of a layer.",
    ),
    Key::optional(
        "experts_per_token",
        Kind::CountTo(65_536),
        "moe: routed experts that a token visits.",
    ),
    Key::optional(
        "expert_ffn_hidden",
        Kind::CountTo(16_777_216),
        "moe: width of a routed expert; default: ffn_hidden.",
    ),
    Key::optional(
        "shared_experts",
        Kind::CountOrZero,
        "moe: experts that every token visits besides; default: 0.",
    ),
    Key::optional(
        "shared_ffn_hidden",
        Kind::CountTo(16_777_216),
        "moe: width of a shared expert; default: expert_ffn_hidden.",
    ),
    Key::optional(
        "dense_layers",
        Kind::CountOrZero,
        "moe: leading layers with a dense MLP; default: 0.",
    ),
    Key::optional(
        "node_limit",
        Kind::CountOrZero,
        "moe: nodes that a token's experts may lie on; 0 and default: any.",
    ),
    Key::optional(
        "blocks",
        Kind::Counts(4),
        "cnn: bottleneck blocks of each ResNet stage.",
    ),
    Key::optional(
        "image_size",
        Kind::CountTo(65_536),
        "cnn: pixels of a side of the square input; default: 224.",
    ),
    Key::optional(
        "classes",
        Kind::CountTo(16_777_216),
        "cnn: classes of the head; default: 1000.",
    ),
];

const CNN_KEYS: &[&str] = &["blocks", "image_size", "classes"];
const COMMON_KEYS: &[&str] = &[
    "title",
    "family",
    "published_parameters",
    "published_active_parameters",
];
const MOE_KEYS: &[&str] = &[
    "experts",
    "experts_per_token",
    "expert_ffn_hidden",
    "shared_experts",
    "shared_ffn_hidden",
    "dense_layers",
    "node_limit",
];
const MLA_KEYS: &[&str] = &[
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
];

/// Keys of a table that do not belong to its family or attention, each with what it belongs to.
pub(super) fn strays(table: &toml::Table) -> Vec<(&'static str, &'static str)> {
    let Some(family) = Fields(table).find::<Family>("family") else {
        return Vec::new();
    };
    let latent = Fields(table).find("attention") == Some(AttentionKind::Mla);
    KEYS.iter()
        .map(|key| key.path)
        .filter(|path| table.contains_key(*path) && !COMMON_KEYS.contains(path))
        .filter_map(|path| {
            let of_cnn = CNN_KEYS.contains(&path);
            if of_cnn != (family == Family::Cnn) {
                let owner = if of_cnn {
                    "family = \"cnn\""
                } else {
                    "a transformer"
                };
                Some((path, owner))
            } else if MOE_KEYS.contains(&path) && family != Family::Moe {
                Some((path, "family = \"moe\""))
            } else if MLA_KEYS.contains(&path) && !latent {
                Some((path, "attention = \"mla\""))
            } else {
                None
            }
        })
        .collect()
}

/// What a complete table says.
pub(super) fn read(name: &str, fields: Fields<'_>, faults: &mut Faults<'_>) -> Model {
    for (path, owner) in strays(fields.0) {
        faults.key(path, format!("`{path}` belongs to {owner} only"), None);
    }
    let family = fields.get("family");
    let (architecture, seq_len) = match family {
        Family::Cnn => (Architecture::Cnn(cnn(fields, faults)), 1),
        Family::Decoder | Family::Encoder | Family::Moe => {
            let seq_len = required(fields, "seq_len", faults);
            let transformer = transformer(fields, family, seq_len, faults);
            check_transformer(&transformer, faults);
            (Architecture::Transformer(transformer), seq_len)
        }
    };
    Model {
        name: name.to_owned(),
        title: fields.find("title").unwrap_or_else(|| name.to_owned()),
        family,
        architecture,
        seq_len,
        published_parameters: fields
            .find::<ParameterCount>("published_parameters")
            .map(|published| published.count),
    }
}

/// A count that this family cannot do without; 1 stands in for it once the fault is noted.
fn required(fields: Fields<'_>, path: &str, faults: &mut Faults<'_>) -> u32 {
    fields.find_count(path).unwrap_or_else(|| {
        let hint = format!("write `{path}` with a whole number from 1 on");
        faults.key("", format!("`{path}` is missing"), Some(hint));
        1
    })
}

fn cnn(fields: Fields<'_>, faults: &mut Faults<'_>) -> Cnn {
    let blocks = <[u32; 4]>::try_from(fields.counts("blocks")).unwrap_or_else(|_| {
        let hint = "write `blocks` with 4 whole numbers, `[3, 4, 6, 3]` for ResNet-50".to_owned();
        faults.key("", "`blocks` is missing".to_owned(), Some(hint));
        [1; 4]
    });
    Cnn {
        blocks,
        image_size: fields.find_count("image_size").unwrap_or(224),
        classes: fields.find_count("classes").unwrap_or(1000),
    }
}

fn transformer(
    fields: Fields<'_>,
    family: Family,
    seq_len: u32,
    faults: &mut Faults<'_>,
) -> Transformer {
    let hidden = required(fields, "hidden", faults);
    let heads = required(fields, "heads", faults);
    let ffn_hidden = fields
        .find_count("ffn_hidden")
        .unwrap_or_else(|| hidden.saturating_mul(4));
    let mlp = fields.find("mlp").unwrap_or(match family {
        Family::Moe => Mlp::SwiGlu,
        Family::Decoder | Family::Encoder | Family::Cnn => Mlp::Gelu,
    });
    let plain = mlp == Mlp::Gelu;
    let latent = fields.find("attention") == Some(AttentionKind::Mla);
    Transformer {
        causal: family != Family::Encoder,
        layers: required(fields, "layers", faults),
        hidden,
        ffn_hidden,
        heads,
        kv_heads: fields.find_count("kv_heads").unwrap_or(heads),
        head_dim: head_dim(fields, hidden, heads, latent, faults),
        vocab: required(fields, "vocab", faults),
        mlp,
        norm: fields.find("norm").unwrap_or(match mlp {
            Mlp::SwiGlu => Norm::RmsNorm,
            Mlp::Gelu | Mlp::SquaredRelu => Norm::LayerNorm,
        }),
        biases: fields.find_flag("biases").unwrap_or(plain),
        qkv_biases: fields.find_flag("qkv_biases").unwrap_or(false),
        qk_norm: fields.find_flag("qk_norm").unwrap_or(false),
        embedding_norm: fields
            .find_flag("embedding_norm")
            .unwrap_or(family == Family::Encoder),
        tied_embeddings: fields.find_flag("tied_embeddings").unwrap_or(plain),
        learned_positions: fields.find_count("learned_positions").unwrap_or(if plain {
            seq_len
        } else {
            0
        }),
        mtp_layers: fields.find_count("mtp_layers").unwrap_or(0),
        sliding_window: fields
            .find_count("sliding_window")
            .filter(|tokens| *tokens > 0)
            .map(|tokens| SlidingWindow {
                tokens,
                global_every: fields.find_count("global_every").unwrap_or(0),
            }),
        mla: latent.then(|| mla(fields, faults)),
        moe: (family == Family::Moe).then(|| moe(fields, ffn_hidden, faults)),
    }
}

fn head_dim(
    fields: Fields<'_>,
    hidden: u32,
    heads: u32,
    latent: bool,
    faults: &mut Faults<'_>,
) -> u32 {
    if let Some(given) = fields.find_count("head_dim") {
        return given;
    }
    if latent {
        return fields.find_count("v_head_dim").unwrap_or(1);
    }
    if !hidden.is_multiple_of(heads) {
        let message = format!(
            "`hidden` = {hidden} is not a multiple of `heads` = {heads}, so `head_dim` must be given"
        );
        faults.key("", message, None);
    }
    (hidden / heads).max(1)
}

fn mla(fields: Fields<'_>, faults: &mut Faults<'_>) -> Mla {
    Mla {
        q_lora_rank: fields.find_count("q_lora_rank").unwrap_or(0),
        kv_lora_rank: required(fields, "kv_lora_rank", faults),
        qk_nope_head_dim: required(fields, "qk_nope_head_dim", faults),
        qk_rope_head_dim: required(fields, "qk_rope_head_dim", faults),
        v_head_dim: required(fields, "v_head_dim", faults),
    }
}

fn moe(fields: Fields<'_>, ffn_hidden: u32, faults: &mut Faults<'_>) -> Moe {
    let expert_ffn_hidden = fields.find_count("expert_ffn_hidden").unwrap_or(ffn_hidden);
    Moe {
        experts: required(fields, "experts", faults),
        experts_per_token: required(fields, "experts_per_token", faults),
        expert_ffn_hidden,
        shared_experts: fields.find_count("shared_experts").unwrap_or(0),
        shared_ffn_hidden: fields
            .find_count("shared_ffn_hidden")
            .unwrap_or(expert_ffn_hidden),
        dense_layers: fields.find_count("dense_layers").unwrap_or(0),
        node_limit: fields.find_count("node_limit").unwrap_or(0),
    }
}

/// More parameters than this are a slip of the keyboard, and would not fit the byte counts.
const MOST_PARAMETERS: f64 = 1e15;

/// An upper bound of the parameters, in real numbers so that nothing can overflow.
fn bound(transformer: &Transformer) -> f64 {
    let [layers, hidden, ffn_hidden, heads, head_dim, vocab] = [
        transformer.layers,
        transformer.hidden,
        transformer.ffn_hidden,
        transformer.heads,
        transformer.head_dim,
        transformer.vocab,
    ]
    .map(f64::from);
    let latent = transformer.mla.map_or(0.0, |mla| {
        let ranks = [
            mla.q_lora_rank,
            mla.kv_lora_rank,
            mla.qk_nope_head_dim,
            mla.qk_rope_head_dim,
            mla.v_head_dim,
        ];
        let width: f64 = ranks.map(f64::from).iter().sum();
        width * (hidden + heads * width)
    });
    let experts = transformer.moe.map_or(0.0, |moe| {
        let width = f64::from(moe.expert_ffn_hidden.max(moe.shared_ffn_hidden));
        3.0 * hidden * width * (f64::from(moe.experts) + f64::from(moe.shared_experts))
    });
    let layer = 4.0 * hidden * heads * head_dim + 3.0 * hidden * ffn_hidden + latent + experts;
    (layers + f64::from(transformer.mtp_layers)) * (layer + hidden * hidden)
        + (2.0 * vocab + f64::from(transformer.learned_positions)) * hidden
}

fn check_transformer(transformer: &Transformer, faults: &mut Faults<'_>) {
    if bound(transformer) > MOST_PARAMETERS {
        let message = format!("more than {MOST_PARAMETERS:e} parameters cannot be simulated");
        faults.key("", message, None);
    }
    let (heads, kv_heads) = (transformer.heads, transformer.kv_heads);
    if !heads.is_multiple_of(kv_heads) {
        let message = format!("`kv_heads` = {kv_heads} does not divide `heads` = {heads}");
        faults.key("kv_heads", message, None);
    }
    let Some(moe) = transformer.moe else { return };
    if moe.experts_per_token > moe.experts {
        let message = format!(
            "a token cannot visit {} of {} experts",
            moe.experts_per_token, moe.experts
        );
        faults.key("experts_per_token", message, None);
    }
    if moe.dense_layers >= transformer.layers {
        let message = format!(
            "{} dense layers of {} leave none for the experts",
            moe.dense_layers, transformer.layers
        );
        let hint = "a network without experts is `family = \"decoder\"`".to_owned();
        faults.key("dense_layers", message, Some(hint));
    }
}
