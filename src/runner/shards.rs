//! Shards of one run joined into what one machine would have written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::record::provenance::keys;
use crate::record::{
    MergeError, PointsReader, Provenance, ReadError, TableWriter, WriteError, merge_points,
    points_schema,
};
use crate::runner::finished::count_rows;
use crate::runner::{Counts, RunFolder};
use crate::spec::{GridPoint, Shard};

/// Why shards cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rows cannot be joined.
    #[error(transparent)]
    Join(#[from] MergeError),
    /// The joined table cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A shard has not ended.
    #[error("shard `{}` is not finished; go on with its `sweep run --shard` and --resume first", path.display())]
    Unfinished {
        /// Its folder.
        path: PathBuf,
    },
    /// A whole run.
    #[error("`{}` is no shard; shards are what `sweep run --shard K/N` writes", path.display())]
    NoShard {
        /// Its folder.
        path: PathBuf,
    },
    /// Shards of different runs.
    #[error("`{}` and `{}` are not of one run: {what} is {one} and {other}", first.display(), path.display())]
    Differ {
        /// The first shard.
        first: PathBuf,
        /// The other one.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// In the first.
        one: String,
        /// In the other.
        other: String,
    },
    /// Another program version or catalogue than this program's.
    #[error(
        "the shards were run with {what} {found}, this program has {expected}; join them with the program that ran them"
    )]
    Version {
        /// What differs.
        what: &'static str,
        /// In the shards.
        found: String,
        /// Here.
        expected: String,
    },
    /// One shard twice.
    #[error("`{}` and `{}` are both shard {shard}", first.display(), path.display())]
    Twice {
        /// The first one.
        first: PathBuf,
        /// The second one.
        path: PathBuf,
        /// Which shard.
        shard: Shard,
    },
    /// Shards that were not given.
    #[error("of {of} shards {missing} {} missing; name all of them", if missing.contains(',') { "are" } else { "is" })]
    Missing {
        /// Their numbers.
        missing: String,
        /// How many there are.
        of: u32,
    },
    /// A point that no shard has, or one that does not belong to the plan.
    #[error("point {point} {}", if *lacks { "is in none of the shards" } else { "is not one of the spec's points" })]
    Points {
        /// The point.
        point: u64,
        /// Whether it is not there.
        lacks: bool,
    },
}

/// Keys that the shards of one run have in common, and what they are called.
const COMMON: [(&str, &str); 6] = [
    (keys::STUDY, "the kind of study"),
    (keys::SPEC_HASH, "the spec (hash)"),
    (keys::VERSION, "the program version"),
    (keys::CATALOG_HASH, "the catalogue (hash)"),
    (keys::SCHEMA_VERSION, "the version of the columns"),
    (keys::LIMIT, "--limit"),
];

/// The shards of one run, all of them, each finished.
#[derive(Debug)]
pub struct Shards {
    files: Vec<PathBuf>,
    /// Points that the run was limited to.
    limit: Option<u64>,
}

impl Shards {
    /// Looks at shards' folders.
    ///
    /// # Errors
    /// If one cannot be read, is no finished shard or not of the same run as the others, or if a
    /// shard is missing or there twice.
    pub fn of(folders: &[RunFolder]) -> Result<Self, ShardError> {
        let mut found: BTreeMap<u32, (PathBuf, Shard)> = BTreeMap::new();
        let mut first: Option<(PathBuf, PointsReader)> = None;
        for folder in folders {
            let path = folder.path().to_owned();
            if !folder.points().is_file() {
                return Err(ShardError::Unfinished { path });
            }
            let reader = PointsReader::open(&folder.points())?;
            let shard = reader.metadata(keys::SHARD).and_then(|it| it.parse().ok());
            let Some(shard) = shard else {
                return Err(ShardError::NoShard { path });
            };
            if let Some((first, common)) = &first {
                same_run((first, common), (&path, &reader))?;
            }
            if let Some((first, _)) = found.get(&Shard::number(shard)) {
                return Err(ShardError::Twice {
                    first: first.clone(),
                    path,
                    shard,
                });
            }
            found.insert(shard.number(), (path.clone(), shard));
            first.get_or_insert((path, reader));
        }
        let of = found.values().next().map_or(0, |(_, shard)| shard.of());
        let missing = (1..=of).filter(|number| !found.contains_key(number));
        let missing: Vec<String> = missing.map(|number| format!("{number}/{of}")).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(ShardError::Missing { missing, of });
        }
        let limit = first.and_then(|(_, reader)| reader.metadata(keys::LIMIT)?.parse().ok());
        let paths = found.into_values().map(|(path, _)| path);
        Ok(Self {
            files: paths
                .map(|path| RunFolder::existing(&path).points())
                .collect(),
            limit,
        })
    }

    /// Points that the run was limited to.
    pub const fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Writes `points.parquet` of the whole run; `points` are those of its plan.
    ///
    /// # Errors
    /// If a shard lacks a point or has one too many, was written by another version, or a file
    /// cannot be read or written; nothing is left then.
    pub fn join(
        &self,
        folder: &RunFolder,
        provenance: &Provenance,
        points: impl Iterator<Item = GridPoint>,
    ) -> Result<Counts, ShardError> {
        if let Some(file) = self.files.first() {
            same_program(&PointsReader::open(file)?, provenance)?;
        }
        let schema = points_schema(provenance);
        let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
        let mut expected = points.map(|point| point.index);
        let mut wrong = None;
        merge_points(&self.files, &schema, &mut writer, |point, _| {
            let next = expected.next();
            if wrong.is_none() && next != Some(point) {
                let lacks = next.is_some_and(|next| next < point);
                let point = if lacks { next.unwrap_or(point) } else { point };
                wrong = Some(ShardError::Points { point, lacks });
            }
        })?;
        let rest = expected.next();
        let wrong = wrong.or(rest.map(|point| ShardError::Points { point, lacks: true }));
        if let Some(error) = wrong {
            return Err(error);
        }
        writer.finish()?;
        Ok(count_rows(&folder.points())?)
    }
}

fn same_run(
    (first, common): (&Path, &PointsReader),
    (path, reader): (&Path, &PointsReader),
) -> Result<(), ShardError> {
    let shards = |reader: &PointsReader| {
        let shard: Option<Shard> = reader.metadata(keys::SHARD)?.parse().ok();
        shard.map(|shard| shard.of().to_string())
    };
    let of = |reader: &PointsReader, key| reader.metadata(key).unwrap_or("none").to_owned();
    let compared = COMMON.map(|(key, what)| (what, of(common, key), of(reader, key)));
    let numbers = [common, reader].map(|reader| shards(reader).unwrap_or_default());
    let [one, other] = numbers;
    let differs = compared
        .into_iter()
        .chain([("the number of shards", one, other)])
        .find(|(_, one, other)| one != other);
    match differs {
        None => Ok(()),
        Some((what, one, other)) => Err(ShardError::Differ {
            first: first.to_owned(),
            path: path.to_owned(),
            what,
            one: short(&one),
            other: short(&other),
        }),
    }
}

/// Whether this program is the one that ran a shard.
fn same_program(reader: &PointsReader, provenance: &Provenance) -> Result<(), ShardError> {
    let own: BTreeMap<&str, String> = provenance.pairs().into_iter().collect();
    for (key, what) in &COMMON[1..4] {
        let found = reader.metadata(key).unwrap_or("none");
        let expected = own.get(key).map_or("none", String::as_str);
        if found != expected {
            return Err(ShardError::Version {
                what,
                found: short(found),
                expected: short(expected),
            });
        }
    }
    Ok(())
}

/// Enough of a hash to tell two apart.
fn short(text: &str) -> String {
    text.get(..12).unwrap_or(text).to_owned()
}
