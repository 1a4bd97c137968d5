//! Models from a `config.json`, and every preset.

use std::fs;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use clustersweep::catalog::Catalog;
use clustersweep::simulation::{Scratch, TrainingScenario, simulate_training};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::Desk;

fn config(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    fs::read_to_string(folder.join(name)).unwrap()
}

// The file is named in another folder than the run's, and the run's own spec needs it no more.
#[test]
fn a_run_of_a_config_holds_what_the_config_says() {
    let desk = Desk::new();
    fs::create_dir(desk.path("models")).unwrap();
    desk.write("models/config.json", config("nemotron-3-nano-30b-a3b.json"));
    desk.write(
        "mine.toml",
        "grid = { gpu = \"h100-sxm\", nodes = 4, model = \"mine\", global_batch = 64 }\n\
         [models.mine]\nfile = \"models/config.json\"\nseq_len = 4096\n",
    );
    desk.sweep(&["run", "mine.toml", "-o", "a", "-q"])
        .expect_code(0);
    fs::remove_dir_all(desk.path("models")).unwrap();
    desk.sweep(&["run", "a/spec.toml", "-o", "b", "-q"])
        .expect_code(0);
    assert_eq!(desk.read("a/points.parquet"), desk.read("b/points.parquet"));
    let gone = desk.sweep(&["plan", "mine.toml"]).expect_code(3);
    gone.expect_stderr(&["cannot read", "config.json"]);
}

#[test]
fn a_config_is_listed_as_text_and_as_json() {
    let desk = Desk::new();
    desk.write("config.json", config("deepseek-v3.json"));
    let list = ["list", "models", "--file", "config.json"];
    let text = desk.sweep(&list).expect_code(0).stdout;
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let json = desk.sweep(&[&list[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
    // 671,026,419,200 of the checkpoint without 256·58 balancing biases.
    assert_eq!(json["entries"][0]["parameters"], 671_026_404_352_u64);
    assert_eq!(json["entries"][0]["layers"][2]["count"], 58);
    desk.sweep(&["list", "gpus", "--file", "config.json"])
        .expect_code(2)
        .expect_stderr(&["sweep list models"]);
}

// 1,024 GB300 hold every preset, and no step does more than their 2.5 PFLOP/s of bf16.
#[test]
fn every_preset_runs_on_enough_gpus() {
    let catalog = Catalog::builtin();
    let mut scratch = Scratch::default();
    for (name, model) in &catalog.models {
        let mut job = TrainingScenario::new(
            model.clone(),
            catalog.gpus["gb300"].clone(),
            catalog.clusters["gb300-nvl72"].clone(),
            catalog.stacks["current"].clone(),
        );
        (job.gpus, job.workload.global_batch) = (1024, 2048);
        let step = simulate_training(&job, &mut scratch)
            .unwrap_or_else(|reason| panic!("{name}: {reason}"));
        let rate = step.model_flops.get() / step.step_time().as_secs_f64() / 1024.0;
        assert!(
            rate > 0.0 && rate < 2.5e15,
            "{name}: {rate:e} FLOP/s per GPU"
        );
    }
}

/// Eight layers of Mixtral on one server by the imbalance of its experts, with room for 1.25 times the mean and with room for all.
const CAPACITY: &str = r#"
[grid]
gpu = "h100-sxm"
nodes = 1
model = ["limited", "whole"]
global_batch = 16
expert_imbalance = [1.0, 1.25, 2.0, 4.0]

[defaults]
ep = 8
tp = 1
pp = 1
cp = 1
etp = 1
micro_batch = 1
zero = 1
recompute = "full"

[models.limited]
base = "mixtral-8x7b"
layers = 8
capacity_factor = 1.25

[models.whole]
base = "mixtral-8x7b"
layers = 8
"#;

// Of 8 experts the busiest has f/8 of all visits and room for 1.25/8: it drops 0, 0, 0.75/8 and 2.75/8 of them. Experts are padded to
// their capacity, so that the step is the same whoever comes; without a capacity nothing is dropped, and the others wait for the
// busiest.
#[test]
fn tokens_beyond_the_capacity_are_dropped_and_cost_nothing() {
    let desk = Desk::new();
    desk.write("capacity.toml", CAPACITY);
    desk.sweep(&["run", "capacity.toml", "-o", "run", "-q"])
        .expect_code(0);
    let file = fs::File::open(desk.path("run/points.parquet")).unwrap();
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let table: RecordBatch = batches.next().unwrap().unwrap();
    let of = |name: &str| -> Vec<Option<f64>> {
        let column = table.column_by_name(name).unwrap();
        column.as_primitive::<Float64Type>().iter().collect()
    };
    let dropped = of("dropped_tokens");
    assert_eq!(dropped[..4], [0.0, 0.0, 0.75 / 8.0, 2.75 / 8.0].map(Some));
    assert_eq!(dropped[4..], [None; 4]);
    let steps = of("step_time_s");
    assert!(steps.iter().all(Option::is_some), "{steps:?}");
    assert!(steps[..4].iter().all(|step| *step == steps[0]), "{steps:?}");
    assert!(steps[4..].is_sorted_by(|a, b| a < b), "{steps:?}");
}
