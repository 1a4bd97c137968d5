//! The cluster that a row's job runs on.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu};
use crate::units::Bandwidth;

use super::job::JobRow;

impl JobRow {
    /// The GPU's usual cluster, with the node size, scale-up domain and network, and NIC rate of the row.
    pub(super) fn cluster(&self, gpu: &Gpu, catalog: &Catalog) -> Result<Arc<Cluster>, String> {
        let usual = catalog
            .clusters
            .get(&gpu.cluster)
            .ok_or_else(|| format!("unknown cluster `{}` of GPU `{}`", gpu.cluster, gpu.name))?;
        let size = self.gpus_per_node.unwrap_or(usual.gpus_per_node);
        let mut cluster = usual.with_gpus_per_node(size);
        cluster.domain_gpus = self.domain_gpus.unwrap_or(cluster.domain_gpus);
        if !cluster.domain_gpus.is_multiple_of(cluster.gpus_per_node) {
            let (domain, node) = (cluster.domain_gpus, cluster.gpus_per_node);
            return Err(format!(
                "a domain of {domain} GPUs is not made of whole nodes of {node}"
            ));
        }
        cluster.scale_up.kind = self.scale_up.unwrap_or(cluster.scale_up.kind);
        let stated = self.nic_gbit_per_s.filter(|rate| *rate > 0.0);
        // A row with nodes of another size ran on another server, with as much network for each GPU.
        let per_gpu = stated.map_or(usual.nic_bandwidth_per_gpu(), Bandwidth::gbit_per_s);
        Ok(Arc::new(with_network(cluster, per_gpu)))
    }
}

/// A cluster with a network bandwidth per GPU: from fewer NICs of the same kind where these carry it, else from as
/// many slower ones.
fn with_network(mut cluster: Cluster, per_gpu: Bandwidth) -> Cluster {
    let nics = per_gpu.scaled(f64::from(cluster.gpus_per_node)) / cluster.nic_bandwidth;
    let whole = nics.round();
    if whole >= 1.0 && whole < f64::from(cluster.nics_per_node) && (nics - whole).abs() < 1e-6 {
        cluster.nics_per_node = whole as u32;
        cluster
    } else {
        cluster.with_nic_rate(per_gpu)
    }
}
