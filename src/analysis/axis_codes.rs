//! Values of axes as small numbers, the same for the same value in all batches and files that are read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::BooleanArray;

use super::key_value::KeyValue;
use crate::record::{Column, NumberColumn, ReadError, Rows, TextColumn, columns};
use crate::spec::{Axis, ColumnType};

/// The column that holds an axis' values; `gpus` is one of the layout.
pub(super) fn input_column(axis: Axis) -> Column {
    match axis {
        Axis::Gpus => columns::GPUS,
        axis => Column::of_axis(axis.info()),
    }
}

/// The distinct values of one axis, each under a code; 0 is null.
#[derive(Debug)]
pub(super) struct AxisCodes {
    pub(super) axis: Axis,
    column: Column,
    values: Vec<KeyValue>,
    texts: HashMap<Arc<str>, u32>,
    numbers: HashMap<u64, u32>,
}

/// Code of null.
pub(super) const NULL: u32 = 0;

impl AxisCodes {
    /// No values yet.
    pub(super) fn new(axis: Axis) -> Self {
        Self {
            axis,
            column: input_column(axis),
            values: Vec::new(),
            texts: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    /// The value of a code; `None` for null.
    pub(super) fn value(&self, code: u32) -> Option<&KeyValue> {
        code.checked_sub(1)
            .map(|place| &self.values[place as usize])
    }

    fn add(&mut self, value: KeyValue) -> u32 {
        self.values.push(value);
        self.values.len() as u32
    }

    /// The code of every row of a batch.
    ///
    /// # Errors
    /// If the column is missing, in another unit or of another type.
    pub(super) fn codes(&mut self, rows: &Rows) -> Result<Vec<u32>, ReadError> {
        let column = self.column;
        match self.axis.info().domain.column_type() {
            ColumnType::Text => Ok(self.text_codes(&rows.text(&column)?, rows.len())),
            ColumnType::Int | ColumnType::Real => {
                Ok(self.number_codes(&rows.numbers(&column)?, rows.len()))
            }
            ColumnType::Bool => Ok(self.switch_codes(&rows.switches(&column)?)),
        }
    }

    fn text_codes(&mut self, column: &TextColumn, rows: usize) -> Vec<u32> {
        let of_name: Vec<u32> = column
            .names()
            .iter()
            .map(|name| {
                if let Some(code) = self.texts.get(name) {
                    return *code;
                }
                let code = self.add(KeyValue::Text(name.clone()));
                self.texts.insert(name.clone(), code);
                code
            })
            .collect();
        (0..rows)
            .map(|row| column.code(row).map_or(NULL, |code| of_name[code]))
            .collect()
    }

    fn number_codes(&mut self, column: &NumberColumn, rows: usize) -> Vec<u32> {
        // Neighbouring rows mostly agree, so the last value is tried before the map.
        let mut last = (None, NULL);
        (0..rows)
            .map(|row| {
                let bits = column.get(row).map(f64::to_bits);
                if bits != last.0 {
                    last = (bits, bits.map_or(NULL, |bits| self.number_code(bits)));
                }
                last.1
            })
            .collect()
    }

    fn number_code(&mut self, bits: u64) -> u32 {
        if let Some(code) = self.numbers.get(&bits) {
            return *code;
        }
        let code = self.add(KeyValue::Number(f64::from_bits(bits)));
        self.numbers.insert(bits, code);
        code
    }

    fn switch_codes(&mut self, column: &BooleanArray) -> Vec<u32> {
        if self.values.is_empty() {
            self.values = vec![KeyValue::Bool(false), KeyValue::Bool(true)];
        }
        let code = |switch: Option<bool>| switch.map_or(NULL, |on| 1 + u32::from(on));
        column.iter().map(code).collect()
    }
}
