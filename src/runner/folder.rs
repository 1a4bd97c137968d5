//! The run folder: its files, its lock, and that nothing is overwritten unasked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{is_link, is_table, open_entry, space_left};
use crate::record::{
    TABLE_SUFFIX, WriteError, digest, partial_path, remove_table, sync_folder, table_files,
    write_atomically,
};
use crate::runner::lock::{Holder, Lock, LockError};

/// Names of the files in a run folder.
pub(crate) mod names {
    /// One row per grid point.
    pub(crate) const POINTS: &str = "points.parquet";
    /// One row per series and size.
    pub(crate) const SCALING: &str = "scaling.parquet";
    /// One self-contained page.
    pub(crate) const REPORT: &str = "report.html";
    /// Manifest of the run.
    pub(crate) const MANIFEST: &str = "manifest.json";
    /// The spec as it was run.
    pub(crate) const SPEC: &str = "spec.toml";
    /// Finished chunks while a run is under way.
    pub(crate) const PARTS: &str = "parts";
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
    /// The address of an object store or a web page.
    #[error("output `{}` is a URL, and a run is written to a folder of this machine; name one, and copy it there afterwards", path.display())]
    IsUrl {
        /// The address.
        path: PathBuf,
    },
    /// A file stands where the folder should be.
    #[error("output `{}` is a file, not a folder; name another with --out", path.display())]
    IsFile {
        /// The path.
        path: PathBuf,
    },
    /// A link stands where a run writes: what it leads to belongs to somebody else.
    #[error("`{}` is a symbolic link, which a run does not follow; remove it, or name another folder with --out", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// The path is one of the files of a run, or lies among them.
    #[error("`{}` is a file of the run in `{}`, which would be lost; name another place", path.display(), run.display())]
    OfRun {
        /// The path.
        path: PathBuf,
        /// The folder of the run.
        run: PathBuf,
    },
    /// The folder holds a result already.
    #[error("`{}` already holds a result ({held}); name another folder with --out, go on with it by --resume, or replace it with --overwrite", path.display())]
    HoldsResult {
        /// The folder.
        path: PathBuf,
        /// The file that was found.
        held: &'static str,
    },
    /// Another run writes to it.
    #[error("another run{} is writing to `{}`; wait for its end, or name another folder with --out", named(holder.as_ref()), path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The process that writes; `None` where it has not yet said which.
        holder: Option<Holder>,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}{left}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// Space that is left, where the disk is full.
        left: String,
    },
    /// The file of the lock is somebody else's.
    #[error("`{}` is no lock of sweep: it holds something else; move it away, or name another folder with --out", path.display())]
    NoLock {
        /// The file.
        path: PathBuf,
    },
}

/// A folder that holds, or is about to hold, one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Unsharded while a run writes there.
    lock: Option<Arc<Hold>>,
}

/// The lock of a folder. On a regular end `parts/` is removed if it is empty.
#[derive(Debug)]
struct Hold {
    parts: PathBuf,
    _lock: Lock,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Still locked: nobody else writes there.
        let _ = fs::remove_dir(&self.parts);
    }
}

/// Name of the lock's file, which stays.
const LOCK: &str = ".lock";

impl RunFolder {
    /// Makes a folder ready for a run: creates it, and with `overwrite` clears an unfinished run away. A whole result stays
    /// until the new one takes its place.
    ///
    /// # Errors
    /// If it is a file, holds a result that may not be overwritten, or cannot be written to.
    pub fn prepare(path: &Path, overwrite: bool) -> Result<Self, FolderError> {
        let folder = Self::claim(path, overwrite)?;
        folder.remove_parts()?;
        if !folder.holds_table() {
            folder.remove_files(&RESULT_FILES)?;
        }
        Ok(folder)
    }

    /// Locks a folder for a run, and keeps what it holds.
    ///
    /// # Errors
    /// If it is a file, holds a result that may not be overwritten, another run writes to it, or it
    /// cannot be written to.
    pub(crate) fn claim(path: &Path, overwrite: bool) -> Result<Self, FolderError> {
        Self::check(path, overwrite)?;
        let folder = Self::taken(path)?;
        // Of two runs that started at once, one may have ended by now.
        refuse(path, overwrite, &RESULT_FILES)?;
        Ok(folder)
    }

    /// Removes findings of an older result, which the new one does not replace.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn remove_findings(&self) -> Result<(), FolderError> {
        self.remove_files(&[names::SCALING, names::REPORT])
    }

    /// Removes the scaling table of an older result, where the new one has none.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn remove_scaling(&self) -> Result<(), FolderError> {
        self.remove_files(&[names::SCALING])
    }

    /// Whether it holds a whole table of points.
    pub(crate) fn holds_table(&self) -> bool {
        is_table(&self.points())
    }

    /// Locks a folder to resume the run that it holds, or to begin one where it holds none.
    ///
    /// Nothing of a result is touched yet: see `runner/reopen.rs`.
    ///
    /// # Errors
    /// If it is a file, another run writes to it, or it cannot be written to.
    pub(crate) fn resume(path: &Path) -> Result<Self, FolderError> {
        if path.is_file() {
            return Err(FolderError::IsFile {
                path: path.to_owned(),
            });
        }
        Self::taken(path)
    }

    /// Gives the table with a digest a second name among the parts; it stays where it is until another takes its place.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(super) fn table_as_part(&self, digest: &str) -> Result<(), FolderError> {
        // Parts beside a whole table are older than it.
        self.remove_parts()?;
        let points = self.points();
        if !points.is_dir() {
            return link_or_copy(&points, &self.part(0, digest));
        }
        let files = table_files(&points).map_err(|source| refused("read", &points, source))?;
        let mut sound = files.iter().filter(|file| is_sound(file));
        sound.try_for_each(|file| {
            let name = file.file_name().unwrap_or_default();
            link_or_copy(file, &self.parts().join(name))
        })
    }

    /// Whether the parts of a dataset with the name of the table lie among some parts.
    pub(super) fn has_parts_of_table(&self, parts: &[PathBuf]) -> bool {
        let files = table_files(&self.points()).unwrap_or_default();
        let has = |file: &PathBuf| {
            parts
                .iter()
                .any(|part| part.file_name() == file.file_name())
        };
        !files.is_empty() && files.iter().all(has)
    }

    /// The parts in the order in which they were written; what else lies beside them is somebody else's.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(super) fn part_files(&self) -> Result<Vec<PathBuf>, FolderError> {
        let parts = self.parts();
        let read = |source| refused("read", &parts, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(&parts).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if is_part(&path) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Creates and locks a folder, so that this process alone writes to it.
    fn taken(path: &Path) -> Result<Self, FolderError> {
        if path.to_string_lossy().contains("://") {
            let path = path.to_owned();
            return Err(FolderError::IsUrl { path });
        }
        refuse_files_of_run(path)?;
        let mut folder = Self::existing(path);
        let create = |directory: &Path| {
            let created = fs::create_dir_all(directory);
            created.map_err(|source| refused("create", directory, source))
        };
        create(path)?;
        let (file, parts) = (path.join(LOCK), folder.parts());
        for entry in [&file, &parts] {
            if is_link(entry) {
                let path = entry.clone();
                return Err(FolderError::Link { path });
            }
        }
        let lock = Lock::take(&file).map_err(|error| match error {
            LockError::Held(holder) => FolderError::Taken {
                path: path.to_owned(),
                holder,
            },
            LockError::Foreign => FolderError::NoLock { path: file.clone() },
            LockError::Io(source) => refused("lock", &file, source),
        })?;
        create(&parts)?;
        folder.clear_unfinished();
        sync_folder(path).map_err(|source| refused("write to", path, source))?;
        folder.lock = Some(Arc::new(Hold { parts, _lock: lock }));
        Ok(folder)
    }

    /// Removes what a run that was killed left under the names that its table and parts have while they are made; what
    /// cannot be removed is told where its name is needed.
    fn clear_unfinished(&self) {
        let mut unfinished = vec![
            partial_path(&self.points()),
            partial_path(&self.new_dataset_part()),
            self.new_dataset(),
        ];
        let entries = fs::read_dir(self.parts()).into_iter().flatten().flatten();
        let is_partial = |path: &PathBuf| {
            let part = path.with_extension("");
            is_part(&part) && partial_path(&part) == *path
        };
        unfinished.extend(entries.map(|entry| entry.path()).filter(is_partial));
        for path in unfinished {
            let _ = remove_table(&path);
        }
    }

    fn remove_files(&self, names: &[&str]) -> Result<(), FolderError> {
        for name in names {
            clear(&self.path.join(name))?;
        }
        Ok(())
    }

    /// Whether a run could be put there, touching nothing.
    ///
    /// # Errors
    /// If it is a file, or holds a result that may not be overwritten.
    pub(crate) fn check(path: &Path, overwrite: bool) -> Result<(), FolderError> {
        if path.is_file() {
            return Err(FolderError::IsFile {
                path: path.to_owned(),
            });
        }
        refuse_files_of_run(path)?;
        refuse(path, overwrite, &RESULT_FILES)?;
        refuse(path, overwrite, &[names::PARTS])
    }

    /// A folder that a run was written to.
    pub(crate) fn existing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            lock: None,
        }
    }

    /// Path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Path of `points.parquet`.
    pub(crate) fn points(&self) -> PathBuf {
        self.path.join(names::POINTS)
    }

    /// Path of `scaling.parquet`.
    pub(crate) fn scaling(&self) -> PathBuf {
        self.path.join(names::SCALING)
    }

    /// Path of `spec.toml`.
    pub(crate) fn spec(&self) -> PathBuf {
        self.path.join(names::SPEC)
    }

    /// Path of `manifest.json`.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(names::MANIFEST)
    }

    fn parts(&self) -> PathBuf {
        self.path.join(names::PARTS)
    }

    /// Path of a dataset that is being made of the parts.
    pub(super) fn new_dataset(&self) -> PathBuf {
        self.path.join(format!("{}.new", names::POINTS))
    }

    /// Path in it of the one part that others are joined to, while that is written.
    pub(super) fn new_dataset_part(&self) -> PathBuf {
        self.new_dataset().join("0")
    }

    /// Path of a numbered part, which bears its own digest.
    pub(super) fn part(&self, number: usize, digest: &str) -> PathBuf {
        self.parts().join(Self::part_name(number, digest))
    }

    /// Name of a numbered part.
    pub(super) fn part_name(number: usize, digest: &str) -> String {
        format!("{number:08}-{digest}.{TABLE_SUFFIX}")
    }

    /// Path of a numbered part that is being written.
    pub(super) fn new_part(&self, number: usize) -> PathBuf {
        self.parts().join(format!("{number:08}.{TABLE_SUFFIX}"))
    }

    /// Writes a small file into the folder, whole or not at all.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path.join(name);
        write_atomically(&path, bytes)?;
        log::info!(path:% = path.display(), bytes = bytes.len(); "wrote");
        Ok(())
    }

    /// Removes the parts.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn remove_parts(&self) -> Result<(), FolderError> {
        self.part_files()?.iter().try_for_each(|part| clear(part))
    }
}

/// Refuses to write where a file of a run lies, whatever leads there: the run could no longer be read, resumed or verified.
///
/// # Errors
/// If the path is such a file, or lies inside a table or among parts.
pub(crate) fn refuse_files_of_run(path: &Path) -> Result<(), FolderError> {
    // A file that is not there yet has no real path, its folder may have one.
    let real = path.canonicalize().or_else(|error| {
        let (folder, name) = (path.parent(), path.file_name());
        let folder = folder.filter(|it| !it.as_os_str().is_empty());
        let real = folder.unwrap_or(Path::new(".")).canonicalize();
        name.ok_or(error).and_then(|name| Ok(real?.join(name)))
    });
    // What cannot be found is written nowhere.
    let Ok(real) = real else {
        return Ok(());
    };
    let run = real.ancestors().take(2).find_map(|entry| {
        let name = entry.file_name()?.to_str()?;
        let folder = entry.parent()?;
        let is_of_run = RESULT_FILES.contains(&name) || [names::PARTS, LOCK].contains(&name);
        (is_of_run && holds_run(folder)).then(|| folder.to_owned())
    });
    match run {
        Some(run) => Err(FolderError::OfRun {
            path: path.to_owned(),
            run,
        }),
        None => Ok(()),
    }
}

/// Whether a folder holds a run, or the beginning of one.
fn holds_run(folder: &Path) -> bool {
    let has = |name| folder.join(name).is_file();
    is_table(&folder.join(names::POINTS)) || has(names::MANIFEST) || has(LOCK)
}

/// Removes a file, or a dataset.
///
/// # Errors
/// If the file system refuses.
pub(super) fn clear(table: &Path) -> Result<(), FolderError> {
    remove_table(table).map_err(|source| refused("remove", table, source))
}

/// Gives a file a second name, or where the file system has no links copies it.
///
/// # Errors
/// If the file system refuses; what is cut off is a part that has not its digest.
pub(super) fn link_or_copy(file: &Path, other: &Path) -> Result<(), FolderError> {
    let linked = fs::hard_link(file, other).or_else(|_| {
        let mut copy = File::create_new(other)?;
        io::copy(&mut open_entry(file)?, &mut copy)?;
        copy.sync_all()
    });
    linked.map_err(|source| refused("copy", file, source))
}

/// Whether a name is that of a part: a number, whatever follows it.
fn is_part(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let number = name.split('-').next().unwrap_or_default();
    path.extension().is_some_and(|it| it == TABLE_SUFFIX)
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether a part has the digest that its name states.
pub(super) fn is_sound(part: &Path) -> bool {
    has_digest(part, part_name(part).map(|(_, digest)| digest))
}

/// Whether a file has a digest.
pub(super) fn has_digest(path: &Path, expected: Option<&str>) -> bool {
    let found = digest(path).ok().map(|found| found.blake3);
    expected.is_some() && found.as_deref() == expected
}

/// Number and digest of a part, by its name.
pub(super) fn part_name(path: &Path) -> Option<(usize, &str)> {
    let (number, digest) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((number.parse().ok()?, digest))
}

/// A holder in brackets, behind a word.
fn named(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" ({holder})"))
}

/// Refuses a folder that holds one of some names, unless it may be overwritten.
fn refuse(path: &Path, overwrite: bool, held: &[&'static str]) -> Result<(), FolderError> {
    match held
        .iter()
        .find(|name| path.join(name).symlink_metadata().is_ok())
    {
        Some(&held) if !overwrite => Err(FolderError::HoldsResult {
            path: path.to_owned(),
            held,
        }),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn refused(action: &'static str, path: &Path, source: io::Error) -> FolderError {
    FolderError::Io {
        action,
        path: path.to_owned(),
        left: space_left(&source, path),
        source,
    }
}
