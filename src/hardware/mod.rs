//! Hardware of a cluster: GPUs, nodes, NICs and the network between them.

pub(crate) mod cluster;
pub(crate) mod gpu;
mod power_cap;
pub(crate) mod precision;
mod slice;
pub(crate) mod topology;

pub use cluster::Cluster;
pub(crate) use cluster::{CollectiveLibrary, Fabric, ScaleUp, ScaleUpKind, nics_beside};
#[cfg(test)]
pub(crate) use gpu::Peaks;
pub use gpu::{AttentionKernel, Gpu};
pub(crate) use gpu::{AttentionRate, Evidence, ExpertTile, GemmRate, KernelRates};
pub use precision::Precision;
pub(crate) use slice::{Slice, Torus};
#[cfg(test)]
pub(crate) use topology::Graph;
pub(crate) use topology::{
    CustomLink, CustomNetwork, CustomPlacement, CustomTopology, CustomTopologyFault,
};
pub use topology::{
    DeviceUnit, FabricTopology, Topology, TopologyFault, TopologyKind, TopologySize,
};
