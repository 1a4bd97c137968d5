//! Result rows of a training study, as far as the analysis reads them.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use schemars::JsonSchema;
use serde::Serialize;

use super::training_cost::TrainingCost;
use crate::record::{
    Bottleneck, Column, MemberColumn, NumberColumn, PointColumn, PointStatus, ReadError, Rows,
    TextColumn, columns,
};
use crate::simulation::{PartSeconds, ReasonKind, StepPart};

/// One result row.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct SizePoint {
    /// Number of the point in its run.
    pub point: u64,
    /// Number of its file in `files`.
    #[serde(rename = "file")]
    pub source: u32,
    /// Value of the size axis: GPUs unless another axis was asked for.
    pub size: f64,
    /// GPUs of the job.
    pub gpus: u32,
    /// Servers, where they are whole.
    pub nodes: Option<u32>,
    /// How it ended.
    pub status: PointStatus,
    /// Why it did not run.
    pub reason: Option<Reason>,
    /// Results, where it ran.
    #[serde(rename = "simulated")]
    pub measured: Option<Measured>,
    /// Values of the spec's metrics, in its order; none where no spec adds any.
    #[serde(skip)]
    pub metrics: Box<[Option<f64>]>,
}

/// Reason for which a point did not run; rows share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    sentence: Arc<str>,
    /// `None` in files of versions that did not write it.
    pub(super) kind: Option<ReasonKind>,
}

impl Reason {
    /// The sentence.
    pub(crate) fn as_str(&self) -> &str {
        &self.sentence
    }

    /// Name of its kind; `unknown` in files of versions that did not write it.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.map_or("unknown", ReasonKind::as_str)
    }
}

crate::document::written_as!(Reason, String);

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.sentence)
    }
}

/// The columns that hold the reasons of some rows.
#[derive(Debug)]
pub(super) struct ReasonColumns {
    sentence: TextColumn,
    kind: MemberColumn<ReasonKind>,
}

impl ReasonColumns {
    /// Finds the columns.
    ///
    /// # Errors
    /// If one is missing or holds no text.
    pub(super) fn new(rows: &Rows) -> Result<Self, ReadError> {
        Ok(Self {
            sentence: rows.text(&columns::REASON)?,
            kind: rows.members(&columns::REASON_KIND)?,
        })
    }

    /// Reason of a row; `None` where its point ran.
    pub(super) fn get(&self, row: usize) -> Option<Reason> {
        Some(Reason {
            sentence: Arc::clone(self.sentence.get(row)?),
            kind: self.kind.get(row),
        })
    }
}

/// A step that ran.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Measured {
    /// Time of one step.
    pub step_time_s: f64,
    /// Samples per second.
    pub samples_per_s: f64,
    /// Tokens per second; `None` for images.
    pub tokens_per_s: Option<f64>,
    /// Exclusive parts of the step in seconds, under the names of their columns.
    pub parts: PartSeconds,
    /// Model FLOPs utilization.
    pub mfu: Option<f64>,
    /// Layout as used.
    pub layout: LayoutUsed,
    /// Bytes on the fullest GPU.
    pub memory_peak_bytes: Option<f64>,
    /// Bytes of the GPU.
    pub memory_capacity_bytes: Option<f64>,
    /// Whether the peak lies inside the headroom; `None` in files of versions that did not say.
    pub tight: Option<bool>,
    /// Bottleneck of the step.
    pub(crate) bottleneck: Option<Bottleneck>,
    /// Rent of one step.
    pub cost_per_step_usd: Option<f64>,
    /// Rent per million tokens.
    pub cost_per_mtoken_usd: Option<f64>,
    /// Energy of one step.
    pub energy_per_step_kwh: Option<f64>,
    /// The whole training; `None` without its tokens or samples.
    #[serde(skip)]
    pub training: Option<TrainingCost>,
}

impl Measured {
    /// Peak over capacity of the fullest GPU's memory.
    pub(crate) fn memory_share(&self) -> Option<f64> {
        Some(self.memory_peak_bytes? / self.memory_capacity_bytes?)
    }

    /// Samples of one step.
    pub(crate) fn samples_per_step(&self) -> f64 {
        self.samples_per_s * self.step_time_s
    }
}

/// The layout of a row that ran; `None` where the file does not say.
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
pub struct LayoutUsed {
    /// Tensor-parallel ranks.
    pub tp: Option<u32>,
    /// Pipeline stages.
    pub pp: Option<u32>,
    /// Data-parallel replicas.
    pub dp: Option<u32>,
    /// Context-parallel ranks.
    pub cp: Option<u32>,
    /// Expert-parallel ranks.
    pub ep: Option<u32>,
    /// Tensor-parallel ranks inside experts.
    pub etp: Option<u32>,
    /// Model chunks per pipeline stage.
    pub vpp: Option<u32>,
    /// ZeRO stage.
    pub zero: Option<u32>,
    /// Ranks that share one set of ZeRO-3's shards; `None` where parameters are whole, too.
    pub zero_group: Option<u32>,
    /// Samples per forward pass of one replica.
    pub micro_batch: Option<u32>,
    /// Microbatches per replica and step.
    pub microbatches: Option<u32>,
}

impl LayoutUsed {
    /// The layout in words, groups of one left out: `tp 8 · pp 4 · dp 16 · ZeRO 1 · 8 × 2`.
    pub(crate) fn words(&self) -> String {
        let mut words: Vec<String> = [
            ("tp", self.tp),
            ("pp", self.pp),
            ("cp", self.cp),
            ("ep", self.ep),
            ("etp", self.etp),
        ]
        .into_iter()
        .filter_map(|(name, ranks)| ranks.filter(|n| *n > 1).map(|n| format!("{name} {n}")))
        .collect();
        words.extend(self.dp.map(|n| format!("dp {n}")));
        words.extend(self.zero.map(|n| format!("ZeRO {n}")));
        if let (Some(dp), Some(group)) = (self.dp, self.zero_group)
            && group < dp * self.cp.unwrap_or(1)
        {
            words.push(format!("in groups of {group}"));
        }
        words.extend(
            self.microbatches
                .zip(self.micro_batch)
                .map(|(count, size)| format!("{count} × micro batch {size}")),
        );
        words.join(" · ")
    }
}

/// Declares the numeric columns once: the list for a reader's projection, and the struct that
/// holds them found and cast.
macro_rules! numeric_columns {
    ($( $field:ident = $column:ident ),+ $(,)?) => {
        const NUMERIC: &[Column] = &[ $( columns::$column ),+ ];

        #[derive(Debug)]
        struct Numbers { $( $field: NumberColumn ),+ }

        impl Numbers {
            fn new(rows: &Rows) -> Result<Self, ReadError> {
                Ok(Self { $( $field: rows.numbers(&columns::$column)? ),+ })
            }
        }
    };
}

numeric_columns! {
    gpus = GPUS,
    step_time = STEP_TIME_S,
    samples = SAMPLES_PER_S,
    tokens = TOKENS_PER_S,
    mfu = MFU,
    tp = USED_TP,
    pp = USED_PP,
    dp = USED_DP,
    cp = USED_CP,
    ep = USED_EP,
    etp = USED_ETP,
    vpp = USED_VPP,
    zero = USED_ZERO,
    zero_group = USED_ZERO_GROUP,
    micro_batch = USED_MICRO_BATCH,
    microbatches = MICROBATCHES,
    memory_peak = MEMORY_PEAK_BYTES,
    memory_capacity = MEMORY_CAPACITY_BYTES,
    cost_per_step = COST_PER_STEP_USD,
    cost_per_mtoken = COST_PER_MTOKEN_USD,
    energy_per_step = ENERGY_PER_STEP_KWH,
    goodput = GOODPUT,
    days = DAYS,
    total_cost = TOTAL_COST_USD,
    total_energy = TOTAL_ENERGY_KWH,
}

/// Columns that the analysis reads besides the axes.
pub(crate) fn point_columns() -> impl Iterator<Item = Column> {
    [
        columns::POINT,
        columns::STATUS,
        columns::REASON,
        columns::REASON_KIND,
        columns::TIGHT,
        columns::BOTTLENECK,
    ]
    .iter()
    .chain(NUMERIC)
    .chain(columns::TIME_PARTS)
    .copied()
}

/// Columns of some rows, found and cast.
#[derive(Debug)]
pub(crate) struct PointColumns<'a> {
    rows: &'a Rows,
    point: PointColumn,
    numbers: Numbers,
    parts: Vec<NumberColumn>,
    status: MemberColumn<PointStatus>,
    reason: ReasonColumns,
    tight: BooleanArray,
    bottleneck: MemberColumn<Bottleneck>,
    metrics: Vec<NumberColumn>,
}

impl<'a> PointColumns<'a> {
    /// Finds the columns, and those of some metrics.
    ///
    /// # Errors
    /// If one is missing, of another type or in another unit.
    pub(crate) fn new(rows: &'a Rows, metrics: &[Column]) -> Result<Self, ReadError> {
        let parts = columns::TIME_PARTS.iter();
        Ok(Self {
            point: rows.points()?,
            numbers: Numbers::new(rows)?,
            parts: parts
                .map(|column| rows.numbers(column))
                .collect::<Result<_, _>>()?,
            status: rows.members(&columns::STATUS)?,
            reason: ReasonColumns::new(rows)?,
            tight: rows.switches(&columns::TIGHT)?,
            bottleneck: rows.members(&columns::BOTTLENECK)?,
            metrics: metrics
                .iter()
                .map(|column| rows.numbers(column))
                .collect::<Result<_, _>>()?,
            rows,
        })
    }

    /// Reads one row. `size` is the value of the size axis, `nodes` that of the axis of servers.
    ///
    /// # Errors
    /// If a value is missing or impossible: a negative time, a status that does not exist.
    pub(crate) fn row(
        &self,
        row: usize,
        source: u32,
        size: Option<f64>,
        nodes: Option<f64>,
    ) -> Result<SizePoint, ReadError> {
        let status = self.rows.status(&self.status, row)?;
        let gpus = self.rows.positive(&self.numbers.gpus, row);
        let (gpus, measured) = match status {
            PointStatus::Ok => (gpus?, Some(self.measured(row)?)),
            // A point that did not run may lack even its GPUs; it is only counted then.
            PointStatus::Infeasible | PointStatus::Crashed => (gpus.unwrap_or(0.0), None),
        };
        Ok(SizePoint {
            point: self.point.get(row),
            source,
            size: size.unwrap_or(gpus),
            gpus: gpus as u32,
            nodes: nodes.map(|nodes| nodes as u32),
            status,
            reason: self.reason.get(row),
            measured,
            metrics: self.metrics.iter().map(|column| column.get(row)).collect(),
        })
    }

    fn measured(&self, row: usize) -> Result<Measured, ReadError> {
        let (rows, numbers) = (self.rows, &self.numbers);
        let mut parts = PartSeconds::default();
        for (part, column) in StepPart::ALL.iter().zip(&self.parts) {
            if !column.is_null(row) {
                parts[*part] = rows.not_negative(column, row)?;
            }
        }
        let count = |column: &NumberColumn| column.get(row).map(|value| value as u32);
        Ok(Measured {
            step_time_s: rows.positive(&numbers.step_time, row)?,
            samples_per_s: rows.positive(&numbers.samples, row)?,
            tokens_per_s: numbers.tokens.get(row),
            parts,
            mfu: numbers.mfu.get(row),
            layout: LayoutUsed {
                tp: count(&numbers.tp),
                pp: count(&numbers.pp),
                dp: count(&numbers.dp),
                cp: count(&numbers.cp),
                ep: count(&numbers.ep),
                etp: count(&numbers.etp),
                vpp: count(&numbers.vpp),
                zero: count(&numbers.zero),
                zero_group: count(&numbers.zero_group),
                micro_batch: count(&numbers.micro_batch),
                microbatches: count(&numbers.microbatches),
            },
            memory_peak_bytes: numbers.memory_peak.get(row),
            memory_capacity_bytes: numbers.memory_capacity.get(row),
            tight: self.tight.is_valid(row).then(|| self.tight.value(row)),
            bottleneck: self.bottleneck.get(row),
            cost_per_step_usd: numbers.cost_per_step.get(row),
            cost_per_mtoken_usd: numbers.cost_per_mtoken.get(row),
            energy_per_step_kwh: numbers.energy_per_step.get(row),
            training: self.training(row),
        })
    }

    /// The whole training of a row that ran.
    fn training(&self, row: usize) -> Option<TrainingCost> {
        let numbers = &self.numbers;
        let days = numbers.days.get(row)?;
        Some(TrainingCost {
            goodput: numbers.goodput.get(row)?,
            time_s: 86_400.0 * days,
            gpu_hours: 24.0 * days * numbers.gpus.get(row)?,
            cost_usd: numbers.total_cost.get(row),
            energy_kwh: numbers.total_energy.get(row),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_in_words_leaves_out_what_is_not_parallel() {
        let layout = LayoutUsed {
            tp: Some(8),
            pp: Some(1),
            dp: Some(16),
            zero: Some(1),
            micro_batch: Some(2),
            microbatches: Some(4),
            ..LayoutUsed::default()
        };
        assert_eq!(layout.words(), "tp 8 · dp 16 · ZeRO 1 · 4 × micro batch 2");
    }
}
