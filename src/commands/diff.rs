//! Two runs held against each other.

use std::path::Path;

use crate::analysis::diff::{Diff, DiffError, Gates, diff_files};
use crate::commands::failure::Failure;

/// Compares two tables of points row by row, and holds what changed against the gates.
///
/// # Errors
/// If a file cannot be read, they have nothing in common, or a metric or its tolerance is unknown.
pub fn diff(base: &Path, new: &Path, gates: Gates<'_>) -> Result<Diff, Failure> {
    diff_files(base, new, gates).map_err(|error| match error {
        DiffError::Read(ref fault) if !fault.is_impossible_value() => Failure::io(error),
        DiffError::Read(_)
        | DiffError::Kinds { .. }
        | DiffError::NothingInCommon { .. }
        | DiffError::UnknownMetric { .. }
        | DiffError::Tolerance(_) => Failure::usage(error),
    })
}
