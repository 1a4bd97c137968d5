//! Two binary trees over the members of a row, as NCCL builds them over nodes: inner vertices of one are
//! leaves of the other, so that each member sends and receives about twice what the row reduces.
//!
//! Positions of a tree alternate between leaves (odd) and inner vertices; position 0 is its root and has
//! one child. Members stand in the first tree as they are numbered; in the second one they are shifted by
//! one where their number is odd, and counted backwards otherwise. Three members are a chain in both.
//!
//! Source: Sanders, Speck & Träff, Parallel Computing 35(12), 2009; NVIDIA/nccl src/graph/trees.cc.

/// The position above another one of a tree of `count`; `None` above the root.
pub(super) const fn parent(position: u32, count: u32) -> Option<u32> {
    if position == 0 {
        return None;
    }
    let lowest = position & position.wrapping_neg();
    let beyond = (position ^ lowest) | (lowest << 1);
    Some(if beyond < count {
        beyond
    } else {
        position ^ lowest
    })
}

/// Positions of a tree of `count` with those above them, each behind the one above it: what is above a position is
/// a multiple of a higher power of two.
pub(super) fn downwards(count: u32) -> impl Iterator<Item = (u32, u32)> {
    let powers = (0..depth(count)).rev().map(|level| 1 << level);
    powers.flat_map(move |power: u32| {
        let odd_multiples = (power..count).step_by(2 * power as usize);
        odd_multiples.filter_map(move |position| Some((position, parent(position, count)?)))
    })
}

/// Hops from a position to the root of a tree of `count`.
pub(super) fn depth_of(position: u32, count: u32) -> u32 {
    std::iter::successors(parent(position, count), |above| parent(*above, count)).count() as u32
}

/// Hops from the farthest position to the root of a tree of `count`.
pub(super) const fn depth(count: u32) -> u32 {
    match count {
        0 | 1 => 0,
        more => (more - 1).ilog2() + 1,
    }
}

/// Whether a tree of `count` has a position with two below it.
pub(super) const fn has_forks(count: u32) -> bool {
    count > 3
}

/// Member at a position of the second tree over `count`.
pub(super) const fn second(position: u32, count: u32) -> u32 {
    if count % 2 == 1 {
        (position + 1) % count
    } else {
        count - 1 - position
    }
}

/// Position of a member in the second tree over `count`.
const fn in_second(member: u32, count: u32) -> u32 {
    if count % 2 == 1 {
        (member + count - 1) % count
    } else {
        count - 1 - member
    }
}

/// The positions below another one of a tree of `count`, at most two.
fn children(position: u32, count: u32) -> impl Iterator<Item = u32> {
    let (before, after) = if position == 0 {
        let only = count.checked_sub(1).and_then(u32::checked_ilog2);
        (None, only.map(|power| 1 << power))
    } else {
        let lowest = position & position.wrapping_neg();
        let steps = std::iter::successors(Some(lowest / 2), |step| Some(step / 2));
        let mut steps = steps.take_while(|step| *step > 0);
        let fits = steps.find(|step| position + step < count);
        (
            (lowest > 1).then(|| position - lowest / 2),
            fits.map(|step| position + step),
        )
    };
    before.into_iter().chain(after)
}

/// Members that another one of `count` is joined to: in the first tree, then in the second.
pub(super) fn neighbours(member: u32, count: u32) -> impl Iterator<Item = u32> {
    let around = move |position| {
        parent(position, count)
            .into_iter()
            .chain(children(position, count))
    };
    let there = around(in_second(member, count)).map(move |position| second(position, count));
    around(member).chain(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    // NCCL's own picture of 14: 0 – 8 – {4 – {2 – {1, 3}, 6 – {5, 7}}, 12 – {10 – {9, 11}, 13}}.
    #[test]
    fn inner_vertices_and_leaves_alternate() {
        let above: Vec<_> = (0..14)
            .filter_map(|position| parent(position, 14))
            .collect();
        assert_eq!(above, [2, 4, 2, 8, 6, 4, 6, 0, 10, 12, 10, 8, 12]);
    }

    // All but the root, each behind its parent.
    #[test]
    fn downwards_comes_to_a_parent_before_its_children() {
        for count in 1..130 {
            let mut known = vec![false; count as usize];
            known[0] = true;
            for (position, above) in downwards(count) {
                assert_eq!(parent(position, count), Some(above));
                assert!(known[above as usize] && !known[position as usize]);
                known[position as usize] = true;
            }
            assert!(known.into_iter().all(|it| it), "{count}");
        }
    }

    // Each edge moves half of a buffer up and half of it down. Two members send one buffer each; three are
    // chains with ends at two of them, 1½; from four on an inner vertex sends three halves up and down where
    // it has two children, and as a leaf of the other tree one: 2.
    #[test]
    fn no_member_sends_more_than_two_buffers() {
        for (count, most) in [
            (2, 1.0),
            (3, 1.5),
            (4, 2.0),
            (5, 2.0),
            (64, 2.0),
            (540, 2.0),
        ] {
            let sent = (0..count).map(|member| 0.5 * neighbours(member, count).count() as f64);
            let busiest = sent.clone().fold(0.0, f64::max);
            assert!((busiest - most).abs() < 1e-12, "{count}: {busiest}");
            assert!((sent.sum::<f64>() - 2.0 * f64::from(count - 1)).abs() < 1e-9);
        }
    }

    #[test]
    fn whoever_is_above_another_one_has_it_below() {
        for count in 1..130 {
            for position in 0..count {
                let above = |below: &u32| parent(*below, count) == Some(position);
                let mut below: Vec<_> = children(position, count).collect();
                below.sort_unstable();
                assert!(
                    below.into_iter().eq((0..count).filter(above)),
                    "{position} of {count}"
                );
                assert_eq!(in_second(second(position, count), count), position);
            }
        }
    }

    #[test]
    fn the_farthest_position_is_as_deep_as_the_tree() {
        for count in 1..200 {
            let deepest = (0..count).map(|position| depth_of(position, count)).max();
            assert_eq!(deepest, Some(depth(count)), "{count}");
            let mut second: Vec<_> = (0..count).map(|position| second(position, count)).collect();
            second.sort_unstable();
            assert!(second.into_iter().eq(0..count));
        }
    }
}
