//! The model, the cluster and the software generation that a row of a file stands for.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu, ScaleUpKind};
use crate::model::{Architecture, Family, Mlp, Model, Moe, Norm, Transformer};
use crate::stack::{self, Stack};
use crate::units::Bandwidth;

use super::table::Row;

/// Columns that describe a network, as far as a row fills them.
#[derive(Clone, Debug)]
pub(super) struct ModelCells<'a> {
    name: &'a str,
    family: Option<&'a str>,
    layers: Option<u32>,
    hidden: Option<u32>,
    ffn_hidden: Option<u32>,
    heads: Option<u32>,
    kv_heads: Option<u32>,
    vocab: Option<u32>,
    mlp: Option<&'a str>,
    seq_len: Option<u32>,
    tied_embeddings: Option<bool>,
    dense_layers: Option<u32>,
}

impl<'a> ModelCells<'a> {
    pub(super) fn read(row: &mut Row<'a>) -> Self {
        Self {
            name: row.required_text("model"),
            family: row.text("family"),
            layers: row.count("layers"),
            hidden: row.count("hidden"),
            ffn_hidden: row.count("ffn_hidden"),
            heads: row.count("heads"),
            kv_heads: row.count("kv_heads"),
            vocab: row.count("vocab"),
            mlp: row.text("mlp"),
            seq_len: row.count("seq_len"),
            tied_embeddings: row.text("notes").and_then(stated_tying),
            dense_layers: row.text("notes").and_then(stated_dense_layers),
        }
    }

    /// The network: a preset's architecture, which wins over the columns for mixtures of experts; the columns
    /// win for dense transformers.
    pub(super) fn model(&self, catalog: &Catalog) -> Result<Arc<Model>, String> {
        let (name, cut) = cut_layers(self.name);
        let wanted = alike(name.split(" (").next().unwrap_or(name));
        let preset = catalog
            .models
            .values()
            .find(|model| alike(&model.name) == wanted);
        let Some(preset) = preset else {
            return self.dense_model().map(Arc::new);
        };
        let Architecture::Transformer(base) = &preset.architecture else {
            return Ok(Arc::clone(preset));
        };
        if let Some(moe) = base.moe {
            let Some(layers) = cut else {
                return Ok(Arc::clone(preset));
            };
            let moe = Moe {
                dense_layers: self.dense_layers.unwrap_or(moe.dense_layers),
                ..moe
            };
            let transformer = Transformer {
                layers,
                moe: Some(moe),
                mtp_layers: 0,
                ..base.clone()
            };
            return Ok(changed(preset, transformer));
        }
        let head_dim = match (self.hidden, self.heads) {
            (Some(hidden), Some(heads)) if (hidden, heads) != (base.hidden, base.heads) => {
                hidden / heads
            }
            _ => base.head_dim,
        };
        let heads = self.heads.unwrap_or(base.heads);
        let transformer = Transformer {
            layers: self.layers.unwrap_or(base.layers),
            hidden: self.hidden.unwrap_or(base.hidden),
            ffn_hidden: self.ffn_hidden.unwrap_or(base.ffn_hidden),
            heads,
            kv_heads: self.kv_heads.unwrap_or(if heads == base.heads {
                base.kv_heads
            } else {
                heads
            }),
            head_dim,
            vocab: self.vocab.unwrap_or(base.vocab),
            ..base.clone()
        };
        if &transformer == base {
            return Ok(Arc::clone(preset));
        }
        Ok(changed(preset, transformer))
    }

    /// A dense transformer from the columns alone. What they leave open follows the family: gated MLPs come
    /// with RMS norm, no biases and rotary positions, plain ones with what GPT-2 and BERT had.
    fn dense_model(&self) -> Result<Model, String> {
        let (Some(layers), Some(hidden), Some(heads)) = (self.layers, self.hidden, self.heads)
        else {
            return Err(format!(
                "unknown model `{}`, and the row gives no architecture (`layers`, `hidden`, `heads`)",
                self.name
            ));
        };
        let family = match self.family.map_or(Ok(Family::Decoder), str::parse) {
            Ok(family @ (Family::Decoder | Family::Encoder)) => family,
            Ok(family @ (Family::Moe | Family::Cnn)) => {
                return Err(format!(
                    "unknown model `{}`; the columns describe no {family} network",
                    self.name
                ));
            }
            Err(error) => return Err(error.to_string()),
        };
        if hidden % heads != 0 {
            return Err(format!(
                "hidden {hidden} cannot be divided by heads {heads}"
            ));
        }
        // A gated MLP has three matrices and is therefore narrower (or wider) than 4 · hidden.
        let usual = match self.ffn_hidden {
            Some(width) if width != 4 * hidden => Mlp::SwiGlu,
            Some(_) | None => Mlp::Gelu,
        };
        let mlp = self.mlp.map_or(Ok(usual), str::parse::<Mlp>);
        let mlp = mlp.map_err(|error| error.to_string())?;
        let classic = match mlp {
            Mlp::Gelu => true,
            Mlp::SwiGlu | Mlp::SquaredRelu => false,
        };
        let causal = match family {
            Family::Encoder => false,
            Family::Decoder | Family::Moe | Family::Cnn => true,
        };
        let seq_len = self.seq_len.unwrap_or(2048);
        Ok(Model {
            name: self.name.to_owned(),
            title: self.name.to_owned(),
            family,
            seq_len,
            published_parameters: None,
            architecture: Architecture::Transformer(Transformer {
                causal,
                layers,
                hidden,
                ffn_hidden: self.ffn_hidden.unwrap_or(4 * hidden),
                heads,
                kv_heads: self.kv_heads.unwrap_or(heads),
                head_dim: hidden / heads,
                // GPT-2's and BERT's vocabularies, as Megatron pads the former.
                vocab: self.vocab.unwrap_or(if causal { 51_200 } else { 30_522 }),
                mlp,
                norm: if classic {
                    Norm::LayerNorm
                } else {
                    Norm::RmsNorm
                },
                biases: classic,
                qkv_biases: false,
                qk_norm: false,
                // BLOOM's and BERT's embeddings are normalised.
                embedding_norm: family == Family::Encoder || self.name.contains("bloom"),
                tied_embeddings: self.tied_embeddings.unwrap_or(classic),
                learned_positions: if classic { seq_len } else { 0 },
                mtp_layers: 0,
                sliding_window: None,
                mla: None,
                moe: None,
            }),
        })
    }
}

fn changed(preset: &Arc<Model>, transformer: Transformer) -> Arc<Model> {
    Arc::new(Model {
        architecture: Architecture::Transformer(transformer),
        published_parameters: None,
        ..Model::clone(preset)
    })
}

/// A name without what people spell differently: `Llama-2-7B` is `llama2-7b`.
fn alike(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// A name and the layers that it says are left: `deepseek-v3 cut to 4 layers`.
fn cut_layers(name: &str) -> (&str, Option<u32>) {
    let Some((whole, rest)) = name.split_once(" cut to ") else {
        return (name, None);
    };
    let layers = rest.split(' ').next().and_then(|count| count.parse().ok());
    (whole, layers)
}

/// Whether a note says that embedding and head share their matrix.
fn stated_tying(notes: &str) -> Option<bool> {
    if notes.contains("untied embeddings") {
        Some(false)
    } else if notes.contains("tied embeddings") {
        Some(true)
    } else {
        None
    }
}

/// Leading dense layers that a note gives to a cut mixture of experts.
fn stated_dense_layers(notes: &str) -> Option<u32> {
    notes.contains("first layer dense").then_some(1)
}

/// Columns that describe a cluster.
#[derive(Clone, Debug)]
pub(super) struct ClusterCells<'a> {
    gpu: &'a str,
    gpus_per_node: Option<u32>,
    nic_gbit_per_s: Option<f64>,
    interconnect: Option<&'a str>,
}

impl<'a> ClusterCells<'a> {
    pub(super) fn read(row: &mut Row<'a>) -> Self {
        Self {
            gpu: row.required_text("gpu"),
            gpus_per_node: row.count("gpus_per_node"),
            nic_gbit_per_s: row.number("nic_gbit_per_s"),
            interconnect: row.text("interconnect"),
        }
    }

    /// The name in the row.
    pub(super) fn gpu_name(&self) -> &'a str {
        self.gpu
    }

    /// The GPU by its preset's name, or why there is none.
    pub(super) fn gpu(&self, catalog: &Catalog) -> Result<Arc<Gpu>, String> {
        catalog
            .gpus
            .values()
            .find(|gpu| gpu.name.eq_ignore_ascii_case(self.gpu))
            .cloned()
            .ok_or_else(|| {
                format!(
                    "unknown GPU `{}`; `sweep list gpus` shows those that are known",
                    self.gpu
                )
            })
    }

    /// The GPU's usual cluster, with the node size, network and NICs of the row.
    pub(super) fn cluster(&self, gpu: &Gpu, catalog: &Catalog) -> Result<Arc<Cluster>, String> {
        let usual = catalog
            .clusters
            .get(&gpu.cluster)
            .ok_or_else(|| format!("unknown cluster `{}` of GPU `{}`", gpu.cluster, gpu.name))?;
        let mut cluster =
            usual.with_gpus_per_node(self.gpus_per_node.unwrap_or(usual.gpus_per_node));
        if let Some(kind) = self.interconnect.and_then(scale_up_kind) {
            cluster.scale_up.kind = kind;
        }
        if let Some(per_gpu) = self.nic_gbit_per_s.filter(|rate| *rate > 0.0) {
            cluster = cluster.with_nic_rate(Bandwidth::gbit_per_s(per_gpu));
        }
        Ok(Arc::new(cluster))
    }
}

/// Shape of the scale-up network that a description names.
fn scale_up_kind(interconnect: &str) -> Option<ScaleUpKind> {
    let named = interconnect.to_ascii_lowercase();
    if named.contains("nvswitch") || named.contains("dgx-2") {
        Some(ScaleUpKind::NvSwitch)
    } else if named.contains("dgx-1") {
        Some(ScaleUpKind::HybridCubeMesh)
    } else {
        None
    }
}

/// Columns that tell the software generation.
#[derive(Clone, Debug)]
pub(super) struct StackCells<'a> {
    framework: &'a str,
    year: Option<u32>,
}

impl<'a> StackCells<'a> {
    pub(super) fn read(row: &mut Row<'a>) -> Self {
        Self {
            framework: row.text("framework").unwrap_or_default(),
            year: row.count("year"),
        }
    }

    /// The stack whose frameworks and years fit, or `current`.
    pub(super) fn stack(&self, catalog: &Catalog) -> Result<Arc<Stack>, String> {
        stack::assigned(catalog.stacks.values(), self.framework, self.year)
            .cloned()
            .ok_or_else(|| "there is no stack `current`".to_owned())
    }
}
