//! A spec written for a question in a few words.

use serde_json::Value;

use crate::desk::Desk;

const QUESTION: [&str; 10] = [
    "init",
    "--model",
    "Llama-3-8B",
    "--gpu",
    "H100_SXM,b200",
    "--tokens",
    "1e12",
    "--deadline",
    "30 days",
    "--gpus-max=512",
];

// The deadline needs 3·f·10¹² / (0.4 · 989·10¹² · 30 days) H100s, about 54 with f = 18.5 GFLOPs a token: sizes from 8 on
// lie around that, and none is over 512.
#[test]
fn the_spec_of_a_question_runs_as_it_is() {
    let desk = Desk::new();
    let said = desk.sweep(&QUESTION).expect_code(0).stdout;
    assert_eq!(
        said,
        "wrote llama3-8b.toml; next: sweep answer llama3-8b.toml\n"
    );
    let text = String::from_utf8(desk.read("llama3-8b.toml")).unwrap();
    for line in [
        "# llama3-8b on 1.00 T tokens within 30 days: which GPU, how many, what cost?",
        "gpu = [\"h100-sxm\", \"b200\"]",
        "gpus = { from = 8, to = 256, times = 2 }",
        "global_batch = 512   # sequences per step: 4.19 M tokens",
        "tokens = 1e12",
        "deadline = \"30 days\"",
        "# budget = \"700_000 USD\"",
        "gpus_max = 512",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    let answer = [
        "answer",
        "llama3-8b.toml",
        "--progress",
        "never",
        "--format",
        "json",
    ];
    let answer = desk.sweep(&answer).expect_code(0).stdout;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["answers"][0]["is_met"], true);
    assert_eq!(answer["counts"]["ok"], 12);
    // Every line that is commented out is a key that a spec takes.
    let open = |line: &str| match line.strip_prefix("# ") {
        Some(key) if key.starts_with('[') || key.contains(" = ") => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    desk.write("all.toml", text.lines().map(open).collect::<String>());
    desk.sweep(&["plan", "all.toml"]).expect_code(0);
}

// For 1.5·10¹³ tokens in 30 days, at 16 to 18.5 GFLOPs a token, 700 to 810 H100s are needed, which begin at 128 and end at
// 4,096; of B200s with 2.25 PFLOP/s 308 to 356, which begin at 64.
#[test]
fn the_range_of_sizes_holds_what_each_gpu_needs() {
    let desk = Desk::new();
    let gpus = |gpus: &str| {
        let question = [
            "init",
            "--model",
            "llama3-8b",
            "--tokens",
            "15e12",
            "--deadline",
            "30 days",
            "--gpu",
        ];
        let text = desk.sweep(&[&question[..], &[gpus, "-"]].concat());
        let text = text.expect_code(0).stdout;
        let line = text
            .lines()
            .find(|line| line.starts_with("gpus = "))
            .unwrap()
            .to_owned();
        line.split('}').next().unwrap().to_owned()
    };
    assert_eq!(
        gpus("h100-sxm"),
        "gpus = { from = 128, to = 4096, times = 2 "
    );
    assert_eq!(gpus("b200"), "gpus = { from = 64, to = 2048, times = 2 ");
    assert_eq!(
        gpus("h100-sxm,b200"),
        "gpus = { from = 64, to = 4096, times = 2 "
    );
}

// An option that is wrong is blamed itself, also where a file of the spec's name lies there.
#[test]
fn a_limit_typed_wrongly_is_said_of_its_option() {
    let desk = Desk::new();
    desk.write("llama3-8b.toml", "mine");
    let question = [
        "init",
        "--model",
        "llama3-8b",
        "--tokens",
        "1e12",
        "--overwrite",
    ];
    for (option, typed) in [
        ("--budget", "5 EUR"),
        ("--deadline", "soon"),
        ("--gpus-max", "0"),
    ] {
        let ended = desk.sweep(&[&question[..], &[option, typed]].concat());
        let ended = ended.expect_code(2);
        let place = format!("{option}:1:1");
        let stderr = &ended.stderr;
        assert!(
            stderr.contains(&place) && !stderr.contains("llama3-8b.toml"),
            "{stderr}"
        );
    }
    assert_eq!(desk.read("llama3-8b.toml"), b"mine");
    let limits = ["--deadline", "none", "--budget", "$700k"];
    desk.sweep(&[&question[..], &limits].concat())
        .expect_code(0);
    let text = String::from_utf8(desk.read("llama3-8b.toml")).unwrap();
    assert!(
        text.contains("\nbudget = \"$700k\"\n") && text.contains("\n# deadline = "),
        "{text}"
    );
}

#[test]
fn a_spec_that_is_there_stays_unless_it_is_to_be_replaced() {
    let desk = Desk::new();
    desk.write("llama3-8b.toml", "mine");
    desk.sweep(&QUESTION)
        .expect_code(2)
        .expect_stderr(&["`llama3-8b.toml` is there already", "--overwrite"]);
    assert_eq!(desk.read("llama3-8b.toml"), b"mine");
    desk.sweep(&[&QUESTION[..], &["--overwrite"]].concat())
        .expect_code(0);
    assert_ne!(desk.read("llama3-8b.toml"), b"mine");
    let printed = desk
        .sweep(&[&QUESTION[..], &["-"]].concat())
        .expect_code(0)
        .stdout;
    assert_eq!(printed.into_bytes(), desk.read("llama3-8b.toml"));
}

#[test]
fn what_cannot_be_asked_writes_nothing() {
    let faulty: [(&[&str], &[&str]); 6] = [
        (&[], &["give `--model NAME`", "on a terminal"]),
        (&["--model", "llama3-8b"], &["give `--tokens N`"]),
        (
            &["--model", "lama3-8b", "--tokens", "1e12"],
            &["models have no `lama3-8b`", "did you mean"],
        ),
        (
            &["--model", "llama3-8b", "--tokens", "1e12", "--gpu", "h1000"],
            &["gpus have no `h1000`"],
        ),
        (
            &["--model", "llama3-8b", "--tokens", "many"],
            &["`many` is no number of tokens"],
        ),
        (
            &[
                "--model",
                "llama3-8b",
                "--tokens",
                "1e12",
                "--deadline",
                "soon",
            ],
            &["`soon` does not start with a number"],
        ),
    ];
    for (arguments, parts) in faulty {
        let desk = Desk::new();
        desk.sweep(&[&["init"], arguments].concat())
            .expect_code(2)
            .expect_stderr(parts);
        assert!(!desk.has("llama3-8b.toml"));
    }
}

// Images are counted in samples.
#[test]
fn a_model_of_images_is_asked_for_its_samples() {
    let desk = Desk::new();
    desk.sweep(&["init", "--model", "resnet50", "--samples", "115_305_030"])
        .expect_code(0);
    let text = String::from_utf8(desk.read("resnet50.toml")).unwrap();
    assert!(text.contains("samples = 1.1530503e8"), "{text}");
    desk.sweep(&["plan", "resnet50.toml"]).expect_code(0);
}
