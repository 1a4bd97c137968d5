//! The model, the cluster and the software generation that a row of a file stands for.

use std::sync::Arc;

use itertools::Itertools;

use crate::catalog::{self, Catalog};
use crate::hardware::{Cluster, Gpu, ScaleUpKind};
use crate::model::{Architecture, Family, Mlp, Model, Moe, Transformer};
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

    /// A dense transformer from the columns alone: a model table as a spec may hold it, read by the
    /// catalogue, whose defaults fill what the columns leave open.
    fn dense_model(&self) -> Result<Model, String> {
        let (Some(layers), Some(hidden), Some(heads)) = (self.layers, self.hidden, self.heads)
        else {
            return Err(format!(
                "unknown model `{}`, and the row gives no architecture (`layers`, `hidden`, `heads`)",
                self.name
            ));
        };
        // GPT-2's and BERT's vocabularies, as Megatron pads the former.
        let usual_vocab = match self.family.map_or(Ok(Family::Decoder), str::parse) {
            Ok(Family::Decoder) => 51_200,
            Ok(Family::Encoder) => 30_522,
            Ok(family @ (Family::Moe | Family::Cnn)) => {
                return Err(format!(
                    "unknown model `{}`; the columns describe no {family} network",
                    self.name
                ));
            }
            Err(error) => return Err(error.to_string()),
        };
        // A gated MLP has three matrices and is therefore narrower (or wider) than 4 · hidden.
        let gated = self.ffn_hidden.is_some_and(|width| width != 4 * hidden);
        let usual_mlp = if gated { Mlp::SwiGlu } else { Mlp::Gelu };
        let mut table = toml::Table::new();
        for (key, value) in [
            ("layers", Some(layers)),
            ("hidden", Some(hidden)),
            ("heads", Some(heads)),
            ("ffn_hidden", self.ffn_hidden),
            ("kv_heads", self.kv_heads),
            ("vocab", Some(self.vocab.unwrap_or(usual_vocab))),
            ("seq_len", Some(self.seq_len.unwrap_or(2048))),
        ] {
            table.extend(value.map(|count| (key.to_owned(), count.into())));
        }
        let family = self.family.unwrap_or(Family::Decoder.as_str());
        let mlp = self.mlp.unwrap_or(usual_mlp.as_str());
        table.insert("family".to_owned(), family.into());
        table.insert("mlp".to_owned(), mlp.into());
        let tied = self.tied_embeddings.map(toml::Value::from);
        table.extend(tied.map(|tied| ("tied_embeddings".to_owned(), tied)));
        // BLOOM's embeddings are normalised, as an encoder's are by default.
        if self.name.contains("bloom") {
            table.insert("embedding_norm".to_owned(), true.into());
        }
        catalog::model_of(self.name, &table)
            .map_err(|faults| faults.iter().map(|fault| &fault.message).join("; "))
    }
}

fn changed(preset: &Arc<Model>, transformer: Transformer) -> Arc<Model> {
    Arc::new(Model {
        architecture: Architecture::Transformer(transformer),
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
