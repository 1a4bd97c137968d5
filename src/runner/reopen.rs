//! A folder opened to go on with the run that it holds.

use crate::record::Provenance;
use crate::runner::error::RunError;
use crate::runner::finished::{Finished, Table, check_spec};
use crate::runner::folder::{RunFolder, clear};
use crate::runner::manifest::forget_files;

/// Prepares a folder to be resumed, and returns the points that an earlier run finished there.
///
/// A `points.parquet` with the digest `whole` becomes a part too. What is damaged is removed, so that its points are played again.
///
/// # Errors
/// If something else was run there, or the points cannot be read; the folder is unchanged then.
pub(crate) fn reopen(
    folder: &RunFolder,
    whole: Option<&str>,
    provenance: &Provenance,
) -> Result<Finished, RunError> {
    let finished = Finished::in_folder(folder, whole, provenance)?;
    // That of a table which the run replaces is not the run's.
    if finished.is_empty() && finished.table != Table::Replaced {
        check_spec(&folder.spec(), provenance)?;
    }
    forget_files(folder, &finished.damaged)?;
    match finished.table {
        Table::Finished => {
            folder.table_as_part(whole.unwrap_or_default())?;
            if !finished.damaged.is_empty() {
                // What is sound of a dataset are parts now.
                clear(&folder.points())?;
            }
        }
        Table::Stale => clear(&folder.points())?,
        Table::Missing | Table::Stays | Table::Replaced => {}
    }
    finished.damaged.iter().try_for_each(|path| clear(path))?;
    Ok(finished)
}
