//! Points that an earlier run of the same spec finished in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roaring::RoaringTreemap;

use crate::files::{is_table, read_entry};
use crate::record::provenance::keys;
use crate::record::{
    Counts, Difference, PointStatus, PointsReader, Provenance, ReadError, columns, difference,
    short_hash, table_files,
};
use crate::runner::folder::{FolderError, RunFolder, has_digest, is_sound, part_name, refused};
use crate::simulation::{ReasonKind, guarded};

/// Points that need not be simulated again.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Counts by status. Crashed points are excluded: they are retried.
    pub counts: Counts,
    /// Indices of the points, compressed: plans of a billion points are resumed too.
    points: RoaringTreemap,
    /// Files whose digest is not what it was when they were written; their points are not finished.
    pub(super) damaged: Vec<PathBuf>,
    /// Fate of `points.parquet`.
    pub(super) table: Table,
}

/// The table of points that lies in a folder whose run is gone on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Table {
    /// There is none.
    #[default]
    Missing,
    /// Sound and of this run: its points are the finished ones.
    Finished,
    /// Sound, and stays until the parts have become another: its points are among theirs.
    Stays,
    /// Sound, and stays until the parts have become another: it is of the run that they replace.
    Replaced,
    /// Damaged, or made of the parts and not yet in the manifest.
    Stale,
}

/// Why a run cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Finished points cannot be read.
    #[error("{0}; delete that file to simulate its points again")]
    Read(#[from] ReadError),
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder holds another run.
    #[error(
        "cannot resume `{}`: {what} was {found}, this is {expected}; run it as before, name another folder with --out, or start over with --overwrite",
        path.display()
    )]
    Differs {
        /// The part.
        path: PathBuf,
        /// The differing property.
        what: &'static str,
        /// Value in the part.
        found: String,
        /// Value of this run.
        expected: String,
    },
}

impl Finished {
    /// Whether a point is finished.
    pub(crate) fn has(&self, point: u64) -> bool {
        self.points.contains(point)
    }

    /// Number of finished points.
    pub(crate) const fn len(&self) -> u64 {
        self.counts.points()
    }

    /// Whether no point is finished.
    pub(crate) const fn is_empty(&self) -> bool {
        self.counts.points() == 0
    }

    /// Damaged files, whose points are simulated again.
    pub(crate) fn damaged(&self) -> &[PathBuf] {
        &self.damaged
    }

    /// Reads the finished points of a folder: of `points.parquet` where it has the digest `whole`, else of the sound
    /// parts, the oldest first.
    ///
    /// # Errors
    /// If a file cannot be read, or is of another spec, program version, catalogue or portion.
    pub(super) fn in_folder(
        folder: &RunFolder,
        whole: Option<&str>,
        provenance: &Provenance,
    ) -> Result<Self, ResumeError> {
        let (points, parts) = (folder.points(), folder.part_files()?);
        let mut finished = Self {
            table: Table::of(folder, &parts, whole, provenance)?,
            ..Self::default()
        };
        if finished.table == Table::Stale && parts.is_empty() {
            finished.damaged.push(points.clone());
        }
        let is_whole = finished.table == Table::Finished;
        let has_parts = !is_whole || points.is_dir();
        let files = if is_whole {
            table_files(&points).map_err(|source| refused("read", &points, source))?
        } else {
            parts
        };
        for path in &files {
            if has_parts && !is_sound(path) {
                check_damaged(path, provenance)?;
                finished.damaged.push(path.clone());
                continue;
            }
            let reader = PointsReader::open(path)?;
            check(path, &reader, provenance)?;
            finished.add(reader)?;
        }
        Ok(finished)
    }

    fn add(&mut self, reader: PointsReader) -> Result<(), ReadError> {
        each_row(reader, |point, status, kind| {
            if status != PointStatus::Crashed && self.points.insert(point) {
                self.counts.add(status, kind);
            }
        })
    }
}

impl Table {
    /// Fate of a table beside some parts; `whole` is its digest in the manifest.
    ///
    /// # Errors
    /// If it is of another run, and no parts are there that would replace it.
    fn of(
        folder: &RunFolder,
        parts: &[PathBuf],
        whole: Option<&str>,
        provenance: &Provenance,
    ) -> Result<Self, ResumeError> {
        let points = &folder.points();
        if !is_table(points) {
            return Ok(Self::Missing);
        }
        if !has_digest(points, whole) {
            check_damaged(points, provenance)?;
            // Parts that are still there are what it was made of; those of a dataset are sound or not each by itself.
            let has_parts = points.is_dir() && parts.is_empty();
            return Ok(if has_parts {
                Self::Finished
            } else {
                Self::Stale
            });
        }
        let mut digests = parts.iter().filter_map(|part| Some(part_name(part)?.1));
        if digests.any(|digest| Some(digest) == whole) || folder.has_parts_of_table(parts) {
            return Ok(Self::Stays);
        }
        match check(points, &PointsReader::open(points)?, provenance) {
            Ok(()) => Ok(Self::Finished),
            Err(ResumeError::Differs { .. }) if !parts.is_empty() => Ok(Self::Replaced),
            Err(error) => Err(error),
        }
    }
}

/// Refuses a damaged file that is legible enough to say that it is of another run, which nothing may throw away.
fn check_damaged(path: &Path, provenance: &Provenance) -> Result<(), ResumeError> {
    match guarded(&mut (), |()| PointsReader::open(path)) {
        Ok(Ok(reader)) if reader.metadata(keys::SPEC_HASH).is_some() => {
            check(path, &reader, provenance)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Counts the rows of a finished file.
///
/// # Errors
/// If it cannot be read.
pub(super) fn count_rows(path: &Path) -> Result<Counts, ReadError> {
    let mut counts = Counts::default();
    let reader = PointsReader::open(path)?;
    each_row(reader, |_, status, kind| counts.add(status, kind))?;
    Ok(counts)
}

/// Calls `look` with the point of every row, how it ended, and the kind of its reason.
fn each_row(
    reader: PointsReader,
    mut look: impl FnMut(u64, PointStatus, Option<ReasonKind>),
) -> Result<(), ReadError> {
    for rows in reader.rows(&[columns::POINT, columns::STATUS, columns::REASON_KIND])? {
        let rows = rows?;
        let points = rows.points()?;
        let statuses = rows.members(&columns::STATUS)?;
        let kinds = rows.members(&columns::REASON_KIND)?;
        for row in 0..rows.len() {
            look(
                points.get(row),
                rows.status(&statuses, row)?,
                kinds.get(row),
            );
        }
    }
    Ok(())
}

/// Refuses a folder without finished points whose spec is not that of this run.
pub(super) fn check_spec(path: &Path, provenance: &Provenance) -> Result<(), ResumeError> {
    let Ok(text) = read_entry(path) else {
        return Ok(());
    };
    if text == provenance.spec {
        return Ok(());
    }
    let found = blake3::hash(text.as_bytes()).to_hex().to_string();
    Err(ResumeError::Differs {
        path: path.to_owned(),
        what: "the spec (hash)",
        found: short_hash(&found).to_owned(),
        expected: short_hash(&provenance.spec_hash()).to_owned(),
    })
}

/// Refuses a file of another spec, version, catalogue or shard. The limit may be raised.
pub(super) fn check(
    path: &Path,
    reader: &PointsReader,
    provenance: &Provenance,
) -> Result<(), ResumeError> {
    let pairs: BTreeMap<&str, String> = provenance.pairs().into_iter().collect();
    let limit = |text: Option<&str>| text.and_then(|it| it.parse().ok()).unwrap_or(u64::MAX);
    let goes_beyond =
        limit(reader.metadata(keys::LIMIT)) <= provenance.portion.limit.unwrap_or(u64::MAX);
    let keys: &[&str] = if goes_beyond {
        &[
            keys::SCHEMA_VERSION,
            keys::VERSION,
            keys::BUILD,
            keys::SPEC_HASH,
            keys::CATALOG_HASH,
            keys::SHARD,
            keys::MAX_EVENTS,
        ]
    } else {
        &[keys::LIMIT]
    };
    let now = |key: &str| pairs.get(key).map(String::as_str);
    match difference(keys, |key| reader.metadata(key), now) {
        None => Ok(()),
        Some(Difference { what, one, other }) => Err(ResumeError::Differs {
            path: path.to_owned(),
            what,
            found: one,
            expected: other,
        }),
    }
}
