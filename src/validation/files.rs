//! Files of measured cases: reading them, and those that ship with the program.

use crate::catalog::Catalog;

use super::case::Case;
use super::{collectives, flows, ideal, memory, steps};
use crate::measured::CaseKind;
use crate::measured::table::MeasuredTable;
use crate::measured::{TableFault, TableFaults};

/// Name and text of the files that ship with the program.
pub const SHIPPED: &[(&str, &str)] = &[
    (
        "data/validation/training.csv",
        include_str!("../../data/validation/training.csv"),
    ),
    (
        "data/validation/layouts.csv",
        include_str!("../../data/validation/layouts.csv"),
    ),
    (
        "data/validation/memory.csv",
        include_str!("../../data/validation/memory.csv"),
    ),
];

/// Reads the cases of a file; `file` is its name in messages.
///
/// # Errors
/// All faults of the file: no header that tells the kind, missing columns, cells that hold what they cannot, no
/// rows.
pub fn read_cases(file: &str, text: &str, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    if text.trim_start().starts_with('{') {
        return flows::cases(file, text);
    }
    let table = MeasuredTable::read(file, text)?;
    match table.kind {
        CaseKind::Step => steps::cases(&table, catalog),
        CaseKind::Memory => memory::cases(&table, catalog),
        CaseKind::Collective => collectives::cases(&table, catalog),
        CaseKind::IdealCollective => ideal::cases(&table, catalog),
        CaseKind::Flow => {
            let message = "flows are read from JSON with `links` and `flows`";
            Err(TableFault::new(file, 1, 1, message).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryRow;
    use super::*;
    use crate::measured::job::JobRow;
    use crate::measured::steps::StepRow;
    use crate::measured::table::Columns;
    use crate::measured::wording;

    /// Columns of a file that some row fills in words only.
    fn in_words<C: Columns>(index: usize) -> Vec<&'static str> {
        let (file, text) = SHIPPED[index];
        let table = MeasuredTable::read(file, text).expect("shipped files are tables");
        let rows = table.map_rows(|row, _: C| {
            let columns = C::columns().into_iter().map(|(column, _)| column);
            columns
                .filter(|column| row.text(column).is_empty())
                .filter(|column| !wording::cell(column, |column| row.text(column)).is_empty())
                .collect::<Vec<_>>()
        });
        rows.expect("shipped rows are sound").concat()
    }

    // `wording.csv` is for files whose columns are not ours.
    #[test]
    fn shipped_rows_state_everything_in_columns() {
        let none: [&str; 0] = [];
        assert_eq!(in_words::<(JobRow, StepRow)>(0), none);
        assert_eq!(in_words::<(JobRow, StepRow)>(1), none);
        assert_eq!(in_words::<(JobRow, MemoryRow)>(2), none);
    }
}
