//! From a file (and what it includes) to one merged tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::own::collectives::inlined;
use crate::spec::read::{INCLUDED_KEYS, TOP_KEYS, check_keys, find};
use crate::spec::source::{SPEC_BYTES_MAX, Source, SpecError, Syntax};
use crate::spec::syntax::{Entry, Node, Value, parse};

/// Files that include one another in a row.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Files of one spec.
const FILES_MAX: usize = 256;

/// Reads a file with everything it includes; included tables lie under the file's own.
pub(super) fn load(path: &Path, faults: &mut Faults) -> Result<Vec<Entry>, SpecError> {
    let mut loader = Loader {
        bytes_left: SPEC_BYTES_MAX,
        done: BTreeSet::new(),
        open: Vec::new(),
        faults,
    };
    let source = loader.read(path)?;
    let identity = identity(path);
    loader.open.push(identity);
    Ok(loader.entries(&source, Syntax::of(path), path, TOP_KEYS))
}

/// Parses a text that is no file, so includes nothing relative to it but to the working directory.
pub(super) fn parse_text(source: &Arc<Source>, syntax: Syntax, faults: &mut Faults) -> Vec<Entry> {
    let mut loader = Loader {
        bytes_left: SPEC_BYTES_MAX.saturating_sub(source.text.len() as u64),
        done: BTreeSet::new(),
        open: Vec::new(),
        faults,
    };
    loader.entries(source, syntax, Path::new(&source.name), TOP_KEYS)
}

struct Loader<'a> {
    bytes_left: u64,
    /// Files that are merged already; a second mention adds nothing.
    done: BTreeSet<PathBuf>,
    /// Files whose includes are being read, outermost first.
    open: Vec<PathBuf>,
    faults: &'a mut Faults,
}

/// The file itself, by whichever way it is named.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Loader<'_> {
    fn read(&mut self, path: &Path) -> Result<Arc<Source>, SpecError> {
        let source = Source::read(path, self.bytes_left)?;
        self.bytes_left -= source.text.len() as u64;
        Ok(Arc::new(source))
    }

    fn entries(
        &mut self,
        source: &Arc<Source>,
        syntax: Syntax,
        path: &Path,
        known: &[&str],
    ) -> Vec<Entry> {
        let node = match parse(source, syntax) {
            Ok(node) => node,
            Err(found) => {
                self.faults.extend(found);
                return Vec::new();
            }
        };
        let Value::Table(mut own) = node.value else {
            let message = format!("a spec is a table of keys, not {}", node.described());
            self.faults.push(Diagnostic::error(&node.place, message));
            return Vec::new();
        };
        check_keys(&own, known, self.faults);
        self.inline_schedules(&mut own, path);
        let mut merged = Vec::new();
        if let Some(include) = find(&own, "include") {
            for item in self.items(&include.node) {
                let below = self.include(&item, path);
                overlay(&mut merged, below);
            }
        }
        overlay(&mut merged, own);
        merged
    }

    /// Reads the schedule files that `[collectives]` names, relative to the file that names them.
    fn inline_schedules(&mut self, own: &mut [Entry], from: &Path) {
        let bytes_left = &mut self.bytes_left;
        inlined(own, self.faults, |node, faults| {
            let Some(name) = node.text() else {
                let message = format!("`file` is the name of a file, not {}", node.described());
                faults.push(Diagnostic::error(&node.place, message));
                return None;
            };
            let path = from.parent().unwrap_or(Path::new("")).join(name);
            match Source::read(&path, *bytes_left) {
                Ok(source) => {
                    *bytes_left -= source.text.len() as u64;
                    Some(source.text)
                }
                Err(SpecError::Read { reason, .. }) => {
                    let message = format!("cannot read `{}`: {reason}", path.display());
                    faults.push(
                        Diagnostic::error(&node.place, message)
                            .hint("a schedule file is named relative to the file that names it"),
                    );
                    None
                }
                Err(SpecError::Faults(found)) => {
                    faults.extend(found);
                    None
                }
            }
        });
    }

    fn items(&mut self, node: &Node) -> Vec<Node> {
        node.items()
            .iter()
            .filter(|item| {
                let is_text = item.text().is_some();
                if !is_text {
                    let message = format!(
                        "`include` is a list of file names, not {}",
                        item.described()
                    );
                    self.faults.push(Diagnostic::error(&item.place, message));
                }
                is_text
            })
            .cloned()
            .collect()
    }

    /// The entries of an included file.
    fn include(&mut self, item: &Node, from: &Path) -> Vec<Entry> {
        let Some(name) = item.text() else {
            return Vec::new();
        };
        let path = from.parent().unwrap_or(Path::new("")).join(name);
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
        let source = match self.read(&path) {
            Ok(source) => source,
            Err(SpecError::Read { reason, .. }) => {
                let message = format!("cannot read `{}`: {reason}", path.display());
                self.faults.push(
                    Diagnostic::error(&item.place, message)
                        .hint("an included file is named relative to the file that includes it"),
                );
                return Vec::new();
            }
            Err(SpecError::Faults(found)) => {
                self.faults.extend(found);
                return Vec::new();
            }
        };
        self.open.push(identity);
        let entries = self.entries(&source, Syntax::of(&path), &path, INCLUDED_KEYS);
        self.open.pop();
        entries
    }
}

/// Lays entries over others, tables key by key.
fn overlay(under: &mut Vec<Entry>, over: Vec<Entry>) {
    for entry in over {
        let Some(known) = under.iter_mut().find(|known| known.key == entry.key) else {
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
