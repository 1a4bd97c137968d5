//! What an earlier run of the same spec has finished in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::{Int32Type, UInt64Type};

use crate::record::provenance::keys;
use crate::record::{
    Difference, PointStatus, PointsReader, Provenance, ReadError, columns, difference, short_hash,
};
use crate::runner::Counts;
use crate::simulation::ReasonKind;

/// Points that need not be played again.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Them by how they ended; crashed ones are tried again and are not among them.
    pub counts: Counts,
    points: PointSet,
}

/// Why a run cannot go on from what lies in its folder.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Finished points cannot be read.
    #[error("{0}; delete that file to play its points again")]
    Read(#[from] ReadError),
    /// Something else was run there.
    #[error(
        "cannot go on from `{}`: {what} was {found}, this is {expected}; run it as before, name another folder with --out, or begin anew with --overwrite",
        path.display()
    )]
    Differs {
        /// The part.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As it is in the part.
        found: String,
        /// As it is now.
        expected: String,
    },
}

impl Finished {
    /// Whether a point is among them.
    pub fn has(&self, point: u64) -> bool {
        self.points.has(point)
    }

    /// How many there are.
    pub const fn len(&self) -> u64 {
        self.counts.points
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.counts.points == 0
    }

    /// Reads files of finished points, the oldest first.
    ///
    /// # Errors
    /// If one cannot be read, or is of another spec, program version, catalogue or portion.
    pub(super) fn read(files: &[PathBuf], provenance: &Provenance) -> Result<Self, ResumeError> {
        let mut finished = Self::default();
        for path in files {
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
    let wanted = [columns::POINT, columns::STATUS, columns::REASON_KIND];
    for batch in reader.stream(&wanted)? {
        let batch = batch?;
        let points = batch.column(0).as_primitive::<UInt64Type>();
        let [status, kind] = [1, 2].map(|column| text(batch.column(column)));
        for row in 0..batch.num_rows() {
            let status = value(&status, row).and_then(|status| status.parse().ok());
            let status = status.unwrap_or(PointStatus::Crashed);
            let kind = value(&kind, row).and_then(|kind| kind.parse().ok());
            look(points.value(row), status, kind);
        }
    }
    Ok(())
}

type Texts<'a> = (&'a DictionaryArray<Int32Type>, &'a StringArray);

fn text(array: &dyn Array) -> Texts<'_> {
    let array = array.as_dictionary::<Int32Type>();
    (array, array.values().as_string::<i32>())
}

fn value<'a>((array, values): &Texts<'a>, row: usize) -> Option<&'a str> {
    array.key(row).map(|key| values.value(key))
}

/// Whether a folder without finished points is of the spec that is to be run now, or of none.
pub(super) fn check_spec(path: &Path, provenance: &Provenance) -> Result<(), ResumeError> {
    let Ok(text) = fs::read_to_string(path) else {
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

/// Whether a file comes of what is to be run now. A run may go on beyond its limit.
fn check(path: &Path, reader: &PointsReader, provenance: &Provenance) -> Result<(), ResumeError> {
    let pairs: BTreeMap<&str, String> = provenance.pairs().into_iter().collect();
    let limit = |text: Option<&str>| text.and_then(|it| it.parse().ok()).unwrap_or(u64::MAX);
    let goes_beyond =
        limit(reader.metadata(keys::LIMIT)) <= provenance.portion.limit.unwrap_or(u64::MAX);
    let keys: &[&str] = if goes_beyond {
        &[
            keys::VERSION,
            keys::SPEC_HASH,
            keys::CATALOG_HASH,
            keys::SHARD,
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

/// Points in blocks of bits: a bit or little more for each.
#[derive(Clone, Debug, Default)]
struct PointSet {
    blocks: BTreeMap<u64, [u64; WORDS]>,
}

/// Words of 64 points in a block.
const WORDS: usize = 16;

impl PointSet {
    /// Block, word and bit of a point.
    fn at(point: u64) -> (u64, usize, u64) {
        let word = point / 64;
        let (block, word) = (word / WORDS as u64, word % WORDS as u64);
        (block, word as usize, 1 << (point % 64))
    }

    fn has(&self, point: u64) -> bool {
        let (block, word, bit) = Self::at(point);
        let found = self.blocks.get(&block);
        found.is_some_and(|words| words[word] & bit != 0)
    }

    /// Whether it was not there before.
    fn insert(&mut self, point: u64) -> bool {
        let (block, word, bit) = Self::at(point);
        let words = self.blocks.entry(block).or_default();
        let new = words[word] & bit == 0;
        words[word] |= bit;
        new
    }
}
