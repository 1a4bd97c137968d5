//! Run folders and result files that a command reads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::exit::Failure;
use crate::cli::spec_args::spec_failure;
use crate::cli::terminal::Stderr;
use crate::runner::RunFolder;
use crate::spec::{GridPoint, Overrides, Spec};

/// A run folder, or a bare Parquet file.
#[derive(Clone, Debug)]
pub(super) struct RunSource {
    /// The points.
    pub(super) points: PathBuf,
    /// The folder, unless it is a bare file.
    pub(super) folder: Option<RunFolder>,
}

impl RunSource {
    /// The run at a path of the command line.
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path)
            .map_err(|error| Failure::io(format!("cannot read `{}`: {error}", path.display())))?;
        if !metadata.is_dir() {
            return Ok(Self {
                points: path.to_owned(),
                folder: None,
            });
        }
        let folder = RunFolder::existing(path);
        let points = folder.points();
        if !points.is_file() {
            return Err(Failure::io(format!(
                "`{}` holds no points.parquet; name the folder of a finished run",
                path.display()
            )));
        }
        Ok(Self {
            points,
            folder: Some(folder),
        })
    }

    /// The spec as it was run.
    pub(super) fn spec(&self, stderr: Stderr) -> Result<Option<Spec>, Failure> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = folder.spec();
        if !path.is_file() {
            return Ok(None);
        }
        Spec::load(&path, &Overrides::default())
            .map(Some)
            .map_err(|error| spec_failure(&error, stderr))
    }

    /// One point of the run's grid, with the spec that it belongs to.
    pub(super) fn point(&self, number: u64, stderr: Stderr) -> Result<(Spec, GridPoint), Failure> {
        let run = self.points.parent().unwrap_or(&self.points).display();
        let Some(spec) = self.spec(stderr)? else {
            return Err(Failure::usage(format!(
                "`{run}` has no spec.toml beside it, so its points cannot be simulated again; name a run folder"
            )));
        };
        let points = spec.plan().len();
        if number >= points {
            return Err(Failure::usage(format!(
                "there is no point {number} in `{run}`; its grid has points 0 to {}",
                points - 1
            )));
        }
        let point = spec.plan().point(number);
        Ok((spec, point))
    }
}
