//! Runs whose points are simulated again: frozen curves, checked causes, gains.

use serde_json::Value;

use crate::desk::Desk;

/// Two series of six sizes; the smaller model stops scaling when its batch is shared out.
const BREAKING: &str = r#"
name = "breaking"
[grid]
gpu = "h100-sxm"
model = ["llama2-7b", "llama3-8b"]
global_batch = 128
nodes = { from = 1, to = 32, times = 2 }
"#;

fn analysed(desk: &Desk, run: &str) -> Value {
    let ended = desk
        .sweep(&["analyze", run, "--format", "json"])
        .expect_code(0);
    let mut value: Value = serde_json::from_str(&ended.stdout).unwrap();
    value["findings"].take()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

#[test]
fn what_is_simulated_again_does_not_hang_on_the_number_of_threads() {
    let desk = Desk::new();
    desk.write("breaking.toml", BREAKING);
    for threads in ["1", "3"] {
        desk.sweep(&["run", "breaking.toml", "--threads", threads, "-o", threads])
            .expect_code(0);
    }
    for file in ["scaling.parquet", "report.html"] {
        assert_eq!(
            desk.read(&format!("1/{file}")),
            desk.read(&format!("3/{file}"))
        );
    }
    // Analysing the run again writes what the run wrote.
    let before = desk.read("1/scaling.parquet");
    desk.sweep(&["analyze", "1"]).expect_code(0);
    assert!(before == desk.read("1/scaling.parquet"));
}

#[test]
fn a_frozen_curve_begins_like_its_series_and_keeps_its_layout() {
    let desk = Desk::new();
    desk.write("breaking.toml", BREAKING);
    desk.sweep(&["run", "breaking.toml", "-o", "run"])
        .expect_code(0);
    let findings = analysed(&desk, "run");
    let (series, frozen) = (list(&findings, "series"), list(&findings, "frozen"));
    assert_eq!(series.len(), 2);
    assert_eq!(frozen.len(), 2);
    for (own, frozen) in series.iter().zip(frozen) {
        assert_eq!(frozen["layouts"], "frozen");
        assert_eq!(frozen["of_series"], own["number"]);
        assert_eq!(frozen["key"], own["key"]);
        let (own, frozen) = (list(own, "sizes"), list(frozen, "sizes"));
        assert_eq!(own.len(), frozen.len());
        let first = own
            .iter()
            .position(|size| !size["efficiency"].is_null())
            .unwrap();
        assert_eq!(
            own[first]["point"]["simulated"],
            frozen[first]["point"]["simulated"]
        );
        let layout = |size: &Value| {
            let layout = &size["point"]["simulated"]["layout"];
            ["tp", "pp", "cp", "ep", "zero", "micro_batch"].map(|name| layout[name].clone())
        };
        for (own, size) in own.iter().zip(frozen) {
            if size["point"]["simulated"].is_null() {
                // A size that the frozen layout cannot have says why.
                assert_eq!(size["point"]["status"], "infeasible");
                assert!(
                    size["point"]["reason"]
                        .as_str()
                        .is_some_and(|why| why.len() > 10)
                );
                continue;
            }
            assert_eq!(layout(size), layout(&frozen[first]));
            // The search had the frozen layout to choose from, so it is never slower than that.
            let time = |size: &Value| size["point"]["simulated"]["step_time_s"].as_f64().unwrap();
            assert!(time(own) <= time(size) * (1.0 + 1e-9));
        }
    }
}

#[test]
fn a_layout_that_the_spec_fixes_has_no_frozen_curve() {
    let desk = Desk::new();
    desk.write(
        "fixed.toml",
        "name = \"fixed\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\nglobal_batch = 256\n\
         nodes = [1, 2, 4]\ntp = 2\npp = 1\ncp = 1\nep = 1\nvpp = 1\nmicro_batch = 1\nzero = 1\nrecompute = \"none\"\n\
         etp = 1\nschedule = \"1f1b\"\nsequence_parallel = true\n",
    );
    desk.sweep(&["run", "fixed.toml", "-o", "run"])
        .expect_code(0);
    assert!(list(&analysed(&desk, "run"), "frozen").is_empty());
}

#[test]
fn a_breakdown_names_a_cause_that_was_tried_and_what_would_help() {
    let desk = Desk::new();
    desk.write("breaking.toml", BREAKING);
    desk.sweep(&["run", "breaking.toml", "-o", "run"])
        .expect_code(0);
    let findings = analysed(&desk, "run");
    let threshold = findings["threshold"].as_f64().unwrap();
    let mut broken = 0;
    for series in list(&findings, "series") {
        let breakdown = &series["breakdown"];
        if breakdown["status"] == "none" {
            continue;
        }
        broken += 1;
        let trials = list(breakdown, "trials");
        let without = |trial: &Value| trial["efficiency"].as_f64().unwrap();
        let cause = trials
            .iter()
            .find(|trial| trial["cause"] == breakdown["cause"])
            .unwrap();
        // Trials end with the one that confirms.
        match breakdown["check"].as_str().unwrap() {
            "confirmed" => {
                assert!(without(cause) >= threshold);
                assert_eq!(cause, trials.last().unwrap());
            }
            "not-alone" => assert!(trials.iter().all(|trial| without(trial) < threshold)),
            other => panic!("{other}"),
        }
        let shares: f64 = list(breakdown, "contributions")
            .iter()
            .map(|part| part["share"].as_f64().unwrap())
            .sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }
    assert!(broken > 0);
    let advice = &findings["advice"];
    assert_eq!(advice["not_reproduced"], 0);
    assert!(advice["neighbours"].as_u64().unwrap() > 0);
    for point in list(advice, "points") {
        let gains: Vec<f64> = list(point, "gains")
            .iter()
            .map(|gain| gain["time_per_sample"].as_f64().unwrap())
            .collect();
        assert!(gains.is_sorted() && gains.iter().all(|gain| *gain < 0.0));
        assert_eq!(list(point, "elasticities").len(), 6);
    }
}

#[test]
fn bare_files_are_analysed_without_being_simulated_again() {
    let desk = Desk::new();
    desk.write("breaking.toml", BREAKING);
    desk.sweep(&["run", "breaking.toml", "-o", "run"])
        .expect_code(0);
    let findings = analysed(&desk, "run/points.parquet");
    assert!(findings["advice"].is_null());
    assert!(list(&findings, "frozen").is_empty());
    let checks: Vec<&Value> = list(&findings, "series")
        .iter()
        .map(|series| &series["breakdown"]["check"])
        .filter(|check| !check.is_null())
        .collect();
    assert!(!checks.is_empty() && checks.iter().all(|check| *check == "not-checked"));
}

#[test]
fn rows_that_this_version_does_not_reproduce_are_not_simulated_again() {
    let desk = Desk::new();
    desk.write("breaking.toml", BREAKING);
    desk.sweep(&["run", "breaking.toml", "-o", "run"])
        .expect_code(0);
    // The rows are those of 16-bit training; the spec beside them now says fp8, which takes other times, as
    // another version or catalogue would.
    let spec = String::from_utf8(desk.read("run/spec.toml")).unwrap();
    desk.write(
        "run/spec.toml",
        spec.replace("[[grid]]\n", "[[grid]]\nprecision = \"fp8\"\n"),
    );
    let findings = analysed(&desk, "run");
    assert_eq!(findings["advice"]["not_reproduced"], 2);
    assert!(list(&findings, "frozen").is_empty());
    let ended = desk.sweep(&["analyze", "run"]).expect_code(0);
    assert!(ended.stdout.contains("2 series were not re-simulated"));
}
