//! Model tables.

use std::num::NonZeroU32;

use crate::data_table::{Fields, Key, Mark, Need, Owner};
use crate::model::{
    AttentionKind, Cnn, Diffusion, EncoderDecoder, Ends, Family, Letter, Mixture, Mla, Model,
    Patches, Projector, Recurrence, SampleImages, Transformer, Vision,
};

use super::fault::Faults;

/// Families of one stack over tokens of a vocabulary.
const TEXT: &[&str] = &[
    Family::Decoder.as_str(),
    Family::Encoder.as_str(),
    Family::Moe.as_str(),
    Family::Hybrid.as_str(),
];

/// Families that may have an encoder of images in front.
const DECODERS: &[&str] = &[
    Family::Decoder.as_str(),
    Family::Moe.as_str(),
    Family::Hybrid.as_str(),
];

const fn family(any_of: &'static [Mark], title: &'static str) -> Owner {
    Owner { any_of, title }
}

const IMAGES: &[&str] = &[Family::Vit.as_str(), Family::Dit.as_str()];
const TWO_STACKS: &[&str] = &[Family::EncoderDecoder.as_str()];
const OF_TRANSFORMERS: Owner = family(
    &[
        Mark::Value("family", TEXT),
        Mark::Value("family", IMAGES),
        Mark::Value("family", TWO_STACKS),
    ],
    "a transformer",
);
const OF_ONE_STACK: Owner = family(
    &[Mark::Value("family", TEXT), Mark::Value("family", IMAGES)],
    "a transformer of one stack",
);
const OF_TOKENS: Owner = family(
    &[
        Mark::Value("family", TEXT),
        Mark::Value("family", TWO_STACKS),
    ],
    "a transformer over tokens",
);
const OF_TEXT: Owner = family(
    &[Mark::Value("family", TEXT)],
    "a transformer of one stack over tokens",
);
const OF_IMAGES: Owner = family(
    &[Mark::Value("family", IMAGES)],
    "family = \"vit\" or \"dit\"",
);
const OF_PIXELS: Owner = family(
    &[
        Mark::Value("family", IMAGES),
        Mark::Value("family", &[Family::Cnn.as_str()]),
    ],
    "family = \"cnn\", \"vit\" or \"dit\"",
);
const OF_CNN: Owner = family(
    &[Mark::Value("family", &[Family::Cnn.as_str()])],
    "family = \"cnn\"",
);
const OF_DIT: Owner = family(
    &[Mark::Value("family", &[Family::Dit.as_str()])],
    "family = \"dit\"",
);
const OF_TWO_STACKS: Owner = family(
    &[Mark::Value("family", TWO_STACKS)],
    "family = \"encoder-decoder\"",
);
const OF_HYBRID: Owner = family(
    &[Mark::Value("family", &[Family::Hybrid.as_str()])],
    "family = \"hybrid\"",
);
const OF_EXPERTS: Owner = family(
    &[
        Mark::Value("family", &[Family::Moe.as_str()]),
        Mark::Letter("pattern", &[Letter::Experts.as_str()]),
    ],
    "family = \"moe\" (or a pattern with E)",
);
const OF_STATES: Owner = family(
    &[Mark::Letter(
        "pattern",
        &[
            Letter::Mamba2.as_str(),
            Letter::DeltaNet.as_str(),
            Letter::Mamba.as_str(),
        ],
    )],
    "a pattern with M, G or S",
);
const OF_SELECTIVE_SCANS: Owner = family(
    &[Mark::Letter("pattern", &[Letter::Mamba.as_str()])],
    "a pattern with S",
);
const OF_LATENT_ATTENTION: Owner = family(
    &[Mark::Value("attention", &[AttentionKind::Mla.as_str()])],
    "attention = \"mla\"",
);

const OF_DECODERS: Owner = family(
    &[Mark::Value("family", DECODERS)],
    "family = \"decoder\", \"moe\" or \"hybrid\"",
);

/// Keys of [`Transformer`] that an encoder of images has.
const OF_ENCODERS: &[&str] = &[
    "layers",
    "hidden",
    "ffn_hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "mlp",
    "norm",
    "biases",
    "qkv_biases",
    "qk_norm",
    "embedding_norm",
    "learned_positions",
    "sliding_window",
    "global_every",
    "window_pattern",
];

/// Owner of a key of [`Transformer`], and whether its owners have to give it though others have a default.
fn of_transformer(path: &str) -> (Owner, Option<Owner>) {
    match path {
        "layers" => (OF_ONE_STACK, Some(OF_ONE_STACK)),
        "vocab" => (OF_TOKENS, Some(OF_TOKENS)),
        "seq_len" => (OF_TOKENS, Some(OF_TEXT)),
        "tied_embeddings" => (OF_TOKENS, None),
        "pattern" => (OF_HYBRID, Some(OF_HYBRID)),
        "alibi" | "embedding_norm" | "learned_positions" | "mtp_layers" | "sliding_window"
        | "global_every" | "window_pattern" => (OF_TEXT, None),
        _ => (OF_TRANSFORMERS, None),
    }
}

/// The keys of a model table.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Model::keys("", Need::Always);
    keys.extend(Transformer::keys("", Need::Always).into_iter().map(|key| {
        let (owner, needed_in) = of_transformer(&key.path);
        Key {
            owner: Some(owner),
            need: needed_in.map_or(key.need, Need::Of),
            ..key
        }
    }));
    for (owner, owned) in [
        (OF_LATENT_ATTENTION, Mla::keys("", Need::Always)),
        (OF_EXPERTS, Mixture::keys("", Need::Always)),
        (OF_STATES, Recurrence::keys("", Need::Always)),
        (OF_TWO_STACKS, EncoderDecoder::keys("", Need::Always)),
        (OF_CNN, Cnn::keys("", Need::Always)),
        (OF_IMAGES, Patches::keys("", Need::Always)),
        (OF_DIT, Diffusion::keys("", Need::Always)),
    ] {
        for key in owned {
            // Two kinds of network see images.
            if keys.iter().any(|known| known.path == key.path) {
                continue;
            }
            let owner = match key.path.as_str() {
                "image_size" | "classes" => OF_PIXELS,
                "step_rank" | "state_norms" => OF_SELECTIVE_SCANS,
                _ => owner,
            };
            keys.push(Key {
                owner: Some(owner),
                ..key
            });
        }
    }
    keys.extend(image_keys());
    keys
}

/// The keys of an encoder of images and its projector, tables of their own inside a model's.
fn image_keys() -> impl Iterator<Item = Key> {
    let in_table = Need::InItsTable;
    let encoder = Transformer::keys("encoder.", in_table).into_iter();
    let encoder = encoder.filter_map(move |key| {
        let name = key.path.strip_prefix("encoder.")?;
        let known = OF_ENCODERS.contains(&name);
        let need = if name == "layers" { in_table } else { key.need };
        known.then_some(Key { need, ..key })
    });
    let rest = SampleImages::keys("encoder.", in_table).into_iter();
    let projector = Projector::keys("projector.", in_table);
    encoder.chain(rest).chain(projector).map(|key| Key {
        owner: Some(OF_DECODERS),
        ..key
    })
}

/// Notes faults of a model that no single key shows.
pub(super) fn check(model: &Model, fields: Fields<'_>, faults: &mut Faults<'_>) {
    if let Some(transformer) = model.transformer() {
        check_transformer(transformer, fields.0.contains_key("head_dim"), faults);
        check_window(fields, "", faults);
        check_blocks(transformer, faults);
        match &transformer.vision {
            Some(vision) => check_vision(vision, (transformer, fields), faults),
            None if fields.0.contains_key("projector") => {
                let message = "`projector` needs an encoder in front of it".to_owned();
                let hint =
                    "describe it under `encoder`: layers, hidden, heads, image_size, patch_size";
                faults.key("projector", message, Some(hint.to_owned()));
            }
            None => {}
        }
    }
}

/// Largest number of parameters that is taken: more must be a typing error, and would overflow byte counts.
pub(super) const MOST_PARAMETERS: f64 = 1e15;

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
        + transformer.vision.as_ref().map_or(0.0, |vision| {
            let projected =
                f64::from(vision.projector.merge).powi(2) * f64::from(vision.encoder.hidden);
            let adapter = f64::from(vision.projector.adapter);
            let products = (projected + adapter + hidden)
                * f64::from(vision.projector.hidden.max(1))
                + projected * (adapter + hidden)
                + adapter * hidden;
            bound(&vision.encoder) + products * (1.0 + f64::from(vision.projector.deepstack))
        })
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
    if transformer.qk_norm && transformer.mla.is_some() {
        let message =
            "`qk_norm` belongs to attention = \"mha\" only: latents have norms of their own"
                .to_owned();
        faults.key("qk_norm", message, None);
    }
    if transformer.clamped_activation && transformer.moe.is_none() {
        let message = "`clamped_activation` belongs to models with experts".to_owned();
        faults.key("clamped_activation", message, None);
    }
    if let Some(moe) = &transformer.moe {
        check_moe(moe, transformer.layers, faults);
    }
}

/// Notes faults of an encoder of images and its projector that no single key shows.
fn check_vision(
    vision: &Vision,
    (decoder, fields): (&Transformer, Fields<'_>),
    faults: &mut Faults<'_>,
) {
    let Some(given) = fields.table("encoder") else {
        return;
    };
    let encoder = &vision.encoder;
    let (hidden, heads, kv_heads) = (encoder.hidden, encoder.heads, encoder.kv_heads);
    if !given.0.contains_key("head_dim") && !hidden.is_multiple_of(heads) {
        let message = format!(
            "the encoder's `hidden` = {hidden} is not a multiple of its `heads` = {heads}, so `head_dim` must be given"
        );
        faults.key("encoder", message, None);
    }
    if !heads.is_multiple_of(kv_heads) {
        let message = format!("`kv_heads` = {kv_heads} does not divide `heads` = {heads}");
        faults.key("encoder.kv_heads", message, None);
    }
    check_window(given, "encoder.", faults);
    let (size, patch) = (vision.images.image_size, vision.images.patch_size);
    if !size.is_multiple_of(patch) {
        let message = format!("`image_size` {size} is not a multiple of `patch_size` = {patch}");
        faults.key("encoder.patch_size", message, None);
    } else if !vision.merges_evenly() {
        let merge = vision.projector.merge;
        let message = format!(
            "`merge` = {merge} does not divide the {} patches of an image's side",
            size / patch
        );
        faults.key("projector.merge", message, None);
    }
    if vision.projector.pool && vision.projector.merge == 1 {
        let message = "`pool` needs `merge`: there is nothing to average".to_owned();
        faults.key("projector.pool", message, None);
    }
    let tapped = vision.projector.deepstack;
    let most = encoder.layers.min(decoder.layers + 1) - 1;
    if tapped > most {
        let message = format!(
            "`deepstack` = {tapped} layers besides the encoder's last cannot be added behind layers of the decoder: the most is {most}"
        );
        faults.key("projector.deepstack", message, None);
    }
    let (images, tokens) = (vision.image_tokens(), decoder.seq_len);
    if images >= tokens {
        let message = format!(
            "samples of `seq_len` = {tokens} tokens have no room for text beside {images} of images"
        );
        let hint = "raise `seq_len`, or lower `image_size` or `images`, or raise `merge`";
        faults.key("seq_len", message, Some(hint.to_owned()));
    }
}

/// Notes a pattern of windows that says nothing, or says it twice; `above` is the path of its table.
fn check_window(fields: Fields<'_>, above: &str, faults: &mut Faults<'_>) {
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
        faults.key(&format!("{above}window_pattern"), message, Some(hint));
    }
    if fields.0.contains_key("global_every") {
        let message = "`window_pattern` and `global_every` both say which layers are global";
        let hint = "leave out `global_every`".to_owned();
        faults.key(
            &format!("{above}window_pattern"),
            message.to_owned(),
            Some(hint),
        );
    }
}

/// Notes faults of patterns, states and images.
fn check_blocks(transformer: &Transformer, faults: &mut Faults<'_>) {
    if let Some(pattern) = &transformer.pattern {
        let letters = pattern.letters().len();
        if letters > transformer.layers as usize {
            let layers = transformer.layers;
            let message = format!("the pattern has {letters} letters for {layers} layers");
            let hint = "a letter stands for one layer; a shorter pattern is repeated".to_owned();
            faults.key("pattern", message, Some(hint));
        }
        let others = [Letter::Mamba2, Letter::DeltaNet];
        if pattern.has(Letter::Mamba) && others.into_iter().any(|other| pattern.has(other)) {
            let message =
                "a pattern has S, or M and G: they do not share the sizes of their states";
            faults.key("pattern", message.to_owned(), None);
        }
    }
    if let Some(state) = transformer.state
        && !state.state_heads.is_multiple_of(state.state_groups)
    {
        let (heads, groups) = (state.state_heads, state.state_groups);
        let message = format!("`state_groups` = {groups} does not divide `state_heads` = {heads}");
        faults.key("state_groups", message, None);
    }
    let image = match transformer.ends {
        Ends::Vit(image) => image,
        Ends::Dit(diffusion) => diffusion.latent,
        Ends::Decoder | Ends::Encoder | Ends::EncoderDecoder(_) | Ends::Images(_) => return,
    };
    let (size, patch) = (image.image_size, image.patch_size);
    if !size.is_multiple_of(patch) {
        let what = if matches!(transformer.ends, Ends::Dit(_)) {
            "the latent's side"
        } else {
            "`image_size`"
        };
        let message = format!("{what} {size} is not a multiple of `patch_size` = {patch}");
        faults.key("patch_size", message, None);
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
