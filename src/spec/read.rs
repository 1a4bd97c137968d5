//! From the tree of a text to the parts of a spec, every fault noted.

use std::collections::BTreeSet;

use crate::closed_set::nearest;
use crate::spec::analysis::AnalysisSettings;
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::product::{AxisValues, Digit, Product};
use crate::spec::source::Place;
use crate::spec::syntax::{Entry, Node, Value};
use crate::spec::values::Reader;
use crate::spec::{AxisValue, settings};

/// Keys at the top of a spec. `$schema` is how a YAML or JSON file tells an editor what it is.
pub(super) const TOP_KEYS: &[&str] = &[
    "$schema",
    "name",
    "description",
    "kind",
    "where",
    "include",
    "grid",
    "zip",
    "point",
    "defaults",
    "analysis",
    "gpus",
    "clusters",
    "models",
    "stacks",
    "topologies",
    "collectives",
];

/// Keys at the top of an included file: what several specs share.
pub(super) const INCLUDED_KEYS: &[&str] = &[
    "$schema",
    "include",
    "defaults",
    "analysis",
    "gpus",
    "clusters",
    "models",
    "stacks",
    "topologies",
    "collectives",
];

/// An axis with its values and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) axis: Axis,
    pub(super) place: Place,
    pub(super) values: T,
}

/// The parts of a spec that make its points.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) grids: Vec<Table<AxisValues>>,
    pub(super) zips: Vec<Table<AxisValues>>,
    pub(super) points: Vec<Table<AxisValue>>,
    pub(super) defaults: Vec<Given<AxisValue>>,
    /// Axes that are there but could not be read: they are not missing besides.
    pub(super) unread: BTreeSet<Axis>,
}

/// One `[[grid]]`, `[[zip]]` or `[[point]]`.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    pub(super) place: Place,
    pub(super) axes: Vec<Given<T>>,
}

/// One clause of `where` as written.
#[derive(Clone, Debug)]
pub(super) struct ClauseText {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What the top of a spec says besides its points.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) kind: StudyKind,
    pub(super) clauses: Vec<ClauseText>,
    pub(super) analysis: AnalysisSettings,
}

/// Refuses every key that is not known, with the nearest one.
pub(super) fn check_keys(entries: &[Entry], known: &[&str], faults: &mut Faults) {
    for entry in entries {
        if !known.contains(&entry.key.as_str()) {
            faults.push(unknown_key(entry, known));
        }
    }
}

fn unknown_key(entry: &Entry, known: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(&entry.key_place, format!("unknown key `{}`", entry.key));
    if let Some(close) = nearest(&entry.key, known.iter().copied()) {
        return fault.hint(format!("did you mean `{close}`?"));
    }
    if let Ok(axis) = entry.key.parse::<Axis>() {
        return fault.hint(format!(
            "`{axis}` is an axis: write it under [grid] or [defaults]"
        ));
    }
    fault.hint(format!("expected one of: {}", known.join(", ")))
}

/// The entry with a key.
pub(super) fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// The name a spec has by its file: `llm` for `sweeps/llm.toml`.
pub(super) fn name_of_file(path: &str) -> String {
    let stem = std::path::Path::new(path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| if is_name_char(c) { c } else { '-' })
        .collect();
    if name.is_empty() {
        "sweep".to_owned()
    } else {
        name
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Reads what the top says besides the points.
pub(super) fn heading(top: &[Entry], file: &str, faults: &mut Faults) -> Heading {
    let name = match find(top, "name") {
        Some(entry) => name(entry, faults),
        None => name_of_file(file),
    };
    let description = find(top, "description")
        .and_then(|entry| text(&entry.node, "description", faults))
        .unwrap_or_default();
    let kind = find(top, "kind").and_then(|entry| kind(&entry.node, faults));
    let clauses = find(top, "where").map_or_else(Vec::new, |entry| clauses(&entry.node, faults));
    let analysis = find(top, "analysis").map_or_else(AnalysisSettings::default, |entry| {
        settings::analysis(&entry.node, faults)
    });
    Heading {
        name,
        description,
        kind: kind.unwrap_or(StudyKind::Training),
        clauses,
        analysis,
    }
}

/// The kind, or of a misspelt one the nearest, so that its axes are not faults besides.
fn kind(node: &Node, faults: &mut Faults) -> Option<StudyKind> {
    let text = text(node, "kind", faults)?;
    let unknown = match text.parse::<StudyKind>() {
        Ok(kind) => return Some(kind),
        Err(unknown) => unknown,
    };
    let close = nearest(&text, StudyKind::NAMES.iter().copied());
    faults.push(
        Diagnostic::error(&node.place, unknown.to_string())
            .maybe_hint(close.map(|close| format!("did you mean `{close}`?"))),
    );
    close?.parse().ok()
}

fn name(entry: &Entry, faults: &mut Faults) -> String {
    let name = text(&entry.node, "name", faults).unwrap_or_default();
    let well_formed = !name.is_empty() && name.len() <= 100 && name.chars().all(is_name_char);
    if !well_formed && entry.node.text().is_some() {
        faults.push(
            Diagnostic::error(
                &entry.node.place,
                format!("`{name}` is no name for a sweep"),
            )
            .hint("a name has 1 to 100 letters, digits, - and _"),
        );
    }
    name
}

fn text(node: &Node, key: &str, faults: &mut Faults) -> Option<String> {
    if let Some(text) = node.text() {
        return Some(text.to_owned());
    }
    let message = format!("`{key}` is text, not {}", node.described());
    faults.push(Diagnostic::error(&node.place, message));
    None
}

fn clauses(node: &Node, faults: &mut Faults) -> Vec<ClauseText> {
    node.items()
        .iter()
        .filter_map(|item| {
            Some(ClauseText {
                text: text(item, "where", faults)?,
                place: item.place.clone(),
            })
        })
        .collect()
}

/// Reads grid, zips, points and defaults.
pub(super) struct PartsReader<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) kind: StudyKind,
    pub(super) faults: &'a mut Faults,
    unread: BTreeSet<Axis>,
}

impl<'a> PartsReader<'a> {
    pub(super) fn new(reader: Reader<'a>, kind: StudyKind, faults: &'a mut Faults) -> Self {
        Self {
            reader,
            kind,
            faults,
            unread: BTreeSet::new(),
        }
    }

    pub(super) fn parts(mut self, top: &[Entry]) -> Parts {
        let tables = |key| find(top, key).map_or(&[][..], |entry| entry.node.items());
        let grids = tables("grid")
            .iter()
            .filter_map(|node| self.table("grid", node, Self::values))
            .collect();
        let zips: Vec<Table<AxisValues>> = tables("zip")
            .iter()
            .filter_map(|node| self.table("zip", node, Self::values))
            .collect();
        let points = tables("point")
            .iter()
            .filter_map(|node| self.table("point", node, Self::one_value))
            .collect();
        let defaults = find(top, "defaults")
            .and_then(|entry| self.table("defaults", &entry.node, Self::one_value))
            .map_or_else(Vec::new, |table| table.axes);
        for zip in &zips {
            self.check_zip(zip);
        }
        Parts {
            grids,
            zips,
            points,
            defaults,
            unread: self.unread,
        }
    }

    fn values(&mut self, axis: Axis, node: &Node) -> Option<AxisValues> {
        self.reader.axis_values(axis, node, self.faults)
    }

    fn one_value(&mut self, axis: Axis, node: &Node) -> Option<AxisValue> {
        if matches!(node.value, Value::List(_) | Value::Table(_)) {
            self.faults.push(
                Diagnostic::error(
                    &node.place,
                    format!("`{axis}` has one value here, not {}", node.described()),
                )
                .hint("several values go into [grid] or [[zip]]"),
            );
            return None;
        }
        self.faults.ok(self.reader.value(axis, node))
    }

    /// Every axis of a table that can be read; the rest is noted.
    fn table<T>(
        &mut self,
        what: &str,
        node: &Node,
        read: fn(&mut Self, Axis, &Node) -> Option<T>,
    ) -> Option<Table<T>> {
        let Some(entries) = node.table() else {
            let message = format!("`{what}` is a table of axes, not {}", node.described());
            self.faults.push(Diagnostic::error(&node.place, message));
            return None;
        };
        let axes = entries
            .iter()
            .filter_map(|entry| {
                let axis = self.axis(entry)?;
                let values = read(self, axis, &entry.node);
                if values.is_none() {
                    self.unread.insert(axis);
                }
                Some(Given {
                    axis,
                    place: entry.key_place.clone(),
                    values: values?,
                })
            })
            .collect();
        Some(Table {
            place: node.place.clone(),
            axes,
        })
    }

    fn axis(&mut self, entry: &Entry) -> Option<Axis> {
        let Ok(axis) = entry.key.parse::<Axis>() else {
            let known = Axis::ALL
                .iter()
                .filter(|axis| axis.belongs_to(self.kind))
                .map(|axis| axis.as_str());
            let close = nearest(&entry.key, known);
            self.unread
                .extend(close.and_then(|close| close.parse::<Axis>().ok()));
            let hint = close.map_or_else(
                || "`sweep list axes` shows them".to_owned(),
                |close| format!("did you mean `{close}`?"),
            );
            let message = format!("unknown axis `{}`", entry.key);
            self.faults
                .push(Diagnostic::error(&entry.key_place, message).hint(hint));
            return None;
        };
        if axis.belongs_to(self.kind) {
            return Some(axis);
        }
        let message = format!("axis `{axis}` does not belong to a {} study", self.kind);
        let other = axis
            .info()
            .studies
            .first()
            .map(|kind| format!("it belongs to kind = \"{kind}\""));
        self.faults
            .push(Diagnostic::error(&entry.key_place, message).maybe_hint(other));
        None
    }

    fn check_zip(&mut self, zip: &Table<AxisValues>) {
        let Some(first) = zip.axes.first() else {
            self.faults
                .push(Diagnostic::error(&zip.place, "this zip has no axes"));
            return;
        };
        for other in &zip.axes[1..] {
            if other.values.len() != first.values.len() {
                self.faults.push(
                    Diagnostic::error(
                        &other.place,
                        format!(
                            "zipped axes have unequal lengths: `{}` has {}, `{}` has {}",
                            first.axis,
                            counted(first.values.len()),
                            other.axis,
                            counted(other.values.len())
                        ),
                    )
                    .hint("axes of a zip advance together, value by value"),
                );
            }
        }
    }
}

fn counted(values: u64) -> String {
    match values {
        1 => "1 value".to_owned(),
        more => format!("{more} values"),
    }
}

/// The grids, or one empty grid where there are only zips.
pub(super) fn grids_or_zips(parts: &Parts) -> Vec<Table<AxisValues>> {
    if let (true, Some(zip)) = (parts.grids.is_empty(), parts.zips.first()) {
        return vec![Table {
            place: zip.place.clone(),
            axes: Vec::new(),
        }];
    }
    parts.grids.clone()
}

/// The products of the points, in order.
pub(super) fn products(parts: &Parts) -> Vec<Product> {
    let zip_digits: Vec<Digit> = parts
        .zips
        .iter()
        .map(|zip| Digit {
            axes: zip
                .axes
                .iter()
                .map(|given| (given.axis, given.values.clone()))
                .collect(),
        })
        .collect();
    let grids = grids_or_zips(parts).into_iter().map(|grid| Product {
        digits: grid
            .axes
            .into_iter()
            .map(|given| Digit::single(given.axis, given.values))
            .chain(zip_digits.iter().cloned())
            .collect(),
    });
    let points = parts.points.iter().map(|point| Product {
        digits: point
            .axes
            .iter()
            .map(|given| Digit::single(given.axis, AxisValues::List(vec![given.values.clone()])))
            .collect(),
    });
    grids.chain(points).collect()
}
