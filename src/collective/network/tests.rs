//! What groups on known clusters cost.

use super::*;
use crate::catalog::Catalog;
use crate::hardware::TopologyKind;
use crate::units::Bytes;

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
