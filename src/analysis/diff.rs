//! Two runs of the same points, metric by metric.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::error::AnalysisError;
use super::input::{NumberColumn, Rows};
use crate::record::provenance::keys;
use crate::record::{Column, PointsReader, ReadError, columns};
use crate::spec::{AXES, Axis, ColumnType, StudyKind};

/// Why two runs could not be compared.
#[derive(Debug, Error)]
pub enum DiffError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its rows are faulty.
    #[error(transparent)]
    Rows(#[from] AnalysisError),
    /// One is a training study, the other a collective one.
    #[error("`{}` and `{}` are studies of different kinds, which have no metric in common", base.display(), new.display())]
    Kinds {
        /// The one.
        base: PathBuf,
        /// The other.
        new: PathBuf,
    },
    /// The runs share no point.
    #[error(
        "`{}` and `{}` have no point in common, so nothing was compared; \
         compare runs of the same spec, or whose axes overlap",
        base.display(),
        new.display()
    )]
    NothingInCommon {
        /// The one.
        base: PathBuf,
        /// The other.
        new: PathBuf,
    },
    /// A metric that no column has.
    #[error("unknown metric `{name}`; numeric metrics here: {}", known.join(", "))]
    UnknownMetric {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
}

/// What differs between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// Relative change from which a metric counts as better or worse.
    pub tolerance: f64,
    /// Points that both runs hold.
    pub common: usize,
    /// Points that only the new run holds.
    pub added: usize,
    /// Points that only the base run holds.
    pub gone: usize,
    /// Points that ran in one run only, or crashed.
    pub status_changes: Vec<StatusChange>,
    /// Each metric that was compared.
    pub metrics: Vec<MetricDiff>,
    /// What else differs and is the likely cause.
    pub likely_causes: Vec<String>,
}

/// A point that ended differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// The point, by its varied axes.
    pub point: String,
    /// How it ended in the base run.
    pub base: String,
    /// How it ended in the new one.
    pub new: String,
}

impl StatusChange {
    /// Whether a point that ran no longer does.
    pub fn is_regression(&self) -> bool {
        self.base == "ok" || self.new == "crashed"
    }
}

/// The changes of one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDiff {
    /// Column of the metric.
    pub metric: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Points where both runs have a value.
    pub compared: usize,
    /// Points better by more than the tolerance.
    pub better: usize,
    /// Points worse by more than the tolerance, worst first.
    pub regressions: Vec<Change>,
    /// Smallest relative change, new over base less one.
    pub least: f64,
    /// Median relative change.
    pub median: f64,
    /// Largest relative change.
    pub most: f64,
}

/// One point's change in a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The point, by its varied axes.
    pub point: String,
    /// Value in the base run.
    pub base: f64,
    /// Value in the new run.
    pub new: f64,
    /// New over base less one.
    pub relative: f64,
}

impl Diff {
    /// Whether something got worse than the tolerance allows.
    pub fn has_regression(&self) -> bool {
        self.status_changes.iter().any(StatusChange::is_regression)
            || self.metrics.iter().any(|m| !m.regressions.is_empty())
    }
}

/// Metrics compared unless others are named.
const USUAL: &[&str] = &["step_time_s", "memory_peak_bytes", "time_s"];

/// Metrics of which more is better; of all others less is.
const MORE_IS_BETTER: &[&str] = &[
    "samples_per_s",
    "tokens_per_s",
    "tokens_per_s_per_gpu",
    "model_flops_per_gpu_per_s",
    "mfu",
    "hfu",
    "gpu_utilization",
    "algbw_bytes_per_s",
    "busbw_bytes_per_s",
];

/// One row: its inputs, how it ended, and its metrics.
struct Row {
    inputs: Vec<(Axis, String)>,
    status: String,
    values: Vec<Option<f64>>,
}

/// Compares two `points.parquet` on the points that both hold.
///
/// # Errors
/// If a file cannot be read, a metric does not exist, or no point is in both.
pub fn diff_files(
    base: &Path,
    new: &Path,
    metrics: &[String],
    tolerance: f64,
) -> Result<Diff, DiffError> {
    let (base_reader, new_reader) = (PointsReader::open(base)?, PointsReader::open(new)?);
    let kind = base_reader.kind();
    if kind != new_reader.kind() {
        return Err(DiffError::Kinds {
            base: base.to_owned(),
            new: new.to_owned(),
        });
    }
    let metrics = chosen_metrics(kind, metrics)?;
    let likely_causes = likely_causes(&base_reader, &new_reader);
    let base_rows = keyed_rows(base, base_reader, kind, &metrics)?;
    let new_rows = keyed_rows(new, new_reader, kind, &metrics)?;
    let common: Vec<(&Row, &Row)> = base_rows
        .iter()
        .filter_map(|(key, row)| new_rows.get(key).map(|other| (row, other)))
        .collect();
    if common.is_empty() {
        return Err(DiffError::NothingInCommon {
            base: base.to_owned(),
            new: new.to_owned(),
        });
    }
    let varied = varied_inputs(&common);
    Ok(Diff {
        tolerance,
        common: common.len(),
        added: new_rows.len() - common.len(),
        gone: base_rows.len() - common.len(),
        status_changes: common
            .iter()
            .filter(|(base, new)| base.status != new.status)
            .map(|(base, new)| StatusChange {
                point: label(base, &varied),
                base: base.status.clone(),
                new: new.status.clone(),
            })
            .collect(),
        metrics: metrics
            .iter()
            .enumerate()
            .filter_map(|(place, column)| metric_diff(column, place, &common, &varied, tolerance))
            .collect(),
        likely_causes,
    })
}

fn chosen_metrics(kind: StudyKind, names: &[String]) -> Result<Vec<Column>, DiffError> {
    let numeric: Vec<Column> = columns::table(kind)
        .iter()
        .filter(|column| match column.read.column_type() {
            ColumnType::Int | ColumnType::Real => true,
            ColumnType::Text | ColumnType::Bool => false,
        })
        .filter(|column| column.name.parse::<Axis>().is_err() && column.name != columns::POINT.name)
        .copied()
        .collect();
    let find = |name: &str| numeric.iter().find(|column| column.name == name).copied();
    if names.is_empty() {
        return Ok(USUAL.iter().filter_map(|name| find(name)).collect());
    }
    names
        .iter()
        .map(|name| {
            find(name).ok_or_else(|| DiffError::UnknownMetric {
                name: name.clone(),
                known: numeric.iter().map(|column| column.name).collect(),
            })
        })
        .collect()
}

/// What of the files' origin differs.
fn likely_causes(base: &PointsReader, new: &PointsReader) -> Vec<String> {
    let mut found = Vec::new();
    for (key, what) in [
        (keys::VERSION, "program version"),
        (keys::CATALOG_HASH, "catalogue"),
        (keys::SPEC_HASH, "spec"),
    ] {
        if let (Some(before), Some(after)) = (base.metadata(key), new.metadata(key))
            && before != after
        {
            let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
            found.push(format!(
                "{what} differs: {} before, {} now",
                short(before),
                short(after)
            ));
        }
    }
    found
}

/// Inputs in words and which of several equal points it is.
type Key = (String, usize);

fn keyed_rows(
    path: &Path,
    reader: PointsReader,
    kind: StudyKind,
    metrics: &[Column],
) -> Result<BTreeMap<Key, Row>, DiffError> {
    let axes: Vec<Axis> = AXES
        .iter()
        .map(|info| info.axis)
        .filter(|axis| axis.belongs_to(kind) && *axis != Axis::Gpus)
        .collect();
    let wanted: Vec<Column> = axes
        .iter()
        .map(|axis| Column::of_axis(axis.info()))
        .chain([columns::GPUS, columns::STATUS])
        .chain(metrics.iter().copied())
        .collect();
    let file = path.display().to_string();
    let mut found = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for batch in reader.read(&wanted)? {
        let rows = Rows {
            file: &file,
            batch: &batch,
        };
        for row in batch_rows(&rows, &axes, metrics)? {
            let words: Vec<String> = row
                .inputs
                .iter()
                .map(|(axis, value)| format!("{axis}={value}"))
                .collect();
            let key = words.join(";");
            let count = seen.entry(key.clone()).or_default();
            found.insert((key, *count), row);
            *count += 1;
        }
    }
    Ok(found)
}

fn batch_rows(
    rows: &Rows<'_>,
    axes: &[Axis],
    metrics: &[Column],
) -> Result<Vec<Row>, AnalysisError> {
    let status = rows.text(&columns::STATUS)?;
    let gpus = rows.numbers(&columns::GPUS)?;
    let values: Vec<NumberColumn> = metrics
        .iter()
        .map(|column| rows.numbers(column))
        .collect::<Result<_, _>>()?;
    let inputs: Vec<(Axis, Vec<Option<String>>)> = axes
        .iter()
        .map(|axis| input_words(rows, *axis).map(|words| (*axis, words)))
        .collect::<Result<_, _>>()?;
    Ok((0..rows.len())
        .map(|row| Row {
            inputs: inputs
                .iter()
                .filter_map(|(axis, words)| words[row].clone().map(|word| (*axis, word)))
                .chain(gpus.get(row).map(|n| (Axis::Gpus, n.to_string())))
                .collect(),
            status: status
                .get(row)
                .map_or_else(String::new, std::string::ToString::to_string),
            values: values.iter().map(|column| column.get(row)).collect(),
        })
        .collect())
}

/// The values of an axis in words, null where it is `auto`.
fn input_words(rows: &Rows<'_>, axis: Axis) -> Result<Vec<Option<String>>, AnalysisError> {
    let column = Column::of_axis(axis.info());
    let count = rows.len();
    Ok(match axis.info().domain.column_type() {
        ColumnType::Text => {
            let text = rows.text(&column)?;
            (0..count)
                .map(|row| text.get(row).map(std::string::ToString::to_string))
                .collect()
        }
        ColumnType::Int | ColumnType::Real => {
            let numbers = rows.numbers(&column)?;
            (0..count)
                .map(|row| numbers.get(row).map(|number| number.to_string()))
                .collect()
        }
        ColumnType::Bool => {
            let switches = rows.switches(&column)?;
            switches
                .iter()
                .map(|switch| switch.map(|on| on.to_string()))
                .collect()
        }
    })
}

/// Axes that differ between the common points.
fn varied_inputs(common: &[(&Row, &Row)]) -> Vec<Axis> {
    let mut values: BTreeMap<Axis, BTreeSet<&str>> = BTreeMap::new();
    let mut counts: BTreeMap<Axis, usize> = BTreeMap::new();
    for (row, _) in common {
        for (axis, value) in &row.inputs {
            values.entry(*axis).or_default().insert(value);
            *counts.entry(*axis).or_default() += 1;
        }
    }
    values
        .into_iter()
        .filter(|(axis, values)| values.len() > 1 || counts[axis] < common.len())
        .map(|(axis, _)| axis)
        .collect()
}

fn label(row: &Row, varied: &[Axis]) -> String {
    let words: Vec<String> = row
        .inputs
        .iter()
        .filter(|(axis, _)| varied.contains(axis))
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    if words.is_empty() {
        "the only point".to_owned()
    } else {
        words.join(" ")
    }
}

fn metric_diff(
    column: &Column,
    place: usize,
    common: &[(&Row, &Row)],
    varied: &[Axis],
    tolerance: f64,
) -> Option<MetricDiff> {
    let more_is_better = MORE_IS_BETTER.contains(&column.name);
    let mut changes: Vec<(f64, f64, f64, &Row)> = common
        .iter()
        .filter_map(|(base, new)| {
            let (before, after) = (base.values[place]?, new.values[place]?);
            // Nought to nought is no change, not an undefined one.
            let relative = if before.to_bits() == after.to_bits() {
                0.0
            } else {
                after / before - 1.0
            };
            Some((relative, before, after, *base))
        })
        .collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (changes.first()?.0, changes.last()?.0);
    let median = changes[changes.len() / 2].0;
    let worse_by = |relative: f64| if more_is_better { -relative } else { relative };
    let compared = changes.len();
    let better = changes
        .iter()
        .filter(|change| worse_by(change.0) < -tolerance)
        .count();
    let mut regressions: Vec<Change> = changes
        .into_iter()
        .filter(|change| worse_by(change.0) > tolerance)
        .map(|(relative, base, new, row)| Change {
            point: label(row, varied),
            base,
            new,
            relative,
        })
        .collect();
    regressions.sort_by(|a, b| worse_by(b.relative).total_cmp(&worse_by(a.relative)));
    Some(MetricDiff {
        metric: column.name,
        more_is_better,
        compared,
        better,
        regressions,
        least: first,
        median,
        most: last,
    })
}
