//! Comparison of two runs of the same points, metric by metric.

mod metric;
mod rows;
mod tolerance;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use self::metric::Changes;
pub use self::metric::{ChangeBin, Distribution, LISTED, MetricChange, MetricDiff};
use self::rows::{Inputs, Labels, Matches, RunRows, labels};
pub use self::tolerance::{NoTolerance, Tolerance};
use crate::record::provenance::keys;
use crate::record::{Column, PointStatus, PointsReader, ReadError, columns, short_hash};
use crate::spec::{Axis, ColumnType, StudyKind, changed_keys};
use crate::spelling::did_you_mean;

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
    #[error("unknown metric `{name}`{}; numeric metrics here: {}", meant(name, known), known.join(", "))]
    UnknownMetric {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// A metric has no such tolerance.
    #[error(transparent)]
    Tolerance(#[from] NoTolerance),
}

/// The metrics that may have been meant.
fn meant(name: &str, known: &[&'static str]) -> String {
    let hint = did_you_mean(name, known.iter().copied());
    hint.map_or_else(String::new, |hint| format!("; {hint}"))
}

/// Differences between two runs.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Diff {
    /// Relative change up to which a metric without a tolerance of its own counts as the same.
    pub tolerance: f64,
    /// Whether points that only the base run holds count as a regression.
    pub fail_missing: bool,
    /// Points that both runs hold.
    pub common: usize,
    /// Number of points that only the new run holds.
    pub only_new: usize,
    /// The first of them, by their varied axes, at most [`LISTED`].
    pub added: Vec<String>,
    /// Number of points that only the base run holds.
    pub only_base: usize,
    /// The first of them, at most [`LISTED`].
    pub gone: Vec<String>,
    /// Number of points that ended differently.
    pub ended_differently: usize,
    /// Number of those that ran before and no longer do, or crash.
    pub stopped: usize,
    /// Points that ended differently, those that stopped first, at most [`LISTED`].
    pub status_changes: Vec<StatusChange>,
    /// Each metric that was compared.
    pub metrics: Vec<MetricDiff>,
    /// Differences of version, catalogue or spec, the likely causes; empty where nothing got worse.
    pub likely_causes: Vec<String>,
    /// Keys of the spec that changed: `grid.nodes [1, 2] -> [1, 4]`.
    pub spec_changes: Vec<String>,
}

/// A point that ended differently.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
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
        is_regression(self.base, self.new)
    }
}

fn is_regression(base: PointStatus, new: PointStatus) -> bool {
    base == PointStatus::Ok || new == PointStatus::Crashed
}

impl Diff {
    /// Whether something got worse than the gates allow.
    pub fn has_regression(&self) -> bool {
        self.stopped > 0 || self.missing() > 0 || self.metrics.iter().any(|metric| metric.worse > 0)
    }

    /// Number of points that only the base run holds, where that counts as a regression.
    pub(crate) const fn missing(&self) -> usize {
        if self.fail_missing { self.only_base } else { 0 }
    }
}

/// Metrics compared unless others are named.
const USUAL: &[Column] = &[
    columns::STEP_TIME_S,
    columns::MEMORY_PEAK_BYTES,
    columns::TIME_S,
];

/// What counts as a regression.
#[derive(Clone, Copy, Debug)]
pub struct Gates<'a> {
    /// Metrics that are compared; none: step time and memory. A metric is a column, or a column with a tolerance of its own:
    /// `step_time_s=2%`, `memory_peak_bytes=512MiB`.
    pub metrics: &'a [String],
    /// Relative change up to which a metric without a tolerance of its own counts as the same.
    pub tolerance: f64,
    /// Whether points that only the base run holds count.
    pub fail_missing: bool,
}

/// Compares two `points.parquet` on the points that both hold.
///
/// # Errors
/// If a file cannot be read, a metric does not exist or has no such tolerance, or no point is in both.
pub fn diff_files(
    base: &Path,
    new: &Path,
    Gates {
        metrics,
        tolerance,
        fail_missing,
    }: Gates<'_>,
) -> Result<Diff, DiffError> {
    let (base_reader, new_reader) = (PointsReader::open(base)?, PointsReader::open(new)?);
    let kind = base_reader.kind();
    if kind != new_reader.kind() {
        return Err(DiffError::Kinds {
            base: base.to_owned(),
            new: new.to_owned(),
        });
    }
    let of_both = metrics_of_both(&base_reader, &new_reader);
    let gates = chosen_metrics(kind, &of_both, metrics, tolerance)?;
    let metrics: Vec<Column> = gates.iter().map(|(column, _)| *column).collect();
    let spec_changes = spec_changes(&base_reader, &new_reader);
    let differences = likely_causes(&base_reader, &new_reader, spec_changes.is_empty());
    let mut inputs = Inputs::of(kind);
    let base_rows = inputs.rows(base_reader, &metrics)?;
    let new_rows = inputs.rows(new_reader, &metrics)?;
    let matches = Matches::of(&base_rows.keys, &new_rows.keys);
    if matches.common.is_empty() {
        return Err(DiffError::NothingInCommon {
            base: base.to_owned(),
            new: new.to_owned(),
        });
    }
    let runs = [&base_rows, &new_rows];
    let changes = gates.iter().enumerate();
    let changes: Vec<Changes> = changes
        .filter_map(|(place, (column, tolerance))| {
            Changes::of(*column, place, runs, &matches, *tolerance)
        })
        .collect();
    let endings = Endings::of(runs, &matches);
    let (gone, added) = (first(&matches.gone), first(&matches.added));
    let varied = inputs.varied();
    let listed = changes.iter().flat_map(Changes::places);
    let listed = listed.chain(endings.places()).chain(gone.iter().copied());
    let base_labels = labels(PointsReader::open(base)?, &varied, &listed.collect())?;
    let new_labels = labels(
        PointsReader::open(new)?,
        &varied,
        &added.iter().copied().collect(),
    )?;
    let named = |places: &[usize], labels: &Labels| -> Vec<String> {
        places.iter().map(|place| labels[place].clone()).collect()
    };
    let mut diff = Diff {
        tolerance,
        fail_missing,
        common: matches.common.len(),
        only_new: matches.added.len(),
        added: named(added, &new_labels),
        only_base: matches.gone.len(),
        gone: named(gone, &base_labels),
        ended_differently: endings.all,
        stopped: endings.stopped,
        status_changes: endings.labelled(&base_labels),
        metrics: changes.iter().map(|it| it.labelled(&base_labels)).collect(),
        likely_causes: Vec::new(),
        spec_changes,
    };
    if diff.has_regression() {
        diff.likely_causes = differences;
    }
    Ok(diff)
}

/// As many places as a list names.
fn first(places: &[usize]) -> &[usize] {
    &places[..places.len().min(LISTED)]
}

/// Points that ended differently, those that stopped first, by their places in the base run.
struct Endings {
    all: usize,
    stopped: usize,
    listed: Vec<(usize, PointStatus, PointStatus)>,
}

impl Endings {
    fn of([base, new]: [&RunRows; 2], matches: &Matches) -> Self {
        let common = matches.common.iter();
        let mut listed: Vec<(usize, PointStatus, PointStatus)> = common
            .map(|(place, other)| (*place, base.statuses[*place], new.statuses[*other]))
            .filter(|(_, base, new)| base != new)
            .collect();
        listed.sort_by_key(|(_, base, new)| !is_regression(*base, *new));
        let all = listed.len();
        let stopped = listed.partition_point(|(_, base, new)| is_regression(*base, *new));
        listed.truncate(LISTED);
        Self {
            all,
            stopped,
            listed,
        }
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.listed.iter().map(|it| it.0)
    }

    fn labelled(&self, labels: &Labels) -> Vec<StatusChange> {
        let listed = self.listed.iter();
        let labelled = listed.map(|(place, base, new)| StatusChange {
            point: labels[place].clone(),
            base: *base,
            new: *new,
        });
        labelled.collect()
    }
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
    gates: &[String],
    tolerance: f64,
) -> Result<Vec<(Column, Tolerance)>, DiffError> {
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
    let usual = Tolerance::Relative(tolerance);
    if gates.is_empty() {
        let columns = USUAL.iter().filter_map(|column| find(column.name));
        return Ok(columns.map(|column| (column, usual)).collect());
    }
    let gate = |gate: &String| {
        let (name, own) = match gate.split_once('=') {
            Some((name, own)) => (name.trim(), Some(own)),
            None => (gate.as_str(), None),
        };
        let column = find(name).ok_or_else(|| DiffError::UnknownMetric {
            name: name.to_owned(),
            known: numeric.iter().map(|column| column.name).collect(),
        })?;
        let own = own.map(|text| Tolerance::of(column, text)).transpose()?;
        Ok((column, own.unwrap_or(usual)))
    };
    gates.iter().map(gate).collect()
}

/// Keys of the spec that changed.
fn spec_changes(base: &PointsReader, new: &PointsReader) -> Vec<String> {
    let specs = base.metadata(keys::SPEC).zip(new.metadata(keys::SPEC));
    specs.map_or_else(Vec::new, |(base, new)| changed_keys(base, new))
}

/// Differences of version, catalogue and spec, in words.
fn likely_causes(base: &PointsReader, new: &PointsReader, names_spec: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (key, what) in [
        (keys::VERSION, "program version"),
        (keys::BUILD, "build of the program"),
        (keys::CATALOG_HASH, "catalogue"),
        (keys::SPEC_HASH, "spec"),
    ] {
        // Its changed keys say more than its hash.
        if key == keys::SPEC_HASH && !names_spec {
            continue;
        }
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
