//! Marks that can be told apart: those too near another one are not drawn.

use std::collections::BTreeMap;

/// Least distance of two marks, so that each can be seen and pointed at.
pub(super) const APART: f64 = 6.0;

/// Places that have been taken, no two of them nearer than a distance.
#[derive(Debug)]
pub(super) struct Taken {
    distance: f64,
    /// Places by the square of the plane, as wide as the distance, in which they lie.
    squares: BTreeMap<(i64, i64), Vec<(f64, f64)>>,
}

impl Taken {
    /// No places, to be taken at a distance from one another.
    pub(super) const fn new(distance: f64) -> Self {
        Self {
            distance,
            squares: BTreeMap::new(),
        }
    }

    /// Takes a place; false where one is taken that is nearer than the distance.
    pub(super) fn take(&mut self, x: f64, y: f64) -> bool {
        let square = |value: f64| libm::floor(value / self.distance) as i64;
        let (column, row) = (square(x), square(y));
        let around = (column - 1..=column + 1)
            .flat_map(|column| (row - 1..=row + 1).map(move |row| (column, row)));
        let near = around
            .filter_map(|square| self.squares.get(&square))
            .flatten()
            .any(|(other_x, other_y)| libm::hypot(x - other_x, y - other_y) < self.distance);
        if !near {
            self.squares.entry((column, row)).or_default().push((x, y));
        }
        !near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // (5.9, 0) is 5.9 from the first, (6, 0) is 6; (9, 4) is 5 from (6, 0), in another square; (3, 5.5) is 6.26 and 6.26.
    #[test]
    fn a_place_near_a_taken_one_is_refused() {
        let mut taken = Taken::new(6.0);
        let places = [(0.0, 0.0), (5.9, 0.0), (6.0, 0.0), (9.0, 4.0), (3.0, 5.5)];
        let kept = places.map(|(x, y)| taken.take(x, y));
        assert_eq!(kept, [true, false, true, false, true]);
    }
}
