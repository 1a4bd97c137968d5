//! Columns of a record batch, whoever wrote it.
//!
//! A file that DuckDB or pandas rewrote has the same columns in other Arrow types and another
//! order: counts become signed or floating, dictionaries plain strings, nulls NaN. Columns are
//! found by name and cast to what the analysis computes with.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use arrow::record_batch::RecordBatch;

use super::error::AnalysisError;
use crate::record::column::{UNIT_KEY, text_type};
use crate::record::{Column, PointStatus, columns};
use crate::spec::{Axis, ColumnType};

/// A record batch with the name of its file, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Its rows.
    pub batch: &'a RecordBatch,
}

/// A text column: codes into a small list of names.
#[derive(Debug)]
pub struct TextColumn {
    codes: DictionaryArray<Int32Type>,
    names: Vec<Arc<str>>,
}

impl TextColumn {
    /// The names that occur.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Place of a row's name in [`TextColumn::names`]; `None` where the cell is null.
    pub fn code(&self, row: usize) -> Option<usize> {
        self.codes.key(row)
    }

    /// A row's name.
    pub fn get(&self, row: usize) -> Option<&Arc<str>> {
        self.code(row).map(|code| &self.names[code])
    }
}

/// A text column whose names are the members of a closed set.
#[derive(Debug)]
pub struct MemberColumn<T> {
    text: TextColumn,
    members: Vec<Option<T>>,
}

impl<T: Copy> MemberColumn<T> {
    /// A row's member; `None` where the cell is null or names none.
    pub fn get(&self, row: usize) -> Option<T> {
        self.text.code(row).and_then(|code| self.members[code])
    }

    /// What stands in a row, whether it is a member or not.
    fn as_it_stands(&self, row: usize) -> &str {
        self.text.get(row).map_or("null", |name| name)
    }
}

/// A numeric column.
#[derive(Clone, Debug)]
pub struct NumberColumn(Float64Array);

impl NumberColumn {
    /// A row's number; null and NaN (pandas' null) are `None`.
    pub fn get(&self, row: usize) -> Option<f64> {
        self.raw(row).filter(|value| !value.is_nan())
    }

    /// A row's number as it stands, NaN included.
    pub fn raw(&self, row: usize) -> Option<f64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

impl<'a> Rows<'a> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A numeric column.
    ///
    /// # Errors
    /// If it is missing, holds no numbers, or is in another unit.
    pub fn numbers(&self, column: &Column) -> Result<NumberColumn, AnalysisError> {
        let array = self.find(column)?;
        let numeric = array.data_type().is_numeric() || array.data_type() == &DataType::Null;
        if !numeric {
            return Err(self.wrong_type(column, array, "numbers"));
        }
        let cast = cast(array, &DataType::Float64)
            .map_err(|_| self.wrong_type(column, array, "numbers"))?;
        Ok(NumberColumn(cast.as_primitive::<Float64Type>().clone()))
    }

    /// A text column.
    ///
    /// # Errors
    /// If it is missing or holds no text.
    pub fn text(&self, column: &Column) -> Result<TextColumn, AnalysisError> {
        let array = self.find(column)?;
        let cast =
            cast(array, &text_type()).map_err(|_| self.wrong_type(column, array, "names"))?;
        let codes = cast.as_dictionary::<Int32Type>().clone();
        let names = codes
            .values()
            .as_string::<i32>()
            .iter()
            .map(|name| Arc::from(name.unwrap_or_default()))
            .collect();
        Ok(TextColumn { codes, names })
    }

    /// A text column of the names of a closed set.
    ///
    /// # Errors
    /// If it is missing or holds no text.
    pub fn members<T: FromStr>(&self, column: &Column) -> Result<MemberColumn<T>, AnalysisError> {
        let text = self.text(column)?;
        let members = text.names().iter().map(|name| name.parse().ok()).collect();
        Ok(MemberColumn { text, members })
    }

    /// How the point of a row ended.
    ///
    /// # Errors
    /// If no point can end like that.
    pub fn status(
        &self,
        statuses: &MemberColumn<PointStatus>,
        row: usize,
        point: u64,
    ) -> Result<PointStatus, AnalysisError> {
        statuses.get(row).ok_or_else(|| {
            let found = statuses.as_it_stands(row);
            self.bad_value(&columns::STATUS, point, found, "ok, infeasible or crashed")
        })
    }

    /// The number of a row whose point ran.
    ///
    /// # Errors
    /// If it is missing, infinite or not more than zero.
    pub fn positive(
        &self,
        numbers: &NumberColumn,
        column: &Column,
        row: usize,
        point: u64,
    ) -> Result<f64, AnalysisError> {
        match numbers.raw(row) {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            Some(value) => Err(self.bad_value(column, point, &value.to_string(), "more than zero")),
            None => Err(self.bad_value(column, point, "null", "a number, since the point is ok")),
        }
    }

    /// The fault of a cell whose value no run can have.
    pub fn bad_value(
        &self,
        column: &Column,
        point: u64,
        value: &str,
        expected: &'static str,
    ) -> AnalysisError {
        AnalysisError::BadValue {
            file: self.file.to_owned(),
            column: column.name.to_owned(),
            point,
            value: value.to_owned(),
            expected,
        }
    }

    /// A column of switches.
    ///
    /// # Errors
    /// If it is missing or holds something else.
    pub fn switches(&self, column: &Column) -> Result<BooleanArray, AnalysisError> {
        let array = self.find(column)?;
        let cast = cast(array, &DataType::Boolean)
            .map_err(|_| self.wrong_type(column, array, "true and false"))?;
        Ok(cast.as_boolean().clone())
    }

    /// The values of an axis in words, null where it is `auto`.
    ///
    /// # Errors
    /// If its column is missing, in another unit or of another type.
    pub fn words(&self, axis: Axis) -> Result<Vec<Option<String>>, AnalysisError> {
        let column = Column::of_axis(axis.info());
        let rows = 0..self.len();
        Ok(match axis.info().domain.column_type() {
            ColumnType::Text => {
                let text = self.text(&column)?;
                rows.map(|row| text.get(row).map(std::string::ToString::to_string))
                    .collect()
            }
            ColumnType::Int | ColumnType::Real => {
                let numbers = self.numbers(&column)?;
                rows.map(|row| numbers.get(row).map(|number| number.to_string()))
                    .collect()
            }
            ColumnType::Bool => {
                let switches = self.switches(&column)?;
                switches
                    .iter()
                    .map(|switch| switch.map(|on| on.to_string()))
                    .collect()
            }
        })
    }

    fn find(&self, column: &Column) -> Result<&'a ArrayRef, AnalysisError> {
        let schema = self.batch.schema_ref();
        let place = schema
            .index_of(column.name)
            .map_err(|_| AnalysisError::MissingColumn {
                file: self.file.to_owned(),
                column: column.name.to_owned(),
            })?;
        // Files that other programs rewrote carry no units; the name holds them then.
        if let Some(unit) = schema.field(place).metadata().get(UNIT_KEY)
            && unit != column.unit
        {
            return Err(AnalysisError::WrongUnit {
                file: self.file.to_owned(),
                column: column.name.to_owned(),
                found: unit.clone(),
                expected: column.unit.to_owned(),
            });
        }
        Ok(self.batch.column(place))
    }

    fn wrong_type(
        &self,
        column: &Column,
        array: &ArrayRef,
        expected: &'static str,
    ) -> AnalysisError {
        AnalysisError::WrongType {
            file: self.file.to_owned(),
            column: column.name.to_owned(),
            found: array.data_type().to_string(),
            expected,
        }
    }
}
