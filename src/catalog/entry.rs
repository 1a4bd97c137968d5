//! Entries of the catalogue as text, with the sources of their values.

use std::collections::BTreeMap;

use crate::data_table::Key;

/// Sources of an entry's values, by key or by the table that the key lies in.
pub(crate) type Sources = BTreeMap<String, String>;

/// An entry as text: its whole table, bases merged in, and its sources.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The keys that it or its bases give.
    pub table: toml::Table,
    /// Sources of their values.
    pub sources: Sources,
    /// Further names that people type for it.
    pub aliases: Vec<String>,
    /// Name of the entry that it changes.
    pub base: Option<String>,
}

impl Entry {
    /// The source of a key's value: that of the key itself, or else of the nearest table above it.
    pub(crate) fn source(&self, path: &str) -> Option<&str> {
        source(&self.sources, path)
    }
}

pub(super) fn source<'a>(sources: &'a Sources, path: &str) -> Option<&'a str> {
    let mut at = path;
    loop {
        if let Some(source) = sources.get(at) {
            return Some(source);
        }
        at = at.rsplit_once('.')?.0;
    }
}

/// One value of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EntryValue<'a> {
    /// Key, with its path and meaning.
    pub key: &'static Key,
    /// The value as given.
    pub value: &'a toml::Value,
    /// Source of the value.
    pub source: Option<&'a str>,
}
