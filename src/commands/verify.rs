//! A run held against what was written of it: hashes of its files, and rows of its plan.

use std::path::Path;

use itertools::Itertools;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::catalog::Catalog;
use crate::commands::failure::Failure;
use crate::commands::points::points;
use crate::commands::run_source::RunSource;
use crate::document::Document;
use crate::record::provenance::keys;
use crate::record::{Column, Counts, PointsReader, Read, ReadError, Rows, columns, point_table};
use crate::report::text::Text;
use crate::runner::folder::names;
use crate::runner::verify::{CheckedFile, Written, check_parts};
use crate::runner::{RunFolder, is_made_of_parts, recorded};
use crate::spec::{Axis, ColumnType, GridPoint, Spec};

/// A run that was checked.
#[derive(Clone, Debug)]
pub struct Verification {
    folder: String,
    files: Vec<CheckedFile>,
    rows: CheckedRows,
    /// Why the run is not whole, though nothing is wrong with what is there.
    unfinished: Option<String>,
}

/// Rows of a run, held against its plan.
#[derive(Clone, Debug)]
enum CheckedRows {
    /// There is no table yet.
    None,
    /// So many, one for each point of the plan.
    Planned(u64),
    /// So many; the plan is that of another catalogue.
    Read(u64),
    /// Faults of the points.
    Wrong(String),
}

/// Checks a run folder: every file that its manifest names, every part, and every row of its table.
///
/// # Errors
/// If it is no folder, or its parts cannot be listed.
pub fn verify(path: &Path) -> Result<Verification, Failure> {
    if !path.is_dir() {
        return Err(Failure::io(format!(
            "`{}` is no folder; name one that `sweep run` wrote",
            path.display()
        )));
    }
    let folder = RunFolder::existing(path);
    let parts = check_parts(&folder).map_err(Failure::io)?;
    let is_begun = !parts.is_empty();
    let (mut files, mut unfinished, mut rows) = (Vec::new(), None, CheckedRows::None);
    match Written::of(&folder) {
        Ok(written) if is_begun && written.is_complete && !folder.holds_table() => {
            unfinished = Some("its table has yet to be made of its parts".to_owned());
        }
        Ok(_) if is_made_of_parts(&folder) => {
            rows = check_rows(path, None);
            unfinished = Some("its manifest.json is older than its table".to_owned());
        }
        Ok(written) => {
            files = written.check_files(&folder);
            if folder.holds_table() {
                rows = check_rows(path, Some(&written));
            }
            if !written.is_complete {
                unfinished = Some("its manifest says interrupted".to_owned());
            } else if is_begun {
                unfinished =
                    Some("another run that replaces it, or goes on with it, was begun".to_owned());
            }
        }
        // A run under way has a folder for its parts, also before the first one.
        Err(_) if path.join(names::PARTS).is_dir() && !folder.manifest().exists() => {
            unfinished = Some("it has no manifest.json yet".to_owned());
        }
        Err(fault) => files.push(CheckedFile {
            name: "manifest.json".to_owned(),
            fault: Some(fault),
        }),
    }
    files.extend(parts);
    Ok(Verification {
        folder: path.display().to_string(),
        files,
        rows,
        unfinished,
    })
}

/// Reads all of a table, and holds its points against the plan, and what it says of itself against the manifest, if that is its own.
fn check_rows(path: &Path, written: Option<&Written>) -> CheckedRows {
    let checked = RunSource::new(path).map_err(|error| error.to_string());
    let checked = checked.and_then(|source| {
        let table = &source.points;
        let catalog = recorded(table, keys::CATALOG_HASH);
        let spec = if catalog.is_some_and(|hash| hash == Catalog::hash()) {
            source.spec().map_err(|error| error.to_string())?
        } else {
            None
        };
        let counts = match &spec {
            Some(spec) => planned_rows(table, spec),
            None => counted(table, |_| Ok(None)),
        };
        let counts = counts.map_err(|error| error.to_string())??;
        let found = [counts.ok, counts.infeasible, counts.crashed];
        let expected = written.map(|written| written.counts);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(format!(
                "{found:?} points ran, cannot run and crashed, manifest.json says {expected:?}"
            ));
        }
        if let Some(fault) = written.and_then(|written| written.other_origin(table)) {
            return Err(fault);
        }
        let rows = counts.points();
        Ok(if spec.is_some() {
            CheckedRows::Planned(rows)
        } else {
            CheckedRows::Read(rows)
        })
    });
    checked.unwrap_or_else(CheckedRows::Wrong)
}

/// Counts of a table's rows, or in words what is wrong with them.
type Counted = Result<Result<Counts, String>, ReadError>;

/// Counts the rows of a table that has one for each point of its spec, with the point's values.
///
/// # Errors
/// If it cannot be read.
fn planned_rows(table: &Path, spec: &Spec) -> Counted {
    let portion = PointsReader::open(table)?.portion();
    let mut plan = points(spec, portion);
    let inputs = varied_inputs(spec);
    // Rows that are missing say more than values of others.
    let mut other_value = None;
    let counts = counted(table, |rows| {
        let found: Vec<Vec<Option<String>>> = inputs
            .iter()
            .map(|(_, column)| rows.words(column))
            .try_collect()?;
        let numbers = rows.points()?;
        let fault = |row| {
            let (point, planned) = (numbers.get(row), plan.next());
            let Some(planned) = planned else {
                return Some(format!("point {point} is none of the plan's"));
            };
            if planned.index != point {
                return Some(format!(
                    "the row of point {point} stands where the plan has point {}",
                    planned.index
                ));
            }
            let mut values = inputs.iter().zip(&found);
            other_value = other_value.take().or_else(|| {
                values.find_map(|((axis, _), found)| {
                    let (found, planned) = (&found[row], input(&planned, *axis));
                    let told = |value: Option<&str>| value.unwrap_or("null").to_owned();
                    (*found != planned).then(|| {
                        let [found, planned] = [found, &planned].map(|it| told(it.as_deref()));
                        format!("point {point} has {axis} {found}, the plan {planned}")
                    })
                })
            });
            None
        };
        Ok((0..rows.len()).find_map(fault))
    })?;
    Ok(match (counts, plan.next(), other_value) {
        (Ok(_), Some(point), _) => Err(format!("point {} of the plan has no row", point.index)),
        (Ok(_), None, Some(fault)) => Err(fault),
        (counts, ..) => counts,
    })
}

/// The axes that vary over a spec's points and have a column of inputs.
fn varied_inputs(spec: &Spec) -> Vec<(Axis, Column)> {
    let columns = point_table(spec.kind, &[]);
    let of_axis = |axis| {
        let mut columns = columns.iter().copied();
        let column = columns.find(|column| matches!(column.read, Read::Axis(of) if of == axis));
        column.map(|column| (axis, column))
    };
    spec.plan()
        .varied()
        .into_iter()
        .filter_map(of_axis)
        .collect()
}

/// The value that a point's row has in the column of an axis, in words; null where the axis is `auto`.
fn input(point: &GridPoint, axis: Axis) -> Option<String> {
    match axis.info().domain.column_type() {
        ColumnType::Text => point.text(axis).map(str::to_owned),
        ColumnType::Int | ColumnType::Real => point.number(axis).map(|number| number.to_string()),
        ColumnType::Bool => point.value(axis)?.as_bool().map(|on| on.to_string()),
    }
}

/// Reads every column of a table and counts its rows; `look` is given some rows at a time, and says what is wrong with them.
fn counted(
    table: &Path,
    mut look: impl FnMut(&Rows) -> Result<Option<String>, ReadError>,
) -> Counted {
    let reader = PointsReader::open(table)?;
    let mut wanted = point_table(reader.kind(), &[]);
    wanted.extend(reader.metrics());
    let mut counts = Counts::default();
    for rows in reader.rows(&wanted)? {
        let rows = rows?;
        if let Some(fault) = look(&rows)? {
            return Ok(Err(fault));
        }
        let (statuses, kinds) = (
            rows.members(&columns::STATUS)?,
            rows.members(&columns::REASON_KIND)?,
        );
        for row in 0..rows.len() {
            counts.add(rows.status(&statuses, row)?, kinds.get(row));
        }
    }
    Ok(Ok(counts))
}

impl Verification {
    /// Whether a file or a row is not what was written.
    pub fn is_damaged(&self) -> bool {
        matches!(self.rows, CheckedRows::Wrong(_))
            || self.files.iter().any(|file| file.fault.is_some())
    }

    /// Whether the run is sound so far, but not whole.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// A line for each fault, then the verdict.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        for file in &self.files {
            if let Some(fault) = &file.fault {
                writeln!(text, "{}: {fault}", file.name);
            }
        }
        let (files, folder) = (self.files.len(), &self.folder);
        let rows = match &self.rows {
            CheckedRows::None => "no table of points yet".to_owned(),
            CheckedRows::Planned(rows) => format!("{rows} rows, one for each point of the plan"),
            CheckedRows::Read(rows) => {
                format!("{rows} rows, not held against the plan, which is of another catalogue")
            }
            CheckedRows::Wrong(fault) => {
                writeln!(text, "points.parquet: {fault}");
                "rows that are not those of the plan".to_owned()
            }
        };
        if self.is_damaged() {
            writeln!(
                text,
                "{folder} is damaged; sweep run --resume simulates again what is missing"
            );
        } else if let Some(why) = &self.unfinished {
            writeln!(
                text,
                "{folder} is sound so far, and not whole: {why}; {files} files, {rows}"
            );
        } else {
            writeln!(text, "{folder} is sound: {files} files, {rows}");
        }
        text.finish()
    }

    /// The same for programs, `clustersweep.verify/1`.
    pub fn json(&self) -> Value {
        let (rows, fault) = match &self.rows {
            CheckedRows::None => (None, None),
            CheckedRows::Planned(rows) | CheckedRows::Read(rows) => (Some(rows), None),
            CheckedRows::Wrong(fault) => (None, Some(fault)),
        };
        let files = self.files.iter();
        Document::Verify.of(&VerifyDocument {
            folder: &self.folder,
            damaged: self.is_damaged(),
            unfinished: self.unfinished.as_deref(),
            files: files
                .map(|file| FileState {
                    file: &file.name,
                    fault: file.fault.as_deref(),
                })
                .collect(),
            rows: rows.copied(),
            rows_fault: fault.map(String::as_str),
            held_against_plan: matches!(self.rows, CheckedRows::Planned(_)),
        })
    }
}

/// State of a run.
#[derive(JsonSchema, Serialize)]
pub(crate) struct VerifyDocument<'a> {
    folder: &'a str,
    /// Whether a file or a row is not what was written.
    damaged: bool,
    /// Why the run is not whole; null of a whole one.
    unfinished: Option<&'a str>,
    /// Files that the manifest names, and parts.
    files: Vec<FileState<'a>>,
    /// Rows of the table; null where it cannot be read.
    rows: Option<u64>,
    /// Fault of the rows.
    rows_fault: Option<&'a str>,
    /// Whether every row was held against the plan; not where the plan is of another catalogue.
    held_against_plan: bool,
}

/// A file that was held against its hash.
#[derive(JsonSchema, Serialize)]
struct FileState<'a> {
    file: &'a str,
    /// Its fault; null of a sound one.
    fault: Option<&'a str>,
}
