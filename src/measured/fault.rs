//! Faults of a file of cases, with their places.

use std::fmt;

use crate::units::plural;

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
    pub(crate) fn new(file: &str, line: u64, field: usize, message: impl Into<String>) -> Self {
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
    pub(crate) fn none_or<T>(faults: Vec<TableFault>, value: T) -> Result<T, Self> {
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

/// Faults shown; the rest is counted.
const SHOWN: usize = 20;

/// Further lines of the same fault that are named; the rest is counted.
const LINES_SHOWN: usize = 3;

/// The faults in lines. A column that is wrong in every row is one fault: the first row's, with the other lines.
fn in_lines(faults: &[TableFault]) -> String {
    let mut causes: Vec<(String, &TableFault, Vec<u64>)> = Vec::new();
    for fault in faults {
        // Without the values that it quotes.
        let said: String = fault.message.split('`').step_by(2).collect();
        let known = causes
            .iter_mut()
            .find(|(other, first, _)| first.field == fault.field && *other == said);
        match known {
            Some((.., further)) => further.push(fault.line),
            None => causes.push((said, fault, Vec::new())),
        }
    }
    let mut lines: Vec<String> = causes
        .iter()
        .take(SHOWN)
        .map(|(_, first, further)| format!("{first}{}", likewise(further)))
        .collect();
    if let Some(more) = causes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// ` (likewise on lines 3, 4, 5 and 95 more)`.
fn likewise(lines: &[u64]) -> String {
    let shown: Vec<String> = lines.iter().take(LINES_SHOWN).map(u64::to_string).collect();
    let plural = plural(lines.len() as u64);
    match lines.len().saturating_sub(LINES_SHOWN) {
        0 if lines.is_empty() => String::new(),
        0 => format!(" (likewise on line{plural} {})", shown.join(", ")),
        more => format!(" (likewise on lines {} and {more} more)", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The unit is in every cell of the third column, and one cell of the fourth is wrong besides.
    #[test]
    fn a_column_that_is_wrong_in_every_row_is_one_fault() {
        let wrong = |line: u64| {
            let message = format!("column `gpus`: `{line} GPUs` is no number");
            TableFault::new("own.csv", line, 3, message)
        };
        let mut faults: Vec<TableFault> = (2..=100).map(wrong).collect();
        let other = TableFault::new("own.csv", 7, 4, "column `nodes`: `x` is no number");
        faults.insert(6, other);
        assert_eq!(
            TableFaults(faults).to_string(),
            "own.csv:2:3: column `gpus`: `2 GPUs` is no number (likewise on lines 3, 4, 5 and 95 more)\n\
             own.csv:7:4: column `nodes`: `x` is no number"
        );
        let two = TableFaults(vec![wrong(2), wrong(3)]).to_string();
        assert!(two.ends_with("(likewise on line 3)"), "{two}");
    }
}
