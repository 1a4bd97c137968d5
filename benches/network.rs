//! Speed of the network: concurrent flows, and cold costs of collectives.

use std::hint::black_box;

use clustersweep::catalog::Catalog;
use clustersweep::collective::{CollectiveOp, CollectiveRequest, GroupPattern, Network};
use clustersweep::des::{Flow, FlowLink, finish_times};
use clustersweep::hardware::{Topology, TopologyKind, TopologySize};
use clustersweep::units::{Bandwidth, Bytes, SimDuration, SimTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Everyone to everyone on a fat tree of 64 devices, 2:1, with sizes that end one by one.
fn all_pairs() -> (Vec<FlowLink>, Vec<Flow>) {
    let size = TopologySize {
        devices: 64,
        per_leaf: 8,
        oversubscription: 2.0,
    };
    let topology = Topology::build(TopologyKind::FatTree, size).expect("any number fits");
    let links = topology.graph().links().iter().map(|link| FlowLink {
        capacity: Bandwidth::gbyte_per_s(50.0).scaled(link.capacity),
        latency: SimDuration::from_nanos(500),
    });
    let mut flows = Vec::new();
    for from in 0..64_u32 {
        for to in (0..64).filter(|to| *to != from) {
            let mut route = Vec::new();
            topology.route(from, to, &mut |link, _| route.push(link));
            flows.push(Flow {
                start: SimTime::ZERO,
                bytes: Bytes::new(1_000_000 + u64::from(from * 7919 + to * 104_729) % 1_000_003),
                route,
            });
        }
    }
    (links.collect(), flows)
}

fn flows(c: &mut Criterion) {
    let (links, flows) = all_pairs();
    let mut group = c.benchmark_group("flows");
    group.throughput(Throughput::Elements(flows.len() as u64));
    group.sample_size(10);
    group.bench_function("4032 at once on a fat tree", |b| {
        b.iter(|| finish_times(black_box(&links), black_box(&flows)));
    });
    group.finish();
}

fn cold(c: &mut Criterion, name: &str, op: CollectiveOp, gpus: u32, oversubscription: f64) {
    let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
    cluster.fabric.topology = TopologyKind::FatTree;
    cluster.fabric.oversubscription = oversubscription;
    let request = CollectiveRequest {
        op,
        bytes: Bytes::gib(1),
        groups: GroupPattern {
            size: gpus,
            stride: 1,
        },
        algorithm: None,
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
    cold(
        c,
        "all-reduce, 1024 ranks",
        CollectiveOp::AllReduce,
        1024,
        1.0,
    );
    cold(
        c,
        "all-reduce, 16384 ranks",
        CollectiveOp::AllReduce,
        16_384,
        1.0,
    );
    cold(
        c,
        "all-to-all, 1024 ranks, 4:1",
        CollectiveOp::AllToAll,
        1024,
        4.0,
    );
}

criterion_group!(benches, flows, collectives);
criterion_main!(benches);
