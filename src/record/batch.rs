//! Arrow schemas and record batches of results tables.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::record::column::{Column, TableRow};
use crate::record::custom_columns::point_table;
use crate::record::point::Record;
use crate::record::provenance::Provenance;

/// Arrow schema of a table; the provenance stands in its metadata.
pub(crate) fn table_schema<R>(columns: &[Column<R>], provenance: &Provenance) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(Column::field).collect();
    let metadata: HashMap<_, _> = provenance
        .pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// One record batch of a table.
///
/// # Panics
/// If `schema` is not that of the columns.
pub(crate) fn table_batch<R: TableRow>(
    columns: &[Column<R>],
    schema: &SchemaRef,
    rows: &[R],
) -> RecordBatch {
    let arrays = columns.iter().map(|column| column.array(rows)).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays)
        .expect("the schema is made of the same columns")
}

/// Arrow schema of a run's points; the provenance stands in its metadata.
pub fn points_schema(provenance: &Provenance) -> SchemaRef {
    let table = point_table(provenance.study, &provenance.metrics);
    table_schema(&table, provenance)
}

/// One record batch with a row per record.
///
/// # Panics
/// If `schema` is not that of the run's points.
pub fn points_batch(
    provenance: &Provenance,
    schema: &SchemaRef,
    records: &[Record],
) -> RecordBatch {
    let table = point_table(provenance.study, &provenance.metrics);
    table_batch(&table, schema, records)
}
