//! Types of the Python package that follow from the catalogue: axes and columns. They are text that is kept, as the
//! golden files are: `UPDATE_GOLDEN=1 cargo test --test it golden` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clustersweep::commands::{Listed, list};
use serde_json::Value;

use crate::golden::kept_or_written;

const PACKAGE: &str = "python/python/clustersweep";

/// Axes whose values a dict can define.
const DEFINABLE: [&str; 6] = ["gpu", "model", "cluster", "stack", "topology", "collective"];

fn listed(what: Listed) -> Vec<Value> {
    let listed = list(what, &[], None).unwrap().json();
    listed["entries"].as_array().unwrap().clone()
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item[field].as_str().unwrap_or_default()
}

fn python_type(column: &Value) -> &'static str {
    match text(column, "type") {
        "i64" => "int",
        "f64" => "float",
        "bool" => "bool",
        "text" => "str",
        other => panic!("a type that Python does not have: {other}"),
    }
}

/// Meaning of an axis or a column, with its unit, as the docstring under its name.
fn docstring(item: &Value) -> String {
    let meaning = text(item, "meaning")
        .replace('\\', "\\\\")
        .replace('"', "'");
    match text(item, "unit") {
        "" | "1" => format!("    \"\"\"{meaning}\"\"\"\n"),
        unit => format!("    \"\"\"{meaning} Unit: {unit}.\"\"\"\n"),
    }
}

fn axes() -> String {
    let mut page = String::from(
        "\"\"\"Axes of a spec with the types of their values. Written by `UPDATE_GOLDEN=1 cargo test --test it golden`.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from collections.abc import Mapping\n\
         from typing import Any, TypedDict, Union\n\n\
         from .reports import Model\n\n\n\
         class Axes(TypedDict, total=False):\n    \
         \"\"\"One value per axis; `catalog(\"axes\")` tells more of each.\"\"\"\n\n",
    );
    let columns = listed(Listed::Columns);
    for axis in listed(Listed::Axes) {
        let name = text(&axis, "name");
        let column = columns.iter().find(|column| text(column, "name") == name);
        let mut types = vec![column.map_or("str", python_type)];
        if types == ["float"] {
            types.insert(0, "int");
        }
        // Sizes and rates are also written with their unit, and most axes take `auto`.
        if !types.contains(&"str") {
            types.push("str");
        }
        if DEFINABLE.contains(&name) {
            types.push("Mapping[str, Any]");
        }
        if name == "model" {
            types.push("Model");
        }
        let annotation = match &types[..] {
            [only] => (*only).to_owned(),
            several => format!("Union[{}]", several.join(", ")),
        };
        write!(page, "    {name}: {annotation}\n{}", docstring(&axis)).unwrap();
    }
    page
}

fn columns() -> String {
    let mut page = String::from(
        "\"\"\"Columns of a point with their types. Written by `UPDATE_GOLDEN=1 cargo test --test it golden`.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from typing import Optional\n\n\n\
         class StepColumns:\n    \
         \"\"\"Every column of `points.parquet`; `None` where one does not apply.\"\"\"\n\n",
    );
    let mut seen = BTreeSet::new();
    let of_points = |column: &Value| column["file"] == "points.parquet";
    for column in listed(Listed::Columns).into_iter().filter(of_points) {
        let name = text(&column, "name").to_owned();
        let plain = python_type(&column);
        let annotation = match name.as_str() {
            "point" | "status" => plain.to_owned(),
            _ => format!("Optional[{plain}]"),
        };
        // Both kinds of study have the columns of their points and clusters.
        if seen.insert(name.clone()) {
            write!(page, "    {name}: {annotation}\n{}", docstring(&column)).unwrap();
        }
    }
    page
}

#[test]
fn golden_types_of_the_python_package_know_every_axis_and_column() {
    for (name, page) in [("_axes.py", axes()), ("_columns.py", columns())] {
        kept_or_written(&format!("{PACKAGE}/{name}"), &page);
    }
}
