//! The run folder: what may be written where, and that nothing is overwritten unasked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::record::{WriteError, write_atomically};

/// Names of the files in a run folder.
pub mod names {
    /// One row per grid point.
    pub const POINTS: &str = "points.parquet";
    /// One row per series and size.
    pub const SCALING: &str = "scaling.parquet";
    /// One self-contained page.
    pub const REPORT: &str = "report.html";
    /// What was run, by which program, and what came of it.
    pub const MANIFEST: &str = "manifest.json";
    /// The spec as it was run.
    pub const SPEC: &str = "spec.toml";
    /// Finished chunks while a run is under way.
    pub const PARTS: &str = "parts";
}

const RESULT_FILES: [&str; 5] = [
    names::POINTS,
    names::SCALING,
    names::REPORT,
    names::MANIFEST,
    names::SPEC,
];

/// Why a folder cannot take a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file stands where the folder should be.
    #[error("output `{}` is a file, not a folder; name another with --out", path.display())]
    IsFile {
        /// The path.
        path: PathBuf,
    },
    /// It holds a result already.
    #[error("`{}` already holds a result ({held}); name another folder with --out, or replace it with --overwrite", path.display())]
    HoldsResult {
        /// The folder.
        path: PathBuf,
        /// The file that was found.
        held: &'static str,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A folder that holds, or is about to hold, one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a folder ready for a run: creates it, and with `overwrite` clears an older result away.
    ///
    /// # Errors
    /// If it is a file, holds a result that may not be overwritten, or cannot be written to.
    pub fn prepare(path: &Path, overwrite: bool) -> Result<Self, FolderError> {
        Self::check(path, overwrite)?;
        let folder = Self::existing(path);
        let io = |action, path: &Path, source| FolderError::Io {
            action,
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(|source| io("create", path, source))?;
        if overwrite {
            for name in RESULT_FILES {
                let file = path.join(name);
                remove(fs::remove_file(&file)).map_err(|source| io("replace", &file, source))?;
            }
            folder.remove_parts()?;
        }
        // Of two runs that start at once, one finds the folder taken.
        let parts = folder.parts();
        fs::create_dir(&parts).map_err(|source| io("create", &parts, source))?;
        Ok(folder)
    }

    /// Whether a run could be put there, touching nothing.
    ///
    /// # Errors
    /// If it is a file, or holds a result that may not be overwritten.
    pub fn check(path: &Path, overwrite: bool) -> Result<(), FolderError> {
        if path.is_file() {
            return Err(FolderError::IsFile {
                path: path.to_owned(),
            });
        }
        let held = RESULT_FILES
            .into_iter()
            .chain([names::PARTS])
            .find(|name| path.join(name).exists());
        match held {
            Some(held) if !overwrite => Err(FolderError::HoldsResult {
                path: path.to_owned(),
                held,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// A folder that a run was written to.
    pub fn existing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of `points.parquet`.
    pub fn points(&self) -> PathBuf {
        self.path.join(names::POINTS)
    }

    /// Path of `scaling.parquet`.
    pub fn scaling(&self) -> PathBuf {
        self.path.join(names::SCALING)
    }

    /// Path of `spec.toml`.
    pub fn spec(&self) -> PathBuf {
        self.path.join(names::SPEC)
    }

    /// Path of `manifest.json`.
    pub fn manifest(&self) -> PathBuf {
        self.path.join(names::MANIFEST)
    }

    fn parts(&self) -> PathBuf {
        self.path.join(names::PARTS)
    }

    /// Path of a part.
    pub(super) fn part(&self, number: usize) -> PathBuf {
        self.parts().join(format!("{number:08}.parquet"))
    }

    /// Puts a small file there, whole or not at all.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        write_atomically(&self.path.join(name), bytes)
    }

    /// Takes the parts away.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn remove_parts(&self) -> Result<(), FolderError> {
        let path = self.parts();
        remove(fs::remove_dir_all(&path)).map_err(|source| FolderError::Io {
            action: "remove",
            path,
            source,
        })
    }
}

/// What is not there need not be removed.
fn remove(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
