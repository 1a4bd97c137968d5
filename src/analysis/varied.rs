//! Axes that tell rows or series apart.

use std::collections::BTreeMap;

use itertools::Itertools;

/// Axes whose value differs between items, without those that an axis before them decides: where
/// every GPU comes with one cluster, the GPU tells the items apart.
pub(super) fn telling_axes<'a, I, A: Copy, V: Ord + Copy>(
    items: &'a [I],
    axes: impl IntoIterator<Item = A>,
    value: impl Fn(&'a I, A) -> V,
) -> Vec<A> {
    let mut kept: Vec<A> = Vec::new();
    for axis in axes {
        let decided = |by: &A| decides(items.iter().map(|it| (value(it, *by), value(it, axis))));
        let varies = !items.iter().map(|it| value(it, axis)).all_equal();
        if varies && !kept.iter().any(decided) {
            kept.push(axis);
        }
    }
    kept
}

/// Whether each first value comes with a single second one.
fn decides<V: Ord + Copy>(pairs: impl IntoIterator<Item = (V, V)>) -> bool {
    let mut seen = BTreeMap::new();
    let mut pairs = pairs.into_iter();
    pairs.all(|(decider, decided)| *seen.entry(decider).or_insert(decided) == decided)
}

#[cfg(test)]
mod tests {
    use super::*;

    // GPU and cluster go together, the batch varies beside them, the model is the same throughout.
    #[test]
    fn an_axis_that_another_decides_tells_nothing() {
        let rows = [[1, 10, 64, 7], [2, 20, 64, 7], [1, 10, 128, 7]];
        assert_eq!(telling_axes(&rows, 0..4, |row, axis| row[axis]), [0, 2]);
        assert!(decides([(1, 10), (2, 20), (1, 10)]));
        assert!(!decides([(1, 64), (1, 128)]));
    }
}
