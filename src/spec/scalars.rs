//! Numbers, switches and quantities of a table's keys; every fault is noted. `None` where a key is missing or wrong.

use std::fmt::Display;
use std::str::FromStr;

use crate::spec::diagnostic::Faults;
use crate::spec::syntax::{Entry, Value, find};

/// A number over 0, up to 1.
pub(super) fn fraction(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let fraction = node
        .number()
        .filter(|number| *number > 0.0 && *number <= 1.0);
    faults.ok(fraction.ok_or_else(|| node.mismatch(key, "a number over 0 and up to 1")))
}

/// A number over 0.
pub(super) fn positive(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let positive = node
        .number()
        .filter(|number| *number > 0.0 && number.is_finite());
    faults.ok(positive.ok_or_else(|| node.mismatch(key, "a number over 0")))
}

/// `true` or `false`.
pub(super) fn switch(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<bool> {
    let node = &find(entries, key)?.node;
    let Value::Bool(switch) = node.value else {
        faults.push(node.mismatch(key, "true or false"));
        return None;
    };
    Some(switch)
}

/// A whole number from 1 on.
pub(super) fn count(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let is_count = |number: &f64| *number >= 1.0 && *number <= COUNT_MAX && number.fract() == 0.0;
    let count = node.number().filter(is_count);
    faults.ok(count.ok_or_else(|| node.mismatch(key, "a whole number from 1 on")))
}

/// Largest count that is exact as a real number: 2⁵³.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// A number from 1 on.
pub(super) fn factor(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let factor = node.number();
    let factor = factor.filter(|number| *number >= 1.0 && number.is_finite());
    faults.ok(factor.ok_or_else(|| node.mismatch(key, "a number from 1 on")))
}

/// A quantity with its unit, which `example` shows.
pub(super) fn quantity<T: FromStr<Err: Display>>(
    entries: &[Entry],
    key: &str,
    example: &str,
    faults: &mut Faults,
) -> Option<T> {
    faults.ok(find(entries, key)?.node.quantity(key, example))
}
