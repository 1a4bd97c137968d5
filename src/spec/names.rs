//! Names that the values and conditions of a spec can use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::catalog::{Catalog, Kind};
use crate::spec::axis::{Axis, Domain, StudyKind};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::mixed_gpus::MixedGpus;
use crate::spec::source::Place;
use crate::spelling::{did_you_mean, nearest};

/// Axes of a kind of study, entries of the catalogue, and what the spec defines itself.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) kind: StudyKind,
    /// The built-in catalogue with the entries that the spec defines laid over it.
    pub(super) catalog: Arc<Catalog>,
    /// Tables that the spec defines: their names are known even when their contents have faults.
    pub(super) tables: toml::Table,
    /// Names that no axis has.
    pub(super) misspelt: Misspelt,
}

/// Faults of misspelt names, of which a spec may say one thousands of times: looking for the name that each could mean
/// takes long.
#[derive(Debug, Default)]
pub(super) struct Misspelt(Mutex<BTreeMap<(Axis, String), Diagnostic>>);

/// Misspelt names that are looked into.
const MISSPELT_MAX: usize = 1_000;

impl Misspelt {
    /// The fault of a name that was misspelt before.
    pub(super) fn known(&self, axis: Axis, text: &str) -> Option<Diagnostic> {
        self.faults().get(&(axis, text.to_owned())).cloned()
    }

    /// The fault of a name that is new; of one beyond the first thousand without its hints.
    pub(super) fn new_fault(
        &self,
        axis: Axis,
        text: &str,
        make: impl FnOnce() -> Diagnostic,
    ) -> Diagnostic {
        if self.faults().len() >= MISSPELT_MAX {
            return Diagnostic::error_without_place(format!("unknown {axis} `{text}`"));
        }
        let fault = make();
        self.faults().insert((axis, text.to_owned()), fault.clone());
        fault
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<(Axis, String), Diagnostic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    /// Names that an axis of a domain takes; none where its values are no names.
    pub(super) fn of(&self, domain: Domain) -> Vec<&str> {
        let (table, mut names) = match domain {
            Domain::Catalog(kind) => (kind.as_str(), self.catalog.names(kind)),
            Domain::Custom(kind) => (kind.as_str(), kind.built_in().to_vec()),
            Domain::Closed(names) => return names.to_vec(),
            Domain::Several(..)
            | Domain::Int { .. }
            | Domain::Real { .. }
            | Domain::Bool
            | Domain::Size
            | Domain::Power
            | Domain::Stages => return Vec::new(),
        };
        let defined = self.tables.get(table).and_then(toml::Value::as_table);
        names.extend(
            defined
                .into_iter()
                .flat_map(toml::Table::keys)
                .map(String::as_str),
        );
        names
    }

    /// The name that a text stands for in a domain: one of its names, an alias, or a name spelt otherwise.
    pub(super) fn named(&self, domain: Domain, text: &str) -> Option<String> {
        if self.of(domain).contains(&text) {
            return Some(text.to_owned());
        }
        let known = match domain {
            Domain::Catalog(Kind::Gpus) if MixedGpus::is_in(text) => {
                return self.mixed_gpus(text).map(|mixed| mixed.to_string());
            }
            Domain::Catalog(kind) => self.catalog.named(kind, text)?,
            Domain::Custom(kind) => kind.named(text)?,
            Domain::Closed(_)
            | Domain::Several(..)
            | Domain::Int { .. }
            | Domain::Real { .. }
            | Domain::Bool
            | Domain::Size
            | Domain::Power
            | Domain::Stages => return None,
        };
        Some(known.to_owned())
    }

    /// The types of GPU that a text counts, under their names in the catalogue; `None` where it names others, or the study
    /// is of communications.
    fn mixed_gpus(&self, text: &str) -> Option<MixedGpus> {
        let mixed = MixedGpus::parse(text).ok()?;
        let one = Domain::Catalog(Kind::Gpus);
        let mixed = mixed.renamed(|name| self.named(one, name))?;
        (self.kind == StudyKind::Training).then_some(mixed)
    }

    /// Axes of the study.
    pub(super) fn axes(&self) -> impl Iterator<Item = Axis> {
        let axes = Axis::ALL.iter().copied();
        axes.filter(|axis| axis.belongs_to(self.kind))
    }

    /// The axis of the study whose name is nearest to a misspelt one.
    pub(super) fn nearest_axis(&self, name: &str) -> Option<Axis> {
        nearest(name, self.axes().map(Axis::as_str))?.parse().ok()
    }

    /// The axis with a name, which stands at a place.
    pub(super) fn axis(&self, name: &str, place: &Place) -> Result<Axis, Diagnostic> {
        let Ok(axis) = name.parse::<Axis>() else {
            let hint = otherwise_named(name)
                .map(str::to_owned)
                .or_else(|| did_you_mean(name, self.axes().map(Axis::as_str)))
                .unwrap_or_else(|| "`sweep list axes` shows them".to_owned());
            return Err(Diagnostic::error(place, format!("unknown axis `{name}`")).hint(hint));
        };
        if axis.belongs_to(self.kind) {
            return Ok(axis);
        }
        let message = format!("axis `{axis}` does not belong to a {} study", self.kind);
        let other = axis.info().studies.first();
        Err(Diagnostic::error(place, message)
            .maybe_hint(other.map(|kind| format!("it belongs to kind = \"{kind}\""))))
    }
}

/// What stands for an axis that frameworks have under another name, and this program does not.
fn otherwise_named(name: &str) -> Option<&'static str> {
    match name {
        "slices" | "num_slices" | "slice" | "pods" | "num_pods" => {
            Some("`domain_gpus` says how many GPUs a slice joins: a job of more has several")
        }
        "slice_size" | "pod_size" | "nvlink_domain" | "domain_size" => {
            Some("did you mean `domain_gpus`?")
        }
        "message" | "message_size" | "message_bytes" | "msg_size" | "bytes" | "buffer" => {
            Some("did you mean `size`?")
        }
        _ => None,
    }
}
