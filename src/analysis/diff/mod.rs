//! Comparison of two runs of the same points, metric by metric.

mod rows;

use std::path::{Path, PathBuf};

use itertools::Itertools;
use serde::Serialize;
use thiserror::Error;

use self::rows::{KeyedRow, KeyedRows, keyed_rows, varied_inputs};
use crate::record::provenance::keys;
use crate::record::{Column, PointStatus, PointsReader, ReadError, columns, short_hash};
use crate::spec::{Axis, ColumnType, StudyKind};

/// Why two runs could not be compared.
#[derive(Debug, Error)]
pub enum DiffError {
    /// A file could not be read, or its rows are faulty.
    #[error(transparent)]
    Read(#[from] ReadError),
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
    /// No numeric column has that name.
    #[error("unknown metric `{name}`; numeric metrics here: {}", known.join(", "))]
    UnknownMetric {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
}

/// Differences between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// Relative change from which a metric counts as better or worse.
    pub tolerance: f64,
    /// Points that both runs hold.
    pub common: usize,
    /// Points that only the new run holds, by their varied axes.
    pub added: Vec<String>,
    /// Points that only the base run holds.
    pub gone: Vec<String>,
    /// Points that ran in one run only, or crashed.
    pub status_changes: Vec<StatusChange>,
    /// Each metric that was compared.
    pub metrics: Vec<MetricDiff>,
    /// Differences of version, catalogue or spec, the likely causes.
    pub likely_causes: Vec<String>,
}

/// A point that ended differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// The point, by its varied axes.
    pub point: String,
    /// How it ended in the base run.
    pub base: PointStatus,
    /// How it ended in the new one.
    pub new: PointStatus,
}

impl StatusChange {
    /// Whether a point that ran no longer does.
    pub(crate) fn is_regression(&self) -> bool {
        self.base == PointStatus::Ok || self.new == PointStatus::Crashed
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
    pub regressions: Vec<MetricChange>,
    /// The relative changes, new over base less one.
    pub distribution: Distribution,
}

/// Distribution of the relative changes of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// The smallest.
    pub least: f64,
    /// A tenth of the points lie below it.
    pub p10: f64,
    /// Half of the points lie below it.
    pub median: f64,
    /// A tenth of the points lie above it.
    pub p90: f64,
    /// The largest.
    pub most: f64,
}

impl Distribution {
    /// Summary of ascending values (linear interpolation); `None` if empty.
    fn of(sorted: &[f64]) -> Option<Self> {
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let quantile = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place as usize], sorted[libm::ceil(place) as usize]);
            // Between infinities there is nothing to interpolate.
            if below.to_bits() == above.to_bits() {
                below
            } else {
                below + (above - below) * place.fract()
            }
        };
        Some(Self {
            least,
            p10: quantile(0.1),
            median: quantile(0.5),
            p90: quantile(0.9),
            most,
        })
    }
}

/// One point's change in a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricChange {
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
const USUAL: &[Column] = &[
    columns::STEP_TIME_S,
    columns::MEMORY_PEAK_BYTES,
    columns::TIME_S,
];

/// Metrics of which more is better; of all others less is.
const MORE_IS_BETTER: &[Column] = &[
    columns::SAMPLES_PER_S,
    columns::TOKENS_PER_S,
    columns::TOKENS_PER_S_PER_GPU,
    columns::MODEL_FLOPS_PER_GPU_PER_S,
    columns::MFU,
    columns::HFU,
    columns::GPU_UTILIZATION,
    columns::ALGBW_BYTES_PER_S,
    columns::BUSBW_BYTES_PER_S,
    columns::GOODPUT,
];

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
    let metrics = chosen_metrics(kind, &metrics_of_both(&base_reader, &new_reader), metrics)?;
    let differences = likely_causes(&base_reader, &new_reader);
    let base_rows = keyed_rows(base_reader, kind, &metrics)?;
    let new_rows = keyed_rows(new_reader, kind, &metrics)?;
    let common: Vec<(&KeyedRow, &KeyedRow)> = base_rows
        .iter()
        .filter_map(|(key, row)| new_rows.get(key).map(|other| (row, other)))
        .collect();
    if common.is_empty() {
        return Err(DiffError::NothingInCommon {
            base: base.to_owned(),
            new: new.to_owned(),
        });
    }
    let both: Vec<&KeyedRow> = base_rows.values().chain(new_rows.values()).collect();
    let varied = varied_inputs(&both);
    let only = |rows: &KeyedRows, others: &KeyedRows| -> Vec<String> {
        rows.iter()
            .filter(|(key, _)| !others.contains_key(*key))
            .map(|(_, row)| row.label(&varied))
            .collect()
    };
    let mut diff = Diff {
        tolerance,
        common: common.len(),
        added: only(&new_rows, &base_rows),
        gone: only(&base_rows, &new_rows),
        status_changes: common
            .iter()
            .filter(|(base, new)| base.status != new.status)
            .map(|(base, new)| StatusChange {
                point: base.label(&varied),
                base: base.status,
                new: new.status,
            })
            .collect(),
        metrics: metrics
            .iter()
            .enumerate()
            .filter_map(|(place, column)| metric_diff(column, place, &common, &varied, tolerance))
            .collect(),
        likely_causes: Vec::new(),
    };
    if diff.has_regression() {
        diff.likely_causes = differences;
    }
    Ok(diff)
}

/// Metrics that the specs of both runs add; less of them counts as better.
fn metrics_of_both(base: &PointsReader, new: &PointsReader) -> Vec<Column> {
    let others = new.metrics();
    let has = |column: &Column| others.iter().any(|other| other.name == column.name);
    base.metrics().into_iter().filter(has).collect()
}

fn chosen_metrics(
    kind: StudyKind,
    of_specs: &[Column],
    names: &[String],
) -> Result<Vec<Column>, DiffError> {
    let numeric: Vec<Column> = columns::table(kind)
        .iter()
        .chain(of_specs)
        .filter(|column| match column.column_type() {
            ColumnType::Int | ColumnType::Real => true,
            ColumnType::Text | ColumnType::Bool => false,
        })
        .filter(|column| column.name.parse::<Axis>().is_err() && column.name != columns::POINT.name)
        .copied()
        .collect();
    let find = |name: &str| numeric.iter().find(|column| column.name == name).copied();
    if names.is_empty() {
        let usual = USUAL.iter().filter_map(|column| find(column.name));
        return Ok(usual.collect());
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

/// Differences of version, catalogue and spec, in words.
fn likely_causes(base: &PointsReader, new: &PointsReader) -> Vec<String> {
    let mut found = Vec::new();
    for (key, what) in [
        (keys::VERSION, "program version"),
        (keys::BUILD, "build of the program"),
        (keys::CATALOG_HASH, "catalogue"),
        (keys::SPEC_HASH, "spec"),
    ] {
        if let (Some(before), Some(after)) = (base.metadata(key), new.metadata(key))
            && before != after
        {
            found.push(format!(
                "{what} differs: {} before, {} now",
                short_hash(before),
                short_hash(after)
            ));
        }
    }
    found
}

fn metric_diff(
    column: &Column,
    place: usize,
    common: &[(&KeyedRow, &KeyedRow)],
    varied: &[Axis],
    tolerance: f64,
) -> Option<MetricDiff> {
    let more_is_better = MORE_IS_BETTER.iter().any(|it| it.name == column.name);
    let worse_by = |relative: f64| if more_is_better { -relative } else { relative };
    let changes: Vec<(f64, f64, f64, &KeyedRow)> = common
        .iter()
        .filter_map(|(base, new)| {
            let (before, after) = (base.values[place]?, new.values[place]?);
            // From zero to zero is no change, not an undefined one.
            let relative = if before.to_bits() == after.to_bits() {
                0.0
            } else {
                after / before - 1.0
            };
            Some((relative, before, after, *base))
        })
        .sorted_by(|a, b| a.0.total_cmp(&b.0))
        .collect();
    let ascending: Vec<f64> = changes.iter().map(|change| change.0).collect();
    let better = ascending.iter().filter(|it| worse_by(**it) < -tolerance);
    Some(MetricDiff {
        metric: column.name,
        more_is_better,
        compared: changes.len(),
        better: better.count(),
        distribution: Distribution::of(&ascending)?,
        regressions: changes
            .into_iter()
            .filter(|change| worse_by(change.0) > tolerance)
            .sorted_by(|a, b| worse_by(b.0).total_cmp(&worse_by(a.0)))
            .map(|(relative, base, new, row)| MetricChange {
                point: row.label(varied),
                base,
                new,
                relative,
            })
            .collect(),
    })
}
