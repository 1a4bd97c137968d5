//! Whole results of small specs, held as text: a change of physics is a diff that a reviewer reads.
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
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;

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
