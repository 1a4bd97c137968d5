//! Recursive halving and doubling priced round by round, from the messages of every group.
//!
//! Partners at distance 1, 2, 4 … load a fabric in another way in every round, and ranks beyond a
//! power of two lend their buffers to others: no one rate holds for all rounds.

use crate::collective::network::Network;
use crate::collective::placement::GroupPattern;
use crate::collective::rounds_cost::RoundLatency;
use crate::collective::ways::{Pricing, Way};
use crate::collective::{CollectiveAlgorithm, CollectiveOp, Protocol};
use crate::units::{Bandwidth, SimDuration};

/// A message of one round between two ranks of a group, and the part of the buffer it carries.
pub(super) type Message = (u32, u32, f64);

/// The rounds that gather what these scatter: every message backwards, in reverse order.
pub(super) fn undone(rounds: &[Vec<Message>]) -> Vec<Vec<Message>> {
    let back = |&(from, to, part): &Message| (to, from, part);
    let backwards = rounds.iter().rev();
    backwards
        .map(|round| round.iter().map(back).collect())
        .collect()
}

/// The rounds that scatter sums over `ranks` ranks.
///
/// Beyond a power of two every second rank of the first few lends its buffer to the one before it,
/// and gets its share back at the end where `returns` says so. Source: Thakur, Rabenseifner & Gropp,
/// IJHPCA 19(1), 2005.
pub(super) fn rounds(ranks: u32, returns: bool) -> Vec<Vec<Message>> {
    let power = 1_u32 << ranks.ilog2();
    let extra = ranks - power;
    let share = 1.0 / f64::from(ranks);
    let rank = |index: u32| index + index.min(extra);
    let lending = |part: f64, back: bool| {
        let pairs = (0..extra).map(move |i| (2 * i + 1, 2 * i));
        let messages = pairs.map(move |(lender, other)| {
            if back {
                (other, lender, part)
            } else {
                (lender, other, part)
            }
        });
        messages.collect::<Vec<Message>>()
    };
    let mut rounds = Vec::new();
    if extra > 0 {
        rounds.push(lending(1.0, false));
    }
    let mut distance = 1;
    while distance < power {
        let step = 2 * distance;
        let round = (0..power).map(|index| {
            let partner = index ^ distance;
            // The shares of those that agree with the partner in the lower bits, and of their lenders.
            let goals = power / step;
            let lenders = (extra + step - 1 - partner % step) / step;
            (
                rank(index),
                rank(partner),
                share * f64::from(goals + lenders),
            )
        });
        rounds.push(round.collect());
        distance *= 2;
    }
    if extra > 0 && returns {
        rounds.push(lending(share, true));
    }
    rounds
}

/// A round of all groups of a pattern at once.
#[derive(Debug, Default)]
pub(super) struct GroupRound {
    /// Largest message inside a domain, as a part of the buffer.
    pub(super) inside: f64,
    /// Messages between domains: from, to, part of the buffer.
    pub(super) across: Vec<(u32, u32, f64)>,
}

impl GroupRound {
    /// What all groups of `groups` send in a round of one of them.
    pub(super) fn of(round: &[Message], groups: GroupPattern, per_domain: u32, gpus: u32) -> Self {
        let GroupPattern { size, stride } = groups;
        let mut all = Self::default();
        for block in (0..gpus).step_by((size * stride) as usize) {
            for base in block..block + stride {
                for &(from, to, part) in round {
                    let (from, to) = (base + from * stride, base + to * stride);
                    let (source, goal) = (from / per_domain, to / per_domain);
                    if from.max(to) >= gpus {
                        continue;
                    }
                    if source == goal {
                        all.inside = all.inside.max(part);
                    } else {
                        all.across.push((source, goal, part));
                    }
                }
            }
        }
        all
    }
}

impl Network {
    /// Recursive halving and doubling: each round lasts as its largest message inside a domain or
    /// those between them.
    pub(super) fn halving(
        &self,
        pricing: &Pricing<'_>,
        latency: RoundLatency,
        protocol: Protocol,
    ) -> Option<Way> {
        let request = pricing.request;
        let scatter = rounds(pricing.shape.ranks, request.op != CollectiveOp::AllReduce);
        let rounds = match request.op {
            CollectiveOp::ReduceScatter => scatter,
            CollectiveOp::AllGather => undone(&scatter),
            CollectiveOp::AllReduce => {
                let gather = undone(&scatter);
                [scatter, gather].concat()
            }
            CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => {
                return None;
            }
        };
        let bytes = request.bytes.as_f64();
        let line = Bandwidth::bytes_per_s(self.domain_rate() * self.cluster.fabric.efficiency);
        let mut way = Way {
            algorithm: CollectiveAlgorithm::HalvingDoubling,
            protocol,
            latency: 0.0,
            transfer: 0.0,
            busy: None,
        };
        for round in rounds {
            let round = GroupRound::of(&round, request.groups, self.per_domain, self.gpus);
            let inside = SimDuration::from_secs_f64(round.inside * bytes / pricing.rates.intra);
            let (alpha, across) = if round.across.is_empty() {
                (latency.inside, SimDuration::ZERO)
            } else {
                let across = self.contention.time(&round.across, bytes, line);
                let ends = round.across.iter().map(|&(from, to, _)| (from, to));
                let slowest = self.slowest_message(ends, protocol);
                (slowest.unwrap_or(latency.across), across)
            };
            way.latency += alpha;
            way.transfer += inside.max(across).as_secs_f64();
        }
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collective::schedule::{GroupLayout, schedule};
    use crate::collective::{CollectiveAlgorithm, CollectiveOp};

    // What is priced is what the schedule sends, message by message.
    #[test]
    fn the_rounds_are_those_of_the_schedule() {
        for ranks in 2..=64 {
            let group = GroupLayout::new(ranks, 1);
            let op = CollectiveOp::ReduceScatter;
            let made = schedule(CollectiveAlgorithm::HalvingDoubling, op, group)
                .expect("halving carries it on any number of ranks");
            let priced = rounds(ranks, true);
            assert_eq!(priced.len(), made.rounds.len(), "{ranks}");
            for (ours, theirs) in priced.iter().zip(&made.rounds) {
                for &(from, to, part) in ours {
                    let pair =
                        |t: &&crate::collective::schedule::Transfer| (t.from, t.to) == (from, to);
                    let pieces = theirs.iter().filter(pair).count() as f64;
                    assert!((part - pieces / f64::from(ranks)).abs() < 1e-12, "{ranks}");
                }
            }
        }
    }
}
