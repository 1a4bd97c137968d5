//! Faults of results files.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::record::column::Column;
use crate::record::provenance::SCHEMA_VERSION;
use crate::spec::ColumnType;

/// Why results could not be read: the file, and its fault.
#[derive(Debug, thiserror::Error)]
#[error("results `{}`: {fault}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// The fault.
    pub fault: ReadFault,
}

/// Fault of a results file.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// Opening it failed.
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    /// Not Parquet, or cut off.
    #[error("not a whole Parquet file: {0}")]
    NotParquet(ParquetError),
    /// Another version wrote its columns.
    #[error(
        "columns of version {0}, this program reads versions 1 to {SCHEMA_VERSION}; run the sweep again"
    )]
    SchemaVersion(String),
    /// A column is missing.
    #[error("no column `{0}`; run the sweep again with this version")]
    MissingColumn(&'static str),
    /// A column holds something else than its type.
    #[error("column `{column}` holds {found}, expected {expected}")]
    ColumnType {
        /// The column.
        column: &'static str,
        /// The Arrow type found, or a value that is none of the column's.
        found: String,
        /// Type of the column's values, in words.
        expected: &'static str,
    },
    /// A column is in another unit than this version writes.
    #[error(
        "column `{column}` is in `{found}`, expected `{expected}`; \
         convert it, or read the run with the version that wrote it"
    )]
    Unit {
        /// The column.
        column: &'static str,
        /// The unit in the file.
        found: String,
        /// The unit of this version.
        expected: &'static str,
    },
    /// A cell holds a value that no run can have.
    #[error("column `{column}` is {value} at point {point}, expected {expected}")]
    BadValue {
        /// The column.
        column: &'static str,
        /// The point, or the row where the point itself is unknown.
        point: u64,
        /// The value.
        value: String,
        /// Values that a run can have, in words.
        expected: &'static str,
    },
    /// A page of it cannot be decoded.
    #[error("damaged: {0}")]
    Damaged(ParquetError),
    /// The decoder cannot even say what is wrong with it.
    #[error("damaged: its decoding ends with `{0}`")]
    Undecodable(String),
}

impl ReadError {
    /// Whether the file can be read but holds a value that no run can have.
    pub(crate) const fn is_impossible_value(&self) -> bool {
        matches!(self.fault, ReadFault::BadValue { .. })
    }
}

impl ReadFault {
    /// The fault of a file.
    pub(super) fn of(self, path: &Path) -> ReadError {
        ReadError {
            path: path.to_owned(),
            fault: self,
        }
    }

    /// The fault of a column whose values are not of its type.
    pub(super) fn column_type(column: &Column, found: String) -> Self {
        Self::ColumnType {
            column: column.name,
            found,
            expected: match column.column_type() {
                ColumnType::Text => "text",
                ColumnType::Int => "counts",
                ColumnType::Real => "numbers",
                ColumnType::Bool => "true or false",
            },
        }
    }
}
