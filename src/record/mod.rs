//! The result row, the column table, and Parquet out and in.
//!
//! A record is one grid point and how it ended. [`columns`] reads every cell from it; nothing else
//! knows the names, types or order of the columns.

pub(crate) mod batch;
pub(crate) mod column;
pub mod columns;
mod counts;
mod custom_columns;
mod interruptions;
mod lost_time;
pub(crate) mod merge;
pub(crate) mod metrics;
mod point;
pub mod provenance;
pub(crate) mod read;
mod read_error;
mod rows;
mod table_files;
mod whole_training;
pub(crate) mod write;

pub use batch::{points_batch, points_schema};
pub(crate) use batch::{table_batch, table_schema};
pub use column::Column;
pub(crate) use column::{Cell, ColumnGroup, ColumnWords, Read};
pub(crate) use counts::Counts;
pub(crate) use custom_columns::{metric_columns, point_table, result_columns};
pub(crate) use lost_time::Bottleneck;
pub(crate) use merge::{MergeError, merge_points, point_range};
pub(crate) use point::PointStatus;
pub use point::{PointEnd, Record};
pub use provenance::Provenance;
pub(crate) use provenance::{Difference, difference, short_hash};
pub(crate) use read::PointsReader;
pub(crate) use read_error::ReadError;
pub use rows::Rows;
pub(crate) use rows::{MemberColumn, NumberColumn, PointColumn, TextColumn};
pub(crate) use table_files::{TABLE_SUFFIX, remove_table, table_files};
pub(crate) use whole_training::{PhaseStep, phase_steps};
pub use write::TableWriter;
pub(crate) use write::{
    FileDigest, WriteError, digest, partial_path, replace, sync_folder, write_atomically,
    write_output,
};

#[cfg(test)]
mod tests;
