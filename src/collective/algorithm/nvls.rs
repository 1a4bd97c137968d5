//! Reduction inside the switches: one of each domain sums what its ranks send. Between domains the
//! fabric's switches sum what the domains send, or two binary trees of the domains' switches do where
//! the fabric cannot. The result goes back along the same path while later chunks still go up.

use crate::collective::algorithm::double_binary_tree::both;
use crate::collective::algorithm::row::{LibraryPath, Offer, Plan, Protocols, Row};
use crate::collective::algorithm::{ring, tree};
use crate::collective::binary_tree;
use crate::collective::cost::{Cost, Sent};
use crate::collective::group::Group;
use crate::collective::library::{Nvls, TABLES};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Pipeline, Transfer, reversed};
use crate::units::{Bandwidth, Micros, Seconds, Volume};

pub(super) const ROW: Row = Row {
    plan,
    closed_form,
    library: Some(LibraryPath {
        offer,
        protocols: Protocols::SimpleOnly,
        cost: |group, _| {
            let nvls = kernel(group)?;
            Some(if group.op == CollectiveOp::AllReduce {
                all_reduce(group, nvls)
            } else {
                one_pass(group)
            })
        },
        estimate: |group, _, cost| kernel(group).map_or(cost.total(), |nvls| estimate(group, nvls)),
    }),
    sent,
    check: |_, _, _| Ok(()),
    everyone_at_once: false,
    needs_even_domains: false,
};

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let GroupLayout {
        ranks,
        members,
        fabric_reduces,
        ..
    } = group;
    if op != CollectiveOp::AllReduce || members < 2 || !ranks.is_multiple_of(members) {
        return None;
    }
    let domains = ranks / members;
    let fabric = fabric_reduces && domains > 1;
    // Two trees between the domains, as inner vertices of one are leaves of the other.
    let lanes = if fabric || domains == 1 { 1 } else { 2 };
    let inside = (0..lanes).flat_map(|lane| {
        (0..ranks).map(move |rank| Transfer::add(rank, ranks + rank / members, lane))
    });
    let mut stages = vec![inside.collect()];
    if fabric {
        let root = ranks + domains;
        stages.push(
            (ranks..root)
                .map(|switch| Transfer::add(switch, root, 0))
                .collect(),
        );
    } else if lanes == 2 {
        let heads = GroupLayout {
            ranks: domains,
            members: 1,
            ..group
        };
        let first = tree::upward(heads, 0, |domain, _| ranks + domain);
        let second = tree::upward(heads, 1, |position, _| {
            ranks + binary_tree::second(position, domains)
        });
        stages.extend(both(first, second));
    }
    let down = reversed(&stages);
    stages.extend(down);
    Some(Plan::Stages(Pipeline {
        switches: domains + u32::from(fabric),
        ..Pipeline::of_lanes(lanes, vec![stages])
    }))
}

/// Latencies up to the switch of a domain and those between them, and down again; the bytes at the rate of the links.
fn closed_form(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    let reduces = group.job.cluster.scale_up.in_network_reduction && group.shape.is_even();
    let carries = group.op == CollectiveOp::AllReduce && group.shape.members > 1;
    if protocol != Protocol::Ideal || !reduces || !carries {
        return None;
    }
    let (outside, rate) = match (&group.between, group.trees()) {
        (Some(between), _) if group.job.reduces_between() => (group.path.slowest, between.inter),
        (_, Some(trees)) => (trees.path.latency * 2.0, trees.rate),
        _ => (Seconds::ZERO, group.intra),
    };
    Some(Cost {
        latency: group.round_latency(protocol).inside + outside,
        transfer: group.buffer() / rate.min(group.intra),
        busy: None,
    })
}

/// All-gather and reduce-scatter only on request: NCCL's ring carries them as fast, with fewer
/// conditions on the NICs.
fn offer(op: CollectiveOp) -> Offer {
    match op {
        CollectiveOp::AllReduce => Offer::Chosen,
        CollectiveOp::AllGather | CollectiveOp::ReduceScatter => Offer::OnRequest,
        CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => Offer::Never,
    }
}

/// Constants of NVLS; `None` without in-network reduction or with five or fewer ranks per domain, where NCCL
/// uses rings.
fn kernel(group: &Group<'_>) -> Option<&'static Nvls> {
    let nvls = group.generation().nvls.as_ref();
    nvls.filter(|_| group.job.cluster.scale_up.in_network_reduction && group.shape.members > 5)
}

/// Reduction in NVLink switches, between domains by InfiniBand switches or a tree.
///
/// `t = latency + bytes / rate + f · parallel · chunk / stage`: chunks move through the stages one
/// behind the other, and the last one waits for `f` of them, one for the way back from the switch,
/// or one at each hop of the tree up and down, where it passes the NICs once.
fn all_reduce(group: &Group<'_>, nvls: &Nvls) -> Cost {
    let (table, fitted) = (&TABLES.nvls, &TABLES.fitted);
    let buffer = group.buffer();
    let parallel = f64::from(nvls.channels) * group.members();
    let pass = table.pass + group.job.further_inside();
    let each = group.plugin() - group.generation().wire();
    let (latency, chunk, waits, rate, stage) = match (&group.between, group.trees()) {
        (Some(between), _) if group.job.reduces_between() => {
            let chunk = table.chunk(nvls.chunk, parallel, group.bytes);
            let inside = rate_inside(group, nvls, chunk, parallel);
            let latency = pass + table.network + each + group.path.slowest.into();
            let rate = inside.min(between.inter) * fitted.sharp_share;
            (latency, chunk, 2.0, rate, rate)
        }
        (Some(between), Some(trees)) => {
            let chunk = table.tree_chunk(group.shape.domains, parallel, group.bytes);
            let inside = rate_inside(group, nvls, chunk, parallel) * fitted.nvls_tree_share;
            let hops = (table.tree_network + each) * trees.path.messages;
            let latency = pass + (hops + trees.path.latency.into()) * 2.0;
            let waits = 2.0 * trees.path.messages;
            (
                latency,
                chunk,
                waits,
                inside.min(trees.rate),
                inside.min(between.inter),
            )
        }
        _ => {
            let chunk = table.chunk(nvls.chunk, parallel, group.bytes);
            let rate = rate_inside(group, nvls, chunk, parallel);
            (pass, chunk, 1.0, rate, rate)
        }
    };
    let in_flight = chunk * parallel;
    let in_flight = if in_flight < buffer {
        in_flight
    } else {
        buffer
    };
    let fill = in_flight * waits / stage;
    Cost {
        latency: latency.into(),
        transfer: buffer / rate + fill + group.window(),
        busy: None,
    }
}

/// Times that a byte passes the NICs of an inner domain of the tree in NCCL's own estimate.
const fn tree_passes(group: &Group<'_>) -> f64 {
    if group.shape.domains == 2 { 1.0 } else { 2.0 }
}

/// Rate at which NVLS reduces a buffer inside a domain in chunks of a size.
fn rate_inside(group: &Group<'_>, nvls: &Nvls, chunk: Volume, parallel: f64) -> Bandwidth {
    let m = group.members();
    let line = group.job.cluster.scale_up.bandwidth;
    let bus = line * nvls.bus_over_line() * (8.0 / 7.0 * (m - 1.0) / m).min(1.0);
    let whole = (bus * m / (2.0 * (m - 1.0))).min(group.intra);
    let lost = TABLES.fitted.nvls_synchronisation_s * whole.as_bytes_per_s() / parallel;
    let busy = |chunk: Volume| chunk.get() / (chunk.get() + lost);
    whole * busy(chunk) / busy(nvls.chunk)
}

/// All-gather or reduce-scatter through the switches: one pass, at the rate of the links.
fn one_pass(group: &Group<'_>) -> Cost {
    let table = &TABLES.nvls;
    let network = if group.crosses() {
        table.network + group.plugin() - group.generation().wire() + group.path.slowest.into()
    } else {
        Micros::ZERO
    };
    Cost {
        latency: (table.pass + group.job.further_inside() + network).into(),
        transfer: group.buffer() * ring::moved(group) / group.ring_rate() + group.window(),
        busy: None,
    }
}

/// Time that NCCL expects of its 16 channels.
fn estimate(group: &Group<'_>, nvls: &Nvls) -> Seconds {
    let channels = 16.0;
    let inside = group.intra * nvls.efficiency * (channels - 1.0) / channels;
    let (n, m) = (group.ranks(), group.members());
    let (latency, rate) = match &group.between {
        Some(_) => {
            let hops = TABLES.nvls.tree_network * (2.0 * group.estimated_depth());
            let outside = group.job.estimated_nics(group.shape.members) / tree_passes(group);
            let rate = inside.min(outside) * n / (n - 1.0);
            (hops, rate * corrected(group, nvls))
        }
        None => (Micros::ZERO, inside * m / (m - 1.0)),
    };
    Seconds::from(TABLES.nvls.pass + latency) + group.buffer() / rate
}

/// NCCL's factor on the bandwidth of NVLSTree: that of the tree on servers with x86 hosts, none in racks, whose hosts
/// are Arm.
fn corrected(group: &Group<'_>, nvls: &Nvls) -> f64 {
    let cluster = &group.job.cluster;
    if nvls.tree_corrected && cluster.domain_gpus == cluster.gpus_per_node {
        TABLES.tree.correction(Protocol::Simple, group.bytes)
    } else {
        1.0
    }
}

/// Every rank sends its buffer to the switch once, and the switch the sum for all members: to the switches
/// between domains once, along the trees between them 2 (d − 1) / d times on average.
fn sent(group: &Group<'_>) -> Sent {
    let (buffer, m) = (group.buffer(), group.members());
    if group.op != CollectiveOp::AllReduce {
        let inside = group.sent_in_all();
        let across = if group.crosses() {
            inside / m
        } else {
            Volume::ZERO
        };
        return Sent { inside, across };
    }
    let domains = group.domains();
    let leaves = if group.job.reduces_between() {
        f64::from(u8::from(group.crosses()))
    } else {
        2.0 * (domains - 1.0) / domains
    };
    Sent {
        inside: buffer * (1.0 + 1.0 / m),
        across: buffer * leaves / m,
    }
}
