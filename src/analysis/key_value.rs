//! The values that tell series apart.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use itertools::Itertools;
use serde::Serialize;

/// Most values that are all named; of more the first one is, and their number: `2048/+1302`.
const NAMES: usize = 8;

/// The value that an axis has throughout a series.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// A name.
    Text(Arc<str>),
    /// A number.
    Number(f64),
    /// A switch.
    Bool(bool),
    /// Values with which the rows are the same simulations; `None` where the simulator chooses.
    Several(Arc<[Option<KeyValue>]>),
}

/// Readers refuse cells that are no number.
impl Eq for KeyValue {}

impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Self::Text(text) => text.hash(state),
            Self::Number(number) => number.to_bits().hash(state),
            Self::Bool(switch) => switch.hash(state),
            Self::Several(values) => values.hash(state),
        }
    }
}

impl PartialOrd for KeyValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Names, then numbers, then switches, then several values.
impl Ord for KeyValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Several(a), Self::Several(b)) => a.cmp(b),
            (Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Several(_), _) => {
                self.kind().cmp(&other.kind())
            }
        }
    }
}

impl KeyValue {
    const fn kind(&self) -> u8 {
        match self {
            Self::Text(_) => 0,
            Self::Number(_) => 1,
            Self::Bool(_) => 2,
            Self::Several(_) => 3,
        }
    }

    /// The values, one or several; `None` where the simulator chooses.
    pub(crate) fn values(&self) -> Vec<Option<&Self>> {
        match self {
            Self::Several(values) => values.iter().map(Option::as_ref).collect(),
            Self::Text(_) | Self::Number(_) | Self::Bool(_) => vec![Some(self)],
        }
    }
}

impl schemars::JsonSchema for KeyValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A name, a number, a switch, or several values with which the rows are the same simulations; \
                            null where the simulator chooses.",
            "type": ["string", "number", "boolean", "array"],
            "items": {"type": ["string", "number", "boolean", "array", "null"]},
        })
    }
}

impl Serialize for KeyValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(switch) => serializer.serialize_bool(*switch),
            Self::Several(values) => serializer.collect_seq(values.iter()),
        }
    }
}

impl std::fmt::Display for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Bool(true) => f.pad("on"),
            Self::Bool(false) => f.pad("off"),
            Self::Several(values) => {
                let name = |value: &Option<Self>| {
                    let value = value.as_ref();
                    value.map_or_else(|| "auto".to_owned(), Self::to_string)
                };
                let shown = if values.len() > NAMES {
                    1
                } else {
                    values.len()
                };
                let more = values.len() - shown;
                let more = (more > 0).then(|| format!("+{more}"));
                f.pad(&values[..shown].iter().map(name).chain(more).join("/"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_values_the_first_is_named_and_the_others_are_counted() {
        let several = |most: u32| {
            let values = (1..=most).map(|value| Some(KeyValue::Number(value.into())));
            KeyValue::Several(values.collect())
        };
        assert_eq!(several(3).to_string(), "1/2/3");
        assert_eq!(several(1_303).to_string(), "1/+1302");
    }
}
