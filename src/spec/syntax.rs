//! TOML, YAML and JSON as one tree in which every key and value knows its place.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use toml::de::{DeTable, DeValue};

use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::source::{Place, Source, Syntax};
use crate::spec::toml_fault;

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

/// Parses a text whose top is a table.
pub(super) fn parse(source: &Arc<Source>, syntax: Syntax) -> Result<Node, Vec<Diagnostic>> {
    match syntax {
        Syntax::Toml => parse_toml(source),
        Syntax::Yaml => parse_yaml(source),
        Syntax::Json => {
            // Strict JSON first; that it is YAML too gives the places.
            serde_json::from_str::<serde::de::IgnoredAny>(&source.text)
                .map_err(|error| vec![json_fault(source, &error)])?;
            parse_yaml(source)
        }
    }
}

fn parse_toml(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
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

/// Most keys and values of a text of YAML or JSON, lists and tables among them: 50,000 points of ten keys.
const NODES_MAX: usize = 1_100_000;

fn parse_yaml(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let limits = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            // A node is one event, or two where it is a list or a table.
            max_events: 2 * NODES_MAX + 16,
        },
    };
    let raw: Result<Located, _> = serde_saphyr::from_str_with_options(&source.text, limits);
    let raw = raw.map_err(|error| {
        let span = error.location().map_or(0..0, |at| byte_span(&at));
        if let serde_saphyr::Error::Budget { breach, .. } = error.without_snippet() {
            return vec![over_limit(&Place::new(source, span), breach)];
        }
        // The first line says what; the rest repeats the place.
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or("malformed");
        let message = message.split(" at line ").next().unwrap_or(message);
        vec![Diagnostic::error(
            &Place::new(source, span),
            format!("not YAML: {message}"),
        )]
    })?;
    let mut faults = Vec::new();
    let node = placed(raw, source, "", &mut faults);
    if faults.is_empty() {
        Ok(node)
    } else {
        Err(faults)
    }
}

/// The fault of a text of YAML or JSON that is over a limit.
fn over_limit(place: &Place, breach: &BudgetBreach) -> Diagnostic {
    match breach {
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => Diagnostic::error(
            place,
            format!("too many keys and values: YAML and JSON may have at most {NODES_MAX}"),
        )
        .hint("shorten it with ranges, or write it as TOML"),
        BudgetBreach::Depth { .. } => Diagnostic::error(place, "lists and tables nest too deep"),
        other => Diagnostic::error(place, format!("over a limit of YAML: {other:?}")),
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

fn byte_span(at: &serde_saphyr::Location) -> Range<usize> {
    let span = at.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    start..start + span.byte_len().unwrap_or(0) as usize
}

fn placed(raw: Located, source: &Arc<Source>, path: &str, faults: &mut Vec<Diagnostic>) -> Node {
    let place = Place {
        path: (!path.is_empty()).then(|| path.into()),
        ..Place::new(source, byte_span(&raw.referenced))
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
                .map(|(at, item)| placed(item, source, &format!("{path}[{at}]"), faults))
                .collect(),
        ),
        Raw::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, item)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", key.value);
                    Entry {
                        key_place: Place {
                            path: Some(path.as_str().into()),
                            ..Place::new(source, byte_span(&key.referenced))
                        },
                        key: key.value,
                        node: placed(item, source, &path, faults),
                    }
                })
                .collect(),
        ),
    };
    Node { value, place }
}

fn json_fault(source: &Arc<Source>, error: &serde_json::Error) -> Diagnostic {
    let line_start = source
        .text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum::<usize>();
    let at = line_start + error.column().saturating_sub(1);
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    Diagnostic::error(
        &Place::new(source, at..at + 1),
        format!("not JSON: {message}"),
    )
}
