//! Reading the parts of a spec from its tree; every fault is noted.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use crate::spec::analysis::AnalysisSettings;
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::axis_values::AxisValues;
use crate::spec::condition::Malformed;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::names::Names;
use crate::spec::one_value::value;
use crate::spec::product::{Digit, Product};
use crate::spec::source::Place;
use crate::spec::syntax::{Entry, Node, Value, find};
use crate::spec::value::AxisValue;
use crate::spec::{price_lists, question, range, settings};
use crate::spelling::nearest;

/// Axis with its values and its place.
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
    /// Axes that are there but could not be read, so that they do not count as missing.
    pub(super) unread: BTreeSet<Axis>,
}

impl Parts {
    /// Every value of an axis that the spec gives, each with the place of its axis; of long ranges the first ones.
    pub(super) fn values_of(&self, axis: Axis) -> impl Iterator<Item = (&Place, AxisValue)> {
        let tables = self.grids.iter().chain(&self.zips);
        let many = tables.flat_map(|table| &table.axes);
        let many = many
            .filter(move |given| given.axis == axis)
            .flat_map(|given| {
                given
                    .values
                    .iter()
                    .take(1_000)
                    .map(|value| (&given.place, value))
            });
        let points = self.points.iter().flat_map(|point| &point.axes);
        let one = points.chain(&self.defaults);
        let one = one.filter(move |given| given.axis == axis);
        many.chain(one.map(|given| (&given.place, given.values.clone())))
    }
}

impl Parts {
    /// Whether every point has the axis from the spec.
    pub(super) fn gives_everywhere(&self, axis: Axis) -> bool {
        fn has<T>(axes: &[Given<T>], axis: Axis) -> bool {
            axes.iter().any(|given| given.axis == axis)
        }
        let zipped = self.zips.iter().any(|zip| has(&zip.axes, axis));
        let mut grids = self.grids.iter();
        let mut points = self.points.iter();
        has(&self.defaults, axis)
            || (grids.all(|grid| zipped || has(&grid.axes, axis))
                && points.all(|point| has(&point.axes, axis)))
    }
}

/// Table of axes: one `[[grid]]`, `[[zip]]` or `[[point]]`.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    pub(super) place: Place,
    pub(super) axes: Vec<Given<T>>,
}

/// Clause of `where` as written.
#[derive(Clone, Debug)]
pub(super) struct ClauseText {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Keys at the top of a spec, besides those of its points.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) kind: StudyKind,
    pub(super) clauses: Vec<ClauseText>,
    pub(super) analysis: AnalysisSettings,
}

/// Name of a spec by its file: `llm` for `sweeps/llm.toml`.
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

/// Reads the keys at the top, besides those of the points.
pub(super) fn heading(
    top: &[Entry],
    file: &str,
    typed_question: impl Iterator<Item = Entry>,
    faults: &mut Faults,
) -> Heading {
    let name = match find(top, "name") {
        Some(entry) => name(entry, faults),
        None => name_of_file(file),
    };
    let description = find(top, "description")
        .and_then(|entry| text(&entry.node, "description", faults))
        .unwrap_or_default();
    let kind = find(top, "kind").and_then(|entry| kind(&entry.node, faults));
    let clauses = find(top, "where").map_or_else(Vec::new, |entry| clauses(&entry.node, faults));
    let question = question::read(top, typed_question, faults);
    let mut analysis = match find(top, "analysis") {
        Some(entry) => settings::analysis(&entry.node, question, faults),
        None => AnalysisSettings {
            question,
            ..AnalysisSettings::default()
        },
    };
    let headroom = find(top, "memory_headroom");
    if let Some(headroom) = headroom.and_then(|it| settings::memory_headroom(&it.node, faults)) {
        analysis.thresholds.memory_headroom = headroom;
    }
    Heading {
        name,
        description,
        kind: kind.unwrap_or(StudyKind::Training),
        clauses,
        analysis,
    }
}

/// Reads the kind; of a misspelt one the nearest, so that its axes are not faults too.
fn kind(node: &Node, faults: &mut Faults) -> Option<StudyKind> {
    let text = text(node, "kind", faults)?;
    let unknown = match text.parse::<StudyKind>() {
        Ok(kind) => return Some(kind),
        Err(unknown) => unknown,
    };
    let known = || StudyKind::NAMES.iter().copied();
    let fault = Diagnostic::error(&node.place, unknown.to_string());
    faults.push(fault.did_you_mean(&text, known()));
    nearest(&text, known())?.parse().ok()
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
    faults.push(node.mismatch(key, "text"));
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

/// A fault of an expression as a fault of the spec.
pub(super) fn malformed(place: &Place, text: &str, fault: Malformed) -> Diagnostic {
    let place = place.within(text, fault.span);
    Diagnostic::error(&place, fault.message).maybe_hint(fault.hint)
}

/// Reads grid, zips, points and defaults.
pub(super) fn parts(names: &Names, top: &[Entry], faults: &mut Faults) -> Parts {
    let mut reader = PartsReader::new(names, faults);
    let tables = |key| find(top, key).map_or(&[][..], |entry| entry.node.items());
    let grids = reader.tables("grid", tables("grid"), PartsReader::values);
    let zips = reader.tables("zip", tables("zip"), PartsReader::values);
    let points = reader.tables("point", tables("point"), PartsReader::one_value);
    let mut defaults = find(top, "defaults")
        .and_then(|entry| reader.table("defaults", &entry.node, PartsReader::one_value))
        .map_or_else(Vec::new, |table| table.axes);
    reader.at_the_top(top, &mut defaults);
    // Axes of the other kind of study say that `kind` is forgotten: then no axis of this kind is missing.
    if reader.foreign.is_some() && find(top, "kind").is_none() {
        reader.unread.extend(names.axes());
    }
    reader.faults.extend(reader.foreign);
    for zip in &zips {
        check_zip(zip, reader.faults);
    }
    Parts {
        grids,
        zips,
        points,
        defaults,
        unread: reader.unread,
    }
}

/// Reads the axes of a measured run; `None` where one could not be read, which is noted.
pub(super) fn axes_of_run(
    names: &Names,
    node: &Node,
    axes: &[&Entry],
    faults: &mut Faults,
) -> Option<Table<AxisValue>> {
    let mut reader = PartsReader::new(names, faults);
    let node = Node {
        value: Value::Table(axes.iter().map(|entry| (*entry).clone()).collect()),
        place: node.place.clone(),
    };
    let table = reader.table("measured", &node, PartsReader::one_value);
    let is_whole = reader.unread.is_empty() && reader.foreign.is_none();
    reader.faults.extend(reader.foreign);
    table.filter(|_| is_whole)
}

/// Reads the values of an axis: one, a list, or a range.
pub(super) fn axis_values(
    names: &Names,
    axis: Axis,
    node: &Node,
    faults: &mut Faults,
) -> Option<AxisValues> {
    if let Value::Table(entries) = &node.value {
        return range::values(names, axis, node, entries, faults);
    }
    if node.items().is_empty() {
        faults.push(
            Diagnostic::error(&node.place, format!("axis `{axis}` is empty"))
                .hint("give it at least one value, or leave the axis out"),
        );
        return None;
    }
    // Every item is read, so that every fault is found.
    let read = node.items().iter().map(|item| value(names, axis, item));
    let (values, wrong): (Vec<AxisValue>, Vec<Diagnostic>) = read.partition_result();
    if wrong.is_empty() {
        return Some(AxisValues::List(values));
    }
    faults.extend_from_list(wrong);
    None
}

struct PartsReader<'a> {
    names: &'a Names,
    faults: &'a mut Faults,
    unread: BTreeSet<Axis>,
    /// Faults of names that are no axis, each once.
    misspelt: BTreeMap<String, Diagnostic>,
    /// The fault of axes that belong to another kind of study, with every place.
    foreign: Option<Diagnostic>,
}

impl<'a> PartsReader<'a> {
    const fn new(names: &'a Names, faults: &'a mut Faults) -> Self {
        Self {
            names,
            faults,
            unread: BTreeSet::new(),
            misspelt: BTreeMap::new(),
            foreign: None,
        }
    }

    fn values(&mut self, axis: Axis, node: &Node) -> Option<AxisValues> {
        axis_values(self.names, axis, node, self.faults)
    }

    fn one_value(&mut self, axis: Axis, node: &Node) -> Option<AxisValue> {
        if matches!(node.value, Value::List(_) | Value::Table(_)) {
            let message = format!("`{axis}` has one value here, not {}", node.described());
            self.faults.push(
                Diagnostic::error(&node.place, message)
                    .hint("several values go into [grid] or [[zip]]"),
            );
            return None;
        }
        self.faults.ok(value(self.names, axis, node))
    }

    /// Reads the axes that may stand at the top into the defaults.
    fn at_the_top(&mut self, top: &[Entry], defaults: &mut Vec<Given<AxisValue>>) {
        for axis in price_lists::AT_THE_TOP {
            let Some(entry) = find(top, axis.as_str()) else {
                continue;
            };
            let own = price_lists::own(self.names).filter(|_| axis == Axis::Prices);
            let is_list = entry.node.table().is_some() && axis == Axis::Prices;
            let known = defaults.iter().any(|given| given.axis == axis);
            if known && !is_list {
                let message = format!("`{axis}` is at the top and in [defaults]");
                let fault = Diagnostic::error(&entry.key_place, message);
                self.faults.push(fault.hint("keep one of them"));
            }
            let value = if is_list {
                own
            } else {
                self.one_value(axis, &entry.node)
            };
            if let Some(values) = value.filter(|_| !known) {
                defaults.push(Given {
                    axis,
                    place: entry.key_place.clone(),
                    values,
                });
            }
        }
    }

    fn tables<T>(
        &mut self,
        what: &str,
        nodes: &[Node],
        read: fn(&mut Self, Axis, &Node) -> Option<T>,
    ) -> Vec<Table<T>> {
        let tables = nodes.iter();
        tables
            .filter_map(|node| self.table(what, node, read))
            .collect()
    }

    /// Reads the axes of a table; faults are noted, and their axes left out.
    fn table<T>(
        &mut self,
        what: &str,
        node: &Node,
        read: fn(&mut Self, Axis, &Node) -> Option<T>,
    ) -> Option<Table<T>> {
        let Some(entries) = node.table() else {
            self.faults.push(node.mismatch(what, "a table of axes"));
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
        if self.faults.is_full() && entry.key.parse::<Axis>().is_err() {
            self.faults.count_one();
            return None;
        }
        if let Some(known) = self.misspelt.get(&entry.key) {
            // Looking for the name that it could mean takes long, and another point may say the same.
            self.faults.push(known.clone().at(&entry.key_place));
            return None;
        }
        let fault = match self.names.axis(&entry.key, &entry.key_place) {
            Ok(axis) => return Some(axis),
            Err(fault) => fault,
        };
        if entry.key.parse::<Axis>().is_ok() {
            match &mut self.foreign {
                Some(known) => known.absorb(fault),
                none => *none = Some(fault),
            }
        } else {
            self.misspelt.insert(entry.key.clone(), fault.clone());
            self.faults.push(fault);
            self.unread.extend(self.names.nearest_axis(&entry.key));
        }
        None
    }
}

fn check_zip(zip: &Table<AxisValues>, faults: &mut Faults) {
    let Some(first) = zip.axes.first() else {
        faults.push(Diagnostic::error(&zip.place, "this zip has no axes"));
        return;
    };
    for other in &zip.axes[1..] {
        if other.values.len() != first.values.len() {
            faults.push(
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
