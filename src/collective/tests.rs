//! Collectives on ideal links with every rank, message and link simulated by itself: what the closed
//! forms are held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::catalog::Catalog;
use crate::collective::schedule::{CustomSchedule, GroupLayout, Messages, Schedule, Transfer};
use crate::collective::{
    Algorithm, CollectiveAlgorithm, CollectiveOp, CollectiveRequest, CustomAlgorithm, GroupPattern,
    Network, Protocol,
};
use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::hardware::{
    Cluster, CustomLink, CustomNetwork, CustomPlacement, CustomTopology, DeviceUnit,
    FabricTopology, Topology, TopologyKind, TopologySize,
};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

/// Where a message starts or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Gpu(u32),
    /// The switch of a domain.
    Domain(u32),
    /// The spines above a leaf, which sum for a group.
    Spines,
    /// A leaf, which sums for a group.
    Leaf(u32),
}

/// Sender, receiver, bytes.
type Message = (Place, Place, f64);

/// Which way round rings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Orientation {
    Both,
    There,
    Back,
}

/// Every link of a job: a port out and in per GPU, the NICs of a domain out and in, and the fabric's.
struct Job {
    links: Vec<FlowLink>,
    per_domain: u32,
    gpus: u32,
    domains: u32,
    /// NICs of a domain that carry traffic apart from each other: 1 where it spreads over all of them.
    nics: u32,
    fabric: Topology,
}

impl Job {
    fn of(cluster: &Cluster, gpus: u32, own_nics: bool) -> Option<Self> {
        let per_domain = cluster.gpus_per_node.min(gpus);
        let domains = gpus.div_ceil(per_domain);
        let size = TopologySize {
            devices: domains.max(2),
            per_leaf: cluster.fabric.nodes_per_leaf,
            oversubscription: cluster.fabric.oversubscription,
        };
        let line_rate = cluster
            .nic_bandwidth
            .scaled(f64::from(cluster.nics_per_node));
        let fabric = match &cluster.fabric.topology {
            FabricTopology::Kind(kind) => Topology::build(*kind, size),
            FabricTopology::Custom(own) => {
                let placement = CustomPlacement {
                    domains,
                    nics_per_domain: cluster.nics_per_node,
                    line_rate,
                };
                Topology::custom(own, placement)
            }
        };
        let fabric = fabric.ok()?;
        let port = cluster
            .scale_up
            .bandwidth
            .scaled(cluster.scale_up.efficiency);
        let nics = line_rate.scaled(cluster.fabric.efficiency);
        let link = |capacity: Bandwidth| FlowLink {
            capacity,
            latency: SimDuration::ZERO,
        };
        let apart = if own_nics { per_domain } else { 1 };
        let nic = nics.scaled(1.0 / f64::from(apart));
        let mut links = vec![link(port); 2 * gpus as usize];
        links.extend(vec![link(nic); 2 * (domains * apart) as usize]);
        let between = fabric.graph().links().iter();
        links.extend(between.map(|between| link(nics.scaled(between.capacity))));
        Some(Self {
            links,
            per_domain,
            gpus,
            domains,
            nics: apart,
            fabric,
        })
    }

    fn domain(&self, place: Place) -> Option<u32> {
        match place {
            Place::Gpu(rank) => Some(rank / self.per_domain),
            Place::Domain(domain) => Some(domain),
            Place::Spines | Place::Leaf(_) => None,
        }
    }

    fn nic(&self, place: Place) -> Option<u32> {
        match place {
            Place::Gpu(rank) if self.nics > 1 => Some(rank),
            _ => self.domain(place),
        }
    }

    fn route(&self, from: Place, to: Place) -> Vec<Crossing> {
        let (nics, fabric) = (2 * self.gpus, 2 * (self.gpus + self.domains * self.nics));
        let mut route = Vec::new();
        if let (Some(source), Some(goal)) = (self.domain(from), self.domain(to))
            && source == goal
        {
            // A GPU sends and receives through its ports, a switch has one for each of them.
            if let Place::Gpu(rank) = from {
                route.push(Crossing::whole(2 * rank));
            }
            if let Place::Gpu(rank) = to {
                route.push(Crossing::whole(2 * rank + 1));
            }
            return route;
        }
        let sends = self.nic(from).map(|nic| nics + 2 * nic);
        let receives = self.nic(to).map(|nic| nics + 2 * nic + 1);
        route.extend(sends.into_iter().chain(receives).map(Crossing::whole));
        match (from, to) {
            (Place::Leaf(device), Place::Spines) => {
                let leaf = self.fabric.leaf(device).expect("it has leaves");
                route.push(Crossing::whole(fabric + leaf.up));
            }
            (Place::Spines, Place::Leaf(device)) => {
                let leaf = self.fabric.leaf(device).expect("it has leaves");
                route.push(Crossing::whole(fabric + leaf.down));
            }
            _ => {
                if let (Some(source), Some(goal)) = (self.domain(from), self.domain(to)) {
                    self.fabric.route(source, goal, &mut |link, share| {
                        let link = fabric + link;
                        route.push(Crossing { link, share });
                    });
                }
            }
        }
        route
    }

    /// Latency of a round: that of its slowest message.
    fn latency(&self, cluster: &Cluster, messages: &[Message]) -> SimDuration {
        let of_message = |&(from, to, _): &Message| match (self.domain(from), self.domain(to)) {
            (source, goal) if source == goal => cluster.scale_up.latency,
            (Some(source), Some(goal)) => cluster.fabric.latency_over(&self.fabric, source, goal),
            _ => cluster.fabric.latency,
        };
        let slowest = messages.iter().map(of_message).max();
        slowest.expect("a round has messages")
    }

    /// Time that messages take when all start at once.
    fn round(&self, messages: &[Message]) -> SimDuration {
        let flow = |&(from, to, bytes): &Message| Flow {
            start: SimTime::ZERO,
            bytes: Bytes::from_f64(bytes),
            route: self.route(from, to),
        };
        let flows: Vec<Flow> = messages.iter().map(flow).collect();
        let last = finish_times(&self.links, &flows).into_iter().max();
        last.expect("a round has messages") - SimTime::ZERO
    }

    /// Messages by way of the fabric's switches, which sum for a group: each domain talks to its
    /// leaf, and each leaf to the spines where the group has several.
    fn summed(&self, domains: &[u32], sends: bool, bytes: f64) -> Vec<Message> {
        let leaf = |domain: u32| self.fabric.leaf(domain).map(|leaf| leaf.number);
        let mut leaves: Vec<(Option<u32>, u32)> = domains.iter().map(|&d| (leaf(d), d)).collect();
        leaves.dedup_by_key(|(leaf, _)| *leaf);
        let below = domains.iter().map(|&domain| Place::Domain(domain));
        let above = leaves
            .iter()
            .filter(|(leaf, _)| leaf.is_some() && leaves.len() > 1);
        let places = below.chain(above.map(|&(_, device)| Place::Leaf(device)));
        places
            .map(|place| {
                if sends {
                    (place, Place::Spines, bytes)
                } else {
                    (Place::Spines, place, bytes)
                }
            })
            .collect()
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
/// Rings leave each domain by another member, oriented as they are asked to.
fn numberings(
    ranks: &[u32],
    members: u32,
    algorithm: CollectiveAlgorithm,
    orientation: Orientation,
) -> Vec<Vec<u32>> {
    let oriented = |there: Vec<u32>| {
        let back = there.iter().rev().copied().collect();
        match orientation {
            Orientation::Both => vec![there, back],
            Orientation::There => vec![there],
            Orientation::Back => vec![back],
        }
    };
    if algorithm == CollectiveAlgorithm::Hierarchical {
        return oriented(ranks.to_vec());
    }
    if algorithm != CollectiveAlgorithm::Ring {
        return vec![ranks.to_vec()];
    }
    let rotated = |places: usize| -> Vec<u32> {
        ranks
            .chunks(members as usize)
            .flat_map(|domain| {
                let mut domain = domain.to_vec();
                let members = domain.len();
                domain.rotate_left(places % members);
                domain
            })
            .collect()
    };
    (0..members as usize)
        .flat_map(|places| oriented(rotated(places)))
        .collect()
}

/// The round's messages of all groups. What rings and halving send between one pair goes together;
/// chunks that follow each other are messages of their own.
fn messages(
    job: &Job,
    layout: GroupLayout,
    round: &[Transfer],
    numberings: &[Vec<u32>],
    (chunk, together): (f64, bool),
) -> Vec<Message> {
    let GroupLayout { ranks, members, .. } = layout;
    let fabric = ranks + ranks / members.max(1);
    let mut all = Vec::new();
    for numbering in numberings {
        let domain =
            |switch: u32| numbering[((switch - ranks) * members) as usize] / job.per_domain;
        let place = |vertex: u32| {
            if vertex < ranks {
                Place::Gpu(numbering[vertex as usize])
            } else {
                Place::Domain(domain(vertex))
            }
        };
        let (mut rise, mut fall) = (Vec::new(), Vec::new());
        for &Transfer { from, to, .. } in round {
            if to == fabric {
                rise.push(domain(from));
            } else if from == fabric {
                fall.push(domain(to));
            } else {
                all.push((place(from), place(to), chunk));
            }
        }
        all.extend(job.summed(&rise, true, chunk));
        all.extend(job.summed(&fall, false, chunk));
    }
    if !together {
        return all;
    }
    let mut sums = BTreeMap::new();
    for (from, to, bytes) in all {
        *sums.entry((from, to)).or_insert(0.0) += bytes;
    }
    let sums = sums.into_iter();
    sums.map(|((from, to), bytes)| (from, to, bytes)).collect()
}

/// A collective as it is scheduled.
struct Scheduled {
    schedule: Schedule,
    layout: GroupLayout,
    /// Request for a size that the chunks divide.
    request: CollectiveRequest,
    /// Whether chunks follow each other, as messages of their own.
    hands_on: bool,
    /// Whether every rank keeps to its own NIC.
    own_nics: bool,
}

impl Scheduled {
    /// `None` where the program's algorithm has no schedule.
    fn of(network: &Network, mut request: CollectiveRequest) -> Option<Self> {
        let shape = network.shape(request.groups);
        let algorithm = request.algorithm.as_ref()?.built_in()?;
        let hands_on = network.pipelined(&request, algorithm).is_some();
        let mut layout = GroupLayout::new(shape.ranks, shape.members);
        while let Some(pipelined) = network.pipelined(&request, algorithm) {
            layout = pipelined;
            let divisor = 2 * u64::from(layout.chunks);
            if request.bytes.get().is_multiple_of(divisor) {
                break;
            }
            request.bytes = Bytes::new(request.bytes.get().next_multiple_of(divisor));
        }
        let closed = matches!(
            algorithm,
            CollectiveAlgorithm::Ring
                | CollectiveAlgorithm::HalvingDoubling
                | CollectiveAlgorithm::Direct
                | CollectiveAlgorithm::Hierarchical
        );
        Some(Self {
            schedule: algorithm.schedule(request.op, layout)?,
            layout,
            request,
            hands_on,
            own_nics: !closed && !hands_on || hands_on && algorithm == CollectiveAlgorithm::Direct,
        })
    }

    /// The ways in which a group's ranks are numbered.
    fn numberings(&self, ranks: &[u32], orientation: Orientation) -> Vec<Vec<u32>> {
        match &self.request.algorithm {
            Some(Algorithm::BuiltIn(algorithm)) if !self.hands_on => {
                numberings(ranks, self.layout.members, *algorithm, orientation)
            }
            _ => vec![ranks.to_vec()],
        }
    }

    /// Time on ideal links with every rank simulated. Where the directions of a network differ, rings
    /// are oriented as is fastest: half of the bytes each way round, or all of them one way.
    fn every_rank(&self, cluster: &Cluster, gpus: u32) -> Option<SimDuration> {
        let orientations = [Orientation::Both, Orientation::There, Orientation::Back];
        let several = match cluster.fabric.topology {
            FabricTopology::Kind(_) => 1,
            FabricTopology::Custom(_) => orientations.len(),
        };
        let times = orientations[..several].iter();
        times
            .filter_map(|orientation| self.oriented(*orientation, cluster, gpus))
            .min()
    }

    fn oriented(
        &self,
        orientation: Orientation,
        cluster: &Cluster,
        gpus: u32,
    ) -> Option<SimDuration> {
        let job = Job::of(cluster, gpus, self.own_nics)?;
        let groups = groups(self.request.groups, gpus);
        let parts = self.numberings(groups.first()?, orientation).len() as f64;
        let all = groups
            .iter()
            .flat_map(|ranks| self.numberings(ranks, orientation));
        let all: Vec<Vec<u32>> = all.collect();
        let chunk = self.request.bytes.as_f64() * self.schedule.chunk_of_buffer() / parts;
        // Rounds wait for one another where neighbours of a round do; shares round a ring and the chunks of a
        // schedule do not.
        let waits = self.hands_on || self.request.algorithm.is_some() && !self.is_ring();
        let mut time = SimDuration::ZERO;
        let mut known: Vec<(Vec<Message>, SimDuration)> = Vec::new();
        for round in &self.schedule.rounds {
            let sent = messages(&job, self.layout, round, &all, (chunk, !self.hands_on));
            let latency = job.latency(cluster, &sent);
            let before = known.iter().find(|(before, _)| *before == sent);
            let took = if let Some((_, took)) = before {
                *took
            } else {
                let took = job.round(&sent);
                known.push((sent, took));
                took
            };
            if waits {
                time += latency;
            }
            time += took;
        }
        if !waits {
            let slowest = groups.iter().map(|ranks| {
                if self.is_ring() {
                    self.around(&job, cluster, ranks, orientation)
                } else {
                    self.chain(&job, cluster, ranks)
                }
            });
            time += slowest.max().expect("there is a group");
        }
        Some(time)
    }

    /// Whether it is the program's ring.
    fn is_ring(&self) -> bool {
        self.request.algorithm == Some(CollectiveAlgorithm::Ring.into())
    }

    /// Latencies of the hand-overs of a share round a ring, one behind the other: of the slowest share that
    /// begins at the end of a domain, one way round or the other.
    fn around(
        &self,
        job: &Job,
        cluster: &Cluster,
        ranks: &[u32],
        orientation: Orientation,
    ) -> SimDuration {
        let passes = if self.request.op == CollectiveOp::AllReduce {
            2
        } else {
            1
        };
        let one_way = |ranks: &[u32]| {
            let count = ranks.len();
            let domain = |index: usize| ranks[index % count] / job.per_domain;
            let of_hop = |index: usize| {
                let ends = [index, index + 1].map(|at| Place::Gpu(ranks[at % count]));
                job.latency(cluster, &[(ends[0], ends[1], 0.0)])
            };
            let of_share = |first: usize| (first..first + count - 1).map(of_hop).sum();
            let firsts = (0..count).filter(|at| domain(*at) != domain(at + count - 1));
            let slowest: Option<SimDuration> = firsts.map(of_share).max();
            slowest.unwrap_or_else(|| of_share(0)) * passes
        };
        let mut back = ranks.to_vec();
        back.reverse();
        match orientation {
            Orientation::There => one_way(ranks),
            Orientation::Back => one_way(&back),
            Orientation::Both => one_way(ranks).max(one_way(&back)),
        }
    }

    /// The slowest chain of hand-overs of any chunk.
    fn chain(&self, job: &Job, cluster: &Cluster, ranks: &[u32]) -> SimDuration {
        let mut ready = BTreeMap::new();
        for round in &self.schedule.rounds {
            let at = |rank, chunk| {
                ready
                    .get(&(rank, chunk))
                    .copied()
                    .unwrap_or(SimDuration::ZERO)
            };
            let arrivals: Vec<_> = round
                .iter()
                .map(|transfer| {
                    let [from, to] = [transfer.from, transfer.to]
                        .map(|position| Place::Gpu(ranks[position as usize]));
                    let hop = job.latency(cluster, &[(from, to, 0.0)]);
                    (
                        (transfer.to, transfer.chunk),
                        at(transfer.from, transfer.chunk) + hop,
                    )
                })
                .collect();
            ready.extend(arrivals);
        }
        ready.into_values().max().expect("something is sent")
    }
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
    let jobs: [(u32, &[u32]); 3] = [
        (8, &[2, 3, 5, 8, 16, 24, 32, 40, 48, 56, 64]),
        (4, &[12, 20, 36, 60]),
        (1, &[7, 12, 27, 36, 64]),
    ];
    let kinds = TopologyKind::ALL.iter().map(|&kind| kind.into());
    for topology in kinds.chain([FabricTopology::Custom(Arc::new(islands()))]) {
        for (oversubscription, nodes_per_leaf) in [(1.0, 2), (2.0, 2), (2.0, 3)] {
            let is_own = matches!(topology, FabricTopology::Custom(_));
            if is_own && oversubscription > 1.0 {
                continue;
            }
            for (gpus_per_node, sizes) in jobs {
                let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
                (cluster.gpus_per_node, cluster.domain_gpus) = (gpus_per_node, gpus_per_node);
                cluster.nics_per_node = gpus_per_node;
                cluster.fabric.topology = topology.clone();
                cluster.fabric.oversubscription = oversubscription;
                cluster.fabric.nodes_per_leaf = nodes_per_leaf;
                cluster.fabric.scattered_efficiency = cluster.fabric.efficiency;
                for &gpus in sizes {
                    for (size, stride) in shapes.into_iter().chain([(gpus, 1)]) {
                        if gpus % (size * stride) == 0 {
                            all.push((cluster.clone(), gpus, GroupPattern { size, stride }));
                        }
                    }
                }
            }
        }
    }
    all
}

/// Sixteen nodes on three switches in a triangle whose sides differ, two of them in their directions
/// too; from the first island to the third there are two ways over the second.
fn islands() -> CustomTopology {
    let link = |from, to, gbyte_per_s, micros, one_way| CustomLink {
        from,
        to,
        bandwidth: Bandwidth::gbyte_per_s(gbyte_per_s),
        latency: SimDuration::from_micros(micros),
        one_way,
        count: 1,
    };
    let (a, b, other, c) = (16, 17, 18, 19);
    let mut links: Vec<CustomLink> = (0..16)
        .map(|node| link(node, [a, b, c][node as usize * 3 / 16], 400.0, 1, false))
        .collect();
    links.extend([
        link(a, b, 300.0, 2, false),
        link(a, other, 250.0, 3, false),
        link(b, c, 200.0, 5, true),
        link(other, c, 150.0, 4, true),
        link(c, b, 175.0, 5, true),
        link(c, a, 100.0, 17, true),
    ]);
    let network = CustomNetwork {
        name: "islands".to_owned(),
        unit: DeviceUnit::Nodes,
        devices: (0..16).map(|node| format!("n{node}")).collect(),
        switches: ["a", "b", "other", "c"].map(str::to_owned).to_vec(),
        links,
        has_latency: true,
    };
    CustomTopology::new(&network).expect("all are joined")
}

/// Compares what is priced with every rank simulated, everywhere; how many cases there were.
fn compared(priced: impl Fn(&Network, GroupPattern) -> Option<(Scheduled, SimDuration)>) -> usize {
    let mut cases = 0;
    for (cluster, gpus, groups) in placements() {
        let Ok(network) = Network::new(&cluster, gpus) else {
            continue;
        };
        let Some((scheduled, time)) = priced(&network, groups) else {
            continue;
        };
        let Some(full) = scheduled.every_rank(&cluster, gpus) else {
            continue;
        };
        cases += 1;
        let fabric = &cluster.fabric;
        assert_eq!(
            time, full,
            "{:?} of {gpus} on {} {}:1, {} per leaf",
            scheduled.request, fabric.topology, fabric.oversubscription, fabric.nodes_per_leaf
        );
    }
    cases
}

fn request(
    op: CollectiveOp,
    groups: GroupPattern,
    algorithm: Option<CollectiveAlgorithm>,
) -> CollectiveRequest {
    CollectiveRequest {
        op,
        bytes: Bytes::new(64 * 27 * 5 * 7 * 10_000),
        groups,
        algorithm: algorithm.map(Algorithm::BuiltIn),
        protocol: Some(Protocol::Ideal),
    }
}

// To the picosecond, over 2 to 64 GPUs, for whatever an algorithm carries: groups inside nodes, over whole
// nodes, with one member in each, and straddling them, on whole and partly filled leaves.
#[test]
fn every_algorithm_takes_as_long_as_with_every_rank_simulated() {
    let pairs = CollectiveAlgorithm::ALL
        .iter()
        .flat_map(|&algorithm| CollectiveOp::ALL.iter().map(move |&op| (algorithm, op)));
    let pairs: Vec<_> = pairs.collect();
    pairs.into_par_iter().for_each(|(algorithm, op)| {
        let carries = algorithm.schedule(op, GroupLayout::new(8, 8)).is_some();
        let cases = compared(|network, groups| {
            let scheduled = Scheduled::of(network, request(op, groups, Some(algorithm)))?;
            let time = if scheduled.hands_on {
                network.in_rounds(&scheduled.request, algorithm)?
            } else {
                network.collective(&scheduled.request).ok()?.time
            };
            Some((scheduled, time))
        });
        assert_eq!(cases > 1_000, carries, "{algorithm} {op}: {cases} cases");
    });
}

// The same for a custom schedule, where every rank keeps to its own NIC: a ring one way round.
#[test]
fn a_custom_schedule_takes_as_long_as_with_every_rank_simulated() {
    let cases = compared(|network, groups| {
        let layout = GroupLayout::new(groups.size, 1);
        let request = request(CollectiveOp::AllReduce, groups, None);
        let ring = CollectiveAlgorithm::Ring.schedule(request.op, layout)?;
        let custom = CustomAlgorithm {
            name: "mine".to_owned(),
            schedule: CustomSchedule::Rounds(ring.clone()),
        };
        let asked = CollectiveRequest {
            algorithm: Some(Algorithm::Custom(Arc::new(custom))),
            ..request.clone()
        };
        let time = network.collective(&asked).ok()?.time;
        let scheduled = Scheduled {
            schedule: ring,
            layout,
            request,
            hands_on: false,
            own_nics: true,
        };
        Some((scheduled, time))
    });
    assert!(cases > 1_000, "{cases} cases");
}

// What has no closed form is priced from its schedule with every rank on its own NIC. Where groups lie
// evenly over whole nodes of as many NICs as GPUs that is what the closed forms say too.
#[test]
fn a_schedule_is_priced_as_the_closed_form_of_the_same_rounds() {
    let cluster = &Catalog::builtin().clusters["dgx-h100"];
    let mut cluster = (**cluster).clone();
    cluster.fabric.scattered_efficiency = cluster.fabric.efficiency;
    for (gpus, size, stride) in [(8, 8, 1), (16, 16, 1), (64, 64, 1), (64, 8, 8), (32, 4, 8)] {
        let network = Network::new(&cluster, gpus).expect("a rail fabric holds any job");
        let groups = GroupPattern { size, stride };
        for algorithm in [
            CollectiveAlgorithm::Direct,
            CollectiveAlgorithm::Hierarchical,
            CollectiveAlgorithm::HalvingDoubling,
        ] {
            let request = request(CollectiveOp::AllReduce, groups, Some(algorithm));
            let closed = network.collective(&request).expect("it is carried").time;
            let played = network.by_its_schedule(&request, algorithm);
            let played = played.expect("it has a schedule");
            let apart = (closed.as_secs_f64() / played.get() - 1.0).abs();
            assert!(
                apart < 1e-9,
                "{algorithm} over {size} · {stride} of {gpus}: {apart}"
            );
        }
    }
}
