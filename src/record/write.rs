//! Writes tables to Parquet files, whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use schemars::JsonSchema;
use serde::Serialize;

use crate::files::{exchange, is_link, open_entry, space_left};
use crate::record::provenance::Provenance;
use crate::record::table_files::{remove_table, table_files};

/// Rows that are encoded at a time, whatever the batch sizes: the bytes of a file depend on its rows
/// alone.
const SLICE_ROWS: usize = 1_024;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 32_768;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}{left}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Refusal of the file system, also while Parquet was being written.
    pub source: io::Error,
    /// Space that is left, where the disk is full.
    left: String,
}

impl WriteError {
    /// The refusal of a file.
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            left: space_left(&source, path),
            source,
        }
    }
}

/// Puts a file at `path` in one step: a reader sees the old one or the whole new one.
///
/// The bytes go to `path` with `.partial` appended, are forced to the disk and renamed.
///
/// # Errors
/// If the file system refuses; nothing is left behind then.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    PartialFile::create(path)
        .and_then(|(partial, mut file)| {
            file.write_all(bytes)?;
            file.sync_all()?;
            put(&partial, path)
        })
        .map_err(|source| WriteError::new(path, source))
}

/// Writes to a path that a user named: a device, a pipe or another special file is written to, a link is followed, and
/// a regular file is put there in one step.
///
/// # Errors
/// If the file system refuses.
pub(crate) fn write_output(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => File::options()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes)),
        Ok(_) if is_link(path) => fs::canonicalize(path).and_then(|path| put_new(&path, bytes)),
        // A link to nothing: its target is created.
        Err(_) if is_link(path) => fs::write(path, bytes),
        Ok(_) | Err(_) => put_new(path, bytes),
    };
    written.map_err(|source| WriteError::new(path, source))
}

/// Puts a file outside of a run folder in one step; a file that has the temporary name is somebody else's, and stays.
fn put_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (partial, mut file) = PartialFile::beside_others(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    put(&partial, path)
}

/// Length and checksum of a file.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) struct FileDigest {
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 hash, in hex.
    pub blake3: String,
}

/// Reads an entry of a run folder through for its checksum; the files of a dataset one after another.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn digest(path: &Path) -> io::Result<FileDigest> {
    let mut hasher = blake3::Hasher::new();
    for file in table_files(path)? {
        hasher.update_reader(open_entry(&file)?)?;
    }
    Ok(FileDigest {
        bytes: hasher.count(),
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// Gives a file its name, so that it has it after a loss of power too.
fn put(partial: &PartialFile, path: &Path) -> io::Result<()> {
    replace(&partial.path, path)
}

/// Puts a file or a dataset in the place of another, in one step where the file system can.
///
/// # Errors
/// If the file system refuses.
pub(crate) fn replace(new: &Path, old: &Path) -> io::Result<()> {
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let is_there = old.symlink_metadata().is_ok();
    if is_there && (is_folder(new) || is_folder(old)) {
        exchange(new, old)?;
        remove_table(new)?;
    } else {
        fs::rename(new, old)?;
    }
    old.parent().map_or(Ok(()), sync_folder)
}

/// Forces the names in a folder to the disk; some file systems on a network have nothing to force.
///
/// # Errors
/// If the folder cannot be read or the disk refuses.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) {
        // A folder is no file there that could be forced.
        return Ok(());
    }
    // The parent of a bare name.
    let here = folder.as_os_str().is_empty();
    let folder = File::open(if here { Path::new(".") } else { folder })?;
    match folder.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Path that a file has while it is written.
pub(crate) fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Temporary names that are tried beside a file of a user's.
const NAMES_TRIED: u32 = 100;

/// A file under its temporary name, removed on drop unless renamed.
struct PartialFile {
    path: PathBuf,
}

impl PartialFile {
    /// Creates the file for `path` anew; whatever has its temporary name is removed, a link is never followed.
    fn create(path: &Path) -> io::Result<(Self, File)> {
        let path = partial_path(path);
        remove_table(&path)?;
        let file = File::create_new(&path)?;
        Ok((Self { path }, file))
    }

    /// Creates the file for `path` under the first temporary name that is free.
    fn beside_others(path: &Path) -> io::Result<(Self, File)> {
        let mut numbers = 0..NAMES_TRIED;
        loop {
            let mut name = partial_path(path).into_os_string();
            match numbers.next() {
                Some(0) => {}
                Some(number) => name.push(format!(".{number}")),
                None => return Err(io::ErrorKind::AlreadyExists.into()),
            }
            let path = PathBuf::from(name);
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((Self { path }, file?)),
            }
        }
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After the renaming no file has that name, and this fails harmlessly.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes one table to one Parquet file, which appears only when it is whole.
///
/// zstd, dictionary-encoded text, one statistic per row group. The same rows give the same bytes.
pub struct TableWriter {
    path: PathBuf,
    partial: PartialFile,
    schema: SchemaRef,
    writer: ArrowWriter<BufWriter<File>>,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
}

impl TableWriter {
    /// Opens the file under a temporary name.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(
        path: &Path,
        schema: &SchemaRef,
        provenance: &Provenance,
    ) -> Result<Self, WriteError> {
        let failed = |source| WriteError::new(path, source);
        let (partial, file) = PartialFile::create(path).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_created_by(format!("clustersweep version {}", Provenance::version()))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_key_value_metadata(Some(provenance.key_values()))
            .build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), schema.clone(), Some(properties))
            .map_err(|source| failed(inner(source)))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            schema: schema.clone(),
            writer,
            pending: Vec::new(),
            pending_rows: 0,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// If the disk is full or the file system refuses otherwise.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        self.pending.push(batch.clone());
        self.pending_rows += batch.num_rows();
        while self.pending_rows >= SLICE_ROWS {
            let all = self.take_pending()?;
            let rest = all.slice(SLICE_ROWS, all.num_rows() - SLICE_ROWS);
            self.encode(&all.slice(0, SLICE_ROWS))?;
            self.pending_rows = rest.num_rows();
            self.pending.push(rest);
        }
        Ok(())
    }

    /// Writes the remaining rows, forces the file to the disk and renames it.
    ///
    /// # Errors
    /// If the disk is full or the file system refuses otherwise; no file is left then.
    pub fn finish(self) -> Result<(), WriteError> {
        let (partial, path) = self.sealed()?;
        put(&partial, &path).map_err(|source| WriteError::new(&path, source))
    }

    /// As [`finish`](Self::finish), under a name that the file's digest gives.
    pub(crate) fn finish_by_digest(
        self,
        name: impl FnOnce(&str) -> PathBuf,
    ) -> Result<(), WriteError> {
        let (partial, path) = self.sealed()?;
        digest(&partial.path)
            .and_then(|digest| put(&partial, &name(&digest.blake3)))
            .map_err(|source| WriteError::new(&path, source))
    }

    /// Writes the remaining rows and forces the file to the disk, still under its temporary name.
    fn sealed(mut self) -> Result<(PartialFile, PathBuf), WriteError> {
        let rest = self.take_pending()?;
        self.encode(&rest)?;
        let Self {
            path,
            partial,
            writer,
            ..
        } = self;
        let buffered = writer.into_inner().map_err(inner);
        buffered
            .and_then(|buffered| buffered.into_inner().map_err(IntoInnerError::into_error))
            .and_then(|file| file.sync_all())
            .map_err(|source| WriteError::new(&path, source))?;
        Ok((partial, path))
    }

    fn take_pending(&mut self) -> Result<RecordBatch, WriteError> {
        let all = concat_batches(&self.schema, &self.pending)
            .map_err(|source| self.failed(source.into()))?;
        self.pending.clear();
        self.pending_rows = 0;
        Ok(all)
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let written = self.writer.write(batch);
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ParquetError) -> WriteError {
        WriteError::new(&self.path, inner(source))
    }
}

/// The refusal of the file system inside an error of Parquet, where it is one.
fn inner(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn a_link_at_the_temporary_name_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (foreign, path) = (dir.path().join("foreign"), dir.path().join("result"));
        fs::write(&foreign, "precious").unwrap();
        symlink(&foreign, partial_path(&path)).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }

    // A pipe stays one and its reader gets the bytes; a link stays one and its target gets them, there or not yet there.
    #[test]
    fn what_is_no_regular_file_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read_to_string(at("pipe")).unwrap());
            write_output(&at("pipe"), b"trace").unwrap();
            assert_eq!(reader.join().unwrap(), "trace");
        });
        assert!(!fs::metadata(at("pipe")).unwrap().is_file());
        fs::write(at("old"), "old").unwrap();
        for target in ["old", "new"] {
            let link = at(&format!("link-to-{target}"));
            symlink(at(target), &link).unwrap();
            write_output(&link, b"trace").unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(at(target)).unwrap(), "trace");
        }
        assert!(write_output(dir.path(), b"trace").is_err(), "a folder");
    }
}
