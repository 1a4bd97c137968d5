//! Everyone with everyone at once; a broadcast from its root to all, a send to the next rank.

use crate::collective::algorithm::row::{LibraryPath, Offer, Plan, Protocols, Row};
use crate::collective::cost::{Cost, Sent};
use crate::collective::group::{Group, message_overhead};
use crate::collective::library::LatencyTable;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::{GroupTraffic, Traffic};
use crate::collective::schedule::{GroupLayout, Pipeline, Transfer, reducing};
use crate::units::{Bandwidth, Micros, Seconds};

pub(super) const ROW: Row = Row {
    plan,
    closed_form,
    library: Some(LibraryPath {
        offer,
        protocols: Protocols::AlwaysSimple,
        cost: |group, _| {
            Some(if group.op == CollectiveOp::SendRecv {
                send(group)
            } else {
                exchange(group)
            })
        },
        estimate: |_, _, cost| cost.total(),
    }),
    sent,
    check: |_, _, _| Ok(()),
    everyone_at_once: true,
    needs_even_domains: false,
};

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let ranks = group.ranks;
    let pairs = || {
        let all = (0..ranks).flat_map(move |from| (0..ranks).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to)
    };
    let one_round = |lanes, round| {
        Plan::Stages(Pipeline {
            chunks: Some(1),
            ..Pipeline::of_lanes(lanes, vec![vec![round]])
        })
    };
    let rounds = match op {
        CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
            let to_owner = pairs().map(|(from, to)| Transfer::add(from, to, to));
            reducing(op, vec![to_owner.collect()])?
        }
        CollectiveOp::AllToAll => {
            let round = pairs().map(|(from, to)| Transfer::copy(from, to, from * ranks + to));
            vec![round.collect()]
        }
        CollectiveOp::Broadcast => {
            let sends = (1..ranks).map(|to| Transfer::copy(0, to, 0));
            return Some(one_round(1, sends.collect()));
        }
        CollectiveOp::SendRecv => {
            let sends = (1..ranks).map(|to| Transfer::copy(to - 1, to, to - 1));
            return Some(one_round(ranks, sends.collect()));
        }
    };
    Some(Plan::of_shares(op, ranks, rounds))
}

/// One round per pass in which everyone sends every other rank its `bytes / n`.
fn closed_form(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    let passes = match group.op {
        CollectiveOp::AllToAll => 1.0,
        CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
            group.op.passes()?
        }
        CollectiveOp::SendRecv if protocol == Protocol::Ideal => {
            return Some(Cost {
                latency: group.slowest_latency(protocol),
                transfer: group.buffer() / sender_rate(group, 1.0),
                busy: None,
            });
        }
        CollectiveOp::Broadcast | CollectiveOp::SendRecv => return None,
    };
    let latency = group.slowest_latency(protocol);
    Some(Cost::rounds(1.0, latency, shares(group)).times(passes))
}

/// Time in which every rank sends every other one its share.
fn shares(group: &Group<'_>) -> Seconds {
    let (n, m) = (group.ranks(), group.members());
    let share = group.buffer() / n;
    let inside = share * (m - 1.0) / group.intra;
    let across = group.between.map_or(Seconds::ZERO, |between| {
        share * (n - m) / (between.scattered / m)
    });
    inside.max(across)
}

fn offer(op: CollectiveOp) -> Offer {
    match op {
        CollectiveOp::AllToAll | CollectiveOp::SendRecv => Offer::Chosen,
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => Offer::Never,
    }
}

/// NCCL's all-to-all.
fn exchange(group: &Group<'_>) -> Cost {
    let (n, m) = (group.ranks(), group.members());
    let table = &group.generation().ring;
    let network = if group.crosses() {
        across(group, table)
    } else {
        Micros::ZERO
    };
    let hop = group.job.hop(table, Protocol::Simple);
    let hops = *table.base.of(Protocol::Simple) + network + hop;
    let overhead = message_overhead(group.job, group.buffer() / n) * (n - m);
    Cost {
        latency: Seconds::from(hops) + overhead,
        transfer: shares(group),
        busy: None,
    }
}

/// NCCL's send to the next rank.
fn send(group: &Group<'_>) -> Cost {
    let table = &group.generation().ring;
    let hop = if group.crosses() {
        across(group, table)
    } else {
        group.job.hop(table, Protocol::Simple)
    };
    Cost {
        latency: (*table.base.of(Protocol::Simple) + hop).into(),
        transfer: group.buffer() / sender_rate(group, group.job.collisions(group.pattern)),
        busy: None,
    }
}

/// Latency of the slowest message between domains.
fn across(group: &Group<'_>, table: &LatencyTable) -> Micros {
    let network = group.generation().without_wire(table, Protocol::Simple);
    network + group.plugin() + group.path.slowest.into()
}

/// Rate of a pipeline send: the links between two GPUs of a domain, or the sender's own NICs, its part of
/// shared ones; the slower where the sends of a group take both. `collisions` says how many times longer the
/// slowest takes where flows meet on an uplink.
fn sender_rate(group: &Group<'_>, collisions: f64) -> Bandwidth {
    if !group.crosses() {
        return group.job.neighbour_rate(group.pattern);
    }
    let (job, pattern) = (group.job, group.pattern);
    let chain = GroupTraffic {
        groups: pattern,
        shape: group.shape,
        traffic: Traffic::Chain,
    };
    let outside = job.send_rate(pattern) / (job.contention.slowdown(chain) * collisions);
    if group.shape.members > 1 {
        outside.min(job.message_rate())
    } else {
        outside
    }
}

/// Everyone sends a share to each rank of the other domains in a pass.
fn sent(group: &Group<'_>) -> Sent {
    let remote = group.ranks() - group.members();
    let passes = match group.op {
        CollectiveOp::AllToAll => 1.0,
        CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
            group.op.passes().unwrap_or(1.0)
        }
        // The root sends to all ranks of the other domains.
        CollectiveOp::Broadcast => return group.sent(group.buffer() * remote / group.ranks()),
        CollectiveOp::SendRecv => return group.sent_to_neighbours(),
    };
    group.sent(group.buffer() * passes * remote / group.ranks())
}
