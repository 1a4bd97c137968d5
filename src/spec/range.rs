//! Ranges: `{ from, to, times }` and `{ from, to, step }`.

use crate::spec::axis::Axis;
use crate::spec::axis_values::AxisValues;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::names::Names;
use crate::spec::one_value::{power, size, value};
use crate::spec::source::Place;
use crate::spec::syntax::{Entry, Node, Value, find};
use crate::spec::value::AxisValue;
use crate::units::{Bytes, Power};

/// Values of a range that is kept as a list: more is a slip of the factor.
const WRITTEN_OUT_MAX: u64 = 10_000;

/// Products of a geometric range.
const PRODUCTS_MAX: u64 = 1_000_000;

/// Values of an arithmetic range: as many as can be numbered.
const ARITHMETIC_MAX: f64 = i64::MAX as f64;

/// Reads a range; every fault of it is noted.
pub(super) fn values(
    names: &Names,
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
    let find = |key: &str| find(entries, key).map(|entry| &entry.node);
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
    let first = faults.ok(value(names, axis, from));
    let last = faults.ok(value(names, axis, to));
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
        .hint(
            "{ from = 1, to = 128, times = 2 } is 1, 2, 4 … 128; { from, to, step } is arithmetic",
        )),
    };
    faults.ok(values)
}

/// Both ends of a range, as values of its axis.
struct Bounds<'a> {
    axis: Axis,
    place: &'a Place,
    first: AxisValue,
    last: AxisValue,
}

impl Bounds<'_> {
    fn too_many(&self, hint: &str) -> Diagnostic {
        let message = format!(
            "the range of `{}` has more than {WRITTEN_OUT_MAX} values",
            self.axis
        );
        Diagnostic::error(self.place, message).hint(hint)
    }

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
    let factor = times.number().unwrap_or(f64::NAN);
    if !(factor.is_finite() && factor > 1.0) {
        return Err(times.mismatch("times", "a number over 1"));
    }
    if from <= 0.0 {
        let message = format!(
            "a range with `times` starts above zero, not at {}",
            bounds.first
        );
        return Err(Diagnostic::error(bounds.place, message));
    }
    let mut values: Vec<AxisValue> = Vec::new();
    let (mut number, mut products) = (from, 0);
    // The last product may miss the end by rounding.
    while number <= to * (1.0 + 1e-12) {
        let value = match bounds.first {
            AxisValue::Real(_) => AxisValue::Real(number.min(to)),
            AxisValue::Size(_) => AxisValue::Size(Bytes::from_f64(number)),
            AxisValue::Power(_) => AxisValue::Power(Power::watts(number)),
            AxisValue::Auto | AxisValue::Text(_) | AxisValue::Bool(_) | AxisValue::Int(_) => {
                AxisValue::Int(libm::round(number) as u64)
            }
        };
        if values.last() != Some(&value) {
            values.push(value);
        }
        if values.len() as u64 > WRITTEN_OUT_MAX {
            return Err(bounds.too_many("take a larger factor"));
        }
        // Products that are rounded to one whole number are no values, and may be without end.
        products += 1;
        if products > PRODUCTS_MAX {
            return Err(times.mismatch(
                "times",
                "large enough for a million products to reach the end",
            ));
        }
        number *= factor;
    }
    Ok(AxisValues::List(values))
}

fn arithmetic(bounds: &Bounds<'_>, step: &Node) -> Result<AxisValues, Diagnostic> {
    let (from, to) = bounds.numbers()?;
    if let (Some(first), Some(last)) = (bounds.first.as_int(), bounds.last.as_int()) {
        let Some(step) = whole(step).filter(|step| *step > 0) else {
            return Err(step.mismatch("step", "a whole number from 1 on"));
        };
        return Ok(AxisValues::Counts {
            from: first,
            step,
            len: (last - first) / step + 1,
        });
    }
    if let (Some(first), Some(last)) = (bounds.first.as_size(), bounds.last.as_size()) {
        return sizes(bounds, first, last, size(bounds.axis, step)?);
    }
    if bounds.first.as_power().is_some() {
        return powers(bounds, from, to, power(bounds.axis, step)?);
    }
    let step_by = step.number().unwrap_or(f64::NAN);
    if !(step_by.is_finite() && step_by > 0.0) {
        return Err(step.mismatch("step", "a number above zero"));
    }
    // The end belongs to the range even when rounding puts it a little too far.
    let steps = libm::floor((to - from) / step_by + 1e-9);
    if steps >= ARITHMETIC_MAX {
        return Err(step.mismatch("step", "large enough for its values to be counted"));
    }
    Ok(AxisValues::Reals {
        from,
        to,
        step: step_by,
        len: steps as u64 + 1,
    })
}

fn sizes(
    bounds: &Bounds<'_>,
    first: Bytes,
    last: Bytes,
    step: Bytes,
) -> Result<AxisValues, Diagnostic> {
    let len = (last.get() - first.get()) / step.get() + 1;
    if len > WRITTEN_OUT_MAX {
        return Err(bounds.too_many("take a larger step"));
    }
    let sizes = (0..len).map(|at| AxisValue::Size(Bytes::new(first.get() + at * step.get())));
    Ok(AxisValues::List(sizes.collect()))
}

fn powers(
    bounds: &Bounds<'_>,
    first: f64,
    last: f64,
    step: Power,
) -> Result<AxisValues, Diagnostic> {
    let step = step.as_watts();
    // The end belongs to the range even when rounding puts it a little too far.
    let steps = libm::floor((last - first) / step + 1e-9);
    if steps >= WRITTEN_OUT_MAX as f64 {
        return Err(bounds.too_many("take a larger step"));
    }
    let watts = (0..=steps as u64).map(|at| (first + at as f64 * step).min(last));
    let powers = watts.map(|watts| AxisValue::Power(Power::watts(watts)));
    Ok(AxisValues::List(powers.collect()))
}

fn whole(node: &Node) -> Option<u64> {
    let Value::Int(number) = node.value else {
        return None;
    };
    u64::try_from(number).ok()
}
