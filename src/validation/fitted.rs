//! Constants that were fitted to measurements, not measured themselves.

use crate::catalog::{Catalog, Kind};
use crate::collective;

/// A constant that was fitted instead of measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FittedConstant {
    /// First catalogue entry that holds it: `stacks/megatron-2021`; `collectives` for constants of their cost.
    pub entry: String,
    /// Dotted key: `host.step`.
    pub key: String,
    /// Value as text.
    pub value: String,
}

/// First word of a fitted constant's source.
const FITTED: &str = "fitted";

/// Every constant of the catalogue whose source says that it was fitted, and those of the collectives'
/// cost; one that entries inherit counts once.
pub(super) fn fitted_constants(catalog: &Catalog) -> Vec<FittedConstant> {
    let mut found: Vec<FittedConstant> = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        for name in catalog.names(kind) {
            let Some(entry) = catalog.entry(kind, name) else {
                continue;
            };
            for (key, value) in leaves("", &entry.table) {
                let is_fitted = entry
                    .source(&key)
                    .is_some_and(|source| source.starts_with(FITTED));
                let is_number = matches!(value, toml::Value::Integer(_) | toml::Value::Float(_))
                    || value.as_str().is_some_and(starts_with_digit);
                let value = value.to_string();
                let inherited = || {
                    found.iter().any(|other| {
                        (&other.key, &other.value) == (&key, &value)
                            && other.entry.starts_with(kind.as_str())
                    })
                };
                if is_fitted && is_number && !inherited() {
                    found.push(FittedConstant {
                        entry: format!("{kind}/{name}"),
                        key,
                        value,
                    });
                }
            }
        }
    }
    found.extend(
        collective::fitted_constants().map(|(key, value)| FittedConstant {
            entry: "collectives".to_owned(),
            key,
            value: value.to_string(),
        }),
    );
    found.sort();
    found
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn leaves<'a>(above: &str, table: &'a toml::Table) -> Vec<(String, &'a toml::Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        match value {
            toml::Value::Table(inner) => found.extend(leaves(&path, inner)),
            _ => found.push((path, value)),
        }
    }
    found
}
