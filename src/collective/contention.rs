//! Contention of all groups of a pattern in the fabric between the domains.

use std::cell::RefCell;
use std::sync::Arc;

use crate::collective::binary_tree;
use crate::collective::placement::{
    DomainFlow, GroupPattern, GroupShape, GroupTraffic, Orientation, Traffic, bases, messages,
    visits,
};
use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::hardware::{
    Cluster, CustomPlacement, Fabric, FabricTopology, Topology, TopologyFault, TopologyKind,
    TopologySize,
};
use crate::memo::Memo;
use crate::units::{Bandwidth, Seconds, SimDuration, SimTime, Volume};

/// Fabric between the domains of a job.
#[derive(Clone, Debug)]
pub(super) struct Contention {
    /// The network behind the NICs; none below two domains.
    network: Option<Arc<Topology>>,
    /// Whether it never holds traffic back.
    is_free: bool,
    fabric: Fabric,
    /// Latency of a hop inside a domain.
    inside: Seconds,
    domains: u32,
    per_domain: u32,
    /// Found before; every job and size asks for the same few patterns.
    known: RefCell<Memo<GroupTraffic, PatternContention, 4096>>,
}

/// Contention of all groups of one pattern.
#[derive(Clone, Copy, Debug)]
struct PatternContention {
    /// How many times longer they take than on an ideal switch, ≥ 1; on trees the time of a buffer.
    slowdown: f64,
    path: CriticalPath,
}

/// Messages between domains that follow one another on the critical path of a pattern.
///
/// Of an exchange and a chain that is the slowest message, of a ring all but one of the crossings between
/// domains, of trees those from the farthest domain to the root.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CriticalPath {
    /// Number of messages.
    pub(super) messages: f64,
    /// Latency from NIC to NIC of all of them together.
    pub(super) latency: Seconds,
    /// Slowest one of the pattern.
    pub(super) slowest: Seconds,
}

impl Contention {
    /// The fabric between the `domains` of a job.
    ///
    /// # Errors
    /// If a mesh or torus cannot hold them.
    pub(super) fn new(
        cluster: &Cluster,
        domains: u32,
        per_domain: u32,
    ) -> Result<Self, TopologyFault> {
        let network = if domains < 2 {
            None
        } else {
            Some(network(cluster, domains, per_domain)?)
        };
        Ok(Self {
            network: network.map(Arc::new),
            is_free: is_free(&cluster.fabric),
            fabric: cluster.fabric.clone(),
            inside: cluster.scale_up.latency.into(),
            domains,
            per_domain,
            known: RefCell::default(),
        })
    }

    /// How many times longer than on an ideal switch the traffic of all groups takes, ≥ 1; of trees
    /// buffers on the busiest NICs or link, in those of a domain.
    pub(super) fn slowdown(&self, of: GroupTraffic) -> f64 {
        match of.traffic {
            Traffic::Trees => self.of_traffic(of).slowdown,
            _ if self.is_free => 1.0,
            _ => self.of_traffic(of).slowdown,
        }
    }

    /// Messages between domains on the critical path of the groups.
    pub(super) fn path(&self, of: GroupTraffic) -> CriticalPath {
        let one = self
            .network
            .as_ref()
            .is_none_or(|network| network.has_one_latency());
        if one {
            let count = f64::from(messages_on_the_path(of.traffic, of.shape.domains));
            let latency = self.fabric.latency.into();
            return CriticalPath::of_equal(count, latency);
        }
        self.of_traffic(of).path
    }

    fn of_traffic(&self, of: GroupTraffic) -> PatternContention {
        let mut known = self.known.borrow_mut();
        let found = known.get_or_make(of, || PatternContention {
            slowdown: self.pressure(of),
            path: self.slowest_path(of),
        });
        *found
    }

    fn pressure(&self, of: GroupTraffic) -> f64 {
        let least = match of.traffic {
            Traffic::Trees => {
                let count = of.shape.domains;
                let sent = (0..count).map(|index| {
                    let partners = of.traffic.partners(index, count).into_iter();
                    partners.map(|(_, amount)| amount).sum()
                });
                sent.fold(0.0, f64::max)
            }
            Traffic::Ring(_) | Traffic::Exchange | Traffic::Chain => 1.0,
        };
        let Some(topology) = self.topology() else {
            return least;
        };
        if of.traffic == Traffic::Trees && topology.is_adaptive() {
            // The few flows of high levels are held back as those of a ring are.
            let ring = GroupTraffic {
                traffic: Traffic::Ring(Orientation::Both),
                ..of
            };
            return least * self.pressure(ring);
        }
        let pressure = if of.traffic == Traffic::Exchange && self.is_regular(of.groups, of.shape) {
            topology.exchange_pressure(&self.groups_of_domains(of))
        } else {
            topology.pressure(self.flows(of))
        };
        pressure.max(least)
    }

    /// The critical path of any group, against hops inside a domain.
    fn slowest_path(&self, of: GroupTraffic) -> CriticalPath {
        let mut slowest = CriticalPath::of_equal(0.0, Seconds::ZERO);
        for domains in self.groups_of_domains(of) {
            let path = self.path_of(&domains, of.traffic);
            let over = |path: &CriticalPath| (path.latency - self.inside * path.messages).get();
            let single = slowest.slowest.max(path.slowest);
            if slowest.messages == 0.0 || over(&path) > over(&slowest) {
                slowest = path;
            }
            slowest.slowest = single;
        }
        slowest
    }

    /// The critical path of a group on these domains.
    fn path_of(&self, domains: &[u32], traffic: Traffic) -> CriticalPath {
        let pairs: Vec<(u32, u32)> = match traffic {
            Traffic::Exchange => return self.across_an_exchange(domains),
            Traffic::Chain => domains.windows(2).map(|pair| (pair[0], pair[1])).collect(),
            Traffic::Ring(orientation) => return self.around(domains, orientation),
            Traffic::Trees => return self.up_a_tree(domains),
        };
        self.slowest_of(pairs.into_iter())
    }

    /// The slowest message between any two of these domains.
    fn across_an_exchange(&self, domains: &[u32]) -> CriticalPath {
        let mut ends = domains.to_vec();
        ends.sort_unstable();
        if let Some(network) = &self.network {
            ends = network.farthest_apart(&ends);
        }
        let all = ends
            .iter()
            .flat_map(|from| ends.iter().map(move |to| (*from, *to)));
        self.slowest_of(all.filter(|(from, to)| from != to))
    }

    /// One message, the slowest of these.
    fn slowest_of(&self, pairs: impl Iterator<Item = (u32, u32)>) -> CriticalPath {
        let latencies = pairs.map(|(from, to)| self.latency_between(from, to));
        CriticalPath::of_equal(1.0, latencies.fold(Seconds::ZERO, Seconds::max))
    }

    /// All crossings of a ring but the fastest one, the slower way round where it sends both ways.
    fn around(&self, domains: &[u32], orientation: Orientation) -> CriticalPath {
        let one_way = |forward: bool| {
            let next = domains.iter().cycle().skip(1);
            let crossings: Vec<Seconds> = domains
                .iter()
                .zip(next)
                .map(|(from, to)| {
                    let (from, to) = if forward { (from, to) } else { (to, from) };
                    self.latency_between(*from, *to)
                })
                .collect();
            let fastest = crossings
                .iter()
                .map(|it| it.get())
                .fold(f64::INFINITY, f64::min);
            let all: Seconds = crossings.iter().copied().sum();
            CriticalPath {
                messages: crossings.len() as f64 - 1.0,
                latency: all - Seconds::new(fastest),
                slowest: crossings.into_iter().fold(Seconds::ZERO, Seconds::max),
            }
        };
        match orientation {
            Orientation::Forward => one_way(true),
            Orientation::Backward => one_way(false),
            Orientation::Both => {
                let (there, back) = (one_way(true), one_way(false));
                if there.latency >= back.latency {
                    there
                } else {
                    back
                }
            }
        }
    }

    /// From the farthest domain to the root of either tree; the mean of the way up and of that down.
    fn up_a_tree(&self, domains: &[u32]) -> CriticalPath {
        let count = domains.len() as u32;
        let second = |position| binary_tree::second(position, count);
        let numberings: [&dyn Fn(u32) -> u32; 2] = [&|position| position, &second];
        let mut farthest = CriticalPath::of_equal(0.0, Seconds::ZERO);
        for member in numberings {
            let at = |position| domains[member(position) as usize];
            let mut paths = vec![CriticalPath::of_equal(0.0, Seconds::ZERO); domains.len()];
            for (position, above) in binary_tree::downwards(count) {
                let (here, there) = (at(position), at(above));
                let both = self.latency_between(here, there) + self.latency_between(there, here);
                paths[position as usize] = paths[above as usize].after(both / 2.0);
            }
            for path in paths {
                let slowest = farthest.slowest.max(path.slowest);
                if path.latency > farthest.latency {
                    farthest = path;
                }
                farthest.slowest = slowest;
            }
        }
        farthest
    }

    /// Domains of each group in its order; groups on the same domains once where they lie evenly.
    fn groups_of_domains(&self, of: GroupTraffic) -> Vec<Vec<u32>> {
        let (groups, count) = (of.groups, of.shape.domains);
        if self.is_regular(groups, of.shape) {
            let stride = (groups.stride / self.per_domain).max(1);
            let firsts = (0..self.domains).filter(|domain| (domain / stride).is_multiple_of(count));
            let members = |first: u32| (0..count).map(|index| first + index * stride).collect();
            return firsts.map(members).collect();
        }
        let ranks = self.domains * self.per_domain;
        let all = bases(groups, ranks).map(|base| visits(groups, base, self.per_domain, ranks));
        let domains = all.map(|visits| {
            visits
                .into_iter()
                .map(|visit| visit.domain)
                .collect::<Vec<_>>()
        });
        domains.filter(|domains| domains.len() > 1).collect()
    }

    /// Latency of a message between two domains.
    pub(super) fn latency_between(&self, from: u32, to: u32) -> Seconds {
        let network = self.network.as_ref().filter(|_| from != to);
        let latency = network.map_or(self.fabric.latency, |network| {
            self.fabric.latency_over(network, from, to)
        });
        latency.into()
    }

    /// The network behind the NICs, where it can hold traffic back.
    pub(super) fn topology(&self) -> Option<&Topology> {
        self.network.as_deref().filter(|_| !self.is_free)
    }

    /// Whether directions of the network differ.
    pub(super) fn has_directions(&self) -> bool {
        self.network
            .as_ref()
            .is_some_and(|network| network.is_custom())
    }

    /// Whether switches above the domains can sum what comes from below: leaves, or one ideal switch.
    pub(super) fn has_leaves(&self) -> bool {
        self.topology()
            .is_none_or(|topology| topology.leaf(0).is_some())
    }

    /// Messages on the busiest NICs or link when the groups of a pattern lie unevenly over the
    /// domains, in messages at the rate of a domain's NICs; `None` where they lie evenly.
    pub(super) fn uneven(&self, of: GroupTraffic, gpus: u32) -> Option<f64> {
        if self.is_regular(of.groups, of.shape) {
            return None;
        }
        let messages = messages(of.groups, self.per_domain, gpus, of.traffic);
        Some(self.busiest(&messages)).filter(|messages| *messages > 0.0)
    }

    /// Load of the busiest NICs or link under messages between domains, in amounts at the rate of a
    /// domain's NICs.
    pub(super) fn busiest(&self, messages: &[DomainFlow]) -> f64 {
        let mut nics = vec![0.0; 2 * self.domains as usize];
        for &(from, to, amount) in messages {
            nics[2 * from as usize] += amount;
            nics[2 * to as usize + 1] += amount;
        }
        let pressure = self
            .topology()
            .map_or(0.0, |topology| topology.pressure(messages.iter().copied()));
        nics.into_iter().fold(pressure, f64::max)
    }

    /// Time that messages between domains take when they share the NICs and links fairly; an amount
    /// of 1 is the whole buffer, and the NICs of a domain together have the rate `line`.
    ///
    /// Messages of one size keep the busiest link full to the end; unequal ones are played.
    pub(super) fn time(
        &self,
        messages: &[DomainFlow],
        buffer: Volume,
        line: Bandwidth,
    ) -> SimDuration {
        let unequal = messages
            .windows(2)
            .any(|pair| (pair[0].2 - pair[1].2).abs() > 1e-12);
        if unequal {
            self.played(messages, buffer, line)
        } else {
            (buffer * self.busiest(messages) / line).rounded()
        }
    }

    /// Time of messages of unequal sizes, played as flows.
    fn played(&self, messages: &[DomainFlow], buffer: Volume, line: Bandwidth) -> SimDuration {
        let nics = 2 * self.domains;
        let link = |capacity: f64| FlowLink {
            capacity: line.scaled(capacity),
            latency: SimDuration::ZERO,
        };
        let mut links = vec![link(1.0); nics as usize];
        let between = self.topology().into_iter().flat_map(|t| t.graph().links());
        links.extend(between.map(|between| link(between.capacity)));
        let flow = |&(from, to, amount): &DomainFlow| {
            let mut route = vec![Crossing::whole(2 * from), Crossing::whole(2 * to + 1)];
            if let Some(topology) = self.topology() {
                topology.route(from, to, &mut |link, share| {
                    let link = nics + link;
                    route.push(Crossing { link, share });
                });
            }
            Flow {
                start: SimTime::ZERO,
                bytes: (buffer * amount).rounded(),
                route,
            }
        };
        let flows: Vec<Flow> = messages.iter().map(flow).collect();
        let last = finish_times(&links, &flows).into_iter().max();
        last.map_or(SimDuration::ZERO, |last| last - SimTime::ZERO)
    }

    /// Whether all groups on a domain go on to the same domains, with equal parts of its NICs.
    pub(super) fn is_regular(&self, groups: GroupPattern, shape: GroupShape) -> bool {
        let span = groups.size * groups.stride;
        let whole = groups.stride.is_multiple_of(self.per_domain)
            || self.per_domain.is_multiple_of(groups.stride)
                && span.is_multiple_of(self.per_domain);
        let stride = (groups.stride / self.per_domain).max(1);
        whole && self.domains.is_multiple_of(stride * shape.domains)
    }

    /// Flows of all groups, where a domain sends 1 in all.
    fn flows(&self, of: GroupTraffic) -> Vec<DomainFlow> {
        let GroupTraffic {
            groups,
            shape,
            traffic,
        } = of;
        if !self.is_regular(groups, shape) {
            return self.flows_by_group(groups, traffic);
        }
        // One bundle of flows per pair of domains.
        let stride = (groups.stride / self.per_domain).max(1);
        let of_domain = |domain: u32| {
            let index = domain / stride % shape.domains;
            let first = domain - index * stride;
            let partners = traffic.partners(index, shape.domains).into_iter();
            partners.map(move |(other, amount)| (domain, first + other * stride, amount))
        };
        (0..self.domains).flat_map(of_domain).collect()
    }

    /// Flows of every group by itself, each with its part of its domain's NICs.
    fn flows_by_group(&self, groups: GroupPattern, traffic: Traffic) -> Vec<DomainFlow> {
        let ranks = self.domains * self.per_domain;
        let part = 1.0 / f64::from(self.per_domain);
        let mut flows = Vec::new();
        for base in bases(groups, ranks) {
            let visits = visits(groups, base, self.per_domain, ranks);
            for (from, index) in visits.iter().zip(0..) {
                for (other, amount) in traffic.partners(index, visits.len() as u32) {
                    let sent = amount * part * f64::from(from.ranks);
                    flows.push((from.domain, visits[other as usize].domain, sent));
                }
            }
        }
        flows
    }
}

impl CriticalPath {
    /// The path with another message in front.
    fn after(self, message: Seconds) -> Self {
        Self {
            messages: self.messages + 1.0,
            latency: self.latency + message,
            slowest: self.slowest.max(message),
        }
    }

    /// Messages of one latency.
    pub(super) fn of_equal(messages: f64, latency: Seconds) -> Self {
        Self {
            messages,
            latency: latency * messages,
            slowest: latency,
        }
    }
}

/// Messages on the critical path of a pattern over so many domains.
const fn messages_on_the_path(traffic: Traffic, domains: u32) -> u32 {
    match traffic {
        Traffic::Ring(_) => domains.saturating_sub(1),
        Traffic::Trees => binary_tree::depth(domains),
        Traffic::Exchange | Traffic::Chain => 1,
    }
}

/// Whether a fabric never holds traffic back.
const fn is_free(fabric: &Fabric) -> bool {
    match &fabric.topology {
        FabricTopology::Kind(kind) => match kind {
            TopologyKind::Switch => true,
            TopologyKind::FatTree | TopologyKind::Rail => fabric.oversubscription <= 1.0,
            TopologyKind::Ring
            | TopologyKind::Mesh2d
            | TopologyKind::Torus2d
            | TopologyKind::Torus3d
            | TopologyKind::Tree
            | TopologyKind::Dragonfly => false,
        },
        FabricTopology::Custom(_) => false,
    }
}

/// The network behind the NICs of the domains.
fn network(cluster: &Cluster, domains: u32, per_domain: u32) -> Result<Topology, TopologyFault> {
    let fabric = &cluster.fabric;
    match &fabric.topology {
        FabricTopology::Kind(kind) => {
            let per_leaf = fabric.nodes_per_leaf * cluster.gpus_per_node / per_domain;
            let size = TopologySize {
                devices: domains,
                per_leaf: per_leaf.max(1),
                oversubscription: fabric.oversubscription,
            };
            Topology::build(*kind, size)
        }
        FabricTopology::Custom(own) => {
            let nics = u64::from(cluster.nics_per_node) * u64::from(per_domain)
                / u64::from(cluster.gpus_per_node);
            let placement = CustomPlacement {
                domains,
                nics_per_domain: u32::try_from(nics).unwrap_or(u32::MAX).max(1),
                line_rate: cluster.nic_bandwidth.scaled(nics.max(1) as f64),
            };
            Topology::custom(own, placement)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::collective::placement::Orientation;

    fn contention(topology: TopologyKind, oversubscription: f64, nodes: u32) -> Contention {
        let mut cluster = (*Catalog::builtin().clusters["dgx-h100"]).clone();
        cluster.fabric.topology = topology.into();
        cluster.fabric.oversubscription = oversubscription;
        cluster.fabric.nodes_per_leaf = 4;
        Contention::new(&cluster, nodes, 8).expect("the fabric holds the nodes")
    }

    fn slowdown(c: &Contention, size: u32, stride: u32, traffic: Traffic) -> f64 {
        let groups = GroupPattern { size, stride };
        let shape = GroupShape::of(groups, 8, c.domains * 8);
        c.slowdown(GroupTraffic {
            groups,
            shape,
            traffic,
        })
    }

    // 16 nodes under leaves of 4 with 4:1 uplinks, which carry one node's rate. A ring in order
    // crosses each uplink once: no loss. Pairs eight nodes apart (stride 64 ranks) all cross: 4 times.
    // All-to-all: 12 of 15 partners are elsewhere, 4 · 12/15 = 3.2.
    #[test]
    fn oversubscribed_leaves_slow_down_what_crosses_them() {
        let c = contention(TopologyKind::FatTree, 4.0, 16);
        assert!((slowdown(&c, 128, 1, Traffic::Ring(Orientation::Both)) - 1.0).abs() < 1e-12);
        assert!((slowdown(&c, 2, 64, Traffic::Chain) - 4.0).abs() < 1e-12);
        assert!((slowdown(&c, 128, 1, Traffic::Exchange) - 3.2).abs() < 1e-12);
    }

    #[test]
    fn a_non_blocking_fabric_holds_nothing_back() {
        let c = contention(TopologyKind::Rail, 1.0, 16);
        assert!((slowdown(&c, 16, 8, Traffic::Exchange) - 1.0).abs() < 1e-12);
    }

    // Bundled by domain or group by group, the same bytes are on the same links.
    #[test]
    fn bundles_of_groups_load_the_links_as_their_groups_do() {
        for &kind in TopologyKind::ALL {
            let c = contention(kind, 2.0, 16);
            let Some(topology) = c.topology() else {
                continue;
            };
            for (size, stride) in [(128, 1), (16, 8), (4, 8), (2, 64), (64, 2), (32, 4)] {
                for traffic in [
                    Traffic::Ring(Orientation::Both),
                    Traffic::Exchange,
                    Traffic::Chain,
                ] {
                    let groups = GroupPattern { size, stride };
                    let shape = GroupShape::of(groups, 8, 128);
                    assert!(c.is_regular(groups, shape));
                    let each = topology
                        .pressure(c.flows_by_group(groups, traffic))
                        .max(1.0);
                    let bundled = slowdown(&c, size, stride, traffic);
                    assert!(
                        (each - bundled).abs() < 1e-9,
                        "{kind} {size} {stride} {traffic:?}"
                    );
                }
            }
        }
    }
}
