//! The specs that come with the program.

use std::path::PathBuf;

use clustersweep::spec::{Axis, Overrides, Spec, Syntax};

use crate::desk::Desk;

fn sweeps() -> Vec<PathBuf> {
    let mut files = files("sweeps");
    files.extend(examples());
    files
}

/// Sweeps that show one thing each, a YAML and a JSON file among them.
fn examples() -> Vec<PathBuf> {
    files("sweeps/examples")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let is_spec = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        matches!(extension, Some("toml" | "yaml" | "json"))
    };
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(is_spec).collect();
    files.sort();
    files
}

fn load(path: &std::path::Path) -> Spec {
    Spec::load(path, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_sweep_opens_with_its_question_and_without_a_doubt() {
    for path in sweeps() {
        let text = std::fs::read_to_string(&path).unwrap();
        let comment: String = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        // JSON has no comments.
        let is_json = path.extension().is_some_and(|it| it == "json");
        assert!(
            is_json || comment.contains('?'),
            "{}: no question",
            path.display()
        );
        let spec = load(&path);
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert_eq!(Some(spec.name.as_str()), stem, "the name is the file's");
        assert!(spec.description.ends_with('?'), "{}", path.display());
        assert!(
            spec.warnings.is_empty(),
            "{}: {:?}",
            path.display(),
            spec.warnings
        );
        assert!(spec.plan().tally(100_000).kept > 0, "{}", path.display());
    }
}

#[test]
fn every_sweep_is_the_same_from_its_resolved_text() {
    for path in sweeps() {
        let spec = load(&path);
        let text = spec.resolved_text();
        let again = Spec::parse("spec.toml", &text, Syntax::Toml, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        assert_eq!(again.hash(), spec.hash(), "{}", path.display());
        let numbers = 0..spec.plan().len().min(10_000);
        for index in numbers {
            assert_eq!(again.plan().point(index), spec.plan().point(index));
        }
    }
}

#[test]
fn every_example_runs() {
    let examples = examples();
    for syntax in ["toml", "yaml", "json"] {
        let is_of = |path: &PathBuf| path.extension().is_some_and(|it| it == syntax);
        assert!(examples.iter().any(is_of), "{syntax}");
    }
    let desk = Desk::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in examples {
        let out = path.file_name().unwrap().to_str().unwrap();
        let spec = root.join(&path);
        let run = [
            "run",
            spec.to_str().unwrap(),
            "-o",
            out,
            "--progress",
            "never",
        ];
        desk.sweep(&run).expect_code(0);
        let counts = &desk.json(&format!("{out}/manifest.json"))["counts"];
        assert!(
            counts["ok"].as_u64() > Some(0),
            "{}: {counts}",
            path.display()
        );
    }
    for file in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "spec.toml",
    ] {
        let of = |syntax: &str| desk.read(&format!("formats.{syntax}/{file}"));
        let toml = of("toml");
        assert!(toml == of("yaml"), "{file} of YAML differs");
        assert!(toml == of("json"), "{file} of JSON differs");
    }
}

#[test]
fn a_preset_is_the_sweep_of_its_name_and_needs_no_file() {
    let desk = Desk::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for preset in ["small", "medium", "large"] {
        let file = root.join(format!("sweeps/{preset}.toml"));
        let of_file = ["plan", file.to_str().unwrap(), "--format", "json"];
        let of_preset = ["run", "--preset", preset, "--dry-run", "--format", "json"];
        let [file, preset] = [&of_file[..], &of_preset].map(|arguments| {
            let mut plan: serde_json::Value =
                serde_json::from_str(&desk.sweep(arguments).expect_code(0).stdout).unwrap();
            // The time of a run is measured anew.
            plan["estimated_s"].take();
            plan["estimated_at_least"].take();
            plan
        });
        assert_eq!(file, preset);
    }
    let run = [
        "run",
        "--preset",
        "small",
        "--set",
        "global_batch=64",
        "--progress",
        "never",
    ];
    desk.sweep(&run).expect_code(0);
    // Two GPUs at 1, 2 and 4 of them, and the one batch that was asked for.
    assert_eq!(desk.json("results/small/manifest.json")["counts"]["ok"], 6);
}

#[test]
fn a_preset_stands_in_place_of_a_file() {
    let desk = Desk::with_small_spec();
    let both = ["run", "small.toml", "--preset", "small"];
    desk.sweep(&both)
        .expect_code(2)
        .expect_stderr(&["cannot be used with"]);
    desk.sweep(&["run"])
        .expect_code(2)
        .expect_stderr(&["SPEC", "--preset"]);
    desk.sweep(&["run", "--preset", "huge"])
        .expect_code(2)
        .expect_stderr(&["small, medium, large"]);
    assert!(!desk.has("results"));
}

#[test]
fn the_main_sweep_is_as_large_as_promised() {
    // At least 4 GPUs × 8 sizes up to 128 nodes × 4 models × 3 batches × 2 networks = 768 points.
    let spec = load(std::path::Path::new("sweeps/llm.toml"));
    let plan = spec.plan();
    assert!(plan.len() >= 4 * 8 * 4 * 3 * 2);
    let largest = plan
        .kept(0..plan.len())
        .filter_map(|point| point.int(Axis::Nodes))
        .max();
    assert_eq!(largest, Some(128));
}
