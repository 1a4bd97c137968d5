//! Runs that are gone on with, or dealt out to several machines.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use clustersweep::record::provenance::keys;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::desk::Desk;

/// Every file of a run that has to be the same to the byte.
const SAME: [&str; 4] = [
    "points.parquet",
    "scaling.parquet",
    "report.html",
    "spec.toml",
];

pub(crate) fn expect_same(desk: &Desk, one: &str, other: &str) {
    for name in SAME {
        let [one, other] = [one, other].map(|folder| desk.read(&format!("{folder}/{name}")));
        assert!(one == other, "{name} differs");
    }
}

#[test]
fn a_result_of_another_spec_is_not_gone_on_with() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    let before = desk.read("results/small/points.parquet");
    desk.sweep(&["run", "small.toml", "--resume", "--set", "global_batch=64"])
        .expect_code(2)
        .expect_stderr(&["results/small", "the spec (hash)", "--out", "--overwrite"]);
    desk.sweep(&["run", "small.toml", "--resume", "--limit", "3"])
        .expect_code(2)
        .expect_stderr(&["--limit was none, this is 3"]);
    assert_eq!(desk.read("results/small/points.parquet"), before);
    assert!(desk.has("results/small/report.html") && !desk.has("results/small/parts"));
    desk.sweep(&["run", "small.toml", "--resume", "--overwrite"])
        .expect_code(2)
        .expect_stderr(&["cannot be used with"]);
}

// 12 points over 5 machines: two rounds of all five, and in a third, which begins with the last, two more; a shard says what it is and draws no curves of its own.
#[test]
fn shards_of_a_run_join_to_the_same_bytes() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--out", "whole"])
        .expect_code(0);
    for number in 1..=5 {
        let shard = format!("{number}/5");
        let ended = desk
            .sweep(&["run", "small.toml", "--shard", &shard])
            .expect_code(0);
        let points = if [5, 1].contains(&number) { 3 } else { 2 };
        let start = format!("shard {shard}: {points} points");
        assert!(ended.stdout.starts_with(&start), "{}", ended.stdout);
        assert!(!desk.has(&format!("results/small-{number}-of-5/scaling.parquet")));
    }
    let folder = |number: u32| format!("results/small-{number}-of-5");
    let folders: Vec<String> = [4, 2, 5, 1, 3].map(folder).into();
    let named = |from: usize| folders[from..].iter().map(String::as_str);
    let merge = |from: usize| {
        let all: Vec<&str> = ["merge", "-o", "joined"]
            .into_iter()
            .chain(named(from))
            .collect();
        desk.sweep(&all)
    };
    merge(1)
        .expect_code(2)
        .expect_stderr(&["1 of 5 shards is missing: 4/5"]);
    assert!(!desk.has("joined"));
    let joined = merge(0).expect_code(0);
    let whole = desk.sweep(&["analyze", "whole"]).expect_code(0);
    assert_eq!(joined.stdout.replace("joined", "whole"), whole.stdout);
    expect_same(&desk, "whole", "joined");
    assert_eq!(desk.json("joined/manifest.json")["counts"]["points"], 12);
    merge(0)
        .expect_code(3)
        .expect_stderr(&["already holds a result"]);
    desk.sweep(&[
        "merge",
        "results/small-1-of-5",
        "-o",
        "results/small-1-of-5",
        "--overwrite",
    ])
    .expect_code(2)
    .expect_stderr(&["is one of the shards", "--out"]);
    assert!(desk.has("results/small-1-of-5/points.parquet"));

    desk.sweep(&["analyze", "results/small-1-of-5", "--out", "part"])
        .expect_code(0)
        .expect_stderr(&["is shard 1/5", "sweep merge"]);
    let planned = desk.sweep(&["plan", "small.toml", "--limit", "11", "--shard", "1/5"]);
    assert!(
        planned.stdout.contains("limit: 11\nshard 1/5: 2\n"),
        "{}",
        planned.stdout
    );
}

// 7 of the 12 points first; the rest is played when the limit falls. An analysis of the limited run
// writes what the run wrote.
#[test]
fn a_limited_run_goes_on_beyond_its_limit() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--out", "whole"])
        .expect_code(0);
    desk.sweep(&["run", "small.toml", "--limit", "7"])
        .expect_code(0);
    let before = desk.read("results/small/scaling.parquet");
    desk.sweep(&["analyze", "results/small"]).expect_code(0);
    assert!(before == desk.read("results/small/scaling.parquet"));
    desk.sweep(&["run", "small.toml", "--resume"])
        .expect_code(0)
        .expect_stderr(&["7 points are finished"]);
    expect_same(&desk, "whole", "results/small");
}

#[test]
fn a_shard_of_a_limited_collective_study_joins_too() {
    let desk = Desk::new();
    desk.write(
        "wires.toml",
        "name = \"wires\"\nkind = \"collective\"\n[grid]\ngpu = \"h100-sxm\"\nnodes = [1, 2]\n\
         op = [\"all-reduce\", \"all-to-all\"]\nsize = [\"1 KiB\", \"1 MiB\", \"1 GiB\"]\n",
    );
    let run = |more: &[&str]| {
        let all: Vec<&str> = ["run", "wires.toml", "--limit", "7"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        desk.sweep(&all).expect_code(0)
    };
    run(&["--out", "whole"]);
    run(&["--shard", "1/2"]);
    run(&["--shard", "2/2"]);
    desk.sweep(&[
        "merge",
        "results/wires-1-of-2",
        "results/wires-2-of-2",
        "-o",
        "joined",
    ])
    .expect_code(0);
    for name in ["points.parquet", "report.html", "spec.toml"] {
        let [one, other] = ["whole", "joined"].map(|it| desk.read(&format!("{it}/{name}")));
        assert!(one == other, "{name} differs");
    }
}

#[test]
fn what_is_no_shard_is_refused_with_the_way_out() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--shard", "3/2"])
        .expect_code(2)
        .expect_stderr(&["`3/2` is no shard", "2/8"]);
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    desk.sweep(&["merge", "results/small", "-o", "joined"])
        .expect_code(2)
        .expect_stderr(&["results/small", "sweep run --shard K/N"]);
    desk.sweep(&["merge", "nowhere", "-o", "joined"])
        .expect_code(3)
        .expect_stderr(&["`nowhere` is no folder"]);
}

/// Rewrites a result as version 1 wrote it: integers without a sign.
fn as_version_1(desk: &Desk, name: &str) {
    let path = desk.path(name);
    let file = File::open(&path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let version = |(key, value): (&str, &str)| match key {
        keys::SCHEMA_VERSION => (key.to_owned(), "1".to_owned()),
        _ => (key.to_owned(), value.to_owned()),
    };
    let written = builder.metadata().file_metadata().key_value_metadata();
    let pairs: HashMap<String, String> = written
        .unwrap()
        .iter()
        .filter(|pair| pair.key != "ARROW:schema")
        .map(|pair| version((&pair.key, pair.value.as_deref().unwrap_or_default())))
        .collect();
    let fields = builder.schema().fields().iter().map(|field| {
        let unsigned = *field.data_type() == DataType::Int64;
        let plain = field.as_ref().clone();
        Arc::new(if unsigned {
            plain.with_data_type(DataType::UInt64)
        } else {
            plain
        })
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let schema = Arc::new(schema.with_metadata(pairs.clone()));
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(pairs.collect()))
        .build();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).unwrap();
    for batch in batches {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap());
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        writer.write(&batch).unwrap();
    }
    writer.close().unwrap();
    // As that version's manifest would say.
    let manifest = path.with_file_name("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    let old = written["files"]["points.parquet"]["blake3"]
        .as_str()
        .unwrap();
    let new = blake3::hash(&std::fs::read(&path).unwrap()).to_hex();
    std::fs::write(&manifest, text.replace(old, new.as_str())).unwrap();
}

// One bit in the middle of a shard, or of a whole table: named, never joined, and played again to the same bytes.
#[test]
fn a_table_with_a_flipped_bit_is_not_joined_and_is_played_again() {
    let desk = Desk::with_small_spec();
    for shard in ["1/2", "2/2"] {
        desk.sweep(&["run", "small.toml", "--shard", shard])
            .expect_code(0);
    }
    let [one, two] = ["results/small-1-of-2", "results/small-2-of-2"];
    let points = format!("{two}/points.parquet");
    let sound = desk.read(&points);
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 4;
    desk.write(&points, &damaged);
    desk.sweep(&["merge", one, two, "-o", "joined"])
        .expect_code(3)
        .expect_stderr(&[&points, "is damaged", "--resume"]);
    assert!(!desk.has("joined"));
    desk.sweep(&["run", "small.toml", "--shard", "2/2", "--resume"])
        .expect_code(0)
        .expect_stderr(&[&points, "is damaged", "simulated again"]);
    assert!(desk.read(&points) == sound);
    desk.sweep(&["merge", one, two, "-o", "joined"])
        .expect_code(0);
}

#[test]
fn a_run_of_version_1_is_analysed_compared_and_explained_but_not_gone_on_with() {
    let desk = Desk::with_small_spec();
    for folder in ["now", "before"] {
        desk.sweep(&["run", "small.toml", "--out", folder])
            .expect_code(0);
    }
    assert_eq!(desk.json("now/manifest.json")["schema_version"], 2);
    as_version_1(&desk, "before/points.parquet");
    let scaling = desk.read("before/scaling.parquet");
    let now = desk.sweep(&["analyze", "now"]).expect_code(0);
    let before = desk.sweep(&["analyze", "before"]).expect_code(0);
    assert_eq!(
        before
            .stdout
            .replace("In before", "In now")
            .replace("explain before", "explain now"),
        now.stdout
    );
    assert!(desk.read("before/scaling.parquet") == scaling);
    let changes = desk.sweep(&["diff", "before", "now"]).expect_code(0);
    assert!(
        changes.stdout.contains("12 points in both runs"),
        "{}",
        changes.stdout
    );
    desk.sweep(&["explain", "before", "0"]).expect_code(0);
    desk.sweep(&["run", "small.toml", "--out", "before", "--resume"])
        .expect_code(2)
        .expect_stderr(&["the version of the columns was 1, this is 2"]);
}

#[test]
fn shards_of_version_1_join_to_a_run_of_this_version() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--out", "whole"])
        .expect_code(0);
    for shard in ["1/2", "2/2"] {
        desk.sweep(&["run", "small.toml", "--shard", shard])
            .expect_code(0);
    }
    let shards = ["results/small-1-of-2", "results/small-2-of-2"];
    as_version_1(&desk, "results/small-1-of-2/points.parquet");
    let [one, two] = shards;
    desk.sweep(&["merge", one, two, "-o", "joined"])
        .expect_code(2)
        .expect_stderr(&["the version of the columns"]);
    as_version_1(&desk, "results/small-2-of-2/points.parquet");
    desk.sweep(&["merge", one, two, "-o", "joined"])
        .expect_code(0);
    expect_same(&desk, "whole", "joined");
}
