//! What a schedule of one's own costs on a job's network.
//!
//! A round moves its messages at once; each link is shared out among them by their bytes, so the
//! round takes as long as its busiest link. Latencies follow the pieces: a rank hands a piece on once
//! it has it, and the slowest chain of hand-overs counts. Under `ideal` rounds are synchronous, as
//! for the program's own algorithms: each waits for its slowest message.

use std::collections::BTreeMap;

use crate::collective::library;
use crate::collective::link_loads::{ScheduleLoads, bases};
use crate::collective::network::{CollectiveCost, GroupPattern, LinkLoads, Network, Unsupported};
use crate::collective::rounds_cost::whole_picos;
use crate::collective::schedule::{GroupLayout, Schedule, schedule};
use crate::collective::ways::{Pricing, Way, lines, slots, window};
use crate::collective::{CarriedBy, CollectiveAlgorithm, CollectiveOp, OwnAlgorithm, Protocol};
use crate::hardware::ScaleUpKind;
use crate::units::{Bytes, SimDuration};

/// What the groups of a pattern ask of a schedule, all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScheduledRequest {
    /// Operation that is wanted.
    pub op: CollectiveOp,
    /// Size as nccl-tests counts it.
    pub bytes: Bytes,
    /// The groups.
    pub groups: GroupPattern,
    /// Protocol; `None`: the fastest one.
    pub protocol: Option<Protocol>,
}

/// Seconds of one protocol.
#[derive(Clone, Copy, Debug)]
struct Price {
    protocol: Protocol,
    latency: f64,
    transfer: f64,
}

impl Price {
    fn total(&self) -> f64 {
        self.latency + self.transfer
    }
}

impl Network {
    /// Time of a schedule and its load on the network.
    ///
    /// # Errors
    /// If it carries another operation, or is made for another number of ranks.
    pub fn scheduled(
        &self,
        own: &OwnAlgorithm,
        request: &ScheduledRequest,
    ) -> Result<CollectiveCost, Unsupported> {
        check(own, request)?;
        let schedule = &own.schedule;
        let loads = ScheduleLoads::of(self, schedule, request.groups);
        let piece = request.bytes.as_f64() * schedule.piece_of_buffer();
        let (first, others) = match request.protocol {
            Some(protocol) => (protocol, &[][..]),
            None => (Protocol::Simple, &[Protocol::Ll, Protocol::Ll128][..]),
        };
        let price = |protocol| self.price(schedule, &loads, request, protocol);
        let price = others
            .iter()
            .map(|other| price(*other))
            .fold(price(first), |best, other| {
                if other.total() < best.total() {
                    other
                } else {
                    best
                }
            });
        let time = SimDuration::from_secs_f64(price.total());
        let secs = time.as_secs_f64().max(1e-12);
        let used = LinkLoads {
            scale_up: (loads.inside * piece / secs).min(1.0),
            scale_out: (loads.across * piece / secs).min(1.0),
        };
        let (up, fabric) = (&self.cluster.scale_up, &self.cluster.fabric);
        let channels = library::generation(self.cluster.library).channels;
        Ok(CollectiveCost {
            time,
            latency: SimDuration::from_secs_f64(price.latency),
            algorithm: CarriedBy::Schedule,
            protocol: price.protocol,
            sent_intra: Bytes::from_f64(loads.sent[0] * piece),
            sent_inter: Bytes::from_f64(loads.sent[1] * piece),
            link_utilization_max: (used.scale_up * up.efficiency)
                .max(used.scale_out * fabric.efficiency),
            loads: used,
            sms: channels[usize::from(loads.sent[1] > 0.0)],
        })
    }

    /// The rounds of an algorithm's schedule with every message on its links; `None` where it
    /// cannot carry the operation.
    pub(super) fn by_schedule(
        &self,
        pricing: &Pricing<'_>,
        protocol: Protocol,
        algorithm: CollectiveAlgorithm,
    ) -> Option<Way> {
        let (request, shape) = (pricing.request, pricing.shape);
        // What four ranks cannot do, thousands cannot either; their rounds need not be made for that.
        schedule(algorithm, request.op, GroupLayout::new(4, 4)).ok()?;
        if algorithm == CollectiveAlgorithm::Hierarchical && !shape.is_even() {
            return None;
        }
        let members = if shape.is_even() { shape.members } else { 1 };
        let layout = GroupLayout::new(shape.ranks, members);
        let schedule = schedule(algorithm, request.op, layout).ok()?;
        let loads = ScheduleLoads::of(self, &schedule, request.groups);
        let asked = ScheduledRequest {
            op: request.op,
            bytes: request.bytes,
            groups: request.groups,
            protocol: Some(protocol),
        };
        let price = self.price(&schedule, &loads, &asked, protocol);
        Some(Way {
            algorithm,
            protocol,
            latency: price.latency,
            transfer: price.transfer,
            busy: None,
        })
    }

    fn price(
        &self,
        schedule: &Schedule,
        loads: &ScheduleLoads,
        request: &ScheduledRequest,
        protocol: Protocol,
    ) -> Price {
        let piece = request.bytes.as_f64() * schedule.piece_of_buffer();
        let mut delays = Delays::of(self, request, protocol);
        let latency = if protocol == Protocol::Ideal {
            delays.by_rounds(schedule, request.groups)
        } else {
            library::RING.base[library::row(protocol)] * 1e-6
                + delays.by_pieces(schedule, request.groups)
                + self.message_overhead(loads, piece)
        };
        let [inside, across] = self.protocol_factors(protocol);
        let mut transfer: f64 = loads
            .rounds
            .iter()
            .map(|round| (round.inside * inside).max(round.across * across))
            .map(|secs_per_byte| whole_picos(secs_per_byte * piece))
            .sum();
        let fabric = &self.cluster.fabric;
        let crossings = loads.rounds.iter().filter(|round| round.across > 0.0);
        if protocol != Protocol::Ideal && loads.sent[1] > 0.0 {
            // Messages that need a rendezvous hide it behind those under way, as in a ring.
            let agreed = fabric
                .rendezvous
                .filter(|class| piece >= class.limit.as_f64());
            let rendezvous = agreed.map_or(0.0, |class| class.cost.as_secs_f64());
            transfer = libm::hypot(transfer, rendezvous * crossings.count() as f64)
                + window(request.bytes.as_f64(), fabric.plugin_latency.as_secs_f64());
        }
        Price {
            protocol,
            latency,
            transfer,
        }
    }

    /// How much longer bytes take under a protocol than at the links' rate, inside domains and
    /// between them.
    fn protocol_factors(&self, protocol: Protocol) -> [f64; 2] {
        match protocol {
            // Half of what LL sends is flags, and its kernels have a ceiling of their own.
            Protocol::Ll => {
                let up = &self.cluster.scale_up;
                let full = up.bandwidth.as_bytes_per_s() * up.efficiency;
                let ceiling = library::generation(self.cluster.library).ll[0] * 1e9;
                [(full / ceiling).max(2.0), 2.0]
            }
            Protocol::Ll128 => [1.0 / 0.92; 2],
            Protocol::Simple | Protocol::Ideal => [1.0; 2],
        }
    }

    /// What the plugin needs where ranks talk to several others in one round.
    fn message_overhead(&self, loads: &ScheduleLoads, piece: f64) -> f64 {
        let messages: u32 = loads
            .rounds
            .iter()
            .map(|round| round.remote_peers)
            .filter(|peers| *peers > 1)
            .sum();
        let fabric = &self.cluster.fabric;
        let short = fabric
            .short_messages
            .filter(|class| piece <= class.limit.as_f64());
        let each = short.map_or(fabric.message_overhead, |class| class.cost);
        each.as_secs_f64() * f64::from(messages)
    }
}

fn check(own: &OwnAlgorithm, request: &ScheduledRequest) -> Result<(), Unsupported> {
    let OwnAlgorithm { name, schedule } = own;
    let refused = |sentence| Err(Unsupported { sentence });
    if schedule.op != request.op {
        return refused(format!(
            "collective `{name}` carries {}, not {}",
            schedule.op, request.op
        ));
    }
    if schedule.ranks != request.groups.size {
        return refused(format!(
            "collective `{name}` is made for {} ranks, the group has {}",
            schedule.ranks, request.groups.size
        ));
    }
    Ok(())
}

/// Latencies of messages, in seconds.
struct Delays<'a> {
    network: &'a Network,
    inside: f64,
    across: f64,
    /// Messages between domains whose way a spec's own topology times.
    known: BTreeMap<(u32, u32), f64>,
    protocol: Protocol,
    growth: f64,
    /// NCCL's latency of a network hop in microseconds, without the plugin's.
    hop: f64,
}

impl<'a> Delays<'a> {
    fn of(network: &'a Network, request: &ScheduledRequest, protocol: Protocol) -> Self {
        let (up, fabric) = (&network.cluster.scale_up, &network.cluster.fabric);
        let growth = match protocol {
            Protocol::Ll => slots(request.bytes.get()),
            Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => 1.0,
        };
        let row = library::row(protocol);
        // NCCL takes the tree's network latency where a node holds one rank.
        let table = if network.shape(request.groups).members == 1 {
            &library::TREE
        } else {
            &library::RING
        };
        let mut delays = Self {
            network,
            hop: table.network[row],
            inside: up.latency.as_secs_f64(),
            across: fabric.latency.as_secs_f64(),
            known: BTreeMap::new(),
            protocol,
            growth,
        };
        if protocol == Protocol::Ideal {
            return delays;
        }
        let step = library::generation(network.cluster.library).ring_step;
        let hop = match (protocol, up.kind) {
            (Protocol::Ll, _) => step + lines(protocol, request.bytes.get()),
            (_, ScaleUpKind::Pcie) => library::RING.pcie[row].max(step),
            (
                _,
                ScaleUpKind::NvSwitch
                | ScaleUpKind::NvLinkMesh
                | ScaleUpKind::HybridCubeMesh
                | ScaleUpKind::XgmiMesh
                | ScaleUpKind::Ici,
            ) => library::RING.nvlink[row].max(step),
        };
        delays.inside = hop * 1e-6;
        delays.across = delays.network_hop(fabric.plugin_latency);
        delays
    }

    /// A message between domains under a library's protocol.
    fn network_hop(&self, plugin: SimDuration) -> f64 {
        // Bulk chunks flush the receiver's memory, which is one more message.
        let messages = match self.protocol {
            Protocol::Ll | Protocol::Ll128 => 1.0,
            Protocol::Simple | Protocol::Ideal => 2.0,
        };
        (self.hop * 1e-6 + plugin.as_secs_f64() * messages) * self.growth
    }

    fn of_message(&mut self, from: u32, to: u32) -> f64 {
        let per_domain = self.network.per_domain;
        let ends = (from / per_domain, to / per_domain);
        if ends.0 == ends.1 {
            return self.inside;
        }
        if let Some(delay) = self.known.get(&ends) {
            return *delay;
        }
        let fabric = &self.network.cluster.fabric;
        let topology = self.network.contention.topology();
        let stated = topology.and_then(|topology| topology.latency(ends.0, ends.1));
        let delay = match stated {
            None => self.across,
            Some(latency) if self.protocol == Protocol::Ideal => latency.as_secs_f64(),
            Some(latency) => self.network_hop(fabric.plugin_latency_over(latency)),
        };
        self.known.insert(ends, delay);
        delay
    }

    /// Synchronous rounds: the slowest message of each.
    fn by_rounds(&mut self, schedule: &Schedule, groups: GroupPattern) -> f64 {
        let mut total = 0.0;
        for round in &schedule.rounds {
            let mut slowest = 0.0_f64;
            for base in bases(groups, self.network.gpus) {
                for transfer in round {
                    let [from, to] = [transfer.from, transfer.to]
                        .map(|position| base + position * groups.stride);
                    slowest = slowest.max(self.of_message(from, to));
                }
            }
            total += slowest;
        }
        total
    }

    /// The slowest chain of hand-overs of any piece in any group.
    fn by_pieces(&mut self, schedule: &Schedule, groups: GroupPattern) -> f64 {
        let pieces = schedule.pieces as usize;
        let mut slowest = 0.0_f64;
        let mut ready = vec![0.0_f64; schedule.ranks as usize * pieces];
        let mut arrivals: Vec<(usize, f64, bool)> = Vec::new();
        for base in bases(groups, self.network.gpus) {
            ready.fill(0.0);
            for round in &schedule.rounds {
                arrivals.clear();
                for transfer in round {
                    let at = |position: u32| position as usize * pieces + transfer.piece as usize;
                    let [from, to] = [transfer.from, transfer.to]
                        .map(|position| base + position * groups.stride);
                    let arrival = ready[at(transfer.from)] + self.of_message(from, to);
                    arrivals.push((at(transfer.to), arrival, transfer.adds));
                }
                for &(place, arrival, adds) in &arrivals {
                    // What is replaced need not have been there before.
                    ready[place] = if adds {
                        ready[place].max(arrival)
                    } else {
                        arrival
                    };
                }
            }
            slowest = ready.iter().copied().fold(slowest, f64::max);
        }
        slowest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::collective::CollectiveRequest;
    use crate::hardware::{
        Cluster, DeviceUnit, FabricTopology, OwnLink, OwnNetwork, OwnTopology, TopologyKind,
    };
    use crate::units::Bandwidth;

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

    fn ring(ranks: u32) -> OwnAlgorithm {
        let group = GroupLayout::new(ranks, 1);
        OwnAlgorithm {
            name: "mine".to_owned(),
            schedule: schedule(CollectiveAlgorithm::Ring, CollectiveOp::AllReduce, group)
                .expect("a ring carries it"),
        }
    }

    fn request(size: u32, stride: u32, bytes: u64, protocol: Protocol) -> ScheduledRequest {
        ScheduledRequest {
            op: CollectiveOp::AllReduce,
            bytes: Bytes::new(bytes),
            groups: GroupPattern { size, stride },
            protocol: Some(protocol),
        }
    }

    fn time(cluster: &Cluster, gpus: u32, request: &ScheduledRequest) -> SimDuration {
        let network = Network::new(cluster, gpus).expect("the fabric holds the job");
        let cost = network.scheduled(&ring(request.groups.size), request);
        cost.expect("the ranks agree").time
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
                    let ours = network.scheduled(&ring(ranks), &request).expect("it fits");
                    let asked = CollectiveRequest {
                        op: request.op,
                        bytes: request.bytes,
                        groups: request.groups,
                        algorithm: Some(CollectiveAlgorithm::Ring),
                        protocol: request.protocol,
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
        let refused = |request| {
            let fault = network.scheduled(&ring(4), &request);
            fault.expect_err("it does not fit").sentence
        };
        assert_eq!(
            refused(request(8, 1, 8, Protocol::Simple)),
            "collective `mine` is made for 4 ranks, the group has 8"
        );
        let gather = ScheduledRequest {
            op: CollectiveOp::AllGather,
            ..request(4, 1, 8, Protocol::Simple)
        };
        assert_eq!(
            refused(gather),
            "collective `mine` carries all-reduce, not all-gather"
        );
    }
}
