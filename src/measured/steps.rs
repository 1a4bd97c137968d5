//! Rows of measured training steps.

use super::cells::Positive;
use super::table::columns;

columns! {
    /// Measured step of a job, and its place in a scaling series.
    pub(crate) struct StepRow {
        measured_step_time_s: Positive,
        scaling_series: Option<String>,
        scaling: Option<String>,
    }
}
