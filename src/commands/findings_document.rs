//! Findings of runs as JSON.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::{Collectives, Comparison, Findings, StudyFindings};
use crate::commands::findings::answer;
use crate::report::prices::{compared_prices_words, prices_words};
use crate::report::series_row::{SeriesRow, series_rows};
use crate::runner::Manifest;

/// Summary of `sweep run` and `sweep merge`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct RunDocument<'a> {
    /// Folder of the run.
    pub(super) folder: &'a Path,
    /// The run as its `manifest.json` describes it.
    pub(super) manifest: &'a Manifest,
    #[serde(flatten)]
    pub(super) found: FindingsDocument<'a>,
}

/// Findings of `sweep analyze`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct AnalyzeDocument<'a> {
    /// Folder that the findings were written into; null where they were not written.
    pub(super) folder: Option<&'a Path>,
    #[serde(flatten)]
    pub(super) found: FindingsDocument<'a>,
}

/// Findings of results of either kind; all null of a shard or a run that was stopped, whose curves would lack points.
#[derive(Default, JsonSchema, Serialize)]
pub(crate) struct FindingsDocument<'a> {
    /// Files that were analysed.
    files: Vec<AnalysedFile>,
    /// The answer to the study's question, in sentences.
    sentences: Vec<String>,
    /// Series of a training study; null in a comparison and in a collective study.
    findings: Option<&'a Findings>,
    /// Series at their recommended sizes.
    rows: Option<Vec<SeriesRow<'a>>>,
    /// Prices that applied, in a sentence, and the GPUs without one; null where there is nothing to tell.
    prices: Option<String>,
    /// Values of one axis held against each other, where `--x` names an axis that is no resource.
    comparison: Option<&'a Comparison>,
    /// Bandwidths of a collective study.
    collectives: Option<&'a Collectives>,
}

/// One of the files that were analysed.
#[derive(JsonSchema, Serialize)]
struct AnalysedFile {
    /// Number by which rows name it.
    file: usize,
    /// Path of the table.
    path: PathBuf,
}

impl<'a> FindingsDocument<'a> {
    /// Findings of tables of points.
    pub(super) fn new<P: Into<PathBuf>>(
        found: &'a StudyFindings,
        files: impl IntoIterator<Item = P>,
    ) -> Self {
        let training = found.training();
        let files = files.into_iter().enumerate();
        Self {
            files: files
                .map(|(file, path)| AnalysedFile {
                    file,
                    path: path.into(),
                })
                .collect(),
            sentences: answer(found),
            findings: training,
            rows: training.map(series_rows),
            prices: training
                .and_then(prices_words)
                .or_else(|| found.comparison().and_then(compared_prices_words)),
            comparison: found.comparison(),
            collectives: found.collective(),
        }
    }
}
