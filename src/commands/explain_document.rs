//! One point as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::analysis::Elasticity;
use crate::commands::corrected::CorrectedBy;
use crate::record::columns;
use crate::simulation::{LayerLaunches, MemoryFootprint, MemoryMoment, StageMemory};
use crate::spec::{ColumnType, StudyKind};
use crate::validation::Confidence;
use crate::whatif::Effect;

/// One point, of `sweep explain`: every column of its row by name, and what would help.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ExplainDocument<'a> {
    #[serde(flatten)]
    pub(super) columns: Cells,
    /// Changes of one axis, simulated: those of `--what-if`, else the ones worth trying, best first.
    pub(super) what_if: &'a [Effect],
    /// The price that applied, in a sentence; null where nothing was paid.
    pub(super) prices_basis: Option<String>,
    /// Warning where nothing was measured on the GPU, or of the kernels of the model.
    pub(super) unmeasured: Option<String>,
    /// Sensitivities of the step time.
    pub(super) elasticities: &'a [Elasticity],
    /// Memory of each pipeline stage.
    pub(super) memory_by_stage: Vec<StageDocument>,
    /// Calls of the host in each kind of layer.
    pub(super) host: Vec<HostCalls>,
    /// Measured runs of the spec that corrected the step, the most important first.
    pub(super) corrected_by: Vec<CorrectedBy>,
    /// Errors of the measured cases nearest to the point; null of a communication.
    pub(super) confidence: Option<Confidence>,
}

/// One point, of `simulate` and `Study.point` in Python: every column of its row by name.
#[derive(JsonSchema, Serialize)]
pub(crate) struct PointDocument {
    #[serde(flatten)]
    pub(super) columns: Cells,
    /// Warning where nothing was measured on the GPU, or of the kernels of the model.
    pub(super) unmeasured: Option<String>,
}

/// Values of a row under the names of their columns.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Cells(pub(super) Map<String, Value>);

impl JsonSchema for Cells {
    fn schema_name() -> Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let of_kinds = StudyKind::ALL.iter().map(|kind| columns::table(*kind));
        let properties = of_kinds.flatten().map(|column| {
            let written = match column.column_type() {
                ColumnType::Text => "string",
                ColumnType::Int => "integer",
                ColumnType::Real => "number",
                ColumnType::Bool => "boolean",
            };
            let schema = json!({"type": [written, "null"], "description": column.doc});
            (column.name.to_owned(), schema)
        });
        json_schema!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
    }
}

/// Memory of a pipeline stage, in bytes.
#[derive(JsonSchema, Serialize)]
pub(super) struct StageDocument {
    /// Number of the stage, from 0.
    stage: u32,
    /// Moment of a step at which its tensors take most.
    fullest: String,
    /// Tensors that it holds at each moment of a step.
    moments: BTreeMap<String, FootprintDocument>,
    /// Peak with what libraries and the allocator take.
    peak: FootprintDocument,
}

impl StageDocument {
    pub(super) fn of(it: &StageMemory) -> Self {
        let moments = MemoryMoment::ALL.iter().zip(&it.tensors);
        Self {
            stage: it.stage,
            fullest: it.fullest().to_string(),
            moments: moments
                .map(|(moment, tensors)| (moment.to_string(), FootprintDocument::of(tensors)))
                .collect(),
            peak: FootprintDocument::of(&it.peak),
        }
    }
}

/// Memory by what it holds, in bytes.
#[derive(JsonSchema, Serialize)]
pub(super) struct FootprintDocument {
    #[serde(rename = "weights_bytes")]
    weights: u64,
    #[serde(rename = "gradients_bytes")]
    gradients: u64,
    #[serde(rename = "optimizer_bytes")]
    optimizer: u64,
    #[serde(rename = "activations_bytes")]
    activations: u64,
    #[serde(rename = "buffers_bytes")]
    buffers: u64,
    #[serde(rename = "total_bytes")]
    total: u64,
}

impl FootprintDocument {
    fn of(it: &MemoryFootprint) -> Self {
        Self {
            weights: it.weights.get(),
            gradients: it.gradients.get(),
            optimizer: it.optimizer.get(),
            activations: it.activations.get(),
            buffers: it.buffers.get(),
            total: it.total().get(),
        }
    }
}

/// Calls of the host in the layers of one kind.
#[derive(JsonSchema, Serialize)]
pub(super) struct HostCalls {
    /// Kind of layer.
    layer: &'static str,
    /// Layers of that kind.
    layers: usize,
    forward_calls: u32,
    forward_host_s: f64,
    backward_calls: u32,
    backward_host_s: f64,
}

impl HostCalls {
    pub(super) fn of(it: &LayerLaunches) -> Self {
        let [forward_calls, backward_calls] = it.calls;
        let [forward, backward] = it.time;
        Self {
            layer: it.layer,
            layers: it.layers,
            forward_calls,
            forward_host_s: forward.as_secs_f64(),
            backward_calls,
            backward_host_s: backward.as_secs_f64(),
        }
    }
}
