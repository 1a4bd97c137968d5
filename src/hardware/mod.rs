//! What a cluster is made of: GPUs, nodes, NICs and the network between them.

pub mod cluster;
pub mod gpu;
pub mod precision;
pub mod topology;

pub use cluster::{Cluster, CollectiveLibrary, Fabric, MessageClass, ScaleUp, ScaleUpKind};
pub use gpu::{AttentionKernel, AttentionRate, GemmRate, Gpu, KernelRates, Peaks, Price};
pub use precision::Precision;
pub use topology::{
    DeviceUnit, FabricTopology, Graph, Leaf, OwnLink, OwnNetwork, OwnPlacement, OwnTopology,
    OwnTopologyFault, Topology, TopologyFault, TopologyKind, TopologyLink, TopologySize,
};
