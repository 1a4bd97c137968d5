//! Parts to `points.parquet`.

use crate::record::{Provenance, TableWriter, merge_points, points_schema};
use crate::runner::{RunError, RunFolder};

/// Joins the parts by rising point, a few thousand rows in memory at a time. Of a point that was tried
/// again the later row counts.
pub(super) fn points(folder: &RunFolder, provenance: &Provenance) -> Result<(), RunError> {
    let schema = points_schema(provenance);
    let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
    merge_points(&folder.part_files()?, &schema, &mut writer, |_| {})?;
    writer.finish()?;
    Ok(())
}
