//! Faults of a file of cases, with their places.

use std::fmt;

/// One fault of a file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFault {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Field within the line, from 1.
    pub field: usize,
    /// Message: the value, the limit and the way out.
    pub message: String,
}

impl TableFault {
    pub(super) fn new(file: &str, line: u64, field: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            field,
            message: message.into(),
        }
    }
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

impl TableFaults {
    /// The value, unless there are faults.
    pub(super) fn none_or<T>(faults: Vec<TableFault>, value: T) -> Result<T, Self> {
        if faults.is_empty() {
            Ok(value)
        } else {
            Err(Self(faults))
        }
    }
}

impl From<TableFault> for TableFaults {
    fn from(fault: TableFault) -> Self {
        Self(vec![fault])
    }
}

/// Number of faults shown; a file that is wrong in one column is wrong in every row.
const SHOWN: usize = 20;

fn in_lines(faults: &[TableFault]) -> String {
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}
