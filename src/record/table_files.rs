//! Files of a table of points: one, or the parts of a dataset.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Extension of the files of a table.
pub(crate) const TABLE_SUFFIX: &str = "parquet";

/// Files of a table by rising name: the file itself, or the Parquet files in a folder.
///
/// # Errors
/// If the folder cannot be read, or holds none.
pub(crate) fn table_files(table: &Path) -> io::Result<Vec<PathBuf>> {
    if !table.is_dir() {
        return Ok(vec![table.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(table)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == TABLE_SUFFIX) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Removes a file, or the files of a dataset and their folder; what else lies there stays, and the folder with it.
///
/// # Errors
/// If the file system refuses; nothing that is missing is an error.
pub(crate) fn remove_table(table: &Path) -> io::Result<()> {
    let missing_is_fine = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if !table.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return missing_is_fine(fs::remove_file(table));
    }
    for file in table_files(table)? {
        missing_is_fine(fs::remove_file(file))?;
    }
    missing_is_fine(fs::remove_dir(table))
}
