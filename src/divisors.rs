//! Divisors of whole numbers.

use itertools::Itertools;

/// Divisors of `n`, ascending.
pub(crate) fn divisors(n: u32) -> Vec<u32> {
    let small: Vec<u32> = (1..=n.isqrt())
        .filter(|small| n.is_multiple_of(*small))
        .collect();
    let large = small.iter().rev().map(|small| n / small);
    small.iter().copied().chain(large).dedup().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_each_given_once_in_order() {
        assert_eq!(divisors(1), [1]);
        assert_eq!(divisors(36), [1, 2, 3, 4, 6, 9, 12, 18, 36]);
        assert_eq!(divisors(7), [1, 7]);
    }
}
