//! Records to Arrow.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, RecordBatch, StringDictionaryBuilder, UInt64Builder,
};
use arrow::datatypes::{Int32Type, Schema, SchemaRef};

use crate::record::column::{Cell, Column};
use crate::record::{Provenance, Record, columns};
use crate::spec::{ColumnType, StudyKind};

/// Arrow schema of a study's points; the provenance stands in its metadata.
pub fn points_schema(provenance: &Provenance) -> SchemaRef {
    let fields: Vec<_> = columns::table(provenance.study)
        .iter()
        .map(Column::field)
        .collect();
    let metadata = provenance
        .pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<std::collections::HashMap<_, _>>();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// One record batch with a row per record.
///
/// # Panics
/// If `schema` is not that of the study's points.
pub fn points_batch(kind: StudyKind, schema: &SchemaRef, records: &[Record]) -> RecordBatch {
    let arrays = columns::table(kind)
        .iter()
        .map(|column| array(column, records))
        .collect();
    RecordBatch::try_new(Arc::clone(schema), arrays)
        .expect("the schema is made of the same columns")
}

fn array(column: &Column, records: &[Record]) -> ArrayRef {
    match column.read.column_type() {
        ColumnType::Int => {
            let mut builder = UInt64Builder::with_capacity(records.len());
            for record in records {
                match column.read.cell(record) {
                    Cell::U64(value) => builder.append_option(value),
                    other => mismatch(column, &other),
                }
            }
            Arc::new(builder.finish())
        }
        ColumnType::Real => {
            let mut builder = Float64Builder::with_capacity(records.len());
            for record in records {
                match column.read.cell(record) {
                    Cell::F64(value) => builder.append_option(value),
                    other => mismatch(column, &other),
                }
            }
            Arc::new(builder.finish())
        }
        ColumnType::Bool => {
            let mut builder = BooleanBuilder::with_capacity(records.len());
            for record in records {
                match column.read.cell(record) {
                    Cell::Bool(value) => builder.append_option(value),
                    other => mismatch(column, &other),
                }
            }
            Arc::new(builder.finish())
        }
        ColumnType::Text => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            for record in records {
                match column.read.cell(record) {
                    Cell::Text(value) => builder.append_option(value),
                    other => mismatch(column, &other),
                }
            }
            Arc::new(builder.finish())
        }
    }
}

fn mismatch(column: &Column, cell: &Cell<'_>) {
    unreachable!("column `{}` read {cell:?}, against its type", column.name)
}
