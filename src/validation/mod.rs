//! Measured cases, and how far the simulator is from them.
//!
//! A file of cases is a CSV whose header tells what was measured ([`CaseKind`]). Each row becomes a [`Case`]: what
//! to simulate, or why that is not possible. [`ErrorSummary`] says by group how far predictions lie off.

pub mod case;
pub mod errors;
pub mod series;
pub mod table;

pub use case::{
    Case, CaseGroups, CaseResult, CaseStatus, Figure, Judged, MemoryMeasure, Score, SeriesPlace,
    Subject,
};
pub use errors::{ErrorSummary, GroupErrors};
pub use series::{Ranking, ScalingErrors};
pub use table::{CaseKind, MeasuredTable, Row, TableFault, TableFaults};
