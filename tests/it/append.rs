//! Finished runs extended by further values.

use std::fs::{self, File};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::Desk;

const SPEC: &str = r#"
name = "grown"
[grid]
gpu = "h100-sxm"
nodes = [1, 2]
model = ["llama2-7b", "llama2-13b"]
global_batch = 64
"#;

/// The table of a run.
fn table(desk: &Desk, run: &str) -> RecordBatch {
    let file = File::open(desk.path(run).join("points.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn grown(desk: &Desk, options: &[&str]) -> crate::desk::Ended {
    desk.sweep(&[&["run", "grown.toml", "-o", "run", "--append"], options].concat())
}

/// Holds a run against one of its own spec from nothing.
fn is_that_of_its_spec(desk: &Desk) {
    desk.sweep(&["run", "run/spec.toml", "-o", "again"])
        .expect_code(0);
    for name in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "spec.toml",
    ] {
        let read = |run: &str| desk.read(&format!("{run}/{name}"));
        assert!(read("run") == read("again"), "{name}");
    }
}

// 2 sizes of 2 models are points 0 to 3. A third size (twice 2, 4) and a third model make 3 · 3 = 9: the 5 new ones are 4 to 6
// (the new size with each model), then 7 and 8 (the old sizes with the new model), whatever their place in the product.
// Only they are simulated; the old rows stay as they are, and the spec that lies there gives all of it again, byte for byte.
#[test]
fn further_values_follow_the_points_that_stood() {
    let desk = Desk::new();
    desk.write("grown.toml", SPEC);
    desk.sweep(&["run", "grown.toml", "-o", "run"])
        .expect_code(0);
    let before = table(&desk, "run");
    let set = [
        "--set",
        "nodes=4,1",
        "--set",
        "model=llama2-13b,llama3-8b,llama2-7b",
    ];
    let planned = grown(&desk, &[&set[..], &["--dry-run"]].concat()).expect_code(0);
    assert!(
        planned.stdout.contains("points in the grid: 9"),
        "{}",
        planned.stdout
    );
    let ended = grown(&desk, &set).expect_code(0);
    assert!(
        ended.stderr.contains("4 points are finished") && ended.stderr.contains("5 points in"),
        "{}",
        ended.stderr
    );
    let after = table(&desk, "run");
    assert_eq!(after.num_rows(), 9);
    assert_eq!(after.slice(0, 4).columns(), before.columns());
    let values = |name: &str| {
        let column = after.column_by_name(name).unwrap().slice(4, 5);
        let column = arrow::compute::cast(&column, &arrow::datatypes::DataType::Utf8).unwrap();
        let column = arrow::array::AsArray::as_string::<i32>(&column).clone();
        column
            .iter()
            .map(|it| it.unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("point"), ["4", "5", "6", "7", "8"]);
    assert_eq!(values("nodes"), ["4", "4", "4", "1", "2"]);
    let models = [
        "llama2-7b",
        "llama2-13b",
        "llama3-8b",
        "llama3-8b",
        "llama3-8b",
    ];
    assert_eq!(values("model"), models);
    desk.sweep(&["verify", "run"]).expect_code(0);
    is_that_of_its_spec(&desk);
    // Once more with the same values: nothing is left to simulate, and nothing changes.
    let points = desk.read("run/points.parquet");
    let ended = grown(&desk, &set).expect_code(0);
    assert!(
        ended.stderr.contains("no point was left"),
        "{}",
        ended.stderr
    );
    assert!(desk.read("run/points.parquet") == points);
    // A run that was extended is extended again.
    grown(&desk, &["--set", "nodes=8"]).expect_code(0);
    assert_eq!(table(&desk, "run").num_rows(), 12);
    assert_eq!(table(&desk, "run").slice(0, 9).columns(), after.columns());
}

// A range of counts stands before other axes. Rows 0 to 7 are 4 sizes with 2 batches each: row 1 is one node with the second batch. The
// extension adds a third batch to each size, 4 rows. Rows that stood stay as they are, the points of the spec that lies there are those of
// its rows, and it gives the bytes of the run again.
#[test]
fn a_range_keeps_its_place_among_the_axes() {
    let desk = Desk::new();
    desk.write(
        "grown.toml",
        "name = \"grown\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\n\
         nodes = { from = 1, to = 4, step = 1 }\nglobal_batch = [64, 128]\ntp = 1\n",
    );
    desk.sweep(&["run", "grown.toml", "-o", "run"])
        .expect_code(0);
    let before = table(&desk, "run");
    grown(&desk, &["--set", "global_batch=64,128,256"]).expect_code(0);
    let after = table(&desk, "run");
    assert_eq!(after.num_rows(), 12);
    assert_eq!(after.slice(0, 8).columns(), before.columns());
    let explained = desk.sweep(&["explain", "run", "1", "--format", "json"]);
    let explained: serde_json::Value =
        serde_json::from_str(&explained.expect_code(0).stdout).unwrap();
    assert_eq!(
        [&explained["nodes"], &explained["global_batch"]],
        [&serde_json::json!(1), &serde_json::json!(128)]
    );
    desk.sweep(&["verify", "run"]).expect_code(0);
    is_that_of_its_spec(&desk);
}

// Cut off after its first part, which holds the old rows, the same command line goes on; the old result is there until then.
#[test]
fn an_extension_that_was_cut_off_goes_on() {
    let desk = Desk::new();
    desk.write("grown.toml", SPEC);
    desk.sweep(&["run", "grown.toml", "-o", "run"])
        .expect_code(0);
    let before = desk.read("run/points.parquet");
    // A file system that takes no large file: the old rows fit, as does nothing that is joined.
    let limited = "ulimit -f 64; exec \"$0\" run grown.toml -o run --append --set nodes=4,8,16,32";
    std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(crate::desk::binary())
        .current_dir(desk.path("."))
        .output()
        .unwrap();
    assert!(desk.read("run/points.parquet") == before);
    desk.sweep(&["verify", "run"]);
    grown(&desk, &["--set", "nodes=4,8,16,32"]).expect_code(0);
    assert_eq!(table(&desk, "run").num_rows(), 12);
    assert!(!desk.path("run/parts").exists());
}

// What is not a further value of an axis of the grid is refused in words, and nothing is written.
#[test]
fn what_cannot_be_appended_is_told() {
    let desk = Desk::new();
    desk.write("grown.toml", SPEC);
    grown(&desk, &[]).expect_code(3).expect_stderr(&["run"]);
    desk.sweep(&["run", "grown.toml", "-o", "run"])
        .expect_code(0);
    let before = desk.read("run/points.parquet");
    let refused = |text: &str, words: &[&str]| {
        desk.write("grown.toml", text);
        grown(&desk, &[]).expect_code(2).expect_stderr(words);
        assert!(desk.read("run/points.parquet") == before);
    };
    refused(
        &format!("where = 'nodes <= 4'\n{SPEC}"),
        &["`where` is not that of the run"],
    );
    refused(
        &format!("{SPEC}tp = [1, 2]\n"),
        &["`tp` is not in the grid of the run"],
    );
    refused(
        &SPEC.replace("gpu =", "precision = \"bf16\"\ngpu ="),
        &["`precision` is not in the grid of the run"],
    );
    desk.write("grown.toml", SPEC);
    let shard = ["run", "grown.toml", "-o", "part", "--shard", "1/2"];
    desk.sweep(&shard).expect_code(0);
    desk.sweep(&[
        "run",
        "grown.toml",
        "-o",
        "part",
        "--append",
        "--set",
        "nodes=4",
    ])
    .expect_code(2)
    .expect_stderr(&["shard"]);
    fs::remove_file(desk.path("run/spec.toml")).unwrap();
    grown(&desk, &[])
        .expect_code(2)
        .expect_stderr(&["spec.toml"]);
}
