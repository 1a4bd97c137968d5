//! Algorithms that hand pieces on through stages, priced round by round: while a round lasts, each
//! stage under way loads its ports, NICs and links with one piece per hop.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::collective::network::{CollectiveRequest, Network};
use crate::collective::placement::{GroupPattern, GroupShape};
use crate::collective::rounds_cost::{RoundLatency, whole_picos};
use crate::collective::schedule::{
    GroupLayout, Hop, Pipeline, piece_of_buffer, pipeline, rounds_of, stages_of,
};
use crate::collective::ways::{Rates, Way};
use crate::collective::{CollectiveAlgorithm, CollectiveOp, Protocol};

/// Most pieces that a lane is cut into, unless it has more stages.
const MOST_PIECES: u32 = 1024;

/// Stages up to which any number of pieces is tried.
const FEW_STAGES: u32 = 64;

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

/// What is asked of a network: for every size the loads are the same.
pub(super) type PipelineKey = (GroupPattern, CollectiveAlgorithm, CollectiveOp, bool);

/// Loads that were found before.
pub(super) type KnownPipelines = Mutex<HashMap<PipelineKey, Option<Arc<PipelineLoads>>>>;

/// Keys that are remembered; a sweep walks through few.
const MOST_REMEMBERED: usize = 256;

/// A pipelined algorithm on the links of a job, whatever its bytes.
#[derive(Debug)]
pub(super) struct PipelineLoads {
    pipeline: Pipeline,
    group: GroupLayout,
    groups: Groups,
    protocol: Protocol,
    /// Bytes per second of a port inside a domain.
    port: f64,
    /// The same of all NICs of one.
    nics: f64,
    passes: Vec<PassLoads>,
    /// Whether every rank keeps to its own NIC, as single senders do.
    own_nics: bool,
    /// Seconds for which the links inside domains and between them are busy at most, per byte of a
    /// piece that passes all stages.
    busy: [f64; 2],
}

/// The rounds of a pass.
#[derive(Debug, Default)]
struct PassLoads {
    /// With one more stage each, from the first on.
    joining: Vec<RoundLoad>,
    /// The same from the last stage backwards.
    leaving: Vec<RoundLoad>,
    /// With some stages in the middle, by the first and the one past the last; found when asked for.
    middle: Mutex<HashMap<(u32, u32), RoundLoad>>,
}

/// A pipelined algorithm with its bytes.
pub(super) struct Pipelined<'a> {
    network: &'a Network,
    bytes: f64,
    op: CollectiveOp,
    latency: RoundLatency,
    loads: Arc<PipelineLoads>,
    pieces: u32,
}

impl<'a> Pipelined<'a> {
    /// `None` where the algorithm does not hand pieces on, or cannot carry the operation here.
    pub(super) fn of(
        network: &'a Network,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
        rates: Rates,
        (latency, protocol): (RoundLatency, Protocol),
    ) -> Option<Self> {
        let key = (
            request.groups,
            algorithm,
            request.op,
            protocol == Protocol::Ideal,
        );
        let mut known = network
            .pipelines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        let loads = known
            .entry(key)
            .or_insert_with(|| PipelineLoads::of(network, request, algorithm, rates, protocol))
            .clone()?;
        let mut made = Self {
            network,
            bytes: request.bytes.as_f64(),
            op: request.op,
            latency,
            loads,
            pieces: 1,
        };
        made.pieces = made.best_pieces();
        Some(made)
    }

    /// The group as the schedule of these rounds takes it.
    #[cfg(test)]
    pub(super) fn group(&self) -> GroupLayout {
        GroupLayout {
            pieces: self.pieces,
            ..self.loads.group
        }
    }

    /// Price of the rounds.
    pub(super) fn way(&self, algorithm: CollectiveAlgorithm) -> Way {
        let [latency, transfer] = self.seconds(self.pieces);
        let passed = f64::from(self.pieces) * self.piece(self.pieces);
        Way {
            algorithm,
            protocol: self.loads.protocol,
            latency,
            transfer,
            busy: Some(self.loads.busy.map(|secs_per_byte| secs_per_byte * passed)),
        }
    }

    /// Latency and transfer of all rounds with so many pieces.
    fn seconds(&self, pieces: u32) -> [f64; 2] {
        let (mut latency, mut transfer) = (0.0, 0.0);
        let piece = self.piece(pieces);
        for pass in 0..self.loads.passes.len() {
            self.loads
                .each_round(self.network, pass, pieces, |load, times| {
                    latency += times * self.alpha(load);
                    transfer += times * whole_picos(piece / load.rate);
                });
        }
        [latency, transfer]
    }

    /// The number of pieces that balances their latencies against the filling of the stages.
    fn best_pieces(&self) -> u32 {
        if let Some(pieces) = self.loads.pipeline.pieces {
            return pieces;
        }
        let (mut filling, mut alpha) = (0.0, 0.0);
        for pass in &self.loads.passes {
            let Some(all) = pass.joining.last() else {
                return 1;
            };
            filling += (pass.joining.len() as f64 - 1.0) * self.piece(1) / all.rate;
            alpha += self.alpha(*all);
        }
        let ideal = libm::sqrt(filling / alpha.max(1e-12));
        let stages = self.loads.passes.iter().map(|pass| pass.joining.len());
        let stages = stages.max().unwrap_or(0) as u32;
        let most = f64::from(stages.max(MOST_PIECES));
        let best = libm::floor(ideal).clamp(1.0, most) as u32;
        if best >= stages || stages <= FEW_STAGES {
            return best;
        }
        // Fewer pieces than stages load other links in each of very many rounds: one, or all under way.
        let price = |pieces| self.seconds(pieces).into_iter().sum::<f64>();
        if price(1) <= price(stages) { 1 } else { stages }
    }

    /// Bytes of one piece.
    fn piece(&self, pieces: u32) -> f64 {
        let all = self.loads.pipeline.lanes * pieces;
        self.bytes * piece_of_buffer(self.op, self.loads.group.ranks, all)
    }

    fn alpha(&self, load: RoundLoad) -> f64 {
        if load.crosses {
            load.slowest.unwrap_or(self.latency.across)
        } else {
            self.latency.inside
        }
    }
}

impl PipelineLoads {
    fn of(
        network: &Network,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
        rates: Rates,
        protocol: Protocol,
    ) -> Option<Arc<Self>> {
        let cluster = &network.cluster;
        let shape = network.shape(request.groups);
        let fabric = &cluster.fabric;
        if algorithm == CollectiveAlgorithm::Nvls && !cluster.scale_up.in_network_reduction {
            return None;
        }
        let own_nics = algorithm == CollectiveAlgorithm::Direct;
        let efficiency = if own_nics {
            fabric.scattered_efficiency
        } else {
            fabric.efficiency
        };
        let members = if shape.is_even() { shape.members } else { 1 };
        let group = GroupLayout {
            fabric_reduces: fabric.in_network_reduction && network.contention.has_leaves(),
            ..GroupLayout::new(shape.ranks, members)
        };
        let mut loads = Self {
            pipeline: pipeline(algorithm, request.op, group)?,
            group,
            groups: Groups::of(network, request.groups, &shape, own_nics),
            protocol,
            port: rates.intra,
            nics: network.domain_rate() * efficiency,
            passes: Vec::new(),
            own_nics,
            busy: [0.0; 2],
        };
        let mut total = Loads::of(network, &loads);
        for stages in &loads.pipeline.passes {
            for stage in stages {
                total.add(network, &loads, stage);
            }
        }
        loads.busy = total.busy;
        let passes = loads.pipeline.passes.iter();
        loads.passes = passes.map(|stages| loads.pass(network, stages)).collect();
        Some(Arc::new(loads))
    }

    /// As long as stages only join, the busiest link is found on the way.
    fn pass(&self, network: &Network, stages: &[Vec<Hop>]) -> PassLoads {
        let mut joining = Loads::of(network, self);
        let mut leaving = Loads::of(network, self);
        let forwards = stages.iter();
        let backwards = stages.iter().rev();
        PassLoads {
            joining: forwards
                .map(|stage| joining.add(network, self, stage))
                .collect(),
            leaving: backwards
                .map(|stage| leaving.add(network, self, stage))
                .collect(),
            middle: Mutex::default(),
        }
    }

    /// Calls `take` with the load of every round of a pass, and how many rounds in a row have it.
    fn each_round(
        &self,
        network: &Network,
        pass: usize,
        pieces: u32,
        mut take: impl FnMut(RoundLoad, f64),
    ) {
        let loads = &self.passes[pass];
        let count = loads.joining.len() as u32;
        // Rounds that begin with stage 0: one more stage joins in each.
        for load in &loads.joining[..pieces.min(count) as usize] {
            take(*load, 1.0);
        }
        if let Some(all) = loads.joining.last()
            && pieces > count
        {
            take(*all, f64::from(pieces - count));
        }
        for round in pieces..count {
            take(
                self.middle(network, pass, stages_of(round, count, pieces)),
                1.0,
            );
        }
        // The last rounds: one stage less in each.
        let rest = rounds_of(count, pieces) - count.max(pieces);
        for load in loads.leaving[..rest as usize].iter().rev() {
            take(*load, 1.0);
        }
    }

    /// The load of stages in the middle of a pass.
    fn middle(&self, network: &Network, pass: usize, under_way: Range<u32>) -> RoundLoad {
        let key = (under_way.start, under_way.end);
        let middle = &self.passes[pass].middle;
        let mut known = middle.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(key).or_insert_with(|| {
            let stages = under_way.start as usize..under_way.end as usize;
            let mut loads = Loads::of(network, self);
            for stage in &self.pipeline.passes[pass][stages] {
                loads.add(network, self, stage);
            }
            loads.found
        })
    }
}

/// First ranks of the groups that are looked at, and how many alike each stands for on the NICs.
#[derive(Debug)]
struct Groups {
    bases: Vec<u32>,
    stride: u32,
    alike: f64,
}

impl Groups {
    /// Of groups that stay in their domains one will do, of those that share the NICs of the same
    /// domains one each; all where they lie in different ways.
    fn of(network: &Network, groups: GroupPattern, shape: &GroupShape, own_nics: bool) -> Self {
        let all = super::link_loads::bases(groups, network.gpus);
        let (bases, alike) = if shape.domains == 1 {
            (all.take(1).collect(), 1.0)
        } else if !own_nics && network.contention.is_regular(groups, shape) {
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
    /// What each domain sends and receives (or each of its NICs), then the fabric's links.
    across: Vec<f64>,
    /// NICs of a domain that are told apart.
    nics: u32,
    found: RoundLoad,
    /// Seconds per byte of a piece on the busiest link inside domains and between them.
    busy: [f64; 2],
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
    fn of(network: &Network, of: &PipelineLoads) -> Self {
        let domains = network.gpus.div_ceil(network.per_domain);
        let topology = network.contention.topology();
        let links = topology.map_or(0, |topology| topology.graph().links().len());
        let nics = if of.own_nics { network.nics() } else { 1 };
        Self {
            ports: vec![0.0; 2 * network.gpus as usize],
            across: vec![0.0; 2 * (domains * nics) as usize + links],
            nics,
            busy: [0.0; 2],
            found: RoundLoad {
                rate: f64::INFINITY,
                crosses: false,
                slowest: None,
            },
        }
    }

    /// The load once another stage has joined.
    fn add(&mut self, network: &Network, of: &PipelineLoads, stage: &[Hop]) -> RoundLoad {
        let (ranks, members) = (of.group.ranks, of.group.members);
        let per_domain = network.per_domain;
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
                let topology = network.contention.topology()?;
                Some(topology.leaf(domain_of(rank))?.number)
            };
            let mut leaves = Leaves {
                several: leaf(0) != leaf(ranks - 1),
                last: None,
            };
            for hop in stage {
                let ends = (place(hop.from), place(hop.to));
                self.hop(network, of, ends, &mut leaves);
            }
        }
        self.found
    }

    fn hop(
        &mut self,
        network: &Network,
        of: &PipelineLoads,
        ends: (Place, Place),
        leaves: &mut Leaves,
    ) {
        let per_domain = network.per_domain;
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
        let domains = network.gpus.div_ceil(per_domain);
        let nics = self.nics;
        let nic = |place: Place| match place {
            Place::Gpu(rank) if nics > 1 => Some(network.nic_of(rank)),
            _ => domain(place),
        };
        let rate = of.nics / f64::from(nics);
        if let Some(nic) = nic(ends.0) {
            self.link(2 * nic, alike, rate);
        }
        if let Some(nic) = nic(ends.1) {
            self.link(2 * nic + 1, alike, rate);
        }
        let Some(topology) = network.contention.topology() else {
            return;
        };
        let mut take = |link: u32, share: f64| {
            let capacity = topology.graph().links()[link as usize].capacity;
            self.link(2 * domains * nics + link, alike * share, of.nics * capacity);
        };
        match (from, to) {
            (Some(from), Some(to)) => {
                topology.route(from, to, &mut take);
                let slowest = network.slowest_message([(from, to)], of.protocol);
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
        self.busy[0] = self.busy[0].max(*load / rate);
    }

    fn link(&mut self, link: u32, pieces: f64, rate: f64) {
        let load = &mut self.across[link as usize];
        *load += pieces;
        self.found.rate = self.found.rate.min(rate / *load);
        self.busy[1] = self.busy[1].max(*load / rate);
    }
}
