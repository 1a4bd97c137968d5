//! The answer to a planner's question.

mod changes;
mod first_screen;
mod gaps;
mod limits;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::desk::Desk;

/// Two GPUs at five sizes each.
const SPEC: &str = "
name = 'asked'
description = 'Which cluster for 100 billion tokens?'
[grid]
gpu = ['h100-sxm', 'b200']
nodes = [1, 2, 4, 8, 16]
model = 'llama3-8b'
global_batch = 256
[question]
tokens = 1e11
";

/// Arguments of a question, and which rows it leaves.
type Limited<'a> = (&'a [&'a str], &'a dyn Fn(&Row) -> bool);

/// A row of `points.parquet`.
#[derive(Clone, Copy, Debug)]
struct Row {
    point: u64,
    gpus: f64,
    days: f64,
    usd: f64,
}

/// A desk with the question and no run.
pub(crate) fn asked() -> Desk {
    let desk = Desk::new();
    desk.write("asked.toml", SPEC);
    desk
}

/// The answer as JSON of `sweep answer` with some arguments, which ends well.
fn answer(desk: &Desk, arguments: &[&str]) -> Value {
    let answer = ["answer", "--progress", "never", "--format", "json"];
    let ended = desk.sweep(&[&answer, arguments].concat()).expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn rows(desk: &Desk, file: &str) -> Vec<Row> {
    let file = std::fs::File::open(desk.path(file)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batches = builder.build().unwrap().map(Result::unwrap);
    batches.flat_map(|batch| rows_of(&batch)).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| {
        let reals = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
        reals.as_primitive::<Float64Type>().values().to_vec()
    };
    let (point, gpus) = (column("point"), column("gpus"));
    let (days, usd) = (column("days"), column("total_cost_usd"));
    (0..batch.num_rows())
        .map(|row| Row {
            point: point[row] as u64,
            gpus: gpus[row],
            days: days[row],
            usd: usd[row],
        })
        .collect()
}

fn point(row: &Value) -> Option<u64> {
    row["point"].as_u64()
}
