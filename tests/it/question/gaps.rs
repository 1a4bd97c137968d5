//! What an answer says that it lacks: prices, costs beside the steps, sizes beyond the grid.

use super::{SPEC, answer, asked};
use crate::desk::Desk;

// The A100 of PCIe has no price on any list, the H100 is given one, the list's own to the cent, and the B200 keeps that of
// the list: each is said once, on the first screen, in the answer and in JSON.
#[test]
fn the_prices_that_applied_are_said_and_the_gpus_that_have_none() {
    let desk = Desk::new();
    let gpus = "['h100-sxm', 'b200', 'a100-80gb-pcie']";
    let spec = SPEC
        .replace("['h100-sxm', 'b200']", gpus)
        .replace("[1, 2, 4, 8, 16]", "[1, 2]");
    let own = "[gpus.h100-sxm]\nbase = 'h100-sxm'\nprice_per_hour = '2.29 USD'\n";
    desk.write("asked.toml", format!("{spec}{own}"));
    let said = "Prices: Verda, on demand, 2026 (`sweep list prices`); the spec's own for h100-sxm; none for \
                a100-80gb-pcie.";
    let run = ["run", "asked.toml", "--progress", "never"];
    let screen = desk.sweep(&run).expect_code(0).stdout;
    assert!(screen.replace("\n  ", " ").contains(said), "{screen}");
    assert_eq!(answer(&desk, &["results/asked"])["prices"], said);
    // A point (the third: B200s on one node) and a comparison say it in the same words.
    let explain = ["explain", "results/asked", "2", "--format", "json"];
    let explained = desk.sweep(&explain).expect_code(0).stdout;
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let usual = "Prices: Verda, on demand, 2026 (`sweep list prices`).";
    assert_eq!(explained["prices_basis"], usual);
    let two = ["--set", "global_batch=128,256", "--out", "two"];
    desk.sweep(&[&run[..], &two].concat()).expect_code(0);
    let compare = ["analyze", "two", "--x", "global_batch", "--out", "compared"];
    let compared = desk.sweep(&compare).expect_code(0).stdout;
    assert!(compared.replace("\n  ", " ").contains(said), "{compared}");
    let page = String::from_utf8(desk.read("compared/report.html")).unwrap();
    assert!(page.contains("own for h100-sxm; none for a100-80gb-pcie."));
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
