//! Reading a checked table.

use std::str::FromStr;

use super::key::{as_number, lookup};

/// A table whose values were checked and which lacks nothing that is required.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a toml::Table);

impl<'a> Fields<'a> {
    /// A quantity or name, when it is there.
    pub(super) fn find<T: FromStr>(self, path: &str) -> Option<T> {
        lookup(self.0, path)?.as_str()?.parse().ok()
    }

    /// A quantity or name that is required.
    ///
    /// # Panics
    /// If it is not there or does not parse: the check of the table comes first.
    pub(super) fn get<T: FromStr>(self, path: &str) -> T {
        self.find(path)
            .unwrap_or_else(|| panic!("`{path}` was checked before it is read"))
    }

    /// A whole number, when it is there.
    pub(super) fn find_count(self, path: &str) -> Option<u32> {
        u32::try_from(lookup(self.0, path)?.as_integer()?).ok()
    }

    /// A whole number that is required.
    ///
    /// # Panics
    /// If it is not there: the check of the table comes first.
    pub(super) fn count(self, path: &str) -> u32 {
        self.find_count(path)
            .unwrap_or_else(|| panic!("`{path}` was checked before it is read"))
    }

    /// A real number, when it is there.
    pub(super) fn find_number(self, path: &str) -> Option<f64> {
        as_number(lookup(self.0, path)?)
    }

    /// A real number that is required.
    ///
    /// # Panics
    /// If it is not there: the check of the table comes first.
    pub(super) fn number(self, path: &str) -> f64 {
        self.find_number(path)
            .unwrap_or_else(|| panic!("`{path}` was checked before it is read"))
    }

    /// A truth value, when it is there.
    pub(super) fn find_flag(self, path: &str) -> Option<bool> {
        lookup(self.0, path)?.as_bool()
    }

    /// A truth value that is required.
    ///
    /// # Panics
    /// If it is not there: the check of the table comes first.
    pub(super) fn flag(self, path: &str) -> bool {
        self.find_flag(path)
            .unwrap_or_else(|| panic!("`{path}` was checked before it is read"))
    }

    /// The names or texts of a list; empty when it is not there.
    pub(super) fn list<T: FromStr>(self, path: &str) -> Vec<T> {
        self.items(path)
            .filter_map(|item| item.as_str()?.parse().ok())
            .collect()
    }

    /// The whole numbers of a list; empty when it is not there.
    pub(super) fn counts(self, path: &str) -> Vec<u32> {
        self.items(path)
            .filter_map(|item| u32::try_from(item.as_integer()?).ok())
            .collect()
    }

    fn items(self, path: &str) -> impl Iterator<Item = &'a toml::Value> {
        lookup(self.0, path)
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
    }
}
