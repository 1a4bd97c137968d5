//! FLOPs per token (or image) of presets against published formulas and figures.

use super::*;
use crate::model::{Model, Transformer};

/// FLOPs of a forward pass per token (per image of a vision network), without multi-token prediction.
fn forward(model: &Model, seq_len: u32) -> f64 {
    let layers = model.layer_summaries(seq_len).into_iter();
    layers
        .filter(|layer| layer.kind != "multi-token prediction")
        .map(|layer| f64::from(layer.count) * layer.flops_per_token)
        .sum()
}

/// `num_floating_point_operations` of NVIDIA/Megatron-LM (megatron/training/training.py), forward and per token: layers of
/// attention over half of the sequence, MLPs, experts, Mamba-2 and gated delta nets, and the logits.
struct Megatron<'a>(&'a Transformer, f64);

impl Megatron<'_> {
    fn hidden(&self) -> f64 {
        f64::from(self.0.hidden)
    }

    /// 4·h·p·(h + h·g/n + s/2), p the heads' width over h, g of n heads with keys of their own.
    fn attention(&self) -> f64 {
        let (network, h) = (self.0, self.hidden());
        let width = f64::from(network.heads * network.head_dim);
        let shared = f64::from(network.kv_heads) / f64::from(network.heads);
        4.0 * width * (h + h * shared + self.1 / 2.0)
    }

    /// 4·h·f, half as much again with a gate.
    fn mlp(&self, width: u32) -> f64 {
        self.matrices(self.hidden(), width)
    }

    fn matrices(&self, outer: f64, width: u32) -> f64 {
        let gated = ["swiglu", "geglu"].contains(&self.0.mlp.as_str());
        4.0 * outer * f64::from(width) * if gated { 1.5 } else { 1.0 }
    }

    /// The experts that a token visits, the shared ones, and projections to a latent width.
    fn experts(&self) -> f64 {
        let moe = self.0.moe.expect("a mixture of experts");
        let latent = moe.latent_hidden.map(|width| f64::from(width.get()));
        f64::from(moe.experts_per_token)
            * self.matrices(latent.unwrap_or(self.hidden()), moe.expert_ffn_hidden)
            + f64::from(moe.shared_experts) * self.mlp(moe.shared_ffn_hidden)
            + latent.map_or(0.0, |width| 4.0 * self.hidden() * width)
    }

    /// 2·h·(2·d + 2·g·n + heads) + 7·d·n + 2·d·h, d = 2·h the width of the heads, n the state, g groups.
    fn mamba(&self) -> f64 {
        let (state, h) = (self.0.state.expect("states"), self.hidden());
        let (n, groups, heads) = (
            f64::from(state.state_size),
            f64::from(state.state_groups),
            f64::from(state.state_heads),
        );
        let d = 2.0 * h;
        2.0 * h * (2.0 * d + 2.0 * groups * n + heads) + 7.0 * d * n + 2.0 * d * h
    }

    fn logits(&self) -> f64 {
        2.0 * self.hidden() * f64::from(self.0.vocab)
    }

    /// Every layer of attention and an MLP or experts.
    fn transformer(&self) -> f64 {
        let dense = self.0.moe.map_or(self.0.layers, |moe| moe.dense_layers);
        let routed = self.0.layers - dense;
        let experts = if routed > 0 { self.experts() } else { 0.0 };
        f64::from(self.0.layers) * self.attention()
            + f64::from(dense) * self.mlp(self.0.ffn_hidden)
            + f64::from(routed) * experts
            + self.logits()
    }

    /// Layers by letter.
    fn hybrid(&self, pattern: &str) -> f64 {
        let layer = |letter| match letter {
            'A' => self.attention(),
            'M' => self.mamba(),
            'F' => self.mlp(self.0.ffn_hidden),
            'E' => self.experts(),
            other => panic!("{other}"),
        };
        pattern.chars().map(layer).sum::<f64>() + self.logits()
    }
}

fn preset(name: &str) -> &'static Model {
    &Catalog::builtin().models[name]
}

#[track_caller]
fn agrees(name: &str, ours: f64, published: f64) {
    let off = ours / published - 1.0;
    assert!(
        off.abs() < 0.02,
        "{name}: {ours:e} for {published:e} ({off:+.4})"
    );
}

#[test]
fn transformers_do_the_work_of_megatrons_formula() {
    let names = [
        "gpt3-175b",
        "llama3-8b",
        "llama3-70b",
        "llama3.1-405b",
        "llama3.2-1b",
        "qwen2.5-7b",
        "qwen2.5-72b",
        "qwen3-8b",
        "qwen3-32b",
        "phi-4",
        "olmo2-32b",
        "mistral-large-2",
        "nemotron-4-340b",
        "mixtral-8x7b",
        "mixtral-8x22b",
        "qwen3-235b-a22b",
        "glm-4.5",
    ];
    for name in names {
        let model = preset(name);
        let network = model.transformer().expect("a transformer");
        let formula = Megatron(network, 4096.0).transformer();
        agrees(name, forward(model, 4096), formula);
    }
}

// The formula takes heads of Mamba-2 to be 2·h wide together, which Nemotron 3 Nano's are not.
#[test]
fn hybrids_do_the_work_of_megatrons_formula() {
    for name in [
        "nemotron-h-8b",
        "nemotron-h-56b",
        "nemotron-3-super-120b-a12b",
    ] {
        let model = preset(name);
        let network = model.transformer().expect("a transformer");
        let entry = Catalog::builtin()
            .entry(Kind::Models, name)
            .expect("listed");
        let pattern = entry.table["pattern"].as_str().expect("text");
        agrees(
            name,
            forward(model, 8192),
            Megatron(network, 8192.0).hybrid(pattern),
        );
    }
}

// arXiv 2505.09343 table 2: GFLOPs per token of training at 4,096 tokens, forward and backward. torchvision's model
// pages and arXiv 2212.09748 table 4 give multiply-adds of a forward pass per image in billions.
#[test]
fn presets_do_the_work_that_was_published() {
    for (name, gflops) in [
        ("deepseek-v2", 155.0),
        ("deepseek-v3", 250.0),
        ("llama3.1-405b", 2448.0),
    ] {
        agrees(name, 3.0 * forward(preset(name), 4096), gflops * 1e9);
    }
    // NVIDIA/dgxc-benchmarking llama4/pretrain/README.md: 8.92e14 FLOPs of a sequence of 8,192 tokens, forward and backward.
    let maverick = forward(preset("llama4-maverick-17b-128e"), 8192);
    agrees("llama4-maverick-17b-128e", 3.0 * 8192.0 * maverick, 8.92e14);
    for (name, billions) in [
        ("resnet50", 4.09),
        ("resnet101", 7.80),
        ("resnet152", 11.51),
        ("vit-b16", 17.56),
        ("vit-l16", 61.55),
        ("vit-h14", 167.29),
        ("dit-xl-2", 118.64),
    ] {
        let model = preset(name);
        let tokens = model.seq_len();
        let image = f64::from(tokens) * forward(model, tokens);
        agrees(name, image, 2e9 * billions);
    }
}
