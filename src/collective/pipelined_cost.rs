//! Algorithms that hand pieces on through stages, priced round by round: while a round lasts, each
//! stage under way loads its ports, NICs and links with one piece per hop.

use crate::collective::network::{CollectiveRequest, Network};
use crate::collective::placement::{GroupPattern, GroupShape};
use crate::collective::rounds_cost::{RoundLatency, whole_picos};
use crate::collective::schedule::{
    GroupLayout, Hop, Pipeline, piece_of_buffer, pipeline, rounds_of, stages_of,
};
use crate::collective::ways::{Rates, Way};
use crate::collective::{CollectiveAlgorithm, Protocol};

/// Most pieces that a lane is cut into.
const MOST_PIECES: f64 = 1024.0;

/// What the stages under way in one round make of the network.
#[derive(Clone, Copy, Debug)]
struct RoundLoad {
    /// Bytes per second that a piece gets on the busiest port, NIC or link.
    rate: f64,
    /// Whether a piece leaves its domain.
    crosses: bool,
    /// Seconds of the slowest message between domains, where an own topology states its ways.
    slowest: Option<f64>,
}

/// A pipelined algorithm on the links of a job.
pub(super) struct Pipelined<'a> {
    network: &'a Network,
    request: &'a CollectiveRequest,
    groups: Groups,
    pipeline: Pipeline,
    group: GroupLayout,
    latency: RoundLatency,
    protocol: Protocol,
    /// Bytes per second of a port inside a domain.
    port: f64,
    /// The same of all NICs of one.
    nics: f64,
}

impl<'a> Pipelined<'a> {
    /// `None` where the algorithm does not hand pieces on, or cannot carry the operation here.
    pub(super) fn of(
        network: &'a Network,
        request: &'a CollectiveRequest,
        algorithm: CollectiveAlgorithm,
        rates: Rates,
        (latency, protocol): (RoundLatency, Protocol),
    ) -> Option<Self> {
        let cluster = &network.cluster;
        let shape = network.shape(request.groups);
        let fabric = &cluster.fabric;
        if algorithm == CollectiveAlgorithm::Nvls && !cluster.scale_up.in_network_reduction {
            return None;
        }
        let efficiency = if algorithm == CollectiveAlgorithm::Direct {
            fabric.scattered_efficiency
        } else {
            fabric.efficiency
        };
        let members = if shape.is_even() { shape.members } else { 1 };
        let group = GroupLayout {
            fabric_reduces: fabric.in_network_reduction && network.contention.has_leaves(),
            ..GroupLayout::new(shape.ranks, members)
        };
        let mut made = Self {
            network,
            request,
            groups: Groups::of(network, request.groups, &shape),
            pipeline: pipeline(algorithm, request.op, group)?,
            group,
            latency,
            protocol,
            port: rates.intra,
            nics: network.domain_rate() * efficiency,
        };
        made.group.pieces = made.pieces();
        Some(made)
    }

    /// The group as the schedule of these rounds takes it.
    #[cfg(test)]
    pub(super) const fn group(&self) -> GroupLayout {
        self.group
    }

    /// Price of the rounds, in seconds.
    pub(super) fn way(&self, algorithm: CollectiveAlgorithm) -> Way {
        let mut way = Way {
            algorithm,
            protocol: self.protocol,
            latency: 0.0,
            transfer: 0.0,
        };
        let piece = self.piece(self.group.pieces);
        for stages in &self.pipeline.passes {
            self.each_round(stages, |load, times| {
                way.latency += times * self.alpha(load);
                way.transfer += times * whole_picos(piece / load.rate);
            });
        }
        way
    }

    /// The number of pieces that balances their latencies against the filling of the stages.
    fn pieces(&self) -> u32 {
        if let Some(pieces) = self.pipeline.pieces {
            return pieces;
        }
        let (mut filling, mut alpha, mut stages) = (0.0, 0.0, 0);
        for pass in &self.pipeline.passes {
            let mut loads = Loads::of(self.network);
            let load = loads.all(self, pass);
            filling += (pass.len() as f64 - 1.0) * self.piece(1) / load.rate;
            alpha += self.alpha(load);
            stages += pass.len();
        }
        let ideal = libm::sqrt(filling / alpha.max(1e-12));
        if stages == 0 {
            1
        } else {
            libm::floor(ideal).clamp(1.0, MOST_PIECES) as u32
        }
    }

    /// Bytes of one piece.
    fn piece(&self, pieces: u32) -> f64 {
        let all = self.pipeline.lanes * pieces;
        self.request.bytes.as_f64() * piece_of_buffer(self.request.op, self.group.ranks, all)
    }

    fn alpha(&self, load: RoundLoad) -> f64 {
        if load.crosses {
            load.slowest.unwrap_or(self.latency.across)
        } else {
            self.latency.inside
        }
    }

    /// Calls `take` with the load of every round of a pass, and how many rounds in a row have it.
    ///
    /// As long as stages only join or only leave, the busiest link is found on the way.
    fn each_round(&self, stages: &[Vec<Hop>], mut take: impl FnMut(RoundLoad, f64)) {
        let (count, pieces) = (stages.len() as u32, self.group.pieces);
        let mut loads = Loads::of(self.network);
        // Rounds that begin with stage 0: one more stage joins in each.
        for stage in stages.iter().take(pieces.min(count) as usize) {
            take(loads.add(self, stage), 1.0);
        }
        if pieces >= count {
            take(loads.found, f64::from(pieces - count));
        } else {
            for round in pieces..count {
                let under_way = stages_of(round, count, pieces);
                let mut moving = Loads::of(self.network);
                let [from, to] = [under_way.start, under_way.end].map(|stage| stage as usize);
                for stage in &stages[from..to] {
                    moving.add(self, stage);
                }
                take(moving.found, 1.0);
            }
        }
        // The last rounds, from the end: one stage less in each.
        let mut leaving = Loads::of(self.network);
        let rest = rounds_of(count, pieces) - count.max(pieces);
        for stage in stages.iter().rev().take(rest as usize) {
            take(leaving.add(self, stage), 1.0);
        }
    }
}

/// First ranks of the groups that are looked at, and how many alike each stands for on the NICs.
struct Groups {
    bases: Vec<u32>,
    stride: u32,
    alike: f64,
}

impl Groups {
    /// Of groups that stay in their domains one will do, of those that share the NICs of the same
    /// domains one each; all where they lie in different ways.
    fn of(network: &Network, groups: GroupPattern, shape: &GroupShape) -> Self {
        let all = super::link_loads::bases(groups, network.gpus);
        let (bases, alike) = if shape.domains == 1 {
            (all.take(1).collect(), 1.0)
        } else if network.contention.is_regular(groups, shape) {
            let alike = shape.sharing.max(1);
            let first = all.filter(|base| base % alike == 0);
            (first.collect(), f64::from(alike))
        } else {
            (all.collect(), 1.0)
        };
        Self {
            bases,
            stride: groups.stride,
            alike,
        }
    }
}

/// Pieces on every port, NIC and link while stages only join.
struct Loads {
    /// What each GPU sends and receives inside its domain.
    ports: Vec<f64>,
    /// What each domain sends and receives, then the fabric's links.
    across: Vec<f64>,
    found: RoundLoad,
}

/// Where a vertex of a schedule lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Gpu(u32),
    /// A domain's switch.
    Domain(u32),
    /// The switches between domains.
    Fabric,
}

/// The leaves that reduce for a group: whether it has several, and the last one that was counted.
struct Leaves {
    several: bool,
    last: Option<u32>,
}

impl Loads {
    fn of(network: &Network) -> Self {
        let domains = network.gpus.div_ceil(network.per_domain) as usize;
        let topology = network.contention.topology();
        let links = topology.map_or(0, |topology| topology.graph().links().len());
        Self {
            ports: vec![0.0; 2 * network.gpus as usize],
            across: vec![0.0; 2 * domains + links],
            found: RoundLoad {
                rate: f64::INFINITY,
                crosses: false,
                slowest: None,
            },
        }
    }

    /// The load when all stages are under way.
    fn all(&mut self, of: &Pipelined<'_>, stages: &[Vec<Hop>]) -> RoundLoad {
        for stage in stages {
            self.add(of, stage);
        }
        self.found
    }

    /// The load once another stage has joined.
    fn add(&mut self, of: &Pipelined<'_>, stage: &[Hop]) -> RoundLoad {
        let (ranks, members) = (of.group.ranks, of.group.members);
        let per_domain = of.network.per_domain;
        for &base in &of.groups.bases {
            let domain_of = |rank: u32| (base + rank * of.groups.stride) / per_domain;
            let place = |vertex: u32| {
                if vertex < ranks {
                    Place::Gpu(base + vertex * of.groups.stride)
                } else if vertex < ranks + ranks / members {
                    Place::Domain(domain_of((vertex - ranks) * members))
                } else {
                    Place::Fabric
                }
            };
            let leaf = |rank: u32| {
                let topology = of.network.contention.topology()?;
                Some(topology.leaf(domain_of(rank))?.number)
            };
            let mut leaves = Leaves {
                several: leaf(0) != leaf(ranks - 1),
                last: None,
            };
            for hop in stage {
                let ends = (place(hop.from), place(hop.to));
                self.hop(of, ends, &mut leaves);
            }
        }
        self.found
    }

    fn hop(&mut self, of: &Pipelined<'_>, ends: (Place, Place), leaves: &mut Leaves) {
        let per_domain = of.network.per_domain;
        let domain = |place: Place| match place {
            Place::Gpu(rank) => Some(rank / per_domain),
            Place::Domain(domain) => Some(domain),
            Place::Fabric => None,
        };
        let (from, to) = (domain(ends.0), domain(ends.1));
        if from == to {
            if let Place::Gpu(rank) = ends.0 {
                self.port(2 * rank, of.port);
            }
            if let Place::Gpu(rank) = ends.1 {
                self.port(2 * rank + 1, of.port);
            }
            return;
        }
        self.found.crosses = true;
        let alike = of.groups.alike;
        let domains = of.network.gpus.div_ceil(per_domain);
        if let Some(domain) = from {
            self.link(2 * domain, alike, of.nics);
        }
        if let Some(domain) = to {
            self.link(2 * domain + 1, alike, of.nics);
        }
        let Some(topology) = of.network.contention.topology() else {
            return;
        };
        let mut take = |link: u32, share: f64| {
            let capacity = topology.graph().links()[link as usize].capacity;
            self.link(2 * domains + link, alike * share, of.nics * capacity);
        };
        match (from, to) {
            (Some(from), Some(to)) => {
                topology.route(from, to, &mut take);
                let slowest = of.network.slowest_message([(from, to)], of.protocol);
                let known = self.found.slowest;
                self.found.slowest = slowest.map(|secs| known.map_or(secs, |it| it.max(secs)));
            }
            // A leaf sums what comes from below and hands one piece on, the same way back.
            (Some(below), None) | (None, Some(below)) => {
                if let Some(leaf) = topology.leaf(below)
                    && leaves.several
                    && leaves.last.replace(leaf.number) != Some(leaf.number)
                {
                    take(if from.is_some() { leaf.up } else { leaf.down }, 1.0);
                }
            }
            (None, None) => {}
        }
    }

    fn port(&mut self, port: u32, rate: f64) {
        let load = &mut self.ports[port as usize];
        *load += 1.0;
        self.found.rate = self.found.rate.min(rate / *load);
    }

    fn link(&mut self, link: u32, pieces: f64, rate: f64) {
        let load = &mut self.across[link as usize];
        *load += pieces;
        self.found.rate = self.found.rate.min(rate / *load);
    }
}
