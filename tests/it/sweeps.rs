//! The specs that come with the program.

use std::path::PathBuf;

use clustersweep::spec::{Axis, Overrides, Spec, Syntax};

fn sweeps() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("sweeps")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
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
        assert!(comment.contains('?'), "{}: no question", path.display());
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
