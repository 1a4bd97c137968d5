//! Rows of a results file, whoever wrote it.
//!
//! A file that DuckDB or pandas rewrote has the same columns in other Arrow types and another
//! order: counts become unsigned (as version 1 of this program wrote them) or floating, dictionaries plain strings, nulls NaN. Columns are found
//! by name, checked for their unit and type, and cast to the type that this program writes.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch,
};
use arrow::compute::{cast, min};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};

use crate::record::column::{Column, UNIT_KEY, data_type};
use crate::record::columns;
use crate::record::point::PointStatus;
use crate::record::read_error::{ReadError, ReadFault};
use crate::spec::ColumnType;

/// A record batch with the path of its file, for messages.
#[derive(Clone, Debug)]
pub struct Rows {
    file: Arc<Path>,
    batch: RecordBatch,
}

/// A text column: codes into a small list of names.
#[derive(Debug)]
pub(crate) struct TextColumn {
    codes: DictionaryArray<Int32Type>,
    names: Vec<Arc<str>>,
}

impl TextColumn {
    /// The names that occur.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Index of a row's name in [`TextColumn::names`]; `None` where the cell is null.
    pub(crate) fn code(&self, row: usize) -> Option<usize> {
        self.codes.key(row)
    }

    /// Name of a row.
    pub(crate) fn get(&self, row: usize) -> Option<&Arc<str>> {
        self.code(row).map(|code| &self.names[code])
    }
}

/// A text column whose names are the members of a closed set.
#[derive(Debug)]
pub(crate) struct MemberColumn<T> {
    text: TextColumn,
    members: Vec<Option<T>>,
}

impl<T: Copy> MemberColumn<T> {
    /// Member of a row; `None` where the cell is null or names none.
    pub(crate) fn get(&self, row: usize) -> Option<T> {
        self.text.code(row).and_then(|code| self.members[code])
    }
}

/// Indices of the points.
#[derive(Debug)]
pub(crate) struct PointColumn(Int64Array);

impl PointColumn {
    /// Index of a row's point; that of the row itself where it is null.
    pub(crate) fn get(&self, row: usize) -> u64 {
        if self.0.is_valid(row) {
            self.0.value(row).cast_unsigned()
        } else {
            row as u64
        }
    }
}

/// A numeric column.
#[derive(Clone, Debug)]
pub(crate) struct NumberColumn {
    column: Column,
    values: Float64Array,
}

impl NumberColumn {
    /// Number of a row; null and NaN (pandas' null) are `None`.
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        self.raw(row).filter(|value| !value.is_nan())
    }

    /// Whether a row has no number.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.values.is_null(row)
    }

    /// Number of a row as it stands, NaN included.
    fn raw(&self, row: usize) -> Option<f64> {
        self.values.is_valid(row).then(|| self.values.value(row))
    }
}

impl Rows {
    /// Rows of a file.
    pub fn new(file: impl AsRef<Path>, batch: RecordBatch) -> Self {
        Self {
            file: file.as_ref().into(),
            batch,
        }
    }

    /// The rows as they stand.
    pub(super) const fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The rows without the name of their file.
    pub(crate) fn into_batch(self) -> RecordBatch {
        self.batch
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column in the type that this program writes.
    ///
    /// # Errors
    /// If it is missing, in another unit, or holds something else.
    pub(super) fn column(&self, column: &Column) -> Result<ArrayRef, ReadError> {
        let found = checked_column(&self.batch, column);
        found.map_err(|fault| fault.of(&self.file))
    }

    /// Indices of the points.
    ///
    /// # Errors
    /// If their column is missing or holds no counts.
    pub(crate) fn points(&self) -> Result<PointColumn, ReadError> {
        let points = self.column(&columns::POINT)?;
        Ok(PointColumn(points.as_primitive::<Int64Type>().clone()))
    }

    /// A column of counts or quantities, as real numbers.
    ///
    /// # Errors
    /// If it is missing, in another unit, or holds no numbers.
    pub(crate) fn numbers(&self, column: &Column) -> Result<NumberColumn, ReadError> {
        let array = cast(&self.column(column)?, &DataType::Float64)
            .map_err(|error| ReadFault::column_type(column, error.to_string()).of(&self.file))?;
        Ok(NumberColumn {
            column: *column,
            values: array.as_primitive::<Float64Type>().clone(),
        })
    }

    /// A text column.
    ///
    /// # Errors
    /// If it is missing or holds no text.
    pub(crate) fn text(&self, column: &Column) -> Result<TextColumn, ReadError> {
        let codes = self.column(column)?.as_dictionary::<Int32Type>().clone();
        let names = codes.values().as_string::<i32>();
        let names = names.iter().map(|name| name.unwrap_or_default().into());
        Ok(TextColumn {
            names: names.collect(),
            codes,
        })
    }

    /// A text column of the names of a closed set.
    ///
    /// # Errors
    /// If it is missing or holds no text.
    pub(crate) fn members<T: FromStr>(
        &self,
        column: &Column,
    ) -> Result<MemberColumn<T>, ReadError> {
        let text = self.text(column)?;
        let members = text.names().iter().map(|name| name.parse().ok()).collect();
        Ok(MemberColumn { text, members })
    }

    /// A column of switches.
    ///
    /// # Errors
    /// If it is missing or holds something else.
    pub(crate) fn switches(&self, column: &Column) -> Result<BooleanArray, ReadError> {
        Ok(self.column(column)?.as_boolean().clone())
    }

    /// The values of a column in words; those of an axis are null where it is `auto`.
    ///
    /// # Errors
    /// If the column is missing, in another unit or of another type.
    pub(crate) fn words(&self, column: &Column) -> Result<Vec<Option<String>>, ReadError> {
        let rows = 0..self.len();
        Ok(match column.column_type() {
            ColumnType::Text => {
                let text = self.text(column)?;
                rows.map(|row| Some(text.get(row)?.as_ref().to_owned()))
                    .collect()
            }
            ColumnType::Int | ColumnType::Real => {
                let numbers = self.numbers(column)?;
                rows.map(|row| Some(numbers.get(row)?.to_string()))
                    .collect()
            }
            ColumnType::Bool => {
                let switches = self.switches(column)?;
                switches.iter().map(|on| Some(on?.to_string())).collect()
            }
        })
    }

    /// How the point of a row ended.
    ///
    /// # Errors
    /// If no point can end like that.
    pub(crate) fn status(
        &self,
        statuses: &MemberColumn<PointStatus>,
        row: usize,
    ) -> Result<PointStatus, ReadError> {
        statuses.get(row).ok_or_else(|| {
            let found = statuses.text.get(row).map_or("null", |name| name);
            self.bad_value(
                columns::STATUS.name,
                row,
                found,
                "ok, infeasible or crashed",
            )
        })
    }

    /// The number of a row whose point ran.
    ///
    /// # Errors
    /// If it is missing, infinite or not more than zero.
    pub(crate) fn positive(&self, numbers: &NumberColumn, row: usize) -> Result<f64, ReadError> {
        self.possible(numbers, row, |value| value > 0.0, "more than zero")
    }

    /// The number of a row whose point ran and may have taken nothing.
    ///
    /// # Errors
    /// If it is missing, infinite or negative.
    pub(crate) fn not_negative(
        &self,
        numbers: &NumberColumn,
        row: usize,
    ) -> Result<f64, ReadError> {
        self.possible(numbers, row, |value| value >= 0.0, "a number, not negative")
    }

    fn possible(
        &self,
        numbers: &NumberColumn,
        row: usize,
        holds: fn(f64) -> bool,
        expected: &'static str,
    ) -> Result<f64, ReadError> {
        let (value, expected) = match numbers.raw(row) {
            Some(value) if value.is_finite() && holds(value) => return Ok(value),
            Some(value) => (value.to_string(), expected),
            None => ("null".to_owned(), "a number, since the point is ok"),
        };
        Err(self.bad_value(numbers.column.name, row, &value, expected))
    }

    fn bad_value(
        &self,
        column: &'static str,
        row: usize,
        value: &str,
        expected: &'static str,
    ) -> ReadError {
        let points = self.points();
        let fault = ReadFault::BadValue {
            column,
            point: points.map_or(row as u64, |points| points.get(row)),
            value: value.to_owned(),
            expected,
        };
        fault.of(&self.file)
    }
}

/// A column of a batch in the type that this program writes: pandas turns counts with nulls into
/// floats, DuckDB turns dictionaries into plain text.
fn checked_column(batch: &RecordBatch, column: &Column) -> Result<ArrayRef, ReadFault> {
    let schema = batch.schema_ref();
    let Ok(place) = schema.index_of(column.name) else {
        return Err(ReadFault::MissingColumn(column.name));
    };
    check_unit(schema.field(place), column)?;
    let (array, wanted) = (batch.column(place), data_type(column.column_type()));
    let source = array.data_type();
    if *source == wanted {
        return counted(array, column);
    }
    let wrong = |found: String| ReadFault::column_type(column, found);
    let fits = match column.column_type() {
        ColumnType::Text => is_text(source),
        ColumnType::Int | ColumnType::Real => source.is_numeric(),
        ColumnType::Bool => false,
    };
    if !fits && *source != DataType::Null {
        return Err(wrong(source.to_string()));
    }
    let is_count =
        |value: &f64| value.is_nan() || ((0.0..COUNTS_END).contains(value) && value.fract() == 0.0);
    if let (ColumnType::Int, Some(floats)) = (
        column.column_type(),
        array.as_primitive_opt::<Float64Type>(),
    ) && let Some(bad) = floats.iter().flatten().find(|value| !is_count(value))
    {
        return Err(wrong(bad.to_string()));
    }
    let cast = cast(array, &wanted).map_err(|error| wrong(error.to_string()))?;
    let lost = cast.null_count() > array.null_count();
    let was_float = matches!(source, DataType::Float32 | DataType::Float64);
    if lost && !was_float && *source != DataType::Null {
        return Err(wrong(format!("values out of range ({source})")));
    }
    counted(&cast, column)
}

/// The first number that is no count any more: 2⁶³.
const COUNTS_END: f64 = 9_223_372_036_854_775_808.0;

/// Refuses counts below zero.
fn counted(array: &ArrayRef, column: &Column) -> Result<ArrayRef, ReadFault> {
    let least = array.as_primitive_opt::<Int64Type>().and_then(min);
    match least.filter(|least| *least < 0) {
        Some(least) => Err(ReadFault::column_type(column, least.to_string())),
        None => Ok(Arc::clone(array)),
    }
}

/// Refuses another unit than this version writes. Files that other programs wrote carry no units; the
/// name holds them then.
pub(super) fn check_unit(field: &Field, column: &Column) -> Result<(), ReadFault> {
    match field.metadata().get(UNIT_KEY) {
        Some(unit) if unit != column.unit => Err(ReadFault::Unit {
            column: column.name,
            found: unit.clone(),
            expected: column.unit,
        }),
        Some(_) | None => Ok(()),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
