//! The result row, the column table, and Parquet out and in.
//!
//! A record is one grid point and how it ended. [`columns`] reads every cell from it; nothing else
//! knows the names, types or order of the columns.

pub mod batch;
pub mod column;
pub mod columns;
mod counts;
pub mod merge;
pub mod metrics;
mod point;
pub mod provenance;
pub mod read;
mod read_error;
mod rows;
pub mod write;

pub use batch::{points_batch, points_schema, table_batch, table_schema};
pub use column::{Cell, Column, ColumnGroup, Read};
pub use counts::Counts;
pub use merge::{MergeError, merge_points};
pub use metrics::{Bandwidths, Bottleneck, StepMetrics};
pub use point::{PointEnd, PointStatus, Record};
pub use provenance::{Difference, Provenance, SCHEMA_VERSION, difference, short_hash};
pub use read::{PointsReader, batches};
pub use read_error::{ReadError, ReadFault};
pub use rows::{MemberColumn, NumberColumn, PointColumn, Rows, TextColumn};
pub use write::{TableWriter, WriteError, write_atomically};

#[cfg(test)]
mod tests;
