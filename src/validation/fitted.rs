//! Constants that were fitted to measurements, not measured themselves.

use crate::catalog::{Catalog, EntryValue, Kind};
use crate::collective;
use schemars::JsonSchema;
use serde::Serialize;

/// A constant that was fitted instead of measured.
#[derive(Clone, Debug, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
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
    for (kind, name) in Kind::ALL.iter().flat_map(|kind| {
        catalog
            .names(*kind)
            .into_iter()
            .map(move |name| (kind, name))
    }) {
        for EntryValue { key, value, source } in catalog.values(*kind, name) {
            let is_number = matches!(value, toml::Value::Integer(_) | toml::Value::Float(_))
                || value
                    .as_str()
                    .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
            let (key, value) = (key.path.clone(), value.to_string());
            let inherited = |other: &FittedConstant| {
                (&other.key, &other.value) == (&key, &value)
                    && other.entry.starts_with(kind.as_str())
            };
            if is_number
                && source.is_some_and(|source| source.starts_with(FITTED))
                && !found.iter().any(inherited)
            {
                found.push(FittedConstant {
                    entry: format!("{kind}/{name}"),
                    key,
                    value,
                });
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
