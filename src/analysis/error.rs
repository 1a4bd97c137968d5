//! What can be wrong with result rows.

use thiserror::Error;

/// A fault of a file's rows; each names the file and the column.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum AnalysisError {
    /// The file lacks a column that the analysis reads.
    #[error("results `{file}` have no column `{column}`; run the sweep again with this version")]
    MissingColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A column holds something else than numbers, names or switches as it should.
    #[error("results `{file}`: column `{column}` holds {found}, expected {expected}")]
    WrongType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A column's unit is not the one of this version.
    #[error(
        "results `{file}`: column `{column}` is in `{found}`, expected `{expected}`; \
         convert it, or analyse the run by itself with the version that wrote it"
    )]
    WrongUnit {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The unit in the file.
        found: String,
        /// The unit of this version.
        expected: String,
    },
    /// A cell holds a value that no run can have.
    #[error("results `{file}`: column `{column}` is {value} at point {point}, expected {expected}")]
    BadValue {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The point, or the row where the point itself is unknown.
        point: u64,
        /// What stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
    /// The axis asked for by `--x` holds no numbers.
    #[error("axis `{axis}` holds no numbers, so it cannot be the size; numeric axes here: {}", numeric.join(", "))]
    NotNumeric {
        /// The axis.
        axis: String,
        /// Axes that do.
        numeric: Vec<String>,
    },
}
