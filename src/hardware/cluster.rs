//! A node, and the fabric between nodes.

use crate::closed_set;
use crate::hardware::FabricTopology;
use crate::units::{Bandwidth, Bytes, SimDuration};

closed_set! {
    /// How the GPUs of a node reach each other.
    pub enum ScaleUpKind: "scale-up network" {
        /// Every GPU at full rate to every other through switches (DGX-2 and later, NVL72).
        NvSwitch = "nvswitch",
        /// NVLink to every other GPU, the links shared out among the peers.
        NvLinkMesh = "nvlink-mesh",
        /// NVLink hybrid cube mesh of 8 (DGX-1).
        HybridCubeMesh = "hybrid-cube-mesh",
        /// xGMI full mesh: one link per peer, so fewer peers means less bandwidth.
        XgmiMesh = "xgmi-mesh",
        /// PCIe through the host.
        Pcie = "pcie",
        /// TPU inter-chip links, part of a torus.
        Ici = "ici",
    }
}

closed_set! {
    /// Communication library, with the generation whose tables it picks algorithms by.
    pub enum CollectiveLibrary: "collective library" {
        /// NCCL on V100.
        NcclVolta = "nccl-volta",
        /// NCCL on A100 and its PCIe kin.
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

/// A kind of node and the fabric that joins the nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Catalog name: `dgx-h100`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// GPUs of one server.
    pub gpus_per_node: u32,
    /// GPUs of one scale-up domain: those of a server, or more (72 in an NVL72 rack).
    pub domain_gpus: u32,
    /// Network inside a domain.
    pub scale_up: ScaleUp,
    /// Communication library of its GPUs.
    pub library: CollectiveLibrary,
    /// NICs of one server.
    pub nics_per_node: u32,
    /// Line rate of one NIC, one direction.
    pub nic_bandwidth: Bandwidth,
    /// Network between domains.
    pub fabric: Fabric,
}

/// The network inside a scale-up domain.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleUp {
    /// Its shape.
    pub kind: ScaleUpKind,
    /// Line rate per GPU, one direction, all links together.
    pub bandwidth: Bandwidth,
    /// Fraction of the line rate that large messages reach, 0–1.
    pub efficiency: f64,
    /// Latency of one hop from GPU to GPU.
    pub latency: SimDuration,
    /// Whether its switches reduce (NVLink SHARP).
    pub in_network_reduction: bool,
}

/// The network between nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fabric {
    /// Its shape.
    pub topology: FabricTopology,
    /// Downlink over uplink capacity at the leaves, ≥ 1.
    pub oversubscription: f64,
    /// Nodes under one leaf switch (or rail group, torus cube, dragonfly group).
    pub nodes_per_leaf: u32,
    /// Latency of one message from NIC to NIC.
    pub latency: SimDuration,
    /// Latency that the network plugin adds to every message, over InfiniBand's.
    pub plugin_latency: SimDuration,
    /// Time that a rank's network plugin needs per message when it talks to many peers in turn.
    pub message_overhead: SimDuration,
    /// The same for messages of up to a limit, which some plugins send another way.
    pub short_messages: Option<MessageClass>,
    /// Messages whose ends agree on them before they are sent: from a limit on.
    pub rendezvous: Option<MessageClass>,
    /// Fraction of the line rate that large messages reach, 0–1.
    pub efficiency: f64,
    /// Fraction of the line rate that pairwise traffic reaches (all-to-all, pipeline sends), 0–1.
    pub scattered_efficiency: f64,
    /// Whether its switches reduce (InfiniBand SHARP).
    pub in_network_reduction: bool,
}

impl Fabric {
    /// Latency that a message has over InfiniBand's when its way takes `latency`. The libraries'
    /// tables hold that of an InfiniBand fabric, which `latency` of this one replaces: a longer way
    /// adds to them, a shorter one at most takes the plugin's own part away.
    pub fn plugin_latency_over(&self, latency: SimDuration) -> SimDuration {
        (self.plugin_latency + latency).saturating_sub(self.latency)
    }
}

/// Messages on one side of a limit, and what each of them costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageClass {
    /// Their largest or smallest size.
    pub limit: Bytes,
    /// Time of each.
    pub cost: SimDuration,
}

impl Cluster {
    /// Network bandwidth per GPU and direction.
    pub fn nic_bandwidth_per_gpu(&self) -> Bandwidth {
        self.nic_bandwidth
            .scaled(f64::from(self.nics_per_node) / f64::from(self.gpus_per_node))
    }

    fn gpus_per_nic(&self) -> f64 {
        f64::from(self.gpus_per_node) / f64::from(self.nics_per_node)
    }

    /// The cluster with nodes of another size. Each GPU keeps its network bandwidth: NICs are taken
    /// along in proportion, rounded down to whole ones, and a scale-up domain of one node stays one.
    #[must_use]
    pub fn with_gpus_per_node(&self, gpus_per_node: u32) -> Self {
        if gpus_per_node == self.gpus_per_node {
            return self.clone();
        }
        let nics = u64::from(self.nics_per_node) * u64::from(gpus_per_node)
            / u64::from(self.gpus_per_node);
        let resized = Self {
            gpus_per_node,
            nics_per_node: u32::try_from(nics).unwrap_or(u32::MAX).max(1),
            domain_gpus: if self.domain_gpus == self.gpus_per_node {
                gpus_per_node
            } else {
                self.domain_gpus
            },
            ..self.clone()
        };
        resized.with_nic_rate(self.nic_bandwidth_per_gpu())
    }

    /// The cluster with another network bandwidth per GPU and direction, from as many NICs.
    #[must_use]
    pub fn with_nic_rate(&self, per_gpu: Bandwidth) -> Self {
        Self {
            nic_bandwidth: per_gpu.scaled(self.gpus_per_nic()),
            ..self.clone()
        }
    }
}
