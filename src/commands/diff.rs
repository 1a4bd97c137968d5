//! Two runs held against each other.

use std::path::Path;

use crate::analysis::diff::{Diff, DiffError, diff_files};
use crate::commands::failure::Failure;

/// Compares two tables of points row by row: the changes of `metrics` (step time and memory where none is named), each beyond
/// its own tolerance (`step_time_s=10ms`) or else the relative `tolerance`. With `fail_missing` points that only the base
/// holds are a regression.
///
/// # Errors
/// If a file cannot be read, they have nothing in common, or a metric or its tolerance is unknown.
pub fn diff(
    [base, new]: [&Path; 2],
    metrics: &[String],
    tolerance: f64,
    fail_missing: bool,
) -> Result<Diff, Failure> {
    let found = diff_files(base, new, metrics, tolerance).map_err(|error| match error {
        DiffError::Read(ref fault) if !fault.is_impossible_value() => Failure::io(error),
        DiffError::Read(_)
        | DiffError::Kinds { .. }
        | DiffError::NothingInCommon { .. }
        | DiffError::UnknownMetric { .. }
        | DiffError::Tolerance(_) => Failure::usage(error),
    })?;
    Ok(Diff {
        fail_missing,
        ..found
    })
}
