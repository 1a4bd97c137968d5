//! `--set` and `--where` of the command line, read as if they stood in the spec.

use std::sync::Arc;

use crate::closed_set::nearest;
use crate::spec::axis::{Axis, Domain, StudyKind};
use crate::spec::checks::twin;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::product::AxisValues;
use crate::spec::read::{ClauseText, Given, Parts};
use crate::spec::source::{Place, Source, Syntax};
use crate::spec::syntax::{Node, Value, parse};
use crate::spec::values::Reader;

/// What the command line changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--set AXIS=VALUE[,VALUE…]`: the axis and its values as typed.
    pub set: Vec<(String, String)>,
    /// `--where EXPR`.
    pub where_clauses: Vec<String>,
}

impl Overrides {
    /// Takes `AXIS=VALUE[,VALUE…]` apart; without a `=` the whole text is the axis, and a fault later.
    pub fn set_argument(text: &str) -> (String, String) {
        let (axis, values) = text.split_once('=').unwrap_or((text, ""));
        (axis.trim().to_owned(), values.trim().to_owned())
    }

    /// The clauses, each with its place on the command line.
    pub(super) fn clauses(&self) -> impl Iterator<Item = ClauseText> {
        self.where_clauses.iter().map(|text| {
            let source = Arc::new(Source {
                name: "--where".to_owned(),
                text: text.clone(),
            });
            ClauseText {
                text: text.clone(),
                place: Place::new(&source, 0..text.len()),
            }
        })
    }

    /// Replaces axes of the grids and defaults.
    pub(super) fn apply(
        &self,
        parts: &mut Parts,
        reader: Reader<'_>,
        kind: StudyKind,
        faults: &mut Faults,
    ) {
        for (axis, values) in &self.set {
            let source = Arc::new(Source {
                name: "--set".to_owned(),
                text: format!("{axis}={values}"),
            });
            if let Some(given) = read(&source, axis, reader, kind, faults) {
                faults.ok(replace(parts, given));
            }
        }
    }
}

/// The axis and values of one argument.
fn read(
    source: &Arc<Source>,
    name: &str,
    reader: Reader<'_>,
    kind: StudyKind,
    faults: &mut Faults,
) -> Option<Given<AxisValues>> {
    let place = Place::new(source, 0..name.len());
    let Some(axis) = name
        .parse::<Axis>()
        .ok()
        .filter(|axis| axis.belongs_to(kind))
    else {
        let known = Axis::ALL.iter().filter(|axis| axis.belongs_to(kind));
        let close = nearest(name, known.map(|axis| axis.as_str()));
        faults.push(
            Diagnostic::error(&place, format!("unknown axis `{name}`"))
                .maybe_hint(close.map(|close| format!("did you mean `{close}`?")))
                .hint("write --set AXIS=VALUE[,VALUE…]"),
        );
        return None;
    };
    let node = values_node(source, axis, name.len() + 1, faults)?;
    Some(Given {
        axis,
        place,
        values: reader.axis_values(axis, &node, faults)?,
    })
}

/// The values as a list (or, in TOML's own notation, whatever it says).
fn values_node(
    source: &Arc<Source>,
    axis: Axis,
    start: usize,
    faults: &mut Faults,
) -> Option<Node> {
    let text = &source.text[start.min(source.text.len())..];
    if text.starts_with(['{', '[', '"', '\'']) {
        let tree = parse(source, Syntax::Toml).map_err(|found| faults.extend(found));
        let Value::Table(mut entries) = tree.ok()?.value else {
            return None;
        };
        return entries.pop().map(|entry| entry.node);
    }
    let mut items = Vec::new();
    let mut at = start;
    let pieces: Vec<&str> = match axis.info().domain {
        // Its own notation has commas.
        Domain::Stages => vec![text],
        Domain::Catalog(_)
        | Domain::Closed(_)
        | Domain::Own(_)
        | Domain::Int { .. }
        | Domain::Real { .. }
        | Domain::Bool
        | Domain::Size => text.split(',').collect(),
    };
    for piece in pieces {
        let place = Place::new(source, at..at + piece.len());
        at += piece.len() + 1;
        if piece.trim().is_empty() {
            faults.push(Diagnostic::error(
                &place,
                format!("a value of `{axis}` is missing"),
            ));
            return None;
        }
        items.push(Node {
            value: bare_value(piece.trim(), axis),
            place,
        });
    }
    Some(Node {
        value: Value::List(items),
        place: Place::new(source, start..source.text.len()),
    })
}

/// A value without quotes, by what the axis takes.
fn bare_value(text: &str, axis: Axis) -> Value {
    let as_text = || Value::Text(text.to_owned());
    match axis.info().domain {
        Domain::Int { .. } => text.parse().map_or_else(|_| as_text(), Value::Int),
        Domain::Real { .. } => text.parse().map_or_else(|_| as_text(), Value::Real),
        Domain::Bool => text.parse().map_or_else(|_| as_text(), Value::Bool),
        Domain::Catalog(_) | Domain::Closed(_) | Domain::Own(_) | Domain::Size | Domain::Stages => {
            as_text()
        }
    }
}

/// Puts new values in the place of an axis, of its twin, or behind the axes of every grid.
fn replace(parts: &mut Parts, given: Given<AxisValues>) -> Result<(), Diagnostic> {
    let axis = given.axis;
    let replaces = |known: Axis| known == axis || twin(axis) == Some(known);
    if let Some(zipped) = parts
        .zips
        .iter()
        .flat_map(|zip| &zip.axes)
        .find(|known| replaces(known.axis))
    {
        let (line, _) = zipped.place.line_column();
        return Err(Diagnostic::error(
            &given.place,
            format!(
                "axis `{}` is zipped in {} (line {line})",
                zipped.axis, zipped.place.source.name
            ),
        )
        .hint("--set replaces a grid axis or a default; change the zip in the spec"));
    }
    let mut found = false;
    for known in parts.grids.iter_mut().flat_map(|grid| &mut grid.axes) {
        if replaces(known.axis) {
            *known = given.clone();
            found = true;
        }
    }
    if found {
        parts.defaults.retain(|known| !replaces(known.axis));
        return Ok(());
    }
    if given.values.len() == 1 {
        let default = Given {
            axis,
            place: given.place,
            values: given.values.get(0),
        };
        match parts.defaults.iter_mut().find(|known| replaces(known.axis)) {
            Some(known) => *known = default,
            None => parts.defaults.push(default),
        }
        return Ok(());
    }
    if !parts.points.is_empty() || parts.grids.is_empty() {
        let message = format!("several values of `{axis}` have no grid to go into");
        return Err(Diagnostic::error(&given.place, message)
            .hint("[[point]] entries take one value of an axis that they leave out"));
    }
    parts.defaults.retain(|known| !replaces(known.axis));
    for grid in &mut parts.grids {
        grid.axes.push(given.clone());
    }
    Ok(())
}
