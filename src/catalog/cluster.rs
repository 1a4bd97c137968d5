//! Cluster tables.

use crate::hardware::Cluster;

use super::fault::Faults;

/// Notes faults of a cluster that no single key shows.
pub(super) fn check(cluster: &Cluster, faults: &mut Faults<'_>) {
    let (node, domain) = (cluster.gpus_per_node, cluster.domain_gpus);
    if !domain.is_multiple_of(node) {
        let message = format!("a domain of {domain} GPUs is not made of whole nodes of {node}");
        let hint = format!("write a multiple of `gpus_per_node = {node}`");
        faults.key("domain_gpus", message, Some(hint));
    }
}
