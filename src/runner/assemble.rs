//! Parts to `points.parquet`.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::record::{Provenance, TableWriter, batches, points_schema};
use crate::runner::{RunError, RunFolder};

/// Joins the parts in their order, a few thousand rows in memory at a time.
pub(super) fn points(
    folder: &RunFolder,
    parts: usize,
    provenance: &Provenance,
) -> Result<(), RunError> {
    let schema = points_schema(provenance);
    let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
    for part in 0..parts {
        for batch in batches(&folder.part(part))? {
            // Batches come without the file's metadata, which the writer's schema holds.
            let batch = RecordBatch::try_new(Arc::clone(&schema), batch?.columns().to_vec())
                .expect("this run wrote the part with the same columns");
            writer.write(&batch)?;
        }
    }
    writer.finish()?;
    Ok(())
}
