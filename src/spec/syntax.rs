//! TOML, YAML and JSON as one tree in which every key and value knows its place.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::key_path::KeyPath;
use crate::spec::source::{Place, Source, Syntax};
use crate::spec::yaml_fault::NODES_MAX;
use crate::spec::{toml_fault, yaml_fault};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// Value as written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(String),
    /// Contents of a file that the spec names.
    File {
        name: String,
        text: String,
    },
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// Key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        let Value::Text(text) = &self.value else {
            return None;
        };
        Some(text)
    }

    /// The number, whole or not, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        if let Value::Int(number) = self.value {
            Some(number as f64)
        } else if let Value::Real(number) = self.value {
            Some(number)
        } else {
            None
        }
    }

    /// The entries, if it is a table.
    pub(super) fn table(&self) -> Option<&[Entry]> {
        let Value::Table(entries) = &self.value else {
            return None;
        };
        Some(entries)
    }

    /// The entries of a table, to be changed; none of another value.
    pub(super) fn table_mut(&mut self) -> &mut [Entry] {
        if let Value::Table(entries) = &mut self.value {
            entries
        } else {
            &mut []
        }
    }

    /// The entries of a table, to be changed and added to.
    pub(super) fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        let Value::Table(entries) = &mut self.value else {
            return None;
        };
        Some(entries)
    }

    /// A value of a data file, at the place where the file is named.
    pub(super) fn from_toml(value: toml::Value, place: &Place) -> Self {
        let value = match value {
            toml::Value::String(text) => Value::Text(text),
            toml::Value::Integer(number) => Value::Int(number),
            toml::Value::Float(number) => Value::Real(number),
            toml::Value::Boolean(answer) => Value::Bool(answer),
            toml::Value::Datetime(date) => Value::Date(date.to_string()),
            toml::Value::Array(items) => {
                let items = items.into_iter();
                Value::List(items.map(|item| Self::from_toml(item, place)).collect())
            }
            toml::Value::Table(table) => Value::Table(
                table
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key,
                        key_place: place.clone(),
                        node: Self::from_toml(value, place),
                    })
                    .collect(),
            ),
        };
        Self {
            value,
            place: place.clone(),
        }
    }

    /// The entries of what has to be a table, or the fault noted.
    pub(super) fn entries(&self, what: &str, faults: &mut Faults) -> Option<&[Entry]> {
        let entries = self.table();
        if entries.is_none() {
            let message = format!("{what} is a table, not {}", self.described());
            faults.push(Diagnostic::error(&self.place, message));
        }
        entries
    }

    /// The quantity of a key, written as text with its unit.
    pub(super) fn quantity<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        example: &str,
    ) -> Result<T, Diagnostic> {
        let expected = || format!("text with its unit like \"{example}\"");
        let text = self.text().ok_or_else(|| self.mismatch(key, &expected()))?;
        text.parse()
            .map_err(|error: T::Err| Diagnostic::error(&self.place, error.to_string()))
    }

    /// The fault of a key whose value is not what it takes.
    pub(super) fn mismatch(&self, key: &str, expected: &str) -> Diagnostic {
        let message = format!("`{key}` is {expected}, not {}", self.described());
        Diagnostic::error(&self.place, message)
    }

    /// The items of a list, or the value itself as the only one.
    pub(super) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value {
            items
        } else {
            std::slice::from_ref(self)
        }
    }

    /// The items of a list, or the value itself as the only one, to be changed.
    pub(super) fn items_mut(&mut self) -> &mut [Self] {
        if matches!(self.value, Value::List(_)) {
            let Value::List(items) = &mut self.value else {
                return &mut [];
            };
            items
        } else {
            std::slice::from_mut(self)
        }
    }

    /// The value in words, for messages: `text`, `a list`.
    pub(super) fn described(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(answer) => format!("`{answer}`"),
            Value::Int(number) => format!("`{number}`"),
            Value::Real(number) => format!("`{number:?}`"),
            Value::Text(text) => format!("text `{text}`"),
            Value::File { name, .. } => format!("the file `{name}`"),
            Value::Date(text) => format!("the date `{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    /// The value without places, for the catalogue. What TOML does not have (null) is left out.
    pub(super) fn to_toml(&self) -> Option<toml::Value> {
        Some(match &self.value {
            Value::Null => return None,
            Value::Bool(answer) => toml::Value::Boolean(*answer),
            Value::Int(number) => toml::Value::Integer(*number),
            Value::Real(number) => toml::Value::Float(*number),
            Value::Text(text) | Value::File { text, .. } | Value::Date(text) => {
                toml::Value::String(text.clone())
            }
            Value::List(items) => {
                toml::Value::Array(items.iter().filter_map(Self::to_toml).collect())
            }
            Value::Table(entries) => toml::Value::Table(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.key.clone(), entry.node.to_toml()?)))
                    .collect(),
            ),
        })
    }
}

/// The entry with a key.
pub(super) fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// What some editors put before a text to say how its letters are encoded.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Parses a text whose top is a table.
pub(super) fn parse(source: &Arc<Source>, syntax: Syntax) -> Result<Node, Vec<Diagnostic>> {
    match syntax {
        Syntax::Toml => parse_toml(source),
        Syntax::Yaml => parse_yaml(source, syntax),
        Syntax::Json => {
            // Strict JSON first; that it is YAML too gives the places.
            let text = source.text.trim_start_matches(BYTE_ORDER_MARK);
            let left_out = source.text.len() - text.len();
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| vec![yaml_fault::of_json(source, left_out, &error)])?;
            parse_yaml(source, syntax)
        }
    }
}

/// Most memory that the values of a text of TOML may take, in that of a value of a list: 50,000 points of ten keys, each on a line
/// of its own, come to 1,250,000.
const VALUES_MAX: usize = 2_000_000;

/// Refuses a text that would take too much memory, before it is parsed: as much as what stands around its values lets one expect.
fn check_size(source: &Arc<Source>) -> Result<(), Vec<Diagnostic>> {
    let bytes = source.text.as_bytes().windows(2);
    let values = bytes.map(|pair| match pair[0] {
        b',' | b'\n' | b'=' | b'[' => 1,
        // A table inside of a line takes five times as much; the dot of a number is none.
        b'{' => 5,
        b'.' if !pair[1].is_ascii_digit() => 5,
        _ => 0,
    });
    if values.sum::<usize>() <= VALUES_MAX {
        return Ok(());
    }
    let message = format!(
        "too many keys and values: TOML may have at most {VALUES_MAX}, where a line, a `,`, a `=` and a `[` count once and a table \
         in braces or behind a dot five times"
    );
    let fault = Diagnostic::error(&Place::new(source, 0..0), message);
    Err(vec![fault.hint("shorten it with ranges")])
}

fn parse_toml(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    check_size(source)?;
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        return Err(toml_fault::faults(source, &errors));
    }
    let mut faults = Vec::new();
    let value = Value::Table(toml_entries(table.get_ref(), source, &mut faults));
    if faults.is_empty() {
        Ok(Node {
            value,
            place: Place::new(source, 0..0),
        })
    } else {
        Err(faults)
    }
}

fn toml_entries(
    table: &DeTable<'_>,
    source: &Arc<Source>,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: Place::new(source, key.span()),
            node: toml_node(value.get_ref(), value.span(), source, faults),
        })
        .collect()
}

fn toml_node(
    value: &DeValue<'_>,
    span: Range<usize>,
    source: &Arc<Source>,
    faults: &mut Vec<Diagnostic>,
) -> Node {
    let place = Place::new(source, span);
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(answer) => Value::Bool(*answer),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or_else(
                |_| {
                    let message = format!("`{digits}` is too large; a number has at most 63 bits");
                    faults.push(Diagnostic::error(&place, message));
                    Value::Null
                },
                Value::Int,
            ),
        // Overflow is infinite here, and refused by the bounds of whatever takes it.
        DeValue::Float(digits) => digits
            .as_str()
            .parse()
            .map_or(Value::Real(f64::NAN), Value::Real),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| toml_node(item.get_ref(), item.span(), source, faults))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(toml_entries(table, source, faults)),
    };
    Node { value, place }
}

fn parse_yaml(source: &Arc<Source>, syntax: Syntax) -> Result<Node, Vec<Diagnostic>> {
    let limits = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            // A node is one event, or two where it is a list or a table.
            max_events: 2 * NODES_MAX + 16,
        },
    };
    let raw: Result<Located, _> = serde_saphyr::from_str_with_options(&source.text, limits);
    let raw = raw.map_err(|error| vec![yaml_fault::of_yaml(source, syntax, &error)])?;
    let mut faults = Vec::new();
    let node = placed(raw, source, None, &mut faults);
    if faults.is_empty() {
        Ok(node)
    } else {
        Err(faults)
    }
}

type Located = serde_saphyr::Spanned<Raw>;

/// A value of YAML with the location that its parser gives.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    TooLarge(String),
    Real(f64),
    Text(String),
    List(Vec<Located>),
    Table(Vec<(serde_saphyr::Spanned<String>, Located)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, answer: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(answer))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(i64::try_from(number).map_or_else(|_| Raw::TooLarge(number.to_string()), Raw::Int))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::TooLarge(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Raw, E> {
        Ok(Raw::TooLarge(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Real(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Table(entries))
    }
}

fn placed(
    raw: Located,
    source: &Arc<Source>,
    path: Option<&KeyPath>,
    faults: &mut Vec<Diagnostic>,
) -> Node {
    let place = Place {
        path: path.cloned(),
        ..Place::new(source, yaml_fault::span(source, &raw.referenced))
    };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(answer) => Value::Bool(answer),
        Raw::Int(number) => Value::Int(number),
        Raw::TooLarge(digits) => {
            let message = format!("`{digits}` is too large; a number has at most 63 bits");
            faults.push(Diagnostic::error(&place, message));
            Value::Null
        }
        Raw::Real(number) => Value::Real(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(
            items
                .into_iter()
                .enumerate()
                .map(|(at, item)| placed(item, source, Some(&KeyPath::item(path, at)), faults))
                .collect(),
        ),
        Raw::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, item)| {
                    let path = KeyPath::key(path, &key.value);
                    Entry {
                        node: placed(item, source, Some(&path), faults),
                        key_place: Place {
                            path: Some(path),
                            ..Place::new(source, yaml_fault::span(source, &key.referenced))
                        },
                        key: key.value,
                    }
                })
                .collect(),
        ),
    };
    Node { value, place }
}
