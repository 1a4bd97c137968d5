//! Models from the `config.json` of Hugging Face's transformers: from its keys to those of a model table.
//!
//! A class is known when every key that changes its layers is read, or refused where it holds what is
//! not known here. What only changes values (the base of rotary positions, dropout rates, the
//! initialiser) is not looked at.
//!
//! # How do I add a class?
//!
//! Write a function from [`Config`] to [`ModelTable`] in the file of its kind and name it in [`CLASSES`].

mod activation;
mod attention;
mod config;
mod experts;
mod hybrid;
mod images;
mod learned;
mod origin;
mod other;
mod rotary;
mod table;

use itertools::Itertools as _;

use crate::spelling::nearest;

use super::CatalogFault;
use config::Config;
pub(crate) use origin::config_keys;
use table::ModelTable;

/// A class of transformers (or diffusers) and how its config is read.
struct Class {
    /// Name in `architectures` (diffusers: `_class_name`).
    name: &'static str,
    /// `model_type`, for files that name no class; empty where classes of one type differ.
    model_type: &'static str,
    read: fn(&mut Config<'_>) -> ModelTable,
}

const fn class(
    name: &'static str,
    model_type: &'static str,
    read: fn(&mut Config<'_>) -> ModelTable,
) -> Class {
    Class {
        name,
        model_type,
        read,
    }
}

/// Every class that can be read.
const CLASSES: &[Class] = &[
    class("LlamaForCausalLM", "llama", rotary::llama),
    class("MistralForCausalLM", "mistral", rotary::llama),
    class("Qwen2ForCausalLM", "qwen2", rotary::qwen2),
    class("Qwen3ForCausalLM", "qwen3", rotary::qwen3),
    class("GemmaForCausalLM", "gemma", rotary::gemma),
    class("Gemma2ForCausalLM", "gemma2", rotary::gemma2),
    class("Gemma3ForCausalLM", "gemma3_text", rotary::gemma3),
    class("Phi3ForCausalLM", "phi3", rotary::llama),
    class("Olmo2ForCausalLM", "olmo2", rotary::olmo2),
    class("NemotronForCausalLM", "nemotron", rotary::nemotron),
    class("GPT2LMHeadModel", "gpt2", learned::gpt2),
    class("GPTNeoXForCausalLM", "gpt_neox", learned::gpt_neox),
    class("OPTForCausalLM", "opt", learned::opt),
    class("BloomForCausalLM", "bloom", learned::bloom),
    class("BertForMaskedLM", "bert", learned::bert),
    class("BertForPreTraining", "", learned::bert),
    class("MixtralForCausalLM", "mixtral", experts::mixtral),
    class("Qwen2MoeForCausalLM", "qwen2_moe", experts::qwen2_moe),
    class("Qwen3MoeForCausalLM", "qwen3_moe", experts::qwen3_moe),
    class("OlmoeForCausalLM", "olmoe", experts::olmoe),
    class("GptOssForCausalLM", "gpt_oss", experts::gpt_oss),
    class("Glm4MoeForCausalLM", "glm4_moe", experts::glm4_moe),
    class("MiniMaxM2ForCausalLM", "minimax_m2", experts::minimax_m2),
    class("DeepseekV2ForCausalLM", "deepseek_v2", experts::deepseek),
    class("DeepseekV3ForCausalLM", "deepseek_v3", experts::deepseek),
    class(
        "DeepseekV32ForCausalLM",
        "deepseek_v32",
        experts::deepseek_sparse,
    ),
    class("Llama4ForCausalLM", "llama4_text", experts::llama4),
    class("NemotronHForCausalLM", "nemotron_h", hybrid::nemotron_h),
    class("Qwen3NextForCausalLM", "qwen3_next", hybrid::qwen3_next),
    class("Qwen3_5ForCausalLM", "qwen3_5_text", hybrid::qwen3_5),
    class(
        "Qwen3_5MoeForCausalLM",
        "qwen3_5_moe_text",
        hybrid::qwen3_next,
    ),
    class("JambaForCausalLM", "jamba", hybrid::jamba),
    class("MambaForCausalLM", "mamba", hybrid::mamba),
    class("FalconMambaForCausalLM", "falcon_mamba", hybrid::mamba),
    class("T5ForConditionalGeneration", "t5", other::t5),
    class("ViTForImageClassification", "vit", other::vit),
    class("ResNetForImageClassification", "resnet", other::resnet),
    class("DiTTransformer2DModel", "", other::dit),
    class("LlavaForConditionalGeneration", "llava", images::llava),
    class(
        "InternVLForConditionalGeneration",
        "internvl",
        images::internvl,
    ),
    class("Gemma3ForConditionalGeneration", "gemma3", images::gemma3),
    class("Llama4ForConditionalGeneration", "llama4", images::llama4),
    class(
        "Qwen3VLForConditionalGeneration",
        "qwen3_vl",
        images::qwen3_vl,
    ),
    class(
        "Qwen3VLMoeForConditionalGeneration",
        "qwen3_vl_moe",
        images::qwen3_vl_moe,
    ),
    class(
        "Qwen2VLForConditionalGeneration",
        "qwen2_vl",
        images::qwen2_vl,
    ),
    class(
        "Qwen2_5_VLForConditionalGeneration",
        "qwen2_5_vl",
        images::qwen2_5_vl,
    ),
];

/// Classes that no model table can describe, by name and `model_type`, and what of them is not known.
const LACKING: &[(&str, &str, &str)] = &[(
    "MllamaForConditionalGeneration",
    "mllama",
    "layers of cross attention from the decoder to the image (`cross_attention_layers`)",
)];

/// The model table that a `config.json` stands for.
///
/// # Errors
/// The class that is not known, or every key that is missing, of another form or contradicts another; paths are
/// those of the file.
pub(crate) fn model_table(config: &toml::Table) -> Result<toml::Table, Vec<CatalogFault>> {
    let mut config = Config::of(config);
    let Some(class) = class_of(&mut config) else {
        return Err(config.into_faults());
    };
    let table = (class.read)(&mut config);
    let faults = config.into_faults();
    if faults.is_empty() {
        Ok(table.into_keys())
    } else {
        Err(faults)
    }
}

/// The class that a config names, or its fault noted.
fn class_of(config: &mut Config<'_>) -> Option<&'static Class> {
    if let Some((key, name)) = config.class_name() {
        if lacks(config, key, &name) {
            return None;
        }
        let found = CLASSES.iter().find(|class| class.name == name);
        if found.is_none() {
            let part = CLASSES
                .iter()
                .find(|class| config.inner_type() == Some(class.model_type));
            let hint = match part {
                Some(class) => format!(
                    "its `text_config` alone is a {}; write that part into a file of its own",
                    class.name
                ),
                None => known(&name, CLASSES.iter().map(|class| class.name)),
            };
            let message = format!("the architecture `{name}` is not known");
            config.fault(key, message, Some(hint));
        }
        return found;
    }
    let Some(name) = config.text("model_type") else {
        let message = "neither `architectures` nor `model_type` says which class it is".to_owned();
        let hint = "take the config.json that lies beside the model's weights".to_owned();
        config.fault("", message, Some(hint));
        return None;
    };
    if lacks(config, "model_type", &name) {
        return None;
    }
    let types = || CLASSES.iter().filter(|class| !class.model_type.is_empty());
    let found = types().find(|class| class.model_type == name);
    if found.is_none() {
        let hint = known(&name, types().map(|class| class.model_type));
        config.fault(
            "model_type",
            format!("the model type `{name}` is not known"),
            Some(hint),
        );
    }
    found
}

/// Whether a class is known to be one that cannot be described, which is noted.
fn lacks(config: &mut Config<'_>, key: &str, name: &str) -> bool {
    let mut classes = LACKING.iter();
    let Some((_, _, what)) =
        classes.find(|(class, model_type, _)| [*class, *model_type].contains(&name))
    else {
        return false;
    };
    let message = format!("`{name}` has what is not simulated: {what}");
    let hint = "a decoder of its other layers can be described under [models.NAME] with family = \"decoder\"";
    config.fault(key, message, Some(hint.to_owned()));
    true
}

/// The name that was probably meant, or all that are known. What a class does (`ForCausalLM`) makes no two models near.
fn known(name: &str, mut names: impl Iterator<Item = &'static str> + Clone) -> String {
    let of_model = |name: &'static str| name.split("For").next().unwrap_or(name);
    let typed = name.split("For").next().unwrap_or(name);
    let close = nearest(typed, names.clone().map(of_model));
    let of_close = |name: &&str| name.split("For").next() == close;
    let close = close.and_then(|_| nearest(name, names.clone().filter(of_close)));
    match close {
        Some(close) => format!(
            "did you mean `{close}`? Otherwise describe its layers under [models.NAME] with a `family`"
        ),
        None => format!(
            "describe its layers under [models.NAME] with a `family`; known are {}",
            names.join(", ")
        ),
    }
}
