//! Every bad input ends with its exit code, a message that says what to do, and nothing overwritten.

use std::fs;
use std::path::Path;

use crate::desk::{Desk, SMALL};

/// Points, findings and manifest of a run, byte for byte.
fn results(desk: &Desk, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(desk.path(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_folder_that_holds_a_result_is_left_as_it_is() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    let before = results(&desk, "results/small");
    desk.sweep(&["run", "small.toml"])
        .expect_code(3)
        .expect_stderr(&["already holds a result", "--overwrite", "--out"]);
    assert!(before == results(&desk, "results/small"));
    desk.sweep(&["run", "small.toml", "--overwrite", "--limit", "3"])
        .expect_code(0);
    assert_eq!(
        desk.json("results/small/manifest.json")["counts"]["points"],
        3
    );
}

#[test]
fn a_wrong_spec_does_not_touch_an_older_result() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    let before = results(&desk, "results/small");
    desk.write("wrong.toml", SMALL.replace("h100-sxm", "h1000"));
    desk.sweep(&["run", "wrong.toml", "--overwrite"])
        .expect_code(2)
        .expect_stderr(&["h1000", "wrong.toml:5"]);
    assert!(before == results(&desk, "results/small"));
}

#[test]
fn a_file_in_the_place_of_the_output_is_not_overwritten() {
    let desk = Desk::with_small_spec();
    desk.write("out", "precious");
    desk.sweep(&["run", "small.toml", "-o", "out", "--overwrite"])
        .expect_code(3)
        .expect_stderr(&["`out` is a file"]);
    assert_eq!(desk.read("out"), b"precious");
    desk.sweep(&["run", "small.toml", "-o", "out/below"])
        .expect_code(3)
        .expect_stderr(&["out/below"]);
}

// `/proc` takes no folders, whoever asks.
#[test]
fn an_output_that_cannot_be_written_is_named() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "-o", "/proc/results"])
        .expect_code(3)
        .expect_stderr(&["cannot create `/proc/results`"]);
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    desk.sweep(&["analyze", "results/small", "--plots", "/proc/charts"])
        .expect_code(3)
        .expect_stderr(&["cannot create `/proc/charts`"]);
    desk.sweep(&["trace", "results/small", "0", "-o", "/proc/trace.json"])
        .expect_code(3)
        .expect_stderr(&["/proc/trace.json"]);
}

// /dev/full answers every write as a full disk does.
#[test]
fn a_full_disk_is_told_with_exit_code_3() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let desk = Desk::with_small_spec();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = desk
        .command(&["list", "gpus"])
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(3));

    // The place and what is left are told.
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    desk.sweep(&["trace", "results/small", "0", "-o", "/dev/full"])
        .expect_code(3)
        .expect_stderr(&[
            "cannot write `/dev/full`: No space left on device",
            "B free there)",
        ]);

    // A limit of one block per file stands for a full disk: no table fits, and nothing half-written stays.
    let limited = "ulimit -f 1; exec \"$0\" run small.toml -o run";
    let run = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(desk.command(&[]).get_program())
        .current_dir(desk.path("."))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(3));
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(told.contains("cannot write `run/"), "{told}");
    assert!(!desk.has("run/points.parquet"));
}

#[test]
fn a_spec_that_is_no_spec_ends_with_one_message() {
    let desk = Desk::new();
    fs::create_dir(desk.path("folder.toml")).unwrap();
    desk.write("latin1.toml", b"name = \"caf\xe9\"\n");
    desk.write(
        "deep.toml",
        format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
    );
    desk.write(
        "deep.json",
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
    );
    desk.write(
        "deep.yaml",
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
    );
    desk.write("loop.toml", format!("include = [\"loop.toml\"]\n{SMALL}"));
    // A hundred megabytes that take no room on the disk.
    let file = fs::File::create(desk.path("huge.toml")).unwrap();
    file.set_len(100_000_000).unwrap();
    for (spec, codes, part) in [
        ("missing.toml", [3, 3], "missing.toml"),
        ("folder.toml", [3, 2], "directory"),
        ("latin1.toml", [2, 2], "UTF-8"),
        ("deep.toml", [2, 2], "deep.toml"),
        ("deep.json", [2, 2], "deep.json"),
        ("deep.yaml", [2, 2], "deep.yaml"),
        ("loop.toml", [2, 2], "includes itself"),
        ("huge.toml", [2, 3], "huge.toml"),
    ] {
        let ended = desk.sweep(&["run", spec]);
        assert!(
            codes.map(Some).contains(&ended.code),
            "{spec}: {:?}\n{}",
            ended.code,
            ended.stderr
        );
        assert!(ended.stderr.contains(part), "{spec}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("panicked"),
            "{spec}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.len() < 5_000,
            "{spec}: {} bytes",
            ended.stderr.len()
        );
    }
    assert!(!desk.has("results"));
}

#[test]
fn faults_of_the_command_line_are_told_like_those_of_a_spec() {
    let desk = Desk::with_small_spec();
    for (arguments, parts) in [
        (vec!["--set", "gpu=h1000"], vec!["h1000"]),
        (
            vec!["--set", "gpus_per_nod=8"],
            vec!["unknown axis", "gpus_per_node"],
        ),
        (vec!["--where", "nodes >< 2"], vec!["nodes >< 2"]),
        (vec!["--where", "nodse > 2"], vec!["nodse", "nodes"]),
        (vec!["--where", "nodes > 1000"], vec!["drops 12 of 12"]),
        (vec!["--threads", "0"], vec!["--threads"]),
        (vec!["--progress", "loud"], vec!["loud"]),
        (vec!["--limit", "-1"], vec!["-1"]),
        (vec!["--shard", "0/3"], vec!["`0/3` is no shard", "2/8"]),
    ] {
        let mut all = vec!["run", "small.toml"];
        all.extend(arguments);
        desk.sweep(&all).expect_code(2).expect_stderr(&parts);
    }
    assert!(!desk.has("results"));
}

#[test]
fn a_run_that_is_none_is_named() {
    let desk = Desk::with_small_spec();
    desk.write("text.parquet", "no parquet at all");
    fs::create_dir(desk.path("empty")).unwrap();
    desk.sweep(&["analyze", "missing"])
        .expect_code(3)
        .expect_stderr(&["missing"]);
    desk.sweep(&["analyze", "text.parquet"])
        .expect_code(3)
        .expect_stderr(&["text.parquet", "Parquet"]);
    desk.sweep(&["analyze", "empty"])
        .expect_code(3)
        .expect_stderr(&["no points.parquet"]);
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    let points = desk.read("results/small/points.parquet");
    desk.write("cut.parquet", &points[..points.len() / 2]);
    desk.sweep(&["analyze", "cut.parquet"])
        .expect_code(3)
        .expect_stderr(&["cut.parquet"]);
    desk.sweep(&["explain", "results/small", "12"])
        .expect_code(2)
        .expect_stderr(&["no point 12", "0 to 11"]);
}
