//! Every axis, value by value, on small jobs: results change in the direction that the axis' mechanism says.
//!
//! `tests/axis_walks.toml` has the walks, with what each has to show and why. An axis, and a value of a closed set,
//! without a walk fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use toml::{Table, Value};

use crate::desk::{Desk, STEP_PARTS};

/// Axes whose schema shows examples in place of all values.
const OPEN: [&str; 3] = ["size", "power_cap", "layers_per_stage"];
/// Value of an axis that a walk takes from its job.
const LEFT_OUT: &str = "left out";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Walks {
    jobs: BTreeMap<String, Table>,
    walk: Vec<Walk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Walk {
    axis: String,
    job: String,
    /// Other axes, in place of the job's.
    #[serde(default)]
    with: Table,
    /// Derivation of what the walk has to show.
    why: String,
    values: Value,
    /// Column that holds the value itself.
    used: Option<String>,
    /// Words of the reason of values that cannot run.
    #[serde(default)]
    refused: BTreeMap<String, String>,
    #[serde(default)]
    rises: Vec<String>,
    #[serde(default)]
    falls: Vec<String>,
    #[serde(default)]
    climbs: Vec<String>,
    #[serde(default)]
    sinks: Vec<String>,
    #[serde(default)]
    same: Vec<String>,
    #[serde(default)]
    moves: Vec<String>,
    #[serde(default)]
    least_first: Vec<String>,
}

/// How a column goes from one value to the next.
type Holds = fn(f64, f64) -> bool;

/// A table of results, a row a point.
struct Rows(RecordBatch);

impl Rows {
    fn text(&self, column: &str, row: usize) -> Option<String> {
        let array = self.0.column_by_name(column)?;
        (!array.is_null(row)).then(|| array_value_to_string(array, row).unwrap())
    }

    /// Real numbers of a column from one row on; null as none.
    fn numbers(&self, column: &str, from: usize, count: usize) -> Vec<Option<f64>> {
        let array = self.0.column_by_name(column);
        let array = array.unwrap_or_else(|| panic!("there is no column {column}"));
        let reals = cast(&array.slice(from, count), &DataType::Float64).unwrap();
        reals.as_primitive::<Float64Type>().iter().collect()
    }
}

/// All that a spec can name as values of each axis, `auto` included.
fn names() -> BTreeMap<String, BTreeSet<String>> {
    let schema = Desk::new().sweep(&["schema"]).expect_code(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let axes = schema["$defs"]["values"]["properties"].as_object().unwrap();
    let words = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let of = |axis: &str, schema: &serde_json::Value| {
        let whole = [schema.clone()];
        let parts = schema["anyOf"].as_array().map_or(&whole[..], Vec::as_slice);
        let listed = parts.iter().flat_map(|part| {
            let open = OPEN.contains(&axis);
            let examples = part["examples"].as_array().filter(|_| !open);
            let several = part["enum"].as_array().or(examples).into_iter().flatten();
            several.chain(part.get("const")).map(words)
        });
        listed.collect()
    };
    axes.iter()
        .map(|(axis, schema)| (axis.clone(), of(axis, schema)))
        .collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Walk {
    /// Spec that the walk's points stand in. Those that name price lists stand apart: a list that lacks the GPU of any
    /// point is refused.
    fn spec(&self, jobs: &BTreeMap<String, Table>) -> &'static str {
        match self.axis.as_str() {
            "prices" => "prices",
            _ if jobs[&self.job].contains_key("op") => "collective",
            _ => "training",
        }
    }

    /// Values of the walk; names of the catalogue in the order of the schema.
    fn values(&self, names: &BTreeMap<String, BTreeSet<String>>) -> Vec<Value> {
        match &self.values {
            Value::Array(values) => values.clone(),
            _ => names[&self.axis]
                .iter()
                .map(|name| Value::String(name.clone()))
                .collect(),
        }
    }

    /// The point of one value.
    fn point(&self, jobs: &BTreeMap<String, Table>, value: &Value) -> Table {
        let mut point = jobs[&self.job].clone();
        point.extend(self.with.clone());
        point.insert(self.axis.clone(), value.clone());
        point.retain(|_, value| value.as_str() != Some(LEFT_OUT));
        point
    }

    fn trends(&self) -> [(&[String], Holds, &'static str); 6] {
        let trends: [(&[String], Holds, &str); 6] = [
            (&self.rises, |before, after| after > before, "rises"),
            (&self.falls, |before, after| after < before, "falls"),
            (&self.climbs, |before, after| after >= before, "climbs"),
            (&self.sinks, |before, after| after <= before, "sinks"),
            (
                &self.same,
                |before, after| after.total_cmp(&before).is_eq(),
                "same",
            ),
            (
                &self.moves,
                |before, after| after.total_cmp(&before).is_ne(),
                "moves",
            ),
        ];
        trends
    }

    /// What the rows from `first` on show otherwise than the walk says.
    fn faults(&self, rows: &Rows, first: usize, values: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut ran = Vec::new();
        for (row, value) in values.iter().enumerate() {
            let status = rows.text("status", first + row);
            let reason = rows.text("reason", first + row).unwrap_or_default();
            let value = words(value);
            let allowed = match self.refused.get(&value) {
                Some(said) => status.as_deref() == Some("infeasible") && reason.contains(said),
                None if self.values.is_array() => status.as_deref() == Some("ok"),
                None => status.as_deref() != Some("crashed"),
            };
            if !allowed {
                faults.push(format!("{value} is {}: {reason}", status.unwrap()));
            } else if reason.is_empty() {
                ran.push(first + row);
            }
            let used = self
                .used
                .as_ref()
                .and_then(|used| rows.text(used, first + row));
            if used.is_some_and(|used| used != value && value != "auto") {
                faults.push(format!("{value} is not what was used"));
            }
        }
        let column = |name: &String| -> Vec<f64> {
            let all = rows.numbers(name, 0, rows.0.num_rows());
            ran.iter().filter_map(|row| all[*row]).collect()
        };
        for (columns, holds, trend) in self.trends() {
            for name in columns {
                let numbers = column(name);
                let pairs = numbers.windows(2).all(|pair| holds(pair[0], pair[1]));
                if numbers.len() < 2 || !pairs {
                    faults.push(format!("{trend}: {name} {numbers:?}"));
                }
            }
        }
        for name in &self.least_first {
            let numbers = column(name);
            if numbers.len() < 2 || numbers.iter().any(|number| *number < numbers[0]) {
                faults.push(format!("least first: {name} {numbers:?}"));
            }
        }
        faults
    }
}

/// Runs the points of a kind of study.
fn run(kind: &str, points: &[Table]) -> Rows {
    let mut spec = format!("name = \"walks\"\nkind = \"{kind}\"\n");
    for point in points {
        writeln!(spec, "[[point]]\n{point}").unwrap();
    }
    let desk = Desk::new();
    desk.write("walks.toml", spec);
    let arguments = ["run", "walks.toml", "-o", "run", "--progress", "never"];
    desk.sweep(&arguments).expect_code(0);
    let file = std::fs::File::open(desk.path("run/points.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    Rows(concat_batches(&schema, &batches).unwrap())
}

/// Parts of a step and of a memory peak sum to the whole, and no step beats the GPU's peak.
fn invariants(rows: &Rows) -> Vec<String> {
    let count = rows.0.num_rows();
    let all = |column: &str| rows.numbers(column, 0, count);
    let (time, mfu, peak) = (all("step_time_s"), all("mfu"), all("memory_peak_bytes"));
    let sums = |columns: &[&str]| -> Vec<f64> {
        let columns: Vec<_> = columns.iter().map(|column| all(column)).collect();
        let sum = |row: usize| -> f64 {
            columns
                .iter()
                .map(|column| column[row].unwrap_or(0.0))
                .sum()
        };
        (0..count).map(sum).collect()
    };
    let parts = sums(&STEP_PARTS);
    let memory = sums(&[
        "memory_weights_bytes",
        "memory_gradients_bytes",
        "memory_optimizer_bytes",
        "memory_activations_bytes",
        "memory_buffers_bytes",
    ]);
    let holds = |row: &usize| {
        let Some(time) = time[*row] else { return true };
        let (mfu, peak) = (mfu[*row].unwrap(), peak[*row].unwrap());
        (parts[*row] / time - 1.0).abs() < 1e-9
            && 0.0 < mfu
            && mfu < 1.0
            && memory[*row].total_cmp(&peak).is_eq()
    };
    let wrong = (0..count).filter(|row| !holds(row));
    wrong
        .map(|row| format!("point {row}: parts do not sum, or it beats its peak"))
        .collect()
}

#[test]
fn every_axis_moves_results_as_its_mechanism_says() {
    let walks = std::fs::read_to_string("tests/axis_walks.toml").unwrap();
    let Walks { jobs, walk: walks } = toml::from_str(&walks).unwrap();
    let names = names();
    let mut faults = Vec::new();
    for spec in ["training", "prices", "collective"] {
        let of_kind = |walk: &&Walk| walk.spec(&jobs) == spec;
        let walks: Vec<(&Walk, Vec<Value>)> = walks
            .iter()
            .filter(of_kind)
            .map(|walk| (walk, walk.values(&names)))
            .collect();
        let points: Vec<Table> = walks
            .iter()
            .flat_map(|(walk, values)| values.iter().map(|value| walk.point(&jobs, value)))
            .collect();
        let is_training = spec != "collective";
        let rows = run(if is_training { "training" } else { spec }, &points);
        assert_eq!(rows.0.num_rows(), points.len());
        if is_training {
            faults.extend(invariants(&rows));
        }
        let mut first = 0;
        for (walk, values) in &walks {
            for fault in walk.faults(&rows, first, values) {
                faults.push(format!("{} = {fault}\n  {}", walk.axis, walk.why));
            }
            first += values.len();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_value_of_every_axis_is_walked() {
    let walks = std::fs::read_to_string("tests/axis_walks.toml").unwrap();
    let walks: Walks = toml::from_str(&walks).unwrap();
    let names = names();
    let mut walked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for walk in &walks.walk {
        assert!(names.contains_key(&walk.axis), "no axis {}", walk.axis);
        let values = walk.values(&names).into_iter();
        // Names of several are walked in each sum that they are part of.
        let values = values.flat_map(|value| {
            let text = words(&value);
            text.split('+').map(str::to_owned).collect::<Vec<_>>()
        });
        walked.entry(&walk.axis).or_default().extend(values);
        let trends = walk.trends().into_iter().map(|(columns, ..)| columns);
        if !walk.least_first.is_empty() || trends.into_iter().any(|columns| !columns.is_empty()) {
            told.insert(&walk.axis);
        }
    }
    let none = BTreeSet::new();
    for (axis, values) in &names {
        assert!(
            told.contains(axis.as_str()),
            "{axis}: no walk says what changes"
        );
        let walked = walked.get(axis.as_str()).unwrap_or(&none);
        assert!(walked.len() > 1, "{axis}: no walk in tests/axis_walks.toml");
        let missing: Vec<_> = values.difference(walked).collect();
        assert!(missing.is_empty(), "{axis}: {missing:?} are not walked");
    }
}
