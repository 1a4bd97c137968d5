//! A results table of our own making, for tests and benches of what reads one.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringDictionaryBuilder,
};
use arrow::datatypes::{Int32Type, Schema};
use clustersweep::record::{Column, columns};
use clustersweep::spec::{ColumnType, StudyKind};

/// A cell of the table; null where a row has none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    Number(f64),
    Text(&'static str),
    Null,
}

/// The columns of a training study for `rows` rows; `cell` gives the value of each.
pub(crate) fn training_table(rows: usize, cell: impl Fn(&str, usize) -> Cell) -> RecordBatch {
    table(StudyKind::Training, rows, cell)
}

/// The columns of either kind of study.
pub(crate) fn table(
    kind: StudyKind,
    rows: usize,
    cell: impl Fn(&str, usize) -> Cell,
) -> RecordBatch {
    let table = columns::table(kind);
    let schema = Schema::new(table.iter().map(Column::field).collect::<Vec<_>>());
    let arrays = table
        .iter()
        .map(|column| array(column, rows, &cell))
        .collect();
    RecordBatch::try_new(Arc::new(schema), arrays).expect("the schema is made of the same columns")
}

fn array(column: &Column, rows: usize, cell: &impl Fn(&str, usize) -> Cell) -> ArrayRef {
    let number = |row| match cell(column.name, row) {
        Cell::Number(value) => Some(value),
        Cell::Text(_) | Cell::Null => None,
    };
    match column.column_type() {
        ColumnType::Int => Arc::new(
            (0..rows)
                .map(|row| number(row).map(|value| value as i64))
                .collect::<Int64Array>(),
        ),
        ColumnType::Real => Arc::new((0..rows).map(number).collect::<Float64Array>()),
        ColumnType::Bool => Arc::new(
            (0..rows)
                .map(|row| number(row).map(|value| value > 0.0))
                .collect::<BooleanArray>(),
        ),
        ColumnType::Text => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            for row in 0..rows {
                match cell(column.name, row) {
                    Cell::Text(text) => builder.append_value(text),
                    Cell::Number(_) | Cell::Null => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    }
}
