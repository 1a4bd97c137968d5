//! Topologies and collective algorithms that a spec describes itself, without code.
//!
//! `[topologies.NAME]` is a network of named devices and switches with its `[[links]]`;
//! `[collectives.NAME]` is a schedule, as a `file` or as a text. Both are named on their axes beside
//! the program's own.

pub(super) mod collectives;
pub(super) mod topologies;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::closed_set;
use crate::collective::{Algorithm, CollectiveAlgorithm, CustomAlgorithm};
use crate::hardware::{FabricTopology, OwnTopology, TopologyKind};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::read::find;
use crate::spec::syntax::{Entry, Node};

closed_set! {
    /// What a spec may describe besides catalogue entries, spelt as its table.
    pub enum OwnKind: "kind of own table" {
        /// Networks between nodes.
        Topologies = "topologies",
        /// Schedules of collectives.
        Collectives = "collectives",
    }
}

impl OwnKind {
    /// One of them, in words.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Topologies => "topology",
            Self::Collectives => "collective",
        }
    }

    /// Names that the program has itself.
    pub const fn built_in(self) -> &'static [&'static str] {
        match self {
            Self::Topologies => TopologyKind::NAMES,
            Self::Collectives => CollectiveAlgorithm::NAMES,
        }
    }
}

/// Everything that a spec describes itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnTables {
    /// Networks by name.
    pub topologies: BTreeMap<String, Arc<OwnTopology>>,
    /// Schedules by name.
    pub collectives: BTreeMap<String, Arc<CustomAlgorithm>>,
}

impl OwnTables {
    /// Reads `[topologies]` and `[collectives]`; what is wrong is noted and left out.
    pub(super) fn read(top: &[Entry], faults: &mut Faults) -> Self {
        let mut own = Self::default();
        each(top, OwnKind::Topologies, faults, |entry, faults| {
            if let Some(topology) = topologies::read(entry, faults) {
                own.topologies.insert(entry.key.clone(), Arc::new(topology));
            }
        });
        each(top, OwnKind::Collectives, faults, |entry, faults| {
            if let Some(algorithm) = collectives::read(entry, faults) {
                own.collectives
                    .insert(entry.key.clone(), Arc::new(algorithm));
            }
        });
        own
    }

    /// The names of a kind that a spec can use: the program's, then its own.
    pub fn names(&self, kind: OwnKind) -> Vec<String> {
        let own: Vec<&String> = match kind {
            OwnKind::Topologies => self.topologies.keys().collect(),
            OwnKind::Collectives => self.collectives.keys().collect(),
        };
        let built_in = kind.built_in().iter().map(|name| (*name).to_owned());
        built_in.chain(own.into_iter().cloned()).collect()
    }

    /// The topology of a name.
    pub fn topology(&self, name: &str) -> Option<FabricTopology> {
        match self.topologies.get(name) {
            Some(own) => Some(FabricTopology::Own(Arc::clone(own))),
            None => name.parse::<TopologyKind>().ok().map(Into::into),
        }
    }

    /// The algorithm of a name.
    pub fn algorithm(&self, name: &str) -> Option<Algorithm> {
        match self.collectives.get(name) {
            Some(own) => Some(Algorithm::Custom(Arc::clone(own))),
            None => name.parse::<CollectiveAlgorithm>().ok().map(Into::into),
        }
    }
}

/// Calls `take` with every entry of a kind whose name can stand on an axis.
fn each(
    top: &[Entry],
    kind: OwnKind,
    faults: &mut Faults,
    mut take: impl FnMut(&Entry, &mut Faults),
) {
    let Some(entry) = find(top, kind.as_str()) else {
        return;
    };
    let Some(entries) = table(&entry.node, &format!("`{kind}`"), faults) else {
        return;
    };
    for entry in entries {
        if let Some(fault) = name_fault(kind, entry) {
            faults.push(fault);
        }
        take(entry, faults);
    }
}

fn name_fault(kind: OwnKind, entry: &Entry) -> Option<Diagnostic> {
    let name = entry.key.as_str();
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message = "a name has no spaces and is not empty";
        return Some(Diagnostic::error(&entry.key_place, message));
    }
    if name == "auto" || kind.built_in().contains(&name) {
        let message = format!("`{name}` is a {} of the program already", kind.singular());
        let hint = format!("choose another name: [{kind}.my-{name}]");
        return Some(Diagnostic::error(&entry.key_place, message).hint(hint));
    }
    None
}

/// The entries of a node that has to be a table.
fn table<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<&'a [Entry]> {
    let entries = node.table();
    if entries.is_none() {
        let message = format!("{what} is a table, not {}", node.described());
        faults.push(Diagnostic::error(&node.place, message));
    }
    entries
}
