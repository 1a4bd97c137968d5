//! Whole results of small specs, and the guide's list of axes, held as text: a change of physics is a diff that a
//! reviewer reads.
//!
//! Each `tests/golden/NAME.toml` is run, and every column of every point that has a value anywhere, with what
//! `sweep explain` says of the point in the first line of the file (`# explain 1`), has to be `NAME.txt` beside it.
//! Floats are in their shortest form that reads back to the same value. After a change that is meant,
//!
//! ```sh
//! UPDATE_GOLDEN=1 cargo test --test it golden
//! ```
//!
//! writes the files anew; `git diff tests/golden` then shows what moved, for the commit's message to say why.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use clustersweep::spec::{Overrides, Spec, Syntax};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde_json::Value;

use crate::desk::Desk;

/// Effort, not results: may change with any optimisation of the simulator.
const EFFORT: [&str; 2] = ["events", "layouts_tried"];

/// Differing lines that are printed of one file.
const SHOWN: usize = 40;

fn specs() -> Vec<PathBuf> {
    let mut specs: Vec<PathBuf> = std::fs::read_dir("tests/golden")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    specs.sort();
    specs
}

/// The results of a spec as text.
fn results(spec: &Path) -> String {
    let text = std::fs::read_to_string(spec).unwrap();
    let (first, _) = text.split_once('\n').unwrap();
    let point = first
        .strip_prefix("# explain ")
        .unwrap_or_else(|| panic!("{} begins with `# explain POINT`", spec.display()));
    let desk = Desk::new();
    desk.write("golden.toml", &text);
    let run = ["run", "golden.toml", "--out", "run", "--progress", "never"];
    desk.sweep(&run).expect_code(0);
    let explained = desk.sweep(&["explain", "run", point]).expect_code(0).stdout;
    let explained: Vec<&str> = explained
        .lines()
        .filter(|line| {
            !EFFORT
                .iter()
                .any(|effort| line.trim_start().starts_with(effort))
        })
        .collect();
    format!(
        "{}\n# sweep explain {point}\n\n{}\n",
        points(&desk.path("run/points.parquet")),
        explained.join("\n")
    )
}

/// One line per column: its name, then its values point by point.
fn points(file: &Path) -> String {
    let file = std::fs::File::open(file).unwrap();
    let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let schema = batches[0].schema();
    let mut out = String::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let arrays = batches.iter().map(|batch| batch.column(index));
        let values: Vec<Option<String>> = arrays
            .flat_map(|array| (0..array.len()).map(move |row| value(array, row)))
            .collect();
        if values.iter().any(Option::is_some) && !EFFORT.contains(&field.name().as_str()) {
            let values: Vec<&str> = values.iter().map(|v| v.as_deref().unwrap_or("–")).collect();
            writeln!(out, "{} = {}", field.name(), values.join(" | ")).unwrap();
        }
    }
    out
}

fn value(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        _ => array_value_to_string(array, row).unwrap(),
    })
}

/// Lines that only one of two texts has.
fn diff(kept: &str, found: &str) -> String {
    let (old, new): (HashSet<&str>, HashSet<&str>) =
        (kept.lines().collect(), found.lines().collect());
    let gone = kept
        .lines()
        .filter(|line| !new.contains(line))
        .map(|line| format!("- {line}"));
    let come = found
        .lines()
        .filter(|line| !old.contains(line))
        .map(|line| format!("+ {line}"));
    gone.chain(come).take(SHOWN).collect::<Vec<_>>().join("\n")
}

/// Page of the guide that lists every axis.
const AXES_PAGE: &str = "docs/axes.md";

/// Beginning of that page.
const AXES_HEAD: &str = "\
# Axes

What a `[grid]`, a `[[zip]]`, a `[[point]]` and `[defaults]` can give, as `sweep list axes` shows it. An axis takes one
value, a list, or a range: `{ from = 1, to = 128, times = 2 }` (1, 2, 4 … 128) or `{ from, to, step }`. `auto` stands
beside values where it is the default. This page is written by `UPDATE_GOLDEN=1 cargo test --test it golden`.
";

/// The page, from what the program says of its axes.
fn axes_page() -> String {
    let listed = Desk::new().sweep(&["list", "axes", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.expect_code(0).stdout).unwrap();
    let axes = listed["entries"].as_array().unwrap().clone();
    let text = |axis: &Value, key: &str| axis[key].as_str().unwrap_or_default().to_owned();
    let mut page = AXES_HEAD.to_owned();
    let mut groups: Vec<String> = axes.iter().map(|axis| text(axis, "group")).collect();
    groups.sort();
    groups.dedup();
    for group in groups {
        writeln!(page, "\n## {group}\n").unwrap();
        writeln!(page, "| axis | meaning | values | left out | for example |").unwrap();
        writeln!(page, "|---|---|---|---|---|").unwrap();
        for axis in axes.iter().filter(|axis| text(axis, "group") == group) {
            let cells = ["name", "meaning", "values", "default", "example"];
            let [name, meaning, values, default, example] = cells.map(|key| text(axis, key));
            let left_out = if default.is_empty() {
                "has to be given"
            } else {
                &default
            };
            let of = match &axis["studies"].as_array().unwrap()[..] {
                [only] if only == "collective" => " Collective studies only.",
                _ => "",
            };
            writeln!(
                page,
                "| `{name}` | {meaning}{of} | {values} | {left_out} | `{example}` |"
            )
            .unwrap();
        }
    }
    page
}

/// Beginning of the page of columns.
const COLUMNS_HEAD: &str = "\
# Columns

What a row of `points.parquet` and of `scaling.parquet` holds, as `sweep list columns` shows it, by kind of study. Unit and meaning stand in the Arrow metadata of each
field too; null is what does not apply. A spec may [add columns](extending.md#a-metric). This page is written by `UPDATE_GOLDEN=1 cargo
test --test it golden`.
";

/// The page of columns, from what the program says of them.
fn columns_page() -> String {
    let listed = Desk::new().sweep(&["list", "columns", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.expect_code(0).stdout).unwrap();
    let columns = listed["entries"].as_array().unwrap();
    let mut page = COLUMNS_HEAD.to_owned();
    let file_of = |column: &Value| (column["file"].clone(), column["study"].clone());
    for of_kind in columns.chunk_by(|a, b| file_of(a) == file_of(b)) {
        let [file, study] = ["file", "study"].map(|key| of_kind[0][key].as_str().unwrap());
        writeln!(page, "\n## {file} of a {study} study\n").unwrap();
        writeln!(
            page,
            "| column | type | unit | meaning | group |\n|---|---|---|---|---|"
        )
        .unwrap();
        for column in of_kind {
            let cells = ["name", "type", "unit", "meaning", "group"];
            let [name, kind, unit, meaning, group] =
                cells.map(|key| column[key].as_str().unwrap().replace('|', "\\|"));
            writeln!(page, "| `{name}` | {kind} | {unit} | {meaning} | {group} |").unwrap();
        }
    }
    page
}

/// Beginning of the page of keys.
const KEYS_HEAD: &str = "\
# Keys of a spec

Every key besides the [axes](axes.md), as `sweep schema` has them; an editor that reads that schema completes and checks them. `NAME` is a name of your own. This page
is written by `UPDATE_GOLDEN=1 cargo test --test it golden`.
";

/// The page of keys, from the schema of a spec.
fn keys_page() -> String {
    let schema = Desk::new().sweep(&["schema"]).expect_code(0).stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut page = KEYS_HEAD.to_owned();
    let mut tables = Vec::new();
    writeln!(
        page,
        "\n## At the top\n\n| key | value | meaning |\n|---|---|---|"
    )
    .unwrap();
    for (key, value) in schema["properties"].as_object().unwrap() {
        push_key(&mut page, key, value);
        tables.extend(tables_of(key, value));
    }
    tables.extend(tables_of_runs(&schema["$defs"]));
    let with_inner = tables.into_iter().flat_map(|(name, keys)| {
        let inner = tables_inside(&name, &keys);
        [(name, keys)].into_iter().chain(inner)
    });
    for (name, keys) in with_inner {
        writeln!(
            page,
            "\n## {name}\n\n| key | value | meaning |\n|---|---|---|"
        )
        .unwrap();
        for (key, value) in &keys {
            push_key(&mut page, key, value);
        }
    }
    page
}

/// The tables inside a table that hold keys of their own, and not tables alone: `[models.NAME.encoder]`.
fn tables_inside(
    name: &str,
    keys: &serde_json::Map<String, Value>,
) -> Vec<(String, serde_json::Map<String, Value>)> {
    let inner = keys.iter().filter_map(|(key, value)| {
        let inner = value["properties"].as_object()?;
        let has_values = inner.values().any(|it| it.get("properties").is_none());
        let name = format!("{}.{key}]", name.strip_suffix(']')?);
        has_values.then(|| (name, inner.clone()))
    });
    inner.collect()
}

/// The tables of `[measured]`: the keys of a run besides its axes, and those of a file of runs.
fn tables_of_runs(defined: &Value) -> Vec<(String, serde_json::Map<String, Value>)> {
    let axes = &defined["values"]["properties"];
    let names = [
        "[measured], besides the axes of a point",
        "[measured], for a file",
    ];
    let tables = defined["measured"]["anyOf"].as_array().unwrap();
    let keys = tables.iter().map(|table| {
        let keys = table["properties"].as_object().unwrap().iter();
        let own = keys.filter(|(key, _)| axes.get(key).is_none());
        own.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    });
    names.map(str::to_owned).into_iter().zip(keys).collect()
}

/// The tables that a key opens, with their keys: `[analysis]`, `[gpus.NAME]`, `[[measured]]`.
fn tables_of(key: &str, value: &Value) -> Option<(String, serde_json::Map<String, Value>)> {
    let table = |value: &Value| value["properties"].as_object().cloned();
    let of_list = || Some((format!("[[{key}]]"), table(&value["items"])?));
    let named = |value: &Value| {
        Some((
            format!("[{key}.NAME]"),
            table(&value["additionalProperties"])?,
        ))
    };
    let mut choices = value["anyOf"].as_array().into_iter().flatten();
    let one = || table(value).map(|keys| (format!("[{key}]"), keys));
    one()
        .or_else(|| named(value))
        .or_else(of_list)
        .or_else(|| choices.find_map(named))
}

fn push_key(page: &mut String, key: &str, value: &Value) {
    let meaning = value["description"]
        .as_str()
        .unwrap_or_default()
        .replace('|', "\\|");
    writeln!(page, "| `{key}` | {} | {meaning} |", value_words(value)).unwrap();
}

/// The values that a schema takes, in words.
fn value_words(value: &Value) -> String {
    let list = |values: &Value| {
        let values = values.as_array().into_iter().flatten();
        let names = values.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>()
    };
    if value["enum"].is_array() {
        return list(&value["enum"]).join(" ");
    }
    if let Some(choices) = value["anyOf"].as_array() {
        let mut words: Vec<String> = choices.iter().map(value_words).collect();
        words.dedup();
        return words.join(" or ");
    }
    if let Some(place) = value["$ref"].as_str() {
        let what = place.rsplit('/').next().unwrap_or_default();
        return match what {
            "axes" => "table of axes".to_owned(),
            "measured" => "table of a measured run, or of a file of them".to_owned(),
            _ => "table of axes, one value each".to_owned(),
        };
    }
    let kind = match value["type"].as_str().unwrap_or_default() {
        "string" => "text",
        "integer" => "whole number",
        "number" => "number",
        "boolean" => "`true` `false`",
        "array" => {
            let items = value_words(&value["items"]);
            return format!("list of {}", items.replacen("table", "tables", 1));
        }
        "object" => "table",
        other => panic!("{other}: {value}"),
    };
    let examples = list(&value["examples"]);
    if examples.is_empty() || examples.len() > 4 {
        kind.to_owned()
    } else {
        format!("{kind}: {}", examples.join(" "))
    }
}

/// Holds a page against the file that is kept of it, or writes that anew where `UPDATE_GOLDEN` is set.
pub(crate) fn kept_or_written(path: &str, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == found,
        "axes or columns changed; UPDATE_GOLDEN=1 writes {path} anew:\n{}",
        diff(&kept, found)
    );
}

#[test]
fn the_guide_lists_every_axis_key_and_column() {
    kept_or_written(AXES_PAGE, &axes_page());
    kept_or_written("docs/columns.md", &columns_page());
    kept_or_written("docs/keys.md", &keys_page());
}

// Each example in place of the axis of a spec that has everything else.
#[test]
fn every_example_of_an_axis_is_a_line_of_a_spec() {
    const TRAINING: &[&str] = &[
        "gpu = 'h100-sxm'",
        "nodes = 8",
        // It has every part that can be frozen.
        "model = 'llava-1.5-7b'",
        "global_batch = 512",
    ];
    const COLLECTIVE: &[&str] = &[
        "gpu = 'h100-sxm'",
        "nodes = 2",
        "op = 'all-reduce'",
        "size = '1 MiB'",
    ];
    let listed = Desk::new().sweep(&["list", "axes", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.expect_code(0).stdout).unwrap();
    let axes = listed["entries"].as_array().unwrap().clone();
    for axis in axes {
        let (name, example) = (
            axis["name"].as_str().unwrap(),
            axis["example"].as_str().unwrap(),
        );
        let study = axis["studies"][0].as_str().unwrap();
        let others = if study == "training" {
            TRAINING
        } else {
            COLLECTIVE
        };
        // Of an exclusive pair the spec gives one.
        let replaced = match name {
            "gpus" => "nodes",
            "batch_per_gpu" => "global_batch",
            other => other,
        };
        let others = others
            .iter()
            .filter(|line| line.split(' ').next() != Some(replaced));
        let lines: Vec<&str> = others.copied().chain([example]).collect();
        let text = format!("kind = '{study}'\n[grid]\n{}", lines.join("\n"));
        let spec = Spec::parse("example", &text, Syntax::Toml, &Overrides::default());
        let spec = spec.unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert!(spec.plan().len() > 0, "{text}");
    }
}

#[test]
fn the_list_of_axes_fits_a_terminal() {
    let listed = Desk::new().sweep(&["list", "axes"]).expect_code(0).stdout;
    for line in listed.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn whole_results_are_those_that_were_reviewed() {
    let specs = specs();
    assert!(specs.len() >= 12, "the folder holds a dozen specs");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut moved = String::new();
    let found: Vec<String> = specs.par_iter().map(|spec| results(spec)).collect();
    for (spec, found) in specs.iter().zip(found) {
        let file = spec.with_extension("txt");
        if update {
            std::fs::write(&file, &found).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        if kept != found {
            writeln!(moved, "── {}\n{}\n", file.display(), diff(&kept, &found)).unwrap();
        }
    }
    assert!(
        moved.is_empty(),
        "results moved; if that is meant, UPDATE_GOLDEN=1 writes them anew:\n{moved}"
    );
}
