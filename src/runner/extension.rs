//! The rows of a finished run as the first part of one that extends it.

use std::path::Path;

use crate::record::provenance::keys;
use crate::record::{
    PointsReader, Provenance, TableWriter, WriteError, merge_points, points_schema, table_files,
};
use crate::runner::error::RunError;
use crate::runner::finished::{ResumeError, check};
use crate::runner::folder::{RunFolder, has_digest};
use crate::runner::newer::recorded;

/// Refuses a table that this program did not write for a spec, whose rows would not be those of its points.
///
/// # Errors
/// If it cannot be read, or is of another spec, program, catalogue or shard.
pub(crate) fn check_extended(table: &Path, provenance: &Provenance) -> Result<(), ResumeError> {
    check(table, &PointsReader::open(table)?, provenance)
}

/// Writes the rows of a folder's table as a part of the run that extends it, unless parts of that are there already. The
/// table has the digest `whole`, and stays until the extended one takes its place.
///
/// # Errors
/// If the table is damaged, or a file cannot be read or written.
pub(crate) fn extend(
    folder: &RunFolder,
    whole: Option<&str>,
    provenance: &Provenance,
) -> Result<(), RunError> {
    let table = folder.points();
    if let Some(part) = folder.part_files()?.first() {
        let hash = |path: &Path| recorded(path, keys::SPEC_HASH);
        if hash(part) != hash(&table) || !has_digest(&table, whole) {
            return Ok(());
        }
        // The run that wrote the table was ended while it removed what the table was made of.
        folder.remove_parts()?;
    }
    if !has_digest(&table, whole) {
        return Err(RunError::DamagedTable { path: table });
    }
    let files = table_files(&table).map_err(|source| WriteError::new(&table, source))?;
    let schema = points_schema(provenance);
    let mut writer = TableWriter::create(&folder.new_part(0), &schema, provenance)?;
    merge_points(&files, provenance, &schema, &mut writer, |_| {})?;
    writer.finish_by_digest(|digest| folder.part(0, digest))?;
    Ok(())
}
