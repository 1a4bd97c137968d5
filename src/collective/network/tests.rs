//! Costs of built-in and custom algorithms on known clusters.

use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::collective::schedule::{CustomSchedule, read_schedule};
use crate::hardware::{
    CollectiveLibrary, CustomLink, CustomNetwork, CustomTopology, DeviceUnit, FabricTopology,
    TopologyKind,
};
use crate::units::{Bandwidth, Bytes, SimDuration};

/// Every request on a job that the library or the rounds can carry.
fn each_cost(mut look: impl FnMut(&Cluster, &CollectiveRequest, &CollectiveCost)) {
    let sizes = [8, 64 << 10, 1 << 20, 256 << 20, 8 << 30];
    let patterns = [(64, 1), (8, 1), (8, 8), (16, 4), (2, 32), (4, 2), (3, 1)];
    for base in Catalog::builtin().clusters.values() {
        for topology in [
            base.fabric.topology.clone(),
            TopologyKind::Ring.into(),
            TopologyKind::FatTree.into(),
        ] {
            let mut cluster = (**base).clone();
            cluster.fabric.topology = topology;
            cluster.fabric.nodes_per_leaf = 2;
            cluster.fabric.oversubscription = 2.0;
            let Ok(network) = Network::new(&cluster, 64) else {
                continue;
            };
            for (size, stride) in patterns {
                for &op in CollectiveOp::ALL {
                    let asked = CollectiveAlgorithm::ALL.iter().copied().map(Some);
                    for algorithm in asked.chain([None]) {
                        for bytes in sizes {
                            let request = CollectiveRequest {
                                op,
                                bytes: Bytes::new(bytes),
                                groups: GroupPattern { size, stride },
                                algorithm: algorithm.map(Algorithm::BuiltIn),
                                protocol: None,
                            };
                            if let Ok(cost) = network.collective(&request) {
                                look(&cluster, &request, &cost);
                            }
                        }
                    }
                }
            }
        }
    }
}

// A GPU cannot send more inside its domain than its links carry, nor a node more than its NICs.
#[test]
fn no_collective_is_faster_than_the_line_rates() {
    each_cost(|cluster, request, cost| {
        if request.groups.size == 3 {
            // Groups that straddle two nodes send unequally; their averages are no bound.
            return;
        }
        let secs = cost.time.as_secs_f64();
        let up = cost.sent_intra.as_f64() / cluster.scale_up.bandwidth.as_bytes_per_s();
        let nics = cluster.nic_bandwidth_per_gpu().as_bytes_per_s();
        let senders = match request.op {
            // Of a pipeline's ranks only those at a boundary send; the average is spread over all.
            CollectiveOp::SendRecv => f64::from(cluster.gpus_per_node),
            _ => 1.0,
        };
        let out = cost.sent_inter.as_f64() / nics / senders;
        assert!(
            secs >= up * (1.0 - 1e-9),
            "{} {request:?} {cost:?}",
            cluster.name
        );
        assert!(
            secs >= out * (1.0 - 1e-9),
            "{} {request:?} {cost:?}",
            cluster.name
        );
        assert!((0.0..=1.0).contains(&cost.link_utilization_max));
        assert!(cost.latency <= cost.time);
    });
}

// More bytes never take less time with the same algorithm and protocol, but where a plugin sends
// short messages more slowly.
#[test]
fn a_requested_candidate_takes_longer_for_more_bytes() {
    let mut last: Option<(CollectiveRequest, CollectiveCost)> = None;
    each_cost(|cluster, request, cost| {
        let slower = cluster.fabric.short_messages.is_some()
            && cost.algorithm == CarriedBy::BuiltIn(CollectiveAlgorithm::Direct);
        if let Some((before, cheaper)) = &last
            && !slower
            && (before.op, before.groups, &before.algorithm)
                == (request.op, request.groups, &request.algorithm)
            && before.bytes < request.bytes
            && (cheaper.algorithm, cheaper.protocol) == (cost.algorithm, cost.protocol)
        {
            assert!(cost.time >= cheaper.time, "{} {request:?}", cluster.name);
        }
        last = Some((request.clone(), *cost));
    });
}

// The 8-byte all-reduces of nccl's own table, held against published runs: 2 × 8 H100 on NDR
// 25.2 µs = 6.8 + 2 (7 · 0.6 + 5), ten more per doubling of the nodes.
#[test]
fn a_small_all_reduce_takes_the_latencies_of_its_tree() {
    for (nodes, micros) in [(2, 25.2), (4, 35.2), (8, 45.2)] {
        let cluster = &Catalog::builtin().clusters["dgx-h100"];
        let network = Network::new(cluster, nodes * 8).expect("a rail fabric holds any job");
        let request = CollectiveRequest {
            op: CollectiveOp::AllReduce,
            bytes: Bytes::new(8),
            groups: GroupPattern {
                size: nodes * 8,
                stride: 1,
            },
            algorithm: None,
            protocol: None,
        };
        let cost = network.collective(&request).expect("NCCL carries it");
        assert!(
            (cost.time.as_secs_f64() * 1e6 - micros).abs() < 0.05,
            "{cost:?}"
        );
    }
}

/// Nodes of so many GPUs and NICs: 100 GB/s inside, 10 GB/s per NIC, 1 µs and 3 µs a message.
fn cluster(gpus: u32, nics: u32) -> Cluster {
    let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
    (cluster.gpus_per_node, cluster.domain_gpus) = (gpus, gpus);
    cluster.scale_up.bandwidth = Bandwidth::gbyte_per_s(100.0);
    cluster.scale_up.efficiency = 1.0;
    cluster.scale_up.latency = SimDuration::from_micros(1);
    cluster.nics_per_node = nics;
    cluster.nic_bandwidth = Bandwidth::gbyte_per_s(10.0);
    cluster.fabric.topology = TopologyKind::Switch.into();
    cluster.fabric.latency = SimDuration::from_micros(3);
    cluster.fabric.efficiency = 1.0;
    cluster.fabric.scattered_efficiency = 1.0;
    cluster
}

fn ring(ranks: u32) -> CustomAlgorithm {
    let group = GroupLayout::new(ranks, 1);
    let ring = CollectiveAlgorithm::Ring.schedule(CollectiveOp::AllReduce, group);
    CustomAlgorithm {
        name: "mine".to_owned(),
        schedule: CustomSchedule::Rounds(ring.expect("a ring carries it")),
    }
}

/// An all-reduce by a custom ring over `ranks`.
fn request(ranks: u32, stride: u32, bytes: u64, protocol: Protocol) -> CollectiveRequest {
    CollectiveRequest {
        op: CollectiveOp::AllReduce,
        bytes: Bytes::new(bytes),
        groups: GroupPattern {
            size: ranks,
            stride,
        },
        algorithm: Some(Algorithm::Custom(Arc::new(ring(ranks)))),
        protocol: Some(protocol),
    }
}

fn time(cluster: &Cluster, gpus: u32, request: &CollectiveRequest) -> SimDuration {
    let network = Network::new(cluster, gpus).expect("the fabric holds the job");
    network.collective(request).expect("the ranks agree").time
}

// Between nodes of one GPU, and inside one node, a ring in rounds is the program's own ring.
#[test]
fn a_ring_as_a_schedule_costs_what_the_ring_costs() {
    for ranks in [2, 3, 5, 8, 13, 16] {
        for per_node in [1, 16] {
            let cluster = cluster(per_node, per_node);
            let network = Network::new(&cluster, ranks).expect("a switch holds any job");
            for bytes in [64, 1 << 20, 1 << 30] {
                let request = request(ranks, 1, bytes, Protocol::Ideal);
                let ours = network.collective(&request).expect("it fits");
                let asked = CollectiveRequest {
                    algorithm: Some(CollectiveAlgorithm::Ring.into()),
                    ..request.clone()
                };
                let theirs = network.collective(&asked).expect("a ring carries it");
                let (ours, theirs) = (ours.time.as_secs_f64(), theirs.time.as_secs_f64());
                assert!((ours / theirs - 1.0).abs() < 1e-6, "{ranks} {bytes}");
            }
        }
    }
}

// Two nodes of 8 GPUs, eight groups of two: 2 rounds of half of 20 MB. With a NIC each: 1 ms a
// round and 3 µs; with one NIC for the node it carries all eight: 8 ms a round.
#[test]
fn groups_that_run_at_once_share_the_nics_of_their_node() {
    let pairs = request(2, 8, 20_000_000, Protocol::Ideal);
    let own = time(&cluster(8, 8), 16, &pairs);
    assert_eq!(own, SimDuration::from_micros(2_006));
    let shared = time(&cluster(8, 1), 16, &pairs);
    assert_eq!(shared, SimDuration::from_micros(16_006));
}

// a and b on one switch, c and d on another, 10 GB/s links of 1 µs; the trunk carries 10 GB/s one
// way and 2.5 GB/s the other, 5 µs. A ring of 40 MB sends 10 MB a round; b to c crosses on the
// fast side, d to a on the slow one: 4 ms a round; six rounds. A share that starts there is handed on by
// 7, 2, 7, 2, 7 and 2 µs.
#[test]
fn the_slow_direction_of_an_asymmetric_trunk_times_the_round() {
    let link = |from, to, gbyte_per_s, micros, one_way| CustomLink {
        from,
        to,
        bandwidth: Bandwidth::gbyte_per_s(gbyte_per_s),
        latency: SimDuration::from_micros(micros),
        one_way,
        count: 1,
    };
    let network = CustomNetwork {
        name: "dumbbell".to_owned(),
        unit: DeviceUnit::Nodes,
        devices: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        switches: ["left", "right"].map(str::to_owned).to_vec(),
        links: vec![
            link(0, 4, 10.0, 1, false),
            link(1, 4, 10.0, 1, false),
            link(2, 5, 10.0, 1, false),
            link(3, 5, 10.0, 1, false),
            link(4, 5, 10.0, 5, true),
            link(5, 4, 2.5, 5, true),
        ],
        has_latency: true,
    };
    let own = CustomTopology::new(&network).expect("it is joined");
    let mut cluster = cluster(1, 1);
    cluster.fabric.topology = FabricTopology::Custom(Arc::new(own));
    let request = request(4, 1, 40_000_000, Protocol::Ideal);
    assert_eq!(
        time(&cluster, 4, &request),
        SimDuration::from_micros(6 * 4_000 + 27)
    );
}

// 8 bytes under LL inside one node: the base and 2 · 3 hand-overs for 4 ranks, of 0.6 µs over NVLink and 0.4
// that these links take longer.
#[test]
fn small_messages_cost_the_protocols_latencies() {
    let request = request(4, 1, 8, Protocol::Ll);
    let micros = time(&cluster(4, 4), 4, &request).as_secs_f64() * 1e6;
    assert!((micros - (6.6 + 6.0 * 1.0)).abs() < 0.01, "{micros}");
}

#[test]
fn ranks_and_operations_that_do_not_agree_are_told() {
    let network = Network::new(&cluster(8, 8), 8).expect("one node");
    let refused = |request: CollectiveRequest| {
        let fault = network.collective(&request);
        fault.expect_err("it does not fit").to_string()
    };
    let of_four = request(4, 1, 8, Protocol::Simple);
    let over_eight = CollectiveRequest {
        groups: GroupPattern { size: 8, stride: 1 },
        ..of_four.clone()
    };
    assert_eq!(
        refused(over_eight),
        "collective `mine` is made for 4 ranks, the group has 8"
    );
    let gather = CollectiveRequest {
        op: CollectiveOp::AllGather,
        ..of_four
    };
    assert_eq!(
        refused(gather),
        "collective `mine` carries all-reduce, not all-gather"
    );
}

/// A collective of the program's own over all ranks of a job.
fn built_in(
    op: CollectiveOp,
    algorithm: Option<CollectiveAlgorithm>,
    ranks: u32,
    bytes: u64,
    protocol: Option<Protocol>,
) -> CollectiveRequest {
    CollectiveRequest {
        op,
        bytes: Bytes::new(bytes),
        groups: GroupPattern {
            size: ranks,
            stride: 1,
        },
        algorithm: algorithm.map(Algorithm::BuiltIn),
        protocol,
    }
}

// A ring over n nodes of Polaris hands n − 1 messages on from node to node, 22 µs later each where ranks run ahead of one
// another: in an all-gather and a reduce-scatter, not in an all-reduce.
#[test]
fn messages_that_nobody_awaits_take_longer_on_slingshot() {
    let polaris = &Catalog::builtin().clusters["polaris"];
    let mut awaited = Cluster::clone(polaris);
    awaited.fabric.unawaited_latency = SimDuration::ZERO;
    for nodes in [2, 8, 540] {
        let gpus = 4 * nodes;
        for (op, messages) in [
            (CollectiveOp::AllGather, nodes - 1),
            (CollectiveOp::ReduceScatter, nodes - 1),
            (CollectiveOp::AllReduce, 0),
        ] {
            let ring = Some(CollectiveAlgorithm::Ring);
            let request = built_in(op, ring, gpus, 4096, Some(Protocol::Ll));
            let [real, without] = [polaris, &awaited].map(|cluster| {
                let network = Network::new(cluster, gpus).expect("a dragonfly holds them");
                let cost = network.collective(&request).expect("a ring carries it");
                cost.time.as_secs_f64()
            });
            let expected = 22e-6 * f64::from(messages);
            assert!(
                (real - without - expected).abs() < 1e-9,
                "{op} on {nodes} nodes"
            );
        }
    }
}

// One of 7 xGMI links of 64 GB/s at 71%, one of 3 NVLink bundles of 100 GB/s at 80%, one of 6 links
// of 25 GB/s at 90%, one of the 7 of 50 GB/s of an MI250X's die at 86%, a PCIe slot of 31 GB/s at 77%, all 450 GB/s through a switch at 82.4%. RCCL's
// own log says 48 GB/s of the first.
#[test]
fn a_send_takes_the_links_between_its_ends() {
    for (name, gpus, gbyte_per_s) in [
        ("mi300x-node", 8, 448.0 * 0.71 / 7.0),
        ("mi300x-node", 4, 448.0 * 0.71 / 7.0),
        ("mi250x-node", 8, 350.0 * 0.86 / 7.0),
        ("polaris", 4, 300.0 * 0.8 / 3.0),
        ("dgx-1", 8, 150.0 * 0.9 / 6.0),
        ("hgx-a100-pcie", 8, 31.0 * 0.77),
        ("dgx-h100", 8, 450.0 * 0.824),
    ] {
        let cluster = &Catalog::builtin().clusters[name];
        let network = Network::new(cluster, gpus).expect("one node");
        for protocol in [None, Some(Protocol::Simple), Some(Protocol::Ideal)] {
            for pattern in [(gpus, 1), (2, 1), (2, 2)] {
                let request = CollectiveRequest {
                    groups: GroupPattern {
                        size: pattern.0,
                        stride: pattern.1,
                    },
                    ..built_in(CollectiveOp::SendRecv, None, gpus, 4 << 30, protocol)
                };
                let cost = network.collective(&request).expect("all send");
                let rate = (4_u64 << 30) as f64 / cost.time.as_secs_f64() / 1e9;
                // Four links join the dies of a module of MI250X.
                let links = if name == "mi250x-node" && pattern == (2, 1) {
                    4.0
                } else {
                    1.0
                };
                assert!(
                    (rate / gbyte_per_s / links - 1.0).abs() < 0.005,
                    "{name} {pattern:?} {protocol:?}: {rate} GB/s"
                );
            }
        }
    }
}

// Dies of an MI250X have four of seven links of 50 GB/s between them at 86%, dies of several modules a ring that takes a link
// each way: all-gathers of 117 MB over eight took 1.19 ms on LUMI (DeepSpeed's communication logger).
#[test]
fn dies_of_a_module_are_closer_than_modules() {
    let cluster = &Catalog::builtin().clusters["mi250x-node"];
    for (gpus, gbyte_per_s) in [(2, 200.0 * 0.86), (4, 100.0 * 0.86), (8, 100.0 * 0.86)] {
        let network = Network::new(cluster, gpus).expect("one node");
        let ring = Some(CollectiveAlgorithm::Ring);
        let bytes = 1 << 30;
        let request = built_in(
            CollectiveOp::AllGather,
            ring,
            gpus,
            bytes,
            Some(Protocol::Ideal),
        );
        let cost = network.collective(&request).expect("all gather");
        let sent = bytes as f64 * f64::from(gpus - 1) / f64::from(gpus);
        let rate = sent / cost.time.as_secs_f64() / 1e9;
        assert!(
            (rate / gbyte_per_s - 1.0).abs() < 0.01,
            "{gpus}: {rate} GB/s"
        );
    }
    let network = Network::new(cluster, 8).expect("one node");
    let request = built_in(CollectiveOp::AllGather, None, 8, 117_440_512, None);
    let took = network.collective(&request).expect("all gather").time;
    assert!((took.as_secs_f64() / 1.19e-3 - 1.0).abs() < 0.1, "{took}");
}

// Partners that exchange halves have one of a mesh's links between them in every round: 2 · 7/8 of
// 1 GiB at 448 · 0.71 / 7 GB/s = 41.4 ms.
#[test]
fn halving_on_a_mesh_takes_the_links_between_partners() {
    let cluster = &Catalog::builtin().clusters["mi300x-node"];
    let network = Network::new(cluster, 8).expect("one node");
    let algorithm = Some(CollectiveAlgorithm::HalvingDoubling);
    let ideal = Some(Protocol::Ideal);
    let request = built_in(CollectiveOp::AllReduce, algorithm, 8, 1 << 30, ideal);
    let millis = network.collective(&request).expect("it is carried").time;
    let millis = millis.as_secs_f64() * 1e3;
    assert!((millis / 41.36 - 1.0).abs() < 1e-3, "{millis}");
}

// A job on some GPUs of a server, and on a server of so many, is the same job.
#[test]
fn part_of_a_server_costs_what_a_smaller_server_costs() {
    for base in Catalog::builtin().clusters.values() {
        for gpus in 2..base.gpus_per_node {
            let part = Network::new(base, gpus).expect("one node");
            let smaller = Network::new(&base.with_gpus_per_node(gpus), gpus).expect("one node");
            for &op in CollectiveOp::ALL {
                let asked = CollectiveAlgorithm::ALL.iter().copied().map(Some);
                for algorithm in asked.chain([None]) {
                    let request = built_in(op, algorithm, gpus, 1 << 24, None);
                    let of = |network: &Network| network.collective(&request).map(|cost| cost.time);
                    assert_eq!(of(&part), of(&smaller), "{} {request:?}", base.name);
                }
            }
        }
    }
}

/// An all-gather over two GPUs in MSCCL's XML, for buffers of 1 to 4 KiB.
const TWO: &str = r#"<algo coll="allgather" inplace="1" proto="LL" ngpus="2" nchunksperloop="2" minBytes="1024" maxBytes="4096">
  <gpu id="0" o_chunks="2"><tb id="0" send="1" recv="1" chan="0">
    <step s="0" type="s" srcbuf="o" srcoff="0" dstbuf="o" dstoff="0" cnt="1"/>
    <step s="1" type="r" srcbuf="o" srcoff="1" dstbuf="o" dstoff="1" cnt="1"/>
  </tb></gpu>
  <gpu id="1" o_chunks="2"><tb id="0" send="0" recv="0" chan="0">
    <step s="0" type="s" srcbuf="o" srcoff="1" dstbuf="o" dstoff="1" cnt="1"/>
    <step s="1" type="r" srcbuf="o" srcoff="0" dstbuf="o" dstoff="0" cnt="1"/>
  </tb></gpu>
</algo>"#;

// Within its sizes the file's own protocol carries it; beyond them the library's choice does, as RCCL
// falls back. The same exchange as rounds takes the same time.
#[test]
fn an_msccl_schedule_is_taken_for_the_sizes_that_it_states() {
    let network = Network::new(&cluster(2, 2), 2).expect("one node");
    let schedule = read_schedule(TWO).expect("each gets the other's share");
    let rounds = read_schedule("op all-gather\nranks 2\nround\n0 1 0\n1 0 1\n");
    let cost = |schedule: &CustomSchedule, bytes, protocol| {
        let custom = CustomAlgorithm {
            name: "mine".to_owned(),
            schedule: schedule.clone(),
        };
        let request = CollectiveRequest {
            op: CollectiveOp::AllGather,
            algorithm: Some(Algorithm::Custom(Arc::new(custom))),
            protocol,
            ..request(2, 1, bytes, Protocol::Ll)
        };
        network.collective(&request).expect("it is carried")
    };
    let within = cost(&schedule, 4096, None);
    assert_eq!(
        (within.algorithm, within.protocol),
        (CarriedBy::Custom, Protocol::Ll)
    );
    let as_rounds = cost(&rounds.expect("it gathers"), 4096, Some(Protocol::Ll));
    assert_eq!(within.time, as_rounds.time);
    for bytes in [1023, 4097] {
        let beyond = cost(&schedule, bytes, None);
        assert_ne!(beyond.algorithm, CarriedBy::Custom, "{bytes}");
    }
}

/// A broadcast over two nodes of two GPUs in MSCCL's XML: 0 sends to 1 and 2; another thread block of 2
/// than the one that receives sends it on to 3, or the same one.
fn broadcast_across(own_block: bool) -> CustomSchedule {
    let step = |number, kind: &str, buffer: &str, more: &str| {
        format!(
            r#"<step s="{number}" type="{kind}" srcbuf="{buffer}" srcoff="0" dstbuf="o" dstoff="0" {more}/>"#
        )
    };
    let block = |id, send, receive, steps: &str| {
        format!(r#"<tb id="{id}" send="{send}" recv="{receive}" chan="0">{steps}</tb>"#)
    };
    let sends = step(0, "s", "i", "");
    let receives = step(0, "r", "i", r#"hasdep="1""#);
    let (takes, gives) = if own_block {
        let on = step(0, "s", "o", r#"depid="0" deps="0""#);
        (block(0, -1, 0, &receives), block(1, 3, -1, &on))
    } else {
        let both = receives.clone() + &step(1, "s", "o", "");
        (block(0, 3, 0, &both), String::new())
    };
    let gpus = [
        block(0, 1, -1, &sends) + &block(1, 2, -1, &sends),
        block(0, -1, 0, &receives),
        takes + &gives,
        block(0, -1, 2, &receives),
    ];
    let gpus: Vec<String> = gpus
        .iter()
        .zip(0..)
        .map(|(blocks, id)| format!(r#"<gpu id="{id}" i_chunks="1" o_chunks="1">{blocks}</gpu>"#))
        .collect();
    let head = r#"coll="broadcast" inplace="0" proto="Simple" ngpus="4" nchunksperloop="1""#;
    read_schedule(&format!("<algo {head}>{}</algo>", gpus.concat())).expect("3 hears it from 2")
}

// Ideal links: 64 MiB from node to node at 10 GB/s are 6.7109 ms, on to the neighbour at 100 GB/s
// 0.6711 ms. In one thread block a piece must have gone on before the next one comes: 7.3820 ms. In two
// all but the first of 2048 pieces of 32 KiB go on while the next ones come: 6.7112 ms. Latencies are
// 3 and 1 µs.
#[test]
fn pieces_of_a_chunk_follow_each_other_through_an_msccl_schedule() {
    let network = Network::new(&cluster(2, 1), 4).expect("two nodes");
    for (own_block, millis) in [(false, 7.3820 + 0.004), (true, 6.7112 + 0.004)] {
        let custom = CustomAlgorithm {
            name: "mine".to_owned(),
            schedule: broadcast_across(own_block),
        };
        let request = CollectiveRequest {
            op: CollectiveOp::Broadcast,
            algorithm: Some(Algorithm::Custom(Arc::new(custom))),
            ..request(4, 1, 64 << 20, Protocol::Ideal)
        };
        let time = network.collective(&request).expect("it is carried").time;
        let apart = time.as_secs_f64() * 1e3 / millis - 1.0;
        assert!(apart.abs() < 1e-4, "{own_block}: {time:?}");
    }
}

/// Time of an all-reduce over all ranks of `nodes` nodes.
fn all_reduce(
    cluster: &Cluster,
    nodes: u32,
    bytes: u64,
    algorithm: Option<CollectiveAlgorithm>,
    protocol: Option<Protocol>,
) -> CollectiveCost {
    let gpus = nodes * cluster.gpus_per_node;
    let network = Network::new(cluster, gpus).expect("the fabric holds the job");
    let request = built_in(CollectiveOp::AllReduce, algorithm, gpus, bytes, protocol);
    network.collective(&request).expect("it is carried")
}

// NVIDIA/nccl issue 1801, 16 GiB over three NVLink partitions of GB200 without NVLS: 234 and 485 GB/s by trees, 197
// and 394 by rings on 4 and 8 GPUs each. A domain of a chain sends 1½ buffers: 2 · 11/12 · 4 · 50 · 0.97 / 1.5 = 237.
#[test]
fn trees_over_three_domains_pass_rings() {
    for (gpus, tree, ring) in [(4, 234.0, 197.0), (8, 485.0, 394.0)] {
        let mut cluster = (*Catalog::builtin().clusters["gb200-nvl72"]).clone();
        cluster.domain_gpus = gpus;
        cluster.scale_up.in_network_reduction = false;
        for (algorithm, measured) in [
            (CollectiveAlgorithm::DoubleBinaryTree, tree),
            (CollectiveAlgorithm::Ring, ring),
        ] {
            let cost = all_reduce(&cluster, 3 * gpus / 4, 16 << 30, Some(algorithm), None);
            let ranks = f64::from(3 * gpus);
            let bus = 2.0 * (ranks - 1.0) / ranks * 16.0 * 1.073_741_824 / cost.time.as_secs_f64();
            assert!(
                (bus / measured - 1.0).abs() < 0.03,
                "{algorithm} {gpus}: {bus}"
            );
        }
    }
}

// Leaves of 2 nodes, 1 µs for each further switch: a message between leaves passes two of them. Rings over 2 nodes
// stay below one leaf. Over 4 nodes a share crosses 3 times, twice between leaves at worst, in each pass: 2 · 2 · 2 µs.
// Trees over 4: node 1 below 2 below 0, both between leaves; up and down again: 2 · (2 + 2) µs.
#[test]
fn every_switch_above_a_leaf_adds_its_latency() {
    let mut flat = (*Catalog::builtin().clusters["dgx-h100"]).clone();
    flat.fabric.topology = TopologyKind::Switch.into();
    let mut leaves = flat.clone();
    leaves.fabric.topology = TopologyKind::FatTree.into();
    leaves.fabric.nodes_per_leaf = 2;
    leaves.fabric.hop_latency = SimDuration::from_micros(1);
    for protocol in [Protocol::Ideal, Protocol::Simple] {
        for (algorithm, nodes, micros) in [
            (CollectiveAlgorithm::Ring, 2, 0),
            (CollectiveAlgorithm::Ring, 4, 8),
            (CollectiveAlgorithm::DoubleBinaryTree, 2, 0),
            (CollectiveAlgorithm::DoubleBinaryTree, 4, 8),
            (CollectiveAlgorithm::Nvls, 4, 8),
        ] {
            let took =
                |cluster| all_reduce(cluster, nodes, 8, Some(algorithm), Some(protocol)).time;
            let more = took(&leaves) - took(&flat);
            assert_eq!(
                more,
                SimDuration::from_micros(micros),
                "{algorithm} {protocol} {nodes}"
            );
        }
    }
}

// Links between nodes and inside them count under every protocol, in full: a ring of 2 nodes crosses once a pass,
// 2 · 1 µs more; its other 28 steps inside, 28 · 1 µs.
#[test]
fn latencies_of_a_clusters_own_links_count_under_every_protocol() {
    let own = (*Catalog::builtin().clusters["dgx-h100"]).clone();
    let (mut outside, mut inside) = (own.clone(), own.clone());
    outside.fabric.latency = own.fabric.latency + SimDuration::from_micros(1);
    // Beyond the microsecond that the host's proxy takes for every step of a ring between nodes.
    inside.scale_up.latency = SimDuration::from_micros(6);
    let mut slower = inside.clone();
    slower.scale_up.latency = SimDuration::from_micros(7);
    for protocol in [
        Protocol::Ideal,
        Protocol::Ll,
        Protocol::Ll128,
        Protocol::Simple,
    ] {
        let took = |cluster| {
            all_reduce(
                cluster,
                2,
                8,
                Some(CollectiveAlgorithm::Ring),
                Some(protocol),
            )
            .time
        };
        assert_eq!(
            took(&outside) - took(&own),
            SimDuration::from_micros(2),
            "{protocol}"
        );
        assert_eq!(
            took(&slower) - took(&inside),
            SimDuration::from_micros(28),
            "{protocol}"
        );
    }
}

// On two nodes NCCL counts trees at their rate inside the node, up to twice that of the NICs (tuning.cc): on servers with
// few NICs they win, with 8 × HDR their channels' ceiling of 8 · 23.6 GB/s lets rings win at last.
#[test]
fn on_two_nodes_the_library_takes_trees_where_nics_are_few() {
    let a100 = &Catalog::builtin().clusters["dgx-a100"];
    let mut few = (**a100).clone();
    (few.nics_per_node, few.nic_bandwidth) = (4, Bandwidth::gbit_per_s(100.0));
    let by = |cluster| all_reduce(cluster, 2, 1 << 30, None, None).algorithm;
    assert_eq!(
        by(&few),
        CarriedBy::BuiltIn(CollectiveAlgorithm::DoubleBinaryTree)
    );
    assert_eq!(by(a100), CarriedBy::BuiltIn(CollectiveAlgorithm::Ring));
}

// NVLS over trees passes a byte of the buffer in flight over the NICs once a hop: 16 MiB over 64 nodes of B200 took 1,141
// µs, which the library's own choice must not take; and no NIC is too fast.
#[test]
fn faster_nics_never_slow_the_librarys_choice_of_medium_sizes() {
    let cluster = &Catalog::builtin().clusters["dgx-b200"];
    for nodes in [16, 64, 128] {
        for mebibytes in [8, 16, 32, 64] {
            let at = |gbit_per_s| {
                let cluster = cluster.with_nic_rate(Bandwidth::gbit_per_s(gbit_per_s));
                all_reduce(&cluster, nodes, mebibytes << 20, None, None).time
            };
            assert!(at(400.0) <= at(200.0), "{mebibytes} MiB over {nodes} nodes");
        }
    }
    let took = all_reduce(cluster, 64, 16 << 20, None, None).time;
    assert!(took < SimDuration::from_micros(600), "{took}");
}

// An all-gather over 2 × 2 chips of TPU7x, alone or as halves of 2 × 2 × 2: each chip moves 403 and 101 MB over two of its six
// links, 3/4 of its two cores' buffers, at 178.8 and 174.7 GB/s (AI-Hypercomputer/tpu-recipes@c8cfe2f
// microbenchmarks/ironwood/collectives/all_gather.md). All six would carry 540.
#[test]
fn a_group_has_the_links_of_its_dimensions_alone() {
    let cluster = &Catalog::builtin().clusters["tpu7x-pod"];
    for chips in [4, 8] {
        let network = Network::new(cluster, chips).expect("it is a domain");
        for (moved, rate, within) in [
            (402_653_184.0_f64, 178.77e9, 0.02),
            (100_663_296.0, 174.7e9, 0.04),
        ] {
            let request = CollectiveRequest {
                op: CollectiveOp::AllGather,
                bytes: Bytes::new((moved / 0.75) as u64),
                groups: GroupPattern { size: 4, stride: 1 },
                algorithm: None,
                protocol: None,
            };
            let cost = network.collective(&request).expect("it is carried");
            let error = cost.time.as_secs_f64() / (moved / rate) - 1.0;
            assert!(error.abs() < within, "{chips} {moved}: {error}");
            // The rest of the links are free for other groups: two dimensions of three are in use.
            assert!((cost.loads.scale_up / (2.0 / 3.0) - 1.0).abs() < 0.05);
        }
    }
}

// A step inside a domain takes what was measured with NVLink, less NVLink's 0.6 (xGMI's 0.8) µs, and this cluster's latency: never
// less than that, however short, over any links and with any library.
#[test]
fn steps_inside_a_domain_take_at_least_the_latency_of_its_links() {
    let cards = &Catalog::builtin().clusters["pcie5-node"];
    let mut cluster = Cluster::clone(cards);
    (cluster.gpus_per_node, cluster.domain_gpus) = (64, 64);
    let ring = Some(CollectiveAlgorithm::Ring);
    for library in CollectiveLibrary::ALL {
        for nanos in [1, 100, 200, 1000] {
            cluster.library = *library;
            cluster.scale_up.latency = SimDuration::from_nanos(nanos);
            for protocol in Protocol::ALL {
                let op = CollectiveOp::AllGather;
                let request = built_in(op, ring, 64, 8, Some(*protocol));
                let network = Network::new(&cluster, 64).expect("one node");
                let time = network
                    .collective(&request)
                    .expect("a ring carries it")
                    .time;
                assert!(
                    time >= SimDuration::from_nanos(63 * nanos),
                    "{library} {protocol} {nanos} ns: {time:?}"
                );
            }
        }
    }
}

// 2 passes of 2^21 messages in 21 rounds are 88 million, and 1.5·10^8/12 = 12.5 million are priced; on a grid of 126 × 127 nodes,
// whose longest route has 125 + 126 = 251 links, 1.5·10^8/(12 + 251/3) = 1.57 million, and 2 passes of 2^16 messages in 16
// rounds are 2.1 million. Other algorithms go on.
#[test]
fn too_many_messages_are_refused_with_the_limit() {
    let halving = CollectiveAlgorithm::HalvingDoubling;
    let mut cluster = Cluster::clone(&Catalog::builtin().clusters["dgx-h100"]);
    for (topology, gpus, refused) in [
        (
            TopologyKind::Switch,
            1 << 21,
            Some((88_080_384, 12_500_000)),
        ),
        (TopologyKind::Switch, 1 << 15, None),
        (
            TopologyKind::Mesh2d,
            126 * 127 * 8,
            Some((2_097_152, 1_568_000)),
        ),
    ] {
        cluster.fabric.topology = topology.into();
        let network = Network::new(&cluster, gpus).expect("it holds them");
        let of = |algorithm| {
            let request = built_in(
                CollectiveOp::AllReduce,
                Some(algorithm),
                gpus,
                1 << 20,
                None,
            );
            network.collective(&request)
        };
        match (of(halving), refused) {
            (Ok(_), None) => {}
            (Err(Unsupported::TooManyMessages { messages, most, .. }), Some(expected)) => {
                let near = |a: u64, b: u64| a.abs_diff(b) * 1000 <= b;
                assert!(
                    near(messages, expected.0) && near(most, expected.1),
                    "{messages} {most}"
                );
            }
            (other, _) => panic!("{topology} {gpus}: {other:?}"),
        }
        assert!(of(CollectiveAlgorithm::Ring).is_ok());
    }
}
