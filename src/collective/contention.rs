//! What the fabric between the domains makes of all groups of a pattern at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::collective::placement::{GroupPattern, GroupShape};
use crate::collective::straddling;
use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::hardware::{
    Cluster, FabricTopology, OwnPlacement, Topology, TopologyFault, TopologyKind, TopologySize,
};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

/// How the domains of a group talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Traffic {
    /// Each with the next and the one before, as rings in both directions do.
    Neighbours,
    /// Each with every other.
    Exchange,
    /// Each to the next, the last to none.
    Forward,
    /// Each to the next, the last to the first.
    Onwards,
    /// Each to the one before, the first to the last.
    Backwards,
}

/// Ways in which rings may turn.
pub(super) const TURNS: [Traffic; 3] = [Traffic::Neighbours, Traffic::Onwards, Traffic::Backwards];

/// The fabric of a job; `None` inside where it never holds traffic back.
#[derive(Debug)]
pub(super) struct Contention {
    topology: Option<Topology>,
    domains: u32,
    per_domain: u32,
    /// What was found before; every job and size asks the same few things.
    known: Mutex<HashMap<(GroupPattern, Traffic), Known>>,
}

/// What all groups of a pattern make of the fabric.
#[derive(Clone, Copy, Debug)]
struct Known {
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
                FabricTopology::Own(own) => {
                    let nics = u64::from(cluster.nics_per_node) * u64::from(per_domain)
                        / u64::from(cluster.gpus_per_node);
                    let placement = OwnPlacement {
                        domains,
                        nics_per_domain: u32::try_from(nics).unwrap_or(u32::MAX).max(1),
                        line_rate: cluster.nic_bandwidth.scaled(nics.max(1) as f64),
                    };
                    Some(Topology::own(own, placement)?)
                }
            }
        };
        Ok(Self {
            topology,
            domains,
            per_domain,
            known: Mutex::default(),
        })
    }

    /// How many times longer than on an ideal switch the traffic of all groups takes, ≥ 1.
    pub(super) fn slowdown(
        &self,
        groups: GroupPattern,
        shape: &GroupShape,
        traffic: Traffic,
    ) -> f64 {
        self.known(groups, shape, traffic)
            .map_or(1.0, |known| known.slowdown)
    }

    /// Latency of the slowest message of all groups, where a spec's own topology states it.
    pub(super) fn latency(
        &self,
        groups: GroupPattern,
        shape: &GroupShape,
        traffic: Traffic,
    ) -> Option<SimDuration> {
        self.known(groups, shape, traffic)?.latency
    }

    fn known(&self, groups: GroupPattern, shape: &GroupShape, traffic: Traffic) -> Option<Known> {
        let topology = self.topology.as_ref()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .entry((groups, traffic))
            .or_insert_with(|| self.find(topology, groups, shape, traffic));
        Some(*found)
    }

    fn find(
        &self,
        topology: &Topology,
        groups: GroupPattern,
        shape: &GroupShape,
        traffic: Traffic,
    ) -> Known {
        let slowdown = topology
            .pressure(self.flows(groups, shape, traffic))
            .max(1.0);
        let timed = topology
            .is_own()
            .then(|| self.flows(groups, shape, traffic));
        let latency = timed
            .into_iter()
            .flatten()
            .filter_map(|(from, to, _)| self.latency_between(from, to))
            .max();
        Known { slowdown, latency }
    }

    /// Latency of a message between two domains, where a spec's own topology states it.
    pub(super) fn latency_between(&self, from: u32, to: u32) -> Option<SimDuration> {
        let topology = self.topology.as_ref().filter(|_| from != to)?;
        topology.latency(from, to)
    }

    /// The network behind the NICs, where it can hold traffic back or delays it by itself.
    pub(super) const fn topology(&self) -> Option<&Topology> {
        self.topology.as_ref()
    }

    /// Whether switches above the domains can sum what comes from below: leaves, or one ideal switch.
    pub(super) fn has_leaves(&self) -> bool {
        self.topology
            .as_ref()
            .is_none_or(|topology| topology.leaf(0).is_some())
    }

    /// What each pair of domains exchanges; a domain sends 1 in all.
    fn flows(
        &self,
        groups: GroupPattern,
        shape: &GroupShape,
        traffic: Traffic,
    ) -> Vec<(u32, u32, f64)> {
        if self.is_regular(groups, shape) {
            let stride = (groups.stride / self.per_domain).max(1);
            self.regular_flows(stride, shape.domains, traffic).collect()
        } else {
            self.all_flows(groups, traffic)
        }
    }

    /// Messages on the busiest NICs or link when the groups of a pattern lie unevenly over the
    /// domains, in messages at the rate of a domain's NICs; `None` where they lie evenly.
    pub(super) fn uneven(
        &self,
        groups: GroupPattern,
        shape: &GroupShape,
        gpus: u32,
        traffic: Traffic,
    ) -> Option<f64> {
        if self.is_regular(groups, shape) {
            return None;
        }
        let messages = straddling::messages(groups, self.per_domain, gpus, traffic);
        Some(self.busiest(&messages)).filter(|messages| *messages > 0.0)
    }

    /// Load of the busiest NICs or link under messages `(from, to, amount)` between domains, in
    /// amounts at the rate of a domain's NICs.
    pub(super) fn busiest(&self, messages: &[(u32, u32, f64)]) -> f64 {
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

    /// Time that messages `(from, to, amount)` between domains take when they share the NICs and
    /// links fairly; an amount of 1 has so many bytes, and the NICs of a domain carry `line` bytes
    /// per second.
    ///
    /// Messages of one size keep the busiest link full to the end; unequal ones are played.
    pub(super) fn time(
        &self,
        messages: &[(u32, u32, f64)],
        bytes: f64,
        line: Bandwidth,
    ) -> SimDuration {
        let unequal = messages
            .windows(2)
            .any(|pair| (pair[0].2 - pair[1].2).abs() > 1e-12);
        if unequal {
            self.played(messages, bytes, line)
        } else {
            let busiest = self.busiest(messages);
            SimDuration::from_secs_f64(busiest * bytes / line.as_bytes_per_s())
        }
    }

    /// The same, the messages played as flows.
    fn played(&self, messages: &[(u32, u32, f64)], bytes: f64, line: Bandwidth) -> SimDuration {
        let nics = 2 * self.domains;
        let link = |capacity: f64| FlowLink {
            capacity: line.scaled(capacity),
            latency: SimDuration::ZERO,
        };
        let mut links = vec![link(1.0); nics as usize];
        let between = self.topology.iter().flat_map(|t| t.graph().links());
        links.extend(between.map(|between| link(between.capacity)));
        let flow = |&(from, to, amount): &(u32, u32, f64)| {
            let mut route = vec![Crossing::whole(2 * from), Crossing::whole(2 * to + 1)];
            if let Some(topology) = &self.topology {
                topology.route(from, to, &mut |link, share| {
                    let link = nics + link;
                    route.push(Crossing { link, share });
                });
            }
            Flow {
                start: SimTime::ZERO,
                bytes: Bytes::from_f64(amount * bytes),
                route,
            }
        };
        let flows: Vec<Flow> = messages.iter().map(flow).collect();
        let last = finish_times(&links, &flows).into_iter().max();
        last.map_or(SimDuration::ZERO, |last| last - SimTime::ZERO)
    }

    /// Whether all groups on a domain go on to the same domains, with equal parts of its NICs.
    pub(super) fn is_regular(&self, groups: GroupPattern, shape: &GroupShape) -> bool {
        let span = groups.size * groups.stride;
        let whole = groups.stride.is_multiple_of(self.per_domain)
            || self.per_domain.is_multiple_of(groups.stride)
                && span.is_multiple_of(self.per_domain);
        let stride = (groups.stride / self.per_domain).max(1);
        whole && self.domains.is_multiple_of(stride * shape.domains)
    }

    /// One bundle of flows per pair of domains; a domain sends 1 in all.
    fn regular_flows(
        &self,
        stride: u32,
        members: u32,
        traffic: Traffic,
    ) -> impl Iterator<Item = (u32, u32, f64)> {
        (0..self.domains).flat_map(move |domain| {
            let index = domain / stride % members;
            let first = domain - index * stride;
            partners(index, members, traffic)
                .map(move |(other, amount)| (domain, first + other * stride, amount))
        })
    }

    /// The flows of every group by itself, each with its part of its domain's NICs.
    fn all_flows(&self, groups: GroupPattern, traffic: Traffic) -> Vec<(u32, u32, f64)> {
        let GroupPattern { size, stride } = groups;
        let ranks = self.domains * self.per_domain;
        let part = 1.0 / f64::from(self.per_domain);
        let mut flows = Vec::new();
        for block in (0..ranks).step_by((size * stride) as usize) {
            for base in block..block + stride {
                let mut visits: Vec<(u32, u32)> = Vec::new();
                for rank in (0..size)
                    .map(|i| base + i * stride)
                    .take_while(|r| *r < ranks)
                {
                    let domain = rank / self.per_domain;
                    match visits.last_mut() {
                        Some((last, members)) if *last == domain => *members += 1,
                        _ => visits.push((domain, 1)),
                    }
                }
                let count = visits.len() as u32;
                for (&(domain, members), index) in visits.iter().zip(0..) {
                    for (other, amount) in partners(index, count, traffic) {
                        let sent = amount * part * f64::from(members);
                        flows.push((domain, visits[other as usize].0, sent));
                    }
                }
            }
        }
        flows
    }
}

/// The members that the `index`-th of `count` sends to, with the parts of what it sends.
fn partners(index: u32, count: u32, traffic: Traffic) -> impl Iterator<Item = (u32, f64)> {
    let (from, to) = match traffic {
        Traffic::Exchange => (0, count),
        Traffic::Neighbours | Traffic::Forward | Traffic::Onwards => (index + 1, index + 2),
        Traffic::Backwards => (0, 0),
    };
    let all = (from..to)
        .filter(move |other| *other != index && count > 1)
        .filter(move |other| traffic != Traffic::Forward || *other < count)
        .map(move |other| {
            let amount = match traffic {
                Traffic::Exchange => 1.0 / f64::from(count - 1),
                Traffic::Neighbours if count > 2 => 0.5,
                Traffic::Neighbours | Traffic::Forward | Traffic::Onwards | Traffic::Backwards => {
                    1.0
                }
            };
            (other % count, amount)
        });
    let before = (index + count - 1) % count.max(1);
    let back = match traffic {
        Traffic::Neighbours if count > 2 => Some((before, 0.5)),
        Traffic::Backwards if count > 1 => Some((before, 1.0)),
        Traffic::Neighbours
        | Traffic::Exchange
        | Traffic::Forward
        | Traffic::Onwards
        | Traffic::Backwards => None,
    };
    all.chain(back)
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
        c.slowdown(groups, &shape, traffic)
    }

    // 16 nodes under leaves of 4 with 4:1 uplinks, which carry one node's rate. A ring in order
    // crosses each uplink once: no loss. Pairs eight nodes apart (stride 64 ranks) all cross: 4 times.
    // All-to-all: 12 of 15 partners are elsewhere, 4 · 12/15 = 3.2.
    #[test]
    fn oversubscribed_leaves_slow_down_what_crosses_them() {
        let c = contention(TopologyKind::FatTree, 4.0, 16);
        assert!((slowdown(&c, 128, 1, Traffic::Neighbours) - 1.0).abs() < 1e-12);
        assert!((slowdown(&c, 2, 64, Traffic::Forward) - 4.0).abs() < 1e-12);
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
                for traffic in [Traffic::Neighbours, Traffic::Exchange, Traffic::Forward] {
                    let groups = GroupPattern { size, stride };
                    let shape = GroupShape::of(groups, 8, 128);
                    assert!(c.is_regular(groups, &shape));
                    let each = topology.pressure(c.all_flows(groups, traffic)).max(1.0);
                    let bundled = c.slowdown(groups, &shape, traffic);
                    assert!(
                        (each - bundled).abs() < 1e-9,
                        "{kind} {size} {stride} {traffic:?}"
                    );
                }
            }
        }
    }
}
