//! Runs that are killed and gone on with.

use std::process::Stdio;
use std::time::Duration;

use crate::desk::{Desk, Ended};
use crate::resume_and_shards::expect_same;

/// 2,100 points that take about a millisecond each, so that a process can be ended among them.
const SLOW: &str = "name = \"slow\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama3-8b\"\nglobal_batch = 128\n\
     nodes = [1, 2, 4]\nseed = { from = 1, to = 700, step = 1 }\nvariability = 0.05\niterations = 20\n";

/// Parts of a run that was cut off.
fn parts(desk: &Desk, folder: &str) -> usize {
    let entries = std::fs::read_dir(desk.path(folder).join("parts"));
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap());
    names
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "parquet"))
        .count()
}

/// Starts a run on one thread and ends it by a signal once one more part is there.
fn cut_off(desk: &Desk, arguments: &[&str], folder: &str, signal: &str) -> Ended {
    let before = parts(desk, folder);
    let mut child = desk
        .command(arguments)
        .args(["--threads", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while parts(desk, folder) == before {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended by itself"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    Ended::new(&child.wait_with_output().unwrap())
}

// Killed without warning, then ended by a scheduler, then left alone: what an uninterrupted run writes.
#[test]
fn a_run_that_was_killed_goes_on_and_writes_the_same_bytes() {
    let desk = Desk::new();
    desk.write("slow.toml", SLOW);
    desk.sweep(&["run", "slow.toml", "--out", "whole", "--quiet"])
        .expect_code(0);
    let go_on = ["run", "slow.toml", "--out", "cut", "--resume"];
    let killed = cut_off(&desk, &go_on, "cut", "-KILL");
    assert_eq!(killed.code, None);
    // Every part but the last one of a run holds 512 points.
    let finished = format!("{} points are finished", 512 * parts(&desk, "cut"));
    cut_off(&desk, &go_on, "cut", "-TERM")
        .expect_code(143)
        .expect_stderr(&[&finished, "stopped after", "continue with --resume"]);
    desk.sweep(&go_on).expect_code(0);
    expect_same(&desk, "whole", "cut");
    let manifest = desk.json("cut/manifest.json");
    assert_eq!(manifest["state"], "complete");
    assert_eq!(manifest["counts"]["points"], 2_100);
    assert!(!desk.has("cut/parts"));

    desk.sweep(&go_on)
        .expect_code(0)
        .expect_stderr(&["2100 points are finished", "no point was left to simulate"]);
    expect_same(&desk, "whole", "cut");
}

// The same of a run whose parts stay: where it was cut off does not show in what they join to.
#[test]
fn a_dataset_that_was_killed_goes_on_and_joins_to_the_same_bytes() {
    let desk = Desk::new();
    desk.write("slow.toml", SLOW);
    desk.sweep(&["run", "slow.toml", "--out", "whole", "--quiet"])
        .expect_code(0);
    let go_on = ["run", "slow.toml", "--out", "cut", "--no-join", "--resume"];
    cut_off(&desk, &go_on, "cut", "-KILL");
    let finished = format!("{} points are finished", 512 * parts(&desk, "cut"));
    cut_off(&desk, &go_on, "cut", "-TERM")
        .expect_code(143)
        .expect_stderr(&[&finished, "continue with --resume"]);
    assert!(!desk.has("cut/points.parquet"));
    desk.sweep(&go_on).expect_code(0);
    assert!(desk.path("cut/points.parquet").is_dir() && !desk.has("cut/parts"));
    desk.sweep(&["verify", "cut"]).expect_code(0);
    desk.sweep(&["merge", "cut", "-o", "joined"]).expect_code(0);
    expect_same(&desk, "whole", "joined");
}

// 700 points extended to 2,100, killed and ended in between: the old result lies there, sound, until the new one is whole,
// and the same command line goes on to what an extension in one piece writes. None of the 700 is played again.
#[test]
fn an_extension_that_was_killed_goes_on_and_writes_the_same_bytes() {
    let desk = Desk::new();
    desk.write("slow.toml", SLOW);
    for folder in ["whole", "cut"] {
        desk.sweep(&["run", "slow.toml", "--out", folder, "--set", "nodes=1"])
            .expect_code(0);
    }
    let extend = |folder| ["run", "slow.toml", "--out", folder, "--append"];
    desk.sweep(&extend("whole"))
        .expect_code(0)
        .expect_stderr(&["700 points are finished", "1400 points in"]);
    let before = desk.read("cut/points.parquet");
    // The first part holds the 700 rows that stood.
    for (signal, code) in [("-KILL", None), ("-KILL", None), ("-TERM", Some(143))] {
        let ended = cut_off(&desk, &extend("cut"), "cut", signal);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(desk.read("cut/points.parquet") == before);
    }
    let left = desk.sweep(&extend("cut")).expect_code(0);
    assert!(
        left.stderr.contains("points are finished"),
        "{}",
        left.stderr
    );
    expect_same(&desk, "whole", "cut");
    desk.sweep(&["verify", "cut"]).expect_code(0);
    assert!(!desk.has("cut/parts"));
}
