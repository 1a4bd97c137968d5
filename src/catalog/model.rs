//! Model tables.

use std::num::NonZeroU32;

use crate::data_table::{Fields, Key, Need, Owner};
use crate::model::{AttentionKind, Cnn, Family, Mixture, Mla, Model, Transformer};

use super::fault::Faults;

const TRANSFORMER: Owner = Owner {
    key: "family",
    values: &[
        Family::Decoder.as_str(),
        Family::Encoder.as_str(),
        Family::Moe.as_str(),
    ],
    title: "a transformer",
};
const CNN: Owner = Owner {
    key: "family",
    values: &[Family::Cnn.as_str()],
    title: "family = \"cnn\"",
};
const MOE: Owner = Owner {
    key: "family",
    values: &[Family::Moe.as_str()],
    title: "family = \"moe\"",
};
const MLA: Owner = Owner {
    key: "attention",
    values: &[AttentionKind::Mla.as_str()],
    title: "attention = \"mla\"",
};

/// The keys of a model table.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Model::keys("", Need::Always);
    for (owner, owned) in [
        (TRANSFORMER, Transformer::keys("", Need::Always)),
        (MLA, Mla::keys("", Need::Always)),
        (MOE, Mixture::keys("", Need::Always)),
        (CNN, Cnn::keys("", Need::Always)),
    ] {
        keys.extend(owned.into_iter().map(|key| Key {
            owner: Some(owner),
            ..key
        }));
    }
    keys
}

/// Notes faults of a model that no single key shows.
pub(super) fn check(model: &Model, fields: Fields<'_>, faults: &mut Faults<'_>) {
    if let Some(transformer) = model.transformer() {
        check_transformer(transformer, fields.0.contains_key("head_dim"), faults);
        check_window(fields, faults);
    }
}

/// Largest number of parameters that is taken: more must be a typing error, and would overflow byte counts.
const MOST_PARAMETERS: f64 = 1e15;

/// Upper bound of the number of parameters, as a real number so that nothing overflows.
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
            mla.q_lora_rank.map_or(0, NonZeroU32::get),
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
    let layer = 5.0 * hidden * heads * head_dim + 3.0 * hidden * ffn_hidden + latent + experts;
    (layers + f64::from(transformer.mtp_layers)) * (layer + hidden * hidden)
        + (2.0 * vocab + f64::from(transformer.learned_positions)) * hidden
}

/// Notes faults of a transformer that no single key shows.
fn check_transformer(transformer: &Transformer, head_dim_given: bool, faults: &mut Faults<'_>) {
    if bound(transformer) > MOST_PARAMETERS {
        let message = format!("more than {MOST_PARAMETERS:e} parameters cannot be simulated");
        faults.key("", message, None);
    }
    let (hidden, heads, kv_heads) = (transformer.hidden, transformer.heads, transformer.kv_heads);
    if !head_dim_given && transformer.mla.is_none() && !hidden.is_multiple_of(heads) {
        let message = format!(
            "`hidden` = {hidden} is not a multiple of `heads` = {heads}, so `head_dim` must be given"
        );
        faults.key("", message, None);
    }
    if !heads.is_multiple_of(kv_heads) {
        let message = format!("`kv_heads` = {kv_heads} does not divide `heads` = {heads}");
        faults.key("kv_heads", message, None);
    }
    if transformer.attention_gate && transformer.mla.is_some() {
        let message = "`attention_gate` belongs to attention = \"mha\" only".to_owned();
        faults.key("attention_gate", message, None);
    }
    if let Some(moe) = &transformer.moe {
        check_moe(moe, transformer.layers, faults);
    }
}

/// Notes a pattern of windows that says nothing, or says it twice.
fn check_window(fields: Fields<'_>, faults: &mut Faults<'_>) {
    if !fields.0.contains_key("window_pattern") {
        return;
    }
    if fields
        .find::<Option<NonZeroU32>>("sliding_window")
        .flatten()
        .is_none()
    {
        let message = "`window_pattern` needs `sliding_window`".to_owned();
        let hint = "write the tokens that its letters L and C see".to_owned();
        faults.key("window_pattern", message, Some(hint));
    }
    if fields.0.contains_key("global_every") {
        let message = "`window_pattern` and `global_every` both say which layers are global";
        let hint = "leave out `global_every`".to_owned();
        faults.key("window_pattern", message.to_owned(), Some(hint));
    }
}

/// Notes faults of the experts of a transformer with so many layers.
fn check_moe(moe: &Mixture, layers: u32, faults: &mut Faults<'_>) {
    if moe.experts_per_token > moe.experts {
        let message = format!(
            "a token cannot visit {} of {} experts",
            moe.experts_per_token, moe.experts
        );
        faults.key("experts_per_token", message, None);
    }
    let hint = || Some("a network without experts is `family = \"decoder\"`".to_owned());
    if moe.dense_layers >= layers {
        let message = format!(
            "{} dense layers of {layers} leave none for the experts",
            moe.dense_layers
        );
        faults.key("dense_layers", message, hint());
    } else if moe.moe_every > layers - moe.dense_layers {
        let message = format!(
            "one layer of {} leaves none of {} for the experts",
            moe.moe_every,
            layers - moe.dense_layers
        );
        faults.key("moe_every", message, hint());
    }
}
