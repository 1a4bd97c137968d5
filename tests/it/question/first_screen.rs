//! Answers on the first screen of a run, in 30 lines.

use serde_json::Value;

use super::{SPEC, answer, point};
use crate::desk::Desk;

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
        1 => "; 1 more only at its largest size (unconfirmed).".to_owned(),
        n => format!("; {n} more only at their largest size (unconfirmed)."),
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
        "  Fastest for all 4 models: ",
        " for 3 of 4 models, ",
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
        words.contains("Efficiency over 100%: the smallest size, its yardstick, "),
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
