//! A CSV file of measured cases: its header, its rows, and what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord};

use crate::closed_set::UnknownName;

/// What a file of cases measures; its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseKind {
    /// Training steps: `measured_step_time_s`.
    Step,
    /// Peaks of memory: `measured_gib`.
    Memory,
    /// Collectives of nccl-tests: `busbw_GBps`.
    Collective,
    /// Collectives of another simulator on ideal links: `predicted_network_ns`.
    IdealCollective,
    /// Arrivals of concurrent flows on given links: JSON, no header.
    Flow,
}

impl CaseKind {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [
        Self::Step,
        Self::Memory,
        Self::Collective,
        Self::IdealCollective,
        Self::Flow,
    ];

    /// Every kind of CSV file with the column that gives it away.
    pub const MARKS: [(Self, &'static str); 4] = [
        (Self::Step, "measured_step_time_s"),
        (Self::Memory, "measured_gib"),
        (Self::Collective, "busbw_GBps"),
        (Self::IdealCollective, "predicted_network_ns"),
    ];
}

/// One fault of a file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFault {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Field within the line, from 1.
    pub field: usize,
    /// What is wrong, and the way out.
    pub message: String,
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.field, self.message
        )
    }
}

/// All faults of a file; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_lines(.0))]
pub struct TableFaults(pub Vec<TableFault>);

/// Faults that are shown; a file that is wrong in one column is wrong in every row.
const SHOWN: usize = 20;

fn in_lines(faults: &[TableFault]) -> String {
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// A file of cases, its fields still text.
#[derive(Clone, Debug)]
pub struct MeasuredTable {
    /// The file as it was named.
    pub file: String,
    /// What it measures.
    pub kind: CaseKind,
    columns: BTreeMap<String, usize>,
    rows: Vec<(u64, StringRecord)>,
}

impl MeasuredTable {
    /// Reads the header and the rows of a file.
    ///
    /// # Errors
    /// When the text is no CSV, the header lacks a column that tells the kind or names one twice, a row has
    /// more or fewer fields than the header, or there is no row.
    pub fn read(file: &str, text: &str) -> Result<Self, TableFaults> {
        let fault = |line, field, message| TableFault {
            file: file.to_owned(),
            line,
            field,
            message,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let header = match records.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(TableFaults(vec![fault(1, 1, error.to_string())])),
            None => {
                let message = "the file is empty; expected a header and at least one row";
                return Err(TableFaults(vec![fault(1, 1, message.to_owned())]));
            }
        };
        let (kind, columns, mut faults) = read_header(file, &header);
        let mut rows = Vec::new();
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, csv::Position::line);
                    faults.push(fault(line, 1, error.to_string()));
                    break;
                }
            };
            let line = record.position().map_or(1, csv::Position::line);
            if record.len() != header.len() {
                let message = format!(
                    "{} fields where the header has {}",
                    record.len(),
                    header.len()
                );
                faults.push(fault(line, record.len().min(header.len()) + 1, message));
            }
            rows.push((line, record));
        }
        if rows.is_empty() && faults.is_empty() {
            let message = "no rows below the header; a file of cases has at least one";
            faults.push(fault(2, 1, message.to_owned()));
        }
        match kind {
            Some(kind) if faults.is_empty() => Ok(Self {
                file: file.to_owned(),
                kind,
                columns,
                rows,
            }),
            Some(_) | None => Err(TableFaults(faults)),
        }
    }

    /// Turns every row into a `T`, gathering the faults of all rows.
    ///
    /// # Errors
    /// When a `required` column is missing, or reading a row noted a fault.
    pub fn map_rows<T>(
        &self,
        required: &[&str],
        mut read: impl FnMut(&mut Row<'_>) -> T,
    ) -> Result<Vec<T>, TableFaults> {
        let mut faults: Vec<_> = required
            .iter()
            .filter(|column| !self.columns.contains_key(**column))
            .map(|column| TableFault {
                file: self.file.clone(),
                line: 1,
                field: self.columns.len() + 1,
                message: format!("column `{column}` is missing"),
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
            values.push(read(&mut row));
        }
        if faults.is_empty() {
            Ok(values)
        } else {
            Err(TableFaults(faults))
        }
    }
}

/// What the header measures, its columns by name, and its faults.
fn read_header(
    file: &str,
    header: &StringRecord,
) -> (Option<CaseKind>, BTreeMap<String, usize>, Vec<TableFault>) {
    let fault = |field, message| TableFault {
        file: file.to_owned(),
        line: 1,
        field,
        message,
    };
    let mut faults = Vec::new();
    let mut columns = BTreeMap::new();
    for (index, name) in header.iter().enumerate() {
        if columns.insert(name.trim().to_owned(), index).is_some() {
            faults.push(fault(index + 1, format!("column `{name}` is there twice")));
        }
    }
    let kind = CaseKind::MARKS
        .into_iter()
        .find(|(_, mark)| columns.contains_key(*mark))
        .map(|(kind, _)| kind);
    if kind.is_none() {
        let marks = CaseKind::MARKS.map(|(_, mark)| mark).join("`, `");
        let message = format!("no column tells what was measured; expected one of `{marks}`");
        faults.push(fault(1, message));
    }
    (kind, columns, faults)
}

/// One row while it is read. A getter gives `None` for an empty or absent cell, and notes a fault for one that
/// cannot be what it should be.
#[derive(Debug)]
pub struct Row<'a> {
    table: &'a MeasuredTable,
    /// Line of the file, from 1.
    pub line: u64,
    record: &'a StringRecord,
    faults: &'a mut Vec<TableFault>,
}

impl<'a> Row<'a> {
    /// The text of a cell.
    pub fn text(&self, column: &str) -> Option<&'a str> {
        let index = *self.table.columns.get(column)?;
        let cell = self.record.get(index)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    /// The text of a cell that must be there.
    pub fn required_text(&mut self, column: &str) -> &'a str {
        self.text(column).unwrap_or_else(|| {
            self.fault(column, "is empty; this column has to be filled");
            ""
        })
    }

    /// A finite number ≥ 0.
    pub fn number(&mut self, column: &str) -> Option<f64> {
        let text = self.text(column)?;
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Some(value),
            Ok(_) => {
                self.fault(column, &format!("`{text}` has to be finite and at least 0"));
                None
            }
            Err(_) => {
                self.fault(column, &format!("`{text}` is no number"));
                None
            }
        }
    }

    /// A number above 0 that must be there: a measured time or size.
    pub fn measured(&mut self, column: &str) -> f64 {
        let before = self.faults.len();
        match self.number(column) {
            Some(value) if value > 0.0 => value,
            Some(value) => {
                self.fault(column, &format!("`{value}` has to be above 0"));
                1.0
            }
            None => {
                if self.faults.len() == before {
                    self.required_text(column);
                }
                1.0
            }
        }
    }

    /// A whole number from 1 to 16,777,216: no run has more of anything that is counted.
    pub fn count(&mut self, column: &str) -> Option<u32> {
        const MOST: u32 = 1 << 24;
        let value = self.number(column)?;
        if value < 1.0 || value > f64::from(MOST) || value.fract() != 0.0 {
            let text = self.text(column).unwrap_or_default();
            self.fault(
                column,
                &format!("`{text}` has to be a whole number from 1 to {MOST}"),
            );
            return None;
        }
        Some(value as u32)
    }

    /// `yes` or `no`.
    pub fn answer(&mut self, column: &str) -> Option<bool> {
        match self.text(column)? {
            "yes" => Some(true),
            "no" => Some(false),
            other => {
                self.fault(column, &format!("`{other}` has to be yes or no"));
                None
            }
        }
    }

    /// A whole number that must be there.
    pub fn required_count(&mut self, column: &str) -> u32 {
        let before = self.faults.len();
        self.count(column).unwrap_or_else(|| {
            if self.faults.len() == before {
                self.required_text(column);
            }
            1
        })
    }

    /// A name of a closed set.
    pub fn parsed<T: FromStr<Err = UnknownName>>(&mut self, column: &str) -> Option<T> {
        match self.text(column)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(column, &error.to_string());
                None
            }
        }
    }

    /// Notes a fault of a cell; the message follows the column's name.
    pub fn fault(&mut self, column: &str, message: &str) {
        self.faults.push(TableFault {
            file: self.table.file.clone(),
            line: self.line,
            field: self.table.columns.get(column).map_or(1, |index| index + 1),
            message: format!("column `{column}`: {message}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_counts(text: &str) -> Result<Vec<(f64, Option<u32>)>, TableFaults> {
        MeasuredTable::read("cases.csv", text)?
            .map_rows(&["id", "measured_step_time_s", "gpus"], |row| {
                (row.measured("measured_step_time_s"), row.count("gpus"))
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
    fn a_file_without_rows_or_without_a_measured_column_is_refused() {
        for text in [
            "",
            "id,measured_step_time_s,gpus\n",
            "id,gpus\na,8\n",
            "id,measured_step_time_s\na,1\n",
            "id,measured_step_time_s,gpus\na,1\n",
            "id,id,measured_step_time_s,gpus\na,a,1,8\n",
        ] {
            assert!(read_counts(text).is_err(), "{text:?} has a fault");
        }
    }
}
