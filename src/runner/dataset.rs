//! A run's table as a dataset: a folder `points.parquet` of the run's parts, which readers of Parquet take for one table.

use std::fs;
use std::path::PathBuf;

use crate::record::{
    MergeError, Provenance, TableWriter, WriteError, merge_points, point_range, points_schema,
    replace, sync_folder,
};
use crate::runner::error::RunError;
use crate::runner::folder::{RunFolder, clear, link_or_copy, refused};

/// Makes the parts of a run its table, without joining them. Parts that do not follow on one another, as after points
/// that were played again, become one part.
///
/// # Errors
/// If a part cannot be read, the rows are not as many as the plan's points, or a file cannot be written.
pub(super) fn keep_parts(
    folder: &RunFolder,
    provenance: &Provenance,
    expected: u64,
) -> Result<(), RunError> {
    let (parts, points) = (folder.part_files()?, folder.points());
    let new = folder.new_dataset();
    clear(&new)?;
    fs::create_dir(&new).map_err(|source| refused("create", &new, source))?;
    let found = match rows_in_order(&parts)? {
        Some(rows) => {
            for part in &parts {
                link_or_copy(part, &new.join(part.file_name().unwrap_or_default()))?;
            }
            rows
        }
        None => joined_part(&parts, folder, provenance)?,
    };
    if found != expected {
        clear(&new)?;
        return Err(RunError::Rows {
            path: points,
            found,
            expected,
        });
    }
    let put = sync_folder(&new).and_then(|()| replace(&new, &points));
    put.map_err(|source| WriteError::new(&points, source))?;
    clear(&new)?;
    Ok(())
}

/// Rows of parts of which each begins behind the end of the one before; `None` where one does not.
fn rows_in_order(parts: &[PathBuf]) -> Result<Option<u64>, RunError> {
    let (mut rows, mut last) = (0, None);
    for part in parts {
        let Some(range) = point_range(part).map_err(MergeError::from)? else {
            return Ok(None);
        };
        if last.is_some_and(|last| range.first <= last) {
            return Ok(None);
        }
        last = Some(range.last);
        rows += range.rows;
    }
    Ok(Some(rows))
}

/// Joins parts into the one of a new dataset, and counts its rows.
fn joined_part(
    parts: &[PathBuf],
    folder: &RunFolder,
    provenance: &Provenance,
) -> Result<u64, RunError> {
    let schema = points_schema(provenance);
    let name = |digest: &str| {
        let name = RunFolder::part_name(0, digest);
        folder.new_dataset().join(name)
    };
    let mut writer = TableWriter::create(&folder.new_dataset_part(), &schema, provenance)?;
    let mut found = 0;
    merge_points(parts, provenance, &schema, &mut writer, |_| found += 1)?;
    writer.finish_by_digest(name)?;
    Ok(found)
}
