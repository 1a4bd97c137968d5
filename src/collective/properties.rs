//! Properties of every topology, algorithm, operation and number of ranks.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::collective::schedule::{CustomSchedule, GroupLayout, Messages, read_schedule};
use crate::collective::{
    Algorithm, CollectiveAlgorithm, CollectiveOp, CollectiveRequest, CustomAlgorithm, GroupPattern,
    Network, Protocol,
};
use crate::hardware::{
    Cluster, CustomLink, CustomNetwork, CustomTopology, DeviceUnit, FabricTopology, Graph,
    Topology, TopologyKind, TopologySize,
};
use crate::units::{Bandwidth, Bytes, SimDuration};
use proptest::prelude::*;

/// 10 GB/s: what the NIC of a node sends.
const LINE: f64 = 10e9;

/// Nodes of one GPU with one NIC, whose links reach their rates.
fn cluster(topology: FabricTopology) -> Cluster {
    let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
    cluster.gpus_per_node = 1;
    cluster.domain_gpus = 1;
    cluster.nics_per_node = 1;
    cluster.nic_bandwidth = Bandwidth::bytes_per_s(LINE);
    cluster.fabric.topology = topology;
    cluster.fabric.nodes_per_leaf = 4;
    cluster.fabric.oversubscription = 2.0;
    cluster.fabric.hop_latency = SimDuration::ZERO;
    cluster.fabric.efficiency = 1.0;
    cluster.fabric.scattered_efficiency = 1.0;
    cluster
}

fn size(devices: u32) -> TopologySize {
    TopologySize {
        devices,
        per_leaf: 4,
        oversubscription: 2.0,
    }
}

fn whole(ranks: u32) -> GroupPattern {
    GroupPattern {
        size: ranks,
        stride: 1,
    }
}

/// Most that can flow at once from the first `k` devices to the others (Edmonds & Karp, JACM 19(2),
/// 1972), in rates of one node.
fn cut(graph: &Graph, k: u32) -> f64 {
    let (source, sink) = (graph.vertices(), graph.vertices() + 1);
    let mut rest: Vec<(u32, u32, f64)> = graph
        .links()
        .iter()
        .filter(|link| link.from != link.to)
        .map(|link| (link.from, link.to, link.capacity))
        .collect();
    rest.extend((0..k).map(|device| (source, device, f64::INFINITY)));
    rest.extend((k..graph.devices()).map(|device| (device, sink, f64::INFINITY)));
    let forward = rest.len();
    rest.extend(
        rest.clone()
            .into_iter()
            .map(|(from, to, _)| (to, from, 0.0)),
    );
    let mut outgoing = vec![Vec::new(); sink as usize + 1];
    for (place, (from, ..)) in rest.iter().enumerate() {
        outgoing[*from as usize].push(place);
    }
    let mut flow = 0.0;
    loop {
        let mut came: Vec<Option<usize>> = vec![None; sink as usize + 1];
        let mut waiting = std::collections::VecDeque::from([source]);
        while let Some(vertex) = waiting.pop_front() {
            for &place in &outgoing[vertex as usize] {
                let (_, to, left) = rest[place];
                if left > 1e-12 && to != source && came[to as usize].is_none() {
                    came[to as usize] = Some(place);
                    waiting.push_back(to);
                }
            }
        }
        let mut way = Vec::new();
        let mut vertex = sink;
        while let Some(place) = came[vertex as usize] {
            way.push(place);
            vertex = rest[place].0;
        }
        if way.is_empty() {
            return flow;
        }
        let least = way
            .iter()
            .map(|place| rest[*place].2)
            .fold(f64::INFINITY, f64::min);
        for place in way {
            let back = if place < forward {
                place + forward
            } else {
                place - forward
            };
            rest[place].2 -= least;
            rest[back].2 += least;
        }
        flow += least;
    }
}

/// Bytes that the first `k` of `n` ranks must send to the others, of a buffer of one byte, by
/// whatever algorithm: the sum of what they hold, their shares, or what is meant for the others.
fn must_cross(op: CollectiveOp, k: u32, n: u32) -> f64 {
    let (k, n) = (f64::from(k), f64::from(n));
    match op {
        CollectiveOp::AllReduce | CollectiveOp::Broadcast | CollectiveOp::SendRecv => 1.0,
        CollectiveOp::AllGather => k / n,
        CollectiveOp::ReduceScatter => (n - k) / n,
        CollectiveOp::AllToAll => k * (n - k) / n,
    }
}

// Whatever an algorithm does, the bytes that one part of the ranks needs of the other cross the
// narrowest links between them; and every rank sends what the operation asks of it.
#[test]
fn no_price_is_under_the_bandwidth_bound_of_any_cut() {
    const BYTES: u64 = 1 << 30;
    let mut priced = 0;
    for &kind in TopologyKind::ALL {
        for ranks in 2..=64 {
            let cluster = cluster(kind.into());
            let Ok(network) = Network::new(&cluster, ranks) else {
                let fault = Topology::build(kind, size(ranks)).expect_err("it holds no such job");
                assert!(fault.to_string().contains(&ranks.to_string()));
                continue;
            };
            let topology = Topology::build(kind, size(ranks)).expect("the network has it");
            let cuts: Vec<(u32, f64)> = [1, ranks / 2, (ranks / 2).next_multiple_of(4)]
                .into_iter()
                .filter(|k| (1..ranks).contains(k))
                .map(|k| (k, cut(topology.graph(), k)))
                .collect();
            for &op in CollectiveOp::ALL {
                for &algorithm in CollectiveAlgorithm::ALL {
                    for protocol in [None, Some(Protocol::Ideal)] {
                        let request = CollectiveRequest {
                            op,
                            bytes: Bytes::new(BYTES),
                            groups: whole(ranks),
                            algorithm: Some(algorithm.into()),
                            protocol,
                        };
                        let cost = match network.collective(&request) {
                            Ok(cost) => cost,
                            Err(unsupported) => {
                                let sentence = unsupported.to_string();
                                assert!(sentence.contains(algorithm.as_str()), "{sentence}");
                                assert!(sentence.contains(op.as_str()), "{sentence}");
                                continue;
                            }
                        };
                        priced += 1;
                        let secs = cost.time.as_secs_f64();
                        for &(k, capacity) in &cuts {
                            let bound = BYTES as f64 * must_cross(op, k, ranks) / (capacity * LINE);
                            assert!(
                                secs >= bound * (1.0 - 1e-9),
                                "{kind} {algorithm} {op} {protocol:?} over {ranks}: {secs} s is under \
                                 {bound} s, what crosses behind the first {k} needs"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(priced > 10_000, "{priced} prices were looked at");
}

// Each chunk that arrives was sent, and a rank sends no less than its part of the operation needs:
// what others are to get from it.
#[test]
fn every_schedule_moves_at_least_what_its_operation_needs() {
    for &algorithm in CollectiveAlgorithm::ALL {
        for &op in CollectiveOp::ALL {
            for ranks in 2..=64 {
                let group = GroupLayout::new(ranks, 1);
                let Some(made) = algorithm.schedule(op, group) else {
                    continue;
                };
                let vertices = (made.ranks + made.switches) as usize;
                let (mut sent, mut received) = (vec![0_u64; vertices], vec![0_u64; vertices]);
                for transfer in made.rounds.iter().flatten() {
                    sent[transfer.from as usize] += 1;
                    received[transfer.to as usize] += 1;
                }
                assert_eq!(sent.iter().sum::<u64>(), received.iter().sum::<u64>());
                let n = f64::from(ranks);
                let buffers = |chunks: u64| chunks as f64 * made.chunk_of_buffer();
                for (received, rank) in received.iter().take(ranks as usize).zip(0..) {
                    // Buffers that a rank must receive: the sum or the whole, the others' shares, its
                    // own share of the sum; the root of a broadcast and the first sender nothing.
                    let needs = match op {
                        CollectiveOp::AllReduce => 1.0,
                        CollectiveOp::AllGather | CollectiveOp::AllToAll => (n - 1.0) / n,
                        CollectiveOp::ReduceScatter => 1.0 / n,
                        CollectiveOp::Broadcast | CollectiveOp::SendRecv => {
                            f64::from(u8::from(rank > 0))
                        }
                    };
                    assert!(
                        buffers(*received) >= needs - 1e-9,
                        "{algorithm} {op} {ranks}: rank {rank}"
                    );
                }
            }
        }
    }
}

/// The links of a graph as a spec would write them, capacities as multiples of the NICs' rate.
fn described(graph: &Graph) -> CustomNetwork {
    let names = |letter: char, count: u32| (0..count).map(|i| format!("{letter}{i}")).collect();
    CustomNetwork {
        name: "mine".to_owned(),
        unit: DeviceUnit::Nodes,
        devices: names('d', graph.devices()),
        switches: names('s', graph.vertices() - graph.devices()),
        links: graph
            .links()
            .iter()
            .map(|link| CustomLink {
                from: link.from,
                to: link.to,
                bandwidth: Bandwidth::bytes_per_s(link.capacity * LINE),
                latency: SimDuration::ZERO,
                one_way: true,
                count: 1,
            })
            .collect(),
        has_latency: false,
    }
}

// Leaves, trees and rings have one shortest way each (or two halves round a ring): described link by
// link they cost what the program's own cost.
#[test]
fn a_network_described_link_by_link_costs_what_the_built_in_one_costs() {
    for kind in [
        TopologyKind::FatTree,
        TopologyKind::Rail,
        TopologyKind::Tree,
        TopologyKind::Ring,
    ] {
        for ranks in [3, 4, 7, 8, 13, 16, 24] {
            let built_in = Topology::build(kind, size(ranks)).expect("any number fits");
            let own = CustomTopology::new(&described(built_in.graph()))
                .unwrap_or_else(|faults| panic!("{kind} {ranks}: {faults:?}"));
            let theirs = Network::new(&cluster(kind.into()), ranks).expect("it fits");
            let own = cluster(FabricTopology::Custom(Arc::new(own)));
            let ours = Network::new(&own, ranks).expect("it fits");
            for (op, algorithm) in [
                (CollectiveOp::AllReduce, CollectiveAlgorithm::Ring),
                (
                    CollectiveOp::AllReduce,
                    CollectiveAlgorithm::DoubleBinaryTree,
                ),
                (CollectiveOp::AllToAll, CollectiveAlgorithm::Direct),
            ] {
                let request = CollectiveRequest {
                    op,
                    bytes: Bytes::new(1 << 28),
                    groups: whole(ranks),
                    algorithm: Some(algorithm.into()),
                    protocol: Some(Protocol::Simple),
                };
                let secs = |network: &Network| {
                    let cost = network.collective(&request).expect("it is carried");
                    cost.time.as_secs_f64()
                };
                let (ours, theirs) = (secs(&ours), secs(&theirs));
                assert!(
                    (ours / theirs - 1.0).abs() < 1e-9,
                    "{kind} {ranks} {algorithm}"
                );
            }
        }
    }
}

/// Clusters of every kind of scale-up network and library, with links of their own latencies, and fabrics that
/// hold traffic back.
fn clusters() -> Vec<Cluster> {
    let catalog = Catalog::builtin();
    let names = [
        "dgx-h100",
        "dgx-b200",
        "gb200-nvl72",
        "aws-p5",
        "dgx-a100",
        "dgx-1",
        "polaris",
        "mi300x-node",
        "hgx-a100-pcie",
        "plain-100g",
    ];
    let mut all: Vec<Cluster> = names.map(|name| (*catalog.clusters[name]).clone()).to_vec();
    let mut slow = all[0].clone();
    slow.fabric.latency = SimDuration::from_micros(20);
    slow.scale_up.latency = SimDuration::from_micros(7);
    let mut tapered = all[1].clone();
    tapered.fabric.topology = TopologyKind::FatTree.into();
    (
        tapered.fabric.nodes_per_leaf,
        tapered.fabric.oversubscription,
    ) = (2, 4.0);
    let mut torus = slow.clone();
    torus.fabric.topology = TopologyKind::Torus2d.into();
    let mut sharp = slow.clone();
    sharp.fabric.in_network_reduction = true;
    let mut racks = all[2].clone();
    racks.domain_gpus = 8;
    all.extend([slow, tapered, torus, sharp, racks]);
    all
}

/// Every request of an algorithm and protocol on jobs of these clusters, for buffers of some sizes.
fn each_series(sizes: &[u64], mut look: impl FnMut(&Cluster, u32, &[CollectiveRequest])) {
    let protocols = [
        Protocol::Ll,
        Protocol::Ll128,
        Protocol::Simple,
        Protocol::Ideal,
    ];
    for cluster in clusters() {
        let node = cluster.gpus_per_node;
        for gpus in [node, 2 * node, 3 * node, 16 * node] {
            for &op in CollectiveOp::ALL {
                for &algorithm in CollectiveAlgorithm::ALL {
                    for protocol in protocols {
                        let request = |bytes: &u64| CollectiveRequest {
                            op,
                            bytes: Bytes::new(*bytes),
                            groups: whole(gpus),
                            algorithm: Some(algorithm.into()),
                            protocol: Some(protocol),
                        };
                        look(
                            &cluster,
                            gpus,
                            &sizes.iter().map(request).collect::<Vec<_>>(),
                        );
                    }
                }
            }
        }
    }
}

/// Times of requests that a network carries.
fn secs(network: &Network, requests: &[CollectiveRequest]) -> Vec<f64> {
    let costs = requests
        .iter()
        .filter_map(|request| network.collective(request).ok());
    costs.map(|cost| cost.time.as_secs_f64()).collect()
}

// Between powers of two lie the steps of NCCL's tables. Slingshot sends short messages to many peers more slowly
// than longer ones (`fabric.short_message_overhead`, measured): they are left out.
#[test]
fn a_larger_message_never_takes_less_time() {
    let sizes: Vec<u64> = (3..34)
        .step_by(3)
        .flat_map(|power| {
            [
                1 << power,
                (1 << power) + (1 << (power - 1)),
                (2 << power) - 1,
            ]
        })
        .collect();
    let mut series = 0;
    each_series(&sizes, |cluster, gpus, requests| {
        let Ok(network) = Network::new(cluster, gpus) else {
            return;
        };
        let is_direct = requests[0].algorithm == Some(CollectiveAlgorithm::Direct.into());
        if cluster.fabric.short_messages.is_some() && is_direct {
            return;
        }
        let times = secs(&network, requests);
        series += usize::from(!times.is_empty());
        for (pair, request) in times.windows(2).zip(requests) {
            assert!(
                pair[1] >= pair[0] * (1.0 - 1e-9),
                "{} {gpus} GPUs: {request:?} takes {} s, the next size {}",
                cluster.name,
                pair[0],
                pair[1]
            );
        }
    });
    assert!(series > 1_000, "{series}");
}

#[test]
fn a_faster_nic_never_takes_more_time() {
    let sizes: Vec<u64> = (3..34).step_by(5).map(|power| 1 << power).collect();
    each_series(&sizes, |cluster, gpus, requests| {
        let mut last: Option<Vec<f64>> = None;
        for factor in [0.25, 0.5, 1.0, 2.0] {
            let rate = cluster.nic_bandwidth_per_gpu().scaled(factor);
            let Ok(network) = Network::new(&cluster.with_nic_rate(rate), gpus) else {
                return;
            };
            let times = secs(&network, requests);
            for (slower, (faster, request)) in last.iter().flatten().zip(times.iter().zip(requests))
            {
                assert!(
                    *faster <= slower * (1.0 + 1e-9),
                    "{} {gpus} GPUs: {request:?} takes {slower} s, {faster} with NICs twice as fast",
                    cluster.name
                );
            }
            last = Some(times);
        }
    });
}

// `ideal` is what the links alone take: with the same algorithm, and without a request, no protocol is faster.
#[test]
fn no_protocol_is_faster_than_ideal() {
    let sizes = [8, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 32];
    let mut compared = 0;
    for cluster in clusters() {
        let node = cluster.gpus_per_node;
        for gpus in [node, 2 * node, 3 * node, 5 * node, 16 * node, 36 * node] {
            let Ok(network) = Network::new(&cluster, gpus) else {
                continue;
            };
            for &op in CollectiveOp::ALL {
                let asked = CollectiveAlgorithm::ALL.iter().map(|it| Some((*it).into()));
                for algorithm in asked.chain([None]) {
                    for bytes in sizes {
                        let of = |protocol| {
                            let request = CollectiveRequest {
                                op,
                                bytes: Bytes::new(bytes),
                                groups: whole(gpus),
                                algorithm: algorithm.clone(),
                                protocol,
                            };
                            secs(&network, &[request]).first().copied()
                        };
                        let Some(bound) = of(Some(Protocol::Ideal)) else {
                            continue;
                        };
                        let real = [
                            None,
                            Some(Protocol::Ll),
                            Some(Protocol::Ll128),
                            Some(Protocol::Simple),
                        ];
                        for protocol in real {
                            let Some(took) = of(protocol) else { continue };
                            compared += 1;
                            assert!(
                                took >= bound * (1.0 - 1e-6),
                                "{} {gpus} GPUs {op} {algorithm:?} {protocol:?} {bytes} B: {took} under {bound}",
                                cluster.name
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 20_000, "{compared}");
}

// What a rank sends, counted transfer by transfer: over groups of whole nodes, with one member in each, and inside.
// A switch that reduces sends on for its members, its own multicast is none of theirs; each of them hands it its
// part of the sum, 1/m, to multicast.
#[test]
fn bytes_sent_are_those_of_the_transfers() {
    const BYTES: u64 = 5_040 * 64 * 64;
    let mut counted = 0;
    for sharp in [false, true] {
        for members in [1, 2, 4, 8] {
            for domains in [1, 2, 3, 4, 5, 8, 16] {
                let ranks = members * domains;
                if ranks < 2 {
                    continue;
                }
                let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
                (cluster.gpus_per_node, cluster.domain_gpus) = (members, members);
                cluster.fabric.in_network_reduction = sharp;
                let network = Network::new(&cluster, ranks).expect("a rail fabric holds any job");
                for &op in CollectiveOp::ALL {
                    for &algorithm in CollectiveAlgorithm::ALL {
                        let group = GroupLayout {
                            fabric_reduces: sharp,
                            ..GroupLayout::new(ranks, members)
                        };
                        let request = CollectiveRequest {
                            op,
                            bytes: Bytes::new(BYTES),
                            groups: whole(ranks),
                            algorithm: Some(algorithm.into()),
                            protocol: Some(Protocol::Ideal),
                        };
                        let (Some(made), Ok(cost)) =
                            (algorithm.schedule(op, group), network.collective(&request))
                        else {
                            continue;
                        };
                        let domain = |vertex: u32| {
                            if vertex < ranks {
                                Some(vertex / members)
                            } else {
                                Some(vertex - ranks).filter(|domain| *domain < domains)
                            }
                        };
                        let each = BYTES as f64 * made.chunk_of_buffer() / f64::from(ranks);
                        let (mut inside, mut across) = (0.0, 0.0);
                        for transfer in made.rounds.iter().flatten() {
                            let (from, to) = (domain(transfer.from), domain(transfer.to));
                            if from == to {
                                inside += if transfer.from < ranks { each } else { 0.0 };
                            } else if from.is_some() {
                                across += each;
                            }
                        }
                        if algorithm == CollectiveAlgorithm::Nvls {
                            inside += BYTES as f64 / f64::from(members);
                        }
                        let near = |got: Bytes, want: f64| {
                            (got.as_f64() - want).abs() <= 1.0 + 1e-9 * want
                        };
                        assert!(
                            near(cost.sent_intra, inside) && near(cost.sent_inter, across),
                            "{algorithm} {op} {members} × {domains}: {cost:?}, not {inside} and {across}"
                        );
                        counted += 1;
                    }
                }
            }
        }
    }
    assert!(counted > 500, "{counted}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // A ring of one-way links of any rates keeps every network joined; more links come on top. What a
    // schedule sends over a link, found here from the routes alone, never takes less than its rate
    // allows; the ring as a schedule is one of them.
    #[test]
    fn no_schedule_is_faster_than_any_link_of_an_uneven_network(
        devices in 2_u32..12,
        rates in prop::collection::vec(0.5_f64..40.0, 40),
        chords in prop::collection::vec((0_u32..12, 0_u32..12), 0..12),
        megabytes in 1_u64..1000,
    ) {
        let mut ends: Vec<(u32, u32)> = (0..devices).map(|d| (d, (d + 1) % devices)).collect();
        for (from, to) in chords {
            let chord = (from % devices, to % devices);
            if chord.0 != chord.1 && !ends.contains(&chord) {
                ends.push(chord);
            }
        }
        let links = ends.iter().zip(&rates).map(|(&(from, to), &gbyte_per_s)| CustomLink {
            from,
            to,
            bandwidth: Bandwidth::gbyte_per_s(gbyte_per_s),
            latency: SimDuration::ZERO,
            one_way: true,
            count: 1,
        });
        let network = CustomNetwork {
            name: "uneven".to_owned(),
            unit: DeviceUnit::Nodes,
            devices: (0..devices).map(|d| format!("d{d}")).collect(),
            switches: Vec::new(),
            links: links.collect(),
            has_latency: false,
        };
        let own = Arc::new(CustomTopology::new(&network).expect("the ring joins all"));
        let group = GroupLayout::new(devices, 1);
        let mut cluster = cluster(FabricTopology::Custom(Arc::clone(&own)));
        // NICs that hold nothing back leave the links alone to be tested.
        cluster.nic_bandwidth = Bandwidth::gbyte_per_s(10_000.0);
        let job = Network::new(&cluster, devices).expect("as many devices as nodes");
        for &op in CollectiveOp::ALL {
            for &algorithm in CollectiveAlgorithm::ALL {
                let Some(made) = algorithm.schedule(op, group) else { continue };
                if made.switches > 0 {
                    continue;
                }
                let bytes = megabytes * 1_000_000;
                let chunk = bytes as f64 * made.chunk_of_buffer();
                let mut secs = vec![0.0; network.links.len()];
                for transfer in made.rounds.iter().flatten() {
                    own.route(transfer.from, transfer.to, &mut |link, share| {
                        let rate = network.links[link as usize].bandwidth.as_bytes_per_s();
                        secs[link as usize] += share * chunk / rate;
                    });
                }
                let busiest = secs.into_iter().fold(0.0, f64::max);
                let schedule = CustomSchedule::Rounds(made);
                let mine = CustomAlgorithm { name: "mine".to_owned(), schedule };
                let request = CollectiveRequest {
                    op,
                    bytes: Bytes::new(bytes),
                    groups: whole(devices),
                    algorithm: Some(Algorithm::Custom(Arc::new(mine))),
                    protocol: Some(Protocol::Ideal),
                };
                let time = job.collective(&request).expect("it fits").time.as_secs_f64();
                prop_assert!(time >= busiest * (1.0 - 1e-9), "{algorithm} {op}: {time} {busiest}");
            }
        }
    }

    // Whatever stands in a schedule file, it is read or refused.
    #[test]
    fn no_schedule_file_makes_the_reader_panic(
        lines in prop::collection::vec(
            prop_oneof![
                Just("op all-reduce".to_owned()),
                Just("op all-gather".to_owned()),
                Just("round".to_owned()),
                (0_u32..5).prop_map(|n| format!("ranks {n}")),
                (0_u32..5).prop_map(|n| format!("pieces {n}")),
                (0_u32..4, 0_u32..4, 0_u32..4).prop_map(|(a, b, c)| format!("{a} {b} {c} add")),
                (0_u32..4, 0_u32..4, 0_u32..4).prop_map(|(a, b, c)| format!("{a} {b} {c}")),
            ],
            0..20,
        ),
        xml in "<algo coll=\"(allgather|custom)\" inplace=\"[01]\" ngpus=\"[0-9]{1,4}\" nchunksperloop=\"[0-9]{1,4}\">(<gpu id=\"[0-3]\" i_chunks=\"[0-9]{1,10}\" s_chunks=\"2\"><tb id=\"[01]\" send=\"-?[0-3]\" recv=\"-?[0-3]\">(<step type=\"(s|r|rrc|rcs|re|nop|cpy|x)\" srcbuf=\"[ios]\" dstbuf=\"[ios]\" srcoff=\"[0-9]{1,10}\" dstoff=\"-?[0-9]{1,10}\" cnt=\"[1-9]{1,10}\" depid=\"-?[01]\" deps=\"[01]\" hasdep=\"[01]\"/>){0,3}</tb></gpu>){0,3}</algo>",
    ) {
        for text in [&lines.join("\n"), &xml] {
            if let Ok(made) = read_schedule(text) {
                let messages: usize = made.messages().by_round().map(|round| round.len()).sum();
                prop_assert!(messages == 0 || made.rounds() > 0);
            }
        }
    }
}
