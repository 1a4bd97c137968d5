//! Run folders and result files that a command reads.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::commands::failure::Failure;
use crate::files::{is_link, is_table};
use crate::record::{PointsReader, point_table};
use crate::runner::folder::names;
use crate::runner::manifest::has_damaged_table;
use crate::runner::{NewerRows, RunFolder};
use crate::spec::{Overrides, Spec, Syntax};

/// A run folder, or a bare Parquet file.
#[derive(Clone, Debug)]
pub struct RunSource {
    /// The points.
    pub points: PathBuf,
    /// The folder, unless it is a bare file.
    pub(super) folder: Option<RunFolder>,
}

/// Refuses an entry of a run folder that leads elsewhere.
fn check_link(entry: &Path) -> Result<(), Failure> {
    if !is_link(entry) {
        return Ok(());
    }
    Err(Failure::io(format!(
        "`{}` is a symbolic link, which is not followed inside a run folder; put the file itself there, or name it in place of the folder",
        entry.display()
    )))
}

/// The spec that rows have in their own file.
///
/// # Errors
/// If it is none of this program's.
pub(super) fn newer_spec(rows: &NewerRows) -> Result<Spec, Failure> {
    let name = rows.table.display().to_string();
    let overrides = Overrides::default();
    Ok(Spec::parse(&name, &rows.spec, Syntax::Toml, &overrides)?)
}

impl RunSource {
    /// The run at a path.
    ///
    /// # Errors
    /// If nothing is there, or a folder without `points.parquet`.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path)
            .map_err(|error| Failure::io(format!("cannot read `{}`: {error}", path.display())))?;
        let is_dataset = path.file_name().is_some_and(|name| name == names::POINTS);
        if !metadata.is_dir() || is_dataset {
            return Ok(Self {
                points: path.to_owned(),
                folder: None,
            });
        }
        let folder = RunFolder::existing(path);
        let points = folder.points();
        check_link(&points)?;
        if !is_table(&points) {
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

    /// The run at a path whose rows are asked for: those of a folder are the ones that its manifest states.
    ///
    /// # Errors
    /// As [`Self::new`], and if the table is damaged.
    pub fn with_sound_rows(path: &Path) -> Result<Self, Failure> {
        let source = Self::new(path)?;
        if source.folder.as_ref().is_some_and(has_damaged_table) {
            return Err(Failure::io(format!(
                "`{}` is damaged: it has not the digest that manifest.json states; `sweep run --resume` with its spec simulates its points again; where another program rewrote it, name the file itself",
                source.points.display()
            )));
        }
        Ok(source)
    }

    /// The spec as it was run, where `spec.toml` is still that of the run that it replaces, the one in the table; `None` of a
    /// bare file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn spec(&self) -> Result<Option<Spec>, Failure> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        if let Some(newer) = NewerRows::of(folder) {
            return newer_spec(&newer).map(Some);
        }
        let path = folder.spec();
        check_link(&path)?;
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(Spec::load(&path, &Overrides::default())?))
    }

    /// The spec as it was run, without which no point can be simulated again.
    ///
    /// # Errors
    /// If there is none, as beside a bare file, or it cannot be read.
    pub fn spec_of_points(&self) -> Result<Spec, Failure> {
        self.spec()?.ok_or_else(|| {
            let run = self.points.parent().unwrap_or(&self.points).display();
            Failure::usage(format!(
                "`{run}` has no spec.toml beside it, so its points cannot be simulated again; name a run folder"
            ))
        })
    }

    /// The rows, every column of the study and its metrics.
    ///
    /// # Errors
    /// If the file cannot be read, is no table of points, or one of another version.
    pub fn rows(&self) -> Result<Vec<RecordBatch>, Failure> {
        let reader = PointsReader::open(&self.points).map_err(Failure::io)?;
        let mut columns = point_table(reader.kind(), &[]);
        columns.extend(reader.metrics());
        let rows = reader.rows(&columns).map_err(Failure::io)?;
        rows.map(|rows| Ok(rows.map_err(Failure::io)?.into_batch()))
            .collect()
    }
}
