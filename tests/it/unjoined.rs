//! Runs whose parts are not joined: a table as a dataset.

use std::fs;

use crate::desk::Desk;

/// 1,400 points in three parts, of less than a millisecond each.
const MANY: &str = r#"
name = "many"
kind = "collective"
[grid]
gpu = "h100-sxm"
nodes = [2, 4]
op = "all-reduce"
size = { from = "1 B", to = "700 B", step = "1 B" }
"#;

const JOINED: [&str; 4] = [
    "points.parquet",
    "scaling.parquet",
    "report.html",
    "spec.toml",
];

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("many.toml", MANY);
    desk.sweep(&["run", "many.toml", "-o", "joined"])
        .expect_code(0);
    desk
}

/// Names of the files in a folder, in order.
fn names(desk: &Desk, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(desk.path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// Parts of 512, 512 and 376 points are the table: a folder with the table's name, named file by file in the manifest, that
// commands take for one table; joined it has the bytes of a run that was joined at once, and so do the findings.
#[test]
fn parts_are_a_table_and_join_to_the_same_bytes() {
    let desk = desk();
    let run = ["run", "many.toml", "-o", "parts-only", "--no-join"];
    desk.sweep(&run).expect_code(0);
    let parts = names(&desk, "parts-only/points.parquet");
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert!(!desk.has("parts-only/parts"));
    let manifest = desk.json("parts-only/manifest.json");
    assert_eq!(manifest["state"], "complete");
    for part in &parts {
        let file = &manifest["files"][format!("points.parquet/{part}")];
        let digest = file["blake3"].as_str().unwrap();
        assert!(part.contains(digest), "{part}: {digest}");
    }
    desk.sweep(&["verify", "parts-only"]).expect_code(0);
    for [one, other] in [
        ["joined", "parts-only"],
        ["parts-only", "parts-only/points.parquet"],
    ] {
        let diff = desk.sweep(&["diff", one, other]).expect_code(0);
        assert!(
            diff.stdout.contains("1400 points in both runs"),
            "{}",
            diff.stdout
        );
    }
    // Lines break elsewhere where the folder's name is longer.
    let told = |run: &str| {
        let said = desk.sweep(&["analyze", run]).expect_code(0).stdout;
        let words: Vec<&str> = said.split_whitespace().collect();
        words.join(" ").replace(run, "RUN")
    };
    assert_eq!(told("parts-only"), told("joined"));
    for name in ["scaling.parquet", "report.html"] {
        if desk.has(&format!("joined/{name}")) {
            let read = |run: &str| desk.read(&format!("{run}/{name}"));
            assert!(read("joined") == read("parts-only"), "{name}");
        }
    }
    let explained = |run: &str| desk.sweep(&["explain", run, "700"]).expect_code(0).stdout;
    assert_eq!(
        explained("parts-only").replace("parts-only", "joined"),
        explained("joined")
    );
    desk.sweep(&["merge", "parts-only", "-o", "merged"])
        .expect_code(0);
    for name in JOINED
        .iter()
        .filter(|name| desk.has(&format!("joined/{name}")))
    {
        let read = |run: &str| desk.read(&format!("{run}/{name}"));
        assert!(read("joined") == read("merged"), "{name}");
    }
}

// Two shards that were not joined, and one that was: merged they are the whole run. A run is refused beside them.
#[test]
fn shards_need_not_be_joined() {
    let desk = desk();
    for (shard, option) in [("1/3", "--no-join"), ("2/3", "--no-join"), ("3/3", "-q")] {
        let out = format!("of-{}", &shard[..1]);
        desk.sweep(&["run", "many.toml", "-o", &out, "--shard", shard, option])
            .expect_code(0);
    }
    desk.sweep(&["merge", "of-1", "of-2", "of-3", "-o", "merged"])
        .expect_code(0);
    assert!(desk.read("joined/points.parquet") == desk.read("merged/points.parquet"));
    desk.sweep(&["merge", "of-1", "joined", "-o", "other"])
        .expect_code(2)
        .expect_stderr(&["is no shard"]);
}

// The last part loses a byte: `verify` names it, `--resume` plays its 376 points again and no others. Its name and
// bytes are as before, and so is the manifest's list. `--resume` without the option joins in place, `--overwrite`
// with it puts a dataset in the place of a file.
#[test]
fn a_dataset_is_gone_on_with_and_replaced() {
    let desk = desk();
    let run = |options: &[&str]| {
        let all = [&["run", "many.toml", "-o", "run"], options].concat();
        desk.sweep(&all).expect_code(0)
    };
    run(&["--no-join"]);
    desk.sweep(&["run", "many.toml", "-o", "run", "--no-join"])
        .expect_code(3)
        .expect_stderr(&["already holds a result", "points.parquet"]);
    let files = desk.json("run/manifest.json")["files"].clone();
    let last = format!(
        "run/points.parquet/{}",
        names(&desk, "run/points.parquet")[2]
    );
    let mut bytes = desk.read(&last);
    bytes.pop();
    desk.write(&last, bytes);
    desk.sweep(&["verify", "run"]).expect_code(3);
    let resumed = run(&["--resume", "--no-join"]);
    assert!(
        resumed.stderr.contains("is damaged")
            && resumed.stderr.contains("1024 points are finished"),
        "{}",
        resumed.stderr
    );
    assert_eq!(desk.json("run/manifest.json")["files"], files);
    assert_eq!(names(&desk, "run/points.parquet").len(), 3);
    desk.sweep(&["verify", "run"]).expect_code(0);
    run(&["--resume"]);
    assert!(desk.read("joined/points.parquet") == desk.read("run/points.parquet"));
    run(&["--overwrite", "--no-join"]);
    assert_eq!(names(&desk, "run/points.parquet").len(), 3);
    run(&["--overwrite"]);
    assert!(desk.read("joined/points.parquet") == desk.read("run/points.parquet"));
    assert_eq!(
        names(&desk, "run").len(),
        names(&desk, "joined").len(),
        "nothing is left beside the results"
    );
}

// What a kill leaves of a table that is being joined, of a dataset that is being made, of the part that others are joined to, and of a
// part, under the names that they have meanwhile: whatever goes on there, none of it is in its way or lies in its result.
#[test]
fn what_a_kill_left_unfinished_does_not_stay() {
    let desk = desk();
    desk.sweep(&["run", "many.toml", "-o", "run", "--no-join"])
        .expect_code(0);
    let finished = [names(&desk, "run"), names(&desk, "joined")];
    for (options, finished) in [(&["--no-join"][..], &finished[0]), (&[], &finished[1])] {
        for folder in ["parts", "points.parquet.new"] {
            fs::create_dir(desk.path(&format!("run/{folder}"))).unwrap();
        }
        for file in [
            "points.parquet.partial",
            "points.parquet.new/0.partial",
            "points.parquet.new/00000000-00.parquet",
            "parts/00000007.parquet.partial",
        ] {
            desk.write(&format!("run/{file}"), "half of it");
        }
        desk.sweep(&[&["run", "many.toml", "-o", "run", "--resume"], options].concat())
            .expect_code(0);
        assert_eq!(&names(&desk, "run"), finished);
        desk.sweep(&["verify", "run"]).expect_code(0);
    }
    assert!(desk.read("run/points.parquet") == desk.read("joined/points.parquet"));
}
