//! Two trees, each with half of the buffer: inner vertices of one are leaves of the other.
//!
//! Source: Sanders, Speck & Träff, Parallel Computing 35(12), 2009.

use itertools::{EitherOrBoth, Itertools};

use crate::collective::algorithm::row::{LibraryPath, Offer, Plan, Protocols, Row};
use crate::collective::algorithm::tree;
use crate::collective::binary_tree;
use crate::collective::cost::{Cost, Sent};
use crate::collective::group::{Group, Trees, lines, slots};
use crate::collective::library::TABLES;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Transfer, reversed};
use crate::units::{Bandwidth, Micros, Seconds};

pub(super) const ROW: Row = Row {
    plan,
    closed_form,
    library: Some(LibraryPath {
        offer: |op| {
            if matches!(op, CollectiveOp::AllReduce) {
                Offer::Chosen
            } else {
                Offer::Never
            }
        },
        protocols: Protocols::All,
        cost: |group, protocol| Some(kernel(group, protocol)),
        estimate: |group, protocol, _| estimate(group, protocol),
    }),
    sent,
    check: |_, _, _| Ok(()),
    everyone_at_once: false,
    needs_even_domains: false,
};

/// Both trees stage by stage.
pub(super) fn both(first: Rounds, second: Rounds) -> Rounds {
    let stages = first.into_iter().zip_longest(second);
    stages
        .map(|stage| match stage {
            EitherOrBoth::Both(first, second) => [first, second].concat(),
            EitherOrBoth::Left(stage) | EitherOrBoth::Right(stage) => stage,
        })
        .collect()
}

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let (forwards, backwards) = (tree::first(group), tree::second(group));
    let passes = match op {
        CollectiveOp::AllReduce => {
            let up = both(forwards, backwards);
            let down = reversed(&up);
            vec![up, down]
        }
        CollectiveOp::Broadcast => {
            // The root of the second tree gets its half first, chunk by chunk.
            let root = tree::second_rank(group, 0, 0);
            let mut second = vec![vec![Transfer::copy(0, root, 1)]];
            second.extend(reversed(&backwards));
            vec![both(reversed(&forwards), second)]
        }
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Plan::Stages(Pipeline::of_lanes(2, passes)))
}

/// Latencies up and down, and the bytes at the rate of the links.
fn closed_form(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    if group.op != CollectiveOp::AllReduce || protocol != Protocol::Ideal {
        return None;
    }
    let trees = group.trees();
    let inside = group.round_latency(protocol).inside * f64::from(group.shape.members.ilog2());
    let outside = trees.map_or(Seconds::ZERO, |trees| trees.path.latency);
    Some(Cost {
        latency: (inside + outside) * 2.0,
        transfer: group.buffer() / links(group, trees),
        busy: None,
    })
}

/// Rate at which a buffer goes up and down again on the links: a chain inside each domain passes it on
/// once each way, the trees between them take the links that their edges do.
fn links(group: &Group<'_>, trees: Option<Trees>) -> Bandwidth {
    let outside = trees.map(|trees| trees.rate);
    let slower = inside(group)
        .into_iter()
        .chain(outside)
        .reduce(Bandwidth::min);
    slower.unwrap_or(group.intra)
}

/// Rate at which chains inside the domains pass a buffer on each way; `None` where a domain has one member.
fn inside(group: &Group<'_>) -> Option<Bandwidth> {
    match &group.between {
        None => Some(group.intra / 2.0),
        Some(between) => (group.shape.members > 1).then(|| between.through / 2.0),
    }
}

/// NCCL's tree on the links of a job: a chain inside each domain, a double binary tree between them.
///
/// Between two domains it moves each byte once per direction, a ring twice: its bus bandwidth may be
/// twice the NICs' rate.
fn kernel(group: &Group<'_>, protocol: Protocol) -> Cost {
    let (table, latencies) = (&TABLES.tree, &group.generation().tree);
    let trees = group.trees();
    let hop = group.job.hop(latencies, protocol) + lines(protocol, group.bytes);
    let across = trees.map_or(Micros::ZERO, |trees| {
        group.across_by(&trees.path, latencies, protocol) * slots(protocol, group.bytes)
    });
    let chain = hop * f64::from(group.shape.members - 1);
    let latency = *latencies.base.of(protocol) + (chain + across) * 2.0;
    let transfer = group.buffer() * 2.0 / capped(group, protocol, trees);
    let message = group.buffer() / f64::from(table.messages);
    // Bulk chunks agree on their way up and again on that down; lines go down while others still go up.
    let agreed = protocol.messages_per_hop();
    let crossings = trees.map_or(0.0, |trees| agreed * trees.path.messages);
    Cost {
        latency: latency.into(),
        transfer: group.across(transfer, message, crossings),
        busy: None,
    }
}

/// Part of their volume bound that trees between so many domains reach.
fn reached(domains: u32) -> f64 {
    if binary_tree::has_forks(domains) {
        TABLES.fitted.deep_tree
    } else {
        1.0
    }
}

/// Bus bandwidth under the ceilings of a protocol, with NCCL's correction by size; on NVLink trees keep 92%.
fn capped(group: &Group<'_>, protocol: Protocol, trees: Option<Trees>) -> Bandwidth {
    let channels = if group.crosses() {
        group.job.searched_channels(group.shape.members)
    } else {
        f64::from(group.generation().channels.inside.max(1))
    };
    let ceiling = group.generation().tree_channel.on(group.shape.domains) * channels;
    let inside = inside(group).map(|rate| rate * 2.0 * 0.92);
    let outside = trees.map(|trees| trees.rate * 2.0 * reached(group.shape.domains));
    let rate = match protocol {
        Protocol::Ll | Protocol::Ll128 => {
            let outside = outside.map(|rate| rate * 0.92);
            let full = inside
                .into_iter()
                .chain(outside)
                .fold(ceiling, Bandwidth::min);
            flagged(group, protocol, full, channels)
        }
        Protocol::Simple | Protocol::Ideal => inside
            .into_iter()
            .chain(outside)
            .fold(ceiling, Bandwidth::min),
    };
    rate * TABLES.tree.kept(protocol, group.bytes)
}

/// Rate of a tree that the flags of LL and LL128 leave, under their own ceilings.
fn flagged(group: &Group<'_>, protocol: Protocol, full: Bandwidth, channels: f64) -> Bandwidth {
    let (generation, domains) = (group.generation(), group.shape.domains);
    match protocol {
        Protocol::Ll => (full / 3.8).min(generation.ll.on(domains)),
        Protocol::Ll128 => {
            let share = if group.crosses() {
                120.0 / 128.0
            } else {
                7.0 / 9.0
            };
            (full * share).min(generation.tree_channel_ll128.on(domains) * channels)
        }
        Protocol::Simple | Protocol::Ideal => full,
    }
}

/// Time that NCCL expects of the channels that its search finds: on two nodes at their rate inside the node, up
/// to twice that of the NICs.
fn estimate(group: &Group<'_>, protocol: Protocol) -> Seconds {
    let table = &group.generation().tree;
    let links = group.job.cluster.scale_up.kind;
    let chain = table.hop(links, protocol) * f64::from(group.shape.members - 1);
    let across = *table.network.of(protocol) * group.estimated_depth();
    let latency = *table.base.of(protocol) + (chain + across) * 2.0;
    let (job, members) = (group.job, group.shape.members);
    let (rate, channels) = if !group.crosses() {
        let channels = f64::from(group.generation().channels.inside.max(1));
        (group.intra, channels)
    } else if group.shape.domains == 2 {
        let twice = job.estimated_nics(members) * 2.0;
        (twice.min(group.intra), job.searched_channels(members))
    } else {
        (group.estimated_ring_rate(), job.searched_channels(members))
    };
    let ceiling = group
        .generation()
        .tree_channel
        .in_estimates(group.shape.domains)
        * channels;
    let full = (rate * 0.92).min(ceiling);
    let rate = flagged(group, protocol, full, channels);
    let rate = rate * TABLES.tree.correction(protocol, group.bytes);
    Seconds::from(latency) + group.buffer() * 2.0 / rate
}

/// Bytes that a rank sends; the root of a broadcast gives the second tree's root its half first.
fn sent(group: &Group<'_>) -> Sent {
    let mut sent = tree::sent(group);
    if group.op == CollectiveOp::Broadcast {
        let half = group.buffer() / 2.0 / group.ranks();
        if group.crosses() {
            sent.across += half;
        } else {
            sent.inside += half;
        }
    }
    sent
}
