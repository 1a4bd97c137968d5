//! Names of a list with what is known of each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::Family;
use crate::spec::StudyKind;

/// One name with what is known of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    Axis(AxisEntry),
    Column(ColumnEntry),
    Catalog(CatalogEntry),
    ModelFile(ModelFile),
    Named(NamedEntry),
}

/// An axis of a spec.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct AxisEntry {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    /// Unit of its numbers; empty where it has none.
    pub(super) unit: &'static str,
    /// Its values in words.
    pub(super) values: String,
    /// Whether it takes `auto`.
    pub(super) auto: bool,
    /// Value of a spec that leaves it out, in words; null where it has to be given.
    pub(super) default: Option<String>,
    /// Kinds of study that have it.
    pub(super) studies: Vec<StudyKind>,
    pub(super) meaning: &'static str,
    /// Value as a spec writes it.
    pub(super) example: String,
}

/// A column of `points.parquet` or of `scaling.parquet`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct ColumnEntry {
    /// `points.parquet` or `scaling.parquet`.
    pub(super) file: &'static str,
    /// Kind of study that has it.
    pub(super) study: StudyKind,
    pub(super) name: &'static str,
    /// `text`, `i64`, `f64` or `bool`.
    #[serde(rename = "type")]
    pub(super) column_type: &'static str,
    /// Unit of its values; empty where they have none.
    pub(super) unit: &'static str,
    pub(super) group: &'static str,
    pub(super) meaning: &'static str,
}

/// An entry of the catalogue.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct CatalogEntry {
    pub(super) name: String,
    /// Other names that a spec may use.
    pub(super) aliases: Vec<String>,
    /// Every value by its key, tables as `peaks.bf16`.
    pub(super) values: BTreeMap<String, SourcedValue>,
}

/// A value with its source.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct SourcedValue {
    pub(super) value: Value,
    /// Document that it is from, or how it was derived; empty where the entry's source is its own.
    pub(super) source: String,
}

/// A topology or a collective algorithm.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct NamedEntry {
    pub(super) name: String,
    pub(super) meaning: String,
    /// Whether the spec defines it.
    pub(super) own: bool,
}

/// A model that a `config.json` describes.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct ModelFile {
    pub(super) name: String,
    pub(super) family: Family,
    /// Tokens of a sample.
    pub(super) seq_len: u32,
    /// Parameters without those of multi-token prediction.
    pub(super) parameters: u64,
    /// Parameters that a token uses.
    pub(super) active_parameters: u64,
    /// Parameters of multi-token prediction.
    pub(super) mtp_parameters: u64,
    /// FLOPs of a forward pass per token; of image models, per image.
    pub(super) flops_per_token_forward: f64,
    pub(super) layers: Vec<LayerEntry>,
}

/// The layers of one kind.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct LayerEntry {
    pub(super) kind: String,
    /// Number of such layers.
    pub(super) count: u32,
    /// Parameters of one.
    pub(super) parameters: u64,
    /// Parameters of one that a token uses.
    pub(super) active_parameters: u64,
    /// FLOPs of a forward pass of one per token; of image models, per image.
    pub(super) flops_per_token_forward: f64,
}
