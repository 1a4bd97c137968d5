//! JSON Schema of a spec, for editors: completion, hover texts, red lines before the first run.

use serde_json::{Map, Value, json};

use crate::catalog::{self, Catalog, Kind};
use crate::hardware::DeviceUnit;
use crate::spec::axis::{AXES, AxisInfo, Domain, StudyKind};

/// The schema (draft 2020-12) of a spec; names of the catalogue are examples, since a spec may define
/// its own.
pub fn schema(catalog: &Catalog) -> Value {
    let mut properties = heading();
    properties.insert(
        "grid".to_owned(),
        one_or_several(
            "axes",
            "Cartesian product of its axes, the last fastest; several are united.",
        ),
    );
    properties.insert(
        "zip".to_owned(),
        one_or_several(
            "axes",
            "Axes that advance together; multiplied with every grid.",
        ),
    );
    properties.insert(
        "point".to_owned(),
        one_or_several("values", "One explicit point besides the grid."),
    );
    properties.insert(
        "defaults".to_owned(),
        described(
            json!({ "$ref": "#/$defs/values" }),
            "Values for axes that grid, zip and point leave out.",
        ),
    );
    properties.insert("analysis".to_owned(), analysis());
    for kind in Kind::ALL {
        properties.insert(kind.as_str().to_owned(), catalog::schema(*kind));
    }
    properties.insert("topologies".to_owned(), topologies());
    properties.insert("collectives".to_owned(), collectives());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sweep",
        "description": "A sweep of clustersweep: which points are simulated, and how they are judged.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": {
            "axes": table(catalog, many),
            "values": table(catalog, one),
        },
    })
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), json!(description));
    }
    schema
}

fn one_or_several(table: &str, description: &str) -> Value {
    let reference = json!({ "$ref": format!("#/$defs/{table}") });
    json!({
        "description": description,
        "anyOf": [reference, { "type": "array", "items": reference }],
    })
}

fn texts(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    })
}

/// What stands at the top besides tables.
fn heading() -> Map<String, Value> {
    let mut properties = Map::new();
    let mut put = |key: &str, schema: Value| properties.insert(key.to_owned(), schema);
    put("$schema", json!({ "type": "string" }));
    put(
        "name",
        json!({
            "description": "Name of the run folder; by default that of the file.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,100}$",
        }),
    );
    put(
        "description",
        json!({
            "description": "The question that the sweep answers.",
            "type": "string",
        }),
    );
    put(
        "kind",
        json!({
            "description": "What one point is.",
            "enum": StudyKind::NAMES,
            "default": StudyKind::Training.as_str(),
        }),
    );
    put(
        "where",
        texts("Clauses like `gpus <= 1024`; a point stays when all hold."),
    );
    put(
        "include",
        texts("Files with own tables, [defaults] and [analysis], relative to this one."),
    );
    properties
}

fn analysis() -> Value {
    let fraction = |description: &str| {
        json!({
            "description": description,
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
        })
    };
    let positive = |description: &str| json!({ "description": description, "type": "number", "exclusiveMinimum": 0 });
    let text = |description: &str| json!({ "description": description, "type": "string" });
    json!({
        "description": "How findings are made.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "efficiency_threshold": fraction("Breakdown: the size from which efficiency stays below it (0.8)."),
            "tokens": positive("Tokens of the whole training, for its time and cost."),
            "node_mtbf_hours": positive("Mean time between failures of one node, in hours."),
            "checkpoint_size": text("Size of a checkpoint: \"500 GB\"."),
            "checkpoint_bandwidth": text("Rate at which a checkpoint is written: \"20 GB/s\"."),
            "restart_time": text("Time from a failure to the next step: \"300 s\"."),
            "thresholds": {
                "description": "Fractions from which a bottleneck is listed.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "gpu_utilization": fraction("GPU utilisation (0.8)."),
                    "memory": fraction("Peak memory over capacity (0.7)."),
                    "exposed_communication": fraction("Exposed communication over the step (0.3)."),
                    "bubble": fraction("Pipeline bubble over the step (0.15)."),
                },
            },
        },
    })
}

/// Own networks: devices, switches and links.
fn topologies() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let names = |description: &str| {
        json!({
            "description": description,
            "type": "array",
            "items": { "type": "string" },
        })
    };
    let link = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["from", "to", "bandwidth"],
        "properties": {
            "from": text("Device or switch at one end."),
            "to": text("Device or switch at the other end."),
            "bandwidth": text("Of one link and direction: \"400 Gbit/s\"."),
            "latency": text("Of one passage: \"1 us\"; all links have one, or none for the fabric's."),
            "one_way": described(json!({ "type": "boolean" }), "Whether it carries nothing back (false)."),
            "count": described(json!({ "type": "integer", "minimum": 1 }), "Alike links of a bundle (1)."),
        },
    });
    json!({
        "description": "Own networks between nodes by name.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "required": ["devices", "links"],
            "properties": {
                "devices": names("Names of the devices, in the order of a job's nodes."),
                "devices_are": described(
                    json!({ "enum": DeviceUnit::NAMES }),
                    "What a device stands for: a node with all its NICs, or one NIC (nodes).",
                ),
                "switches": names("Names of the switches."),
                "links": { "type": "array", "items": link },
            },
        },
    })
}

/// Own schedules.
fn collectives() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    json!({
        "description": "Own collective algorithms by name.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "file": text("Schedule file, rounds of transfers or MSCCL XML, relative to this one."),
                "schedule": text("The schedule itself, in place of a file."),
            },
            "oneOf": [{ "required": ["file"] }, { "required": ["schedule"] }],
        },
    })
}

/// A table of axes, each with the schema that `of` gives it.
fn table(catalog: &Catalog, of: fn(&AxisInfo, &Catalog) -> Value) -> Value {
    let axes: Map<String, Value> = AXES
        .iter()
        .map(|info| {
            let default = if info.default.is_empty() {
                String::new()
            } else {
                format!(" Default: {}.", info.default)
            };
            let text = format!("{}{default}", info.doc);
            (info.axis.to_string(), described(of(info, catalog), &text))
        })
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": axes })
}

/// One value of an axis.
fn one(info: &AxisInfo, catalog: &Catalog) -> Value {
    let value = match info.domain {
        Domain::Catalog(kind) => json!({ "type": "string", "examples": catalog.names(kind) }),
        Domain::Closed(names) => json!({ "enum": names }),
        Domain::Own(kind) => json!({ "type": "string", "examples": kind.built_in() }),
        Domain::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Domain::Real { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Domain::Bool => json!({ "type": "boolean" }),
        Domain::Size => json!({ "type": "string", "examples": ["8 B", "64 MiB"] }),
        Domain::Stages => json!({ "type": "string", "examples": ["4,6×14,5"] }),
    };
    if info.auto {
        json!({ "anyOf": [value, { "const": "auto" }] })
    } else {
        value
    }
}

/// One value, a list of them, or a range.
fn many(info: &AxisInfo, catalog: &Catalog) -> Value {
    let value = one(info, catalog);
    let mut ways = vec![
        value.clone(),
        json!({ "type": "array", "items": value, "minItems": 1 }),
    ];
    let end = match info.domain {
        Domain::Int { .. } => json!({ "type": "integer" }),
        Domain::Real { .. } => json!({ "type": "number" }),
        Domain::Size => json!({ "type": "string" }),
        Domain::Catalog(_) | Domain::Closed(_) | Domain::Own(_) | Domain::Bool | Domain::Stages => {
            return json!({ "anyOf": ways });
        }
    };
    ways.push(json!({
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
    }));
    json!({ "anyOf": ways })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spec::{own, read, settings};

    fn keys<'a>(schema: &'a Value, pointer: &str) -> BTreeSet<&'a str> {
        let object = schema.pointer(pointer).and_then(Value::as_object);
        object
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_schema_knows_the_keys_that_the_reader_knows() {
        let schema = schema(Catalog::builtin());
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(keys(&schema, "/properties"), set(read::TOP_KEYS));
        assert_eq!(
            keys(&schema, "/properties/analysis/properties"),
            set(settings::KEYS)
        );
        assert_eq!(
            keys(
                &schema,
                "/properties/analysis/properties/thresholds/properties"
            ),
            set(settings::THRESHOLD_KEYS)
        );
        let network = "/properties/topologies/additionalProperties/properties";
        assert_eq!(keys(&schema, network), set(own::topologies::KEYS));
        assert_eq!(
            keys(&schema, &format!("{network}/links/items/properties")),
            set(own::topologies::LINK_KEYS)
        );
        assert_eq!(
            keys(
                &schema,
                "/properties/collectives/additionalProperties/properties"
            ),
            set(own::collectives::KEYS)
        );
        let axes: BTreeSet<&str> = AXES.iter().map(|info| info.axis.as_str()).collect();
        assert_eq!(keys(&schema, "/$defs/axes/properties"), axes);
        assert_eq!(keys(&schema, "/$defs/values/properties"), axes);
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
        // grid, zip and point name their table twice each, defaults once.
        assert_eq!(references, 7);
    }
}
