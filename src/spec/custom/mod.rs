//! Topologies and collective algorithms that a spec defines, without code.
//!
//! `[topologies.NAME]` is a network of named devices and switches with its `[[links]]`;
//! `[collectives.NAME]` is a schedule, as a `file` or as a text. Axes name both as they name the built-in
//! ones.

pub(super) mod collectives;
pub(crate) mod kind;
pub(super) mod topologies;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::collective::{Algorithm, CollectiveAlgorithm, CustomAlgorithm};
use crate::hardware::{CustomTopology, FabricTopology, TopologyKind};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::syntax::{Entry, find};

pub(crate) use kind::CustomKind;

/// Topologies and collective algorithms that a spec defines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CustomTables {
    /// Networks by name.
    pub topologies: BTreeMap<String, Arc<CustomTopology>>,
    /// Schedules by name.
    pub collectives: BTreeMap<String, Arc<CustomAlgorithm>>,
}

impl CustomTables {
    /// Reads `[topologies]` and `[collectives]`; what is wrong is noted and left out.
    pub(super) fn read(top: &[Entry], faults: &mut Faults) -> Self {
        let mut tables = Self::default();
        each(top, CustomKind::Topologies, faults, |entry, faults| {
            if let Some(topology) = topologies::read(entry, faults) {
                tables
                    .topologies
                    .insert(entry.key.clone(), Arc::new(topology));
            }
        });
        each(top, CustomKind::Collectives, faults, |entry, faults| {
            if let Some(algorithm) = collectives::read(entry, faults) {
                tables
                    .collectives
                    .insert(entry.key.clone(), Arc::new(algorithm));
            }
        });
        tables
    }

    /// The topology of a name.
    pub(crate) fn topology(&self, name: &str) -> Option<FabricTopology> {
        match self.topologies.get(name) {
            Some(custom) => Some(FabricTopology::Custom(Arc::clone(custom))),
            None => name.parse::<TopologyKind>().ok().map(Into::into),
        }
    }

    /// The algorithm of a name.
    pub(crate) fn algorithm(&self, name: &str) -> Option<Algorithm> {
        match self.collectives.get(name) {
            Some(custom) => Some(Algorithm::Custom(Arc::clone(custom))),
            None => name.parse::<CollectiveAlgorithm>().ok().map(Into::into),
        }
    }
}

/// Calls `take` with every entry of a kind whose name can stand on an axis.
fn each(
    top: &[Entry],
    kind: CustomKind,
    faults: &mut Faults,
    mut take: impl FnMut(&Entry, &mut Faults),
) {
    let Some(entry) = find(top, kind.as_str()) else {
        return;
    };
    let Some(entries) = entry.node.entries(&format!("`{kind}`"), faults) else {
        return;
    };
    for entry in entries {
        if let Some(fault) = name_fault(kind, entry) {
            faults.push(fault);
        }
        take(entry, faults);
    }
}

fn name_fault(kind: CustomKind, entry: &Entry) -> Option<Diagnostic> {
    let name = entry.key.as_str();
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message = "a name has no spaces and is not empty";
        return Some(Diagnostic::error(&entry.key_place, message));
    }
    if name == "auto" || kind.built_in().contains(&name) {
        let message = format!("`{name}` is a built-in {}", kind.singular());
        let hint = format!("choose another name: [{kind}.my-{name}]");
        return Some(Diagnostic::error(&entry.key_place, message).hint(hint));
    }
    None
}
