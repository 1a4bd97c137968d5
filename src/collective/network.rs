//! A job's network, and what a collective costs on it.

use std::sync::Arc;

use crate::collective::contention::{Contention, TURNS, Traffic};
use crate::collective::pipelined_cost::{KnownPipelines, Pipelined};
use crate::collective::placement::{self, GroupShape};
use crate::collective::rounds_cost::{RoundLatency, Rounds};
use crate::collective::sent::sent;
use crate::collective::ways::{Pricing, Rates, Way};
use crate::collective::{CarriedBy, CollectiveAlgorithm, CollectiveOp, Protocol};
use crate::collective::{hashing, library};
use crate::hardware::{
    Cluster, FabricTopology, ScaleUpKind, Topology, TopologyFault, TopologyKind,
};
use crate::units::{Bytes, SimDuration};

pub use crate::collective::placement::GroupPattern;

/// Why a cluster cannot carry a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// The job has no GPUs.
    #[error("a job needs at least one GPU")]
    Empty,
    /// The fabric cannot hold its nodes.
    #[error(transparent)]
    Fabric(#[from] TopologyFault),
}

/// Why a collective cannot run on a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Unsupported {
    /// The reason, with the request and what would do.
    pub sentence: String,
}

/// A collective of one parallel dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CollectiveRequest {
    /// What the groups do.
    pub op: CollectiveOp,
    /// Size as nccl-tests counts it: the whole buffer of a rank; of all-gather the gathered one, of
    /// reduce-scatter the one before it is scattered.
    pub bytes: Bytes,
    /// The groups, all at once. For send-recv `size` is the number of stages, each sends to the next.
    pub groups: GroupPattern,
    /// Algorithm; `None`: what the library would choose.
    pub algorithm: Option<CollectiveAlgorithm>,
    /// Protocol; `None`: what the library would choose.
    pub protocol: Option<Protocol>,
}

/// Shares of the capacity of each link class that a collective uses while it runs alone, 0–1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkLoads {
    /// Links inside the scale-up domains.
    pub scale_up: f64,
    /// NICs and the fabric behind them.
    pub scale_out: f64,
}

/// What a collective costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollectiveCost {
    /// From the first kernel's start to the last one's end.
    pub time: SimDuration,
    /// Part of the time that no bandwidth helps.
    pub latency: SimDuration,
    /// Algorithm that carried it.
    pub algorithm: CarriedBy,
    /// Protocol that carried it.
    pub protocol: Protocol,
    /// Sent per GPU inside the domains.
    pub sent_intra: Bytes,
    /// Sent per GPU between them.
    pub sent_inter: Bytes,
    /// Load of the busiest link against its line rate, 0–1.
    pub link_utilization_max: f64,
    /// Use of each link class.
    pub loads: LinkLoads,
    /// Streaming multiprocessors that the kernel takes.
    pub sms: u32,
}

/// The network of one job: immutable and cheap to make; a cost is a pure function of its inputs.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) cluster: Cluster,
    pub(super) gpus: u32,
    pub(super) per_domain: u32,
    pub(super) contention: Arc<Contention>,
    /// Loads of algorithms that hand pieces on, as far as they were asked for.
    pub(super) pipelines: Arc<KnownPipelines>,
    /// Which way round rings go.
    turn: Traffic,
    /// What the fabric of the catalogue states, where an own topology's latency stands in the cluster.
    stated: StatedLatency,
}

/// Latencies of a fabric.
#[derive(Clone, Copy, Debug)]
struct StatedLatency {
    plugin: SimDuration,
    message: SimDuration,
}

impl Network {
    /// The network of a job of `gpus` GPUs on `cluster`.
    ///
    /// # Errors
    /// If the fabric cannot hold the nodes.
    pub fn new(cluster: &Cluster, gpus: u32) -> Result<Self, NetworkFault> {
        if gpus == 0 {
            return Err(NetworkFault::Empty);
        }
        let per_domain = placement::ranks_per_domain(cluster, gpus);
        let domains = gpus.div_ceil(per_domain);
        Ok(Self {
            cluster: cluster.clone(),
            gpus,
            per_domain,
            contention: Arc::new(Contention::new(cluster, domains, per_domain)?),
            pipelines: Arc::default(),
            turn: Traffic::Neighbours,
            stated: StatedLatency {
                plugin: cluster.fabric.plugin_latency,
                message: cluster.fabric.latency,
            },
        })
    }

    /// How the groups of a pattern lie over the domains of this job.
    pub fn shape(&self, groups: GroupPattern) -> GroupShape {
        GroupShape::of(groups, self.per_domain, self.gpus)
    }

    /// Time of a collective and its load on the network.
    ///
    /// Without a requested algorithm the library's own choice is timed: NCCL's by its cost table,
    /// which knows nothing of other groups; a network plugin with a tuner of its own (every fabric
    /// with a plugin latency) takes what is fastest.
    ///
    /// # Errors
    /// If the algorithm cannot carry the operation, or not on this network.
    pub fn collective(&self, request: &CollectiveRequest) -> Result<CollectiveCost, Unsupported> {
        let shape = self.shape(request.groups);
        if shape.ranks <= 1 {
            return Ok(nothing(request));
        }
        let tuned = self.cluster.fabric.plugin_latency > SimDuration::ZERO && shape.domains > 1;
        if !self.contention.topology().is_some_and(Topology::is_own) {
            return self.cheapest(request, shape, tuned);
        }
        // Where directions differ a library turns its rings the way that is fastest.
        let traffic = self.traffic(request);
        let turns: &[Traffic] = if traffic == Traffic::Neighbours {
            &TURNS
        } else {
            &[traffic]
        };
        turns
            .iter()
            .map(|turn| {
                let turned = self.turned(request, &shape, *turn);
                turned.cheapest(request, shape, tuned)
            })
            .min_by_key(|cost| cost.as_ref().map_or(u64::MAX, |cost| cost.time.as_picos()))
            .unwrap_or_else(|| Err(unsupported(request, &shape)))
    }

    /// This network with rings that turn one way, and the latency that a spec's own topology has
    /// between the nodes of a request then.
    fn turned(&self, request: &CollectiveRequest, shape: &GroupShape, turn: Traffic) -> Self {
        let mut turned = self.clone();
        turned.turn = turn;
        if let Some(latency) = self.contention.latency(request.groups, shape, turn) {
            let fabric = &mut turned.cluster.fabric;
            fabric.plugin_latency = fabric.plugin_latency_over(latency);
            fabric.latency = latency;
        }
        turned
    }

    /// How the domains of a request's groups talk to each other.
    fn traffic(&self, request: &CollectiveRequest) -> Traffic {
        let traffic = traffic_of(request);
        if traffic == Traffic::Neighbours {
            self.turn
        } else {
            traffic
        }
    }

    /// The way that the library takes, timed.
    fn cheapest(
        &self,
        request: &CollectiveRequest,
        shape: GroupShape,
        tuned: bool,
    ) -> Result<CollectiveCost, Unsupported> {
        let pricing = Pricing {
            cluster: &self.cluster,
            request,
            shape,
            rates: self.rates(request, &shape),
        };
        let mut best: Option<(f64, Way)> = None;
        self.each_way(&pricing, |way| {
            let price = if tuned || request.algorithm.is_some() && request.protocol.is_some() {
                way.total()
            } else {
                pricing.library_estimate(&way)
            };
            if best.as_ref().is_none_or(|(least, _)| price < *least) {
                best = Some((price, way));
            }
        });
        match best {
            Some((_, way)) => Ok(self.priced(&pricing, way)),
            None => Err(unsupported(request, &shape)),
        }
    }

    /// Rate of one GPU inside its domain when `members` of a group are there.
    pub(super) fn intra_rate(&self, members: u32) -> f64 {
        let up = &self.cluster.scale_up;
        let full = up.bandwidth.as_bytes_per_s() * up.efficiency;
        let domain = self.cluster.domain_gpus.max(2);
        let joined = f64::from(members.clamp(2, domain) - 1) / f64::from(domain - 1);
        match up.kind {
            ScaleUpKind::NvSwitch | ScaleUpKind::Pcie | ScaleUpKind::Ici => full,
            ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh => full * joined,
            // Of the 6 links of a GPU 4 stay in its quad, and one joins the next GPU.
            ScaleUpKind::HybridCubeMesh => match members {
                0..=2 => full / 6.0,
                3..=4 => full * 4.0 / 6.0,
                _ => full,
            },
        }
    }

    fn rates(&self, request: &CollectiveRequest, shape: &GroupShape) -> Rates {
        let intra = self.intra_rate(shape.members);
        if shape.sharing == 0 {
            return Rates {
                intra,
                through: intra,
                inter: f64::INFINITY,
                scattered: f64::INFINITY,
            };
        }
        let cluster = &self.cluster;
        let fabric = &cluster.fabric;
        let members = f64::from(shape.members.max(2));
        let line = self.domain_rate();
        let share = line / f64::from(shape.sharing);
        let traffic = self.traffic(request);
        let uneven = self
            .contention
            .uneven(request.groups, shape, self.gpus, traffic);
        let share = match (uneven, traffic) {
            (Some(messages), Traffic::Neighbours | Traffic::Onwards | Traffic::Backwards) => {
                line / messages
            }
            // The members send all others a message each, and share out their part of the NICs.
            (Some(messages), Traffic::Exchange) => {
                let remote = f64::from(shape.members) * f64::from(shape.ranks - shape.members);
                line * remote / messages
            }
            (Some(_), Traffic::Forward) | (None, _) => {
                share / self.contention.slowdown(request.groups, shape, traffic)
            }
        };
        Rates {
            intra,
            // A ring that passes through a domain crosses one link less there than one that closes.
            through: intra * members / (members - 1.0),
            inter: share * fabric.efficiency,
            scattered: share * fabric.scattered_efficiency,
        }
    }

    /// Calls `take` with every way that the request allows.
    fn each_way(&self, pricing: &Pricing<'_>, mut take: impl FnMut(Way)) {
        let request = pricing.request;
        let protocols = [Protocol::Ll, Protocol::Ll128, Protocol::Simple];
        let allowed = |protocol| request.protocol.is_none_or(|asked| asked == protocol);
        let asks = |algorithm| request.algorithm.is_none_or(|asked| asked == algorithm);
        if request.protocol == Some(Protocol::Ideal) {
            let algorithm = request.algorithm.unwrap_or_else(|| usual(request.op));
            if let Some(way) = self.in_rounds(pricing, Protocol::Ideal, algorithm) {
                take(way);
            }
            return;
        }
        let ring = asks(CollectiveAlgorithm::Ring);
        match request.op {
            CollectiveOp::AllReduce => {
                let tree = asks(CollectiveAlgorithm::DoubleBinaryTree);
                for protocol in protocols.into_iter().filter(|p| allowed(*p)) {
                    if ring {
                        take(pricing.ring(protocol));
                    }
                    if tree {
                        take(pricing.tree(protocol));
                    }
                }
                let nvls = asks(CollectiveAlgorithm::Nvls) && allowed(Protocol::Simple);
                if nvls && pricing.has_nvls() {
                    take(pricing.nvls());
                }
            }
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter | CollectiveOp::Broadcast
                if ring =>
            {
                for protocol in protocols.into_iter().filter(|p| allowed(*p)) {
                    take(pricing.ring(protocol));
                }
            }
            CollectiveOp::AllToAll if asks(CollectiveAlgorithm::Direct) => {
                take(pricing.all_to_all());
            }
            CollectiveOp::SendRecv if asks(CollectiveAlgorithm::Direct) => {
                take(pricing.send_recv(self.sender_rate(pricing)));
            }
            CollectiveOp::AllGather
            | CollectiveOp::ReduceScatter
            | CollectiveOp::Broadcast
            | CollectiveOp::AllToAll
            | CollectiveOp::SendRecv => {}
        }
        let shares = matches!(
            request.op,
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter
        );
        // Only on request: NCCL's ring carries them as fast, with fewer conditions on the NICs.
        let asked = request.algorithm == Some(CollectiveAlgorithm::Nvls);
        if shares && asked && allowed(Protocol::Simple) && pricing.has_nvls() {
            take(pricing.nvls_share());
        }
        if let Some(algorithm) = request.algorithm
            && !carried_by_library(algorithm, request.op)
            && let Some(way) = self.in_rounds(pricing, Protocol::Simple, algorithm)
        {
            take(way);
        }
    }

    /// A way in synchronous rounds: with the links' own latency, or with that of Simple.
    fn in_rounds(
        &self,
        pricing: &Pricing<'_>,
        protocol: Protocol,
        algorithm: CollectiveAlgorithm,
    ) -> Option<Way> {
        let latency = self.round_latency(protocol);
        let rounds = Rounds {
            shape: pricing.shape,
            rates: pricing.rates,
            latency,
            protocol,
        };
        let request = pricing.request;
        let mut way = if algorithm == CollectiveAlgorithm::HalvingDoubling {
            self.halving(pricing, latency, protocol)?
        } else if let Some(pipelined) =
            Pipelined::of(self, request, algorithm, pricing.rates, (latency, protocol))
        {
            pipelined.way(algorithm)
        } else {
            let bytes = request.bytes.as_f64();
            let closed = rounds.way(algorithm, request.op, bytes);
            closed.or_else(|| self.by_schedule(pricing, protocol, algorithm))?
        };
        if protocol != Protocol::Ideal {
            way.latency += library::RING.base[2] * 1e-6;
            if algorithm == CollectiveAlgorithm::Direct {
                let ranks = f64::from(pricing.shape.ranks);
                let share = request.bytes.as_f64() / ranks;
                let remote = ranks - f64::from(pricing.shape.members);
                way.latency += pricing.message_overhead(share) * remote;
            }
        }
        Some(way)
    }

    /// An algorithm that hands pieces on, with the links' own latencies.
    #[cfg(test)]
    pub(super) fn pipelined(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Option<Pipelined<'_>> {
        let rates = self.rates(request, &self.shape(request.groups));
        let latency = self.round_latency(Protocol::Ideal);
        Pipelined::of(self, request, algorithm, rates, (latency, Protocol::Ideal))
    }

    /// Seconds of an algorithm by its schedule, as one without a closed form takes them.
    #[cfg(test)]
    pub(super) fn by_its_schedule(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Option<f64> {
        let shape = self.shape(request.groups);
        let pricing = Pricing {
            cluster: &self.cluster,
            request,
            shape,
            rates: self.rates(request, &shape),
        };
        let way = self.by_schedule(&pricing, Protocol::Ideal, algorithm)?;
        Some(way.total())
    }

    fn round_latency(&self, protocol: Protocol) -> RoundLatency {
        let (up, fabric) = (&self.cluster.scale_up, &self.cluster.fabric);
        if protocol == Protocol::Ideal {
            RoundLatency {
                inside: up.latency.as_secs_f64(),
                across: fabric.latency.as_secs_f64(),
            }
        } else {
            RoundLatency {
                inside: library::RING.nvlink[2] * 1e-6,
                across: library::RING.network[2] * 1e-6 + fabric.plugin_latency.as_secs_f64(),
            }
        }
    }

    /// Seconds of the slowest message between domains, where an own topology states its ways.
    pub(super) fn slowest_message(
        &self,
        ends: impl IntoIterator<Item = (u32, u32)>,
        protocol: Protocol,
    ) -> Option<f64> {
        let ways = ends.into_iter();
        let slowest = ways
            .filter_map(|(from, to)| self.contention.latency_between(from, to))
            .max()?;
        let StatedLatency { plugin, message } = self.stated;
        Some(if protocol == Protocol::Ideal {
            slowest.as_secs_f64()
        } else {
            let over = (plugin + slowest).saturating_sub(message);
            library::RING.network[2] * 1e-6 + over.as_secs_f64()
        })
    }

    /// Line rate of all NICs of a domain, in bytes per second.
    pub(super) fn domain_rate(&self) -> f64 {
        let cluster = &self.cluster;
        let nodes = f64::from(self.per_domain) / f64::from(cluster.gpus_per_node);
        f64::from(cluster.nics_per_node) * nodes * cluster.nic_bandwidth.as_bytes_per_s()
    }

    /// NICs of a domain that ranks may keep to: as many as GPUs where each has several.
    pub(super) fn nics(&self) -> u32 {
        let cluster = &self.cluster;
        let per_node = cluster.nics_per_node.min(cluster.gpus_per_node);
        let nics = (per_node * self.per_domain).div_ceil(cluster.gpus_per_node);
        nics.max(1)
    }

    /// The NIC that a rank keeps to, counted over all domains.
    pub(super) fn nic_of(&self, rank: u32) -> u32 {
        let nics = self.nics();
        let (domain, local) = (rank / self.per_domain, rank % self.per_domain);
        domain * nics + local * nics / self.per_domain
    }

    /// Rate of a pipeline send: the sender's own NICs, or its part of shared ones.
    fn sender_rate(&self, pricing: &Pricing<'_>) -> f64 {
        if pricing.shape.domains == 1 {
            return pricing.rates.intra;
        }
        let c = &self.cluster;
        let groups = pricing.request.groups;
        let slowdown = self
            .contention
            .slowdown(groups, &pricing.shape, Traffic::Forward);
        let slowdown = slowdown * self.collisions(groups);
        let nic = c.nic_bandwidth.as_bytes_per_s() * c.fabric.scattered_efficiency / slowdown;
        let per_gpu = nic * f64::from(c.nics_per_node) / f64::from(c.gpus_per_node);
        let senders = groups.stride.min(self.per_domain);
        let total = per_gpu * f64::from(self.per_domain);
        (total / f64::from(senders)).min(nic.max(per_gpu))
    }

    /// How many times longer the slowest pipeline send takes because the fabric hashes single flows
    /// over its uplinks.
    ///
    /// Only between NICs of different rails: within a rail a send stays below one leaf, and rings
    /// have many flows per NIC. A leaf has as many uplinks as nodes, over the oversubscription.
    fn collisions(&self, groups: GroupPattern) -> f64 {
        let (fabric, node) = (&self.cluster.fabric, self.cluster.gpus_per_node);
        if fabric.topology != FabricTopology::Kind(TopologyKind::Rail)
            || groups.stride.is_multiple_of(node)
        {
            return 1.0;
        }
        let domains = self.gpus.div_ceil(self.per_domain);
        let rails = groups.stride.min(node);
        let leaves = domains.div_ceil(fabric.nodes_per_leaf) * rails;
        let uplinks = libm::ceil(f64::from(fabric.nodes_per_leaf) / fabric.oversubscription);
        hashing::busiest(domains * rails, leaves * uplinks as u32)
    }

    fn priced(&self, pricing: &Pricing<'_>, way: Way) -> CollectiveCost {
        let (intra, inter) = sent(pricing.request, &pricing.shape, way.algorithm);
        let time = SimDuration::from_secs_f64(way.total());
        let secs = time.as_secs_f64().max(1e-12);
        let nic = pricing.rates.inter / f64::from(pricing.shape.members);
        let loads = match way.busy {
            Some([inside, across]) => LinkLoads {
                scale_up: (inside / secs).min(1.0),
                scale_out: (across / secs).min(1.0),
            },
            None => LinkLoads {
                scale_up: (intra / secs / pricing.rates.intra).min(1.0),
                scale_out: (inter / secs / nic).min(1.0),
            },
        };
        let up = loads.scale_up * self.cluster.scale_up.efficiency;
        let out = loads.scale_out * self.cluster.fabric.efficiency;
        let channels = library::generation(self.cluster.library).channels;
        CollectiveCost {
            time,
            latency: SimDuration::from_secs_f64(way.latency),
            algorithm: CarriedBy::Known(way.algorithm),
            protocol: way.protocol,
            sent_intra: Bytes::from_f64(intra),
            sent_inter: Bytes::from_f64(inter),
            link_utilization_max: up.max(out),
            loads,
            sms: channels[usize::from(pricing.shape.domains > 1)],
        }
    }
}

/// How the domains of a request's groups talk to each other, by its algorithm.
fn traffic_of(request: &CollectiveRequest) -> Traffic {
    match request.op {
        CollectiveOp::AllToAll => Traffic::Exchange,
        CollectiveOp::SendRecv => Traffic::Forward,
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => match request.algorithm {
            Some(CollectiveAlgorithm::Direct) => Traffic::Exchange,
            _ => Traffic::Neighbours,
        },
    }
}

/// Whether the library has a path of its own for an algorithm and an operation.
fn carried_by_library(algorithm: CollectiveAlgorithm, op: CollectiveOp) -> bool {
    let pairs = matches!(op, CollectiveOp::AllToAll | CollectiveOp::SendRecv);
    algorithm == CollectiveAlgorithm::Nvls
        || algorithm == CollectiveAlgorithm::Ring && !pairs
        || algorithm == CollectiveAlgorithm::Direct && pairs
        || algorithm == CollectiveAlgorithm::DoubleBinaryTree && op == CollectiveOp::AllReduce
}

/// The algorithm of an operation where none is requested and no library chooses.
const fn usual(op: CollectiveOp) -> CollectiveAlgorithm {
    match op {
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => CollectiveAlgorithm::Ring,
        CollectiveOp::AllToAll | CollectiveOp::SendRecv => CollectiveAlgorithm::Direct,
    }
}

/// The cost of a group of one.
fn nothing(request: &CollectiveRequest) -> CollectiveCost {
    CollectiveCost {
        time: SimDuration::ZERO,
        latency: SimDuration::ZERO,
        algorithm: CarriedBy::Known(request.algorithm.unwrap_or(CollectiveAlgorithm::Ring)),
        protocol: request.protocol.unwrap_or(Protocol::Simple),
        sent_intra: Bytes::ZERO,
        sent_inter: Bytes::ZERO,
        link_utilization_max: 0.0,
        loads: LinkLoads::default(),
        sms: 0,
    }
}

fn unsupported(request: &CollectiveRequest, shape: &GroupShape) -> Unsupported {
    let algorithm = request
        .algorithm
        .map_or("auto", CollectiveAlgorithm::as_str);
    Unsupported {
        sentence: format!(
            "no {algorithm} for {} over {} ranks on {} domains of this cluster",
            request.op, shape.ranks, shape.domains
        ),
    }
}

#[cfg(test)]
mod tests;
