//! Parts to `points.parquet`.

use std::fs::File;
use std::path::PathBuf;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::record::{Provenance, TableWriter, points_schema};
use crate::runner::{RunError, RunFolder};

/// Why a part could not be read again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`, which this run wrote: {source}", path.display())]
pub struct PartError {
    path: PathBuf,
    source: ParquetError,
}

/// Joins the parts in their order, a few thousand rows in memory at a time.
pub(super) fn points(
    folder: &RunFolder,
    parts: usize,
    provenance: &Provenance,
) -> Result<(), RunError> {
    let schema = points_schema(provenance);
    let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
    for part in 0..parts {
        let path = folder.part(part);
        let failed = |source: ParquetError| PartError {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(|error| failed(error.into()))?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(failed)?;
        for batch in batches {
            let batch = batch
                .and_then(|batch| batch.with_schema(schema.clone()))
                .map_err(|error| failed(error.into()))?;
            writer.write(&batch)?;
        }
    }
    writer.finish()?;
    Ok(())
}
