//! Contention of all groups of a pattern in the fabric between the domains.

use std::cell::RefCell;
use std::sync::Arc;

use crate::collective::placement::{
    DomainFlow, GroupPattern, GroupShape, GroupTraffic, Traffic, bases, messages, visits,
};
use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::hardware::{
    Cluster, CustomPlacement, FabricTopology, Topology, TopologyFault, TopologyKind, TopologySize,
};
use crate::memo::Memo;
use crate::units::{Bandwidth, SimDuration, SimTime, Volume};

/// Fabric between the domains of a job; no topology where it never holds traffic back.
#[derive(Clone, Debug)]
pub(super) struct Contention {
    topology: Option<Arc<Topology>>,
    domains: u32,
    per_domain: u32,
    /// Found before; every job and size asks for the same few patterns.
    known: RefCell<Memo<GroupTraffic, PatternContention, 4096>>,
}

/// Contention of all groups of one pattern.
#[derive(Clone, Copy, Debug)]
struct PatternContention {
    /// How many times longer they take than on an ideal switch, ≥ 1.
    slowdown: f64,
    /// Latency of the slowest message, where the fabric states it.
    latency: Option<SimDuration>,
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
        let topology = if domains < 2 {
            None
        } else {
            match &cluster.fabric.topology {
                FabricTopology::Kind(kind) => built_in(cluster, *kind, domains, per_domain)?,
                FabricTopology::Custom(own) => {
                    let nics = u64::from(cluster.nics_per_node) * u64::from(per_domain)
                        / u64::from(cluster.gpus_per_node);
                    let placement = CustomPlacement {
                        domains,
                        nics_per_domain: u32::try_from(nics).unwrap_or(u32::MAX).max(1),
                        line_rate: cluster.nic_bandwidth.scaled(nics.max(1) as f64),
                    };
                    Some(Topology::custom(own, placement)?)
                }
            }
        };
        Ok(Self {
            topology: topology.map(Arc::new),
            domains,
            per_domain,
            known: RefCell::default(),
        })
    }

    /// How many times longer than on an ideal switch the traffic of all groups takes, ≥ 1.
    pub(super) fn slowdown(&self, of: GroupTraffic) -> f64 {
        self.of_traffic(of).map_or(1.0, |found| found.slowdown)
    }

    /// Latency of the slowest message of all groups, where a custom topology states it.
    pub(super) fn latency(&self, of: GroupTraffic) -> Option<SimDuration> {
        self.topology().filter(|topology| topology.is_custom())?;
        self.of_traffic(of)?.latency
    }

    fn of_traffic(&self, of: GroupTraffic) -> Option<PatternContention> {
        let topology = self.topology()?;
        let mut known = self.known.borrow_mut();
        let found = known.get_or_make(of, || {
            let flows = self.flows(of);
            let slowdown = topology.pressure(flows.iter().copied()).max(1.0);
            let latencies = flows.iter().filter(|_| topology.is_custom());
            let latency = latencies.filter_map(|&(from, to, _)| self.latency_between(from, to));
            PatternContention {
                slowdown,
                latency: latency.max(),
            }
        });
        Some(*found)
    }

    /// Latency of a message between two domains, where a custom topology states it.
    pub(super) fn latency_between(&self, from: u32, to: u32) -> Option<SimDuration> {
        let topology = self.topology.as_ref().filter(|_| from != to)?;
        topology.latency(from, to)
    }

    /// The network behind the NICs, where it can hold traffic back or delays it by itself.
    pub(super) fn topology(&self) -> Option<&Topology> {
        self.topology.as_deref()
    }

    /// Whether switches above the domains can sum what comes from below: leaves, or one ideal switch.
    pub(super) fn has_leaves(&self) -> bool {
        self.topology
            .as_ref()
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
            .topology
            .as_ref()
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
        let between = self.topology.iter().flat_map(|t| t.graph().links());
        links.extend(between.map(|between| link(between.capacity)));
        let flow = |&(from, to, amount): &DomainFlow| {
            let mut route = vec![Crossing::whole(2 * from), Crossing::whole(2 * to + 1)];
            if let Some(topology) = &self.topology {
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

/// The network of a kind; `None` where it never holds traffic back.
fn built_in(
    cluster: &Cluster,
    kind: TopologyKind,
    domains: u32,
    per_domain: u32,
) -> Result<Option<Topology>, TopologyFault> {
    let fabric = &cluster.fabric;
    let free = match kind {
        TopologyKind::Switch => true,
        TopologyKind::FatTree | TopologyKind::Rail => fabric.oversubscription <= 1.0,
        TopologyKind::Ring
        | TopologyKind::Mesh2d
        | TopologyKind::Torus2d
        | TopologyKind::Torus3d
        | TopologyKind::Tree
        | TopologyKind::Dragonfly => false,
    };
    if free {
        return Ok(None);
    }
    let per_leaf = fabric.nodes_per_leaf * cluster.gpus_per_node / per_domain;
    let size = TopologySize {
        devices: domains,
        per_leaf: per_leaf.max(1),
        oversubscription: fabric.oversubscription,
    };
    Topology::build(kind, size).map(Some)
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
            let Some(topology) = &c.topology else {
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
