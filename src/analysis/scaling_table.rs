//! `scaling.parquet`: one row per series and size.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringDictionaryBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::breakdown::{BreakdownCause, BreakdownPoint, BreakdownStatus};
use super::cause::CauseCheck;
use super::findings::Findings;
use super::fit::Estimate;
use super::points::Measured;
use super::series::KeyValue;
use super::series_finding::{Layouts, SeriesFinding, SizeFinding};
use crate::record::Provenance;
use crate::record::column::{described_field, text_type};
use crate::spec::{AXES, Axis, ColumnType};

/// One row: a size, its series and the axis of sizes.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    axis: Axis,
    series: &'a SeriesFinding,
    size: &'a SizeFinding,
    place: usize,
}

impl<'a> Row<'a> {
    fn measured(&self) -> Option<&'a Measured> {
        self.size.point.measured.as_ref()
    }

    /// A size of the curve, where sizes are GPUs.
    fn gpus(&self, size: Option<f64>) -> Option<f64> {
        match self.axis {
            Axis::Gpus | Axis::Nodes => size,
            _ => None,
        }
    }

    fn chosen(&self) -> Option<&'a SizeFinding> {
        self.series.recommended()
    }
}

/// How a column's value is read from a row.
#[derive(Clone, Copy)]
enum Read {
    Count(for<'a> fn(&Row<'a>) -> Option<u64>),
    Number(for<'a> fn(&Row<'a>) -> Option<f64>),
    Switch(for<'a> fn(&Row<'a>) -> Option<bool>),
    Text(for<'a> fn(&Row<'a>) -> Option<Cow<'a, str>>),
}

impl Read {
    fn data_type(self) -> DataType {
        match self {
            Self::Count(_) => DataType::UInt64,
            Self::Number(_) => DataType::Float64,
            Self::Switch(_) => DataType::Boolean,
            Self::Text(_) => text_type(),
        }
    }

    fn array(self, rows: &[Row<'_>]) -> ArrayRef {
        match self {
            Self::Count(read) => Arc::new(rows.iter().map(read).collect::<UInt64Array>()),
            Self::Number(read) => Arc::new(rows.iter().map(read).collect::<Float64Array>()),
            Self::Switch(read) => Arc::new(rows.iter().map(read).collect::<BooleanArray>()),
            Self::Text(read) => texts(rows.iter().map(read)),
        }
    }
}

fn texts<'a>(values: impl Iterator<Item = Option<Cow<'a, str>>>) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for value in values {
        builder.append_option(value);
    }
    Arc::new(builder.finish())
}

/// One column of `scaling.parquet` that is no axis.
struct ScalingColumn {
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
    read: Read,
}

const fn column(
    name: &'static str,
    unit: &'static str,
    read: Read,
    doc: &'static str,
) -> ScalingColumn {
    ScalingColumn {
        name,
        unit,
        doc,
        read,
    }
}

fn name<'a>(text: impl Into<Option<&'static str>>) -> Option<Cow<'a, str>> {
    text.into().map(Cow::Borrowed)
}

fn breakdown(row: &Row<'_>) -> Option<f64> {
    let breakdown = &row.series.breakdown;
    breakdown
        .size
        .filter(|_| breakdown.status == BreakdownStatus::Confirmed)
}

fn of_estimate(estimate: Option<&Estimate>, read: fn(&Estimate) -> f64) -> Option<f64> {
    estimate.map(read)
}

fn confirmed(point: &BreakdownPoint) -> Option<f64> {
    point.confirmed_size()
}

/// Before the axes.
const LEADING: &[ScalingColumn] = &[column(
    "series",
    "1",
    Read::Count(|r| Some(u64::from(r.series.number))),
    "Number of the series, in the order of their first points; frozen curves are numbered behind all others.",
)];

/// Behind the axes.
const COLUMNS: &[ScalingColumn] = &[
    column(
        "x",
        "",
        Read::Text(|r| {
            name(match r.axis {
                Axis::Gpus | Axis::Nodes => {
                    if r.size.point.nodes.is_some() {
                        "nodes"
                    } else {
                        "gpus"
                    }
                }
                other => other.as_str(),
            })
        }),
        "Axis that is taken as the size.",
    ),
    column(
        "scaling",
        "",
        Read::Text(|r| name(r.series.scaling.as_str())),
        "strong: one global batch; weak: one batch per GPU.",
    ),
    column(
        "layouts",
        "",
        Read::Text(|r| name(r.series.layouts.as_str())),
        "re-optimised: chosen anew at each size; frozen: that of the smallest size, only dp growing.",
    ),
    column(
        "gpus",
        "1",
        Read::Count(|r| Some(u64::from(r.size.point.gpus))),
        "GPUs of the job.",
    ),
    column(
        "nodes",
        "1",
        Read::Count(|r| r.size.point.nodes.map(u64::from)),
        "Servers of the job; null for a part of one.",
    ),
    column(
        "step_time_s",
        "s",
        Read::Number(|r| r.measured().map(|m| m.step_time_s)),
        "Time of one optimizer step; null where the point did not run.",
    ),
    column(
        "samples_per_s",
        "1/s",
        Read::Number(|r| r.measured().map(|m| m.samples_per_s)),
        "Samples per second of the whole job.",
    ),
    column(
        "speedup",
        "1",
        Read::Number(|r| r.size.efficiency.map(|e| e.speedup)),
        "samples_per_s over that of the smallest size that ran.",
    ),
    column(
        "efficiency",
        "1",
        Read::Number(|r| r.size.efficiency.map(|e| e.of_baseline)),
        "Samples per second and GPU over that of the smallest size that ran.",
    ),
    column(
        "efficiency_of_best",
        "1",
        Read::Number(|r| r.size.efficiency.map(|e| e.of_best)),
        "Samples per second and GPU over the best of any size up to this one.",
    ),
    column(
        "is_breakdown",
        "",
        Read::Switch(|r| {
            Some(
                r.series.breakdown.status == BreakdownStatus::Confirmed
                    && r.series.breakdown.first_bad == Some(r.place),
            )
        }),
        "Whether this is the first size of a confirmed breakdown.",
    ),
    column(
        "breakdown_gpus",
        "1",
        Read::Number(|r| r.gpus(breakdown(r))),
        "GPUs at which efficiency falls under the threshold and stays there, interpolated in log size; null when it never does or is unconfirmed.",
    ),
    column(
        "breakdown_status",
        "",
        Read::Text(|r| name(r.series.breakdown.status.as_str())),
        "none; confirmed: two sizes at least lie under the threshold; unconfirmed: only the largest does.",
    ),
    column(
        "breakdown_cause",
        "",
        Read::Text(|r| name(r.series.breakdown.cause.map(BreakdownCause::as_str))),
        "What costs more GPU-seconds per sample at the first bad size than at the last good one; breakdown_cause_check tells whether a simulation agrees.",
    ),
    column(
        "knee_gpus",
        "1",
        Read::Number(|r| r.gpus(r.series.knee)),
        "GPUs at which the rate bends most in log-log; null for fewer than four sizes or a straight line.",
    ),
    column(
        "serial_fraction",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.serial_fraction.as_ref(), |e| e.value)),
        "Amdahl's serial fraction (Gustafson's for weak series), referred to one GPU.",
    ),
    column(
        "serial_fraction_low",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.serial_fraction.as_ref(), |e| e.low)),
        "Its lower 95% bound by jackknife.",
    ),
    column(
        "serial_fraction_high",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.serial_fraction.as_ref(), |e| e.high)),
        "Its upper bound.",
    ),
    column(
        "usl_contention",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_contention.as_ref(), |e| e.value)),
        "Contention of the Universal Scalability Law, referred to one GPU.",
    ),
    column(
        "usl_contention_low",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_contention.as_ref(), |e| e.low)),
        "Its lower 95% bound by jackknife.",
    ),
    column(
        "usl_contention_high",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_contention.as_ref(), |e| e.high)),
        "Its upper bound.",
    ),
    column(
        "usl_coherency",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_coherency.as_ref(), |e| e.value)),
        "Coherency of the Universal Scalability Law, referred to one GPU.",
    ),
    column(
        "usl_coherency_low",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_coherency.as_ref(), |e| e.low)),
        "Its lower 95% bound by jackknife.",
    ),
    column(
        "usl_coherency_high",
        "1",
        Read::Number(|r| of_estimate(r.series.fits.usl_coherency.as_ref(), |e| e.high)),
        "Its upper bound.",
    ),
    column(
        "fit_error",
        "1",
        Read::Number(|r| r.series.fits.serial_error),
        "Root mean square of the log residuals of the serial-fraction fit.",
    ),
    column(
        "fit_note",
        "",
        Read::Text(|r| r.series.fits.note.as_deref().map(Cow::Borrowed)),
        "Why a fit is null, or where a law does not describe the curve.",
    ),
    column(
        "peak_gpus",
        "1",
        Read::Number(|r| r.gpus(r.series.fits.peak_size)),
        "GPUs of the highest rate that the Universal Scalability Law predicts.",
    ),
    column(
        "recommended_gpus",
        "1",
        Read::Count(|r| r.chosen().map(|size| u64::from(size.point.gpus))),
        "GPUs of the fastest size within the efficiency threshold.",
    ),
    column(
        "recommended_why",
        "",
        Read::Text(|r| r.series.recommended_why().map(Cow::Owned)),
        "Why that size.",
    ),
    column(
        "cost_per_mtoken_usd",
        "USD",
        Read::Number(|r| r.measured().and_then(|m| m.cost_per_mtoken_usd)),
        "Rent per million tokens; null without a price and for images.",
    ),
    column(
        "point",
        "1",
        Read::Count(|r| Some(r.size.point.point)),
        "Index of the point in its run.",
    ),
    column(
        "status",
        "",
        Read::Text(|r| name(r.size.point.status.as_str())),
        "How the point ended: ok, infeasible or crashed.",
    ),
    column(
        "x_value",
        "",
        Read::Number(|r| Some(r.size.point.size)),
        "Value of the size: GPUs, or that of the axis in x.",
    ),
    column(
        "sawtooth",
        "",
        Read::Switch(|r| r.size.efficiency.map(|_| r.size.sawtooth)),
        "Whether this size is slower per GPU than both neighbours, as divisibility makes it.",
    ),
    column(
        "breakdown_x",
        "",
        Read::Number(breakdown),
        "As breakdown_gpus, on the axis in x.",
    ),
    column(
        "breakdown_of_best_x",
        "",
        Read::Number(|r| confirmed(&r.series.breakdown_of_best)),
        "As breakdown_x, for efficiency_of_best.",
    ),
    column(
        "breakdown_cause_share",
        "1",
        Read::Number(|r| r.series.breakdown.cause_share()),
        "Share of breakdown_cause in the loss between the last good and the first bad size; null for an exhausted batch, which is no part of the step.",
    ),
    column(
        "breakdown_cause_check",
        "",
        Read::Text(|r| name(r.series.breakdown.check.map(CauseCheck::as_str))),
        "confirmed: simulated without the cause, efficiency stays above the threshold at the first bad size; not-alone: without no single part it would, and the one that helps most is named; not-checked: not simulated again.",
    ),
    column(
        "breakdown_efficiency_without_cause",
        "1",
        Read::Number(|r| r.series.breakdown.efficiency_without_cause()),
        "Efficiency at the first bad size as simulated without the cause.",
    ),
    column(
        "of_series",
        "1",
        Read::Count(|r| match r.series.layouts {
            Layouts::ReOptimised => None,
            Layouts::Frozen => Some(u64::from(r.series.of_series)),
        }),
        "Of a frozen curve, the series that it is a curve of; null otherwise.",
    ),
    column(
        "usl_error",
        "1",
        Read::Number(|r| r.series.fits.usl_error),
        "Root mean square of the log residuals of the Universal Scalability Law.",
    ),
];

/// Axes with a column of their own here; GPUs and servers are fixed columns.
fn axes() -> impl Iterator<Item = Axis> {
    AXES.iter()
        .map(|info| info.axis)
        .filter(|axis| !matches!(axis, Axis::Gpus | Axis::Nodes))
}

fn axis_field(axis: Axis) -> Field {
    let info = axis.info();
    let data_type = match info.domain.column_type() {
        ColumnType::Int => DataType::UInt64,
        ColumnType::Real => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => text_type(),
    };
    described_field(axis.as_str(), data_type, info.unit, info.doc)
}

fn axis_array(axis: Axis, rows: &[Row<'_>]) -> ArrayRef {
    let numbers = rows.iter().map(|row| match row.series.value(axis)? {
        KeyValue::Number(number) => Some(*number),
        KeyValue::Text(_) | KeyValue::Bool(_) => None,
    });
    match axis.info().domain.column_type() {
        ColumnType::Int => Arc::new(
            numbers
                .map(|number| number.map(|number| number as u64))
                .collect::<UInt64Array>(),
        ),
        ColumnType::Real => Arc::new(numbers.collect::<Float64Array>()),
        ColumnType::Bool => Arc::new(
            rows.iter()
                .map(|row| match row.series.value(axis)? {
                    KeyValue::Bool(switch) => Some(*switch),
                    KeyValue::Text(_) | KeyValue::Number(_) => None,
                })
                .collect::<BooleanArray>(),
        ),
        ColumnType::Text => texts(rows.iter().map(|row| match row.series.value(axis)? {
            KeyValue::Text(text) => Some(Cow::Borrowed(&**text)),
            KeyValue::Number(_) | KeyValue::Bool(_) => None,
        })),
    }
}

/// Arrow schema of `scaling.parquet`: the same for every study; the provenance stands in its
/// metadata.
pub fn scaling_schema(provenance: &Provenance) -> SchemaRef {
    let described = |column: &ScalingColumn| {
        described_field(
            column.name,
            column.read.data_type(),
            column.unit,
            column.doc,
        )
    };
    let fields: Vec<Field> = LEADING
        .iter()
        .map(described)
        .chain(axes().map(axis_field))
        .chain(COLUMNS.iter().map(described))
        .collect();
    let metadata = provenance
        .pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<std::collections::HashMap<_, _>>();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Series of one record batch: a table of a million rows never lies in memory whole.
const SERIES_AT_A_TIME: usize = 2_048;

/// One row per series and size, in order; frozen curves follow the others.
///
/// # Panics
/// If `schema` is not that of [`scaling_schema`].
pub fn scaling_batches<'a>(
    schema: &'a SchemaRef,
    findings: &'a Findings,
) -> impl Iterator<Item = RecordBatch> + 'a {
    let curves: Vec<&SeriesFinding> = findings.series.iter().chain(&findings.frozen).collect();
    let starts = (0..curves.len()).step_by(SERIES_AT_A_TIME);
    starts.map(move |first| {
        let end = curves.len().min(first + SERIES_AT_A_TIME);
        scaling_batch(schema, findings.size_axis, &curves[first..end])
    })
}

fn scaling_batch(schema: &SchemaRef, axis: Axis, curves: &[&SeriesFinding]) -> RecordBatch {
    let rows: Vec<Row<'_>> = curves
        .iter()
        .flat_map(|&series| {
            series
                .sizes
                .iter()
                .enumerate()
                .map(move |(place, size)| Row {
                    axis,
                    series,
                    size,
                    place,
                })
        })
        .collect();
    let arrays = LEADING
        .iter()
        .map(|column| column.read.array(&rows))
        .chain(axes().map(|axis| axis_array(axis, &rows)))
        .chain(COLUMNS.iter().map(|column| column.read.array(&rows)))
        .collect();
    RecordBatch::try_new(schema.clone(), arrays).expect("the schema is made of the same columns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Portion, StudyKind};

    /// The columns that other people's scripts depend on, without the axes.
    const PROMISED: &str = "series x scaling layouts gpus nodes step_time_s samples_per_s speedup efficiency \
        efficiency_of_best is_breakdown breakdown_gpus breakdown_status breakdown_cause knee_gpus serial_fraction \
        serial_fraction_low serial_fraction_high usl_contention usl_contention_low usl_contention_high usl_coherency \
        usl_coherency_low usl_coherency_high fit_error fit_note peak_gpus recommended_gpus recommended_why \
        cost_per_mtoken_usd";

    #[test]
    fn the_promised_columns_are_there_once_and_one_for_every_axis() {
        let schema = scaling_schema(&Provenance {
            study: StudyKind::Training,
            spec_name: String::new(),
            spec: String::new(),
            catalog_hash: String::new(),
            portion: Portion::default(),
        });
        let axes = AXES.iter().map(|info| info.axis.as_str());
        for promised in PROMISED.split_whitespace().chain(axes) {
            let fields = schema.fields().iter();
            let found = fields.filter(|field| field.name() == promised).count();
            assert_eq!(found, 1, "{promised}");
        }
    }
}
