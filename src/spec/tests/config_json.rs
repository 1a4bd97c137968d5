//! Public configs: their parameters against the published counts, and what is refused.

use std::path::{Path, PathBuf};

use crate::spec::model_of_config;

/// Configs of `tests/configs/` with their published parameters, in millions, and where those are from.
///
/// `checkpoint`: the number of parameters that the model's page on Hugging Face gives for its weights. Those of
/// multi-token-prediction layers are not counted.
const PUBLISHED: &[(&str, f64, &str)] = &[
    ("llama-3.1-8b", 8_030.261, "checkpoint"),
    ("llama-3.2-1b", 1_235.814, "checkpoint"),
    ("llama-3.2-3b", 3_212.750, "checkpoint"),
    ("llama-3.3-70b", 70_553.706, "checkpoint"),
    (
        "llama-4-scout-text",
        108_642.0,
        "checkpoint, 0.9 billion of vision included",
    ),
    (
        "llama-4-maverick-text",
        401_584.0,
        "checkpoint, 0.9 billion of vision included",
    ),
    ("mistral-7b-v0.1", 7_241.732, "checkpoint"),
    ("mistral-large-2407", 122_610.070, "checkpoint"),
    ("qwen2.5-0.5b", 494.033, "checkpoint"),
    ("qwen2.5-7b", 7_615.617, "checkpoint"),
    ("qwen2.5-72b", 72_706.204, "checkpoint"),
    ("qwen3-0.6b", 596.050, "checkpoint, the tied matrix once"),
    ("qwen3-4b", 4_022.468, "checkpoint"),
    ("qwen3-8b", 8_190.735, "checkpoint"),
    ("qwen3-32b", 32_762.123, "checkpoint"),
    ("qwen3-30b-a3b", 30_532.123, "checkpoint"),
    ("qwen3-235b-a22b", 235_093.635, "checkpoint"),
    ("qwen1.5-moe-a2.7b", 14_315.784, "checkpoint"),
    ("gemma-2-2b", 2_614.342, "checkpoint"),
    ("gemma-2-9b", 9_241.706, "checkpoint"),
    ("gemma-2-27b", 27_227.128, "checkpoint"),
    ("gemma-3-1b", 999.886, "checkpoint"),
    (
        "gemma-3-27b-text",
        27_016.0,
        "arXiv 2503.19786 table 1: 1,416M and 25,600M",
    ),
    ("olmo-2-7b", 7_298.617, "checkpoint"),
    ("olmo-2-32b", 32_234.280, "checkpoint"),
    ("phi-4", 14_659.507, "checkpoint"),
    ("mixtral-8x7b", 46_702.793, "checkpoint"),
    ("olmoe-1b-7b", 6_919.162, "checkpoint"),
    ("gpt-oss-20b", 20_914.757, "arXiv 2508.10925 table 1"),
    ("gpt-oss-120b", 116_829.157, "arXiv 2508.10925 table 1"),
    ("glm-4.5", 355_000.0, "arXiv 2508.06471 table 1"),
    ("glm-4.5-air", 106_000.0, "arXiv 2508.06471 table 1"),
    ("minimax-m2", 228_700.0, "checkpoint"),
    ("deepseek-v2-lite", 15_706.484, "checkpoint"),
    ("deepseek-v3", 671_026.0, "checkpoint"),
    ("gpt2", 124.440, "checkpoint"),
    ("gpt2-xl", 1_557.611, "checkpoint"),
    ("gpt-neox-20b", 20_554.568, "arXiv 2204.06745"),
    ("opt-66b", 65_717.0, "checkpoint"),
    ("bloom", 176_247.271, "arXiv 2211.05100 table 3"),
    ("bert-large-uncased", 336.2, "checkpoint"),
    (
        "deepseek-v3.2",
        671_879.0,
        "checkpoint of DeepSeek-V3, and 0.85 billion of the indexer",
    ),
    ("nemotron-h-8b", 8_100.0, "checkpoint"),
    ("nemotron-h-56b", 56_000.0, "arXiv 2504.03624"),
    (
        "nemotron-3-nano-30b-a3b",
        31_600.0,
        "technical report of Nemotron 3 Nano",
    ),
    (
        "nemotron-3-super-120b-a12b",
        120_600.0,
        "technical report of Nemotron 3 Super",
    ),
    ("qwen3-next-80b-a3b", 80_000.0, "model card"),
    ("qwen3.5-35b-a3b-text", 35_000.0, "model card"),
    ("jamba-v0.1", 51_570.0, "checkpoint"),
    ("mamba-2.8b", 2_768.346, "checkpoint"),
    ("falcon-mamba-7b", 7_272.665, "checkpoint"),
    ("t5-small", 60.507, "checkpoint"),
    ("t5-base", 222.904, "checkpoint"),
    ("t5-large", 737.668, "checkpoint"),
    ("t5-3b", 2_851.598, "checkpoint"),
    ("t5-11b", 11_307.321, "checkpoint"),
    ("t5-v1.1-xxl", 11_135.332, "checkpoint"),
    ("vit-base-patch16-224", 86.568, "torchvision vit_b_16"),
    ("vit-large-patch16-224", 304.327, "torchvision vit_l_16"),
    ("vit-huge-patch14-224", 632.046, "torchvision vit_h_14"),
    ("resnet-50", 25.557, "torchvision resnet50"),
    ("resnet-101", 44.549, "torchvision resnet101"),
    ("llava-1.5-7b", 7_063.427, "checkpoint"),
    ("qwen2-vl-7b", 8_291.376, "checkpoint"),
    ("qwen2.5-vl-7b", 8_292.167, "checkpoint"),
    ("qwen3-vl-8b", 8_767.124, "checkpoint"),
    ("qwen3-vl-30b-a3b", 31_070.754, "checkpoint"),
    ("llama-4-scout", 108_641.794, "checkpoint"),
    (
        "pixtral-12b",
        12_647.782,
        "checkpoint of Mistral Nemo, and 400 million of the encoder (arXiv 2410.07073)",
    ),
    ("internvl3-8b", 7_944.374, "checkpoint"),
    ("gemma-3-4b", 4_300.079, "checkpoint"),
    ("gemma-3-27b", 27_432.407, "checkpoint"),
    ("dit-xl-2-256", 675.0, "arXiv 2212.09748 table 4"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs")
}

#[test]
fn public_configs_have_as_many_parameters_as_published() {
    let mut far = Vec::new();
    for (name, millions, source) in PUBLISHED {
        let model = model_of_config(&folder().join(format!("{name}.json")))
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let count = model.parameters().without_mtp() as f64 / 1e6;
        if (count / millions - 1.0).abs() > 0.01 {
            far.push(format!("{name}: {count:.3} for {millions} ({source})"));
        }
    }
    assert!(far.is_empty(), "{far:#?}");
}

#[test]
fn every_config_is_in_the_table() {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    for file in files {
        let path = file.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(PUBLISHED.iter().any(|(known, ..)| *known == name), "{name}");
    }
}

// A Qwen3 whose config stretches its positions by YaRN has a rotation of its own cost; by Llama 3's way, or not at all, it has
// not. GPT-OSS is read as its file says.
#[test]
fn yarn_is_read_from_the_scaling_of_positions() {
    let text = std::fs::read_to_string(folder().join("qwen3-30b-a3b.json")).expect("it is there");
    let temporary = tempfile::tempdir().expect("a folder");
    for (scaling, expected) in [
        (r#"{"rope_type": "yarn", "factor": 4.0}"#, true),
        (r#"{"type": "yarn", "factor": 4.0}"#, true),
        (r#"{"rope_type": "llama3", "factor": 8.0}"#, false),
        ("null", false),
    ] {
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config["rope_scaling"] = serde_json::from_str(scaling).expect("JSON");
        let file = temporary.path().join("config.json");
        std::fs::write(&file, config.to_string()).expect("written");
        let model = model_of_config(&file).expect("it is read");
        let network = model.transformer().expect("it is one");
        assert_eq!(network.yarn, expected, "{scaling}");
    }
    let oss = model_of_config(&folder().join("gpt-oss-20b.json")).expect("it is read");
    assert!(oss.transformer().expect("it is one").yarn);
}
