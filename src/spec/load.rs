//! Files of a spec, merged into one tree.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Kind;
use crate::spec::config_json;
use crate::spec::custom::kind::CustomKind;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::error::SpecError;
use crate::spec::file::read;
use crate::spec::keys::{Key, SHARED, SWEEP, check_keys};
use crate::spec::source::{Place, SPEC_BYTES_MAX, Source, Syntax};
use crate::spec::syntax::{Entry, Node, Value, find, parse};

/// Maximum depth of includes.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Maximum number of included files.
const FILES_MAX: usize = 256;

/// Reads a file with everything it includes; its own keys override included ones.
pub(super) fn load(path: &Path, faults: &mut Faults) -> Result<Vec<Entry>, SpecError> {
    let source = read(path, SPEC_BYTES_MAX)?;
    log::info!(path:% = path.display(), bytes = source.text.len(); "read spec");
    let open = vec![identity(path)];
    Ok(merged(
        &Arc::new(source),
        Syntax::of(path),
        path,
        open,
        faults,
    ))
}

/// Parses a text that is no file; its includes are relative to the working directory.
pub(super) fn parse_text(source: Source, syntax: Syntax, faults: &mut Faults) -> Vec<Entry> {
    let path = PathBuf::from(&source.name);
    merged(&Arc::new(source), syntax, &path, Vec::new(), faults)
}

fn merged(
    source: &Arc<Source>,
    syntax: Syntax,
    path: &Path,
    open: Vec<PathBuf>,
    faults: &mut Faults,
) -> Vec<Entry> {
    let mut loader = Loader {
        bytes_left: SPEC_BYTES_MAX.saturating_sub(source.text.len() as u64),
        done: BTreeSet::new(),
        open,
        faults,
    };
    loader.entries(source, syntax, path, &[SWEEP, SHARED])
}

struct Loader<'a> {
    bytes_left: u64,
    /// Files that are merged already; a second mention adds nothing.
    done: BTreeSet<PathBuf>,
    /// Files whose includes are being read, outermost first.
    open: Vec<PathBuf>,
    faults: &'a mut Faults,
}

/// Path of a file by which it is known, however it is named.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Path of a file that another file names.
fn relative(name: &str, from: &Path) -> PathBuf {
    from.parent().unwrap_or(Path::new("")).join(name)
}

impl Loader<'_> {
    fn entries(
        &mut self,
        source: &Arc<Source>,
        syntax: Syntax,
        path: &Path,
        known: &[&[Key]],
    ) -> Vec<Entry> {
        let node = match parse(source, syntax) {
            Ok(node) => node,
            Err(found) => {
                self.faults.extend(found);
                return Vec::new();
            }
        };
        let Value::Table(mut entries) = node.value else {
            let message = format!("a spec is a table of keys, not {}", node.described());
            self.faults.push(Diagnostic::error(&node.place, message));
            return Vec::new();
        };
        check_keys(&entries, known, self.faults);
        self.read_schedules(&mut entries, path);
        self.read_configs(&mut entries, path);
        self.read_runs(&mut entries, path);
        let mut merged = Vec::new();
        if let Some(include) = find(&entries, "include") {
            for item in include.node.items() {
                let below = self.include(item, path);
                overlay(&mut merged, below);
            }
        }
        overlay(&mut merged, entries);
        merged
    }

    /// Replaces the `file` of every collective by the schedule that the file holds.
    fn read_schedules(&mut self, entries: &mut [Entry], from: &Path) {
        let collectives = entries
            .iter_mut()
            .filter(|entry| entry.key == CustomKind::Collectives.as_str())
            .flat_map(|entry| entry.node.table_mut())
            .map(|collective| collective.node.table_mut());
        for keys in collectives {
            let what = "a schedule file is named relative to the file that names it";
            self.hold_file(keys, "schedule", from, what);
        }
    }

    /// Replaces the `file` of every model by the keys that its `config.json` stands for.
    fn read_configs(&mut self, entries: &mut [Entry], from: &Path) {
        let models = entries
            .iter_mut()
            .filter(|entry| entry.key == Kind::Models.as_str())
            .flat_map(|entry| entry.node.table_mut());
        for keys in models.filter_map(|model| model.node.entries_mut()) {
            let Some(at) = keys.iter().position(|entry| entry.key == "file") else {
                continue;
            };
            let entry = keys.remove(at);
            let Some(name) = entry.node.text() else {
                let fault = entry.node.mismatch("file", "the name of a file");
                self.faults.push(fault);
                config_json::stand_in(keys, &entry);
                continue;
            };
            let what = "a config.json is named relative to the file that names it";
            match self.read(&relative(name, from), &entry.node.place, what) {
                Some(source) => config_json::expand(keys, &entry, source, self.faults),
                None => config_json::stand_in(keys, &entry),
            }
        }
    }

    /// Replaces the `file` of measured runs by the table that the file holds, under `csv`.
    fn read_runs(&mut self, entries: &mut [Entry], from: &Path) {
        let measured = entries.iter_mut().filter(|entry| entry.key == "measured");
        for run in measured.flat_map(|entry| entry.node.items_mut()) {
            let what = "a file of measured runs is named relative to the file that names it";
            self.hold_file(run.table_mut(), "csv", from, what);
        }
    }

    /// Replaces the `file` of a table by the text that the file holds, under another key, unless the table has that.
    fn hold_file(&mut self, keys: &mut [Entry], key: &str, from: &Path, what: &str) {
        if find(keys, key).is_some() {
            return;
        }
        let Some(entry) = keys.iter_mut().find(|entry| entry.key == "file") else {
            return;
        };
        let Some(name) = entry.node.text().map(str::to_owned) else {
            let fault = entry.node.mismatch("file", "the name of a file");
            self.faults.push(fault);
            return;
        };
        if let Some(source) = self.read(&relative(&name, from), &entry.node.place, what) {
            let text = source.text;
            key.clone_into(&mut entry.key);
            entry.node.value = Value::File { name, text };
        }
    }

    /// Reads a file that is named at a place, or notes that it cannot be read.
    fn read(&mut self, path: &Path, place: &Place, hint: &str) -> Option<Source> {
        match read(path, self.bytes_left) {
            Ok(source) => {
                self.bytes_left -= source.text.len() as u64;
                Some(source)
            }
            Err(SpecError::Read { reason, .. }) => {
                let message = format!("cannot read `{}`: {reason}", path.display());
                let fault = Diagnostic {
                    is_unreadable: true,
                    ..Diagnostic::error(place, message)
                };
                self.faults.push(fault.hint(hint));
                None
            }
            Err(SpecError::Faults(found)) => {
                self.faults.extend(found);
                None
            }
        }
    }

    /// Entries of an included file.
    fn include(&mut self, item: &Node, from: &Path) -> Vec<Entry> {
        let Some(name) = item.text() else {
            let fault = item.mismatch("include", "a list of file names");
            self.faults.push(fault);
            return Vec::new();
        };
        let path = relative(name, from);
        let identity = identity(&path);
        if self.open.contains(&identity) {
            let message = format!("`{name}` includes itself, directly or through other files");
            self.faults.push(Diagnostic::error(&item.place, message));
            return Vec::new();
        }
        if self.open.len() > INCLUDE_DEPTH_MAX || self.done.len() > FILES_MAX {
            let message = format!(
                "too many included files: at most {FILES_MAX}, {INCLUDE_DEPTH_MAX} inside one another"
            );
            self.faults.push(Diagnostic::error(&item.place, message));
            return Vec::new();
        }
        if !self.done.insert(identity.clone()) {
            return Vec::new();
        }
        let what = "an included file is named relative to the file that includes it";
        let Some(source) = self.read(&path, &item.place, what) else {
            return Vec::new();
        };
        self.open.push(identity);
        let entries = self.entries(&Arc::new(source), Syntax::of(&path), &path, &[SHARED]);
        self.open.pop();
        entries
    }
}

/// Lays entries over others, tables key by key.
fn overlay(under: &mut Vec<Entry>, over: Vec<Entry>) {
    if under.is_empty() {
        *under = over;
        return;
    }
    let keys = under
        .iter()
        .zip(0..)
        .map(|(entry, at)| (entry.key.clone(), at));
    let places: HashMap<String, usize> = keys.collect();
    for entry in over {
        // A table of one text has every key once.
        let Some(known) = places.get(&entry.key).map(|at| &mut under[*at]) else {
            under.push(entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(inner), Value::Table(given)) => overlay(inner, given),
            (value, given) => *value = given,
        }
        known.key_place = entry.key_place;
        known.node.place = entry.node.place;
    }
}
