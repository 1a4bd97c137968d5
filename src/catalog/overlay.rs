//! A spec's tables laid over a catalogue: bases, merging, checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::data_table::{Fields, Key};
use crate::hardware::{Cluster, Gpu, nics_beside};
use crate::model::Model;
use crate::spelling::{did_you_mean, named, plain, suggestions};
use crate::stack::Stack;

use super::check::{check_complete, check_given, is_complete, lookup};
use super::entry::source;
use super::fault::{CatalogFault, FaultPlace, Faults};
use super::{Catalog, Entry, Kind, PriceList, Sources, cluster, gpu, model, rent, stack};

/// Source of a value that a spec gives without naming one.
const OWN_SOURCE: &str = "given in the spec";

/// Longest chain of bases; the recursion over a longer one could exhaust the thread's stack.
const DEEPEST: usize = 64;

/// The catalogue with the tables of a spec laid over it.
///
/// `tables` may hold `gpus`, `clusters`, `models`, `stacks` and `prices`, each a table of entries by name; its
/// other keys are not looked at. An entry starts from the one that its `base` names (another entry
/// of the spec or a preset), or from the preset of the same name, or from nothing, and changes the keys that
/// it gives. A price without its own date has none; a model that changes anything drops the
/// published count of its base. A preset whose base is a changed preset stays as it was.
///
/// # Errors
/// Every fault of every table, in the order of [`Kind`] and then of the tables.
pub(crate) fn overlay(
    catalog: &Catalog,
    tables: &toml::Table,
) -> Result<Catalog, Vec<CatalogFault>> {
    let mut next = catalog.clone();
    let mut found = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        let Some(value) = tables.get(kind.as_str()) else {
            continue;
        };
        let mut layer = Layer::of(catalog, kind, value);
        layer.resolve_all();
        for (name, entry) in layer.resolved {
            found.extend(insert(&mut next, kind, &name, entry));
        }
        for (name, entry, faulty) in layer.halves {
            let faults = insert(&mut next, kind, name, entry);
            found.extend(faults.into_iter().filter(|fault| !is_about(fault, &faulty)));
        }
        found.extend(layer.found);
    }
    for kind in Kind::ALL.iter().copied() {
        found.extend(taken_aliases(&next, kind, tables));
    }
    if let Some(gpus) = tables
        .get(Kind::Gpus.as_str())
        .and_then(toml::Value::as_table)
    {
        let own = tables
            .get(Kind::Clusters.as_str())
            .and_then(toml::Value::as_table);
        for name in gpus.keys() {
            found.extend(unknown_cluster(&next, name, own));
        }
    }
    if found.is_empty() {
        next.price_gpus();
        Ok(next)
    } else {
        Err(found)
    }
}

/// The entries that a spec gives of one kind, while their bases are resolved.
struct Layer<'a> {
    kind: Kind,
    presets: Option<&'a BTreeMap<String, Entry>>,
    own: BTreeMap<&'a str, Own<'a>>,
    order: Vec<&'a str>,
    resolved: BTreeMap<String, Entry>,
    /// Entries with faults; those merged over them are not checked.
    failed: BTreeSet<&'a str>,
    /// Entries without their faulty keys, which these are, that are complete otherwise.
    halves: Vec<(&'a str, Entry, Vec<String>)>,
    found: Vec<CatalogFault>,
}

/// One entry as the spec gives it.
struct Own<'a> {
    base: Option<&'a str>,
    table: toml::Table,
    sources: Sources,
    aliases: Vec<String>,
    /// Keys that were refused: misspelt ones, and those that they were probably meant to be.
    faulty: Vec<String>,
}

impl<'a> Layer<'a> {
    fn of(catalog: &'a Catalog, kind: Kind, value: &'a toml::Value) -> Self {
        let mut layer = Self {
            kind,
            presets: catalog.entries.get(&kind),
            own: BTreeMap::new(),
            order: Vec::new(),
            resolved: BTreeMap::new(),
            failed: BTreeSet::new(),
            halves: Vec::new(),
            found: Vec::new(),
        };
        let Some(entries) = value.as_table() else {
            layer.found.push(not_a_table(&[kind.as_str()], value));
            return layer;
        };
        for (name, value) in entries {
            layer.order.push(name);
            if let Some(table) = value.as_table() {
                layer.take(name, table);
            } else {
                layer.failed.insert(name);
                layer.found.push(not_a_table(&[kind.as_str(), name], value));
            }
        }
        layer
    }

    /// Checks the keys that an entry gives, and sets `base` and `sources` apart.
    fn take(&mut self, name: &'a str, table: &'a toml::Table) {
        let mut faults = Faults::of(self.kind.as_str(), name);
        let mut own = Own {
            base: None,
            table: table.clone(),
            sources: Sources::new(),
            aliases: Vec::new(),
            faulty: Vec::new(),
        };
        if let Some(value) = table.get("base") {
            own.table.remove("base");
            own.base = value.as_str();
            if own.base.is_none() {
                let message = format!("expected the name of a {}", self.kind.singular());
                faults.value("base", value, message, None);
            }
        }
        if let Some(value) = table.get("sources") {
            own.table.remove("sources");
            own.sources = sources(value, &mut faults);
        }
        if let Some(value) = own.table.remove("aliases") {
            own.aliases = aliases(&value, &mut faults);
        }
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = "a name has no spaces and is not empty".to_owned();
            faults.key("", message, None);
        }
        check_given(&own.table, self.kind.keys(), &mut faults);
        if !faults.is_empty() {
            self.failed.insert(name);
            own.faulty = faulty(faults.found(), self.kind.keys());
            for path in &own.faulty {
                remove(&mut own.table, path);
            }
        }
        self.found.extend(faults.into_found());
        self.own.insert(name, own);
    }

    fn resolve_all(&mut self) {
        for name in self.order.clone() {
            if self.failed.contains(name) {
                self.check_rest(name);
            } else {
                self.resolve(name, &mut Vec::new());
            }
        }
    }

    /// Checks what an entry has besides its faulty keys, so that all of its faults are told at once.
    fn check_rest(&mut self, name: &'a str) {
        // A list whose only price is wrong does not lack one.
        if self.kind == Kind::Prices {
            return;
        }
        let is_based = |own: &Own<'_>| !own.faulty.iter().any(|key| key == "base");
        if !self.own.get(name).is_some_and(is_based) {
            return;
        }
        let Ok(parent) = self.parent(name, &mut vec![name]) else {
            return;
        };
        let (own, keys) = (&self.own[name], self.kind.keys());
        let entry = merged(self.kind, name, parent, own);
        let mut faults = Faults::of(self.kind.as_str(), name);
        check_complete(&entry.table, keys, &own.faulty, &mut faults);
        if faults.is_empty() && is_complete(&entry.table, keys) {
            self.halves.push((name, entry, own.faulty.clone()));
        }
        self.found.extend(faults.into_found());
    }

    /// The entry merged over its bases; `None` when it, or one of them, has faults.
    /// `above` are the entries that rest on it, for loops.
    fn resolve(&mut self, name: &'a str, above: &mut Vec<&'a str>) -> Option<Entry> {
        if let Some(entry) = self.resolved.get(name) {
            return Some(entry.clone());
        }
        if self.failed.contains(name) {
            return None;
        }
        above.push(name);
        let parent = self.parent(name, above);
        above.pop();
        let Ok(parent) = parent else {
            self.failed.insert(name);
            return None;
        };
        let entry = merged(self.kind, name, parent, &self.own[name]);
        let mut faults = Faults::of(self.kind.as_str(), name);
        check_complete(&entry.table, self.kind.keys(), &[], &mut faults);
        if faults.is_empty() {
            self.resolved.insert(name.to_owned(), entry.clone());
            return Some(entry);
        }
        self.found.extend(faults.into_found());
        self.failed.insert(name);
        None
    }

    /// The entry that another one is merged over, with its name; an error was noted.
    fn parent(
        &mut self,
        name: &'a str,
        above: &mut Vec<&'a str>,
    ) -> Result<Option<(&'a str, Entry)>, ()> {
        let preset = |of: &str| self.presets.and_then(|presets| presets.get(of)).cloned();
        let Some(base) = self.own[name].base else {
            return Ok(preset(name).map(|entry| (name, entry)));
        };
        if base == name
            && let Some(entry) = preset(name)
        {
            return Ok(Some((name, entry)));
        }
        if above.contains(&base) {
            let chain: Vec<&str> = above.iter().copied().chain([base]).collect();
            let message = format!("`base` goes in a circle: {}", chain.join(" → "));
            self.base_fault(name, base, message, None);
            return Err(());
        }
        if above.len() > DEEPEST {
            let message = format!("more than {DEEPEST} entries are bases of one another");
            self.base_fault(name, base, message, None);
            return Err(());
        }
        if self.own.contains_key(base) {
            return self
                .resolve(base, above)
                .map(|entry| Some((base, entry)))
                .ok_or(());
        }
        if let Some(entry) = preset(base) {
            return Ok(Some((base, entry)));
        }
        let entries = self.presets.into_iter().flatten();
        if let Some(base) = named(base, entries.map(|(name, it)| (&name[..], &it.aliases[..]))) {
            return Ok(preset(base).map(|entry| (base, entry)));
        }
        let known = self.order.iter().copied().filter(|own| *own != name);
        let presets = self.presets.into_iter().flat_map(|presets| presets.keys());
        let hint = did_you_mean(base, known.chain(presets.map(String::as_str)));
        let message = format!("unknown {} `{base}`", self.kind.singular());
        self.base_fault(name, base, message, hint);
        Err(())
    }

    fn base_fault(&mut self, name: &str, base: &str, message: String, hint: Option<String>) {
        let mut faults = Faults::of(self.kind.as_str(), name);
        faults.value("base", &toml::Value::from(base), message, hint);
        self.found.extend(faults.into_found());
    }
}

/// Keys that the faults of a table's keys concern: those themselves, and those that unknown ones may have been meant to be.
fn faulty(found: &[CatalogFault], keys: &[Key]) -> Vec<String> {
    let known = || keys.iter().map(|key| key.path.as_str());
    let concerned = found.iter().flat_map(|fault| {
        let path = fault.path[2..].join(".");
        let is_known = known().any(|key| key == path);
        let meant = if is_known {
            Vec::new()
        } else {
            suggestions(&path, known())
        };
        let meant: Vec<String> = meant.into_iter().map(str::to_owned).collect();
        meant.into_iter().chain([path])
    });
    concerned.collect()
}

/// Whether a fault concerns one of some keys, so that it may follow from what is wrong with that.
fn is_about(fault: &CatalogFault, keys: &[String]) -> bool {
    let path = fault.path[2..].join(".");
    let names = |key: &String| path == *key || fault.message.contains(&format!("`{key}`"));
    keys.iter().any(names)
}

fn not_a_table(path: &[&str], value: &toml::Value) -> CatalogFault {
    CatalogFault {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        place: FaultPlace::Value,
        text: value.to_string(),
        message: format!("expected a table, found {}", value.type_str()),
        hint: None,
    }
}

/// `[sources]` as given; nested tables are joined with dots.
fn sources(value: &toml::Value, faults: &mut Faults<'_>) -> Sources {
    let mut sources = Sources::new();
    let mut open = vec![("sources".to_owned(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            toml::Value::Table(table) => {
                open.extend(
                    table
                        .iter()
                        .map(|(key, value)| (format!("{path}.{key}"), value)),
                );
            }
            toml::Value::String(text) => {
                if let Some(key) = path.strip_prefix("sources.") {
                    sources.insert(key.to_owned(), text.clone());
                }
            }
            other => {
                let message = format!("expected text, found {}", other.type_str());
                faults.value(&path, other, message, None);
            }
        }
    }
    sources
}

/// Takes the value at a dotted path out of a table, and tables that it leaves empty.
fn remove(table: &mut toml::Table, path: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        table.remove(path);
        return;
    };
    if let Some(inner) = table.get_mut(first).and_then(toml::Value::as_table_mut) {
        remove(inner, rest);
        if inner.is_empty() {
            table.remove(first);
        }
    }
}

/// `aliases` as given.
fn aliases(value: &toml::Value, faults: &mut Faults<'_>) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    let texts: Vec<String> = texts
        .filter_map(toml::Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    if value
        .as_array()
        .is_none_or(|items| items.len() != texts.len())
    {
        let message = "expected a list of names like [\"h100\"]".to_owned();
        faults.value("aliases", value, message, None);
    }
    texts
}

/// An entry merged over its base.
fn merged(kind: Kind, name: &str, parent: Option<(&str, Entry)>, own: &Own<'_>) -> Entry {
    let Some((parent_name, parent)) = parent else {
        return Entry {
            table: own.table.clone(),
            sources: own.sources.clone(),
            aliases: own.aliases.clone(),
            base: None,
        };
    };
    let Entry {
        mut table,
        mut sources,
        mut aliases,
        mut base,
    } = parent;
    for path in outdated(kind, &own.table) {
        table.remove(path);
    }
    if parent_name != name {
        table.remove("title");
        aliases.clear();
        base = Some(parent_name.to_owned());
    }
    aliases.extend(own.aliases.iter().cloned());
    if let Some(nics) = beside_fewer_gpus(kind, &table, &own.table) {
        let key = "nics_per_node".to_owned();
        sources.insert(key.clone(), "those beside its GPUs".to_owned());
        table.insert(key, nics.into());
    }
    merge(&mut table, &own.table);
    for key in kind.keys() {
        let stranger = key.owner.is_some_and(|owner| !owner.owns(&table));
        if stranger && lookup(&own.table, &key.path).is_none() {
            remove(&mut table, &key.path);
        }
    }
    for path in leaves(&own.table) {
        sources.remove(&path);
        if source(&own.sources, &path).is_none() {
            sources.insert(path, OWN_SOURCE.to_owned());
        }
    }
    sources.extend(own.sources.clone());
    sources.retain(|path, _| lookup(&table, path).is_some());
    Entry {
        table,
        sources,
        aliases,
        base,
    }
}

/// NICs of a cluster whose table over `base` gives another number of GPUs and leaves the NICs open: as the axis
/// `gpus_per_node` has them.
fn beside_fewer_gpus(kind: Kind, base: &toml::Table, own: &toml::Table) -> Option<u32> {
    if kind != Kind::Clusters || own.contains_key("nics_per_node") {
        return None;
    }
    let count = |table: &toml::Table, key: &str| {
        let count = table.get(key)?.as_integer()?;
        u32::try_from(count).ok().filter(|count| *count > 0)
    };
    let node = (count(base, "nics_per_node")?, count(base, "gpus_per_node")?);
    Some(nics_beside(count(own, "gpus_per_node")?, node))
}

/// Keys of a base that are dropped when the entry over it gives `own`.
fn outdated(kind: Kind, own: &toml::Table) -> Vec<&'static str> {
    let mut paths = Vec::new();
    match kind {
        Kind::Gpus if own.contains_key("price_per_hour") => paths.push("price_date"),
        Kind::Models => {
            if own.keys().any(|key| key != "title" && key != "seq_len") {
                paths.extend(["published_parameters", "published_active_parameters"]);
            }
            // Both say which layers are global.
            if own.contains_key("window_pattern") {
                paths.push("global_every");
            }
            if own.contains_key("global_every") {
                paths.push("window_pattern");
            }
        }
        Kind::Clusters | Kind::Gpus | Kind::Stacks | Kind::Prices => {}
    }
    paths
}

fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(given)) => merge(inner, given),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The dotted paths of all values in a table.
pub(super) fn leaves(table: &toml::Table) -> Vec<String> {
    let mut paths = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                paths.extend(
                    leaves(inner)
                        .into_iter()
                        .map(|below| format!("{key}.{below}")),
                );
            }
            _ => paths.push(key.clone()),
        }
    }
    paths
}

/// The faults of a spec's aliases that name something else already.
fn taken_aliases(catalog: &Catalog, kind: Kind, tables: &toml::Table) -> Vec<CatalogFault> {
    let own = tables.get(kind.as_str()).and_then(toml::Value::as_table);
    let mut found = Vec::new();
    for name in own.into_iter().flat_map(toml::Table::keys) {
        let Some(entry) = catalog.entry(kind, name) else {
            continue;
        };
        let others = || catalog.entries[&kind].iter().filter(|(it, _)| *it != name);
        let taken = entry.aliases.iter().find_map(|alias| {
            let spelt = plain(alias);
            let (other, _) = others().find(|(other, entry)| {
                plain(other) == spelt || entry.aliases.iter().any(|it| plain(it) == spelt)
            })?;
            Some(format!("alias `{alias}` names `{other}` already"))
        });
        if let Some(message) = taken {
            let mut faults = Faults::of(kind.as_str(), name);
            faults.key("aliases", message, None);
            found.extend(faults.into_found());
        }
    }
    found
}

/// The fault of a GPU whose cluster is not in the catalogue. A cluster of the spec that has faults itself
/// counts as there: its faults are enough.
fn unknown_cluster(
    catalog: &Catalog,
    name: &str,
    own: Option<&toml::Table>,
) -> Option<CatalogFault> {
    let gpu = catalog.gpus.get(name)?;
    let given = own.is_some_and(|own| own.contains_key(&gpu.cluster));
    if given || catalog.clusters.contains_key(&gpu.cluster) {
        return None;
    }
    let mut faults = Faults::of(Kind::Gpus.as_str(), name);
    let known = catalog.clusters.keys().map(String::as_str);
    let hint = did_you_mean(&gpu.cluster, known);
    let message = format!("unknown cluster `{}`", gpu.cluster);
    faults.value(
        "cluster",
        &toml::Value::from(gpu.cluster.as_str()),
        message,
        hint,
    );
    faults.into_found().pop()
}

/// Reads a complete entry into the catalogue, and gives the faults of its values taken together.
fn insert(catalog: &mut Catalog, kind: Kind, name: &str, entry: Entry) -> Vec<CatalogFault> {
    let mut faults = Faults::of(kind.as_str(), name);
    let fields = Fields(&entry.table);
    let key = name.to_owned();
    match kind {
        Kind::Clusters => {
            let cluster = Cluster::read(fields, name);
            cluster::check(&cluster, &mut faults);
            catalog.clusters.insert(key, Arc::new(cluster));
        }
        Kind::Gpus => {
            let mut gpu = Gpu::read(fields, name);
            if let Some(cluster) = catalog.named(Kind::Clusters, &gpu.cluster) {
                cluster.clone_into(&mut gpu.cluster);
            }
            gpu::check(&gpu, &mut faults);
            catalog.gpus.insert(key, Arc::new(gpu));
        }
        Kind::Models => {
            let model = Model::read(fields, name);
            model::check(&model, fields, &mut faults);
            catalog.models.insert(key, Arc::new(model));
        }
        Kind::Stacks => {
            let stack = Stack::read(fields, name);
            stack::check(&stack, &mut faults);
            catalog.stacks.insert(key, Arc::new(stack));
        }
        Kind::Prices => {
            let mut list = PriceList::read(fields, name);
            rent::check(&mut list, &entry.table, catalog, &mut faults);
            catalog.prices.insert(key, Arc::new(list));
        }
    }
    let entries = catalog.entries.entry(kind).or_default();
    entries.insert(name.to_owned(), entry);
    faults.into_found()
}

/// The model that a table describes by itself, without a preset under it.
///
/// # Errors
/// Every fault of the table.
pub(crate) fn model_of(name: &str, table: &toml::Table) -> Result<Model, Vec<CatalogFault>> {
    let mut faults = Faults::of(Kind::Models.as_str(), name);
    check_given(table, Kind::Models.keys(), &mut faults);
    check_complete(table, Kind::Models.keys(), &[], &mut faults);
    if !faults.is_empty() {
        return Err(faults.into_found());
    }
    let fields = Fields(table);
    let model = Model::read(fields, name);
    model::check(&model, fields, &mut faults);
    if faults.is_empty() {
        Ok(model)
    } else {
        Err(faults.into_found())
    }
}
