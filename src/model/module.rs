//! Parts of a layer that the backward pass can compute again.

use crate::closed_set;
use crate::closed_set::Subset;
use crate::model::{Architecture, Model};

closed_set! {
    /// Part of a layer that the backward pass can compute again instead of keeping what it put out, by the names of
    /// Megatron-Core (`--recompute-modules`) and MaxText (`remat_policy: custom`).
    pub(crate) enum Module: "module" {
        /// Scores, softmax and values of attention (Megatron-Core; `context` in MaxText).
        CoreAttention = "core_attn",
        /// Norms in front of attention and MLP (Megatron-Core).
        LayerNorm = "layernorm",
        /// Queries, keys and values from the stream, with norms and rotary positions (MaxText).
        QkvProjection = "qkv_proj",
        /// Queries, keys and values from the latents of multi-head latent attention (Megatron-Core).
        LatentExpansion = "mla_up_proj",
        /// Dense MLP as a whole; its input is kept (Megatron-Core).
        Mlp = "mlp",
        /// Products in front of a dense MLP's activation, and the activation (MaxText).
        MlpIn = "mlpwi",
        /// Activation of a dense MLP. With `core_attn` and `layernorm`: outputs of matrix products are kept, as MaxText's
        /// `remat_policy: minimal` does.
        MlpActivation = "mlp_act",
        /// Router, exchange of tokens, routed and shared experts as a whole; their input is kept (Megatron-Core).
        Moe = "moe",
        /// Activation of the routed experts (Megatron-Core).
        MoeActivation = "moe_act",
        /// Shared experts as a whole; their input is kept (Megatron-Core).
        SharedExperts = "shared_experts",
    }
}

/// Some modules, written `mla_up_proj+moe_act`.
pub(crate) type Modules = Subset<Module>;

impl Model {
    /// Whether some layer has a module.
    pub(crate) fn has_module(&self, module: Module) -> bool {
        let Architecture::Transformer(network) = &self.architecture else {
            return false;
        };
        let shared = network.moe.is_some_and(|moe| moe.shared_experts > 0);
        match module {
            Module::LayerNorm => true,
            Module::CoreAttention => network.has_attention(),
            Module::QkvProjection => network.has_attention() && network.mla.is_none(),
            Module::LatentExpansion => network.has_attention() && network.mla.is_some(),
            Module::Mlp => network.has_dense_mlp(),
            Module::MlpIn | Module::MlpActivation => network.has_dense_mlp() || shared,
            Module::Moe | Module::MoeActivation => network.moe.is_some(),
            Module::SharedExperts => shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use itertools::Itertools as _;

    use crate::catalog::Catalog;

    // DeepSeek-V3 has latent attention, three dense layers and a shared expert, Qwen3 30B neither of them, Llama 3 no
    // experts at all, ResNet-50 no layer of a transformer.
    #[test]
    fn a_model_has_the_modules_of_its_architecture() {
        let has = |model: &str| {
            let model = &Catalog::builtin().models[model];
            let mut modules = Module::ALL
                .iter()
                .filter(|module| model.has_module(**module));
            modules.join(" ")
        };
        assert_eq!(
            has("deepseek-v3"),
            "core_attn layernorm mla_up_proj mlp mlpwi mlp_act moe moe_act shared_experts"
        );
        assert_eq!(
            has("qwen3-30b-a3b"),
            "core_attn layernorm qkv_proj moe moe_act"
        );
        assert_eq!(
            has("llama3-8b"),
            "core_attn layernorm qkv_proj mlp mlpwi mlp_act"
        );
        assert_eq!(has("resnet50"), "");
    }
}
