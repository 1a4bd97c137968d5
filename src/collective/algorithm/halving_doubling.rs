//! Recursive halving, then recursive doubling.
//!
//! Beyond a power of two, every second rank of the first few lends its buffer to its neighbour
//! before, and gets its share back after. Source: Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005.
//!
//! Partners at distance 1, 2, 4 … load a fabric differently in every round, and lenders send more than
//! others: no one rate holds for all rounds, so each is priced from its messages.

use crate::collective::algorithm::row::{Plan, Row, TooMany};
use crate::collective::cost::{Cost, Sent};
use crate::collective::group::Group;
use crate::collective::job::Job;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::{DomainFlow, bases};
use crate::collective::schedule::{GroupLayout, Transfer};
use crate::halt;
use crate::units::{Seconds, SimDuration};

pub(super) const ROW: Row = Row {
    plan,
    closed_form: price,
    library: None,
    sent,
    check: check_messages,
    everyone_at_once: false,
    needs_even_domains: false,
};

/// Shares that a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shares {
    /// Every one of them.
    All,
    /// Those of the participants that agree with one in their lower bits, and of their lenders.
    Of { index: u32, step: u32 },
    /// The receiver's.
    Receivers,
}

/// One message between two ranks of a group.
#[derive(Clone, Copy, Debug)]
struct Message {
    from: u32,
    to: u32,
    shares: Shares,
}

/// The ranks that exchange halves, and who lends to whom.
struct Folding {
    ranks: u32,
    extra: u32,
    power: u32,
}

impl Folding {
    fn new(ranks: u32) -> Self {
        let power = 1 << ranks.ilog2();
        Self {
            ranks,
            extra: ranks - power,
            power,
        }
    }

    /// The rank of the `index`-th participant: 0, 2, 4 … as long as neighbours lend, then all.
    const fn rank(&self, index: u32) -> u32 {
        if index < self.extra {
            2 * index
        } else {
            index + self.extra
        }
    }

    /// Number of rounds of the reduce-scatter; lenders get their shares back at the end where `returns` says so.
    fn rounds(&self, returns: bool) -> u32 {
        let lending = u32::from(self.extra > 0);
        lending + self.power.ilog2() + if returns { lending } else { 0 }
    }

    /// One round of the reduce-scatter.
    fn scatter(&self, round: u32) -> Vec<Message> {
        let lending = u32::from(self.extra > 0);
        if round < lending {
            return self.lenders(true, Shares::All);
        }
        let bit = round - lending;
        if bit < self.power.ilog2() {
            self.halve(1 << bit)
        } else {
            self.lenders(false, Shares::Receivers)
        }
    }

    fn lenders(&self, from_lender: bool, shares: Shares) -> Vec<Message> {
        let pairs = (0..self.extra).map(|index| (2 * index + 1, 2 * index));
        let messages = pairs.map(|(lender, other)| {
            let (from, to) = if from_lender {
                (lender, other)
            } else {
                (other, lender)
            };
            Message { from, to, shares }
        });
        messages.collect()
    }

    fn halve(&self, distance: u32) -> Vec<Message> {
        let messages = (0..self.power).map(|index| {
            let partner = index ^ distance;
            Message {
                from: self.rank(index),
                to: self.rank(partner),
                shares: Shares::Of {
                    index: partner,
                    step: 2 * distance,
                },
            }
        });
        messages.collect()
    }

    /// Part of the buffer that a message carries.
    fn part(&self, message: &Message) -> f64 {
        let share = 1.0 / f64::from(self.ranks);
        match message.shares {
            Shares::All => 1.0,
            Shares::Of { index, step } => {
                let goals = self.power / step;
                let lenders = (self.extra + step - 1 - index % step) / step;
                share * f64::from(goals + lenders)
            }
            Shares::Receivers => share,
        }
    }

    /// Transfers of a message, a share each.
    fn transfers(&self, message: &Message) -> Vec<Transfer> {
        let Message { from, to, shares } = *message;
        let add = |share| Transfer::add(from, to, share);
        match shares {
            Shares::All => (0..self.ranks).map(add).collect(),
            Shares::Of { index, step } => {
                let goals = (index % step..self.power).step_by(step as usize);
                let owners = goals.flat_map(|goal| {
                    let first = self.rank(goal);
                    first..=first + u32::from(goal < self.extra)
                });
                owners.map(add).collect()
            }
            Shares::Receivers => vec![Transfer::copy(from, to, to)],
        }
    }
}

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let folding = Folding::new(group.ranks);
    let rounds = 0..folding.rounds(op != CollectiveOp::AllReduce);
    let transfers = |round| {
        let messages = folding.scatter(round);
        messages.iter().flat_map(|m| folding.transfers(m)).collect()
    };
    Plan::reducing(op, group.ranks, rounds.map(transfers).collect())
}

/// Rounds as messages with their parts of the buffer, made one by one.
fn message_rounds(op: CollectiveOp, ranks: u32) -> Option<impl Iterator<Item = Vec<DomainFlow>>> {
    let folding = Folding::new(ranks);
    let count = folding.rounds(op != CollectiveOp::AllReduce);
    let (there, back) = match op {
        CollectiveOp::ReduceScatter => (count, 0),
        CollectiveOp::AllGather => (0, count),
        CollectiveOp::AllReduce => (count, count),
        CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => return None,
    };
    let there = (0..there).map(|round| (round, true));
    let back = (0..back).rev().map(|round| (round, false));
    Some(there.chain(back).map(move |(round, forwards)| {
        halt::check();
        let messages = folding.scatter(round).into_iter();
        let flow = |m: Message| {
            let part = folding.part(&m);
            let (from, to) = if forwards {
                (m.from, m.to)
            } else {
                (m.to, m.from)
            };
            (from, to, part)
        };
        messages.map(flow).collect()
    }))
}

/// Links that messages cross one by one, with twelve for what else a message takes: some three seconds.
const CROSSINGS: f64 = 1.5e8;

/// Checks that its messages are not too many to price one by one.
///
/// # Errors
/// If they are.
fn check_messages(job: &Job, op: CollectiveOp, ranks: u32) -> Result<(), TooMany> {
    let folding = Folding::new(ranks);
    let passes = op.passes().unwrap_or(1.0);
    let groups = f64::from(job.gpus) / f64::from(ranks);
    let messages = passes * groups * f64::from(folding.power) * f64::from(folding.power.ilog2());
    // Two places of a grid are a third of its longest route apart, in the mean.
    let links = job.contention.topology();
    let links = links.map_or(0.0, |topology| f64::from(topology.longest_route()) / 3.0);
    if messages * (12.0 + links) <= CROSSINGS {
        return Ok(());
    }
    Err(TooMany {
        messages: messages as u64,
        most: (CROSSINGS / (12.0 + links)) as u64,
    })
}

/// Each round lasts as its largest message inside a domain or those between them.
fn price(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    let job = group.job;
    let latency = group.round_latency(protocol);
    let line = job.domain_rate() * job.cluster.fabric.efficiency;
    let mut cost = Cost::default();
    for round in message_rounds(group.op, group.shape.ranks)? {
        let round = GroupRound::of(group, &round);
        let inside = (group.buffer() * round.inside / job.message_rate()).rounded();
        let (alpha, across) = if round.across.is_empty() {
            (latency.inside, SimDuration::ZERO)
        } else {
            let ends = round.across.iter().map(|&(from, to, _)| (from, to));
            let slowest = job.slowest_message(ends, protocol);
            let time = job.contention.time(&round.across, group.buffer(), line);
            (slowest, time)
        };
        cost.latency += alpha;
        cost.transfer += Seconds::from(inside.max(across));
    }
    Some(cost)
}

/// A round of all groups of a pattern at once, in parts of the buffer.
#[derive(Debug, Default)]
struct GroupRound {
    /// Largest message inside a domain.
    inside: f64,
    /// Messages between domains.
    across: Vec<DomainFlow>,
}

impl GroupRound {
    fn of(group: &Group<'_>, round: &[DomainFlow]) -> Self {
        let (job, stride) = (group.job, group.pattern.stride);
        let mut all = Self::default();
        for base in bases(group.pattern, job.gpus) {
            halt::check();
            for &(from, to, part) in round {
                let (from, to) = (base + from * stride, base + to * stride);
                let (source, goal) = (from / job.per_domain, to / job.per_domain);
                if from.max(to) >= job.gpus {
                    continue;
                }
                if source == goal {
                    all.inside = all.inside.max(part);
                } else {
                    all.across.push((source, goal, part));
                }
            }
        }
        all
    }
}

/// Bytes that the rounds' messages carry, on average over the ranks of the first group.
fn sent(group: &Group<'_>) -> Sent {
    let (mut inside, mut across) = (0.0, 0.0);
    let domain = |rank: u32| group.rank(0, rank) / group.job.per_domain;
    let rounds = message_rounds(group.op, group.shape.ranks);
    for (from, to, part) in rounds.into_iter().flatten().flatten() {
        if domain(from) == domain(to) {
            inside += part;
        } else {
            across += part;
        }
    }
    let each = group.buffer() / group.ranks();
    Sent {
        inside: each * inside,
        across: each * across,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The messages that are priced carry as many shares as the schedule has transfers between the
    // same two ranks.
    #[test]
    fn the_rounds_are_those_of_the_schedule() {
        let op = CollectiveOp::ReduceScatter;
        for ranks in 2..=64 {
            let Some(Plan::Rounds(made)) = plan(op, GroupLayout::new(ranks, 1)) else {
                panic!("halving carries it on any number of ranks");
            };
            let priced: Vec<_> = message_rounds(op, ranks).expect("it reduces").collect();
            assert_eq!(priced.len(), made.rounds.len(), "{ranks}");
            for (ours, theirs) in priced.iter().zip(&made.rounds) {
                for &(from, to, part) in ours {
                    let pair = |t: &&Transfer| (t.from, t.to) == (from, to);
                    let shares = theirs.iter().filter(pair).count() as f64;
                    assert!((part - shares / f64::from(ranks)).abs() < 1e-12, "{ranks}");
                }
            }
        }
    }
}
