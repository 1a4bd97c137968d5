//! Rows of measured training steps.

use itertools::Itertools as _;

use crate::catalog::Catalog;
use crate::simulation::Scenario;

use super::case::{Case, SeriesPlace, Subject};
use crate::measured::CaseKind;
use crate::measured::TableFaults;
use crate::measured::job::JobRow;
use crate::measured::steps::StepRow;
use crate::measured::table::{MeasuredTable, Row};

/// Reads the cases of a file of training steps.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(|row, (job, step): (JobRow, StepRow)| {
        let subject = job.scenarios(catalog).map(|points| {
            let points = points.into_iter();
            Subject::Time(
                points
                    .map(|(weight, point)| (weight, Scenario::Training(Box::new(point))))
                    .collect(),
            )
        });
        let mut case = Case::of_job(&job, CaseKind::Step, subject);
        if let Some(family) = job.family {
            case.groups.family = family;
        }
        case.measured = Some(step.measured_step_time_s.0);
        case.series = step.scaling_series.map(|series| SeriesPlace {
            series,
            scaling: step.scaling.and_then(|name| name.parse().ok()),
        });
        case.contest = contest(row);
        case
    })
}

/// Columns in which alternative layouts of one job agree.
const CONTEST: [&str; 9] = [
    "source",
    "gpu",
    "gpus",
    "model",
    "layers",
    "hidden",
    "seq_len",
    "precision",
    "global_batch",
];

/// Key of the alternative layouts that a row competes with.
fn contest(row: &Row<'_>) -> String {
    let cells = CONTEST.iter().map(|column| row.text(column));
    cells
        .map(|cell| if cell.is_empty() { "-" } else { cell })
        .join(" · ")
}
