//! The cluster that a row's job runs on.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu};
use crate::units::Bandwidth;

use super::job::JobRow;

impl JobRow {
    /// The GPU's usual cluster, with the node size, network and NICs of the row.
    pub(super) fn cluster(&self, gpu: &Gpu, catalog: &Catalog) -> Result<Arc<Cluster>, String> {
        let usual = catalog
            .clusters
            .get(&gpu.cluster)
            .ok_or_else(|| format!("unknown cluster `{}` of GPU `{}`", gpu.cluster, gpu.name))?;
        let mut cluster = Cluster::clone(usual);
        if let Some(size) = self.gpus_per_node.filter(|n| *n != usual.gpus_per_node) {
            // The same GPU in another server: a domain that was one server still is, NICs keep their number
            // per GPU.
            if usual.domain_gpus == usual.gpus_per_node {
                cluster.domain_gpus = size;
            }
            cluster.nics_per_node = (usual.nics_per_node * size)
                .div_ceil(usual.gpus_per_node)
                .max(1);
            cluster.gpus_per_node = size;
        }
        if let Some(kind) = self.scale_up {
            cluster.scale_up.kind = kind;
        }
        if let Some(per_gpu) = self.nic_gbit_per_s.filter(|rate| *rate > 0.0) {
            set_nics(&mut cluster, per_gpu);
        }
        Ok(Arc::new(cluster))
    }
}

/// Line rate of the slowest NIC that training clusters of these years had, in Gbit/s: where a GPU has less, GPUs
/// share NICs.
const SLOWEST_NIC_GBIT_PER_S: f64 = 100.0;

/// Gives a node NICs that add up to `per_gpu` Gbit/s for each of its GPUs.
fn set_nics(cluster: &mut Cluster, per_gpu: f64) {
    let node = per_gpu * f64::from(cluster.gpus_per_node);
    let line = per_gpu.max(SLOWEST_NIC_GBIT_PER_S.min(node));
    cluster.nics_per_node = (node / line).round().max(1.0) as u32;
    cluster.nic_bandwidth = Bandwidth::gbit_per_s(node / f64::from(cluster.nics_per_node));
}
