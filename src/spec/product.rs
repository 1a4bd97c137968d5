//! The cartesian product as a mixed-radix number, decoded digit by digit.

use std::fmt;

use crate::spec::axis::Axis;
use crate::spec::axis_values::AxisValues;
use crate::spec::value::AxisValue;

/// Digit of the product: an axis, or several that advance together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Digit {
    /// Axes with their values, all of the same length.
    pub(super) axes: Vec<(Axis, AxisValues)>,
}

impl Digit {
    pub(super) fn single(axis: Axis, values: AxisValues) -> Self {
        Self {
            axes: vec![(axis, values)],
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.axes.first().map_or(1, |(_, values)| values.len())
    }

    /// Digit that has only the first value of each axis.
    pub(super) fn first(&self) -> Self {
        let first =
            |(axis, values): &(Axis, AxisValues)| (*axis, AxisValues::List(vec![values.get(0)]));
        Self {
            axes: self.axes.iter().map(first).collect(),
        }
    }
}

/// A product of digits, the last one fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Product {
    pub(super) digits: Vec<Digit>,
}

impl Product {
    /// Number of combinations; `None` when it does not fit into 63 bits.
    pub(super) fn len(&self) -> Option<u64> {
        self.digits
            .iter()
            .try_fold(1_u64, |product, digit| product.checked_mul(digit.len()))
            .filter(|product| i64::try_from(*product).is_ok())
    }

    /// Hands out every axis with its value at a combination, the fastest first.
    pub(super) fn decode(&self, mut at: u64, mut take: impl FnMut(Axis, AxisValue)) {
        for digit in self.digits.iter().rev() {
            let (rest, value_at) = (at / digit.len(), at % digit.len());
            for (axis, values) in &digit.axes {
                take(*axis, values.get(value_at));
            }
            at = rest;
        }
    }

    /// Every axis with its values, in the order of the digits.
    pub(super) fn axes(&self) -> impl Iterator<Item = &(Axis, AxisValues)> {
        self.digits.iter().flat_map(|digit| &digit.axes)
    }
}

impl fmt::Display for Product {
    /// The lengths of its digits: `gpu 4 × nodes 8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.iter().filter_map(|digit| digit.axes.first());
        let lengths = digits.map(|(axis, values)| format!("{axis} {}", values.len()));
        f.write_str(&lengths.collect::<Vec<_>>().join(" × "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn counts(len: u64) -> AxisValues {
        AxisValues::Counts {
            from: 0,
            step: 1,
            len,
        }
    }

    fn decoded(product: &Product, at: u64) -> Vec<u64> {
        let mut digits = Vec::new();
        product.decode(at, |_, value| {
            digits.push(value.as_int().expect("counts only"));
        });
        digits.reverse();
        digits
    }

    // 2 × 3, last fastest: 0 → (0, 0), 1 → (0, 1), 3 → (1, 0), 5 → (1, 2).
    #[test]
    fn the_last_axis_varies_fastest() {
        let product = Product {
            digits: vec![
                Digit::single(Axis::Nodes, counts(2)),
                Digit::single(Axis::Tp, counts(3)),
            ],
        };
        assert_eq!(product.len(), Some(6));
        assert_eq!(decoded(&product, 0), [0, 0]);
        assert_eq!(decoded(&product, 1), [0, 1]);
        assert_eq!(decoded(&product, 3), [1, 0]);
        assert_eq!(decoded(&product, 5), [1, 2]);
    }

    // 2³² · 2³² = 2⁶⁴ does not fit; 2⁶³ is one more than the largest that does.
    #[test]
    fn a_product_over_63_bits_has_no_length() {
        for lens in [[1 << 32, 1 << 32], [1 << 32, 1 << 31]] {
            let digits = lens
                .map(|len| Digit::single(Axis::Seed, counts(len)))
                .to_vec();
            assert_eq!(Product { digits }.len(), None);
        }
    }

    proptest! {
        #[test]
        fn decoding_is_a_bijection(lens in proptest::collection::vec(1_u64..6, 0..5)) {
            let digits = lens.iter().map(|len| Digit::single(Axis::Seed, counts(*len))).collect();
            let product = Product { digits };
            let count = product.len().expect("small");
            // As many different combinations as numbers, in ascending order, means one each.
            let all: Vec<Vec<u64>> = (0..count).map(|at| decoded(&product, at)).collect();
            prop_assert!(all.is_sorted());
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len() as u64, count);
        }
    }
}
