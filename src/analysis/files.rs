//! From files of results to findings.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::AnalysisError;
use super::findings::{Analysis, Findings};
use super::input::Rows;
use super::series::columns_read;
use crate::record::{Column, PointsReader, ReadError};
use crate::spec::{AnalysisSettings, Axis, StudyKind};

/// Why files could not be analysed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its rows are faulty.
    #[error(transparent)]
    Rows(#[from] AnalysisError),
    /// Its rows are communications, which have no step to scale.
    #[error(
        "results `{}` are a collective study, which has no training steps to scale; \
         read `busbw_bytes_per_s` over `size` in it",
        .0.display()
    )]
    Collective(PathBuf),
}

/// Analyses one or several `points.parquet`, over GPUs or another numeric axis.
///
/// # Errors
/// If a file cannot be read, lacks a column or holds impossible values.
pub fn analyse_files(
    files: &[&Path],
    settings: &AnalysisSettings,
    size_axis: Axis,
) -> Result<Findings, FilesError> {
    let mut analysis = Analysis::over(settings.clone(), size_axis);
    let columns: Vec<Column> = columns_read();
    for (file, source) in files.iter().zip(0..) {
        let reader = PointsReader::open(file)?;
        match reader.kind() {
            StudyKind::Training => {}
            StudyKind::Collective => return Err(FilesError::Collective((*file).to_owned())),
        }
        let name = file.display().to_string();
        for batch in reader.stream(&columns)? {
            let batch = batch?;
            let rows = Rows {
                file: &name,
                batch: &batch,
            };
            analysis.add(rows, source)?;
        }
    }
    Ok(analysis.finish())
}
