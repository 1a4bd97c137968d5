//! Specs with faults: each file says in its first lines what is wrong with it and where.
//!
//! `# error: LINE:COLUMN beginning of the message`; `0:0` is a fault of the spec as a whole.

use std::path::Path;

use clustersweep::spec::{Diagnostic, Overrides, Place, Severity, Spec, SpecError};

struct Expected {
    severity: Severity,
    line_column: (usize, usize),
    message: String,
}

fn expected(text: &str) -> Vec<Expected> {
    text.lines()
        .filter_map(|line| {
            let (severity, rest) = if let Some(rest) = line.strip_prefix("# error: ") {
                (Severity::Error, rest)
            } else {
                (Severity::Warning, line.strip_prefix("# warning: ")?)
            };
            let (place, message) = rest.split_once(' ').expect("LINE:COLUMN message");
            let (line, column) = place.split_once(':').expect("LINE:COLUMN");
            Some(Expected {
                severity,
                line_column: (line.parse().unwrap(), column.parse().unwrap()),
                message: message.to_owned(),
            })
        })
        .collect()
}

fn found(path: &Path) -> Vec<Diagnostic> {
    match Spec::load(path, &Overrides::default()) {
        Ok(spec) => spec.warnings,
        Err(SpecError::Faults(faults)) => faults.iter().flat_map(at_each_place).collect(),
        Err(error @ SpecError::Read { .. }) => panic!("{error}"),
    }
}

/// One fault for each of its places.
fn at_each_place(fault: &Diagnostic) -> Vec<Diagnostic> {
    let at = |place: Option<Place>| Diagnostic {
        place,
        ..fault.clone()
    };
    let further = fault.also.iter().cloned().map(Some);
    std::iter::once(fault.place.clone())
        .chain(further)
        .map(at)
        .collect()
}

fn is_met(expected: &Expected, found: &Diagnostic) -> bool {
    let place = found.place.as_ref().map_or((0, 0), Place::line_column);
    found.severity == expected.severity
        && place == expected.line_column
        && found.message.starts_with(&expected.message)
}

#[test]
fn every_fault_of_every_file_is_found_where_it_is() {
    let folder = Path::new("tests/diagnostics");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(files.len() > 30, "the folder holds the faulty specs");
    let mut wrong = Vec::new();
    for path in files {
        let expected = expected(&std::fs::read_to_string(&path).unwrap());
        let found = found(&path);
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        let missed = expected
            .iter()
            .any(|it| !found.iter().any(|fault| is_met(it, fault)));
        if missed || expected.len() != found.len() {
            let rendered: Vec<String> = found.iter().map(ToString::to_string).collect();
            wrong.push(format!("── {}\n{}", path.display(), rendered.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "not what the files expect:\n{}",
        wrong.join("\n")
    );
}
