//! From files of results to findings.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use itertools::Itertools;
use thiserror::Error;

use super::busbw::{Collectives, collectives};
use super::comparison::{Comparison, ComparisonReader, is_resource};
use super::findings::{Analysis, Findings};
use super::runs::{Runs, Settings};
use super::series::columns_read;
use super::transfer_reader::{TransferReader, transfer_columns};
use crate::record::provenance::keys;
use crate::record::{Column, PointsReader, ReadError, Rows, metric_columns, short_hash};
use crate::spec::{
    AnalysisSettings, Axis, Metric, OwnPrices, StudyKind, follow_from, run_settings,
};

/// Why files could not be analysed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A file could not be read, or its rows are faulty.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Training and collective studies are mixed.
    #[error(
        "results `{}` are a training study and `{}` a collective study, which have nothing in common; \
         analyse them apart",
        training.display(),
        collective.display()
    )]
    Kinds {
        /// The first file of a training study.
        training: PathBuf,
        /// The first file of a collective study.
        collective: PathBuf,
    },
}

/// Findings of one kind of study.
#[derive(Clone, Debug, PartialEq)]
pub enum StudyFindings {
    /// How far training scales.
    Training(Findings),
    /// Values of one axis held against each other.
    Comparison(Comparison),
    /// Which algorithm carries what fastest.
    Collective(Collectives),
}

impl StudyFindings {
    /// Findings of a training study.
    pub(crate) const fn training(&self) -> Option<&Findings> {
        match self {
            Self::Training(findings) => Some(findings),
            Self::Comparison(_) | Self::Collective(_) => None,
        }
    }

    /// Findings of a collective study.
    pub(crate) const fn collective(&self) -> Option<&Collectives> {
        match self {
            Self::Training(_) | Self::Comparison(_) => None,
            Self::Collective(found) => Some(found),
        }
    }

    /// Comparison of the rows of a training study.
    pub(crate) const fn comparison(&self) -> Option<&Comparison> {
        match self {
            Self::Training(_) | Self::Collective(_) => None,
            Self::Comparison(found) => Some(found),
        }
    }
}

/// Analyses one or several `points.parquet` of one kind of study; training over a resource, or comparing the values of
/// another axis. The columns of some metrics are read besides, where a file has them.
///
/// # Errors
/// If a file cannot be read, lacks a column or holds impossible values, or their kinds differ.
pub fn analyse_files(
    files: &[&Path],
    settings: &AnalysisSettings,
    metrics: &[Metric],
    axis: Axis,
) -> Result<StudyFindings, FilesError> {
    let readers = files
        .iter()
        .map(|file| PointsReader::open(file))
        .collect::<Result<Vec<_>, _>>()?;
    let first = |kind| readers.iter().position(|reader| reader.kind() == kind);
    let training = first(StudyKind::Training);
    match (training, first(StudyKind::Collective)) {
        (Some(training), Some(collective)) => Err(FilesError::Kinds {
            training: files[training].to_owned(),
            collective: files[collective].to_owned(),
        }),
        (None, Some(_)) => {
            let mut reader = TransferReader::default();
            for_each_batch(readers, &transfer_columns(), |rows, source| {
                reader.add(rows, source)
            })?;
            let found = collectives(reader, &run_names(files));
            Ok(StudyFindings::Collective(found))
        }
        (Some(_) | None, None) => {
            let runs = runs(files, &readers);
            let spec = readers.iter().map(|reader| reader.metadata(keys::SPEC));
            let own_prices = spec.map(|spec| OwnPrices::of(spec.unwrap_or_default()));
            let own_prices: Box<[OwnPrices]> = own_prices.collect();
            let followers = followers(axis, &readers);
            if !is_resource(axis) {
                let mut reader = ComparisonReader::new(axis, followers, runs);
                for_each_batch(readers, &columns_read(), |rows, source| {
                    reader.add(rows, source)
                })?;
                return Ok(StudyFindings::Comparison(Comparison {
                    own_prices,
                    ..reader.finish()
                }));
            }
            let metrics = metric_columns(metrics);
            let columns = [columns_read(), metrics.clone()].concat();
            let analysis = Analysis::over(settings.clone(), axis).with_runs(runs);
            let mut analysis = analysis.with_metrics(metrics).with_followers(followers);
            for_each_batch(readers, &columns, |rows, source| analysis.add(rows, source))?;
            Ok(StudyFindings::Training(Findings {
                own_prices,
                ..analysis.finish()
            }))
        }
    }
}

/// Axes whose values follow from those of another one in every file. None of the size of a job: its points are told apart by
/// it already.
fn followers(axis: Axis, readers: &[PointsReader]) -> BTreeSet<Axis> {
    if matches!(axis, Axis::Gpus | Axis::Nodes) {
        return BTreeSet::new();
    }
    let specs = readers.iter().map(|reader| reader.metadata(keys::SPEC));
    let of_files = specs.map(|spec| follow_from(axis, spec.unwrap_or_default()));
    let mut shared = of_files
        .reduce(|all, of_file| &all & &of_file)
        .unwrap_or_default();
    if is_resource(axis) {
        // What scales over a resource is held against jobs of as many GPUs.
        shared.retain(|it| !matches!(it, Axis::Gpus | Axis::Nodes));
    }
    shared
}

/// The runs of several files, by the settings and the program that wrote them.
fn runs(files: &[&Path], readers: &[PointsReader]) -> Runs {
    let settings = readers.iter().map(|reader| {
        let mut settings = run_settings(reader.metadata(keys::SPEC).unwrap_or_default());
        for (name, key) in [
            ("version", keys::VERSION),
            ("catalogue", keys::CATALOG_HASH),
        ] {
            let value = reader
                .metadata(key)
                .map(|value| short_hash(value).to_owned());
            settings.extend(value.map(|value| (name.to_owned(), value)));
        }
        settings
    });
    let files: Vec<(String, Settings)> = run_names(files).into_iter().zip(settings).collect();
    Runs::new(&files)
}

/// Hands out the rows of every file with the file's place among them.
pub(super) fn for_each_batch(
    readers: Vec<PointsReader>,
    columns: &[Column],
    mut take: impl FnMut(&Rows, u32) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    for (reader, source) in readers.into_iter().zip(0..) {
        for rows in reader.rows(columns)? {
            take(&rows?, source)?;
        }
    }
    Ok(())
}

/// A name for the run of each file: that of the file, else of its folder, else the whole path, as
/// soon as it tells all of them apart.
pub(super) fn run_names(files: &[&Path]) -> Vec<String> {
    let named = |name: &dyn Fn(&Path) -> Option<String>| -> Option<Vec<String>> {
        let names: Vec<String> = files.iter().map(|file| name(file)).collect::<Option<_>>()?;
        names.iter().all_unique().then_some(names)
    };
    let lossy = |name: &OsStr| name.to_string_lossy().into_owned();
    named(&|file| file.file_stem().map(lossy))
        .or_else(|| named(&|file| file.parent()?.file_name().map(lossy)))
        .unwrap_or_else(|| {
            files
                .iter()
                .map(|file| file.display().to_string())
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_called_by_what_tells_it_from_the_others() {
        let names = |files: &[&str]| {
            let files: Vec<&Path> = files.iter().map(Path::new).collect();
            run_names(&files)
        };
        assert_eq!(names(&["a/old.parquet", "b/new.parquet"]), ["old", "new"]);
        let of_folders = ["runs/monday/points.parquet", "tuesday/points.parquet"];
        assert_eq!(names(&of_folders), ["monday", "tuesday"]);
        let alike = ["x/run/points.parquet", "y/run/points.parquet"];
        assert_eq!(names(&alike), alike);
        // The folder of the first has no name.
        let here = ["points.parquet", "other/points.parquet"];
        assert_eq!(names(&here), here);
    }
}
