//! `[measured]`: measured runs of one's own, from the spec to the columns, explanations and comparisons.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::{Desk, Ended, STEP_PARTS};

/// The table of a run.
fn table(desk: &Desk, run: &str) -> RecordBatch {
    let file = File::open(desk.path(run).join("points.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    builder.build().unwrap().next().unwrap().unwrap()
}

/// A number of a row, counts among them; `None` where it is null.
fn number(table: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let reals = cast(table.column_by_name(column).unwrap(), &DataType::Float64).unwrap();
    let reals = reals.as_primitive::<Float64Type>();
    reals.is_valid(row).then(|| reals.value(row))
}

/// The layout that ran, whatever is left to choose.
const LAYOUT: &str = r#"tp = 2
pp = 1
micro_batch = 1
zero = 1
sequence_parallel = true
recompute = "full"
stack = "megatron-2025"
"#;

/// One, two and 512 servers: 8, 16 and 4096 GPUs.
fn spec(measured: &str) -> String {
    format!(
        "name = 'mine'\n{measured}\n[grid]\ngpu = 'h100-sxm'\nnodes = [1, 2, 512]\nmodel = 'llama3-8b'\n\
         global_batch = 2048\n{LAYOUT}"
    )
}

fn own(extra: &str) -> String {
    format!(
        "[[measured]]\nname = 'june'\ngpu = 'h100-sxm'\nnodes = 1\nmodel = 'llama3-8b'\nglobal_batch = 2048\n{LAYOUT}{extra}\n"
    )
}

fn run(desk: &Desk, text: &str, out: &str) -> Ended {
    desk.write("mine.toml", text);
    desk.sweep(&["run", "mine.toml", "-o", out, "--progress", "never"])
}

/// A desk with the run `raw` without measured runs, and the seconds of its first step.
fn raw() -> (Desk, f64) {
    let desk = Desk::new();
    run(&desk, &spec(""), "raw").expect_code(0);
    let seconds = number(&table(&desk, "raw"), "step_time_s", 0).unwrap();
    (desk, seconds)
}

// The measured run itself takes what was measured. Twice the GPUs are 1/3 away: the weight is
// (e^(−1/3) − e⁻³)/(1 − e⁻³) = (0.716531 − 0.049787)/0.950213 = 0.701678, so the step takes 1.25^0.701678 = 1.169503 times
// its prediction. 512 times the GPUs are 3 away, where nothing is corrected.
#[test]
fn a_measured_run_corrects_the_predictions_near_it() {
    let (desk, seconds) = raw();
    let measured = own(&format!("step_time_s = {}", 1.25 * seconds));
    let ended = run(&desk, &spec(&measured), "corrected").expect_code(0);
    let (raw, corrected) = (table(&desk, "raw"), table(&desk, "corrected"));
    let factors = [1.25, 1.169_503, 1.0];
    for (row, factor) in factors.into_iter().enumerate() {
        let of = |column: &str| (number(&raw, column, row), number(&corrected, column, row));
        let ratio = |column: &str| {
            let (before, after) = of(column);
            after.unwrap() / before.unwrap()
        };
        for column in [
            "step_time_s",
            "compute_s",
            "forward_s",
            "cost_per_step_usd",
            "energy_per_step_kwh",
        ] {
            assert!(
                (ratio(column) - factor).abs() < 1e-5,
                "{column} of {row}: {}",
                ratio(column)
            );
        }
        for column in ["mfu", "tokens_per_s", "samples_per_s"] {
            assert!(
                (ratio(column) * factor - 1.0).abs() < 1e-5,
                "{column} of {row}"
            );
        }
        for column in ["comm_fraction", "memory_peak_bytes"] {
            assert!((ratio(column) - 1.0).abs() < 1e-6, "{column} of {row}");
        }
        let (before, after) = of("step_time_s");
        let [uncorrected, correction] = ["step_time_uncorrected_s", "step_time_correction_s"]
            .map(|column| number(&corrected, column, row));
        if factor > 1.0 {
            assert_eq!(uncorrected, before);
            let difference = after.unwrap() - before.unwrap();
            assert!((correction.unwrap() - difference).abs() < 1e-9, "{row}");
        } else {
            assert_eq!((uncorrected, correction, after), (None, None, before));
        }
        assert_eq!(number(&raw, "step_time_uncorrected_s", row), None);
        assert!((parts(&corrected, row) / after.unwrap() - 1.0).abs() < 1e-9);
    }
    // Nearer to the measured run less is unknown.
    let width = |table, row| {
        let [low, high] =
            ["step_time_low_s", "step_time_high_s"].map(|it| number(table, it, row).unwrap());
        (high / low).ln()
    };
    assert!(width(&corrected, 0) < width(&corrected, 1));
    assert!(width(&corrected, 1) < width(&raw, 1) && width(&corrected, 0) < 0.5 * width(&raw, 0));
    let line = "measured `june` corrects it by";
    let first_screen = ended.stdout.contains(line) || !ended.stdout.contains("point 0:");
    assert!(first_screen, "{}", ended.stdout);
}

/// Seconds of all exclusive parts of a row.
fn parts(table: &RecordBatch, row: usize) -> f64 {
    STEP_PARTS
        .iter()
        .map(|part| number(table, part, row).unwrap())
        .sum()
}

// A run of the same configuration twice: its ratio is the geometric mean, 1.2 of 1.1 and 1.2²/1.1, and the interval is no
// narrower than the spread of both: ln(1.2/1.1) = 0.087 either way of the mean, a standard deviation of √2·0.087 = 0.123,
// of which 1.28 times either way hold four of five.
#[test]
fn repeats_are_averaged_and_the_interval_holds_their_spread() {
    let (desk, seconds) = raw();
    let rate = |factor: f64| 2048.0 * 8192.0 / (factor * seconds);
    let first = own(&format!("tokens_per_s = {}", rate(1.1)));
    let second = own(&format!(
        "tokens_per_s_per_gpu = {}",
        rate(1.2 * 1.2 / 1.1) / 8.0
    ));
    run(&desk, &spec(&format!("{first}{second}")), "both").expect_code(0);
    let both = table(&desk, "both");
    let of = |column| number(&both, column, 0).unwrap();
    assert!((of("step_time_s") / seconds - 1.2).abs() < 1e-6);
    let width = (of("step_time_high_s") / of("step_time_low_s")).ln();
    assert!(width > 2.0 * 1.28 * 0.123 - 1e-3, "{width}");
}

// The file that `sweep validate` takes says the same as the table; `spec.toml` holds its rows and runs by itself; explain
// names the run; diff names what differs.
#[test]
fn a_file_of_runs_does_the_same_and_every_command_knows_it() {
    let (desk, seconds) = raw();
    let header = "id,gpu,gpus,model,framework,year,global_batch,tp,pp,vpp,micro_batch,zero,sequence_parallel,recompute,measured_step_time_s";
    let row = format!(
        "july,h100-sxm,8,llama3-8b,Megatron-LM,2025,2048,2,1,1,1,1,yes,full,{}",
        1.25 * seconds
    );
    desk.write("mine.csv", format!("{header}\n{row}\n"));
    desk.sweep(&["validate", "mine.csv"]).expect_code(0);
    run(&desk, &spec("[measured]\nfile = 'mine.csv'"), "file").expect_code(0);
    let first = number(&table(&desk, "file"), "step_time_s", 0).unwrap();
    assert!((first / seconds - 1.25).abs() < 1e-6, "{first} {seconds}");
    desk.write("again.toml", desk.read("file/spec.toml"));
    desk.sweep(&["run", "again.toml", "-o", "again"])
        .expect_code(0);
    assert_eq!(
        desk.read("file/points.parquet"),
        desk.read("again/points.parquet")
    );
    desk.sweep(&["verify", "file"]).expect_code(0);
    let explained = desk.sweep(&["explain", "file", "1"]).expect_code(0).stdout;
    for part in [
        "corrected by measured runs",
        "july",
        "+25.0%",
        "0.33 away",
        "weight 0.70",
    ] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    let json = desk
        .sweep(&["explain", "file", "0", "--format", "json"])
        .expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["corrected_by"][0]["run"], "july");
    assert_eq!(json["corrected_by"][0]["weight"], 1.0);
    let diff = desk.sweep(&["diff", "raw", "file"]);
    assert!(diff.stdout.contains("measured"), "{}", diff.stdout);
}

// Every fault at once, each with its place; nothing is written.
#[test]
fn bad_runs_are_refused_with_place_limit_and_way_out() {
    let desk = Desk::new();
    let faults = [
        ("model = 'llama3-8c'", "unknown model `llama3-8c`"),
        ("nodes = 1\ngpus = 8", "`nodes` and `gpus` are both given"),
        ("step_tme_s = 1", "did you mean `step_time_s`"),
        (
            "tokens_per_s = 1",
            "`step_time_s` and `tokens_per_s` are both given",
        ),
        ("step_time_s = -1", "a number over 0"),
        ("name = 3", "name"),
    ];
    for (line, message) in faults {
        let key = line.split(' ').next().unwrap();
        let full = own("step_time_s = 40");
        let kept: Vec<&str> = full
            .lines()
            .filter(|it| !it.starts_with(&format!("{key} ")))
            .collect();
        let text = spec(&format!("{}\n{line}\n", kept.join("\n")));
        run(&desk, &text, "bad")
            .expect_code(2)
            .expect_stderr(&[message, "mine.toml:"]);
    }
    let simulated = [
        (
            own("step_time_s = 4000"),
            "a correction by more than 3 would hide another cause",
        ),
        (own("step_time_s = 0.4"), "check its batch"),
        (
            format!("{}{}", own("step_time_s = 200"), own("step_time_s = 400")),
            "are of one configuration",
        ),
        (
            own("step_time_s = 40").replace("nodes = 1", "gpus = 1"),
            "cannot have run",
        ),
        (own(""), "says not how fast it was"),
        (
            own("step_time_s = 1").replace("gpu = 'h100-sxm'\n", ""),
            "the measured run has no `gpu`",
        ),
        ("measured = 3".to_owned(), "a table of a run"),
        (
            "[measured]\ncsv = 'id,measured_gib'".to_owned(),
            "no rows below the header",
        ),
    ];
    for (measured, message) in simulated {
        run(&desk, &spec(&measured), "bad")
            .expect_code(2)
            .expect_stderr(&[message]);
    }
    // A file that cannot be read is told with its place, and with the exit code of one that is named by itself.
    run(&desk, &spec("[measured]\nfile = 'none.csv'"), "bad")
        .expect_code(3)
        .expect_stderr(&["cannot read `none.csv`", ".toml:"]);
    desk.write(
        "mine.csv",
        "id,gpu,gpus,model,global_batch,measured_step_time_s\na,h100-sxm,8,llama3-8b,fast,1\n",
    );
    let ended = run(&desk, &spec("[measured]\nfile = 'mine.csv'"), "bad").expect_code(2);
    ended.expect_stderr(&["mine.csv:2", "`fast` is no number"]);
    assert!(!desk.has("bad"));
}

// A study of collectives has no training step.
#[test]
fn a_collective_study_takes_no_measured_steps() {
    let desk = Desk::new();
    let text = format!("{}\n[measured]\nfile = 'mine.csv'\n", crate::desk::FABRIC);
    desk.write("mine.csv", "id,measured_step_time_s\na,1\n");
    let ended = run(&desk, &text, "bad").expect_code(2);
    ended.expect_stderr(&[
        "a collective study has no training steps to correct",
        "sweep validate",
    ]);
}
