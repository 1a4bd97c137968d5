//! Costs of custom algorithms, held against hand computations.

use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::hardware::{
    Cluster, DeviceUnit, FabricTopology, OwnLink, OwnNetwork, OwnTopology, TopologyKind,
};
use crate::units::{Bandwidth, Bytes};

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
    CustomAlgorithm {
        name: "mine".to_owned(),
        schedule: CollectiveAlgorithm::Ring
            .schedule(CollectiveOp::AllReduce, group)
            .expect("a ring carries it"),
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
// fast side, d to a on the slow one: 4 ms a round, and 7 µs of the slowest message; six rounds.
#[test]
fn the_slow_direction_of_an_asymmetric_trunk_times_the_round() {
    let link = |from, to, gbyte_per_s, micros, one_way| OwnLink {
        from,
        to,
        bandwidth: Bandwidth::gbyte_per_s(gbyte_per_s),
        latency: SimDuration::from_micros(micros),
        one_way,
        count: 1,
    };
    let network = OwnNetwork {
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
    let own = OwnTopology::new(&network).expect("it is joined");
    let mut cluster = cluster(1, 1);
    cluster.fabric.topology = FabricTopology::Own(Arc::new(own));
    let request = request(4, 1, 40_000_000, Protocol::Ideal);
    assert_eq!(
        time(&cluster, 4, &request),
        SimDuration::from_micros(6 * 4_007)
    );
}

// 8 bytes under LL inside one node: the base and 2 · 3 hand-overs of 0.6 µs for 4 ranks.
#[test]
fn small_messages_cost_the_protocols_latencies() {
    let request = request(4, 1, 8, Protocol::Ll);
    let micros = time(&cluster(4, 4), 4, &request).as_secs_f64() * 1e6;
    assert!((micros - (6.6 + 6.0 * 0.6)).abs() < 0.01, "{micros}");
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
