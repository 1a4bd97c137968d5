//! Models that a `config.json` describes: its keys become those of a model table.

use std::path::Path;
use std::sync::Arc;

use itertools::Itertools as _;

use crate::catalog::{self, Catalog, CatalogFault, FaultPlace, Kind};
use crate::model::Model;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::error::SpecError;
use crate::spec::file::read;
use crate::spec::source::{Place, SPEC_BYTES_MAX, Source, Syntax};
use crate::spec::syntax::{Entry, Node, find, parse};

/// Replaces the `file` of a model's entry, read as `source`, by the keys that it stands for. Keys that the entry gives
/// itself win.
pub(super) fn expand(keys: &mut Vec<Entry>, file: &Entry, source: Source, faults: &mut Faults) {
    if let Some(base) = find(keys, "base") {
        let message = "`base` and `file` each give a whole model".to_owned();
        faults.push(Diagnostic::error(&base.key_place, message).hint("leave one of them out"));
        return;
    }
    let name = file.node.text().unwrap_or_default().to_owned();
    let source = Arc::new(source);
    let read = parsed(&source).and_then(|config| Ok((model_table(&source, &config)?, config)));
    let (table, config) = match read {
        Ok(read) => read,
        Err(found) => {
            faults.extend(found);
            stand_in(keys, file);
            return;
        }
    };
    let place = &file.node.place;
    let entry = |key: String, value: toml::Value| Entry {
        node: Node::from_toml(value, place),
        key_place: origin(&config, &key).unwrap_or_else(|| file.key_place.clone()),
        key,
    };
    let mut sources = toml::Table::new();
    for (key, value) in table {
        if find(keys, &key).is_none() {
            sources.insert(key.clone(), name.as_str().into());
            keys.push(entry(key, value));
        }
    }
    let own = keys.iter_mut().find(|own| own.key == "sources");
    match own.and_then(|own| own.node.entries_mut()) {
        Some(own) => {
            for (key, source) in sources {
                if find(own, &key).is_none() {
                    own.push(entry(key, source));
                }
            }
        }
        None => keys.push(entry("sources".to_owned(), sources.into())),
    }
}

/// Lets a model whose `file` has faults stand for a preset, so that further faults of the spec are found and not those
/// that follow from these.
pub(super) fn stand_in(keys: &mut Vec<Entry>, file: &Entry) {
    let presets = Catalog::builtin().names(Kind::Models);
    keys.clear();
    keys.push(Entry {
        key: "base".to_owned(),
        key_place: file.key_place.clone(),
        node: Node::from_toml(presets[0].into(), &file.node.place),
    });
}

/// The keys of a `config.json` with their places.
fn parsed(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let node = parse(source, Syntax::Json)?;
    if node.table().is_some() {
        return Ok(node);
    }
    let message = format!("a config.json is a table of keys, not {}", node.described());
    Err(vec![Diagnostic::error(&node.place, message)])
}

/// The place of the key of a config that a key of the model table is from; `None` where no single key gives it.
fn origin(config: &Node, key: &str) -> Option<Place> {
    let top = config.table()?;
    let decoder = find(top, "text_config").and_then(|part| part.node.table());
    let parts = [Some(top), decoder].into_iter().flatten();
    let keys = catalog::config_keys(key).iter();
    let found = parts
        .cartesian_product(keys)
        .find_map(|(part, key)| find(part, key))?;
    Some(found.key_place.clone())
}

/// The model table that a `config.json` stands for.
fn model_table(source: &Arc<Source>, node: &Node) -> Result<toml::Table, Vec<Diagnostic>> {
    let config = match node.to_toml() {
        Some(toml::Value::Table(config)) => config,
        Some(_) | None => toml::Table::new(),
    };
    let top = node.table().unwrap_or_default();
    catalog::model_table(&config).map_err(|found| {
        found
            .iter()
            .map(|fault| placed(source, top, fault))
            .collect()
    })
}

/// A fault of the config at the place of its path as far as that is there, or at the beginning of the file.
fn placed(source: &Arc<Source>, top: &[Entry], fault: &CatalogFault) -> Diagnostic {
    let mut entry: Option<&Entry> = None;
    for key in &fault.path {
        let keys = entry.map_or(top, |above| above.node.table().unwrap_or_default());
        let Some(inner) = find(keys, key) else { break };
        entry = Some(inner);
    }
    let place = match (entry, fault.place) {
        (Some(entry), FaultPlace::Key) => entry.key_place.clone(),
        (Some(entry), FaultPlace::Value) => entry.node.place.clone(),
        (None, _) => Place::new(source, 0..0),
    };
    Diagnostic::error(&place, fault.message.clone()).maybe_hint(fault.hint.clone())
}

/// The model that a `config.json` describes, named `name`.
///
/// # Errors
/// If the file cannot be read, or with every fault of it.
pub(crate) fn model_of_config(path: &Path) -> Result<Model, SpecError> {
    let source = Arc::new(read(path, SPEC_BYTES_MAX)?);
    let config = parsed(&source).map_err(SpecError::Faults)?;
    let table = model_table(&source, &config).map_err(SpecError::Faults)?;
    catalog::model_of(&source.name, &table).map_err(|found| {
        let faults = found.into_iter().map(|fault| {
            let mut keys = fault.path.iter().rev();
            let place = keys.find_map(|key| origin(&config, key));
            let place = place.unwrap_or_else(|| Place::new(&source, 0..0));
            Diagnostic::error(&place, fault.message).maybe_hint(fault.hint)
        });
        SpecError::Faults(faults.collect())
    })
}
