//! A node, and the fabric between nodes.

use crate::closed_set;
use crate::data_table::{ValueKind, data_table};
use crate::hardware::{FabricTopology, Topology, TopologyKind, Torus};
use crate::units::{Bandwidth, Bytes, SimDuration};

closed_set! {
    /// Network between the GPUs of a node.
    pub(crate) enum ScaleUpKind: "scale-up network" {
        /// Every GPU at full rate to every other through switches (DGX-2 and later, NVL72).
        NvSwitch = "nvswitch",
        /// NVLink to every other GPU, the links shared out among the peers.
        NvLinkMesh = "nvlink-mesh",
        /// NVLink hybrid cube mesh of 8 (DGX-1).
        HybridCubeMesh = "hybrid-cube-mesh",
        /// xGMI full mesh: one link per peer, so fewer peers means less bandwidth.
        XgmiMesh = "xgmi-mesh",
        /// xGMI between the two dies of each module by four of a die's seven links, and by one link each beyond (MI250X).
        XgmiPairs = "xgmi-pairs",
        /// PCIe through the host.
        Pcie = "pcie",
        /// TPU inter-chip links, part of a torus.
        Ici = "ici",
    }
}

closed_set! {
    /// Communication library, with the GPU generation whose tuning tables it uses.
    pub(crate) enum CollectiveLibrary: "collective library" {
        /// NCCL on V100.
        NcclVolta = "nccl-volta",
        /// NCCL on A100 and the PCIe cards of its generation.
        NcclAmpere = "nccl-ampere",
        /// NCCL on H100, H200, H800.
        NcclHopper = "nccl-hopper",
        /// NCCL on B200, B300 and their racks.
        NcclBlackwell = "nccl-blackwell",
        /// RCCL on AMD Instinct.
        Rccl = "rccl",
        /// XLA's collectives on TPU.
        Xla = "xla",
    }
}

impl CollectiveLibrary {
    /// The library, whatever its tuning tables: ranks of one job share it.
    pub(crate) const fn family(self) -> &'static str {
        match self {
            Self::NcclVolta | Self::NcclAmpere | Self::NcclHopper | Self::NcclBlackwell => "NCCL",
            Self::Rccl => "RCCL",
            Self::Xla => "XLA",
        }
    }
}

data_table! {
    /// A kind of node and the fabric that joins the nodes.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Cluster {
        /// Name for people; default: the name.
        title: String = name.to_owned(),
        /// GPUs of one node.
        gpus_per_node: u32 [ValueKind::CountTo(1024)],
        /// GPUs of one scale-up domain, a multiple of those of a node (72 in an NVL72 rack); default: one node's.
        domain_gpus: u32 [ValueKind::CountTo(65_536)] = gpus_per_node,
        /// Communication library of its GPUs.
        library: CollectiveLibrary,
        /// NICs of one node.
        nics_per_node: u32 [ValueKind::CountTo(1024)],
        /// Line rate of one NIC, one direction.
        nic_bandwidth: Bandwidth,
        /// Power usage effectiveness of its building: energy of the whole over that of the machines; default: 1.
        pue: f64 [ValueKind::RatioTo(10)] = 1.0,
        /// Speed of one thread of its CPUs, relative to the x86 servers on which a stack's host times are stated; default: 1.
        host_speed: f64 [ValueKind::Fraction] = 1.0,
        /// Network inside a domain.
        scale_up: ScaleUp,
        /// Network between domains.
        fabric: Fabric,
    } reads {} with |fields, name: &str| {
        /// Catalogue name: `dgx-h100`.
        name: String = name.to_owned(),
    }
}

data_table! {
    /// The network inside a scale-up domain.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct ScaleUp {
        /// Shape of the network inside a domain.
        kind: ScaleUpKind,
        /// Line rate per GPU inside a domain, one direction, all links together.
        bandwidth: Bandwidth,
        /// GPUs of a whole mesh, to which those links lead: of fewer, some links lead nowhere; default: those of the domain.
        mesh_gpus: Option<u32> [ValueKind::CountTo(65_536)],
        /// Fraction of that rate that large messages reach.
        efficiency: f64 [ValueKind::Fraction],
        /// Latency of one hop from GPU to GPU.
        latency: SimDuration,
        /// Whether its switches reduce (NVLink SHARP); default: false.
        in_network_reduction: bool = false,
        /// Dimensions of the torus that the links make, two of a chip in each: a group has those of the dimensions that it
        /// spans; default: every group has all links.
        torus_dimensions: Option<u32> [ValueKind::CountTo(3)],
        /// Chips along each side of the smallest torus, from which on its lines close to rings; default: none does.
        torus_side: Option<u32> [ValueKind::CountTo(65_536)],
        /// Whether switches close it, around whole blocks with such sides alone; otherwise each side of that length is closed;
        /// default: false.
        torus_switched: bool = false,
    }
}

impl ScaleUp {
    /// Wiring of its links, where they make a torus.
    pub(crate) fn torus(&self) -> Option<Torus> {
        self.torus_dimensions.map(|dimensions| Torus {
            dimensions,
            side: self.torus_side,
            switched: self.torus_switched,
        })
    }
}

data_table! {
    /// The network between nodes.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Fabric {
        /// Downlink over uplink capacity at the leaves; default: 1.
        oversubscription: f64 [ValueKind::RatioTo(1000)] = 1.0,
        /// Nodes under one leaf switch (rail group, torus cube, dragonfly group).
        nodes_per_leaf: u32 [ValueKind::CountTo(1_048_576)],
        /// Latency of one message from NIC to NIC over one switch, or one cable where there are none.
        latency: SimDuration,
        /// Latency that each further switch or node on its way adds, with the cable to it; default: 0.45 us.
        // DeepSeek-AI, arXiv 2505.09343, table 5: 2.8 us under one InfiniBand leaf, 3.7 us between two. From memory: the
        // table was not read again.
        hop_latency: SimDuration = SimDuration::from_nanos(450),
        /// Latency that the network plugin adds to every message, over InfiniBand's own; default: 0.
        plugin_latency: SimDuration = SimDuration::ZERO,
        /// Latency that a message adds whose receiver does not wait for it yet, as in rings that only gather or only
        /// scatter, whose ranks run ahead of one another; default: 0.
        unawaited_latency: SimDuration = SimDuration::ZERO,
        /// Time that a rank's network plugin needs per message when it talks to many peers in turn; default: 0.
        message_overhead: SimDuration = SimDuration::ZERO,
        /// Fraction of the line rate that large messages reach.
        efficiency: f64 [ValueKind::Fraction],
        /// Fraction of the line rate that pairwise traffic reaches (all-to-all, pipeline sends); default:
        /// `efficiency`.
        scattered_efficiency: f64 [ValueKind::Fraction] = efficiency,
        /// Whether its switches reduce (InfiniBand SHARP); default: false.
        in_network_reduction: bool = false,
        /// Whether GPUs reach the memory of GPUs in other domains by InfiniBand or RoCE verbs, as DeepEP and HybridEP need
        /// it; default: where messages take no network plugin.
        rdma: bool = plugin_latency == SimDuration::ZERO,
        /// Whether the way from a GPU to its NIC leads over the host's bridge, where NCCL does not choose LL128; default: false.
        host_bridge: bool = false,
    } reads {
        /// Shape of the network between nodes.
        topology: TopologyKind,
        /// Message overhead of messages up to `fabric.short_message_bytes`; default: `fabric.message_overhead`.
        short_message_overhead: Option<SimDuration>,
        /// Largest message with `fabric.short_message_overhead`; default: none.
        short_message_bytes: Option<Bytes>,
        /// Latency of the rendezvous before messages from `fabric.rendezvous_bytes` on; default: 0.
        rendezvous_latency: Option<SimDuration>,
        /// Smallest message sent by rendezvous; default: none is.
        rendezvous_bytes: Option<Bytes>,
    } with |fields| {
        /// Shape of the network between nodes.
        topology: FabricTopology = topology.into(),
        /// Short messages, which some plugins send by another protocol, with their overhead.
        short_messages: Option<MessageClass> = MessageClass::new(short_message_bytes, short_message_overhead),
        /// Messages sent by rendezvous, with the latency of the handshake.
        rendezvous: Option<MessageClass> = MessageClass::new(rendezvous_bytes, rendezvous_latency),
    }
}

impl Fabric {
    /// Latency of a message between two nodes of a network: what a custom topology states of its links, else
    /// that of one switch and of every further one on its way.
    pub(crate) fn latency_over(&self, network: &Topology, from: u32, to: u32) -> SimDuration {
        let stated = network.latency(from, to);
        stated.unwrap_or_else(|| {
            self.latency + self.hop_latency.scaled(network.further_hops(from, to))
        })
    }
}

/// Messages on one side of a size limit, with the time that each of them costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageClass {
    /// Largest or smallest size in the class.
    pub limit: Bytes,
    /// Time per message.
    pub cost: SimDuration,
}

impl MessageClass {
    /// The class, where both its limit and its cost are given.
    fn new(limit: Option<Bytes>, cost: Option<SimDuration>) -> Option<Self> {
        Some(Self {
            limit: limit?,
            cost: cost?,
        })
    }
}

/// NICs that so many GPUs share of a node's, which has so many NICs and GPUs: those beside each of them, and no more. Servers
/// whose eight GPUs get 90 GB/s give four of them 45 (NVIDIA/nccl issue 1168).
pub(crate) fn nics_beside(gpus: u32, (nics_of_node, gpus_of_node): (u32, u32)) -> u32 {
    let beside_each = nics_of_node.div_ceil(gpus_of_node);
    gpus.saturating_mul(beside_each).min(nics_of_node)
}

impl Cluster {
    /// Network bandwidth per GPU and direction.
    pub(crate) fn nic_bandwidth_per_gpu(&self) -> Bandwidth {
        self.nic_bandwidth_of_each(self.gpus_per_node)
    }

    /// Network bandwidth of each of so many GPUs of a node.
    pub(crate) fn nic_bandwidth_of_each(&self, gpus: u32) -> Bandwidth {
        self.nic_bandwidth
            .scaled(f64::from(self.nics_of(gpus)) / f64::from(gpus))
    }

    fn nics_of(&self, gpus: u32) -> u32 {
        nics_beside(gpus, (self.nics_per_node, self.gpus_per_node))
    }

    fn gpus_per_nic(&self) -> f64 {
        f64::from(self.gpus_per_node) / f64::from(self.nics_per_node)
    }

    /// The cluster with so many GPUs on a node, which share its NICs. A scale-up domain of one node stays one.
    #[must_use]
    pub(crate) fn with_gpus_per_node(&self, gpus_per_node: u32) -> Self {
        Self {
            gpus_per_node,
            nics_per_node: self.nics_of(gpus_per_node),
            domain_gpus: self.domain_of_nodes(gpus_per_node),
            ..self.clone()
        }
    }

    /// GPUs of a scale-up domain where the nodes have another size.
    pub(crate) const fn domain_of_nodes(&self, gpus_per_node: u32) -> u32 {
        if self.domain_gpus == self.gpus_per_node {
            gpus_per_node
        } else {
            self.domain_gpus
        }
    }

    /// The cluster with another topology between nodes, whose leaves are oversubscribed by `oversubscription` (≥ 1).
    #[must_use]
    pub fn with_topology(&self, topology: FabricTopology, oversubscription: f64) -> Self {
        let mut cluster = self.clone();
        cluster.fabric.topology = topology;
        cluster.fabric.oversubscription = oversubscription;
        cluster
    }

    /// The cluster with another network bandwidth per GPU and direction, from as many NICs.
    #[must_use]
    pub(crate) fn with_nic_rate(&self, per_gpu: Bandwidth) -> Self {
        Self {
            nic_bandwidth: per_gpu.scaled(self.gpus_per_nic()),
            ..self.clone()
        }
    }
}
