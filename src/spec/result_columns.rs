//! Columns of the results, as far as a spec can name them: in its metrics and charts.
//!
//! Rooms above declare the columns; [`Spec::load`](crate::spec::Spec::load), which stands there, hands their names down.

use crate::spec::axis::{ColumnType, StudyKind};

/// Column of `points.parquet`, an axis among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResultColumn {
    /// Name.
    pub name: &'static str,
    /// Type of its values.
    pub column_type: ColumnType,
}

/// Columns that every run writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResultColumns {
    /// Columns of the points of a study, in the order of the file.
    pub points: fn(StudyKind) -> Vec<ResultColumn>,
    /// Names of the columns of `scaling.parquet`.
    pub scaling: fn() -> Vec<&'static str>,
}
