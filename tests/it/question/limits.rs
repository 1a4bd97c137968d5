//! What lies within the limits of a question, what misses them, and by how much.

use super::{Limited, Row, SPEC, answer, asked, point, rows};
use crate::desk::Desk;

// Every limit on its own and all together, at each value that a row has: what is left is sorted by hand.
#[test]
fn the_cheapest_and_the_fastest_within_the_limits_are_those_of_the_rows() {
    let desk = asked();
    let first = answer(&desk, &["asked.toml"]);
    assert_eq!(first["schema"], "clustersweep.answer/1");
    assert!(first["answers"][0]["is_met"].is_null(), "no limit is set");
    let rows = rows(&desk, "results/asked/points.parquet");
    assert_eq!(rows.len(), 10);
    for limit in rows.iter().step_by(3) {
        let (days, usd) = (limit.days * 1.000_001, limit.usd * 1.000_001);
        let deadline = format!("{days} days");
        let budget = format!("{usd} USD");
        let gpus = limit.gpus.to_string();
        let of_days = |row: &Row| row.days <= days;
        let of_usd = |row: &Row| row.usd <= usd;
        let of_gpus = |row: &Row| row.gpus <= limit.gpus;
        let all = |row: &Row| of_days(row) && of_usd(row) && of_gpus(row);
        let by_deadline = ["results/asked", "--deadline", &deadline];
        let by_budget = ["results/asked", "--budget", &budget];
        let by_gpus = ["results/asked", "--gpus-max", &gpus];
        let together = [&by_deadline[..], &by_budget[1..], &by_gpus[1..]].concat();
        let asked: [Limited<'_>; 4] = [
            (&by_deadline, &of_days),
            (&by_budget, &of_usd),
            (&by_gpus, &of_gpus),
            (&together, &all),
        ];
        for (arguments, is_within) in asked {
            let found = answer(&desk, arguments);
            let found = &found["answers"][0];
            let within = || rows.iter().filter(|row| is_within(row));
            let cheapest = within().min_by(|a, b| a.usd.total_cmp(&b.usd)).unwrap();
            let fastest = within().min_by(|a, b| a.days.total_cmp(&b.days)).unwrap();
            assert_eq!(found["is_met"], true, "{arguments:?}");
            assert_eq!(
                point(&found["cheapest"]),
                Some(cheapest.point),
                "{arguments:?}"
            );
            assert_eq!(
                point(&found["fastest"]),
                Some(fastest.point),
                "{arguments:?}"
            );
            // serde_json reads decimals to the last digit but one.
            for (key, expected) in [("days", cheapest.days), ("total_cost_usd", cheapest.usd)] {
                let stated = found["cheapest"][key].as_f64().unwrap();
                assert!(
                    (stated / expected - 1.0).abs() < 1e-15,
                    "{stated} {expected}"
                );
            }
        }
    }
}

// An hour is too short for every row: the fastest misses it by its days times 24, and a deadline of its own days is met
// by that row. The same of a budget of a dollar and the cheapest row.
#[test]
fn the_nearest_miss_says_what_would_meet_the_limits() {
    let desk = asked();
    answer(&desk, &["asked.toml"]);
    let rows = rows(&desk, "results/asked/points.parquet");
    let fastest = rows
        .iter()
        .min_by(|a, b| a.days.total_cmp(&b.days))
        .unwrap();
    let cheapest = rows.iter().min_by(|a, b| a.usd.total_cmp(&b.usd)).unwrap();
    let run = "results/asked";
    let deadline = format!("{} h", fastest.days * 24.0 * 1.000_001);
    let budget = format!("{} USD", cheapest.usd * 1.000_001);
    for (option, none, does, row, times) in [
        (
            "--deadline",
            "1 h",
            deadline.as_str(),
            fastest,
            fastest.days * 24.0,
        ),
        ("--budget", "1 USD", budget.as_str(), cheapest, cheapest.usd),
    ] {
        let missed = answer(&desk, &[run, option, none]);
        let missed = &missed["answers"][0];
        assert_eq!(missed["is_met"], false);
        assert_eq!(missed["within"], serde_json::json!([]));
        let miss = &missed["misses"][0];
        assert_eq!(miss["limit"], option.trim_start_matches("--"));
        assert_eq!(point(&miss["row"]), Some(row.point));
        let found = miss["times_limit"].as_f64().unwrap();
        assert!(
            (found / times - 1.0).abs() < 1e-9,
            "{found}, expected {times}"
        );
        let met = answer(&desk, &[run, option, does]);
        assert_eq!(point(&met["answers"][0]["cheapest"]), Some(row.point));
    }
    let text = desk
        .sweep(&["answer", run, "--deadline", "1 h"])
        .expect_code(0)
        .stdout;
    assert!(
        text.contains("No row is within 60 min. The nearest: "),
        "{text}"
    );
    // A model of 100 billion tokens that takes d hours takes one for 100/d billion; rounded so that it does.
    let fewer = (10_000.0 / (fastest.days * 24.0)).floor() / 100.0;
    assert!(
        text.replace("\n    ", " ")
            .contains(&format!("or {fewer} G tokens in place of 100 G")),
        "{text}"
    );
}

// Rows stay as they are whatever limits the spec is given: the run is read again and not simulated.
#[test]
fn other_limits_of_the_same_points_need_no_other_run() {
    let desk = asked();
    answer(&desk, &["asked.toml"]);
    let manifest = desk.read("results/asked/manifest.json");
    desk.write(
        "asked.toml",
        format!("{SPEC}deadline = '12 days'\nbudget = '40_000 USD'\n"),
    );
    let found = answer(&desk, &["asked.toml"]);
    assert_eq!(found["question"]["deadline_s"], 12.0 * 86_400.0);
    assert_eq!(found["question"]["budget_usd"], 40_000.0);
    assert!(found["answers"][0]["is_met"].is_boolean());
    assert_eq!(manifest, desk.read("results/asked/manifest.json"));
    // Another amount makes other rows.
    desk.sweep(&[
        "answer",
        "asked.toml",
        "--tokens",
        "2e11",
        "--progress",
        "never",
    ])
    .expect_code(2)
    .expect_stderr(&["--overwrite"]);
    desk.sweep(&["answer", "results/asked", "--tokens", "2e11"])
        .expect_code(2)
        .expect_stderr(&[
            "for 1e11 tokens, not for 2e11 tokens",
            "sweep answer results/asked/spec.toml",
        ]);
}

#[test]
fn what_has_no_answer_says_why() {
    let desk = asked();
    desk.sweep(&["run", "asked.toml", "--progress", "never"])
        .expect_code(0);
    let faulty: [(&[&str], &[&str]); 5] = [
        (
            &["asked.toml", "--deadline", "60"],
            &[
                "--deadline:1:1",
                "`deadline` is text with its unit like \"60 days\"",
            ],
        ),
        (
            &["asked.toml", "--budget", "5 EUR"],
            &["--budget:1:1", "like \"700000 USD\""],
        ),
        (
            &["results/asked", "--set", "nodes=3"],
            &["is a finished run", "answer its spec instead"],
        ),
        (
            &["results/asked/points.parquet"],
            &["is a bare file", "name the run folder or the spec"],
        ),
        (&["fabric.toml"], &["is a collective study"]),
    ];
    desk.write("fabric.toml", crate::desk::FABRIC);
    for (arguments, parts) in faulty {
        desk.sweep(&[&["answer", "--progress", "never"], arguments].concat())
            .expect_code(2)
            .expect_stderr(parts);
    }
    desk.sweep(&["answer", "nowhere.toml"]).expect_code(3);
}

// The median of measured over predicted is within the largest of them, which all cases stay within; a row within the
// limits with the margin takes at most the deadline over it.
#[test]
fn a_confidence_leaves_the_room_that_measured_trainings_needed() {
    let desk = Desk::new();
    let spec = SPEC
        .replace("llama3-8b", "bert-large")
        .replace("1e11", "1e12");
    desk.write("asked.toml", spec.replace("[1, 2, 4, 8, 16]", "[1, 2]"));
    let plain = answer(&desk, &["asked.toml", "--deadline", "90 days"]);
    assert!(plain["answers"][0]["margin"].is_null());
    let margin = |confidence: &str| {
        let found = answer(
            &desk,
            &[
                "results/asked",
                "--deadline",
                "90 days",
                "--confidence",
                confidence,
            ],
        );
        let found = &found["answers"][0];
        let factor = found["margin"]["factor"].as_f64().unwrap();
        assert_eq!(found["margin"]["family"], "encoder");
        for row in found["within"].as_array().unwrap() {
            assert!(row["days"].as_f64().unwrap() * factor <= 90.0);
        }
        factor
    };
    let (half, all) = (margin("50%"), margin("1"));
    assert!(0.5 < half && half < all, "{half} {all}");
    // The headline says the confidence, and what its limits hold for.
    let arguments = [
        "results/asked",
        "--deadline",
        "90 days",
        "--confidence",
        "1",
    ];
    let found = answer(&desk, &arguments);
    let sentence = found["sentences"][0].as_str().unwrap();
    let with = format!("within 90 days at 100% confidence (days and cost times {all:.2}): ");
    assert!(sentence.contains(&with), "{sentence}");
    let cheapest = &found["answers"][0]["cheapest"];
    for (key, margin) in [
        ("days", "days_with_margin"),
        ("total_cost_usd", "total_cost_with_margin_usd"),
    ] {
        let [plain, with] = [key, margin].map(|key| cheapest[key].as_f64().unwrap());
        assert!((with / plain / all - 1.0).abs() < 1e-12, "{key}");
    }
    let (_, told) = sentence.split_once("with the margin ").unwrap();
    let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
    let days = all * cheapest["days"].as_f64().unwrap();
    assert!(
        (told / days - 1.0).abs() < 0.006,
        "{sentence}, expected {days} days"
    );
}

// The spec's deadline of an hour is met by no row; dropped by the option no limit is left, and a budget alone is met.
#[test]
fn an_option_drops_a_limit_of_the_spec() {
    let desk = asked();
    desk.write("asked.toml", format!("{SPEC}deadline = '1 h'\n"));
    assert_eq!(
        answer(&desk, &["asked.toml"])["answers"][0]["is_met"],
        false
    );
    let dropped = answer(&desk, &["asked.toml", "--deadline", "none"]);
    assert!(dropped["question"]["deadline_s"].is_null());
    assert!(dropped["answers"][0]["is_met"].is_null());
    for budget in ["$700k", "700000", "700 k USD"] {
        let arguments = ["asked.toml", "--deadline", "none", "--budget", budget];
        let found = answer(&desk, &arguments);
        assert_eq!(found["question"]["budget_usd"], 7e5, "{budget}");
        assert_eq!(found["answers"][0]["is_met"], true, "{budget}");
    }
}
