//! Files that a command writes to a path that a user names.

use std::path::Path;

use crate::commands::failure::Failure;
use crate::record;
use crate::runner::folder;

/// Writes to a path that a user named, which is no file of a run.
///
/// # Errors
/// If it is one, or the file system refuses.
pub(crate) fn write_output(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    refuse_files_of_run(path)?;
    record::write_output(path, bytes).map_err(Failure::io)
}

/// Refuses a path that is a file of a run, or lies among such files.
///
/// # Errors
/// If it is one.
pub(crate) fn refuse_files_of_run(path: &Path) -> Result<(), Failure> {
    folder::refuse_files_of_run(path).map_err(Failure::usage)
}
