//! What an earlier run of the same spec has finished in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::{Int32Type, UInt64Type};

use crate::record::provenance::keys;
use crate::record::{PointStatus, PointsReader, Provenance, ReadError, columns};
use crate::runner::Counts;

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
    /// A finished part cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something else was run there.
    #[error(
        "cannot go on from `{}`: it was run with {what} {found}, this is {expected}; name another folder with --out, or begin anew with --overwrite",
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
        let wanted = [columns::POINT, columns::STATUS, columns::REASON];
        for batch in reader.stream(&wanted)? {
            let batch = batch?;
            let points = batch.column(0).as_primitive::<UInt64Type>();
            let [status, reason] = [1, 2].map(|column| text(batch.column(column)));
            for row in 0..batch.num_rows() {
                let status = value(&status, row).and_then(|status| status.parse().ok());
                let status = status.unwrap_or(PointStatus::Crashed);
                if status != PointStatus::Crashed && self.points.insert(points.value(row)) {
                    self.counts.add(status, kind(value(&reason, row)));
                }
            }
        }
        Ok(())
    }
}

/// Counts the rows of a finished file.
///
/// # Errors
/// If it cannot be read.
pub(super) fn count_rows(path: &Path) -> Result<Counts, ReadError> {
    let mut counts = Counts::default();
    let wanted = [columns::STATUS, columns::REASON];
    for batch in PointsReader::open(path)?.stream(&wanted)? {
        let batch = batch?;
        let [status, reason] = [0, 1].map(|column| text(batch.column(column)));
        for row in 0..batch.num_rows() {
            let status = value(&status, row).and_then(|status| status.parse().ok());
            let status = status.unwrap_or(PointStatus::Crashed);
            counts.add(status, kind(value(&reason, row)));
        }
    }
    Ok(counts)
}

/// The kind with which the sentence of a reason begins.
fn kind(reason: Option<&str>) -> Option<&str> {
    reason?.split(':').next()
}

type Texts<'a> = (&'a DictionaryArray<Int32Type>, &'a StringArray);

fn text(array: &dyn Array) -> Texts<'_> {
    let array = array.as_dictionary::<Int32Type>();
    (array, array.values().as_string::<i32>())
}

fn value<'a>((array, values): &Texts<'a>, row: usize) -> Option<&'a str> {
    array.key(row).map(|key| values.value(key))
}

/// Whether a file comes of what is to be run now.
fn check(path: &Path, reader: &PointsReader, provenance: &Provenance) -> Result<(), ResumeError> {
    let pairs: BTreeMap<&str, String> = provenance.pairs().into_iter().collect();
    for (key, what) in [
        (keys::VERSION, "program version"),
        (keys::SPEC_HASH, "the spec (hash)"),
        (keys::CATALOG_HASH, "the catalogue (hash)"),
        (keys::LIMIT, "--limit"),
        (keys::SHARD, "--shard"),
    ] {
        let found = reader.metadata(key).unwrap_or("none");
        let expected = pairs.get(key).map_or("none", String::as_str);
        if found != expected {
            let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
            return Err(ResumeError::Differs {
                path: path.to_owned(),
                what,
                found: short(found),
                expected: short(expected),
            });
        }
    }
    Ok(())
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
