//! The answer to a planner's question: what is within its limits, what misses them, and what would change it.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::desk::Desk;

/// Two GPUs at five sizes each.
const SPEC: &str = "
name = 'asked'
description = 'Which cluster for 100 billion tokens?'
[grid]
gpu = ['h100-sxm', 'b200']
nodes = [1, 2, 4, 8, 16]
model = 'llama3-8b'
global_batch = 256
[question]
tokens = 1e11
";

/// Arguments of a question, and which rows it leaves.
type Limited<'a> = (&'a [&'a str], &'a dyn Fn(&Row) -> bool);

/// A row of `points.parquet`.
#[derive(Clone, Copy, Debug)]
struct Row {
    point: u64,
    gpus: f64,
    days: f64,
    usd: f64,
}

fn asked() -> Desk {
    let desk = Desk::new();
    desk.write("asked.toml", SPEC);
    desk
}

/// The answer as JSON of `sweep answer` with some arguments, which ends well.
fn answer(desk: &Desk, arguments: &[&str]) -> Value {
    let answer = ["answer", "--progress", "never", "--format", "json"];
    let ended = desk.sweep(&[&answer, arguments].concat()).expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn rows(desk: &Desk, file: &str) -> Vec<Row> {
    let file = std::fs::File::open(desk.path(file)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batches = builder.build().unwrap().map(Result::unwrap);
    batches.flat_map(|batch| rows_of(&batch)).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| {
        let reals = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
        reals.as_primitive::<Float64Type>().values().to_vec()
    };
    let (point, gpus) = (column("point"), column("gpus"));
    let (days, usd) = (column("days"), column("total_cost_usd"));
    (0..batch.num_rows())
        .map(|row| Row {
            point: point[row] as u64,
            gpus: gpus[row],
            days: days[row],
            usd: usd[row],
        })
        .collect()
}

fn point(row: &Value) -> Option<u64> {
    row["point"].as_u64()
}

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
            .contains(&format!("or {fewer:.2} G tokens in place of 100 G")),
        "{text}"
    );
}

// With its rent a thousandth above the one at which both cost the same the chosen row is no longer the cheapest, and a
// thousandth below it is.
#[test]
fn rents_at_which_the_answer_changes_change_it() {
    let desk = asked();
    let limits = ["--deadline", "12 days"];
    let found = answer(&desk, &[&["asked.toml"], &limits[..]].concat());
    let found = &found["answers"][0];
    let rent = found["turns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["kind"] == "rent")
        .unwrap();
    let (own, rival) = (point(&found["cheapest"]), point(&rent["rival"]));
    let gpu = found["cheapest"]["axes"]["gpu"].as_str().unwrap();
    let even = rent["own_even_usd_per_gpu_hour"].as_f64().unwrap();
    for (factor, expected) in [(1.001, rival), (0.999, own)] {
        let price = format!(
            "[gpus.{gpu}]\nbase = '{gpu}'\nprice_per_hour = '{} USD'\n",
            even * factor
        );
        desk.write("dearer.toml", format!("{SPEC}{price}"));
        let arguments = ["dearer.toml", "--overwrite", "-o", "dearer"];
        let found = answer(&desk, &[&arguments, &limits[..]].concat());
        assert_eq!(
            point(&found["answers"][0]["cheapest"]),
            expected,
            "{factor}"
        );
    }
    // The deadlines that change it: at the shorter one's row the chosen row is out, at the longer one's it is beaten.
    for turn in found["turns"].as_array().unwrap() {
        let row = &turn["choice"];
        let days = match turn["kind"].as_str().unwrap() {
            "later_deadline" => row["days"].as_f64().unwrap() * 1.000_001,
            "earlier_deadline" => found["cheapest"]["days"].as_f64().unwrap() * 0.999_999,
            _ => continue,
        };
        let turned = answer(
            &desk,
            &["results/asked", "--deadline", &format!("{days} days")],
        );
        assert_eq!(
            point(&turned["answers"][0]["cheapest"]),
            point(row),
            "{turn}"
        );
    }
}

// Between one server, too slow, and eight lie seven sizes; two of them are simulated beside the run, whose own rows stay.
#[test]
fn sizes_between_those_of_the_grid_are_simulated_beside_the_run() {
    let desk = Desk::new();
    let spec = SPEC.replace("['h100-sxm', 'b200']", "'h100-sxm'");
    desk.write("asked.toml", spec.replace("[1, 2, 4, 8, 16]", "[1, 8]"));
    let limits = ["--deadline", "8 days"];
    let coarse = answer(&desk, &[&["asked.toml"], &limits[..]].concat());
    let coarse = &coarse["answers"][0];
    let offered: Vec<u64> = coarse["between"]["gpus"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_u64().unwrap())
        .collect();
    assert!(
        offered.len() == 2
            && offered
                .iter()
                .all(|gpus| gpus % 8 == 0 && (9..64).contains(gpus)),
        "{offered:?}"
    );
    let before = desk.read("results/asked/points.parquet");
    let fine = answer(
        &desk,
        &[&["results/asked", "--refine"], &limits[..]].concat(),
    );
    assert_eq!(
        fine["runs"],
        serde_json::json!(["results/asked", "results/asked-refined"])
    );
    let cheapest = &fine["answers"][0]["cheapest"];
    let cost = |row: &Value| row["total_cost_usd"].as_f64().unwrap();
    assert_eq!(cheapest["run"], "results/asked-refined");
    assert!(offered.contains(&cheapest["gpus"].as_u64().unwrap()));
    assert!(
        cheapest["days"].as_f64().unwrap() <= 8.0 && cost(cheapest) < cost(&coarse["cheapest"])
    );
    assert_eq!(before, desk.read("results/asked/points.parquet"));
    assert_eq!(rows(&desk, "results/asked-refined/points.parquet").len(), 2);
    // The new rows are those that a grid of these sizes has.
    let sizes = format!("gpus={}", cheapest["gpus"]);
    let again = [
        "run",
        "asked.toml",
        "--set",
        &sizes,
        "-o",
        "again",
        "--progress",
        "never",
    ];
    desk.sweep(&again).expect_code(0);
    assert_eq!(
        Some(rows(&desk, "again/points.parquet")[0].days),
        cheapest["days"].as_f64()
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

// The answer leads the summary of a run and its page; the spec that a run keeps asks the same.
#[test]
fn a_run_says_the_answer_first() {
    let desk = Desk::new();
    desk.write(
        "asked.toml",
        format!("{SPEC}deadline = '12 days'\ngpus_max = 64\nconfidence = 0.5\n"),
    );
    let text = desk
        .sweep(&["run", "asked.toml", "--progress", "never"])
        .expect_code(0)
        .stdout;
    assert!(
        text.contains(
            "  Cheapest within 12 days on at most 64 GPUs at 50% confidence (days and cost\n"
        ),
        "{text}"
    );
    let page = String::from_utf8(desk.read("results/asked/report.html")).unwrap();
    assert!(page.contains("<div class=\"answer\"><p>Cheapest within 12 days on at most 64 GPUs at 50% confidence (days and cost times "));
    let own = answer(&desk, &["results/asked"]);
    assert_eq!(own["question"], answer(&desk, &["asked.toml"])["question"]);
    assert_eq!(own["question"]["gpus_max"], 64);
    let run = desk
        .sweep(&["analyze", "results/asked", "--format", "json"])
        .expect_code(0);
    let run: Value = serde_json::from_str(&run.stdout).unwrap();
    let verdict = &run["findings"]["answers"][0]["verdict"];
    assert_eq!(
        point(verdict["within"].as_array().unwrap().last().unwrap()),
        point(&own["answers"][0]["cheapest"])
    );
}

/// What is said of series that fall under the threshold at one size, by their number among some findings.
fn unconfirmed_in_words(json: &Value) -> String {
    let series = json["findings"]["series"].as_array().unwrap().iter();
    let is_unconfirmed = |it: &&Value| it["breakdown"]["status"] == "unconfirmed";
    match series.filter(is_unconfirmed).count() {
        0 => String::new(),
        1 => "; 1 more falls under it only at its largest size (unconfirmed).".to_owned(),
        n => format!("; {n} more fall under it only at their largest size (unconfirmed)."),
    }
}

// Four models, two GPUs, two networks and three batches: the first screen has at most 30 lines of 80 columns, with the
// choices' points and whole names; everything else is behind -v.
#[test]
fn the_first_screen_has_thirty_lines_and_says_where_the_rest_is() {
    let desk = Desk::new();
    let spec = "
        name = 'screen'
        description = 'Where does it stop scaling?'
        [grid]
        gpu = ['a100-80gb-sxm', 'h100-sxm']
        model = ['llama2-7b', 'llama3-8b', 'mistral-7b', 'gpt3-6.7b']
        global_batch = [64, 128, 256]
        nic_gbit_per_s = [100, 400]
        nodes = [1, 2, 4, 8]
    ";
    desk.write("screen.toml", spec);
    let run = ["run", "screen.toml", "--progress", "never"];
    let screen = desk.sweep(&run).expect_code(0).stdout;
    assert!(screen.lines().count() <= 30, "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    for said in [
        "  Fastest in all 4 models: ",
        " in 3 of 4 models, ",
        "mistral-7b cheapest h100-sxm b256 nic",
        "(under 80% efficiency)",
        "How far to trust it: point ",
        "In results/screen: report.html, points.parquet, scaling.parquet.",
        "`sweep explain results/screen ",
        "192 points: ",
    ] {
        assert!(screen.contains(said), "no `{said}` in\n{screen}");
    }
    // The number beside the fastest choice is that of its row.
    let json = desk
        .sweep(&["analyze", "results/screen", "--format", "json"])
        .expect_code(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    for answer in json["findings"]["answers"].as_array().unwrap() {
        let fastest = &answer["front"][0];
        let row = screen.lines().any(|line| {
            line.contains(" fastest ")
                && line
                    .split_whitespace()
                    .any(|word| word.parse().ok() == fastest["point"].as_u64())
        });
        assert!(row, "{fastest} in\n{screen}");
    }
    // So are the breakdowns that a single size shows, and the reason for efficiencies over 100%.
    let words = screen.replace("\n  ", " ");
    let more = unconfirmed_in_words(&json);
    assert!(words.contains(&more), "{more} in\n{screen}");
    let over = screen.lines().filter_map(|line| line.strip_suffix('%'));
    let over = over.filter_map(|line| line.split_whitespace().last()?.parse().ok());
    let over = over.fold(0, u32::max) > 100;
    assert_eq!(
        words.contains("Efficiency over 100%: its measure, the smallest size, "),
        over,
        "{screen}"
    );
    let all = desk
        .sweep(&["analyze", "results/screen", "-v"])
        .expect_code(0)
        .stdout;
    assert!(
        all.contains("What would help") && all.contains("series  "),
        "{all}"
    );
    assert!(!screen.contains("What would help"));
}

// Of the ten points one has this GPU and size; five have the GPU, the fastest per sample of which has the most GPUs.
#[test]
fn a_point_is_found_by_what_holds_for_it() {
    let desk = asked();
    desk.sweep(&["run", "asked.toml", "--progress", "never"])
        .expect_code(0);
    let explain = |clause: &str| {
        let arguments = [
            "explain",
            "results/asked",
            "--where",
            clause,
            "--format",
            "json",
        ];
        let ended = desk.sweep(&arguments).expect_code(0);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let one = explain("gpu == 'b200' and gpus == 64");
    assert_eq!(
        (&one["point"], &one["gpu"]),
        (&8.into(), &"b200".into()),
        "{one}"
    );
    let several = explain("gpu == 'b200'");
    assert_eq!(several["schema"], "clustersweep.points/1");
    let points: Vec<u64> = several["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["point"].as_u64().unwrap())
        .collect();
    assert_eq!(points, [9, 8, 7, 6, 5]);
    desk.sweep(&["explain", "results/asked", "--where", "gpus == 3"])
        .expect_code(2)
        .expect_stderr(&["`where` drops every point"]);
    desk.sweep(&["explain", "results/asked"]).expect_code(2);
}

// The A100 of PCIe has no price on any list, the H100 is given one, and the B200 keeps that of the list: each is said once,
// on the first screen, in the answer and in JSON.
#[test]
fn the_prices_that_applied_are_said_and_the_gpus_that_have_none() {
    let desk = Desk::new();
    let gpus = "['h100-sxm', 'b200', 'a100-80gb-pcie']";
    let spec = SPEC
        .replace("['h100-sxm', 'b200']", gpus)
        .replace("[1, 2, 4, 8, 16]", "[1, 2]");
    let own = "[gpus.h100-sxm]\nbase = 'h100-sxm'\nprice_per_hour = '9 USD'\n";
    desk.write("asked.toml", format!("{spec}{own}"));
    let said = "Prices: Verda, on demand, 2026 (`sweep list prices`); the spec's own for h100-sxm; none for \
                a100-80gb-pcie.";
    let run = ["run", "asked.toml", "--progress", "never"];
    let screen = desk.sweep(&run).expect_code(0).stdout;
    assert!(screen.replace("\n  ", " ").contains(said), "{screen}");
    assert_eq!(answer(&desk, &["results/asked"])["prices"], said);
    // Without any price GPU-hours are compared.
    let alone = [
        "asked.toml",
        "--set",
        "gpu=a100-80gb-pcie",
        "--out",
        "alone",
    ];
    let alone = answer(&desk, &alone);
    assert_eq!(
        alone["prices"],
        "Prices: none for a100-80gb-pcie, so GPU-hours count."
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

// Nothing that takes time beside the steps is given: no goodput is claimed, and what is left out is said. With nodes that
// fail the goodput is below 1 and stands there.
#[test]
fn a_goodput_is_said_where_something_is_modelled() {
    let desk = asked();
    let text = |arguments: &[&str]| {
        let answer = ["answer", "--progress", "never"];
        let ended = desk.sweep(&[&answer, arguments].concat()).expect_code(0);
        ended.stdout.replace("\n    ", " ").replace("\n  ", " ")
    };
    let plain = text(&["asked.toml", "--deadline", "400 days"]);
    assert!(
        !plain.contains("goodput 100%") && !plain.contains(" 100%"),
        "{plain}"
    );
    assert!(
        plain.contains(
            "Not in days and cost, since [analysis] does not give them: failures, checkpoints, evaluations."
        ),
        "{plain}"
    );
    let failing = "[analysis]\nnode_mtbf_hours = 1000\nrestart_time = '10 min'\ncheckpoint_bandwidth = '20 GB/s'\n";
    desk.write("failing.toml", format!("{SPEC}{failing}"));
    let failing = text(&["failing.toml", "--deadline", "400 days", "-o", "failing"]);
    assert!(failing.contains(", goodput 9"), "{failing}");
    assert!(
        failing.contains("does not give them: evaluations."),
        "{failing}"
    );
}

// 400 days suffice for one server, the smallest size, and 16 nodes are the largest; 4 nodes lie inside the grid.
#[test]
fn an_answer_at_an_end_of_the_grid_says_so() {
    let desk = asked();
    let sentences = |arguments: &[&str]| {
        let found = answer(&desk, &[&["asked.toml"], arguments].concat());
        let sentences = found["sentences"].as_array().unwrap().clone();
        let texts = sentences.iter().map(|it| it.as_str().unwrap().to_owned());
        texts.collect::<Vec<_>>().join(" ")
    };
    let ends = "The cheapest is the smallest size of the grid (8 GPUs), the fastest is the largest size of the grid \
                (128 GPUs): sizes beyond were not tried.";
    let open = sentences(&["--deadline", "400 days"]);
    assert!(open.contains(ends), "{open}");
    // No more than 128 GPUs may be used, so none beyond were to be tried.
    let limited = sentences(&["--deadline", "400 days", "--gpus-max", "128"]);
    assert!(
        limited.contains(
            "The cheapest is the smallest size of the grid (8 GPUs): sizes beyond were not tried."
        ),
        "{limited}"
    );
}

// With b200 in place of h100-sxm the changed point is one of the grid, whose row has its cost; another network is not
// priced.
#[test]
fn a_change_of_gpus_costs_what_those_cost() {
    let desk = asked();
    let arguments = ["asked.toml", "--set", "gpu=h100-sxm", "--out", "h100"];
    let found = answer(
        &desk,
        &[&arguments[..], &["--deadline", "12 days"]].concat(),
    );
    let found = &found["answers"][0];
    let changes: Vec<&str> = found["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let gpu = changes
        .iter()
        .find(|it| it.contains(" instead of h100-sxm: "));
    let gpu = gpu.expect("another GPU helps");
    assert!(gpu.contains(" days, $") || gpu.contains(" h, $"), "{gpu}");
    let name = gpu.split(' ').next().unwrap();
    let set = format!("gpu={name}");
    let gpus = found["cheapest"]["gpus"].to_string();
    let size = format!("gpus={gpus}");
    let row = answer(
        &desk,
        &["asked.toml", "--set", &set, "--set", &size, "-o", "other"],
    );
    let usd = row["answers"][0]["cheapest"]["total_cost_usd"]
        .as_f64()
        .unwrap();
    let told: String = gpu
        .split('$')
        .nth(1)
        .unwrap()
        .chars()
        .take_while(|it| *it != ' ')
        .collect();
    let told: f64 = told.parse().unwrap();
    let thousands = usd / 1e3;
    assert!((told / thousands - 1.0).abs() < 0.006, "{gpu}, {usd}");
    for change in changes.iter().filter(|it| it.starts_with("NICs at")) {
        assert!(change.contains(" if the rent stays "), "{change}");
    }
}
