//! Where the findings of an analysis are put: never over those of a run, unless they are the run's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::failure::Failure;
use crate::commands::named_output::refuse_files_of_run;
use crate::commands::run_source::RunSource;
use crate::runner::{RunFolder, folder::names};

/// Subject of an analysis, as far as it decides where the findings go.
pub(super) struct Target<'a> {
    /// Runs and bare files.
    pub(super) sources: &'a [RunSource],
    /// Folder that was asked for.
    pub(super) out: Option<&'a Path>,
    /// Difference from the analysis of the run itself, for the name of a folder: `by-seq_len`.
    pub(super) apart: Option<String>,
}

impl Target<'_> {
    /// The folder asked for; else the run's own for one run as it is, and one beside it for anything else: for bare
    /// files the folder that they lie in, for several runs the one that the first lies in.
    pub(super) fn folder(&self) -> Result<RunFolder, Failure> {
        let first = &self.sources[0];
        let is_one = self.sources.len() == 1;
        if let (None, Some(own), true, None) = (self.out, &first.folder, is_one, &self.apart) {
            return Ok(own.clone());
        }
        let path = match (self.out, &first.folder) {
            (Some(out), _) => out.to_owned(),
            (None, Some(folder)) if is_one => beside(folder.path(), self.apart.as_deref()),
            (None, Some(folder)) => parent(folder.path()),
            (None, None) => match (parent(&first.points), &self.apart) {
                (folder, None) if !is_run(&folder) => folder,
                (folder, Some(apart)) if !is_run(&folder) => folder.join(apart),
                (run, apart) => beside(&run, apart.as_deref()),
            },
        };
        refuse_files_of_run(&path)?;
        create_folder(&path)?;
        if is_run(&path) && !(is_one && self.apart.is_none() && is_folder_of(first, &path)) {
            return Err(Failure::usage(format!(
                "`{}` holds a run, whose own report and scaling would be lost; name another folder with `--out`",
                path.display()
            )));
        }
        Ok(RunFolder::existing(&path))
    }
}

/// Whether a folder holds a run that `sweep run` or `sweep merge` wrote.
fn is_run(folder: &Path) -> bool {
    folder.join(names::MANIFEST).is_file()
}

fn is_folder_of(source: &RunSource, path: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let own = source.folder.as_ref().map(RunFolder::path);
    own.is_some_and(|own| real(own).is_some() && real(own) == real(path))
}

/// A folder beside that of a run, named after it: `results/llm-by-seq_len`.
fn beside(run: &Path, apart: Option<&str>) -> PathBuf {
    let real = fs::canonicalize(run).unwrap_or_else(|_| run.to_owned());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{name}-{}", apart.unwrap_or("analysis"));
    match run.file_name() {
        Some(_) => run.with_file_name(name),
        None => real.with_file_name(name),
    }
}

pub(super) fn create_folder(path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot create `{}`: {error}", path.display()));
    fs::create_dir_all(path).map_err(failed)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
