//! JSON Schema of catalogue tables, from their keys.

use serde_json::{Map, Value, json};

use crate::data_table::{Key, LONGEST, ValueKind};

use super::{Catalog, Kind};

/// JSON Schema (2020-12) of the tables of one kind: `[gpus]` with an entry under each name.
///
/// No key is required, since an entry may rest on another.
pub(crate) fn schema(kind: Kind) -> Value {
    let mut entry = Map::new();
    entry.insert(
        "base".to_owned(),
        json!({
            "type": "string",
            "description": format!("The {} that this one changes.", kind.singular()),
            "examples": Catalog::builtin().names(kind),
        }),
    );
    if kind == Kind::Models {
        entry.insert(
            "file".to_owned(),
            json!({
                "type": "string",
                "description": "A config.json of Hugging Face's transformers that gives the keys, relative to this file.",
                "examples": ["config.json"],
            }),
        );
    }
    for key in kind.keys() {
        insert(&mut entry, &key.path, key);
    }
    entry.insert(
        "aliases".to_owned(),
        json!({
            "type": "array",
            "items": {"type": "string"},
            "description": format!("Further names of this {}.", kind.singular()),
        }),
    );
    entry.insert(
        "sources".to_owned(),
        json!({
            "type": "object",
            "description": "Where the values are from: a key, or the table it lies in, to text.",
        }),
    );
    json!({
        "type": "object",
        "description": format!("Own or changed {} entries by name.", kind.singular()),
        "additionalProperties": object(&entry),
    })
}

fn object(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// Puts a key's schema at its dotted path, making the tables on the way.
fn insert(properties: &mut Map<String, Value>, path: &str, key: &Key) {
    match path.split_once('.') {
        None => {
            properties.insert(path.to_owned(), value_schema(key));
        }
        Some((table, rest)) => {
            let inner = properties
                .entry(table)
                .or_insert_with(|| object(&Map::new()))
                .get_mut("properties")
                .and_then(Value::as_object_mut)
                .expect("a table's schema has properties, and no key has the name of a table");
            insert(inner, rest, key);
        }
    }
}

fn value_schema(key: &Key) -> Value {
    let mut schema = kind_schema(key.kind);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), key.doc.into());
    }
    schema
}

fn kind_schema(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Text => json!({"type": "string"}),
        ValueKind::TextList => json!({"type": "array", "items": {"type": "string"}}),
        ValueKind::Bytes => quantity("80 GiB"),
        ValueKind::Bandwidth => quantity("400 Gbit/s"),
        ValueKind::Duration => quantity("1.5 us"),
        ValueKind::FlopRate => quantity("989 TFLOP/s"),
        ValueKind::Power => quantity("700 W"),
        ValueKind::Price => {
            json!({"type": "string", "pattern": r"^[0-9.]+ *USD$", "examples": ["2.50 USD"]})
        }
        ValueKind::Amounts => json!({
            "type": "object",
            "additionalProperties": {"anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": "^[0-9.]+ [A-Z]{3}$", "examples": ["2.10 EUR"]},
            ]},
        }),
        ValueKind::Currency => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        ValueKind::Date => {
            json!({"type": "string", "pattern": "^[0-9]{4}(-[0-9]{2}){0,2}$"})
        }
        ValueKind::Month => {
            json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "examples": ["2026-05"]})
        }
        ValueKind::ParameterCount => json!({
            "type": "string",
            "pattern": "^[0-9.]+ (million|billion|trillion)$",
            "examples": ["70.6 billion"],
        }),
        ValueKind::CountTo(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        ValueKind::CountOrZeroTo(most) => json!({"type": "integer", "minimum": 0, "maximum": most}),
        ValueKind::Counts(length) => json!({
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": LONGEST},
            "minItems": length,
            "maxItems": length,
        }),
        ValueKind::Letters(letters) => {
            json!({"type": "string", "pattern": format!("^[{}]+$", letters.concat())})
        }
        ValueKind::Fraction => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ValueKind::RatioTo(most) => json!({"type": "number", "minimum": 1, "maximum": most}),
        ValueKind::NumberTo(most) => json!({"type": "number", "minimum": 0, "maximum": most}),
        ValueKind::Flag => json!({"type": "boolean"}),
        ValueKind::Choice(names) => json!({"enum": names}),
        ValueKind::ChoiceOrAuto(names) => {
            let all: Vec<&str> = ["auto"].into_iter().chain(names.iter().copied()).collect();
            json!({"enum": all})
        }
        ValueKind::Choices(names) => json!({"type": "array", "items": {"enum": names}}),
    }
}

/// A number with a unit behind it.
fn quantity(example: &str) -> Value {
    json!({"type": "string", "pattern": r"^ *[0-9.]", "examples": [example]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_schema_of_its_kind() {
        for kind in Kind::ALL {
            let schema = schema(*kind);
            for key in kind.keys() {
                let pointer = format!(
                    "/additionalProperties/properties/{}",
                    key.path.replace('.', "/properties/")
                );
                let found = schema
                    .pointer(&pointer)
                    .unwrap_or_else(|| panic!("{kind}: {pointer}"));
                assert!(found["description"].is_string(), "{kind}: {pointer}");
            }
        }
    }

    // A number without a largest value is one that some arithmetic cannot take.
    #[test]
    fn every_number_has_a_largest_value() {
        let mut numbers = 0;
        for key in Kind::ALL.iter().flat_map(|kind| kind.keys()) {
            let schema = kind_schema(key.kind);
            let schema = schema.get("items").unwrap_or(&schema);
            if schema["type"] == "number" || schema["type"] == "integer" {
                assert!(schema["maximum"].is_number(), "{}", key.path);
                numbers += 1;
            }
        }
        assert!(numbers > 100, "{numbers}");
    }
}
