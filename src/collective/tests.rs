//! Collectives on ideal links with every rank, message and link simulated by itself: what the closed
//! forms are held against.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::collective::schedule::{GroupLayout, Schedule, Transfer, schedule};
use crate::collective::{
    CollectiveAlgorithm, CollectiveOp, CollectiveRequest, GroupPattern, Network, Protocol,
};
use crate::des::{Flow, FlowLink, finish_times};
use crate::hardware::{Cluster, FabricTopology, Topology, TopologyKind, TopologySize};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

/// Sender, receiver, bytes.
type Message = (u32, u32, f64);

/// Every link of a job: a port out and in per GPU, the NICs of a domain out and in, and the fabric's.
struct Job {
    links: Vec<FlowLink>,
    per_domain: u32,
    gpus: u32,
    domains: u32,
    fabric: Topology,
}

impl Job {
    fn of(cluster: &Cluster, gpus: u32) -> Option<Self> {
        let per_domain = cluster.gpus_per_node.min(gpus);
        let domains = gpus.div_ceil(per_domain);
        let size = TopologySize {
            devices: domains.max(2),
            per_leaf: cluster.fabric.nodes_per_leaf,
            oversubscription: cluster.fabric.oversubscription,
        };
        let FabricTopology::Kind(kind) = cluster.fabric.topology else {
            return None;
        };
        let fabric = Topology::build(kind, size).ok()?;
        let port = cluster
            .scale_up
            .bandwidth
            .scaled(cluster.scale_up.efficiency);
        let nics = cluster
            .nic_bandwidth
            .scaled(f64::from(cluster.nics_per_node) * cluster.fabric.efficiency);
        let link = |capacity: Bandwidth| FlowLink {
            capacity,
            latency: SimDuration::ZERO,
        };
        let mut links = vec![link(port); 2 * gpus as usize];
        links.extend(vec![link(nics); 2 * domains as usize]);
        let between = fabric.graph().links().iter();
        links.extend(between.map(|between| link(nics.scaled(between.capacity))));
        Some(Self {
            links,
            per_domain,
            gpus,
            domains,
            fabric,
        })
    }

    fn crosses(&self, from: u32, to: u32) -> bool {
        from / self.per_domain != to / self.per_domain
    }

    /// The links of a message; `None` where the fabric spreads it over several ways.
    fn route(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        if !self.crosses(from, to) {
            return Some(vec![2 * from, 2 * to + 1]);
        }
        let (source, goal) = (from / self.per_domain, to / self.per_domain);
        let (nics, fabric) = (2 * self.gpus, 2 * self.gpus + 2 * self.domains);
        let mut route = vec![nics + 2 * source];
        let mut whole = true;
        self.fabric.route(source, goal, &mut |link, share| {
            whole &= (share - 1.0).abs() < 1e-12;
            route.push(fabric + link);
        });
        route.push(nics + 2 * goal + 1);
        whole.then_some(route)
    }

    /// Time that messages `(from, to, bytes)` take when all start at once.
    fn round(&self, messages: &[Message]) -> Option<SimDuration> {
        let flows: Option<Vec<Flow>> = messages
            .iter()
            .map(|&(from, to, bytes)| {
                Some(Flow {
                    start: SimTime::ZERO,
                    bytes: Bytes::from_f64(bytes),
                    route: self.route(from, to)?,
                })
            })
            .collect();
        let last = finish_times(&self.links, &flows?).into_iter().max()?;
        Some(last - SimTime::ZERO)
    }
}

/// Ranks of the groups of a pattern that are whole.
fn groups(pattern: GroupPattern, gpus: u32) -> Vec<Vec<u32>> {
    let GroupPattern { size, stride } = pattern;
    let mut all = Vec::new();
    for block in (0..gpus).step_by((size * stride) as usize) {
        for base in block..block + stride {
            let ranks: Vec<u32> = (0..size).map(|i| base + i * stride).collect();
            if ranks.iter().all(|rank| *rank < gpus) {
                all.push(ranks);
            }
        }
    }
    all
}

/// The ways in which the ranks of a group are numbered at once, each for an equal part of the bytes.
/// Rings leave each domain by another member, and all rings go both ways round.
fn numberings(ranks: &[u32], members: u32, algorithm: CollectiveAlgorithm) -> Vec<Vec<u32>> {
    if algorithm == CollectiveAlgorithm::Hierarchical {
        return vec![ranks.to_vec(), ranks.iter().rev().copied().collect()];
    }
    if algorithm != CollectiveAlgorithm::Ring {
        return vec![ranks.to_vec()];
    }
    let turned = |turn: usize| -> Vec<u32> {
        ranks
            .chunks(members as usize)
            .flat_map(|domain| {
                let mut domain = domain.to_vec();
                let places = domain.len();
                domain.rotate_left(turn % places);
                domain
            })
            .collect()
    };
    (0..members as usize)
        .flat_map(|turn| {
            let there = turned(turn);
            let back = there.iter().rev().copied().collect();
            [there, back]
        })
        .collect()
}

/// The round's messages of all groups, those of one pair together.
fn messages(round: &[Transfer], numberings: &[Vec<u32>], piece: f64) -> Vec<Message> {
    let mut sent = BTreeMap::new();
    for numbering in numberings {
        for transfer in round {
            let from = numbering[transfer.from as usize];
            let to = numbering[transfer.to as usize];
            *sent.entry((from, to)).or_insert(0.0) += piece;
        }
    }
    let messages = sent.into_iter();
    messages
        .map(|((from, to), bytes)| (from, to, bytes))
        .collect()
}

/// Time of an ideal collective with every rank simulated, and its rounds; `None` where it has no
/// schedule there, or the fabric spreads one message over several ways.
fn every_rank(
    cluster: &Cluster,
    gpus: u32,
    request: &CollectiveRequest,
) -> Option<(SimDuration, usize)> {
    let job = Job::of(cluster, gpus)?;
    let network = Network::new(cluster, gpus).ok()?;
    let shape = network.shape(request.groups);
    let layout = GroupLayout {
        ranks: shape.ranks,
        members: shape.members,
    };
    let algorithm = request.algorithm?;
    let made: Schedule = schedule(algorithm, request.op, layout).ok()?;
    let all: Vec<Vec<u32>> = groups(request.groups, gpus)
        .iter()
        .flat_map(|ranks| numberings(ranks, shape.members, algorithm))
        .collect();
    let parts = match algorithm {
        CollectiveAlgorithm::Ring => 2.0 * f64::from(shape.members),
        CollectiveAlgorithm::Hierarchical => 2.0,
        CollectiveAlgorithm::Tree
        | CollectiveAlgorithm::DoubleBinaryTree
        | CollectiveAlgorithm::HalvingDoubling
        | CollectiveAlgorithm::Direct
        | CollectiveAlgorithm::Nvls => 1.0,
    };
    let piece = request.bytes.as_f64() * made.piece_of_buffer() / parts;
    let mut time = SimDuration::ZERO;
    let mut known: Vec<(Vec<Message>, SimDuration)> = Vec::new();
    for round in &made.rounds {
        let sent = messages(round, &all, piece);
        let crosses = sent.iter().any(|&(from, to, _)| job.crosses(from, to));
        let latency = if crosses {
            cluster.fabric.latency
        } else {
            cluster.scale_up.latency
        };
        let before = known.iter().find(|(before, _)| *before == sent);
        let took = if let Some((_, took)) = before {
            *took
        } else {
            let took = job.round(&sent)?;
            known.push((sent, took));
            took
        };
        time += latency + took;
    }
    Some((time, made.rounds.len()))
}

/// Where closed forms and full simulation are compared.
fn placements() -> Vec<(Cluster, u32, GroupPattern)> {
    let shapes = [
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (6, 1),
        (8, 1),
        (10, 1),
        (12, 1),
        (16, 1),
        (20, 1),
        (32, 1),
        (64, 1),
        (4, 2),
        (5, 2),
        (8, 2),
        (16, 2),
        (32, 2),
        (3, 4),
        (6, 4),
        (16, 4),
        (2, 8),
        (3, 8),
        (4, 8),
        (5, 8),
        (8, 8),
        (2, 32),
    ];
    let mut all = Vec::new();
    for &topology in TopologyKind::ALL {
        for (oversubscription, nodes_per_leaf) in [(1.0, 2), (2.0, 2), (2.0, 3)] {
            let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
            cluster.fabric.topology = topology.into();
            cluster.fabric.oversubscription = oversubscription;
            cluster.fabric.nodes_per_leaf = nodes_per_leaf;
            cluster.fabric.scattered_efficiency = cluster.fabric.efficiency;
            for gpus in [2, 3, 5, 8, 16, 24, 32, 40, 48, 56, 64] {
                for (size, stride) in shapes {
                    if gpus % (size * stride) == 0 {
                        all.push((cluster.clone(), gpus, GroupPattern { size, stride }));
                    }
                }
            }
        }
    }
    all
}

/// Compares an algorithm everywhere; how many cases there were.
fn compared(algorithm: CollectiveAlgorithm, op: CollectiveOp) -> usize {
    let mut cases = 0;
    for (cluster, gpus, groups) in placements() {
        let request = CollectiveRequest {
            op,
            bytes: Bytes::new(64 * 27 * 5 * 7 * 1_000_000),
            groups,
            algorithm: Some(algorithm),
            protocol: Some(Protocol::Ideal),
        };
        let Ok(network) = Network::new(&cluster, gpus) else {
            continue;
        };
        let (Ok(cost), Some((full, rounds))) = (
            network.collective(&request),
            every_rank(&cluster, gpus, &request),
        ) else {
            continue;
        };
        cases += 1;
        let (reduced, full) = (cost.time.as_picos(), full.as_picos());
        let place = format!(
            "{algorithm} {op} {groups:?} of {gpus} on {} {}:1, {} per leaf: {reduced} and {full} ps",
            cluster.fabric.topology, cluster.fabric.oversubscription, cluster.fabric.nodes_per_leaf
        );
        // Each round of the full simulation is rounded to a picosecond.
        let same = reduced.abs_diff(full) <= rounds as u64;
        assert!(same, "{place}");
    }
    cases
}

// Whole and partly filled leaves, groups inside nodes, over whole nodes, with one member in each, and
// straddling them, over 2 to 64 GPUs and every topology.
#[test]
fn a_ring_takes_as_long_as_with_every_rank_simulated() {
    assert!(compared(CollectiveAlgorithm::Ring, CollectiveOp::AllReduce) > 500);
    assert!(compared(CollectiveAlgorithm::Ring, CollectiveOp::ReduceScatter) > 500);
}

#[test]
fn rings_over_rings_take_as_long_as_with_every_rank_simulated() {
    assert!(compared(CollectiveAlgorithm::Hierarchical, CollectiveOp::AllReduce) > 500);
    assert!(compared(CollectiveAlgorithm::Hierarchical, CollectiveOp::AllGather) > 500);
}

#[test]
fn a_direct_exchange_takes_as_long_as_with_every_rank_simulated() {
    assert!(compared(CollectiveAlgorithm::Direct, CollectiveOp::AllReduce) > 500);
    assert!(compared(CollectiveAlgorithm::Direct, CollectiveOp::AllToAll) > 500);
}

#[test]
fn halving_and_doubling_take_as_long_as_with_every_rank_simulated() {
    assert!(
        compared(
            CollectiveAlgorithm::HalvingDoubling,
            CollectiveOp::AllReduce
        ) > 500
    );
    assert!(
        compared(
            CollectiveAlgorithm::HalvingDoubling,
            CollectiveOp::AllGather
        ) > 500
    );
}
