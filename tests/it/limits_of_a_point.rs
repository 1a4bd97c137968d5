//! Points that take too long or too much, and signals while they do.
#![expect(
    clippy::disallowed_types,
    reason = "how soon a run ends after a signal is what is tested"
)]

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::{Desk, Ended};

/// Two points of milliseconds, and between them one whose 10⁶ steps take hours.
const ONE_SLOW: &str = "name = \"slow\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\nnodes = 1\n\
     global_batch = 512\ntp = 1\ncp = 1\npp = 4\nmicro_batch = 1\nvariability = 0.1\niterations = [1, 1000000, 2]\n";

/// A text column of a run's points; empty where null.
fn texts(desk: &Desk, folder: &str, name: &str) -> Vec<String> {
    let file = File::open(desk.path(folder).join("points.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut found = Vec::new();
    for batch in batches.build().unwrap() {
        let batch = batch.unwrap();
        let column = cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        let texts = column.as_string::<i32>();
        found.extend((0..texts.len()).map(|row| {
            let is_null = texts.is_null(row);
            if is_null { "" } else { texts.value(row) }.to_owned()
        }));
    }
    found
}

#[test]
fn a_point_past_its_time_is_a_crashed_row_and_is_tried_again() {
    let desk = Desk::new();
    desk.write("slow.toml", ONE_SLOW);
    let run = |more: &[&str]| {
        let arguments = ["run", "slow.toml", "--out", "slow", "--point-timeout", "1s"];
        desk.sweep(&[&arguments[..], more].concat())
    };
    run(&[]).expect_code(1).expect_stderr(&[
        "timeout: the point took longer than 1 s (--point-timeout)",
        "3 points",
    ]);
    assert_eq!(
        texts(&desk, "slow", "status"),
        ["ok", "crashed", "ok"],
        "the others finish"
    );
    assert_eq!(texts(&desk, "slow", "reason_kind"), ["", "timeout", ""]);
    run(&["--resume"])
        .expect_code(1)
        .expect_stderr(&["2 points are finished", "1 point in"]);
    run(&["--resume", "--point-timeout", "soon"])
        .expect_code(2)
        .expect_stderr(&["--point-timeout", "cannot be used multiple times"]);
    desk.sweep(&["run", "slow.toml", "--out", "b", "--point-timeout", "soon"])
        .expect_code(2)
        .expect_stderr(&["expected a time over zero with its unit"]);
    assert!(!desk.has("b"));
}

// Every step has an event at least: with at most one none of the points that ran is feasible; the rows are the same on
// any number of threads, and no other number of events goes on with them.
#[test]
fn a_point_of_too_many_events_is_infeasible_whoever_plays_it() {
    let desk = Desk::new();
    desk.write(
        "few.toml",
        "name = \"few\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = [\"llama3-8b\", \"llama3-70b\"]\nnodes = [1, 2]\n\
         global_batch = 32\ntp = 8\npp = 1\n",
    );
    let run = |folder: &str, threads: &str, more: &[&str]| {
        let arguments = ["run", "few.toml", "--out", folder, "--threads", threads];
        desk.sweep(&[&arguments[..], more].concat())
    };
    run("free", "2", &[]).expect_code(0);
    let most = ["--max-events", "1"];
    run("one", "1", &most).expect_code(0);
    run("two", "2", &most).expect_code(0);
    let name = "points.parquet";
    assert_eq!(
        desk.read(&format!("one/{name}")),
        desk.read(&format!("two/{name}"))
    );
    let reasons = texts(&desk, "one", "reason");
    for (free, reason) in texts(&desk, "free", "status").iter().zip(&reasons) {
        let limited = reason.contains("more than 1 events (--max-events)");
        assert_eq!(free == "ok", limited, "{reason}");
    }
    run("one", "1", &["--resume"])
        .expect_code(2)
        .expect_stderr(&["--max-events was 1, this is none"]);
    for shard in ["1/2", "2/2"] {
        let folder = format!("shard-{}", &shard[..1]);
        run(&folder, "1", &["--shard", shard, "--max-events", "1"]).expect_code(0);
    }
    desk.sweep(&["merge", "shard-1", "shard-2", "--out", "joined"])
        .expect_code(0);
    assert_eq!(
        desk.read(&format!("one/{name}")),
        desk.read(&format!("joined/{name}"))
    );
}

/// Starts a run, and ends it by a signal a little later; the time from the signal to its end.
fn terminated(desk: &Desk, arguments: &[&str]) -> (Ended, Duration) {
    let mut command = desk.command(arguments);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = command.spawn().unwrap();
    while !desk.has("out/spec.toml") {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    // Behind the spec the signals are listened to.
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let ended = Ended::new(&child.wait_with_output().unwrap());
    (ended, begun.elapsed())
}

// Two seconds, and two more for a busy machine. What was finished beside the slow point is kept.
#[test]
fn the_first_signal_ends_a_slow_point_and_keeps_the_others() {
    let desk = Desk::new();
    desk.write("slow.toml", ONE_SLOW);
    let run = ["run", "slow.toml", "--out", "out", "--threads", "2"];
    let (ended, took) = terminated(&desk, &run);
    ended
        .expect_code(143)
        .expect_stderr(&["stopped after 2 points", "continue with --resume"]);
    assert!(took < Duration::from_secs(4), "{took:?}");
    desk.sweep(&[&run[..], &["--resume", "--point-timeout", "100ms"]].concat())
        .expect_code(1)
        .expect_stderr(&["2 points are finished"]);
}

// 10⁹ points, all of which are dropped: the walk takes minutes.
#[test]
fn the_first_signal_ends_a_run_that_drops_its_points() {
    let desk = Desk::new();
    desk.write(
        "none.toml",
        "name = \"none\"\nwhere = [\"seed < 0\"]\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\nnodes = 1\n\
         global_batch = 64\nseed = { from = 1, to = 1000000, step = 1 }\nbucket_mib = { from = 1, to = 1000, step = 1 }\n",
    );
    let (ended, took) = terminated(&desk, &["run", "none.toml", "--out", "out"]);
    ended
        .expect_code(143)
        .expect_stderr(&["continue with --resume"]);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

// Two seconds, and some for a busy machine: of 300,000 unknown axes the first 1,000 are looked into.
#[test]
fn a_spec_of_unknown_keys_is_told_at_once() {
    use std::fmt::Write;
    let desk = Desk::new();
    let mut spec = "name = \"keys\"\n[grid]\n".to_owned();
    for key in 0..300_000 {
        writeln!(spec, "k{key} = 1").unwrap();
    }
    desk.write("keys.toml", spec);
    let begun = Instant::now();
    desk.sweep(&["plan", "keys.toml"])
        .expect_code(2)
        .expect_stderr(&["unknown axis `k0`", "more of them"]);
    assert!(begun.elapsed() < Duration::from_secs(10));
    desk.sweep(&["plan", "keys.toml", "--threads", "5000"])
        .expect_code(2)
        .expect_stderr(&["expected a whole number from 1 to 1024"]);
}
