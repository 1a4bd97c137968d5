//! `sweep analyze` along other axes, at other thresholds and of several runs.

use crate::desk::Desk;

/// Two batches and two networks on one to four servers; tensor parallelism is left to the simulator.
const GRID: &str = r#"
name = "grid"
[grid]
gpu = "h100-sxm"
model = "llama3-8b"
global_batch = [128, 256]
nic_gbit_per_s = [100, 400]
nodes = [1, 2, 4]
"#;

/// A desk with the run of the grid, and what its report and scaling are.
fn with_grid() -> (Desk, [Vec<u8>; 2]) {
    let desk = Desk::new();
    desk.write("grid.toml", GRID);
    desk.sweep(&["run", "grid.toml", "--out", "runs/grid"])
        .expect_code(0);
    let own =
        ["report.html", "scaling.parquet"].map(|name| desk.read(&format!("runs/grid/{name}")));
    (desk, own)
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

// ZeRO-1 reduces by reduce-scatter and all-gather, for which there is no tree: both rows are the same simulation.
#[test]
fn values_that_change_nothing_win_nothing() {
    let desk = Desk::new();
    let spec = r#"name = "same"
[grid]
gpu = "h100-sxm"
model = "llama3-8b"
nodes = [2, 4]
global_batch = 64
zero = 1
tp = 1
collective = ["ring", "tree"]
"#;
    desk.write("same.toml", spec);
    desk.sweep(&["run", "same.toml", "--out", "same"])
        .expect_code(0);
    let by = desk
        .sweep(&["analyze", "same", "--x", "collective"])
        .expect_code(0);
    let said = "Of 2 jobs that differ in `collective` alone, 2 take as long with every value.";
    assert!(words(&by.stdout).contains(said), "{}", by.stdout);
}

#[test]
fn other_questions_are_answered_beside_the_run_and_its_own_findings_stay() {
    let (desk, own) = with_grid();
    let run = "runs/grid";
    // A resource scales: 100 and 400 Gbit/s of the same job are a curve.
    let over = desk
        .sweep(&["analyze", run, "--x", "nic_gbit_per_s"])
        .expect_code(0);
    assert!(
        words(&over.stdout).contains("at nic_gbit_per_s"),
        "{}",
        over.stdout
    );
    assert!(desk.has("runs/grid-over-nic_gbit_per_s/scaling.parquet"));
    // A batch does not: six jobs, in each of which 256 samples run more per second than 128.
    let by = desk
        .sweep(&["analyze", run, "--x", "global_batch"])
        .expect_code(0);
    let said = "Of 6 jobs that differ in `global_batch` alone, the fastest value is 256 in 6.";
    assert!(words(&by.stdout).contains(said), "{}", by.stdout);
    assert!(!by.stdout.contains("breaks"), "{}", by.stdout);
    assert!(desk.has("runs/grid-by-global_batch/report.html"));
    assert!(!desk.has("runs/grid-by-global_batch/scaling.parquet"));
    let json = desk.sweep(&["analyze", run, "--x", "global_batch", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
    let jobs = json["comparison"]["groups"].as_array().unwrap();
    assert!(jobs.iter().all(|job| job["values"][0]["value"] == 256.0));
    // Nothing but `auto` stands in the 12 rows of tp.
    let tp = desk.sweep(&["analyze", run, "--x", "tp"]).expect_code(0);
    let said = "nothing to compare: `tp` is left to the simulator in every row";
    assert!(words(&tp.stdout).contains(said), "{}", tp.stdout);
    desk.sweep(&["analyze", run, "--threshold", "99%"])
        .expect_code(0);
    assert!(desk.has("runs/grid-threshold-0.99/scaling.parquet"));
    // Nor does a bare file or an own folder come over them.
    desk.sweep(&["analyze", "runs/grid/points.parquet"])
        .expect_code(0);
    assert!(desk.has("runs/grid-analysis/report.html"));
    let refused = desk
        .sweep(&["analyze", run, "--x", "tp", "--out", run])
        .expect_code(2);
    assert!(refused.stderr.contains("holds a run"), "{}", refused.stderr);
    let refused = desk
        .sweep(&["analyze", run, "--x", "tp", "--fail-below", "0.5"])
        .expect_code(2);
    assert!(
        refused.stderr.contains("no scaling efficiency"),
        "{}",
        refused.stderr
    );
    let now =
        ["report.html", "scaling.parquet"].map(|name| desk.read(&format!("runs/grid/{name}")));
    assert!(now == own, "the run's own findings are as it wrote them");
}

#[test]
fn runs_are_told_apart_by_their_prices_and_the_headline_takes_the_lower_one() {
    let desk = Desk::new();
    for (name, price) in [("dear", "4.92 USD"), ("cheap", "3.20 USD")] {
        let spec = format!("{GRID}[gpus.h100-sxm]\nprice_per_hour = \"{price}\"\n");
        desk.write("priced.toml", spec.replace("[100, 400]", "400"));
        desk.sweep(&["run", "priced.toml", "--out", name])
            .expect_code(0);
    }
    let both = ["analyze", "dear", "cheap", "--out", "both", "-v"];
    let text = words(&desk.sweep(&both).expect_code(0).stdout);
    let (headline, table) = text.split_once("Each series").unwrap();
    assert!(
        headline.contains("with global_batch 256 price_per_hour 3.20 USD at 32 GPUs"),
        "{text}"
    );
    assert!(!headline.contains("4.92"), "{text}");
    assert!(table.contains("price_per_hour 4.92 USD"), "{text}");
    // The same run twice is one.
    let twice = desk.sweep(&[
        "analyze",
        "dear",
        "dear/points.parquet",
        "--out",
        "twice",
        "-v",
    ]);
    let once = desk.sweep(&["analyze", "dear", "-v"]).expect_code(0).stdout;
    let (_, series) = once.split_once("Each series").unwrap();
    assert!(
        twice
            .expect_code(0)
            .stdout
            .contains(series.split("What").next().unwrap())
    );
}

// A seed changes nothing without variability.
#[test]
fn rows_of_the_same_simulation_are_one_series_said_once() {
    let desk = Desk::new();
    let spec = GRID.replace("nic_gbit_per_s = [100, 400]", "seed = [1, 2]");
    desk.write("seeds.toml", &spec);
    let ended = desk.sweep(&["run", "seeds.toml", "-v"]).expect_code(0);
    let text = words(&ended.stdout);
    let said =
        "The same to 0.1% whatever the value, and counted as one series: seed 1/2 in 2 of 2.";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("12 points: 12 ran"), "{text}");
    let json = desk
        .sweep(&["analyze", "results/grid", "--format", "json"])
        .expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["findings"]["series"].as_array().unwrap().len(), 2);
}

// One server twice and two servers: three points, each with its row, and every count says three.
#[test]
fn equal_points_are_counted_everywhere() {
    let desk = Desk::new();
    let spec = GRID.replace("[1, 2, 4]", "[1, 1, 2]");
    let spec = spec
        .replace("[128, 256]", "128")
        .replace("[100, 400]", "400");
    desk.write("equal.toml", spec);
    let ran = desk
        .sweep(&["run", "equal.toml", "--out", "equal", "--format", "json"])
        .expect_code(0);
    let run: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(run["manifest"]["counts"]["ok"], 3);
    assert_eq!(run["findings"]["counts"]["ok"], 3);
    let text = desk.sweep(&["analyze", "equal"]).expect_code(0).stdout;
    assert!(text.contains("3 points: 3 ran"), "{text}");
    let compared = ["analyze", "equal", "--x", "stack", "--format", "json"];
    let compared = desk.sweep(&compared).expect_code(0).stdout;
    let compared: serde_json::Value = serde_json::from_str(&compared).unwrap();
    assert_eq!(compared["comparison"]["counts"]["ok"], 3);
}

// An H100 comes in a DGX H100 with 400 Gbit/s a GPU and an A100 in a DGX A100 with 200: what the spec leaves out follows from
// the GPU, and the length of a sample from the model. A network rate that the spec gives is the same for all.
#[test]
fn what_follows_from_the_compared_values_is_no_difference() {
    let desk = Desk::new();
    desk.write(
        "types.toml",
        r#"
[grid]
gpu = ["h100-sxm", "a100-80gb-sxm"]
model = ["gpt2-small", "llama3.2-1b"]
nodes = [1, 2]
global_batch = 64
tp = 1
pp = 1
cp = 1
"#,
    );
    desk.sweep(&["run", "types.toml", "--out", "types"])
        .expect_code(0);
    for (axis, best) in [("gpu", "h100-sxm"), ("model", "gpt2-small")] {
        let by = desk
            .sweep(&["analyze", "types", "--x", axis])
            .expect_code(0);
        let said =
            format!("Of 4 jobs that differ in `{axis}` alone, the fastest value is {best} in 4.");
        assert!(words(&by.stdout).contains(&said), "{}", by.stdout);
    }
    // Clusters that are given stay a difference: the two types are in two networks.
    desk.write(
        "given.toml",
        r#"
[[zip]]
gpu = ["h100-sxm", "a100-80gb-sxm"]
cluster = ["dgx-h100", "dgx-a100"]
[grid]
model = "gpt2-small"
nodes = 1
global_batch = 64
"#,
    );
    desk.sweep(&["run", "given.toml", "--out", "given"])
        .expect_code(0);
    let by = desk
        .sweep(&["analyze", "given", "--x", "gpu"])
        .expect_code(0);
    assert!(by.stdout.contains("no two rows differ"), "{}", by.stdout);
}
