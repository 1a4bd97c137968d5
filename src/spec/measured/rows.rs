//! Measured runs of a CSV file.

use std::sync::Arc;

use super::asked::RowRun;
use crate::catalog::Catalog;
use crate::measured::job::JobRow;
use crate::measured::steps::StepRow;
use crate::measured::table::MeasuredTable;
use crate::measured::{CaseKind, Score, TableFaults};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::source::{Place, Source};
use crate::spec::syntax::{Entry, Value, find};

/// Name of a table that stands in the spec itself.
const INLINE: &str = "[measured] csv";

/// Reads the rows of a `file`, which the loader has put under `csv`; rows without a score are left out, as they are by
/// `sweep validate`.
pub(super) fn read(entries: &[Entry], catalog: &Catalog, faults: &mut Faults) -> Vec<RowRun> {
    let Some(given) = find(entries, "csv") else {
        // The loader has said why it could not read the file.
        return Vec::new();
    };
    let (name, text) = match &given.node.value {
        Value::File { name, text } => (name.clone(), text.clone()),
        Value::Text(text) => (INLINE.to_owned(), text.clone()),
        _ => {
            faults.push(given.node.mismatch("csv", "text"));
            return Vec::new();
        }
    };
    let source = Arc::new(Source { name, text });
    match rows(&source, catalog) {
        Ok(rows) => rows.into_iter().filter_map(|row| faults.ok(row)).collect(),
        Err(found) => {
            faults.extend(found.0.into_iter().map(|fault| {
                let place = line(&source, fault.line);
                Diagnostic::error(&place, fault.message)
            }));
            Vec::new()
        }
    }
}

/// The runs of a table, or why a row is none.
fn rows(
    source: &Arc<Source>,
    catalog: &Catalog,
) -> Result<Vec<Result<RowRun, Diagnostic>>, TableFaults> {
    let table = MeasuredTable::read(&source.name, &source.text)?;
    if table.kind != CaseKind::Step {
        let message = format!(
            "the table tells `{}`; runs that correct step times tell `{}`",
            table.kind,
            CaseKind::Step
        );
        return Ok(vec![Err(Diagnostic::error(&line(source, 1), message))]);
    }
    let rows = table.map_rows(|row, (job, step): (JobRow, StepRow)| {
        let counts = matches!(
            job.score.unwrap_or(Score::Value),
            Score::Value | Score::Noisy
        );
        let place = line(source, row.line());
        counts.then(|| match job.scenarios(catalog) {
            Ok(jobs) => Ok(RowRun {
                name: job.id.clone(),
                place,
                jobs,
                step_time_s: step.measured_step_time_s.0,
            }),
            Err(why) => Err(Diagnostic::error(
                &place,
                format!("run `{}`: {why}", job.id),
            )),
        })
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// A line of a text, from 1.
fn line(source: &Arc<Source>, number: u64) -> Place {
    let mut start = 0;
    for (at, text) in source.text.split_inclusive('\n').enumerate() {
        if at as u64 + 1 == number {
            return Place::new(source, start..start + text.trim_end().len());
        }
        start += text.len();
    }
    Place::new(source, start..start)
}
