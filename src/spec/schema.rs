//! JSON Schema of a spec, for editors: completion, hover texts, red lines before the first run.

use serde_json::{Map, Value, json};

use crate::catalog::{self, Catalog, Kind};
use crate::spec::axis::{AXES, AxisInfo, Domain};
use crate::spec::keys::{Key, MEASURED, MEASURED_FILE, SHARED, SWEEP, Shape, TableKeys};
use crate::spec::scalars::{AMOUNT_MAX, COUNT_MAX, FACTOR_MAX};

/// Returns the schema (draft 2020-12) of a spec. Names of the catalogue are examples, since a spec may
/// define others.
pub(crate) fn schema(catalog: &Catalog) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sweep",
        "description": "A sweep of clustersweep: which points are simulated, and how they are judged.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties(SWEEP.iter().chain(SHARED)),
        "$defs": {
            "axes": axes(catalog, many),
            "values": axes(catalog, one),
            "measured": measured(catalog),
        },
    })
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(fields) = schema.as_object_mut().filter(|_| !description.is_empty()) {
        fields.insert("description".to_owned(), json!(description));
    }
    schema
}

fn one_or_several(item: &Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

fn properties<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Map<String, Value> {
    keys.into_iter()
        .map(|key| {
            (
                key.name.to_owned(),
                described(key_schema(key.shape), key.doc),
            )
        })
        .collect()
}

fn key_schema(shape: Shape) -> Value {
    let text = json!({ "type": "string" });
    match shape {
        Shape::Text => text,
        Shape::FileName => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$" }),
        Shape::Texts => one_or_several(&text),
        Shape::TextList => json!({ "type": "array", "items": text }),
        Shape::OneOf(names, default) => json!({ "enum": names, "default": default }),
        Shape::Fraction => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        Shape::Share => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        Shape::AtLeastOne => {
            json!({ "type": "number", "minimum": 1, "maximum": FACTOR_MAX })
        }
        Shape::Positive => {
            json!({ "type": "number", "exclusiveMinimum": 0, "maximum": AMOUNT_MAX })
        }
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::LogAxes => {
            let axis = json!({ "enum": ["x", "y"] });
            json!({ "anyOf": [{ "type": "boolean" }, axis, { "type": "array", "items": axis }] })
        }
        Shape::Count => {
            json!({ "type": "integer", "minimum": 1, "maximum": COUNT_MAX as u64 })
        }
        Shape::Axes => one_or_several(&json!({ "$ref": "#/$defs/axes" })),
        Shape::Points => one_or_several(&json!({ "$ref": "#/$defs/values" })),
        Shape::Values => json!({ "$ref": "#/$defs/values" }),
        Shape::Measured => one_or_several(&json!({ "$ref": "#/$defs/measured" })),
        Shape::Catalog(kind) => catalog::schema(kind),
        Shape::Table(keys) => table(keys),
        Shape::Prices => {
            let lists = catalog::schema(Kind::Prices);
            json!({ "anyOf": [text, lists["additionalProperties"], lists] })
        }
        Shape::Named(keys) => json!({ "type": "object", "additionalProperties": table(keys) }),
        Shape::TableList(keys) => json!({ "type": "array", "items": table(keys) }),
    }
}

fn table(of: &TableKeys) -> Value {
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties(of.keys),
    });
    if !of.required.is_empty() {
        schema["required"] = json!(of.required);
    }
    if !of.one_of.is_empty() {
        let each = of.one_of.iter().map(|key| json!({ "required": [key] }));
        schema["oneOf"] = each.collect();
    }
    schema
}

/// A table of axes, each with the schema that `of` gives it.
fn axes(catalog: &Catalog, of: fn(&AxisInfo, &Catalog) -> Value) -> Value {
    let axes: Map<String, Value> = AXES
        .iter()
        .map(|info| {
            let default = info.default.words();
            let doc = if default.is_empty() {
                info.doc.to_owned()
            } else {
                format!("{} Default: {default}.", info.doc)
            };
            (info.axis.to_string(), described(of(info, catalog), &doc))
        })
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": axes })
}

/// A measured run, or a file of them.
fn measured(catalog: &Catalog) -> Value {
    let mut run = axes(catalog, one);
    let times = MEASURED
        .iter()
        .filter(|key| matches!(key.shape, Shape::Positive));
    run["oneOf"] = times.map(|key| json!({ "required": [key.name] })).collect();
    if let Some(keys) = run["properties"].as_object_mut() {
        keys.extend(properties(MEASURED));
    }
    let file = TableKeys {
        keys: MEASURED_FILE,
        required: &[],
        one_of: &["file", "csv"],
    };
    json!({ "anyOf": [run, table(&file)] })
}

/// Schema of one value of an axis.
fn one(info: &AxisInfo, catalog: &Catalog) -> Value {
    let value = match info.domain {
        Domain::Catalog(kind) => json!({ "type": "string", "examples": catalog.names(kind) }),
        Domain::Closed(names) => json!({ "enum": names }),
        Domain::Several(names, none) => {
            let one = names.join("|");
            let several = format!("({one})( *\\+ *({one}))*");
            let pattern = if none {
                format!("^(none|{several})$")
            } else {
                format!("^{several}$")
            };
            json!({ "type": "string", "pattern": pattern, "examples": names })
        }
        Domain::Custom(kind) => json!({ "type": "string", "examples": kind.built_in() }),
        Domain::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Domain::Real { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Domain::Bool => json!({ "type": "boolean" }),
        Domain::Size => json!({ "type": "string", "examples": ["8 B", "64 MiB"] }),
        Domain::Power => json!({ "type": "string", "examples": ["500 W"] }),
        Domain::Stages => json!({ "type": "string", "examples": ["4,6×14,5"] }),
    };
    if info.takes_auto() {
        json!({ "anyOf": [value, { "const": "auto" }] })
    } else {
        value
    }
}

/// Schema of one value, a list of them, or a range.
fn many(info: &AxisInfo, catalog: &Catalog) -> Value {
    let value = one(info, catalog);
    let list = json!({ "type": "array", "items": value, "minItems": 1 });
    let end = match info.domain {
        Domain::Int { .. } => "integer",
        Domain::Real { .. } => "number",
        Domain::Size | Domain::Power => "string",
        Domain::Catalog(_)
        | Domain::Closed(_)
        | Domain::Several(..)
        | Domain::Custom(_)
        | Domain::Bool
        | Domain::Stages => return json!({ "anyOf": [value, list] }),
    };
    let end = json!({ "type": end });
    let range = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["from", "to"],
        "properties": {
            "from": end,
            "to": end,
            "times": { "type": "number", "exclusiveMinimum": 1 },
            "step": end,
        },
        "oneOf": [{ "required": ["times"] }, { "required": ["step"] }],
    });
    json!({ "anyOf": [value, list, range] })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spec::source::Syntax;
    use crate::spec::{Overrides, Spec};

    fn keys<'a>(schema: &'a Value, pointer: &str) -> BTreeSet<&'a str> {
        let object = schema.pointer(pointer).and_then(Value::as_object);
        object
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_schema_knows_every_axis() {
        let schema = schema(Catalog::builtin());
        let axes: BTreeSet<&str> = AXES.iter().map(|info| info.axis.as_str()).collect();
        assert_eq!(keys(&schema, "/$defs/axes/properties"), axes);
        assert_eq!(keys(&schema, "/$defs/values/properties"), axes);
    }

    // No key takes a date, so the reader of every key that the schema knows has to refuse one there.
    #[test]
    fn every_key_of_the_schema_is_read() {
        let schema = schema(Catalog::builtin());
        let network = "/properties/topologies/additionalProperties/properties";
        for (pointer, prefix) in [
            ("/properties/analysis/properties".to_owned(), "analysis."),
            (
                "/properties/analysis/properties/thresholds/properties".to_owned(),
                "analysis.thresholds.",
            ),
            ("/properties/question/properties".to_owned(), "question."),
            (network.to_owned(), "topologies.x."),
            (
                "/properties/collectives/additionalProperties/properties".to_owned(),
                "collectives.x.",
            ),
            (
                "/properties/metrics/additionalProperties/properties".to_owned(),
                "metrics.x.",
            ),
            (
                "/properties/charts/additionalProperties/properties".to_owned(),
                "charts.x.",
            ),
            ("/$defs/measured/anyOf/1/properties".to_owned(), "measured."),
        ] {
            let keys = keys(&schema, &pointer);
            assert!(keys.len() > 1, "{pointer}");
            for key in keys {
                let text = format!("{prefix}{key} = 2024-01-01");
                let read = Spec::parse("a.toml", &text, Syntax::Toml, &Overrides::default());
                let message = read.expect_err(&text).to_string();
                assert!(message.contains("not the date"), "{text}: {message}");
            }
        }
    }

    #[test]
    fn every_reference_of_the_schema_leads_somewhere() {
        let schema = schema(Catalog::builtin());
        let mut open = vec![&schema];
        let mut references = 0;
        while let Some(value) = open.pop() {
            if let Some(path) = value.get("$ref").and_then(Value::as_str) {
                let target = path.strip_prefix('#').and_then(|path| schema.pointer(path));
                assert!(target.is_some(), "{path}");
                references += 1;
            }
            match value {
                Value::Object(fields) => open.extend(fields.values()),
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        // grid, zip, point and measured name their table twice each, defaults once.
        assert_eq!(references, 9);
    }
}
