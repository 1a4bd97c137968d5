//! Cluster tables.

use crate::hardware::{Cluster, ScaleUp, ScaleUpKind};

use super::fault::Faults;

/// Notes faults of a cluster that no single key shows.
pub(super) fn check(cluster: &Cluster, faults: &mut Faults<'_>) {
    let (node, domain) = (cluster.gpus_per_node, cluster.domain_gpus);
    if !domain.is_multiple_of(node) {
        let message = format!("a domain of {domain} GPUs is not made of whole nodes of {node}");
        let hint = format!("write a multiple of `gpus_per_node = {node}`");
        faults.key("domain_gpus", message, Some(hint));
    }
    check_torus(&cluster.scale_up, faults);
    check_mesh(&cluster.scale_up, domain, faults);
}

fn check_torus(up: &ScaleUp, faults: &mut Faults<'_>) {
    let given = [
        ("scale_up.torus_dimensions", up.torus_dimensions.is_some()),
        ("scale_up.torus_side", up.torus_side.is_some()),
        ("scale_up.torus_switched", up.torus_switched),
    ];
    for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        if up.kind != ScaleUpKind::Ici {
            let message = format!(
                "`{key}` belongs to `scale_up.kind = \"ici\"`, not \"{}\"",
                up.kind
            );
            faults.key(key, message, None);
        } else if up.torus_dimensions.is_none() {
            let message = format!("`{key}` says nothing without `scale_up.torus_dimensions`");
            faults.key(key, message, None);
        }
    }
}

fn check_mesh(up: &ScaleUp, domain: u32, faults: &mut Faults<'_>) {
    let Some(gpus) = up.mesh_gpus else { return };
    let key = "scale_up.mesh_gpus";
    if !matches!(up.kind, ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh) {
        let message = format!("`{key}` belongs to meshes, not to \"{}\"", up.kind);
        faults.key(key, message, None);
    } else if gpus < domain {
        let message = format!("a mesh of {gpus} GPUs does not reach all {domain} of a domain");
        let hint = format!("write {domain} or more, or leave it out");
        faults.key(key, message, Some(hint));
    }
}
