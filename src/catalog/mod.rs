//! `data/` and a spec's own tables, as checked values with their sources.
//!
//! One small TOML file is one thing: `data/gpus/h100-sxm.toml` is the GPU `h100-sxm`. Its keys are
//! those of [`Kind::keys`], dotted ones being tables (`peaks.bf16` is `bf16` under `[peaks]`).
//! Quantities are text with a unit; a bare number is refused. `[sources]` names for every key, or for
//! the table it lies in, where the figure is from:
//!
//! ```toml
//! title = "NVIDIA H100 SXM5 80 GB"
//! memory = "84942979072 B"
//!
//! [peaks]
//! bf16 = "989 TFLOP/s"
//!
//! [sources]
//! title = "NVIDIA H100 data sheet"
//! memory = "device memory as the driver reports it, XLA target_config h100_sxm"
//! peaks = "NVIDIA H100 data sheet, dense"
//! ```
//!
//! # How do I add a GPU, cluster, model or stack?
//!
//! Write `data/gpus/NAME.toml` and add `"NAME"` to the list in `src/catalog/files.rs`. The
//! catalogue's tests then check it: every key has a source, every value is plausible, a model's
//! parameters agree with the published count. Without touching the program, put the same keys into a
//! spec, under `[gpus.NAME]`; with `base = "h100-sxm"` only what differs:
//!
//! ```toml
//! [gpus.h100-quiet]
//! base = "h100-sxm"
//! power = "500 W"
//!
//! [gpus."h100-sxm"]                 # a preset's own name: changes the preset for this spec
//! price_per_hour = "2.50 USD"
//! ```
//!
//! # How do I add a key?
//!
//! Add a row to `KEYS` in `gpu.rs`, `cluster.rs`, `model.rs` or `stack.rs` and read it in that file's
//! `read`. Checks, hints, JSON Schema and `sweep list` follow from the row.

mod cluster;
mod fault;
mod fields;
mod files;
mod gpu;
mod key;
mod model;
mod overlay;
pub mod quantity;
mod schema;
mod stack;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub use fault::{CatalogFault, FaultPlace};
pub use key::{Key, ValueKind};
pub use schema::schema;

use crate::closed_set;
use crate::hardware::{Cluster, Gpu};
use crate::model::Model;
use crate::stack::Stack;

closed_set! {
    /// What the catalogue holds, spelt as the folder in `data/` and the table in a spec.
    ///
    /// In the order of declaration, so that a GPU finds its cluster.
    pub enum Kind: "kind of catalogue entry" {
        /// Nodes and fabrics.
        Clusters = "clusters",
        /// GPUs.
        Gpus = "gpus",
        /// Networks.
        Models = "models",
        /// Software generations.
        Stacks = "stacks",
    }
}

impl Kind {
    /// The keys of its tables.
    pub const fn keys(self) -> &'static [Key] {
        match self {
            Self::Clusters => cluster::KEYS,
            Self::Gpus => gpu::KEYS,
            Self::Models => model::KEYS,
            Self::Stacks => stack::KEYS,
        }
    }

    /// One of them, in words.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Gpus => "GPU",
            Self::Models => "model",
            Self::Stacks => "stack",
        }
    }
}

/// Where the values of an entry are from: a key, or the table it lies in, to text.
pub type Sources = BTreeMap<String, String>;

/// An entry as text: its whole table, bases merged in, and its sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The keys that were given, by it or its bases.
    pub table: toml::Table,
    /// Where they are from.
    pub sources: Sources,
}

impl Entry {
    /// Where the value of a key is from: what names the key itself, or else the nearest table
    /// above it.
    pub fn source(&self, path: &str) -> Option<&str> {
        source(&self.sources, path)
    }
}

fn source<'a>(sources: &'a Sources, path: &str) -> Option<&'a str> {
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
pub struct EntryValue<'a> {
    /// Dotted path: `peaks.bf16`.
    pub path: String,
    /// Its key, with what it means.
    pub key: &'static Key,
    /// The value as given.
    pub value: &'a toml::Value,
    /// Where it is from.
    pub source: Option<&'a str>,
}

/// Everything that a spec can name.
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
    entries: BTreeMap<Kind, BTreeMap<String, Entry>>,
}

static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
    let mut tables = toml::Table::new();
    for file in files::FILES {
        let table: toml::Table = file
            .text
            .parse()
            .unwrap_or_else(|error| panic!("data/{}/{}.toml: {error}", file.kind, file.name));
        tables
            .entry(file.kind.as_str())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .expect("made as a table one line above")
            .insert(file.name.to_owned(), toml::Value::Table(table));
    }
    overlay(&Catalog::default(), &tables).unwrap_or_else(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("data/ has faults:\n{}", lines.join("\n"))
    })
});

impl Catalog {
    /// What is built into the program, read once.
    ///
    /// # Panics
    /// If a file of `data/` has a fault, which a test excludes.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// A BLAKE3 hash of the files in `data/`, in hexadecimal.
    pub fn hash() -> String {
        let mut hasher = blake3::Hasher::new();
        for file in files::FILES {
            for part in [file.kind.as_str(), file.name, file.text] {
                // The length keeps `a` + `bc` apart from `ab` + `c`.
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// An entry as text.
    pub fn entry(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.get(&kind)?.get(name)
    }

    /// Every value that an entry was given, in the order of [`Kind::keys`]; empty for an unknown
    /// name.
    pub fn values(&self, kind: Kind, name: &str) -> Vec<EntryValue<'_>> {
        let Some(entry) = self.entry(kind, name) else {
            return Vec::new();
        };
        kind.keys()
            .iter()
            .flat_map(|key| key.paths().into_iter().map(move |path| (key, path)))
            .filter_map(|(key, path)| {
                Some(EntryValue {
                    value: key::lookup(&entry.table, &path)?,
                    source: entry.source(&path),
                    key,
                    path,
                })
            })
            .collect()
    }

    /// The names of a kind, sorted.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        self.entries
            .get(&kind)
            .into_iter()
            .flat_map(|entries| entries.keys().map(String::as_str))
            .collect()
    }
}

/// The catalogue with a spec's own tables laid over it.
///
/// `tables` may hold `gpus`, `clusters`, `models` and `stacks`, each a table of entries by name; its
/// other keys are not looked at. An entry starts from the one that its `base` names (another own
/// entry or a preset), or from the preset of its own name, or from nothing, and changes the keys that
/// it gives. A price without its own date has none; a model that changes anything drops the
/// published count of its base. A preset that rests on a changed preset stays as it was.
///
/// ```
/// use clustersweep::catalog::{Catalog, overlay};
///
/// let own = r#"
///     [gpus.h100-quiet]
///     base = "h100-sxm"
///     power = "500 W"
/// "#;
/// let catalog = overlay(Catalog::builtin(), &own.parse()?).expect("no faults");
/// assert_eq!(catalog.gpus["h100-quiet"].sms, catalog.gpus["h100-sxm"].sms);
///
/// let slip = "[gpus.h100-quiet]\nbase = \"h100-sxm\"\npowr = \"500 W\"";
/// let faults = overlay(Catalog::builtin(), &slip.parse()?).expect_err("a fault");
/// assert_eq!(
///     faults[0].to_string(),
///     "gpus.h100-quiet.powr: unknown key `powr` (did you mean `power`?)"
/// );
/// # Ok::<(), toml::de::Error>(())
/// ```
///
/// # Errors
/// Every fault of every table, in the order of [`Kind`] and then of the tables.
pub fn overlay(catalog: &Catalog, tables: &toml::Table) -> Result<Catalog, Vec<CatalogFault>> {
    overlay::overlay(catalog, tables)
}

#[cfg(test)]
mod plausibility;
#[cfg(test)]
mod tests;
