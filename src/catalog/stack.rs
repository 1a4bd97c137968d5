//! Stack tables.

use crate::data_table::{Key, Need};
use crate::stack::{Recipe, Stack};

use super::fault::Faults;

/// The keys of a stack table.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Stack::keys("", Need::Always);
    keys.extend(Recipe::keys("recipe.", Need::Always));
    keys
}

/// Notes faults of a stack that no single key shows.
pub(super) fn check(stack: &Stack, faults: &mut Faults<'_>) {
    let [first, last] = stack.years;
    if first > last {
        let message = format!("the first year {first} is after the last, {last}");
        faults.key("years", message, None);
    }
}
