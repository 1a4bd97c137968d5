//! From what a spec writes for an axis to the axis' values.

use std::sync::Arc;

use crate::catalog::{Catalog, Kind};
use crate::closed_set::nearest;
use crate::spec::AxisValue;
use crate::spec::axis::{Axis, Domain};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::product::AxisValues;
use crate::spec::source::Place;
use crate::spec::stages;
use crate::spec::syntax::{Entry, Node, Value};
use crate::units::Bytes;

/// Values that a geometric range may give: more is a slip of the factor.
const GEOMETRIC_MAX: u64 = 10_000;

/// Values of an arithmetic range: as many as have a number.
const ARITHMETIC_MAX: f64 = i64::MAX as f64;

/// What names may stand for, for the check of values.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) catalog: &'a Catalog,
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
            Value::Table(entries) => self.range(axis, node, entries, faults),
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
        if let Value::Text(text) = &node.value
            && text == "auto"
        {
            return if info.auto {
                Ok(AxisValue::Auto)
            } else {
                Err(no_auto(axis, &node.place))
            };
        }
        match info.domain {
            Domain::Catalog(kind) => self.catalog_name(axis, kind, node),
            Domain::Closed(names) => closed_name(axis, names, node),
            Domain::Int { min, max } => count(axis, min, max, node),
            Domain::Real { min, max } => real(axis, min, max, node),
            Domain::Bool => match node.value {
                Value::Bool(answer) => Ok(AxisValue::Bool(answer)),
                _ => Err(mismatch(axis, node)),
            },
            Domain::Size => size(axis, node).map(AxisValue::Size),
            Domain::Stages => match &node.value {
                Value::Text(text) => match stages::parse(text) {
                    Ok(_) => Ok(AxisValue::Text(text.as_str().into())),
                    Err(message) => Err(Diagnostic::error(&node.place, message)),
                },
                _ => Err(mismatch(axis, node)),
            },
        }
    }

    fn catalog_name(self, axis: Axis, kind: Kind, node: &Node) -> Result<AxisValue, Diagnostic> {
        let Value::Text(text) = &node.value else {
            return Err(mismatch(axis, node));
        };
        let names = self.catalog.names(kind);
        if names.contains(&text.as_str()) {
            return Ok(AxisValue::Text(text.as_str().into()));
        }
        let hint = nearest(text, names).map_or_else(
            || format!("`sweep list {kind}` shows them; own ones go into [{kind}.NAME]"),
            |close| format!("did you mean `{close}`?"),
        );
        let message = format!("unknown {} `{text}`", kind.singular());
        Err(Diagnostic::error(&node.place, message).hint(hint))
    }

    fn range(
        self,
        axis: Axis,
        node: &Node,
        entries: &[Entry],
        faults: &mut Faults,
    ) -> Option<AxisValues> {
        let before = faults.count();
        for entry in entries {
            if !matches!(entry.key.as_str(), "from" | "to" | "times" | "step") {
                faults.push(
                    Diagnostic::error(&entry.key_place, format!("unknown key `{}`", entry.key))
                        .hint("a range is { from, to, times } or { from, to, step }"),
                );
            }
        }
        let find = |key: &str| {
            entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.node)
        };
        let (Some(from), Some(to)) = (find("from"), find("to")) else {
            faults.push(
                Diagnostic::error(
                    &node.place,
                    format!("the range of `{axis}` lacks `from` or `to`"),
                )
                .hint("a range is { from, to, times } or { from, to, step }"),
            );
            return None;
        };
        let first = faults.ok(self.value(axis, from));
        let last = faults.ok(self.value(axis, to));
        if faults.count() > before {
            return None;
        }
        let bounds = Bounds {
            axis,
            place: &node.place,
            first: first?,
            last: last?,
        };
        let values = match (find("times"), find("step")) {
            (Some(times), None) => geometric(&bounds, times),
            (None, Some(step)) => arithmetic(&bounds, step),
            (None, None) | (Some(_), Some(_)) => Err(Diagnostic::error(
                &node.place,
                format!("the range of `{axis}` needs either `times` or `step`"),
            )
            .hint("{ from = 1, to = 128, times = 2 } is 1, 2, 4 … 128; { from, to, step } is arithmetic")),
        };
        faults.ok(values)
    }
}

/// Both ends of a range, as values of its axis.
struct Bounds<'a> {
    axis: Axis,
    place: &'a Place,
    first: AxisValue,
    last: AxisValue,
}

impl Bounds<'_> {
    fn numbers(&self) -> Result<(f64, f64), Diagnostic> {
        let axis = self.axis;
        let (Some(from), Some(to)) = (self.first.as_number(), self.last.as_number()) else {
            return Err(Diagnostic::error(
                self.place,
                format!("`{axis}` has no numbers, so it has no range"),
            )
            .hint("write a list"));
        };
        if from > to {
            let message = format!(
                "the range of `{axis}` is empty: {} is over {}",
                self.first, self.last
            );
            return Err(Diagnostic::error(self.place, message));
        }
        Ok((from, to))
    }
}

fn geometric(bounds: &Bounds<'_>, times: &Node) -> Result<AxisValues, Diagnostic> {
    let (from, to) = bounds.numbers()?;
    let factor = match times.value {
        Value::Int(factor) => factor as f64,
        Value::Real(factor) => factor,
        _ => f64::NAN,
    };
    if !(factor.is_finite() && factor > 1.0) {
        let message = format!("`times` is a number over 1, not {}", times.described());
        return Err(Diagnostic::error(&times.place, message));
    }
    if from <= 0.0 {
        let message = format!(
            "a range with `times` starts above zero, not at {}",
            bounds.first
        );
        return Err(Diagnostic::error(bounds.place, message));
    }
    let mut values: Vec<AxisValue> = Vec::new();
    let mut number = from;
    // The last product may miss the end by rounding.
    while number <= to * (1.0 + 1e-12) {
        let value = match bounds.first {
            AxisValue::Real(_) => AxisValue::Real(number.min(to)),
            AxisValue::Size(_) => AxisValue::Size(Bytes::from_f64(number)),
            AxisValue::Auto | AxisValue::Text(_) | AxisValue::Bool(_) | AxisValue::Int(_) => {
                AxisValue::Int(libm::round(number) as u64)
            }
        };
        if values.last() != Some(&value) {
            values.push(value);
        }
        if values.len() as u64 > GEOMETRIC_MAX {
            let message = format!(
                "the range of `{}` has more than {GEOMETRIC_MAX} values",
                bounds.axis
            );
            return Err(Diagnostic::error(bounds.place, message).hint("take a larger factor"));
        }
        number *= factor;
    }
    Ok(AxisValues::List(values))
}

fn arithmetic(bounds: &Bounds<'_>, step: &Node) -> Result<AxisValues, Diagnostic> {
    let (from, to) = bounds.numbers()?;
    let wrong = |expected: &str| {
        let message = format!("`step` is {expected}, not {}", step.described());
        Err(Diagnostic::error(&step.place, message))
    };
    match (&bounds.first, &bounds.last) {
        (AxisValue::Int(first), AxisValue::Int(last)) => match step.value {
            Value::Int(step) if step > 0 => Ok(AxisValues::Counts {
                from: *first,
                step: step as u64,
                len: (last - first) / step as u64 + 1,
            }),
            _ => wrong("a whole number from 1 on"),
        },
        (AxisValue::Size(first), AxisValue::Size(last)) => match size(bounds.axis, step) {
            Ok(step) if step > Bytes::ZERO => {
                let len = (last.get() - first.get()) / step.get() + 1;
                if len > GEOMETRIC_MAX {
                    let message = format!(
                        "the range of `{}` has {len} values; at most {GEOMETRIC_MAX}",
                        bounds.axis
                    );
                    return Err(Diagnostic::error(bounds.place, message));
                }
                let sizes =
                    (0..len).map(|at| AxisValue::Size(Bytes::new(first.get() + at * step.get())));
                Ok(AxisValues::List(sizes.collect()))
            }
            Ok(_) => wrong("above zero"),
            Err(fault) => Err(fault),
        },
        _ => {
            let step_by = match step.value {
                Value::Int(step) => step as f64,
                Value::Real(step) => step,
                _ => f64::NAN,
            };
            let steps = libm::floor((to - from) / step_by + 1e-9);
            if !(step_by.is_finite() && step_by > 0.0) {
                return wrong("a number above zero");
            }
            if steps >= ARITHMETIC_MAX {
                return wrong("large enough to count its values");
            }
            Ok(AxisValues::Reals {
                from,
                step: step_by,
                len: steps as u64 + 1,
            })
        }
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
    match (&node.value, axis.info().domain) {
        (Value::Text(text), Domain::Int { .. } | Domain::Real { .. })
            if text.parse::<f64>().is_ok() =>
        {
            fault.hint(format!("write {text} without quotes"))
        }
        (Value::Text(text), Domain::Bool) if text == "true" || text == "false" => {
            fault.hint(format!("write {text} without quotes"))
        }
        _ => fault,
    }
}

fn closed_name(axis: Axis, names: &[&'static str], node: &Node) -> Result<AxisValue, Diagnostic> {
    let Value::Text(text) = &node.value else {
        return Err(mismatch(axis, node));
    };
    if let Some(name) = names.iter().find(|name| *name == text) {
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
    let number = match node.value {
        Value::Int(number) => number as f64,
        Value::Real(number) => number,
        _ => return Err(mismatch(axis, node)),
    };
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

fn size(axis: Axis, node: &Node) -> Result<Bytes, Diagnostic> {
    match &node.value {
        Value::Text(text) => match text.parse::<Bytes>() {
            Ok(size) if size.get() > 0 && i64::try_from(size.get()).is_ok() => Ok(size),
            Ok(_) => Err(Diagnostic::error(
                &node.place,
                format!("`{axis}` = {text} is out of range"),
            )
            .hint("a buffer has at least 1 B and at most 8 EiB")),
            Err(error) => Err(Diagnostic::error(&node.place, error.to_string())),
        },
        Value::Int(number) => {
            Err(
                Diagnostic::error(&node.place, format!("`{number}` has no unit")).hint(format!(
                    "write it as text with its unit: \"{number} B\", \"64 MiB\""
                )),
            )
        }
        _ => Err(mismatch(axis, node)),
    }
}
