//! What would change an answer: rents, sizes between those of the grid, other GPUs.

use serde_json::Value;

use super::{SPEC, answer, asked, point, rows};
use crate::desk::Desk;

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

/// Points of both runs are counted from 0: the text says whose a number is, in the sentence, in the table and beside the trust.
fn said_of_the_refined_run(desk: &Desk, point: &Value) {
    let arguments = [
        "answer",
        "results/asked",
        "--refine",
        "--deadline",
        "8 days",
    ];
    let said = desk.sweep(&arguments).expect_code(0).stdout;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        format!("(point {point} of the refined run)"),
        format!(" {point} refined "),
        format!(" point {point} of the refined run: "),
    ] {
        assert!(said.contains(&words), "{words} in {said}");
    }
}

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
    said_of_the_refined_run(&desk, &cheapest["point"]);
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
