//! What a column is: its name, its unit, its meaning and where its values come from.

use std::borrow::Cow;

use arrow::datatypes::{DataType, Field};

use crate::closed_set;
use crate::record::Record;
use crate::spec::{Axis, AxisInfo, AxisValue, ColumnType};

closed_set! {
    /// What a column tells about a point.
    pub enum ColumnGroup: "column group" {
        /// Which point, and whether it ran.
        Identity = "identity",
        /// The axes, defaults resolved.
        Inputs = "inputs",
        /// The layout that ran.
        Layout = "layout",
        /// The step and its exclusive parts.
        Time = "time",
        /// Work per time.
        Rate = "rate",
        /// The fullest GPU's memory.
        Memory = "memory",
        /// What the network carried.
        Network = "network",
        /// What costs most, and what would help at most.
        Verdict = "verdict",
        /// Dollars and energy.
        Money = "money",
        /// What the simulation itself took, in events.
        Effort = "effort",
    }
}

/// Text of a cell, borrowed from its record where it stands there.
pub type CellText<'r> = Option<Cow<'r, str>>;

/// How a column's value is read from a record; `None` is null.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// A count.
    U64(fn(&Record) -> Option<u64>),
    /// A quantity.
    F64(fn(&Record) -> Option<f64>),
    /// A switch.
    Bool(fn(&Record) -> Option<bool>),
    /// A name or a sentence.
    Text(for<'r> fn(&'r Record) -> CellText<'r>),
    /// The value of an axis, defaults resolved; null where the axis is `auto` or does not apply.
    Axis(Axis),
}

/// One value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'r> {
    /// Of a count column.
    U64(Option<u64>),
    /// Of a quantity's column.
    F64(Option<f64>),
    /// Of a switch's column.
    Bool(Option<bool>),
    /// Of a text column.
    Text(CellText<'r>),
}

impl Read {
    /// Type of the column.
    pub const fn column_type(&self) -> ColumnType {
        match self {
            Self::U64(_) => ColumnType::Int,
            Self::F64(_) => ColumnType::Real,
            Self::Bool(_) => ColumnType::Bool,
            Self::Text(_) => ColumnType::Text,
            Self::Axis(axis) => axis.info().domain.column_type(),
        }
    }

    /// The value that a record has in the column.
    pub fn cell<'r>(&self, record: &'r Record) -> Cell<'r> {
        match self {
            Self::U64(read) => Cell::U64(read(record)),
            Self::F64(read) => Cell::F64(read(record)),
            Self::Bool(read) => Cell::Bool(read(record)),
            Self::Text(read) => Cell::Text(read(record)),
            Self::Axis(axis) => axis_cell(*axis, record),
        }
    }
}

fn axis_cell(axis: Axis, record: &Record) -> Cell<'_> {
    let value = record.point().value(axis);
    match axis.info().domain.column_type() {
        ColumnType::Int => Cell::U64(value.and_then(|value| match value {
            AxisValue::Size(bytes) => Some(bytes.get()),
            AxisValue::Int(count) => Some(*count),
            AxisValue::Auto | AxisValue::Text(_) | AxisValue::Real(_) | AxisValue::Bool(_) => None,
        })),
        ColumnType::Real => Cell::F64(value.and_then(AxisValue::as_number)),
        ColumnType::Bool => Cell::Bool(value.and_then(AxisValue::as_bool)),
        ColumnType::Text => Cell::Text(value.and_then(AxisValue::as_text).map(Cow::Borrowed)),
    }
}

/// Arrow's type of a column.
pub fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int => DataType::UInt64,
        ColumnType::Real => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => text_type(),
    }
}

/// Arrow's type of every text column: dictionary-encoded UTF-8.
pub fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// One column of `points.parquet`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name; the unit is part of it where there is one.
    pub name: &'static str,
    /// What it tells about a point.
    pub group: ColumnGroup,
    /// Its unit (`s`, `B`, `1` for counts and fractions); empty for text and switches.
    pub unit: &'static str,
    /// Its meaning, with the formula where it is computed.
    pub doc: &'static str,
    /// Where its values come from.
    pub read: Read,
}

/// Key of the unit in a field's Arrow metadata.
pub const UNIT_KEY: &str = "unit";
/// Key of the meaning in a field's Arrow metadata.
pub const DOC_KEY: &str = "doc";

impl Column {
    /// The input column of an axis.
    pub const fn of_axis(info: &'static AxisInfo) -> Self {
        Self {
            name: info.axis.as_str(),
            group: ColumnGroup::Inputs,
            unit: info.unit,
            doc: info.doc,
            read: Read::Axis(info.axis),
        }
    }

    /// The Arrow field, with unit and meaning in its metadata.
    pub fn field(&self) -> Field {
        described_field(
            self.name,
            data_type(self.read.column_type()),
            self.unit,
            self.doc,
        )
    }
}

/// A nullable Arrow field that carries its unit and meaning.
pub fn described_field(name: &str, data_type: DataType, unit: &str, doc: &str) -> Field {
    let metadata = [(UNIT_KEY, unit), (DOC_KEY, doc)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect::<std::collections::HashMap<_, _>>();
    Field::new(name, data_type, true).with_metadata(metadata)
}

/// Declares columns in groups: a constant for each, and the table of all of them in order.
macro_rules! columns {
    (
        $(#[$meta:meta])*
        $table:ident;
        $( $group:ident {
            $( $column:ident = $name:expr, $unit:literal, $kind:ident, $read:expr, $doc:literal; )+
        } )+
    ) => {
        $( $(
            /// A column; its meaning stands in its `doc`.
            pub const $column: Column = Column {
                name: $name,
                group: ColumnGroup::$group,
                unit: $unit,
                doc: $doc,
                read: Read::$kind($read),
            };
        )+ )+

        $(#[$meta])*
        pub const $table: &[Column] = &[ $( $( $column ),+ ),+ ];
    };
}
pub(super) use columns;
