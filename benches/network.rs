//! Speed of the network: concurrent flows, and cold costs of collectives.

use std::hint::black_box;

use clustersweep::catalog::Catalog;
use clustersweep::collective::{
    CollectiveAlgorithm, CollectiveOp, CollectiveRequest, GroupPattern, Network,
};
use clustersweep::des::{Crossing, Flow, FlowLink, finish_times};
use clustersweep::hardware::{Topology, TopologyKind, TopologySize};
use clustersweep::units::{Bandwidth, Bytes, SimDuration, SimTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A fat tree of devices with 8 under each leaf, 2:1, and links of 50 GB/s and 500 ns.
fn fat_tree(devices: u32) -> (Topology, Vec<FlowLink>) {
    let size = TopologySize {
        devices,
        per_leaf: 8,
        oversubscription: 2.0,
    };
    let topology = Topology::build(TopologyKind::FatTree, size).expect("any number fits");
    let links = topology.graph().links().iter().map(|link| FlowLink {
        capacity: Bandwidth::gbyte_per_s(50.0).scaled(link.capacity),
        latency: SimDuration::from_nanos(500),
    });
    let links = links.collect();
    (topology, links)
}

fn flow(topology: &Topology, from: u32, to: u32, start: SimTime, bytes: u64) -> Flow {
    let mut route = Vec::new();
    topology.route(from, to, &mut |link, share| {
        route.push(Crossing { link, share });
    });
    Flow {
        start,
        bytes: Bytes::new(bytes),
        route,
    }
}

/// Everyone to everyone, with sizes that end one by one.
fn all_pairs(devices: u32) -> (Vec<FlowLink>, Vec<Flow>) {
    let (topology, links) = fat_tree(devices);
    let pairs = (0..devices).flat_map(|from| (0..devices).map(move |to| (from, to)));
    let flows = pairs.filter(|(from, to)| from != to).map(|(from, to)| {
        let bytes = 1_000_000 + u64::from(from * 7919 + to * 104_729) % 1_000_003;
        flow(&topology, from, to, SimTime::ZERO, bytes)
    });
    let flows = flows.collect();
    (links, flows)
}

/// 20,000 flows between random pairs of 64 devices that start as a Poisson process: exponential
/// sizes of 1 MB in the mean, and as many as fill 60% of the devices' links.
fn poisson() -> (Vec<FlowLink>, Vec<Flow>) {
    const DEVICES: u64 = 64;
    let (topology, links) = fat_tree(DEVICES as u32);
    let mut seed = 1_u64;
    // 2:1 leaves carry half of what their devices can send: 0.3 of the devices' rate is 60% of it.
    let arrivals_per_s = 0.3 * DEVICES as f64 * 50e9 / 1e6;
    let mut start = 0.0;
    let flows = (0..20_000).map(|_| {
        start += exponential(&mut seed) / arrivals_per_s;
        let from = draw(&mut seed) % DEVICES;
        let to = (from + 1 + draw(&mut seed) % (DEVICES - 1)) % DEVICES;
        let bytes = (exponential(&mut seed) * 1e6) as u64 + 1;
        let start = SimTime::ZERO + SimDuration::from_secs_f64(start);
        flow(&topology, from as u32, to as u32, start, bytes)
    });
    let flows = flows.collect();
    (links, flows)
}

/// Next number of Vigna's splitmix64.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An exponential deviate of mean 1.
fn exponential(seed: &mut u64) -> f64 {
    let uniform = (draw(seed) >> 11) as f64 / (1_u64 << 53) as f64;
    -(1.0 - uniform).ln()
}

fn flows(c: &mut Criterion) {
    let mut group = c.benchmark_group("flows");
    group.sample_size(10);
    for (name, (links, flows)) in [
        ("4032 at once on a fat tree", all_pairs(64)),
        ("16256 at once on a fat tree", all_pairs(128)),
        ("20000 Poisson on a fat tree", poisson()),
    ] {
        group.throughput(Throughput::Elements(flows.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| finish_times(black_box(&links), black_box(&flows)));
        });
    }
    group.finish();
}

/// Every GPU of a job of DGX H100 on a fat tree, in one group.
fn cold(
    c: &mut Criterion,
    name: &str,
    (op, algorithm): (CollectiveOp, Option<CollectiveAlgorithm>),
    gpus: u32,
    oversubscription: f64,
) {
    let cluster = Catalog::builtin().clusters["dgx-h100"]
        .with_topology(TopologyKind::FatTree.into(), oversubscription);
    let request = CollectiveRequest {
        op,
        bytes: Bytes::gib(1),
        groups: GroupPattern {
            size: gpus,
            stride: 1,
        },
        algorithm: algorithm.map(Into::into),
        protocol: None,
    };
    c.bench_function(name, |b| {
        b.iter(|| {
            let network =
                Network::new(black_box(&cluster), gpus).expect("a fat tree holds any job");
            network
                .collective(&request)
                .expect("the library carries it")
        });
    });
}

fn collectives(c: &mut Criterion) {
    let auto = (CollectiveOp::AllReduce, None);
    let tree = (CollectiveOp::AllReduce, Some(CollectiveAlgorithm::Tree));
    let exchange = (CollectiveOp::AllToAll, None);
    cold(c, "all-reduce, 1024 ranks", auto, 1024, 1.0);
    cold(c, "all-reduce, 16384 ranks", auto, 16_384, 1.0);
    cold(c, "tree all-reduce, 1024 ranks, 4:1", tree, 1024, 4.0);
    cold(c, "tree all-reduce, 16384 ranks, 4:1", tree, 16_384, 4.0);
    cold(c, "all-to-all, 1024 ranks, 4:1", exchange, 1024, 4.0);
}

criterion_group!(benches, flows, collectives);
criterion_main!(benches);
