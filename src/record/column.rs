//! Columns of a results table: name, unit, meaning, and how a row's value is read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringDictionaryBuilder};
use arrow::datatypes::{DataType, Field, Int32Type};
use schemars::JsonSchema;
use serde::Serialize;

use crate::closed_set;
use crate::record::point::Record;
use crate::spec::{Axis, AxisInfo, ColumnType};

closed_set! {
    /// Topic that a column belongs to.
    pub(crate) enum ColumnGroup: "column group" {
        /// Number of the row, and whether its point ran.
        Identity = "identity",
        /// The axes, defaults resolved.
        Inputs = "inputs",
        /// The layout that ran.
        Layout = "layout",
        /// The step and its exclusive parts.
        Time = "time",
        /// Work per time.
        Rate = "rate",
        /// Memory of the fullest GPU.
        Memory = "memory",
        /// Traffic on the network.
        Network = "network",
        /// Bottleneck, thresholds crossed, upper bound of an improvement.
        Verdict = "verdict",
        /// Dollars and energy.
        Money = "money",
        /// Events and layouts that the simulation took.
        Effort = "effort",
        /// Metrics that the spec adds.
        Metrics = "metrics",
    }
}

/// One value of a results table; null is `None` of `Option<Cell>`.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell<'r> {
    /// A count.
    U64(u64),
    /// A quantity.
    F64(f64),
    /// A switch.
    Bool(bool),
    /// A name or a sentence, borrowed from its row where it stands there.
    Text(Cow<'r, str>),
}

impl<'r> Cell<'r> {
    /// The value of a count column.
    pub(crate) fn count(self) -> Option<u64> {
        match self {
            Self::U64(count) => Some(count),
            Self::F64(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The value of a quantity's column.
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::F64(number) => Some(number),
            Self::U64(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn switch(self) -> Option<bool> {
        match self {
            Self::Bool(switch) => Some(switch),
            Self::U64(_) | Self::F64(_) | Self::Text(_) => None,
        }
    }

    fn text(self) -> Option<Cow<'r, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::U64(_) | Self::F64(_) | Self::Bool(_) => None,
        }
    }
}

/// A row of a results table, asked for the values of its axes.
pub trait TableRow {
    /// The value of an axis, in the type of its column; null where the axis is `auto` or does not apply.
    fn axis(&self, axis: Axis) -> Option<Cell<'_>>;

    /// The value of a metric of the spec, by its place among those.
    fn metric(&self, place: usize) -> Option<f64>;
}

/// How a column's value is read from a row; `None` is null.
#[derive(Debug)]
pub enum Read<R> {
    /// A count.
    U64(fn(&R) -> Option<u64>),
    /// A quantity.
    F64(fn(&R) -> Option<f64>),
    /// A switch.
    Bool(fn(&R) -> Option<bool>),
    /// A name or a sentence.
    Text(for<'r> fn(&'r R) -> Option<Cow<'r, str>>),
    /// The value of an axis.
    Axis(Axis),
    /// The value of a metric of the spec, by its place among those.
    Metric(usize),
}

/// One column of a results table, by default of `points.parquet`.
#[derive(Debug)]
pub struct Column<R = Record> {
    /// Name, with the unit at its end where there is one.
    pub name: &'static str,
    /// Topic.
    pub(crate) group: ColumnGroup,
    /// Unit (`s`, `B`, `1` for counts and fractions); empty for text and switches.
    pub unit: &'static str,
    /// Meaning, with the formula where the value is computed.
    pub doc: &'static str,
    /// How a row's value is read.
    pub read: Read<R>,
}

/// A column as it is documented, whatever its rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnWords {
    /// Name.
    pub(crate) name: &'static str,
    /// Type of the values.
    pub(crate) column_type: ColumnType,
    /// Unit; empty for text and switches.
    pub(crate) unit: &'static str,
    /// Topic.
    pub(crate) group: ColumnGroup,
    /// Meaning.
    pub(crate) doc: &'static str,
}

// Derived, these would ask the same of the rows.
impl<R> Clone for Read<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Read<R> {}

impl<R> Clone for Column<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Column<R> {}

/// Key of the unit in a field's Arrow metadata.
pub(crate) const UNIT_KEY: &str = "unit";
/// Key of the meaning in a field's Arrow metadata.
pub(crate) const DOC_KEY: &str = "doc";

impl<R> Column<R> {
    /// The input column of an axis.
    pub(crate) const fn of_axis(info: &'static AxisInfo) -> Self {
        Self {
            name: info.axis.as_str(),
            group: ColumnGroup::Inputs,
            unit: info.unit,
            doc: info.doc,
            read: Read::Axis(info.axis),
        }
    }

    /// The column as it is documented.
    pub(crate) const fn words(&self) -> ColumnWords {
        ColumnWords {
            name: self.name,
            column_type: self.column_type(),
            unit: self.unit,
            group: self.group,
            doc: self.doc,
        }
    }

    /// Type of the values.
    pub const fn column_type(&self) -> ColumnType {
        match self.read {
            Read::U64(_) => ColumnType::Int,
            Read::F64(_) | Read::Metric(_) => ColumnType::Real,
            Read::Bool(_) => ColumnType::Bool,
            Read::Text(_) => ColumnType::Text,
            Read::Axis(axis) => axis.info().domain.column_type(),
        }
    }

    /// Whether a spec adds the column.
    pub(crate) const fn is_metric(&self) -> bool {
        matches!(self.read, Read::Metric(_))
    }

    /// Nullable Arrow field, with unit and meaning in its metadata.
    pub fn field(&self) -> Field {
        let metadata = [(UNIT_KEY, self.unit), (DOC_KEY, self.doc)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        Field::new(self.name, data_type(self.column_type()), true)
            .with_metadata(HashMap::from(metadata))
    }
}

impl<R: TableRow> Column<R> {
    /// Value of a row; `None` is null.
    pub(crate) fn cell<'r>(&self, row: &'r R) -> Option<Cell<'r>> {
        match self.read {
            Read::U64(read) => read(row).map(Cell::U64),
            Read::F64(read) => read(row).map(Cell::F64),
            Read::Bool(read) => read(row).map(Cell::Bool),
            Read::Text(read) => read(row).map(Cell::Text),
            Read::Axis(axis) => row.axis(axis),
            Read::Metric(place) => row.metric(place).map(Cell::F64),
        }
    }

    /// Values of several rows as an Arrow array.
    pub(super) fn array(&self, rows: &[R]) -> ArrayRef {
        let cells = rows.iter().map(|row| self.cell(row));
        match self.column_type() {
            ColumnType::Int => Arc::new(
                cells
                    .map(|it| it?.count().map(signed))
                    .collect::<Int64Array>(),
            ),
            ColumnType::Real => Arc::new(cells.map(|it| it?.number()).collect::<Float64Array>()),
            ColumnType::Bool => Arc::new(cells.map(|it| it?.switch()).collect::<BooleanArray>()),
            ColumnType::Text => {
                let mut builder = StringDictionaryBuilder::<Int32Type>::new();
                builder.extend(cells.map(|it| it?.text()));
                Arc::new(builder.finish())
            }
        }
    }
}

/// A count as Parquet keeps it, with a sign: most readers wrap around where they subtract from an unsigned
/// one. No axis, point or byte count of a run reaches 2⁶³.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Arrow type of a column; counts have a sign, text is dictionary-encoded UTF-8.
pub(super) fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int => DataType::Int64,
        ColumnType::Real => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
    }
}

/// A table's columns with those of axes inserted behind the identity columns at its head.
pub(crate) fn with_axes<R>(
    columns: &[Column<R>],
    axes: impl Iterator<Item = &'static AxisInfo>,
) -> Vec<Column<R>> {
    let head = columns.partition_point(|column| column.group == ColumnGroup::Identity);
    let (identity, rest) = columns.split_at(head);
    let inputs = axes.map(Column::of_axis);
    let identity = identity.iter().copied();
    identity.chain(inputs).chain(rest.iter().copied()).collect()
}

/// Declares columns by group, a few lines each: name, unit, how a row's value is read, meaning.
///
/// With a name for the table, each column is a constant besides; without, the table is the value.
macro_rules! columns {
    (
        $(#[$meta:meta])*
        $table:ident;
        $( $group:ident {
            $( $column:ident = $name:expr, $unit:literal, $kind:ident, $read:expr, $doc:expr; )+
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
    (
        $( $group:ident {
            $( $name:literal, $unit:literal, $kind:ident, $read:expr, $doc:expr; )+
        } )+
    ) => {
        &[ $( $( Column {
            name: $name,
            group: ColumnGroup::$group,
            unit: $unit,
            doc: $doc,
            read: Read::$kind($read),
        } ),+ ),+ ]
    };
}
pub(crate) use columns;
