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

/// Most that an amount of a training may be: tokens, samples, hours.
pub(super) const AMOUNT_MAX: f64 = 1e18;

/// A number over 0, up to [`AMOUNT_MAX`].
pub(super) fn positive(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let positive = node
        .number()
        .filter(|number| *number > 0.0 && *number <= AMOUNT_MAX);
    let expected = format!("a number over 0 and up to {AMOUNT_MAX:e}");
    faults.ok(positive.ok_or_else(|| node.mismatch(key, &expected)))
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

/// A whole number from 1 to [`COUNT_MAX`].
pub(super) fn count(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let is_count = |number: &f64| *number >= 1.0 && *number <= COUNT_MAX && number.fract() == 0.0;
    let count = node.number().filter(is_count);
    let expected = format!("a whole number from 1 to {COUNT_MAX}");
    faults.ok(count.ok_or_else(|| node.mismatch(key, &expected)))
}

/// Largest count that is exact as a real number: 2⁵³.
pub(super) const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// Most that a factor of time may be: more must be a typing error.
pub(super) const FACTOR_MAX: f64 = 1e6;

/// A number from 1 to [`FACTOR_MAX`].
pub(super) fn factor(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let factor = node.number();
    let factor = factor.filter(|number| (1.0..=FACTOR_MAX).contains(number));
    faults.ok(factor.ok_or_else(|| node.mismatch(key, &format!("a number from 1 to {FACTOR_MAX}"))))
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
