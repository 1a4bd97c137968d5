//! Pareto front of two costs.

/// Indices of the Pareto-optimal points, by rising first cost; the first of points equal in both costs
/// stands for all.
pub(crate) fn pareto_front(costs: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|a, b| {
        costs[*a]
            .0
            .total_cmp(&costs[*b].0)
            .then(costs[*a].1.total_cmp(&costs[*b].1))
            .then(a.cmp(b))
    });
    let mut least = f64::INFINITY;
    order.retain(|place| {
        let better = costs[*place].1 < least;
        if better {
            least = costs[*place].1;
        }
        better
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_holds_what_nothing_beats_in_both() {
        // (3, 3) is beaten by (2, 2); (1, 5) and (4, 1) are each best in one.
        let front = pareto_front(&[(3.0, 3.0), (1.0, 5.0), (2.0, 2.0), (4.0, 1.0), (2.0, 2.0)]);
        assert_eq!(front, [1, 2, 3]);
    }
}
