//! The model table that is made of a config.

use crate::model::Family;

/// Keys of a model table.
pub(super) struct ModelTable(toml::Table);

impl ModelTable {
    /// A table of a family.
    pub(super) fn of(family: Family) -> Self {
        let mut table = Self(toml::Table::new());
        table.text("family", family.as_str());
        table
    }

    /// A table inside a model's.
    pub(super) fn empty() -> Self {
        Self(toml::Table::new())
    }

    /// Sets a table inside.
    pub(super) fn inner(&mut self, key: &str, table: Self) {
        self.0.insert(key.to_owned(), table.0.into());
    }

    /// A count that is set, else 0.
    pub(super) fn number(&self, key: &str) -> u32 {
        let count = self.0.get(key).and_then(toml::Value::as_integer);
        count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0)
    }

    /// Sets a text.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.0.insert(key.to_owned(), text.into());
    }

    /// Sets a count.
    pub(super) fn count(&mut self, key: &str, count: u32) {
        self.0.insert(key.to_owned(), count.into());
    }

    /// Sets a list of counts.
    pub(super) fn list(&mut self, key: &str, counts: &[u32]) {
        let counts = counts.iter().map(|count| toml::Value::from(*count));
        self.0
            .insert(key.to_owned(), counts.collect::<Vec<_>>().into());
    }

    /// Sets counts that are there.
    pub(super) fn counts<const N: usize>(&mut self, counts: [(&str, Option<u32>); N]) {
        for (key, count) in counts {
            if let Some(count) = count {
                self.count(key, count);
            }
        }
    }

    /// Sets flags.
    pub(super) fn flags<const N: usize>(&mut self, flags: [(&str, bool); N]) {
        for (key, flag) in flags {
            self.0.insert(key.to_owned(), flag.into());
        }
    }

    /// Whether a key is not set.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.0.contains_key(key)
    }

    /// Takes keys out that do not apply.
    pub(super) fn remove<const N: usize>(&mut self, keys: [&str; N]) {
        for key in keys {
            self.0.remove(key);
        }
    }

    /// The keys.
    pub(super) fn into_keys(self) -> toml::Table {
        self.0
    }
}
