//! `--set` and `--where` of the command line, read as if they stood in the spec.

use std::sync::Arc;

use crate::spec::axis::{Axis, Domain};
use crate::spec::axis_values::AxisValues;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::error::SpecError;
use crate::spec::names::Names;
use crate::spec::read::{ClauseText, Given, Parts, axis_values};
use crate::spec::source::{Place, Source, Syntax};
use crate::spec::syntax::{Entry, Node, Value, parse};
use crate::spec::value::AxisValue;

/// Changes that the command line makes to a spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--set AXIS=VALUE[,VALUE…]`: the axis and its values as typed.
    pub set: Vec<(String, String)>,
    /// `--where EXPR`.
    pub where_clauses: Vec<String>,
    /// Keys of `[question]` with their values as typed.
    pub question: Vec<(String, String)>,
}

impl Overrides {
    /// Splits `AXIS=VALUE[,VALUE…]`; without a `=` the whole text is the axis, which is refused later.
    pub(crate) fn set_argument(text: &str) -> (String, String) {
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

    /// Keys of `[question]`, each with its place on the command line.
    pub(super) fn question(&self) -> impl Iterator<Item = Entry> {
        self.question.iter().map(|(key, typed)| {
            let source = Arc::new(Source {
                name: format!("--{}", key.replace('_', "-")),
                text: typed.clone(),
            });
            let place = Place::new(&source, 0..typed.len());
            // Money is text, with or without its unit.
            let number = typed.replace('_', "").parse().ok();
            let number = number.filter(|_| key != "budget");
            Entry {
                key: key.clone(),
                key_place: place.clone(),
                node: Node {
                    value: number.map_or_else(|| Value::Text(typed.clone()), Value::Real),
                    place,
                },
            }
        })
    }

    /// Replaces axes of the grids and defaults.
    pub(super) fn apply(&self, parts: &mut Parts, names: &Names, faults: &mut Faults) {
        for (axis, values) in &self.set {
            if let Some(given) = read("--set", axis, values, names, faults) {
                faults.ok(replace(parts, given));
            }
        }
    }
}

/// Reads the one value of an axis of a what-if as it is typed on the command line.
pub(super) fn typed_value(axis: Axis, text: &str, names: &Names) -> Result<AxisValue, SpecError> {
    let mut faults = Faults::default();
    let given = read("--what-if", axis.as_str(), text, names, &mut faults);
    let value = given.and_then(|given| only(&given, &mut faults));
    value.ok_or_else(|| SpecError::Faults(faults.into_found()))
}

/// The value of an axis that was given one.
fn only(given: &Given<AxisValues>, faults: &mut Faults) -> Option<AxisValue> {
    let count = given.values.len();
    if count == 1 {
        return Some(given.values.get(0));
    }
    let message = format!("a change of `{}` is to one value, not {count}", given.axis);
    faults.push(
        Diagnostic::error(&given.place, message)
            .hint("write AXIS=VALUE, and further values as further changes"),
    );
    None
}

/// The axis and values of one argument of an option.
fn read(
    option: &str,
    name: &str,
    values: &str,
    names: &Names,
    faults: &mut Faults,
) -> Option<Given<AxisValues>> {
    let source = Arc::new(Source {
        name: option.to_owned(),
        text: format!("{name}={values}"),
    });
    let place = Place::new(&source, 0..name.len());
    let axis = names
        .axis(name, &place)
        .map_err(|fault| fault.hint("write --set AXIS=VALUE[,VALUE…]"));
    let axis = faults.ok(axis)?;
    let node = values_node(&source, axis, name.len() + 1, faults)?;
    Some(Given {
        axis,
        place,
        values: axis_values(names, axis, &node, faults)?,
    })
}

/// The values as a list, or as TOML where they begin like a list, a table or a text in quotes.
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
    // The notation of stages has commas.
    let pieces: Vec<&str> = if matches!(axis.info().domain, Domain::Stages) {
        vec![text]
    } else {
        text.split(',').collect()
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
    let parsed = match axis.info().domain {
        Domain::Int { .. } => {
            let count = text.parse().map(Value::Int);
            // A number all the same, of which the fault is told.
            count.or_else(|_| text.parse().map(Value::Real)).ok()
        }
        Domain::Real { .. } => text.parse().ok().map(Value::Real),
        Domain::Bool => text.parse().ok().map(Value::Bool),
        Domain::Catalog(_)
        | Domain::Closed(_)
        | Domain::Several(..)
        | Domain::Custom(_)
        | Domain::Size
        | Domain::Power
        | Domain::Stages => None,
    };
    parsed.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Puts new values in the place of an axis, of its alternative, or behind the axes of every grid.
fn replace(parts: &mut Parts, given: Given<AxisValues>) -> Result<(), Diagnostic> {
    let axis = given.axis;
    let replaces = |known: Axis| known == axis || axis.alternative() == Some(known);
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
