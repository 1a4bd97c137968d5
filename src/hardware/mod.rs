//! Hardware of a cluster: GPUs, nodes, NICs and the network between them.

pub mod cluster;
pub mod gpu;
pub mod precision;
pub mod topology;

pub use cluster::{Cluster, CollectiveLibrary, Fabric, MessageClass, ScaleUp, ScaleUpKind};
pub use gpu::{AttentionKernel, AttentionRate, GemmRate, Gpu, KernelRates, Peaks};
pub use precision::Precision;
pub use topology::{
    CustomLink, CustomNetwork, CustomPlacement, CustomTopology, CustomTopologyFault, DeviceUnit,
    FabricTopology, Graph, Leaf, Topology, TopologyFault, TopologyKind, TopologyLink, TopologySize,
};
