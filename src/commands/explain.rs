//! One point in full: layout, time and memory by part, and what would help.

mod host;
mod memory;

use arrow::array::RecordBatch;
use itertools::Itertools;
use serde_json::{Map, Value, json};

use crate::analysis::Elasticity;
use crate::commands::explain_document::{
    Cells, ExplainDocument, HostCalls, PointDocument, StageDocument,
};
use crate::commands::failure::Failure;
use crate::commands::points::{grid_point, provenance};
use crate::commands::{corrected, trust};
use crate::document::Document;
use crate::record::{
    Cell, Column, ColumnGroup, PointStatus, Record, columns, point_table, points_batch,
    points_schema,
};
use crate::report::prices::prices_words_of;
use crate::report::text::{Table, Text};
use crate::runner::{Planned, play_point};
use crate::simulation::{LayerLaunches, Scratch, StageMemory, layer_launches, memory_of_layout};
use crate::spec::{Axis, Overrides, Portion, Spec, StudyKind};
use crate::units::Bytes;
use crate::whatif::{Answer, Baseline, Change, Effect, elasticities, neighbours};

/// Cells of the longest bar.
const BAR_CELLS: f64 = 40.0;

/// One point of a spec with its row.
#[derive(Clone, Debug)]
pub struct PointReport<'a> {
    spec: &'a Spec,
    record: Record,
}

impl<'a> PointReport<'a> {
    /// Simulates a point, by its number in the full grid.
    ///
    /// # Errors
    /// If the grid has no such point.
    pub fn of(spec: &'a Spec, point: u64) -> Result<Self, Failure> {
        let point = grid_point(spec, point)?;
        let record = play_point(&Planned::new(spec), &point, &mut Scratch::default());
        Ok(Self { spec, record })
    }

    /// The point for people: how it ended, its values, layout, time and memory by part.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        push_point(&mut text, &self.record, self.spec);
        text.finish()
    }

    /// The point for programs, `clustersweep.point/1`: every column of `points.parquet` by name, and a warning where nothing
    /// was measured on its GPU, or of the kernels of its model.
    pub fn json(&self) -> Value {
        Document::Point.of(&PointDocument {
            columns: Cells(cells(&self.record, self.spec)),
            unmeasured: unmeasured(&self.record),
        })
    }

    /// The point as the row that it has in `points.parquet`.
    pub fn row(&self) -> RecordBatch {
        let provenance = provenance(self.spec, Portion::default());
        let schema = points_schema(&provenance);
        points_batch(&provenance, &schema, std::slice::from_ref(&self.record))
    }

    /// The point with what would help: with the changes asked for, as `axis=value`; with all of one axis where none is
    /// asked for.
    ///
    /// # Errors
    /// If a change names no axis, a value that its axis does not take, or the point did not run.
    pub fn explain(self, what_if: &[String]) -> Result<Explanation<'a>, Failure> {
        let gains = gains(self.spec, &self.record, what_if)?;
        let sensitivities = match (self.record.training(), self.record.step()) {
            (Some(training), Some(step)) => elasticities(training, step, &mut Scratch::default()),
            _ => Vec::new(),
        };
        let (launches, stages) = match (self.record.training(), self.record.step()) {
            (Some(training), Some(step)) => (
                layer_launches(training, &step.layout),
                memory_of_layout(training, &step.layout, &mut Scratch::default()),
            ),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Explanation {
            point: self,
            launches,
            stages,
            gains,
            sensitivities,
            was_asked: !what_if.is_empty(),
        })
    }
}

/// One point with what would help.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    point: PointReport<'a>,
    launches: Vec<LayerLaunches>,
    stages: Vec<StageMemory>,
    gains: Vec<Effect>,
    sensitivities: Vec<Elasticity>,
    /// Whether only some changes were asked for.
    was_asked: bool,
}

impl Explanation<'_> {
    /// The point for people; of changes that were asked for their gains alone.
    pub fn text(&self) -> String {
        let record = &self.point.record;
        let mut text = Text::default();
        if !self.was_asked {
            push_point(&mut text, record, self.point.spec);
            memory::push_stages(&mut text, &self.stages);
            host::push_launches(&mut text, &self.launches);
            push_sensitivities(&mut text, &self.sensitivities);
        }
        push_gains(&mut text, &self.gains);
        if !self.was_asked {
            write!(text, "{}", corrected::text(record, self.point.spec));
            write!(text, "{}", trust::text(record));
        }
        text.finish()
    }

    /// The point for programs, `clustersweep.explain/1`: every column by name, with gains, sensitivities and confidence.
    pub fn json(&self) -> Value {
        let record = &self.point.record;
        Document::Explain.of(&ExplainDocument {
            columns: Cells(cells(record, self.point.spec)),
            what_if: &self.gains,
            prices_basis: prices_words_of(record, self.point.spec),
            unmeasured: unmeasured(record),
            elasticities: &self.sensitivities,
            memory_by_stage: self.stages.iter().map(StageDocument::of).collect(),
            host: self.launches.iter().map(HostCalls::of).collect(),
            corrected_by: corrected::of(record, self.point.spec),
            confidence: trust::of(record),
        })
    }
}

/// Gains of the changes asked for; of all one-axis changes where none is asked for.
fn gains(spec: &Spec, record: &Record, asked: &[String]) -> Result<Vec<Effect>, Failure> {
    let point = record.point();
    let (Some(training), Some(step)) = (record.training(), record.step()) else {
        return if asked.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Failure::usage(format!(
                "point {} is {}; only a training step that ran can be changed",
                point.index,
                record.status()
            )))
        };
    };
    let baseline = Baseline {
        seconds_per_sample: step.simulated_time().as_secs_f64()
            / f64::from(training.workload.global_batch),
        correction: step.correction_factor(),
    };
    if asked.is_empty() {
        return Ok(baseline.ask_all(spec, point, neighbours(spec, training, step)));
    }
    let mut scratch = Scratch::default();
    asked
        .iter()
        .map(|question| {
            let (axis, value) = Overrides::set_argument(question);
            let axis: Axis = axis.parse().map_err(Failure::usage)?;
            let old = point
                .value(axis)
                .map_or_else(|| "auto".to_owned(), ToString::to_string);
            let change = Change::new(axis, &value, &old);
            Ok(baseline.ask((spec, point), change, &mut scratch)?)
        })
        .collect()
}

/// The sensitivities of the step time, largest first.
fn push_sensitivities(text: &mut Text, sensitivities: &[Elasticity]) {
    if sensitivities.is_empty() {
        return;
    }
    writeln!(
        text,
        "\nSensitivity: step-time reduction per 1% more of each resource (latency, host: 1% less)"
    );
    let mut table = Table::new(&["", ">", ""]);
    let largest_first =
        |a: &&Elasticity, b: &&Elasticity| b.percent_per_percent.total_cmp(&a.percent_per_percent);
    for it in sensitivities.iter().sorted_by(largest_first) {
        let cells = (it.percent_per_percent * BAR_CELLS).round().max(0.0) as usize;
        table.row([
            format!("  {}", it.resource.title()),
            // Rounding must not leave a minus before a zero.
            format!("{:.3}%", it.percent_per_percent).replace("-0.000", "0.000"),
            "█".repeat(cells),
        ]);
    }
    write!(text, "{}", table.render());
}

/// Changes by their effect on the time per sample, best first.
fn push_gains(text: &mut Text, gains: &[Effect]) {
    if gains.is_empty() {
        return;
    }
    writeln!(
        text,
        "\nwhat would help (each change re-simulated; time per sample)"
    );
    let mut table = Table::new(&[">", "", ""]);
    for gain in gains {
        let (change, detail) = match (&gain.answer, gain.time_per_sample) {
            (Answer::Ran { layout, .. }, Some(time)) => (format!("{:+.1}%", 100.0 * time), layout),
            (Answer::Ran { layout, .. }, None) => (String::new(), layout),
            (Answer::CannotRun { reason }, _) => ("–".to_owned(), reason),
        };
        table.row([
            format!("  {change}"),
            gain.change.words.clone(),
            detail.clone(),
        ]);
    }
    write!(text, "{}", table.render());
}

/// Warnings that nothing was measured on the point's GPU, or of kernels of its model, where that is so.
fn unmeasured(record: &Record) -> Option<String> {
    let training = record.training()?;
    let gpus = training.types().map(|(gpu, ..)| gpu.unmeasured());
    gpus.chain([training.model.unmeasured()])
        .flatten()
        .reduce(|first, second| format!("{first} {second}"))
}

/// Every column of the point by name.
fn cells(record: &Record, spec: &Spec) -> Map<String, Value> {
    point_table(spec.kind, &spec.metrics)
        .iter()
        .map(|column| (column.name.to_owned(), json!(column.cell(record))))
        .collect()
}

fn push_point(text: &mut Text, record: &Record, spec: &Spec) {
    let (index, status) = (record.point().index, record.status());
    writeln!(text, "point {index} of {}: {status}", spec.name);
    if let Some(reason) = record.reason() {
        writeln!(text, "  {reason}");
    }
    if let Some(warning) = unmeasured(record) {
        text.wrap(&warning, "  ", "  ");
    }
    for group in ColumnGroup::ALL {
        let section = section(record, spec, *group);
        if !section.is_empty() {
            write!(text, "\n{group}\n{section}");
        }
        if *group == ColumnGroup::Money
            && let Some(prices) = prices_words_of(record, spec)
        {
            text.wrap(&prices, "  ", "  ");
        }
    }
}

/// One group of columns; empty where a point has none of them.
fn section(record: &Record, spec: &Spec, group: ColumnGroup) -> String {
    let ran = record.status() == PointStatus::Ok;
    match (group, spec.kind) {
        (ColumnGroup::Inputs, _) => values(record, spec, group),
        // The first lines hold it.
        (ColumnGroup::Identity, _) => String::new(),
        _ if !ran => String::new(),
        (ColumnGroup::Time, StudyKind::Training) => time(record),
        (ColumnGroup::Memory, StudyKind::Training) => memory::parts(record),
        _ => values(record, spec, group),
    }
}

/// The columns of a group, nulls left out.
fn values(record: &Record, spec: &Spec, group: ColumnGroup) -> String {
    let mut table = Table::new(&["", ""]);
    let of_group = |column: &&Column| column.group == group;
    let columns = point_table(spec.kind, &spec.metrics);
    for column in columns.iter().filter(of_group) {
        if let Some(value) = shown(column, record) {
            table.row([format!("  {}", column.name), value]);
        }
    }
    table.render()
}

/// A cell for people; `None` where it is null.
fn shown(column: &Column, record: &Record) -> Option<String> {
    Some(match column.cell(record)? {
        Cell::U64(value) if column.unit == "B" => Bytes::new(value).to_string(),
        Cell::U64(value) => value.to_string(),
        Cell::F64(value) => four_digits(value),
        Cell::Bool(value) => value.to_string(),
        Cell::Text(value) => value.into_owned(),
    })
}

/// Four significant digits, in powers of ten where a number is far from 1.
fn four_digits(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e5 {
        format!("{value:.0}")
    } else if (1e-3..1e5).contains(&size) {
        let decimals = match size {
            size if size < 0.01 => 6,
            size if size < 0.1 => 5,
            size if size < 1.0 => 4,
            _ => 4_usize.saturating_sub(format!("{size:.0}").len()),
        };
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}

/// The exclusive parts of the step as bars, and other times below them.
fn time(record: &Record) -> String {
    let seconds = |column: &Column| column.cell(record)?.number();
    let Some(step) = seconds(&columns::STEP_TIME_S) else {
        return String::new();
    };
    let mut table = Table::new(&["", ">", ">", ""]);
    let others = [
        columns::STEP_TIME_UNCORRECTED_S,
        columns::FORWARD_S,
        columns::BACKWARD_S,
        columns::COMM_BUSY_S,
        columns::STEP_TIME_P50_S,
        columns::STEP_TIME_P95_S,
        columns::STEP_TIME_P99_S,
    ];
    let rows = std::iter::once((&columns::STEP_TIME_S, 0.0))
        .chain(columns::TIME_PARTS.iter().map(|part| (part, BAR_CELLS)))
        .chain(others.iter().map(|other| (other, 0.0)));
    for (column, bar_cells) in rows {
        if let Some(value) = seconds(column) {
            let share = value / step;
            table.row([
                format!("  {}", column.name),
                four_digits(value),
                format!("{:.1}%", 100.0 * share),
                "█".repeat((share * bar_cells).round() as usize),
            ]);
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.123_456, "0.1235"),
            (0.004_567_8, "0.004568"),
            (12.345_67, "12.35"),
            (1_234.567, "1235"),
            (400.0, "400"),
            (1.5e12, "1.500e12"),
            (2.5e-7, "2.500e-7"),
        ] {
            assert_eq!(four_digits(value), text);
        }
    }
}
