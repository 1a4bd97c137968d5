//! JSON for programs: documents that name their schema, and the schemas, made from the types that are written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::closed_set;

closed_set! {
    /// JSON that the commands write.
    pub enum Document: "JSON output" {
        /// Summary of `sweep run` and `sweep merge`.
        Run = "run",
        /// Findings of `sweep analyze`.
        Analyze = "analyze",
        /// Answer of `sweep answer`.
        Answer = "answer",
        /// Comparison of `sweep diff`.
        Diff = "diff",
        /// One point, of `sweep explain`.
        Explain = "explain",
        /// One point without its reasons, of `simulate` and `Study.point` in Python.
        Point = "point",
        /// Several points, of `sweep explain --where`.
        Points = "points",
        /// Cases and errors of `sweep validate`.
        Validate = "validate",
        /// State of a run, of `sweep verify`.
        Verify = "verify",
        /// Points of `sweep plan`.
        Plan = "plan",
        /// Names of `sweep list`.
        List = "list",
        /// A line of `--progress json` and of `--log-format json`.
        Progress = "progress",
        /// The file `manifest.json`.
        Manifest = "manifest",
    }
}

/// Key under which a document names its schema.
const SCHEMA: &str = "schema";

/// Version of every document: fields may be added within one, none is removed or gets another meaning.
const VERSION: u32 = 1;

impl Document {
    /// Name with version: `clustersweep.answer/1`.
    pub fn id(self) -> String {
        format!("clustersweep.{self}/{VERSION}")
    }

    /// A document with these fields after the name of its schema.
    ///
    /// # Panics
    /// If the fields cannot be written as a JSON object.
    pub fn of(self, fields: &impl Serialize) -> Value {
        let mut document = Map::from_iter([(SCHEMA.to_owned(), json!(self.id()))]);
        match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => document.extend(fields),
            other => panic!("{self} is no object but {other:?}"),
        }
        Value::Object(document)
    }

    /// JSON Schema (draft 2020-12) of documents with the fields of a type.
    pub(crate) fn schema_with<T: JsonSchema>(self) -> Value {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = settings.into_generator().into_root_schema_for::<T>();
        let name = json!({"const": self.id(), "description": "Name and version of this schema."});
        schema.insert("title".to_owned(), json!(self.id()));
        schema.insert("description".to_owned(), json!(self.meaning()));
        let key = |schema: &mut Map<String, Value>| {
            let properties = schema.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.shift_insert(0, SCHEMA.to_owned(), name.clone());
            }
            let required = schema.entry("required").or_insert_with(|| json!([]));
            if let Some(required) = required.as_array_mut() {
                required.insert(0, json!(SCHEMA));
            }
        };
        let schema = schema.ensure_object();
        key(schema);
        let mut schema = Value::Object(std::mem::take(schema));
        without_links(&mut schema);
        schema
    }
}

/// Takes the marks of links to Rust's items, as [`Document`], from the descriptions of a schema.
fn without_links(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text
                            .replace("[`", "`")
                            .replace("`]", "`")
                            .replace('\n', " ");
                    }
                    value => without_links(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_links),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Pairs written as an object, with each first value as the name of the second.
pub(crate) mod by_name {
    use super::{JsonSchema, SchemaGenerator, Serialize};
    use schemars::{Schema, json_schema};
    use serde::Serializer;

    /// Writes the pairs.
    ///
    /// # Errors
    /// If the serializer refuses.
    pub(crate) fn serialize<N: ToString, V: Serialize, S: Serializer>(
        pairs: &[(N, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name.to_string(), value)))
    }

    /// Schema of an object whose values are of a type.
    pub(crate) fn schema<V: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<V>(),
        })
    }
}

/// Gives a type the JSON Schema of the one that it is written as.
macro_rules! written_as {
    ($type:ty, $written:ty) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$written as schemars::JsonSchema>::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$written as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}
pub(crate) use written_as;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema, Serialize)]
    struct Sample {
        /// Time of one step, see [`Document`].
        step_time_s: Option<f64>,
    }

    #[test]
    fn a_document_begins_with_its_schema_and_the_schema_asks_for_it() {
        let document = Document::Answer.of(&Sample { step_time_s: None });
        assert_eq!(
            document.to_string(),
            r#"{"schema":"clustersweep.answer/1","step_time_s":null}"#
        );
        let schema = Document::Answer.schema_with::<Sample>();
        assert_eq!(schema["required"], json!(["schema", "step_time_s"]));
        assert_eq!(
            schema["properties"]["schema"]["const"],
            "clustersweep.answer/1"
        );
        let field = &schema["properties"]["step_time_s"];
        assert_eq!(field["description"], "Time of one step, see `Document`.");
        assert_eq!(field["type"], json!(["number", "null"]));
    }
}
