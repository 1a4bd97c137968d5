//! Groups that do not lie evenly over the domains: what each of them sends between which domains.

use crate::collective::contention::Traffic;
use crate::collective::placement::GroupPattern;

/// Messages between domains in one round of all groups of a pattern: from, to, and how many.
///
/// A ring sends one message where it leaves a domain, half of it each way round where it lies on
/// more than two; an exchange sends one for every pair of ranks in different domains.
pub(super) fn messages(
    groups: GroupPattern,
    per_domain: u32,
    gpus: u32,
    traffic: Traffic,
) -> Vec<(u32, u32, f64)> {
    let GroupPattern { size, stride } = groups;
    let mut messages = Vec::new();
    for block in (0..gpus).step_by((size * stride) as usize) {
        for base in block..block + stride {
            let ranks = (0..size)
                .map(|i| base + i * stride)
                .take_while(|rank| *rank < gpus);
            let visits = visits(ranks, per_domain);
            for (place, &(domain, members)) in visits.iter().enumerate() {
                for (other, &(goal, receivers)) in visits.iter().enumerate() {
                    let count = match traffic {
                        Traffic::Exchange => f64::from(members) * f64::from(receivers),
                        Traffic::Neighbours => around(place, other, visits.len()),
                        Traffic::Forward => f64::from(u8::from(other == place + 1)),
                        Traffic::Onwards => {
                            f64::from(u8::from(other == (place + 1) % visits.len()))
                        }
                        Traffic::Backwards => {
                            f64::from(u8::from((other + 1) % visits.len() == place))
                        }
                    };
                    if place != other && count > 0.0 {
                        messages.push((domain, goal, count));
                    }
                }
            }
        }
    }
    messages
}

/// The domains of a group in the order of its ranks, each with the ranks it holds.
fn visits(ranks: impl Iterator<Item = u32>, per_domain: u32) -> Vec<(u32, u32)> {
    let mut visits: Vec<(u32, u32)> = Vec::new();
    for rank in ranks {
        let domain = rank / per_domain;
        match visits.last_mut() {
            Some((last, members)) if *last == domain => *members += 1,
            _ => visits.push((domain, 1)),
        }
    }
    visits
}

/// What the ring sends from one of `count` domains to another: both ways round together.
fn around(from: usize, to: usize, count: usize) -> f64 {
    let next = (from + 1) % count == to;
    let before = (to + 1) % count == from;
    0.5 * (f64::from(u8::from(next)) + f64::from(u8::from(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(size: u32, gpus: u32, traffic: Traffic) -> Vec<f64> {
        let groups = GroupPattern { size, stride: 1 };
        let mut sent = vec![0.0; gpus.div_ceil(8) as usize];
        for (from, _, count) in messages(groups, 8, gpus, traffic) {
            sent[from as usize] += count;
        }
        sent
    }

    // Groups of 5 on domains of 8: {5..9} lies on 0 and 1 with 3 and 2 ranks, {15..19} on 1 and 2
    // with 1 and 4, {20..24} on 2 and 3 with 4 and 1, {30..34} on 3 and 4 with 2 and 3. As rings:
    // one message out of each domain of each. As exchanges: 3 · 2, 1 · 4, 4 · 1, 2 · 3 each way.
    #[test]
    fn each_domain_sends_for_every_group_that_straddles_it() {
        assert_eq!(sent(5, 40, Traffic::Neighbours), [1.0, 2.0, 2.0, 2.0, 1.0]);
        assert_eq!(sent(5, 40, Traffic::Exchange), [6.0, 10.0, 8.0, 10.0, 6.0]);
    }

    // One ring over four domains: half of a message to either side, one in all.
    #[test]
    fn a_ring_sends_both_ways_round() {
        assert_eq!(sent(32, 32, Traffic::Neighbours), [1.0; 4]);
    }
}
