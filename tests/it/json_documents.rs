//! JSON of every command against the schema that `sweep schema --of` prints.

use std::collections::BTreeSet;

use clustersweep::commands::PointReport;
use clustersweep::spec::{Overrides, Spec};
use serde_json::Value;

use crate::desk::{Desk, FABRIC};

/// Keys of an object that a schema names; `None` where it takes any.
type Known = Option<BTreeSet<String>>;

/// Holds a value against a schema (the keywords that these schemas use), and returns the keys that it names.
fn check(root: &Value, schema: &Value, value: &Value) -> Result<Known, String> {
    let Some(keywords) = schema.as_object() else {
        return Ok(None);
    };
    let mut known = Some(BTreeSet::new());
    let mut also = |more: Known| match (&mut known, more) {
        (Some(known), Some(more)) => known.extend(more),
        (_, None) => known = None,
        (None, _) => {}
    };
    for (keyword, says) in keywords {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" => {}
            "$ref" => {
                let place = says.as_str().unwrap().trim_start_matches('#');
                also(check(root, root.pointer(place).unwrap(), value)?);
            }
            "const" if says == value => {}
            "enum" if says.as_array().unwrap().contains(value) => {}
            "minimum" if value.as_f64().is_none_or(|it| it >= says.as_f64().unwrap()) => {}
            "type"
                if says.as_array().map_or_else(
                    || is_a(says, value),
                    |any| any.iter().any(|it| is_a(it, value)),
                ) => {}
            "required" => {
                let missing = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = says.as_array().unwrap().iter().find(missing) {
                    return Err(format!("{name} is missing in {value}"));
                }
            }
            "properties" => {
                for (name, schema) in says.as_object().unwrap() {
                    value
                        .get(name)
                        .map_or(Ok(()), |it| closed(root, schema, it))?;
                    also(Some(BTreeSet::from([name.clone()])));
                }
            }
            "additionalProperties" => {
                let own = keywords.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if own.is_none_or(|own| !own.contains_key(name)) {
                        closed(root, says, value)?;
                        also(Some(BTreeSet::from([name.clone()])));
                    }
                }
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    closed(root, says, item)?;
                }
            }
            "anyOf" | "oneOf" => {
                let fits = branches(root, says, value, keyword == "oneOf")?;
                fits.into_iter().for_each(&mut also);
            }
            "const" | "enum" | "minimum" | "type" => {
                return Err(format!("{value} is not {keyword} {says}"));
            }
            other => panic!("this test does not know the keyword {other}"),
        }
    }
    Ok(known)
}

/// Keys that the branches which fit a value name.
fn branches(root: &Value, all: &Value, value: &Value, is_one: bool) -> Result<Vec<Known>, String> {
    let all = all.as_array().unwrap().iter();
    let fits: Vec<Known> = all.filter_map(|it| check(root, it, value).ok()).collect();
    if fits.is_empty() || (is_one && fits.len() > 1) {
        return Err(format!("{} branches fit {value}", fits.len()));
    }
    Ok(fits)
}

fn is_a(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    }
}

/// Holds a value against a schema that has to name every key of it.
fn closed(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let known = check(root, schema, value)?;
    let unknown = |name: &&String| known.as_ref().is_some_and(|known| !known.contains(*name));
    match value
        .as_object()
        .and_then(|fields| fields.keys().find(unknown))
    {
        None => Ok(()),
        Some(name) => Err(format!("`{name}` is not in the schema, in {value}")),
    }
}

fn schema(desk: &Desk, of: &str) -> Value {
    serde_json::from_str(&desk.sweep(&["schema", "--of", of]).expect_code(0).stdout).unwrap()
}

/// Holds a document against its schema, which it names.
fn expect_valid(desk: &Desk, of: &str, document: &Value) {
    assert_eq!(document["schema"], format!("clustersweep.{of}/1"));
    let schema = schema(desk, of);
    if let Err(fault) = closed(&schema, &schema, document) {
        panic!("{of}: {fault}");
    }
    // Named fields only: no pair stands for a name and its value.
    let text = document.to_string();
    assert!(!text.contains("[[\""), "{of}: {text}");
}

const ASKED: &str = r#"
name = "asked"
description = "Which, how many, what cost?"
[grid]
gpu = ["h100-sxm", "b200"]
nodes = [1, 2, 16, 128]
model = ["llama3-8b", "llama3-70b"]
global_batch = 128
[question]
tokens = 1e11
deadline = "60 days"
budget = "900000 USD"
confidence = 0.8
"#;

#[test]
fn what_commands_write_fits_the_schema_that_it_names() {
    let desk = Desk::new();
    desk.write("asked.toml", ASKED);
    desk.write("fabric.toml", FABRIC);
    let said = |arguments: &[&str]| -> Value {
        let ended = desk.sweep(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", ended.stderr))
    };
    for (of, arguments) in [
        ("plan", "plan asked.toml --where gpus<=128"),
        ("run", "run asked.toml -o run"),
        ("run", "run fabric.toml -o fabric"),
        ("run", "run asked.toml -o shard --shard 1/2"),
        ("analyze", "analyze run"),
        ("analyze", "analyze run shard -o both"),
        ("analyze", "analyze run --x gpu -o by-gpu"),
        ("analyze", "analyze fabric"),
        ("answer", "answer run"),
        ("answer", "answer run --deadline 1d"),
        ("diff", "diff run shard"),
        ("explain", "explain run 2"),
        ("explain", "explain run 1"),
        ("explain", "explain run 2 --what-if gpus=8"),
        ("explain", "explain fabric 0"),
        ("points", "explain run --where gpu=='b200'"),
        ("verify", "verify run"),
        ("list", "list gpus"),
        ("list", "list models llama3-8b"),
        ("list", "list stacks current"),
        ("list", "list prices"),
        ("list", "list axes"),
        ("list", "list columns"),
        ("list", "list topologies"),
        ("list", "list collectives"),
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        expect_valid(&desk, of, &said(&words));
    }
    for spec in ["asked.toml", "fabric.toml"] {
        let spec = Spec::load(&desk.path(spec), &Overrides::default()).unwrap();
        expect_valid(&desk, "point", &PointReport::of(&spec, 0).unwrap().json());
    }
    expect_valid(&desk, "manifest", &desk.json("run/manifest.json"));
    desk.write(
        "mine.csv",
        "id,gpu,gpus,model,global_batch,measured_step_time_s\nmine,h100-sxm,8,llama3-8b,64,6.0\n",
    );
    expect_valid(&desk, "validate", &said(&["validate", "mine.csv"]));
}

// A value that is named twice warns; a second run of the folder resumes; a wrong one ends with an error.
#[test]
fn every_line_for_programs_fits_its_schema_to_the_end() {
    let desk = Desk::new();
    desk.write("asked.toml", ASKED.replace("[1, 2,", "[1, 2, 2,"));
    let lines = |arguments: &str, code: i32| {
        let words: Vec<&str> = arguments.split(' ').collect();
        let ended = desk.sweep(&words).expect_code(code);
        let events = ended.stderr.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            expect_valid(&desk, "progress", &event);
            let name = event["event"].as_str().unwrap().to_owned();
            let level = event["level"].as_str().unwrap_or_default().to_owned();
            (name, level)
        });
        events.collect::<Vec<_>>()
    };
    let event = |name: &str, level: &str| (name.to_owned(), level.to_owned());
    let first = lines("run asked.toml -v -o run --limit 4 --progress json", 0);
    assert!(first.contains(&event("log", "warning")), "{first:?}");
    assert!(first.contains(&event("log", "info")), "{first:?}");
    assert!(first.contains(&event("finished", "")), "{first:?}");
    let again = lines("run asked.toml -o run --log-format json", 3);
    assert_eq!(again, [event("log", "warning"), event("log", "error")]);
    let answered = lines("answer asked.toml -o answered --progress json --refine", 0);
    for name in ["progress", "finished"] {
        assert!(answered.contains(&event(name, "")), "{answered:?}");
    }
}

#[test]
fn the_schema_of_a_spec_stands_beside_those_of_documents() {
    let desk = Desk::new();
    let spec = desk.sweep(&["schema"]).expect_code(0).stdout;
    assert_eq!(
        desk.sweep(&["schema", "--of", "spec"])
            .expect_code(0)
            .stdout,
        spec
    );
    desk.sweep(&["schema", "--of", "speck"])
        .expect_code(2)
        .expect_stderr(&["spec", "manifest"]);
    // Columns are described where they are declared.
    let explain = schema(&desk, "explain");
    let column = &explain["properties"]["step_time_s"]["description"];
    assert!(
        column.as_str().unwrap().contains("optimizer step"),
        "{column}"
    );
}
