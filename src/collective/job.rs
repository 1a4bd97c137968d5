//! A job on its cluster: scale-up domains, their NICs and rates, and the fabric between them.

use crate::collective::contention::Contention;
use crate::collective::hashing::{self, Hashed};
use crate::collective::library::{Generation, LatencyTable, TABLES};
use crate::collective::op::Protocol;
use crate::collective::placement::{
    GroupPattern, GroupShape, GroupTraffic, Traffic, ranks_per_domain,
};
use crate::hardware::{
    Cluster, CollectiveLibrary, FabricTopology, ScaleUpKind, Slice, TopologyFault, TopologyKind,
};
use crate::units::{Bandwidth, Micros, Seconds};

/// Infinity Fabric links that lead from a die of an MI250X to other dies (AMD CDNA 2 architecture).
const XGMI_LINKS: f64 = 7.0;

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

/// A job on its cluster.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) cluster: Cluster,
    pub(super) gpus: u32,
    /// GPUs of the job in each scale-up domain.
    pub(super) per_domain: u32,
    pub(super) contention: Contention,
    pub(super) generation: &'static Generation,
    /// Chips of a domain as they lie in its torus.
    slice: Option<Slice>,
}

/// What a group has of the links inside a domain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    /// Rate of one GPU.
    pub(super) rate: Bandwidth,
    /// Share of its links that the group's traffic takes.
    pub(super) share: f64,
}

/// Latencies of one round of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundLatency {
    /// When all of them stay inside a domain.
    pub(super) inside: Seconds,
    /// When some leave one.
    pub(super) across: Seconds,
}

impl Job {
    /// A job of `gpus` GPUs.
    ///
    /// # Errors
    /// If the fabric cannot hold the nodes.
    pub(super) fn new(cluster: &Cluster, gpus: u32) -> Result<Self, NetworkFault> {
        if gpus == 0 {
            return Err(NetworkFault::Empty);
        }
        let per_domain = ranks_per_domain(cluster, gpus);
        Ok(Self {
            cluster: cluster.clone(),
            gpus,
            per_domain,
            contention: Contention::new(cluster, gpus.div_ceil(per_domain), per_domain)?,
            generation: Generation::of(cluster.library),
            slice: cluster
                .scale_up
                .torus()
                .map(|torus| torus.slice(per_domain)),
        })
    }

    /// Scale-up domains.
    pub(super) const fn domains(&self) -> u32 {
        self.gpus.div_ceil(self.per_domain)
    }

    /// How the groups of a pattern lie over the domains.
    pub(super) fn shape(&self, groups: GroupPattern) -> GroupShape {
        GroupShape::of(groups, self.per_domain, self.gpus)
    }

    /// Links that the groups of a pattern with such a shape have inside a domain, for rings or for an exchange.
    pub(super) fn inside(&self, of: GroupTraffic) -> Inside {
        let (groups, members) = (of.groups, of.shape.members);
        let (Some(slice), true) = (&self.slice, members > 1) else {
            return Inside {
                rate: self.intra_rate(members),
                share: 1.0,
            };
        };
        let span = slice.span(members, groups.stride);
        let links = match of.traffic {
            Traffic::Exchange => span.exchange_links(),
            Traffic::Ring(_) | Traffic::Chain | Traffic::Trees => span.ring_links(),
        };
        let dimensions = slice.dimensions();
        Inside {
            rate: self.port_rate() * (links / (2.0 * dimensions)),
            share: span.dimensions() / dimensions,
        }
    }

    /// Rate of one GPU inside its domain when `members` of a group are there and all its links to them
    /// are in use.
    fn intra_rate(&self, members: u32) -> Bandwidth {
        let full = self.port_rate();
        match self.cluster.scale_up.kind {
            ScaleUpKind::NvSwitch | ScaleUpKind::Pcie | ScaleUpKind::Ici => full,
            ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh => {
                let peers = self.mesh_peers();
                full * (f64::from(members.max(2) - 1) / peers).min(1.0)
            }
            // Four links join the dies of a module; a ring over several modules takes one link each way between them.
            ScaleUpKind::XgmiPairs => match members {
                0..=2 => full * (4.0 / XGMI_LINKS),
                _ => full * (2.0 / XGMI_LINKS),
            },
            // Of the 6 links of a GPU 4 stay in its quad, and one joins the next GPU.
            ScaleUpKind::HybridCubeMesh => match members {
                0..=2 => full / 6.0,
                3..=4 => full * 4.0 / 6.0,
                _ => full,
            },
        }
    }

    /// Rate of all links of a GPU inside its domain together.
    fn port_rate(&self) -> Bandwidth {
        let up = &self.cluster.scale_up;
        up.bandwidth * up.efficiency
    }

    /// Peers to which the links of a GPU lead in a whole mesh.
    fn mesh_peers(&self) -> f64 {
        let whole = self.cluster.scale_up.mesh_gpus;
        f64::from(whole.unwrap_or(self.cluster.domain_gpus).max(2) - 1)
    }

    /// Rate of the link between two GPUs of a domain; `None` where switches give each pair the whole rate.
    pub(super) fn pair_rate(&self) -> Option<Bandwidth> {
        let links = match self.cluster.scale_up.kind {
            ScaleUpKind::NvSwitch | ScaleUpKind::Pcie => return None,
            ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh => self.mesh_peers(),
            ScaleUpKind::XgmiPairs => XGMI_LINKS,
            // Two GPUs that are joined share one of the six links of each; a chip of a torus has two
            // neighbours in each of its dimensions, three unless it says otherwise.
            ScaleUpKind::HybridCubeMesh => 6.0,
            ScaleUpKind::Ici => 2.0 * self.slice.as_ref().map_or(3.0, Slice::dimensions),
        };
        Some(self.port_rate() / links)
    }

    /// Rate of a send between domains when nothing else is on the network beyond the NICs: the sender's own, its part
    /// of shared ones.
    pub(super) fn send_rate(&self, groups: GroupPattern) -> Bandwidth {
        let cluster = &self.cluster;
        let nic = cluster.nic_bandwidth * cluster.fabric.scattered_efficiency;
        let per_gpu = nic * f64::from(cluster.nics_per_node) / f64::from(cluster.gpus_per_node);
        let senders = groups.stride.min(self.per_domain);
        let all = per_gpu * f64::from(self.per_domain);
        (all / f64::from(senders)).min(nic.max(per_gpu))
    }

    /// Rate of a message from one GPU of a domain to another, which takes the links between the two alone.
    pub(super) fn message_rate(&self) -> Bandwidth {
        self.pair_rate().unwrap_or_else(|| self.port_rate())
    }

    /// Rate of a send to the next rank of a group inside a domain: that of the links between the two.
    pub(super) fn neighbour_rate(&self, groups: GroupPattern) -> Bandwidth {
        let is_module = groups.size == 2 && groups.stride == 1;
        match self.cluster.scale_up.kind {
            // Four links join the dies of a module.
            ScaleUpKind::XgmiPairs if is_module => self.message_rate() * 4.0,
            ScaleUpKind::NvSwitch
            | ScaleUpKind::NvLinkMesh
            | ScaleUpKind::HybridCubeMesh
            | ScaleUpKind::XgmiMesh
            | ScaleUpKind::XgmiPairs
            | ScaleUpKind::Pcie
            | ScaleUpKind::Ici => self.message_rate(),
        }
    }

    /// Line rate of all NICs of a domain.
    pub(super) fn domain_rate(&self) -> Bandwidth {
        let cluster = &self.cluster;
        let nodes = f64::from(self.per_domain) / f64::from(cluster.gpus_per_node);
        cluster.nic_bandwidth * (f64::from(cluster.nics_per_node) * nodes)
    }

    /// Whether NCCL chooses LL128 by itself: over NVLink, and between domains without the host's bridge on the way.
    /// Source: NVIDIA/nccl src/graph/tuning.cc.
    pub(super) const fn offers_ll128(&self, crosses: bool) -> bool {
        let over_pcie = matches!(self.cluster.scale_up.kind, ScaleUpKind::Pcie);
        self.generation.ll128 && !(over_pcie || crosses && self.cluster.fabric.host_bridge)
    }

    /// Whether the switches between the domains reduce.
    pub(super) fn reduces_between(&self) -> bool {
        self.cluster.fabric.in_network_reduction && self.contention.has_leaves()
    }

    /// NICs of a domain for each of `members` of its GPUs, together.
    pub(super) fn nics_of(&self, members: u32) -> f64 {
        let per_gpu = f64::from(self.cluster.nics_per_node) / f64::from(self.cluster.gpus_per_node);
        per_gpu * f64::from(members)
    }

    /// Rate between domains that NCCL counts on for `members` of a domain's GPUs: their NICs', at least one's.
    pub(super) fn estimated_nics(&self, members: u32) -> Bandwidth {
        let nics = self.nics_of(members).max(1.0);
        self.cluster.nic_bandwidth * (nics * TABLES.ring.nic_share)
    }

    /// Channels that NCCL's search finds between domains: one per NIC, two where one would be fast (from 25 GB/s)
    /// and its GPUs old or the NICs few. Source: NVIDIA/nccl src/graph/search.cc.
    pub(super) fn searched_channels(&self, members: u32) -> f64 {
        let nics = self.nics_of(members).min(members.into()).max(1.0);
        let is_old = !matches!(
            self.cluster.library,
            CollectiveLibrary::NcclHopper | CollectiveLibrary::NcclBlackwell
        );
        let fast = self.estimated_nics(0).as_bytes_per_s() >= 25e9;
        let doubled = fast && (is_old || nics <= 4.0);
        let channels = if doubled { 2.0 * nics } else { nics };
        channels.min(TABLES.tree.channels_max.into())
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

    /// How many times longer the slowest pipeline send takes because the fabric hashes single flows
    /// over its uplinks.
    ///
    /// Only between NICs of different rails: within a rail a send stays below one leaf, and rings
    /// have many flows per NIC. A leaf has as many uplinks as nodes, over the oversubscription, and its flows take no
    /// other's.
    pub(super) fn collisions(&self, groups: GroupPattern) -> f64 {
        let (fabric, node) = (&self.cluster.fabric, self.cluster.gpus_per_node);
        if fabric.topology != FabricTopology::Kind(TopologyKind::Rail)
            || groups.stride.is_multiple_of(node)
        {
            return 1.0;
        }
        let rails = groups.stride.min(node);
        let uplinks = libm::ceil(f64::from(fabric.nodes_per_leaf) / fabric.oversubscription);
        let uplinks = uplinks as u32 * rails;
        let (full, rest) = (
            self.domains() / fabric.nodes_per_leaf,
            self.domains() % fabric.nodes_per_leaf,
        );
        hashing::busiest(&[
            Hashed {
                flows: full * fabric.nodes_per_leaf * rails,
                links: full * uplinks,
            },
            Hashed {
                flows: rest * rails,
                links: uplinks,
            },
        ])
    }

    /// Latencies of a round whose messages between domains take `message` from NIC to NIC: the links' own
    /// under `ideal`, else those of NCCL's bulk transfers.
    pub(super) fn round_latency(&self, protocol: Protocol, message: Seconds) -> RoundLatency {
        if protocol == Protocol::Ideal {
            return RoundLatency {
                inside: self.cluster.scale_up.latency.into(),
                across: message,
            };
        }
        let table = &self.generation.ring;
        let plugin = Seconds::from(self.cluster.fabric.plugin_latency);
        RoundLatency {
            inside: self.hop(table, protocol).into(),
            across: Seconds::from(self.generation.without_wire(table, protocol)) + message + plugin,
        }
    }

    /// Latency of a hop inside a domain: the library's, which holds the links' as NCCL knows them, with what
    /// this cluster's take.
    pub(super) fn hop(&self, table: &LatencyTable, protocol: Protocol) -> Micros {
        table.hop(self.cluster.scale_up.kind, protocol) + self.further_inside()
    }

    /// Time of one LL step between neighbours of a ring inside a domain: the measured one, which holds NVLink's latency (or xGMI's),
    /// with this cluster's links in their place.
    pub(super) fn ring_step(&self) -> Micros {
        let generation = self.generation;
        let measured_on = generation.ring.hop(ScaleUpKind::NvSwitch, Protocol::Ll);
        generation.ring_step - measured_on + Micros::from(self.cluster.scale_up.latency)
    }

    /// Latency of a hop inside a domain over that of the links in the library's tables.
    pub(super) fn further_inside(&self) -> Micros {
        let up = &self.cluster.scale_up;
        Micros::from(up.latency) - self.generation.link(up.kind)
    }

    /// Latency of the slowest message between pairs of domains.
    pub(super) fn slowest_message(
        &self,
        ends: impl IntoIterator<Item = (u32, u32)>,
        protocol: Protocol,
    ) -> Seconds {
        let ends = ends.into_iter();
        let single = ends.map(|(from, to)| self.contention.latency_between(from, to));
        let slowest = single.fold(Seconds::ZERO, Seconds::max);
        self.round_latency(protocol, slowest).across
    }
}
