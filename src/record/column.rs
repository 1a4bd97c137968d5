//! What a column is: its name, its unit, its meaning and where its values come from.

use std::borrow::Cow;

use arrow::datatypes::{DataType, Field};

use crate::closed_set;
use crate::record::Record;

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
}

impl Read {
    /// Whether two columns hold the same type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::U64(_) => DataType::UInt64,
            Self::F64(_) => DataType::Float64,
            Self::Bool(_) => DataType::Boolean,
            Self::Text(_) => text_type(),
        }
    }

    /// The type's name in lists for people: `u64`, `f64`, `bool`, `text`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::U64(_) => "u64",
            Self::F64(_) => "f64",
            Self::Bool(_) => "bool",
            Self::Text(_) => "text",
        }
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
    /// The Arrow field, with unit and meaning in its metadata.
    pub fn field(&self) -> Field {
        described_field(self.name, self.read.data_type(), self.unit, self.doc)
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
            $( $column:ident = $name:literal, $unit:literal, $kind:ident, $read:expr, $doc:literal; )+
        } )+
    ) => {
        $( $(
            #[doc = concat!("Column `", $name, "`; its meaning stands in its `doc`.")]
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
