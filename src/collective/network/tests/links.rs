//! Rates and latencies of the links that messages take.

use super::*;

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
