//! Faults of a catalogue table, with their places.

use std::fmt;

/// Which half of `key = value` is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPlace {
    /// The key itself: unknown, or a table that lacks something.
    Key,
    /// The value behind it.
    Value,
}

/// One fault of a catalogue table.
///
/// The path is known, not the line: whoever read the text attaches line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogFault {
    /// Keys from the top of the file: `["gpus", "h100x", "memory"]`.
    pub path: Vec<String>,
    /// Which half of the line is at fault.
    pub place: FaultPlace,
    /// The offending text: the key's last part, or the value as TOML.
    pub text: String,
    /// The fault in words: lower case, without a full stop.
    pub message: String,
    /// Remedy, where there is one: the nearest key, an example.
    pub hint: Option<String>,
}

impl CatalogFault {
    /// The path joined with dots: `gpus.h100x.memory`; parts that are no bare TOML keys are quoted.
    pub(crate) fn dotted(&self) -> String {
        self.path
            .iter()
            .map(|part| {
                let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if !part.is_empty() && part.chars().all(bare) {
                    part.clone()
                } else {
                    format!("{part:?}")
                }
            })
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl fmt::Display for CatalogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.dotted(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Gathers the faults of one entry, so that all are reported at once.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    /// Path of the entry's table.
    root: [&'a str; 2],
    found: Vec<CatalogFault>,
}

impl<'a> Faults<'a> {
    pub(super) fn of(kind: &'a str, name: &'a str) -> Self {
        Self {
            root: [kind, name],
            found: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn found(&self) -> &[CatalogFault] {
        &self.found
    }

    pub(super) fn into_found(self) -> Vec<CatalogFault> {
        self.found
    }

    fn path(&self, key: &str) -> Vec<String> {
        let below = key.split('.').filter(|part| !part.is_empty());
        self.root
            .into_iter()
            .chain(below)
            .map(str::to_owned)
            .collect()
    }

    /// A key (dotted, below the entry) that does not belong there or lacks something; `""` is the
    /// entry itself.
    pub(super) fn key(&mut self, key: &str, message: String, hint: Option<String>) {
        let path = self.path(key);
        self.found.push(CatalogFault {
            text: path.last().cloned().unwrap_or_default(),
            path,
            place: FaultPlace::Key,
            message,
            hint,
        });
    }

    /// A key below `prefix` (dotted, with its final dot) that is not known there.
    pub(super) fn unknown_key(&mut self, prefix: &str, name: &str, hint: String) {
        let mut path = self.path(prefix);
        path.push(name.to_owned());
        self.found.push(CatalogFault {
            path,
            place: FaultPlace::Key,
            text: name.to_owned(),
            message: format!("unknown key `{name}`"),
            hint: Some(hint),
        });
    }

    /// A value that its key cannot take.
    pub(super) fn value(
        &mut self,
        key: &str,
        value: &toml::Value,
        message: String,
        hint: Option<String>,
    ) {
        self.found.push(CatalogFault {
            path: self.path(key),
            place: FaultPlace::Value,
            text: value.to_string(),
            message,
            hint,
        });
    }
}
