//! Models that a `config.json` describes: its keys become those of a model table.

use std::path::Path;
use std::sync::Arc;

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
    let table = match model_table(&Arc::new(source)) {
        Ok(table) => table,
        Err(found) => {
            faults.extend(found);
            stand_in(keys, file);
            return;
        }
    };
    let place = &file.node.place;
    let entry = |key: String, value: toml::Value| Entry {
        node: Node::from_toml(value, place),
        key_place: file.key_place.clone(),
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

/// The model table that a `config.json` stands for.
fn model_table(source: &Arc<Source>) -> Result<toml::Table, Vec<Diagnostic>> {
    let node = parse(source, Syntax::Json)?;
    let Some(toml::Value::Table(config)) = node.to_toml() else {
        let message = format!("a config.json is a table of keys, not {}", node.described());
        return Err(vec![Diagnostic::error(&node.place, message)]);
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
    let table = model_table(&source).map_err(SpecError::Faults)?;
    catalog::model_of(&source.name, &table).map_err(|found| {
        let top = Place::new(&source, 0..0);
        let faults = found
            .into_iter()
            .map(|fault| Diagnostic::error(&top, fault.message).maybe_hint(fault.hint));
        SpecError::Faults(faults.collect())
    })
}
