//! Contents of the catalogue: every GPU, cluster, model and stack by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hardware::{Cluster, Gpu};
use crate::model::Model;
use crate::spelling::named;
use crate::stack::Stack;

use super::check::lookup;
use super::prices::PriceList;
use super::{Entry, EntryValue, Kind};

/// Every GPU, cluster, model and stack that a spec can name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// GPUs by name.
    pub gpus: BTreeMap<String, Arc<Gpu>>,
    /// Clusters by name.
    pub clusters: BTreeMap<String, Arc<Cluster>>,
    /// Models by name.
    pub models: BTreeMap<String, Arc<Model>>,
    /// Stacks by name.
    pub stacks: BTreeMap<String, Arc<Stack>>,
    /// Price lists by name.
    pub(crate) prices: BTreeMap<String, Arc<PriceList>>,
    pub(super) entries: BTreeMap<Kind, BTreeMap<String, Entry>>,
}

impl Catalog {
    /// An entry as text with its sources.
    pub(crate) fn entry(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.get(&kind)?.get(name)
    }

    /// The entry that a text names: by its name, by one of its aliases, or spelt like one of those.
    pub(crate) fn named(&self, kind: Kind, text: &str) -> Option<&str> {
        let entries = self.entries.get(&kind)?.iter();
        named(
            text,
            entries.map(|(name, entry)| (name.as_str(), &entry.aliases[..])),
        )
    }

    /// The given values of an entry, in the order of [`Kind::keys`]; empty for an unknown name.
    pub(crate) fn values(&self, kind: Kind, name: &str) -> Vec<EntryValue<'_>> {
        let Some(entry) = self.entry(kind, name) else {
            return Vec::new();
        };
        kind.keys()
            .iter()
            .filter_map(|key| {
                Some(EntryValue {
                    value: lookup(&entry.table, &key.path)?,
                    source: entry.source(&key.path),
                    key,
                })
            })
            .collect()
    }

    /// The names of a kind, sorted.
    pub(crate) fn names(&self, kind: Kind) -> Vec<&str> {
        self.entries
            .get(&kind)
            .into_iter()
            .flat_map(|entries| entries.keys().map(String::as_str))
            .collect()
    }
}
