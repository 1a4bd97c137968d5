//! Output and exit codes of the commands.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::desk::{Desk, Ended, SMALL};

#[test]
fn a_run_writes_its_folder_and_answers_the_question() {
    let desk = Desk::with_small_spec();
    let ended = desk.sweep(&["run", "small.toml"]).expect_code(0);
    assert!(ended.stdout.contains("Where does Llama 3 8B stop scaling?"));
    assert!(
        ended.stdout.lines().all(|line| line.chars().count() <= 80),
        "wider than a terminal:\n{}",
        ended.stdout
    );
    for file in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "manifest.json",
        "spec.toml",
    ] {
        assert!(desk.has(&format!("results/small/{file}")), "{file}");
    }
    assert!(!desk.has("results/small/parts"));

    let manifest = desk.json("results/small/manifest.json");
    assert_eq!(manifest["counts"]["points"], 12);
    assert_eq!(manifest["state"], "complete");
    assert_eq!(manifest["wall_time_per_point"]["count"], 12);
    for (name, entry) in manifest["files"].as_object().unwrap() {
        let bytes = desk.read(&format!("results/small/{name}"));
        assert_eq!(
            entry["blake3"],
            blake3::hash(&bytes).to_hex().as_str(),
            "{name}"
        );
        assert_eq!(entry["bytes"], bytes.len() as u64, "{name}");
    }
    let spec = desk.read("results/small/spec.toml");
    assert_eq!(manifest["spec_hash"], blake3::hash(&spec).to_hex().as_str());
}

#[test]
fn the_number_of_threads_shows_in_no_result() {
    let desk = Desk::with_small_spec();
    for threads in ["1", "2"] {
        desk.sweep(&["run", "small.toml", "--threads", threads, "-o", threads])
            .expect_code(0);
    }
    for file in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "spec.toml",
    ] {
        assert!(
            desk.read(&format!("1/{file}")) == desk.read(&format!("2/{file}")),
            "{file} differs"
        );
    }
}

#[test]
fn the_spec_of_a_run_runs_by_itself_to_the_same_points() {
    let desk = Desk::with_small_spec();
    let set = [
        "--set",
        "model=llama3-8b,llama3-70b",
        "--where",
        "nodes <= 8",
    ];
    let mut first = vec!["run", "small.toml", "-o", "first"];
    first.extend(set);
    desk.sweep(&first).expect_code(0);
    desk.sweep(&["run", "first/spec.toml", "-o", "second"])
        .expect_code(0);
    assert!(desk.read("first/points.parquet") == desk.read("second/points.parquet"));
}

#[test]
fn results_go_to_stdout_and_talk_to_stderr() {
    let desk = Desk::with_small_spec();
    let quiet = desk
        .sweep(&["run", "small.toml", "-o", "quiet", "-q"])
        .expect_code(0);
    assert_eq!(quiet.stderr, "");
    assert_ne!(quiet.stdout, "");

    let json = desk
        .sweep(&[
            "run",
            "small.toml",
            "-o",
            "json",
            "--format",
            "json",
            "--progress",
            "json",
        ])
        .expect_code(0);
    let summary: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(summary["manifest"]["counts"]["points"], 12);
    assert!(summary["findings"]["series"].is_array());
    // Every line is JSON: the progress, and how the run ended.
    let lines: Vec<Value> = json
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [.., progress, end] = lines.as_slice() else {
        panic!("{}", json.stderr);
    };
    assert_eq!(progress["done"], 12);
    assert_eq!(progress["total"], 12);
    assert_eq!(
        (&end["event"], &end["points"]),
        (&Value::from("finished"), &Value::from(12))
    );
    assert_eq!(end["folder"], "json");
}

// A spec that warns (a value is there twice), resumed, with every infeasible point told.
#[test]
fn whatever_is_said_beside_json_progress_is_json_too() {
    let desk = Desk::new();
    desk.write(
        "twice.toml",
        SMALL.replace("global_batch = 128", "global_batch = [128, 128]"),
    );
    let run = |more: &[&str]| {
        let all = [&["run", "twice.toml", "--progress", "json", "-v"][..], more].concat();
        let ended = desk.sweep(&all).expect_code(0);
        let events = ended.stderr.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["event"].as_str().unwrap().to_owned()
        });
        events.collect::<Vec<_>>()
    };
    let events = run(&["--limit", "7"]);
    for event in ["log", "point", "progress", "finished"] {
        assert!(events.iter().any(|it| it == event), "{events:?}");
    }
    assert!(run(&["--resume"]).contains(&"log".to_owned()));
}

// 80 is no efficiency, and no run is held against it; 80% is 0.8.
#[test]
fn fractions_of_the_command_line_may_be_percent() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--out", "run"])
        .expect_code(0);
    for (option, value, said) in [
        ("--fail-below", "80", "`80%`"),
        ("--fail-below", "120%", "more than 100%"),
        ("--fail-below", "most", "write 0.8 or 80%"),
    ] {
        desk.sweep(&["analyze", "run", option, value])
            .expect_code(2)
            .expect_stderr(&[option, said]);
    }
    desk.sweep(&["diff", "run", "run", "--tolerance", "2"])
        .expect_code(2)
        .expect_stderr(&["--tolerance", "200%"]);
    let codes = |values: [&str; 2]| {
        values.map(|value| desk.sweep(&["analyze", "run", "--fail-below", value]).code)
    };
    // 32 nodes are less than 99% efficient and more than 1%.
    assert_eq!(codes(["0.99", "99%"]), [Some(1); 2]);
    assert_eq!(codes(["0.01", "1%"]), [Some(0); 2]);
    desk.sweep(&["diff", "run", "run", "--tolerance", "2%"])
        .expect_code(0);
}

#[test]
fn a_limit_plays_the_first_points_that_are_kept() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "--limit", "5", "--where", "nodes >= 2"])
        .expect_code(0);
    assert_eq!(
        desk.json("results/small/manifest.json")["counts"]["points"],
        5
    );
}

#[test]
fn infeasible_points_are_told_with_their_reason_when_asked() {
    let desk = Desk::with_small_spec();
    let ended = desk.sweep(&["run", "small.toml", "-v"]).expect_code(0);
    // Weights, gradients and Adam's states of 70 billion parameters take over 1 TB, eight GPUs have 0.6 TB.
    ended.expect_stderr(&["infeasible: memory:", "model=llama3-70b"]);
}

#[test]
fn a_plan_is_shown_without_anything_being_written() {
    let desk = Desk::with_small_spec();
    let plan = desk.sweep(&["plan", "small.toml"]).expect_code(0);
    let dry = desk
        .sweep(&["run", "small.toml", "--dry-run"])
        .expect_code(0);
    // The estimate on the last line is a measurement.
    let without_estimate = |ended: &Ended| {
        let lines: Vec<&str> = ended.stdout.lines().collect();
        lines[..lines.len() - 1].join("\n")
    };
    assert_eq!(without_estimate(&plan), without_estimate(&dry));
    for part in [
        "nodes",
        "1 2 4 8 16 32",
        "llama3-8b llama3-70b",
        "points in the grid: 12",
    ] {
        assert!(plan.stdout.contains(part), "{part} in\n{}", plan.stdout);
    }
    assert!(!desk.has("results"));
}

// 10 axes of 8 values are 2³⁰ points, of which `where` keeps 1 in 8.
#[test]
fn a_plan_of_a_billion_points_opens_at_once() {
    let desk = Desk::new();
    let eight = "[1, 2, 3, 4, 5, 6, 7, 8]";
    desk.write(
        "vast.toml",
        format!(
            "name = \"vast\"\nwhere = [\"tp == 4\"]\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama3-8b\"\nnodes = {eight}\n\
             global_batch = {eight}\nmicro_batch = {eight}\ntp = {eight}\npp = {eight}\ncp = {eight}\nvpp = {eight}\n\
             seed = {eight}\niterations = {eight}\nbucket_mib = {eight}\n"
        ),
    );
    let plan = desk
        .sweep(&["plan", "vast.toml", "--format", "json"])
        .expect_code(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["grid_points"], 1_u64 << 30);
    assert_eq!(plan["kept"], 1_u64 << 27);
}

// 2·1,000·3·100,000·1,024·10⁶·7 = 4.3·10¹⁸ points fit into 63 bits; at 125 bytes a row they fill more than
// 64 bits of bytes, and the last of them are shown all the same.
#[test]
fn a_plan_of_more_bytes_than_can_be_counted_says_so() {
    let desk = Desk::new();
    desk.write(
        "huge.toml",
        "[grid]\ngpu = [\"a100-80gb-sxm\", \"h100-sxm\"]\nnodes = { from = 1, to = 1000, step = 1 }\n\
         model = [\"llama3-8b\", \"llama3-70b\", \"gpt3-175b\"]\n\
         global_batch = { from = 1, to = 100000, step = 1 }\n\
         seq_len = { from = 128, to = 131072, step = 128 }\n\
         seed = { from = 1, to = 1000000, step = 1 }\nmicro_batch = [1, 2, 4, 8, 16, 32, 64]\n",
    );
    let text = desk.sweep(&["plan", "huge.toml"]).expect_code(0).stdout;
    assert!(
        text.contains("points in the grid: 4300800000000000000"),
        "{text}"
    );
    assert!(
        text.contains("points.parquet of more than 16 EiB"),
        "{text}"
    );
    let last = "4300799999999999999  gpu=h100-sxm nodes=1000 model=gpt3-175b global_batch=100000";
    assert!(text.contains(last), "{text}");
    let json = desk
        .sweep(&["plan", "huge.toml", "--format", "json"])
        .expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["estimated_bytes"].is_null());
    // A shard of them is planned, and the first few are run.
    desk.sweep(&["plan", "huge.toml", "--shard", "4/4"])
        .expect_code(0);
    desk.sweep(&["run", "huge.toml", "--limit", "3", "--progress", "json"])
        .expect_code(0);
}

// Three kinds of copies over the host's link make a search of a minute: the plan looks at its one point for a second or two.
#[test]
fn a_plan_of_slow_points_is_shown_in_seconds() {
    let desk = Desk::new();
    desk.write(
        "slow.toml",
        "name = \"slow\"\n[grid]\ngpu = \"a100-80gb-sxm\"\nmodel = \"qwen3-next-80b-a3b\"\ngpus = 24\n\
         global_batch = 16\nstack = \"torchtitan-eager\"\noffload = \"optimizer+parameters+activations\"\n",
    );
    let text = desk.sweep(&["plan", "slow.toml"]).expect_code(0).stdout;
    assert!(text.contains("estimated: at least "), "{text}");
    let json = desk.sweep(&["plan", "slow.toml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
    assert_eq!(json["estimated_at_least"], true);
}

#[test]
fn a_point_is_explained_as_its_row_says() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    let text = desk
        .sweep(&["explain", "results/small", "0"])
        .expect_code(0)
        .stdout;
    for part in [
        "point 0 of small: ok",
        "compute_s",
        "█",
        "memory_weights_bytes",
        "bottleneck",
        "advice",
        "confidence in the step time: 4 of 5 such measurements would lie between ",
        "confidence in the memory: ",
        "nearest 5 validated cases: ",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = desk
        .sweep(&["explain", "results/small", "0", "--format", "json"])
        .expect_code(0);
    let row: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(row["status"], "ok");
    assert_eq!(row["gpus"], 8);
    assert!(row["step_time_s"].as_f64().unwrap() > 0.0);
    let trust = &row["confidence"]["step_time"];
    let cases = trust["cases"].as_array().unwrap();
    let distances: Vec<f64> = cases
        .iter()
        .map(|case| case["distance"].as_f64().unwrap())
        .collect();
    assert!(distances.is_sorted(), "{distances:?}");
    let errors: Vec<f64> = cases
        .iter()
        .filter_map(|case| case["relative_error"].as_f64())
        .collect();
    let mean = errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64;
    assert!((trust["mean_error"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(trust["sentence"].as_str().unwrap().contains("mean error"));
}

// With 90% of the memory as headroom every step is tight, with none of it none is.
#[test]
fn rows_inside_the_headroom_of_the_memory_are_told() {
    let desk = Desk::new();
    for (headroom, is_tight) in [("0.9", true), ("0", false)] {
        desk.write("run.toml", format!("memory_headroom = {headroom}\n{SMALL}"));
        let run = desk
            .sweep(&["run", "run.toml", "-o", "run", "--overwrite"])
            .expect_code(0);
        let spec = String::from_utf8(desk.read("run/spec.toml")).unwrap();
        assert!(spec.contains("memory_headroom = "), "{spec}");
        let explained = desk.sweep(&["explain", "run", "0"]).expect_code(0);
        let page = String::from_utf8(desk.read("run/report.html")).unwrap();
        assert_eq!(
            run.stdout.contains("Tight on memory: point "),
            is_tight,
            "{}",
            run.stdout
        );
        assert_eq!(
            explained.stdout.contains("tight: the peak"),
            is_tight,
            "{}",
            explained.stdout
        );
        assert_eq!(page.contains("% tight"), is_tight);
    }
}

#[test]
fn analysing_a_run_again_changes_no_byte() {
    let desk = Desk::with_small_spec();
    let run = desk.sweep(&["run", "small.toml"]).expect_code(0);
    let scaling = desk.read("results/small/scaling.parquet");
    let manifest = desk.json("results/small/manifest.json");
    let analysed = desk.sweep(&["analyze", "results/small"]).expect_code(0);
    assert_eq!(analysed.stdout, run.stdout);
    assert!(scaling == desk.read("results/small/scaling.parquet"));
    assert_eq!(manifest, desk.json("results/small/manifest.json"));
}

#[test]
fn several_runs_are_analysed_together_into_a_folder_of_their_own() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "-o", "h100"])
        .expect_code(0);
    desk.sweep(&[
        "run",
        "small.toml",
        "-o",
        "a100",
        "--set",
        "gpu=a100-80gb-sxm",
    ])
    .expect_code(0);
    let ended = desk
        .sweep(&["analyze", "h100", "a100", "--out", "both"])
        .expect_code(0);
    assert!(desk.has("both/scaling.parquet"));
    assert!(ended.stdout.contains("24 points"), "{}", ended.stdout);
}

#[test]
fn a_signal_keeps_what_is_finished_and_says_so() {
    let desk = Desk::new();
    // Far more points than are played before the signal comes.
    desk.write(
        "long.toml",
        "name = \"long\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama3-70b\"\nglobal_batch = 512\n\
         nodes = [8, 16, 32]\nseed = { from = 1, to = 1000000, step = 1 }\nvariability = 0.05\n",
    );
    let mut child = desk
        .command(&["run", "long.toml", "--progress", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The run has begun once its folder is there; handlers are installed right after.
    while !desk.has("results/long/spec.toml") {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended by itself"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_secs(1));
    let kill = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let ended = Ended::new(&child.wait_with_output().unwrap()).expect_code(143);
    // What ends a run for programs is JSON too.
    let last: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["folder"]),
        (&Value::from("stopped"), &Value::from("results/long"))
    );
    assert!(!desk.has("results/long/points.parquet"));
    let listed = desk.json("results/long/manifest.json")["files"].clone();
    let listed = listed.as_object().unwrap();
    let mut parts = listed.keys().filter(|name| name.starts_with("parts/"));
    assert!(
        parts.clone().count() > 0 && parts.all(|name| desk.has(&format!("results/long/{name}")))
    );
    assert_eq!(
        desk.json("results/long/manifest.json")["state"],
        "interrupted"
    );
}

#[test]
fn everything_that_can_be_named_is_listed() {
    let desk = Desk::new();
    for what in [
        "gpus",
        "models",
        "clusters",
        "stacks",
        "collectives",
        "topologies",
        "axes",
        "columns",
    ] {
        let text = desk.sweep(&["list", what]).expect_code(0).stdout;
        assert!(text.lines().count() > 4, "{what}:\n{text}");
        let json = desk
            .sweep(&["list", what, "--format", "json"])
            .expect_code(0)
            .stdout;
        let listed: Value = serde_json::from_str(&json).unwrap();
        let entries = listed["entries"].as_array().unwrap();
        for entry in entries {
            let name = entry["name"].as_str().unwrap();
            assert!(text.contains(name), "{what}: {name}");
        }
    }
    let gpu = desk.sweep(&["list", "gpus", "h100-sxm"]).expect_code(0);
    assert!(gpu.stdout.contains("SOURCE") && gpu.stdout.contains("data sheet"));
    // Many values share a source, which stands there once, under a number that a value names.
    let notes = gpu.stdout.lines().filter(|line| line.starts_with('['));
    let notes: Vec<&str> = notes.collect();
    let mut once = notes
        .iter()
        .map(|it| it.split_once("] ").unwrap().1)
        .collect::<Vec<_>>();
    once.sort_unstable();
    once.dedup();
    assert!(
        once.len() > 2 && once.len() == notes.len(),
        "{}",
        gpu.stdout
    );
    for place in 1..=notes.len() {
        let number = format!("[{place}]");
        assert!(
            gpu.stdout.lines().any(|line| line.ends_with(&number)),
            "{number}"
        );
    }
    // Columns of both tables are listed.
    for column in [
        "breakdown_status",
        "knee_gpus",
        "recommended_why",
        "efficiency_of_best",
    ] {
        let listed = desk
            .sweep(&["list", "columns", column])
            .expect_code(0)
            .stdout;
        assert!(
            listed.starts_with("scaling.parquet of a training study\n"),
            "{listed}"
        );
    }
    desk.sweep(&["list", "gpus", "h100"])
        .expect_code(2)
        .expect_stderr(&["unknown GPU `h100`", "did you mean"]);
}

#[test]
fn help_shows_the_exit_codes_and_completions_know_the_commands() {
    let desk = Desk::new();
    let help = desk.sweep(&["--help"]).expect_code(0).stdout;
    for code in ["0", "1", "2", "3", "130", "143"] {
        let shown = help
            .lines()
            .any(|line| line.split_whitespace().next() == Some(code));
        assert!(shown, "exit code {code} in\n{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.sweep(&["completions", shell]).expect_code(0).stdout;
        assert!(script.contains("explain"), "{shell}");
    }
}

#[test]
fn a_diff_names_what_changed_in_the_spec_in_one_line() {
    let desk = Desk::with_small_spec();
    desk.write(
        "other.toml",
        format!("{SMALL}[analysis]\nefficiency_threshold = 0.7\n"),
    );
    desk.sweep(&["run", "small.toml", "-o", "base", "-q"])
        .expect_code(0);
    desk.sweep(&["run", "other.toml", "-o", "new", "-q"])
        .expect_code(0);
    let said = desk.sweep(&["diff", "base", "new"]).expect_code(0).stdout;
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("spec: "))
        .collect();
    assert_eq!(
        lines,
        ["  spec: analysis.efficiency_threshold 0.8 -> 0.7"],
        "{said}"
    );
}

// One of 10⁸ points is kept. Looking at each takes minutes; a million are looked at from the start, from the end and at drawn places. The point
// at the end (the last size, the last but one seed: 9,999 · 10,000 + 9,998) is found, so something is to do; the one in the middle is not,
// and nothing is said of the time. Neither has a shard with a limit, whose end is behind more points than are looked at.
#[test]
fn a_plan_of_few_kept_points_is_shown_in_seconds() {
    let desk = Desk::new();
    let plan = |clause: &str, options: &[&str]| {
        desk.write(
            "few.toml",
            format!(
                "where = \"{clause}\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama3-8b\"\nglobal_batch = 8\n\
                 nodes = {{ from = 1, to = 10000, step = 1 }}\nseed = {{ from = 1, to = 10000, step = 1 }}\n"
            ),
        );
        let mut command = desk.command(&[&["plan", "few.toml"], options].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // 40 seconds.
        let has_ended = (0..4_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            child.try_wait().unwrap().is_some()
        });
        if !has_ended {
            child.kill().unwrap();
        }
        assert!(has_ended, "{clause}");
        let ended = Ended::new(&child.wait_with_output().unwrap());
        ended.expect_code(0).stdout
    };
    let at_the_end = plan("nodes == 10000 and seed == 9999", &[]);
    for part in [
        "kept: about 1\n",
        "last points\n  99999998  nodes=10000 seed=9999\n",
        "(from 1 points)",
    ] {
        assert!(at_the_end.contains(part), "{at_the_end}");
    }
    let middle = "nodes == 5000 and seed == 5000";
    for options in [&[][..], &["--shard", "1/2", "--limit", "5"]] {
        let told = plan(middle, options);
        assert!(
            told.contains("kept: about 0\n") && told.contains("estimated: unknown, as"),
            "{told}"
        );
    }
    let json = plan(middle, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["estimated_s"].is_null() && json["exact"] == false);
}

// Of the two models the large one is the less efficient on many nodes.
#[test]
fn a_bound_on_efficiency_can_be_for_some_series_alone() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "-o", "run", "-q"])
        .expect_code(0);
    let held = |more: &[&str]| {
        desk.sweep(&[&["analyze", "run", "--fail-below", "99.9%"][..], more].concat())
    };
    held(&[]).expect_code(1);
    let of_one = held(&["--series", "model=llama3-8b"]).expect_code(1);
    of_one.expect_stderr(&["llama3-8b at"]);
    desk.sweep(&[
        "analyze",
        "run",
        "--fail-below",
        "1%",
        "--series",
        "model=llama3-8b,llama3-70b",
    ])
    .expect_code(0);
    held(&["--series", "model=llama2"])
        .expect_code(2)
        .expect_stderr(&[
            "no series has model=llama2",
            "model is llama3-8b, llama3-70b here",
        ]);
    held(&["--series", "modl=llama2"]).expect_code(2);
    desk.sweep(&["analyze", "run", "--series", "model=llama3-8b"])
        .expect_code(2)
        .expect_stderr(&["--fail-below"]);
}

// Each page names its command and the options of its help.
#[test]
fn every_command_has_a_manual_page() {
    let desk = Desk::new();
    let page = desk.sweep(&["man"]).expect_code(0).stdout;
    assert!(
        page.contains(".TH sweep 1") && page.contains("Exit codes"),
        "{page}"
    );
    desk.sweep(&["man", "--out", "man1"]).expect_code(0);
    let help = desk.sweep(&["--help"]).expect_code(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(names.len() > 14, "{names:?}");
    for name in names {
        let page = desk.read(&format!("man1/sweep-{name}.1"));
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains(&format!(".TH sweep-{name} 1")), "{page}");
    }
    let run = String::from_utf8(desk.read("man1/sweep-run.1")).unwrap();
    assert!(run.contains("overwrite") && run.contains("SPEC"));
}
