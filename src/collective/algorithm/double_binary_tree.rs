//! Two trees, each with half of the buffer: the second counts the ranks backwards, so that inner
//! vertices of one are leaves of the other.
//!
//! Source: Sanders, Speck & Träff, Parallel Computing 35(12), 2009.

use itertools::{EitherOrBoth, Itertools};

use crate::collective::algorithm::row::{LibraryPath, Offer, Plan, Protocols, Row};
use crate::collective::algorithm::tree;
use crate::collective::cost::Cost;
use crate::collective::group::{Group, lines, slots};
use crate::collective::library::TABLES;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Transfer, reversed};
use crate::units::{Bandwidth, Micros, Seconds, Volume};

pub(super) const ROW: Row = Row {
    plan,
    closed_form: |_, _| None,
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
    sent: tree::sent,
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
    let last = group.ranks - 1;
    let forwards = tree::upward(group, 0, |position| position);
    let backwards = tree::upward(group, 1, |position| last - position);
    let passes = match op {
        CollectiveOp::AllReduce => {
            let up = both(forwards, backwards);
            let down = reversed(&up);
            vec![up, down]
        }
        CollectiveOp::Broadcast => {
            // The root of the second tree is the last rank: it gets its half first, chunk by chunk.
            let mut second = vec![vec![Transfer::copy(0, last, 1)]];
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

/// NCCL's tree on the links of a job: a chain inside each domain, a double binary tree between them.
///
/// Between two domains it moves each byte once per direction, a ring twice: its bus bandwidth may be
/// twice the NICs' rate.
fn kernel(group: &Group<'_>, protocol: Protocol) -> Cost {
    let table = &TABLES.tree;
    let network = (*table.latency.network.of(protocol)
        + group.plugin() * protocol.messages_per_hop())
        * slots(protocol, group.bytes);
    let hop = hop(group, protocol) + lines(protocol, group.bytes);
    let latency = latency(group, protocol, hop, network);
    let links = match &group.between {
        None => group.intra,
        Some(between) => {
            // Each inner vertex of a deep tree receives from two children what it sends on.
            let share = if group.shape.domains == 2 {
                2.0
            } else {
                TABLES.fitted.deep_tree
            };
            let outside = between.inter * share;
            if group.shape.members > 1 {
                between.through.min(outside)
            } else {
                outside
            }
        }
    };
    let transfer = group.buffer() * 2.0 / capped(group, protocol, links);
    let message = group.buffer() / f64::from(table.channels);
    Cost {
        latency: latency.into(),
        transfer: group.across(transfer, message, 2.0 * group.depth()),
        busy: None,
    }
}

fn hop(group: &Group<'_>, protocol: Protocol) -> Micros {
    let links = group.job.cluster.scale_up.kind;
    TABLES.tree.latency.hop(links, protocol)
}

/// Latency up the tree and down: the chain inside a domain, and the tree between them.
fn latency(group: &Group<'_>, protocol: Protocol, hop: Micros, network: Micros) -> Micros {
    let chain = hop * f64::from(group.shape.members - 1);
    *TABLES.tree.latency.base.of(protocol) + (chain + network * group.depth()) * 2.0
}

/// Rate on links of a rate under the ceilings of a protocol, with NCCL's correction by size.
fn capped(group: &Group<'_>, protocol: Protocol, links: Bandwidth) -> Bandwidth {
    let (generation, domains) = (group.generation(), group.shape.domains);
    let channels = f64::from(if group.crosses() {
        TABLES.tree.channels
    } else {
        generation.channels.inside.max(1)
    });
    let full = (links * 0.92).min(generation.tree.on(domains) * channels);
    let rate = match protocol {
        Protocol::Ll => (full / 3.8).min(generation.ll.on(domains)),
        Protocol::Ll128 => {
            let share = if group.crosses() {
                120.0 / 128.0
            } else {
                7.0 / 9.0
            };
            (full * share).min(generation.tree_ll128.on(domains) * channels)
        }
        Protocol::Simple | Protocol::Ideal => full,
    };
    rate * TABLES.tree.correction(protocol, group.bytes)
}

fn estimate(group: &Group<'_>, protocol: Protocol) -> Seconds {
    let network = *TABLES.tree.latency.network.of(protocol);
    let latency = latency(group, protocol, hop(group, protocol), network);
    let transfer: Volume = group.buffer() * 2.0;
    Seconds::from(latency) + transfer / capped(group, protocol, group.ring_rate())
}
