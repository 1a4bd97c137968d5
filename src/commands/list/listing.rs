//! A list of names, for people and for programs.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::entry::Entry;
use super::listed::Listed;
use crate::commands::failure::Failure;
use crate::document::Document;
use crate::report::text::Table;
use crate::spelling::did_you_mean;

/// A list as text and as JSON.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The list for people.
    pub text: String,
    pub(super) what: Listed,
    /// One per name.
    pub(super) entries: Vec<Entry>,
}

impl Listing {
    /// The list for programs, `clustersweep.list/1`.
    pub fn json(&self) -> Value {
        Document::List.of(&ListDocument {
            of: self.what,
            entries: &self.entries,
        })
    }
}

/// Names of `sweep list`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ListDocument<'a> {
    /// Kind of the names.
    of: Listed,
    /// One object per name.
    entries: &'a [Entry],
}

/// A table of 80 columns of some text fields of entries, each under its name; the last field goes on in the lines below.
pub(super) fn table(fields: &[&str], entries: &[impl Serialize]) -> String {
    let headings: Vec<String> = fields.iter().map(|field| field.to_uppercase()).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::folding(&headings, fields.len() - 1);
    for entry in entries {
        let entry = json!(entry);
        let cells = fields.iter().map(|field| entry[*field].as_str());
        let cells = cells.map(|cell| cell.unwrap_or_default().to_owned());
        table.row(cells.collect::<Vec<_>>());
    }
    table.render()
}

/// The known items that were asked for by name; all of them when no name was given.
///
/// # Errors
/// If a name is unknown.
pub(super) fn wanted<T>(
    what: &str,
    names: &[String],
    known: impl IntoIterator<Item = T>,
    name_of: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Failure> {
    let mut known: Vec<T> = known.into_iter().collect();
    for name in names {
        if !known.iter().any(|it| name_of(it) == name) {
            let hint = did_you_mean(name, known.iter().map(&name_of));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(Failure::usage(format!("unknown {what} `{name}`{hint}")));
        }
    }
    known.retain(|it| names.is_empty() || names.iter().any(|name| name == name_of(it)));
    Ok(known)
}
