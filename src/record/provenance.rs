//! Provenance of a table: kept in its file, so that tables of different runs are not mixed.

use std::sync::Arc;

use parquet::file::metadata::KeyValue;

use crate::spec::{Metric, Portion, StudyKind};

/// Version of the columns. Adding one keeps it, renaming or redefining one raises it.
///
/// Version 2 gives integers a sign; files of version 1, where they have none, are read all the same.
pub(crate) const SCHEMA_VERSION: u32 = 2;

/// Keys of the provenance in a file's metadata.
pub mod keys {
    /// Kind of study.
    pub(crate) const STUDY: &str = "study";
    /// Version of the columns.
    pub const SCHEMA_VERSION: &str = "schema_version";
    /// Version of the program.
    pub(crate) const VERSION: &str = "version";
    /// Build of the program, by its sources.
    pub(crate) const BUILD: &str = "build";
    /// Name of the spec.
    pub(crate) const SPEC_NAME: &str = "spec_name";
    /// Text of the spec as it was run.
    pub(crate) const SPEC: &str = "spec";
    /// BLAKE3 hash of that text.
    pub(crate) const SPEC_HASH: &str = "spec_hash";
    /// BLAKE3 hash of the catalogue.
    pub(crate) const CATALOG_HASH: &str = "catalog_hash";
    /// Points that the run was limited to; absent without a limit.
    pub(crate) const LIMIT: &str = "limit";
    /// Number of the shard, as `2/8`; absent for a whole run.
    pub(crate) const SHARD: &str = "shard";
    /// Most events of a point; absent without a limit.
    pub(crate) const MAX_EVENTS: &str = "max_events";
}

/// Provenance of a table.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Kind of study.
    pub study: StudyKind,
    /// Name of the spec.
    pub spec_name: String,
    /// Text of the spec as it was run.
    pub spec: String,
    /// BLAKE3 hash of the catalogue, in hex.
    pub catalog_hash: String,
    /// Columns that the spec adds.
    pub metrics: Arc<[Metric]>,
    /// The points that were simulated.
    pub portion: Portion,
}

impl Provenance {
    /// BLAKE3 hash of the spec's text, in hex.
    pub(crate) fn spec_hash(&self) -> String {
        blake3::hash(self.spec.as_bytes()).to_hex().to_string()
    }

    /// Version of the program.
    pub(crate) const fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Build of the program: a hash of its sources, the same in debug and release. The revision that was checked out is no
    /// part of a table, whose bytes would then depend on when it was committed.
    pub(crate) const fn build() -> &'static str {
        env!("CLUSTERSWEEP_BUILD")
    }

    /// Revision that the program was built from; `unknown` outside a repository.
    pub(crate) const fn revision() -> &'static str {
        env!("CLUSTERSWEEP_REVISION")
    }

    /// Version, revision and build of the program in words.
    pub(crate) const fn program() -> &'static str {
        concat!(
            env!("CARGO_PKG_VERSION"),
            " (revision ",
            env!("CLUSTERSWEEP_REVISION"),
            ", build ",
            env!("CLUSTERSWEEP_BUILD"),
            ")"
        )
    }

    /// Keys and values, in a fixed order.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let Portion {
            limit,
            shard,
            max_events,
        } = self.portion;
        let mut pairs = vec![
            (keys::STUDY, self.study.as_str().to_owned()),
            (keys::SCHEMA_VERSION, SCHEMA_VERSION.to_string()),
            (keys::VERSION, Self::version().to_owned()),
            (keys::BUILD, Self::build().to_owned()),
            (keys::SPEC_NAME, self.spec_name.clone()),
            (keys::SPEC, self.spec.clone()),
            (keys::SPEC_HASH, self.spec_hash()),
            (keys::CATALOG_HASH, self.catalog_hash.clone()),
        ];
        pairs.extend(limit.map(|limit| (keys::LIMIT, limit.to_string())));
        pairs.extend(shard.map(|shard| (keys::SHARD, shard.to_string())));
        pairs.extend(max_events.map(|most| (keys::MAX_EVENTS, most.to_string())));
        pairs
    }

    /// Keys and values as Parquet's key–value metadata.
    pub(super) fn key_values(&self) -> Vec<KeyValue> {
        self.pairs()
            .into_iter()
            .map(|(key, value)| KeyValue::new(key.to_owned(), value))
            .collect()
    }
}

/// A difference in the provenance of two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The property, in words.
    pub what: &'static str,
    /// Value of the one table, shortened.
    pub one: String,
    /// Value of the other table, shortened.
    pub other: String,
}

/// The first of some [`keys`] whose values differ; a missing key has the value `none`.
pub(crate) fn difference<'a>(
    keys: &[&str],
    one: impl Fn(&str) -> Option<&'a str>,
    other: impl Fn(&str) -> Option<&'a str>,
) -> Option<Difference> {
    let value = |found: Option<&'a str>| found.unwrap_or("none");
    keys.iter()
        .map(|key| (meaning(key), value(one(key)), value(other(key))))
        .find(|(_, one, other)| one != other)
        .map(|(what, one, other)| Difference {
            what,
            one: short_hash(one).to_owned(),
            other: short_hash(other).to_owned(),
        })
}

/// Name of a key in a sentence.
fn meaning(key: &str) -> &'static str {
    match key {
        keys::STUDY => "the kind of study",
        keys::SCHEMA_VERSION => "the version of the columns",
        keys::VERSION => "the program version",
        keys::BUILD => "the build of the program",
        keys::SPEC_NAME => "the spec's name",
        keys::SPEC_HASH => "the spec (hash)",
        keys::CATALOG_HASH => "the catalogue (hash)",
        keys::LIMIT => "--limit",
        keys::SHARD => "--shard",
        keys::MAX_EVENTS => "--max-events",
        _ => "the spec",
    }
}

/// First digits of a hash, enough to tell two apart.
pub(crate) fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
