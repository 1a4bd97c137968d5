//! CSV files of measured cases, and the structs that their rows are read into.
//!
//! Serde's derive is not used here: it stops at the first fault of a row, and `csv` forgets the column of a fault that
//! a value's own reader found.

use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord};

use super::cells::Cell;
use super::fault::{TableFault, TableFaults};
use super::kinds::CaseKind;
use super::wording;

/// A file of cases, its cells still text.
#[derive(Clone, Debug)]
pub(crate) struct MeasuredTable {
    /// Name of the file.
    pub(crate) file: String,
    /// Kind of measurement.
    pub(crate) kind: CaseKind,
    columns: BTreeMap<String, usize>,
    rows: Vec<(u64, StringRecord)>,
}

impl MeasuredTable {
    /// Reads the header and the rows of a file.
    ///
    /// # Errors
    /// When the text is no CSV, the header lacks a column that tells the kind or names one twice, a row has
    /// more or fewer fields than the header, or there is no row.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, TableFaults> {
        let fault = |line, field, message: &str| TableFault::new(file, line, field, message);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let header = records
            .next()
            .ok_or_else(|| {
                let message = "the file is empty; expected a header and at least one row";
                fault(1, 1, message)
            })?
            .map_err(|error| fault(1, 1, &error.to_string()))?;
        let (columns, mut faults) = read_header(file, &header);
        let kind = kind_of(file, &columns)?;
        let mut rows = Vec::new();
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, csv::Position::line);
                    faults.push(fault(line, 1, &error.to_string()));
                    break;
                }
            };
            let line = record.position().map_or(1, csv::Position::line);
            let (fields, wanted) = (record.len(), header.len());
            if fields != wanted {
                let message = format!("{fields} fields where the header has {wanted}");
                faults.push(fault(line, fields.min(wanted) + 1, &message));
            }
            rows.push((line, record));
        }
        if rows.is_empty() && faults.is_empty() {
            let message = "no rows below the header; a file of cases has at least one";
            faults.push(fault(2, 1, message));
        }
        TableFaults::none_or(
            faults,
            Self {
                file: file.to_owned(),
                kind,
                columns,
                rows,
            },
        )
    }

    /// Reads every row into the typed columns `C` and turns it into a `T`, gathering the faults of all rows.
    ///
    /// # Errors
    /// When a required column is missing, or a cell holds what it cannot.
    pub(crate) fn map_rows<C: Columns, T>(
        &self,
        mut read: impl FnMut(&mut Row<'_>, C) -> T,
    ) -> Result<Vec<T>, TableFaults> {
        let mut faults: Vec<_> = C::columns()
            .into_iter()
            .filter(|(column, required)| *required && !self.columns.contains_key(*column))
            .map(|(column, _)| {
                let message = format!("column `{column}` is missing");
                TableFault::new(&self.file, 1, self.columns.len() + 1, message)
            })
            .collect();
        if !faults.is_empty() {
            return Err(TableFaults(faults));
        }
        let mut values = Vec::with_capacity(self.rows.len());
        for (line, record) in &self.rows {
            let mut row = Row {
                table: self,
                line: *line,
                record,
                faults: &mut faults,
            };
            if let Some(columns) = C::read(&mut row) {
                values.push(read(&mut row, columns));
            }
        }
        faults.sort_by_key(|fault| (fault.line, fault.field));
        TableFaults::none_or(faults, values)
    }
}

/// Columns of a header by name, and its faults.
fn read_header(file: &str, header: &StringRecord) -> (BTreeMap<String, usize>, Vec<TableFault>) {
    let mut faults = Vec::new();
    let mut columns = BTreeMap::new();
    for (index, name) in header.iter().enumerate() {
        if columns.insert(name.trim().to_owned(), index).is_some() {
            let message = format!("column `{name}` is there twice");
            faults.push(TableFault::new(file, 1, index + 1, message));
        }
    }
    (columns, faults)
}

/// Kind of measurement that a header tells.
fn kind_of(file: &str, columns: &BTreeMap<String, usize>) -> Result<CaseKind, TableFault> {
    let mut kinds = CaseKind::ALL.iter();
    let kind = kinds.find(|kind| columns.contains_key(kind.as_str()));
    kind.copied().ok_or_else(|| {
        let marks = CaseKind::NAMES.join("`, `");
        let message = format!("no column tells what was measured; expected one of `{marks}`");
        TableFault::new(file, 1, 1, message)
    })
}

/// One row while it is read.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    table: &'a MeasuredTable,
    line: u64,
    record: &'a StringRecord,
    faults: &'a mut Vec<TableFault>,
}

impl<'a> Row<'a> {
    /// Fault of a cell that a column must fill.
    pub(crate) const EMPTY: &'static str = "is empty; this column has to be filled";

    /// Line of the row in its file, from 1.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// The text of a cell, in the words of its source; empty where the column is absent.
    pub(crate) fn text(&self, column: &str) -> &'a str {
        let index = self.table.columns.get(column);
        index
            .and_then(|index| self.record.get(*index))
            .unwrap_or_default()
            .trim()
    }

    /// The value of a cell; `None` where it cannot be what it should be, which is noted as a fault.
    pub(crate) fn cell<T: Cell>(&mut self, column: &str) -> Option<T> {
        let text = wording::cell(column, |column| self.text(column));
        let value = if T::REQUIRED && text.is_empty() {
            Err(Self::EMPTY.to_owned())
        } else {
            T::read(text)
        };
        value.map_err(|fault| self.fault(column, &fault)).ok()
    }

    /// Notes a fault of a cell; the message follows the column's name.
    pub(crate) fn fault(&mut self, column: &str, message: &str) {
        let field = self.table.columns.get(column).map_or(1, |index| index + 1);
        let message = format!("column `{column}`: {message}");
        let fault = TableFault::new(&self.table.file, self.line, field, message);
        self.faults.push(fault);
    }
}

/// A struct that a row is read into.
pub(crate) trait Columns: Sized {
    /// Name of each column, and true where a file has to have it.
    fn columns() -> Vec<(&'static str, bool)>;

    /// The values of a row; `None` where a cell is at fault, which the row has noted.
    fn read(row: &mut Row<'_>) -> Option<Self>;
}

impl<A: Columns, B: Columns> Columns for (A, B) {
    fn columns() -> Vec<(&'static str, bool)> {
        [A::columns(), B::columns()].concat()
    }

    fn read(row: &mut Row<'_>) -> Option<Self> {
        let (a, b) = (A::read(row), B::read(row));
        a.zip(b)
    }
}

/// Declares a struct once, each field named as its column; a column whose type is no `Option` is required.
macro_rules! columns {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $( $column:ident: $value:ty ),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name { $( $vis $column: $value ),+ }

        impl $crate::measured::table::Columns for $name {
            fn columns() -> Vec<(&'static str, bool)> {
                use $crate::measured::cells::Cell;
                vec![ $( (stringify!($column), <$value as Cell>::REQUIRED) ),+ ]
            }

            fn read(row: &mut $crate::measured::table::Row<'_>) -> Option<Self> {
                $( let $column = row.cell(stringify!($column)); )+
                Some(Self { $( $column: $column? ),+ })
            }
        }
    };
}
pub(crate) use columns;

#[cfg(test)]
mod tests {
    use super::super::cells::Positive;
    use super::*;

    columns! {
        struct Counts { id: String, measured_step_time_s: Positive, gpus: Option<u32> }
    }

    fn read_counts(text: &str) -> Result<Vec<(f64, Option<u32>)>, TableFaults> {
        MeasuredTable::read("cases.csv", text)?.map_rows(|_, row: Counts| {
            assert!(!row.id.is_empty(), "a required column is filled");
            (row.measured_step_time_s.0, row.gpus)
        })
    }

    #[test]
    fn extra_columns_are_ignored_and_empty_cells_are_unknown() {
        // The third column is nobody's; the second row leaves `gpus` open.
        let text = "id,measured_step_time_s,colour,gpus\na,1.5,red,8\nb,2,blue,\n";
        assert_eq!(read_counts(text), Ok(vec![(1.5, Some(8)), (2.0, None)]));
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_read_over() {
        let text = "\u{feff}id,measured_step_time_s,gpus\r\na,1.5,8\r\n";
        assert_eq!(read_counts(text), Ok(vec![(1.5, Some(8))]));
    }

    #[test]
    fn all_faults_are_gathered_with_line_and_field() {
        // Line 2 has text for a time (field 2), line 3 a negative time and half a GPU (fields 2 and 3).
        let text = "id,measured_step_time_s,gpus\na,fast,8\nb,-1,0.5\n";
        let faults = read_counts(text).expect_err("three cells are wrong").0;
        let places: Vec<_> = faults.iter().map(|f| (f.line, f.field)).collect();
        assert_eq!(places, [(2, 2), (3, 2), (3, 3)]);
        assert_eq!(
            faults[0].to_string(),
            "cases.csv:2:2: column `measured_step_time_s`: `fast` is no number"
        );
    }

    #[test]
    fn a_file_without_rows_or_without_a_required_column_is_refused() {
        columns! {
            struct Filled { id: String, gpus: u32 }
        }
        let read_filled = |text| {
            MeasuredTable::read("cases.csv", text)?
                .map_rows(|_, row: Filled| assert!(row.gpus > 0 || row.id.is_empty()))
        };
        for text in [
            "",
            "id,measured_step_time_s,gpus\n",
            "id,gpus\na,8\n",
            "id,measured_step_time_s\na,1\n",
            "id,measured_step_time_s,gpus\na,1\n",
            "id,measured_step_time_s,gpus\na,1,\n",
            "id,id,measured_step_time_s,gpus\na,a,1,8\n",
        ] {
            assert!(read_filled(text).is_err(), "{text:?} has a fault");
        }
    }
}
