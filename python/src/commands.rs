//! Commands about finished runs, measured cases and the catalogue.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clustersweep::analysis::diff::Gates;
use clustersweep::commands::{
    self, AnalysisRequest, Answered, Asked, Detail, Failure, Listed, RunSource, Validation,
};
use clustersweep::document::Document;
use clustersweep::spec::{Overrides, Spec};
use pyo3::prelude::*;

use crate::attended::alone;
use crate::errors::exception;
use crate::study::{Study, TextAndJson};
use crate::table::Table;

/// Findings of runs.
#[pyclass(frozen, module = "clustersweep._core")]
pub(crate) struct Analysis(commands::Analysis);

#[pymethods]
impl Analysis {
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        let text = self.0.text(Detail::Full);
        text.map_err(|failure| exception(py, &failure))
    }

    fn json(&self) -> String {
        self.0.json(None).to_string()
    }

    fn answer(&self) -> Vec<String> {
        self.0.answer()
    }

    fn scaling(&self) -> Table {
        Table::new(self.0.scaling())
    }

    /// Writes `report.html` and `scaling.parquet`; returns the folder.
    fn write(&self, py: Python<'_>, out: Option<PathBuf>) -> PyResult<PathBuf> {
        let written = py.detach(|| self.0.write(out.as_deref()));
        written.map_err(|failure| exception(py, &failure))
    }
}

/// Rows of a run folder or a Parquet file.
#[pyfunction]
pub(crate) fn read_points(py: Python<'_>, path: PathBuf) -> PyResult<Table> {
    alone(py, move || RunSource::with_sound_rows(&path)?.rows()).map(Table::new)
}

/// The spec of a run folder.
#[pyfunction]
pub(crate) fn run_spec(py: Python<'_>, path: PathBuf) -> PyResult<Study> {
    alone(py, move || RunSource::new(&path)?.spec_of_points()).map(Study::new)
}

/// Sentences, text and JSON of the answer to a planner's question, from runs of which the first has the limits, and the study
/// of the sizes between those of its grid that may be cheaper.
#[pyfunction]
pub(crate) fn answer(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    question: Vec<(String, String)>,
    threads: Option<NonZeroUsize>,
) -> PyResult<(Vec<String>, String, String, Option<Study>)> {
    let answered = alone(py, move || {
        let limits = Overrides {
            question,
            ..Overrides::default()
        };
        let none = Overrides::default();
        let mut asked = Vec::new();
        for (place, path) in runs.iter().enumerate() {
            let overrides = if place == 0 { &limits } else { &none };
            match Asked::at(path, overrides)? {
                Asked::Run(source, spec) => asked.push((source, spec)),
                Asked::Spec(spec) => {
                    let message = format!(
                        "`{}` is no run, but the study {}",
                        path.display(),
                        spec.name
                    );
                    return Err(Failure::Usage(message));
                }
            }
        }
        let read: Vec<(&RunSource, &Spec)> = asked.iter().map(|(run, spec)| (run, spec)).collect();
        let answered = Answered::of(&read, threads)?;
        let more = match read.as_slice() {
            [(_, spec)] => answered.refined(spec)?,
            _ => None,
        };
        let json = answered.json().to_string();
        Ok((answered.sentences(), answered.text(), json, more))
    });
    answered.map(|(sentences, text, json, more)| (sentences, text, json, more.map(Study::new)))
}

#[pyfunction]
pub(crate) fn analyze(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    x: Option<String>,
    threshold: Option<f64>,
) -> PyResult<Analysis> {
    let request = AnalysisRequest {
        runs,
        x,
        threshold,
        ..AnalysisRequest::default()
    };
    alone(py, move || commands::Analysis::of(&request)).map(Analysis)
}

/// Text and JSON of the comparison of two runs, and whether something got worse.
#[pyfunction]
pub(crate) fn diff(
    py: Python<'_>,
    base: PathBuf,
    new: PathBuf,
    metrics: Vec<String>,
    tolerance: f64,
    fail_missing: bool,
) -> PyResult<(String, String, bool)> {
    alone(py, move || {
        let (base, new) = (
            RunSource::with_sound_rows(&base)?.points,
            RunSource::with_sound_rows(&new)?.points,
        );
        let gates = Gates {
            metrics: &metrics,
            tolerance,
            fail_missing,
        };
        let found = commands::diff(&base, &new, gates)?;
        let text = clustersweep::report::diff::text(&found);
        Ok((
            text,
            Document::Diff.of(&found).to_string(),
            found.has_regression(),
        ))
    })
}

/// Error table as text, one row per case as CSV, and both as JSON.
#[pyfunction]
pub(crate) fn validate(
    py: Python<'_>,
    texts: Vec<(String, String)>,
    files: Vec<PathBuf>,
    include: Vec<PathBuf>,
) -> PyResult<(String, String, String)> {
    alone(py, move || {
        let validation = if texts.is_empty() {
            Validation::of_files(&files, &include)
        } else {
            let texts = texts.iter();
            let texts = texts.map(|(name, text)| (name.as_str(), text.as_str()));
            Validation::of_texts(texts, &include)
        }?;
        let json = validation.json().to_string();
        Ok((validation.text(), validation.csv(), json))
    })
}

/// Names that a spec can use, as text and JSON.
#[pyfunction]
pub(crate) fn catalog(
    py: Python<'_>,
    what: &str,
    names: Vec<String>,
    study: Option<&Study>,
) -> PyResult<TextAndJson> {
    let spec = study.map(Study::spec);
    let what: Result<Listed, _> = what.parse();
    let what = what.map_err(|error| exception(py, &Failure::Usage(error.to_string())))?;
    alone(py, move || {
        let listing = commands::list(what, &names, spec.as_deref())?;
        Ok((listing.text.clone(), listing.json().to_string()))
    })
}

/// The model that a `config.json` describes, as text and JSON.
#[pyfunction]
pub(crate) fn model_file(py: Python<'_>, path: PathBuf) -> PyResult<TextAndJson> {
    alone(py, move || {
        let listing = commands::list_model_file(&path)?;
        Ok((listing.text.clone(), listing.json().to_string()))
    })
}

/// Joins the folders of shards; text and JSON of the findings.
#[pyfunction]
pub(crate) fn merge(
    py: Python<'_>,
    shards: Vec<PathBuf>,
    out: PathBuf,
    overwrite: bool,
) -> PyResult<TextAndJson> {
    alone(py, move || {
        commands::merge(&shards, &out, overwrite, |concluded| {
            Ok((concluded.text(Detail::Full)?, concluded.json().to_string()))
        })?
    })
}
