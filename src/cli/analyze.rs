//! `sweep analyze`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::analysis::{FilesError, analyse_files};
use crate::cli::list::Format;
use crate::cli::run::{question, write_findings};
use crate::cli::run_source::RunSource;
use crate::cli::spec_args::provenance;
use crate::cli::terminal::{self, Stderr};
use crate::cli::{ExitStatus, Failure};
use crate::record::provenance::keys;
use crate::record::{PointsReader, Provenance};
use crate::report;
use crate::runner::{RunFolder, manifest};
use crate::spec::Axis;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folders, or bare points.parquet files; several are analysed together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the findings of bare files and of several runs go [default: beside the first]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let sources = args
        .runs
        .iter()
        .map(|path| RunSource::new(path))
        .collect::<Result<Vec<_>, _>>()?;
    let first = &sources[0];
    let settings = first.analysis(stderr)?;
    let files: Vec<&Path> = sources.iter().map(|it| it.points.as_path()).collect();
    let findings = analyse_files(&files, &settings, Axis::Gpus).map_err(|error| match error {
        FilesError::Read(_) => Failure::io(error),
        FilesError::Rows(_) | FilesError::Collective(_) => Failure::usage(error),
    })?;

    let folder = target(args, first)?;
    let spec = first.spec(stderr)?;
    let origin = match &spec {
        Some(spec) => provenance(spec),
        None => recorded_provenance(&first.points)?,
    };
    write_findings(&folder, &origin, &findings)?;
    manifest::refresh_files(&folder).map_err(Failure::io)?;

    let text = match args.format {
        Format::Text => report::summary(&findings, spec.as_ref().and_then(question)),
        Format::Json => format!(
            "{:#}\n",
            json!({"folder": folder.path(), "findings": findings})
        ),
    };
    terminal::print(&text)?;
    Ok(ExitStatus::Success)
}

/// The run's own folder, the one asked for, or the one that the first file lies in.
fn target(args: &Args, first: &RunSource) -> Result<RunFolder, Failure> {
    let path = match (&args.out, &first.folder) {
        (Some(out), _) => {
            fs::create_dir_all(out).map_err(|error| {
                Failure::io(format!("cannot create `{}`: {error}", out.display()))
            })?;
            out.clone()
        }
        (None, Some(folder)) if args.runs.len() == 1 => return Ok(folder.clone()),
        (None, Some(folder)) => parent(folder.path()),
        (None, None) => parent(&first.points),
    };
    Ok(RunFolder::existing(&path))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// What a file says about where it comes from; little, when another program has rewritten it.
fn recorded_provenance(points: &Path) -> Result<Provenance, Failure> {
    let reader = PointsReader::open(points).map_err(Failure::io)?;
    let recorded = |key| reader.metadata(key).unwrap_or_default().to_owned();
    Ok(Provenance {
        study: reader.kind(),
        spec_name: recorded(keys::SPEC_NAME),
        spec: recorded(keys::SPEC),
        catalog_hash: recorded(keys::CATALOG_HASH),
    })
}
