//! `scaling.parquet`: one row per series and size.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::breakdown::{BreakdownCause, BreakdownStatus};
use super::cause::CauseCheck;
use super::findings::Findings;
use super::fit::Fits;
use super::key_value::KeyValue;
use super::points::Measured;
use super::series_finding::{Layouts, SeriesFinding, SizeFinding};
use crate::record::column::{TableRow, columns, with_axes};
use crate::record::{
    Cell, Column, ColumnGroup, ColumnWords, Provenance, Read, metric_columns, table_batch,
    table_schema,
};
use crate::spec::{AXES, Axis, ColumnType, Metric};

/// One row: a size, its series and the axis of sizes.
#[derive(Clone, Copy, Debug)]
struct SizeRow<'a> {
    axis: Axis,
    series: &'a SeriesFinding,
    size: &'a SizeFinding,
    place: usize,
}

impl<'a> SizeRow<'a> {
    fn measured(&self) -> Option<&'a Measured> {
        self.size.point.measured.as_ref()
    }

    fn fits(&self) -> &'a Fits {
        &self.series.fits
    }

    /// A size of the curve, where sizes are GPUs.
    fn gpus(&self, size: Option<f64>) -> Option<f64> {
        matches!(self.axis, Axis::Gpus | Axis::Nodes)
            .then_some(size)
            .flatten()
    }

    /// Axis of the size; GPUs where the job is a part of one server.
    fn size_axis(&self) -> &'static str {
        match (self.axis, self.size.point.nodes) {
            (Axis::Gpus | Axis::Nodes, Some(_)) => Axis::Nodes.as_str(),
            (Axis::Gpus | Axis::Nodes, None) => Axis::Gpus.as_str(),
            (other, _) => other.as_str(),
        }
    }

    fn is_breakdown(&self) -> bool {
        let breakdown = &self.series.breakdown;
        breakdown.status == BreakdownStatus::Confirmed
            && breakdown
                .first_bad
                .is_some_and(|bad| bad.place == self.place)
    }

    /// Columns without those of the axes, in the order of the file.
    const COLUMNS: &'a [Column<Self>] = columns! {
        Identity {
            "series", "1", U64, |r| Some(u64::from(r.series.number)),
                "Number of the series, in the order of their first points; frozen curves are numbered behind all others.";
        }
        Inputs {
            "run", "", Text, |r| r.series.run.as_ref().map(|run| Cow::Owned(run.to_string())),
                "Run that the series comes from, by what differs between runs; null where one run was analysed.";
            "x", "", Text, |r| name(r.size_axis()),
                "Axis that is taken as the size.";
            "scaling", "", Text, |r| name(r.series.scaling.as_str()),
                "strong: one global batch; weak: one batch per GPU.";
        }
        Layout {
            "layouts", "", Text, |r| name(r.series.layouts.as_str()),
                "re-optimised: chosen anew at each size; frozen: that of the smallest size, only dp growing.";
            "gpus", "1", U64, |r| Some(u64::from(r.size.point.gpus)),
                "GPUs of the job.";
            "nodes", "1", U64, |r| r.size.point.nodes.map(u64::from),
                "Servers of the job; null for a part of one.";
        }
        Time {
            "step_time_s", "s", F64, |r| r.measured().map(|m| m.step_time_s),
                "Time of one optimizer step; null where the point did not run.";
        }
        Rate {
            "samples_per_s", "1/s", F64, |r| r.measured().map(|m| m.samples_per_s),
                "Samples per second of the whole job.";
            "speedup", "1", F64, |r| r.size.efficiency.map(|e| e.speedup),
                "samples_per_s over that of the smallest size that ran.";
            "efficiency", "1", F64, |r| r.size.efficiency.map(|e| e.of_baseline),
                "Samples per second and GPU over that of the smallest size that ran.";
            "efficiency_of_best", "1", F64, |r| r.size.efficiency.map(|e| e.of_best),
                "Samples per second and GPU over the best of any size up to this one.";
        }
        Verdict {
            "is_breakdown", "", Bool, |r| Some(r.is_breakdown()),
                "Whether this is the first size of a confirmed breakdown.";
            "breakdown_gpus", "1", F64, |r| r.gpus(r.series.breakdown.confirmed_size()),
                "GPUs at which the upper envelope of the efficiency falls under the threshold, interpolated in log size; null when it never does or is unconfirmed.";
            "breakdown_status", "", Text, |r| name(r.series.breakdown.status.as_str()),
                "none; confirmed: two sizes at least of the upper envelope lie under the threshold; unconfirmed: a single one does, or only sizes that divide the batch unevenly.";
            "breakdown_cause", "", Text, |r| name(r.series.breakdown.cause.map(BreakdownCause::as_str)),
                "Part that costs more GPU-seconds per sample at the first bad size than at the last good one; breakdown_cause_check tells whether a simulation agrees.";
            "knee_gpus", "1", F64, |r| r.gpus(r.series.knee),
                "GPUs at which the rate bends most in log-log; null for fewer than four sizes or a straight line.";
            "serial_fraction", "1", F64, |r| r.fits().serial_fraction.map(|e| e.value),
                "Serial fraction of Amdahl's law (of Gustafson's for weak series), referred to one GPU.";
            "serial_fraction_low", "1", F64, |r| r.fits().serial_fraction.map(|e| e.low),
                "Lower 95% bound of serial_fraction, by jackknife.";
            "serial_fraction_high", "1", F64, |r| r.fits().serial_fraction.map(|e| e.high),
                "Upper 95% bound of serial_fraction, by jackknife.";
            "usl_contention", "1", F64, |r| r.fits().usl_contention.map(|e| e.value),
                "Contention of the Universal Scalability Law, referred to one GPU.";
            "usl_contention_low", "1", F64, |r| r.fits().usl_contention.map(|e| e.low),
                "Lower 95% bound of usl_contention, by jackknife.";
            "usl_contention_high", "1", F64, |r| r.fits().usl_contention.map(|e| e.high),
                "Upper 95% bound of usl_contention, by jackknife.";
            "usl_coherency", "1", F64, |r| r.fits().usl_coherency.map(|e| e.value),
                "Coherency of the Universal Scalability Law, referred to one GPU.";
            "usl_coherency_low", "1", F64, |r| r.fits().usl_coherency.map(|e| e.low),
                "Lower 95% bound of usl_coherency, by jackknife.";
            "usl_coherency_high", "1", F64, |r| r.fits().usl_coherency.map(|e| e.high),
                "Upper 95% bound of usl_coherency, by jackknife.";
            "fit_error", "1", F64, |r| r.fits().serial_error,
                "Root mean square of the log residuals of the serial-fraction fit.";
            "fit_note", "", Text, |r| r.fits().note.as_deref().map(Cow::Borrowed),
                "Why a fit is null, or where a law does not describe the curve.";
            "peak_gpus", "1", F64, |r| r.gpus(r.fits().peak_size),
                "GPUs of the highest rate that the Universal Scalability Law predicts.";
            "recommended_gpus", "1", U64, |r| r.series.recommended().map(|size| u64::from(size.point.gpus)),
                "GPUs of the fastest size within the efficiency threshold.";
            "recommended_why", "", Text, |r| r.series.recommended_why().map(Cow::Owned),
                "Why that size.";
        }
        Money {
            "cost_per_mtoken_usd", "USD", F64, |r| r.measured().and_then(|m| m.cost_per_mtoken_usd),
                "Rent per million tokens; null without a price and for images.";
        }
        Identity {
            "point", "1", U64, |r| Some(r.size.point.point),
                "Index of the point in its run.";
            "status", "", Text, |r| name(r.size.point.status.as_str()),
                "How the point ended: ok, infeasible or crashed.";
            "x_value", "", F64, |r| Some(r.size.point.size),
                "Value of the size: GPUs, or that of the axis in x.";
        }
        Verdict {
            "sawtooth", "", Bool, |r| r.size.efficiency.map(|_| r.size.sawtooth),
                "Whether this size lies under the upper envelope: some smaller one is faster per GPU, and some larger one too or the batch divides unevenly.";
            "breakdown_x", "", F64, |r| r.series.breakdown.confirmed_size(),
                "As breakdown_gpus, on the axis in x.";
            "breakdown_of_best_x", "", F64, |r| r.series.breakdown_of_best.confirmed_size(),
                "As breakdown_x, for efficiency_of_best.";
            "breakdown_cause_share", "1", F64, |r| r.series.breakdown.cause_share(),
                "Share of breakdown_cause in the loss between the last good and the first bad size; null for an exhausted batch, which is no part of the step.";
            "breakdown_cause_check", "", Text, |r| name(r.series.breakdown.check.map(CauseCheck::as_str)),
                "confirmed: simulated without the cause, efficiency stays above the threshold at the first bad size; not-alone: without no single part it would, and the one that helps most is named; not-checked: not simulated again.";
            "breakdown_efficiency_without_cause", "1", F64, |r| r.series.breakdown.efficiency_without_cause(),
                "Efficiency at the first bad size as simulated without the cause.";
            "of_series", "1", U64, |r| (r.series.layouts == Layouts::Frozen).then_some(u64::from(r.series.of_series)),
                "Of a frozen curve, the series that it is a curve of; null otherwise.";
            "usl_error", "1", F64, |r| r.fits().usl_error,
                "Root mean square of the log residuals of the Universal Scalability Law.";
        }
        Money {
            "goodput", "1", F64, |r| r.size.training.map(|t| t.goodput),
                "Time that the steps of the whole training take by themselves over its expected time; null without tokens or samples in [analysis].";
            "days", "d", F64, |r| r.size.training.map(|t| t.days()),
                "Expected days of the whole training; null without tokens or samples.";
            "total_cost_usd", "USD", F64, |r| r.size.training.and_then(|t| t.cost_usd),
                "Rent for these days; null without a price, and without tokens or samples.";
            "total_energy_kwh", "kWh", F64, |r| r.size.training.and_then(|t| t.energy_kwh),
                "Energy of the GPUs for these days; null without a power limit, and without tokens or samples.";
        }
    };

    /// Every column, in the order of the file, those of some metrics last; GPUs and servers are columns already.
    fn table(metrics: &[Metric]) -> Vec<Column<Self>> {
        let axes = AXES.iter();
        let axes = axes.filter(|info| !matches!(info.axis, Axis::Gpus | Axis::Nodes));
        let mut table = with_axes(Self::COLUMNS, axes);
        table.extend(metric_columns(metrics));
        table
    }
}

impl TableRow for SizeRow<'_> {
    fn axis(&self, axis: Axis) -> Option<Cell<'_>> {
        Some(match self.series.value(axis)? {
            KeyValue::Text(text) => Cell::Text(Cow::Borrowed(text)),
            KeyValue::Number(number) => match axis.info().domain.column_type() {
                ColumnType::Int => Cell::U64(*number as u64),
                ColumnType::Real | ColumnType::Bool | ColumnType::Text => Cell::F64(*number),
            },
            KeyValue::Bool(switch) => Cell::Bool(*switch),
            KeyValue::Several(_) => return None,
        })
    }

    fn metric(&self, place: usize) -> Option<f64> {
        self.size.point.metrics.get(place).copied().flatten()
    }
}

fn name<'a>(text: impl Into<Option<&'static str>>) -> Option<Cow<'a, str>> {
    text.into().map(Cow::Borrowed)
}

/// The columns of `scaling.parquet` as they are documented, those of metrics left out.
pub(crate) fn scaling_columns() -> Vec<ColumnWords> {
    let table = SizeRow::table(&[]);
    table.iter().map(Column::words).collect()
}

/// Names of the columns of `scaling.parquet`, those of metrics left out.
pub(crate) fn scaling_names() -> Vec<&'static str> {
    let table = SizeRow::table(&[]);
    table.iter().map(|column| column.name).collect()
}

/// Arrow schema of `scaling.parquet`: the same for every study, with the metrics of its spec behind; the provenance
/// stands in its metadata.
pub(crate) fn scaling_schema(provenance: &Provenance) -> SchemaRef {
    table_schema(&SizeRow::table(&provenance.metrics), provenance)
}

/// Series of one record batch: a table of a million rows never lies in memory whole.
const SERIES_AT_A_TIME: usize = 2_048;

/// One row per series and size, in order; frozen curves follow the others.
///
/// # Panics
/// If `schema` is not that of [`scaling_schema`].
pub(crate) fn scaling_batches<'a>(
    provenance: &Provenance,
    schema: &'a SchemaRef,
    findings: &'a Findings,
) -> impl Iterator<Item = RecordBatch> + use<'a> {
    let columns = SizeRow::table(&provenance.metrics);
    let curves: Vec<&SeriesFinding> = findings.series.iter().chain(&findings.frozen).collect();
    let starts = (0..curves.len()).step_by(SERIES_AT_A_TIME);
    starts.map(move |first| {
        let end = curves.len().min(first + SERIES_AT_A_TIME);
        let rows = curves[first..end].iter().flat_map(|&series| {
            let sizes = series.sizes.iter().enumerate();
            sizes.map(move |(place, size)| SizeRow {
                axis: findings.size_axis,
                series,
                size,
                place,
            })
        });
        table_batch(&columns, schema, &rows.collect::<Vec<_>>())
    })
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
        cost_per_mtoken_usd goodput days total_cost_usd total_energy_kwh";

    #[test]
    fn the_promised_columns_are_there_once_and_one_for_every_axis() {
        let schema = scaling_schema(&Provenance {
            study: StudyKind::Training,
            spec_name: String::new(),
            spec: String::new(),
            catalog_hash: String::new(),
            metrics: [].into(),
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
