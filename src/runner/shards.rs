//! Joins the shards of one run into the table that one machine would have written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::read_entry;
use crate::record::provenance::keys;
use crate::record::{
    Counts, Difference, MergeError, PointsReader, Provenance, ReadError, TableWriter, WriteError,
    difference, merge_points, points_schema, table_files,
};
use crate::runner::finished::count_rows;
use crate::runner::folder::{RunFolder, has_digest};
use crate::runner::manifest::Earlier;
use crate::spec::{GridPoint, Portion, Shard};

/// Why shards cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
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
    #[error("shard `{}` is not finished; resume it first, with its `--shard` and `--resume`", path.display())]
    Unfinished {
        /// Folder of the shard.
        path: PathBuf,
    },
    /// A shard whose file changed since it was written.
    #[error("`{}` is damaged: it has not the digest that manifest.json states; run its shard again, with its `--shard` and `--resume`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A whole run.
    #[error("`{}` is no shard; shards are what `sweep run --shard K/N` writes, or `--no-join`", path.display())]
    NoShard {
        /// Folder of the shard.
        path: PathBuf,
    },
    /// Shards of different runs.
    #[error("`{}` and `{}` are not of one run: {what} is {one} and {other}", first.display(), path.display())]
    Differ {
        /// The first shard.
        first: PathBuf,
        /// The other one.
        path: PathBuf,
        /// The differing property.
        what: &'static str,
        /// In the first.
        one: String,
        /// In the other.
        other: String,
    },
    /// Another program version or catalogue than this program's.
    #[error("{} of shard `{}` is {}, this program's is {}; join the shards with the program that ran them", .found.what, path.display(), .found.one, .found.other)]
    Program {
        /// The shard.
        path: PathBuf,
        /// The differing property.
        found: Difference,
    },
    /// A spec that is not what was run.
    #[error("`{}` is not what the shard was run with; put the spec back, or run the shard again", path.display())]
    Spec {
        /// The spec's file.
        path: PathBuf,
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
    #[error("{lacks} of {of} shards {} missing: {missing}{}; name all of them", if *lacks == 1 { "is" } else { "are" }, if *lacks as usize > MOST_NAMED { " …" } else { "" })]
    Missing {
        /// Names of the first ones.
        missing: String,
        /// Number of missing shards.
        lacks: u32,
        /// Number of shards in all.
        of: u32,
    },
    /// A point of the plan is in no shard, or a shard holds a point that the plan does not have.
    #[error("point {point} {}", if *lacks { "is in none of the shards" } else { "is not one of the spec's points" })]
    Points {
        /// The point.
        point: u64,
        /// Whether no shard has it.
        lacks: bool,
    },
}

/// Keys that the shards of one run have in common.
const COMMON: [&str; 8] = [
    keys::STUDY,
    keys::SPEC_HASH,
    keys::VERSION,
    keys::BUILD,
    keys::CATALOG_HASH,
    keys::SCHEMA_VERSION,
    keys::LIMIT,
    keys::MAX_EVENTS,
];

/// Keys of the program that ran a shard.
const PROGRAM: [&str; 3] = [keys::VERSION, keys::BUILD, keys::CATALOG_HASH];

/// Missing shards that the message lists.
const MOST_NAMED: usize = 5;

/// The shards of one run, all of them, each finished.
#[derive(Debug)]
pub(crate) struct Shards {
    files: Vec<PathBuf>,
    /// The whole run, of which they are shards.
    portion: Portion,
}

impl Shards {
    /// Checks the folders of the shards.
    ///
    /// # Errors
    /// If one cannot be read, is no finished shard or not of the same run as the others, was written by
    /// another program version or with another catalogue than `catalog_hash`, or its spec was changed
    /// since; or if a shard is missing or there twice.
    pub(crate) fn of(folders: &[RunFolder], catalog_hash: &str) -> Result<Self, ShardError> {
        let mut found: BTreeMap<u32, (PathBuf, Shard)> = BTreeMap::new();
        let mut first: Option<(PathBuf, PointsReader)> = None;
        for folder in folders {
            let path = folder.path().to_owned();
            if !folder.holds_table() {
                return Err(ShardError::Unfinished { path });
            }
            let Some(digest) = Earlier::of(folder).points else {
                return Err(ShardError::Unfinished { path });
            };
            if !has_digest(&folder.points(), Some(&digest)) {
                let path = folder.points();
                return Err(ShardError::Damaged { path });
            }
            let reader = PointsReader::open(&folder.points())?;
            let shard = reader.metadata(keys::SHARD).and_then(|it| it.parse().ok());
            // A run whose parts were not joined is the only one of its shards.
            let whole = folder.points().is_dir().then_some(Shard::WHOLE);
            let Some(shard) = shard.or(whole) else {
                return Err(ShardError::NoShard { path });
            };
            same_program(folder, &reader, catalog_hash)?;
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
        let lacks = of - found.len() as u32;
        if lacks > 0 {
            let missing = (1..=of).filter(|number| !found.contains_key(number));
            let named = missing.take(MOST_NAMED);
            let named: Vec<String> = named.map(|number| format!("{number}/{of}")).collect();
            let missing = named.join(", ");
            return Err(ShardError::Missing { missing, lacks, of });
        }
        let portion = first.map(|(_, reader)| Portion {
            shard: None,
            ..reader.portion()
        });
        let paths = found.into_values().map(|(path, _)| path);
        let tables = paths.map(|path| RunFolder::existing(&path).points());
        // What cannot be listed cannot be opened either, and is told then.
        let files = tables.flat_map(|table| table_files(&table).unwrap_or_else(|_| vec![table]));
        Ok(Self {
            files: files.collect(),
            portion: portion.unwrap_or_default(),
        })
    }

    /// The whole run, of which they are shards.
    pub(crate) const fn portion(&self) -> Portion {
        self.portion
    }

    /// Writes `points.parquet` of the whole run; `points` are those of its plan.
    ///
    /// # Errors
    /// If a shard lacks a point or has one too many, or a file cannot be read or written; what lay in
    /// the folder is as it was then.
    pub(crate) fn join(
        &self,
        folder: &RunFolder,
        provenance: &Provenance,
        points: impl Iterator<Item = GridPoint>,
    ) -> Result<Counts, ShardError> {
        let schema = points_schema(provenance);
        let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
        let mut expected = points.map(|point| point.index);
        let mut wrong = None;
        merge_points(&self.files, provenance, &schema, &mut writer, |point| {
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
        Some(shard?.of().to_string())
    };
    let [one, other] = [common, reader].map(|reader| shards(reader).unwrap_or_default());
    let numbers = (one != other).then_some(Difference {
        what: "the number of shards",
        one,
        other,
    });
    let found = difference(
        &COMMON,
        |key| common.metadata(key),
        |key| reader.metadata(key),
    );
    match found.or(numbers) {
        None => Ok(()),
        Some(Difference { what, one, other }) => Err(ShardError::Differ {
            first: first.to_owned(),
            path: path.to_owned(),
            what,
            one,
            other,
        }),
    }
}

/// Refuses a shard of another program version, catalogue or spec file.
fn same_program(
    folder: &RunFolder,
    reader: &PointsReader,
    catalog_hash: &str,
) -> Result<(), ShardError> {
    let own = |key: &str| match key {
        keys::VERSION => Some(Provenance::version()),
        keys::BUILD => Some(Provenance::build()),
        keys::CATALOG_HASH => Some(catalog_hash),
        _ => None,
    };
    let recorded = |key: &str| reader.metadata(key);
    if let Some(found) = difference(&PROGRAM, recorded, own) {
        let path = folder.path().to_owned();
        return Err(ShardError::Program { path, found });
    }
    let spec = read_entry(&folder.spec()).unwrap_or_default();
    let hash = blake3::hash(spec.as_bytes()).to_hex().to_string();
    if recorded(keys::SPEC_HASH) == Some(hash.as_str()) {
        Ok(())
    } else {
        Err(ShardError::Spec {
            path: folder.spec(),
        })
    }
}
