//! Ring algorithm: rounds, closed-form cost and NCCL cost, with the constants of `data/libraries/`. Shares
//! travel around the ring; a broadcast travels along it in chunks.
//!
//! Source: Patarasuk & Yuan, JPDC 69(2), 2009.

use crate::collective::algorithm::row::{LibraryPath, Offer, Plan, Protocols, Row};
use crate::collective::contention::CriticalPath;
use crate::collective::cost::Cost;
use crate::collective::group::{Group, lines, slots};
use crate::collective::library::TABLES;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Transfer, reducing_by};
use crate::units::{Bandwidth, Micros, Seconds};

pub(super) const ROW: Row = Row {
    plan,
    closed_form,
    library: Some(LibraryPath {
        offer,
        protocols: Protocols::All,
        cost: |group, protocol| Some(kernel(group, protocol)),
        estimate: |group, protocol, _| estimate(group, protocol),
    }),
    sent: |group| group.sent_to_neighbours(),
    check: |_, _, _| Ok(()),
    everyone_at_once: false,
    needs_even_domains: false,
};

/// In round `t` rank `r` hands the partial sum of share `r − 1 − t` on, so that share `r` is
/// complete on rank `r` after `n − 1` rounds.
pub(super) fn scatter(ranks: u32) -> Rounds {
    let share = |rank, round| (rank + 2 * ranks - 1 - round) % ranks;
    around(ranks, true, share)
}

/// In round `t` rank `r` hands share `r − t` on, so that every rank has every share after `n − 1`
/// rounds, the same way round as in [`scatter`].
pub(super) fn gather(ranks: u32) -> Rounds {
    around(ranks, false, |rank, round| (rank + ranks - round) % ranks)
}

fn around(ranks: u32, adds: bool, share: impl Fn(u32, u32) -> u32) -> Rounds {
    let transfer = |round: u32, rank: u32| Transfer {
        adds,
        ..Transfer::copy(rank, (rank + 1) % ranks, share(rank, round))
    };
    (0..ranks - 1)
        .map(|round| (0..ranks).map(|rank| transfer(round, rank)).collect())
        .collect()
}

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let ranks = group.ranks;
    if op == CollectiveOp::Broadcast {
        let stage = |rank| vec![Transfer::copy(rank, rank + 1, 0)];
        let stages = (0..ranks - 1).map(stage).collect();
        return Some(Plan::Stages(Pipeline::of_lanes(1, vec![stages])));
    }
    Some(Plan::of_shares(
        op,
        ranks,
        reducing_by(op, scatter(ranks), gather(ranks))?,
    ))
}

/// Latencies of the hand-overs of a share, one behind the other, and the bytes at the rate of the slowest
/// link: shares follow each other without waiting for all ranks.
///
/// As in NCCL the share counts that begins at the first rank of a domain.
fn closed_form(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    if offer(group.op) == Offer::Never {
        return None;
    }
    let work = Work::of(group);
    let inside = group.round_latency(protocol).inside;
    let latency = inside * (work.steps - work.crossings()) + group.path.latency * work.passes;
    let round = group.buffer() * work.moved / work.steps / group.ring_rate();
    Some(Cost {
        latency,
        transfer: round.whole_picos() * work.steps,
        busy: None,
    })
}

fn offer(op: CollectiveOp) -> Offer {
    match op {
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => Offer::Chosen,
        CollectiveOp::AllToAll | CollectiveOp::SendRecv => Offer::Never,
    }
}

/// Hand-overs of a ring, and bytes per rank over the buffer.
struct Work<'a> {
    passes: f64,
    steps: f64,
    path: &'a CriticalPath,
    moved: f64,
}

impl<'a> Work<'a> {
    fn of(group: &'a Group<'_>) -> Self {
        let passes = group.op.passes().unwrap_or(1.0);
        let n = group.ranks();
        Self {
            passes,
            steps: passes * (n - 1.0),
            path: &group.path,
            moved: if group.op == CollectiveOp::Broadcast {
                1.0
            } else {
                passes * (n - 1.0) / n
            },
        }
    }

    /// Hand-overs that leave a domain.
    fn crossings(&self) -> f64 {
        self.passes * self.path.messages
    }
}

/// Bytes that each rank sends, as a multiple of the buffer: 2(n − 1)/n for an all-reduce.
pub(super) fn moved(group: &Group<'_>) -> f64 {
    Work::of(group).moved
}

/// NCCL's ring on the links of a job.
fn kernel(group: &Group<'_>, protocol: Protocol) -> Cost {
    let work = Work::of(group);
    let own = group.job.ring_step();
    // No protocol hands on faster than LL does.
    let step = match protocol {
        Protocol::Ll => own + lines(protocol, group.bytes),
        Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => hop(group, protocol).max(own),
    };
    let table = group.generation().between(group.shape.members);
    let across = group.across_by(work.path, table, protocol) * slots(protocol, group.bytes)
        + group.unawaited(work.path.messages);
    let step = with_proxy(group, protocol, step);
    let latency = *group.generation().ring.base.of(protocol)
        + step * (work.steps - work.crossings())
        + across * work.passes;
    let transfer = group.buffer() * work.moved / capped(group, protocol, group.ring_rate());
    let share = group.buffer() / group.ranks();
    Cost {
        latency: latency.into(),
        transfer: group.across(transfer, share, work.crossings()),
        busy: None,
    }
}

fn hop(group: &Group<'_>, protocol: Protocol) -> Micros {
    group.job.hop(&group.generation().ring, protocol)
}

/// A step that the host's proxy takes part in where the ring leaves the node.
fn with_proxy(group: &Group<'_>, protocol: Protocol, step: Micros) -> Micros {
    if group.crosses() {
        step.max(*TABLES.ring.proxy.of(protocol))
    } else {
        step
    }
}

fn capped(group: &Group<'_>, protocol: Protocol, links: Bandwidth) -> Bandwidth {
    let rate = links * *TABLES.ring.rate.of(protocol);
    match protocol {
        Protocol::Ll => rate.min(group.generation().ll.on(group.shape.domains)),
        Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => rate,
    }
}

fn estimate(group: &Group<'_>, protocol: Protocol) -> Seconds {
    let work = Work::of(group);
    let links = group.job.cluster.scale_up.kind;
    let step = group.generation().ring.hop(links, protocol);
    let step = with_proxy(group, protocol, step);
    let network = *group
        .generation()
        .between(group.shape.members)
        .network
        .of(protocol);
    let mut latency = *group.generation().ring.base.of(protocol)
        + step * (work.steps - work.crossings())
        + network * work.crossings();
    let channels = f64::from(group.generation().channels.between.max(1));
    let long = (group.buffer() / (channels * group.ranks())).get() >= 64.0;
    let bulk = protocol == Protocol::Simple && group.op == CollectiveOp::AllReduce;
    if bulk && group.crosses() && long {
        latency = latency * group.generation().plateau;
    }
    let rate = capped(group, protocol, group.estimated_ring_rate());
    Seconds::from(latency) + group.buffer() * work.moved / rate
}
