//! From what a spec writes for an axis to the axis' values.

use std::sync::Arc;

use crate::catalog::{Catalog, Kind};
use crate::closed_set::nearest;
use crate::spec::AxisValue;
use crate::spec::axis::{Axis, Domain};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::own::OwnKind;
use crate::spec::product::AxisValues;
use crate::spec::source::Place;
use crate::spec::syntax::{Node, Value};
use crate::spec::{range, stages};
use crate::units::Bytes;

/// What names may stand for, for the check of values.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) catalog: &'a Catalog,
    /// The spec's own catalogue tables: their names are known even when their contents have faults.
    pub(super) own: &'a toml::Table,
}

impl Reader<'_> {
    /// The values of an axis: one, a list, or a range.
    pub(super) fn axis_values(
        self,
        axis: Axis,
        node: &Node,
        faults: &mut Faults,
    ) -> Option<AxisValues> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                faults.push(
                    Diagnostic::error(&node.place, format!("axis `{axis}` is empty"))
                        .hint("give it at least one value, or leave the axis out"),
                );
                None
            }
            Value::List(items) => {
                // Every item is read, so that every fault is found.
                let values: Vec<Option<AxisValue>> = items
                    .iter()
                    .map(|item| faults.ok(self.value(axis, item)))
                    .collect();
                values
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(AxisValues::List)
            }
            Value::Table(entries) => range::values(self, axis, node, entries, faults),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Real(_)
            | Value::Text(_)
            | Value::Date(_) => faults
                .ok(self.value(axis, node))
                .map(|value| AxisValues::List(vec![value])),
        }
    }

    /// One value of an axis.
    pub(super) fn value(self, axis: Axis, node: &Node) -> Result<AxisValue, Diagnostic> {
        let info = axis.info();
        if node.text() == Some("auto") {
            return if info.auto {
                Ok(AxisValue::Auto)
            } else {
                Err(no_auto(axis, &node.place))
            };
        }
        match info.domain {
            Domain::Catalog(kind) => self.catalog_name(axis, kind, node),
            Domain::Closed(names) => closed_name(axis, names, node),
            Domain::Own(kind) => self.own_name(axis, kind, node),
            Domain::Int { min, max } => count(axis, min, max, node),
            Domain::Real { min, max } => real(axis, min, max, node),
            Domain::Bool => {
                let Value::Bool(answer) = node.value else {
                    return Err(mismatch(axis, node));
                };
                Ok(AxisValue::Bool(answer))
            }
            Domain::Size => size(axis, node).map(AxisValue::Size),
            Domain::Stages => {
                let text = node.text().ok_or_else(|| mismatch(axis, node))?;
                match stages::parse(text) {
                    Ok(_) => Ok(AxisValue::Text(text.into())),
                    Err(message) => Err(Diagnostic::error(&node.place, message)),
                }
            }
        }
    }

    fn own_name(self, axis: Axis, kind: OwnKind, node: &Node) -> Result<AxisValue, Diagnostic> {
        let text = node.text().ok_or_else(|| mismatch(axis, node))?;
        let own = self.own.get(kind.as_str()).and_then(toml::Value::as_table);
        let own = own.into_iter().flat_map(toml::Table::keys);
        let built_in = kind.built_in().iter().copied();
        let names: Vec<&str> = built_in.chain(own.map(String::as_str)).collect();
        if names.contains(&text) {
            return Ok(AxisValue::Text(text.into()));
        }
        let close = nearest(text, names.iter().copied());
        let fault = Diagnostic::error(&node.place, format!("unknown {axis} `{text}`"));
        Err(fault
            .maybe_hint(close.map(|close| format!("did you mean `{close}`?")))
            .hint(format!(
                "expected one of: {}; own ones go into [{kind}.NAME]",
                names.join(", ")
            )))
    }

    fn catalog_name(self, axis: Axis, kind: Kind, node: &Node) -> Result<AxisValue, Diagnostic> {
        let text = node.text().ok_or_else(|| mismatch(axis, node))?;
        let own = self.own.get(kind.as_str()).and_then(toml::Value::as_table);
        let own = own.into_iter().flat_map(toml::Table::keys);
        let mut names = self.catalog.names(kind);
        names.extend(own.map(String::as_str));
        if names.contains(&text) {
            return Ok(AxisValue::Text(text.into()));
        }
        let hint = nearest(text, names).map_or_else(
            || format!("`sweep list {kind}` shows them; own ones go into [{kind}.NAME]"),
            |close| format!("did you mean `{close}`?"),
        );
        let message = format!("unknown {} `{text}`", kind.singular());
        Err(Diagnostic::error(&node.place, message).hint(hint))
    }
}

fn no_auto(axis: Axis, place: &Place) -> Diagnostic {
    let default = axis.info().default;
    let hint = if default.is_empty() {
        "it has to be given".to_owned()
    } else {
        format!("leave it out for its default: {default}")
    };
    Diagnostic::error(place, format!("axis `{axis}` cannot be `auto`")).hint(hint)
}

/// What the values of an axis look like, in words that follow "expected".
pub(super) fn expectation(axis: Axis) -> String {
    let info = axis.info();
    let auto = if info.auto { " or \"auto\"" } else { "" };
    let values = match info.domain {
        Domain::Catalog(kind) => format!("the name of a {} in quotes", kind.singular()),
        Domain::Closed(names) => format!("one of: {}", names.join(", ")),
        Domain::Own(kind) => format!("the name of a {} in quotes", kind.singular()),
        Domain::Int { min, max: u64::MAX } => format!("a whole number from {min} on"),
        Domain::Int { min, max } => format!("a whole number from {min} to {max}"),
        Domain::Real { min, max } => format!("a number from {min} to {max}"),
        Domain::Bool => "true or false".to_owned(),
        Domain::Size => "an amount of data like \"64 MiB\"".to_owned(),
        Domain::Stages => "layers of each stage like \"4,6×14,5\"".to_owned(),
    };
    values + auto
}

fn mismatch(axis: Axis, node: &Node) -> Diagnostic {
    let message = format!(
        "`{axis}` is {}, not {}",
        expectation(axis),
        node.described()
    );
    let fault = Diagnostic::error(&node.place, message);
    let text = node.text().unwrap_or_default();
    let fits = match axis.info().domain {
        Domain::Int { .. } | Domain::Real { .. } => text.parse::<f64>().is_ok(),
        Domain::Bool => text.parse::<bool>().is_ok(),
        Domain::Catalog(_) | Domain::Closed(_) | Domain::Own(_) | Domain::Size | Domain::Stages => {
            false
        }
    };
    fault.maybe_hint(fits.then(|| format!("write {text} without quotes")))
}

fn closed_name(axis: Axis, names: &[&'static str], node: &Node) -> Result<AxisValue, Diagnostic> {
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    if let Some(name) = names.iter().find(|name| **name == text) {
        return Ok(AxisValue::Text(Arc::from(*name)));
    }
    let fault = Diagnostic::error(&node.place, format!("unknown {axis} `{text}`"));
    let close = nearest(text, names.iter().copied());
    Err(fault
        .maybe_hint(close.map(|close| format!("did you mean `{close}`?")))
        .hint(format!("expected {}", expectation(axis))))
}

fn count(axis: Axis, min: u64, max: u64, node: &Node) -> Result<AxisValue, Diagnostic> {
    let Value::Int(number) = node.value else {
        return Err(mismatch(axis, node));
    };
    match u64::try_from(number) {
        Ok(count) if (min..=max).contains(&count) => Ok(AxisValue::Int(count)),
        _ => Err(out_of_range(axis, node)),
    }
}

fn real(axis: Axis, min: f64, max: f64, node: &Node) -> Result<AxisValue, Diagnostic> {
    let number = node.number().ok_or_else(|| mismatch(axis, node))?;
    // NaN is in no range.
    if (min..=max).contains(&number) {
        Ok(AxisValue::Real(number))
    } else {
        Err(out_of_range(axis, node))
    }
}

fn out_of_range(axis: Axis, node: &Node) -> Diagnostic {
    let message = format!(
        "{axis} = {} is out of range",
        node.described().replace('`', "")
    );
    Diagnostic::error(&node.place, message).hint(format!("`{axis}` is {}", expectation(axis)))
}

pub(super) fn size(axis: Axis, node: &Node) -> Result<Bytes, Diagnostic> {
    if let Value::Int(number) = node.value {
        let hint = format!("write it as text with its unit: \"{number} B\", \"64 MiB\"");
        return Err(Diagnostic::error(&node.place, format!("`{number}` has no unit")).hint(hint));
    }
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    match text.parse::<Bytes>() {
        Ok(size) if size.get() > 0 && i64::try_from(size.get()).is_ok() => Ok(size),
        Ok(_) => {
            let message = format!("`{axis}` = {text} is out of range");
            Err(Diagnostic::error(&node.place, message)
                .hint("a buffer has at least 1 B and at most 8 EiB"))
        }
        Err(error) => Err(Diagnostic::error(&node.place, error.to_string())),
    }
}
