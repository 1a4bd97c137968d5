//! Activations by the names of transformers.

use crate::model::Mlp;

use super::config::Config;

/// Keys under which classes keep the activation; the first that is there counts.
const KEYS: [&str; 5] = [
    "hidden_activation",
    "hidden_act",
    "mlp_hidden_act",
    "activation_function",
    "dense_act_fn",
];

fn named(config: &mut Config<'_>) -> Option<(&'static str, String)> {
    KEYS.iter().find_map(|key| Some((*key, config.text(key)?)))
}

fn unknown(config: &mut Config<'_>, key: &str, name: &str) {
    let message = format!("the activation `{name}` is not known to this class");
    config.fault(key, message, None);
}

/// MLP of three matrices; `usual` where the config names no activation.
pub(super) fn gated(config: &mut Config<'_>, usual: Mlp) -> Mlp {
    let Some((key, name)) = named(config) else {
        return usual;
    };
    match name.as_str() {
        "silu" | "swish" => Mlp::SwiGlu,
        "gelu" | "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Mlp::GeGlu,
        other => {
            unknown(config, key, other);
            usual
        }
    }
}

/// MLP of two matrices: GELU, or ReLU, which costs the same, or its square.
pub(super) fn plain(config: &mut Config<'_>) -> Mlp {
    let Some((key, name)) = named(config) else {
        return Mlp::Gelu;
    };
    match name.as_str() {
        "relu" | "gelu" | "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "quick_gelu" => {
            Mlp::Gelu
        }
        "relu2" => Mlp::SquaredRelu,
        other => {
            unknown(config, key, other);
            Mlp::Gelu
        }
    }
}
