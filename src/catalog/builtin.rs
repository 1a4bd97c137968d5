//! Catalogue that is built into the program: the files of `data/`.

use std::sync::LazyLock;

use super::files::FILES;
use super::{Catalog, overlay};

static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
    let mut tables = toml::Table::new();
    for file in FILES {
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
    /// The catalogue that is built into the program, read once.
    ///
    /// # Panics
    /// If a file of `data/` has a fault; a test reads them all.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// A BLAKE3 hash of the files in `data/`, in hexadecimal.
    pub fn hash() -> String {
        let mut hasher = blake3::Hasher::new();
        for file in FILES {
            for part in [file.kind.as_str(), file.name, file.text] {
                // The length keeps `a` + `bc` apart from `ab` + `c`.
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
