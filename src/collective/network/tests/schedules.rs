//! Costs of custom schedules, as rounds and in MSCCL's XML.

use super::*;

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
// 0.6711 ms. In one thread block a slice must have gone on before the next one comes: 7.3820 ms. In two
// all but the first of 2048 slices of 32 KiB go on while the next ones come: 6.7112 ms. Latencies are
// 3 and 1 µs.
#[test]
fn slices_of_a_chunk_follow_each_other_through_an_msccl_schedule() {
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
