//! Costs of built-in and custom algorithms on known clusters.

mod links;
mod schedules;

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

// Long messages go over 24 channels inside a DGX A100 and over 16 between two, whether groups lie on neighbours or on one GPU of each;
// XLA's collectives on TPUs are no kernels.
#[test]
fn groups_that_leave_their_domain_have_its_channels() {
    let channels = |cluster: &str, size, stride| {
        let network = Network::new(&Catalog::builtin().clusters[cluster], 16).expect("16 GPUs");
        network.channels(GroupPattern { size, stride })
    };
    assert_eq!(channels("dgx-a100", 8, 1), 24);
    assert_eq!(channels("dgx-a100", 16, 1), 16);
    assert_eq!(channels("dgx-a100", 2, 8), 16);
    assert_eq!(channels("dgx-1", 8, 1), 12);
    assert_eq!(channels("tpu-v5p-pod", 8, 1), 0);
}
