//! Leaves under spines. A rail-optimised fabric is the same one seen from the nodes: rail `i` joins
//! the NICs `i` of a scalable unit on one leaf, and what leaves the unit goes over the spines;
//! traffic to another rail changes rails inside the node first (PXN).
//!
//! The spines that a leaf reaches share its load equally, so a leaf's uplinks are one bundle.

use super::exchange::crossing;
use super::graph::Graph;

/// Devices under leaves of `per_leaf`, uplinks of 1/`oversubscription` of a leaf's downlinks.
///
/// Device `d` sends on link `2d` and receives on `2d + 1`; leaf `l` sends up on link
/// `2 (devices + l)` and receives on the next one.
pub(super) fn graph(devices: u32, per_leaf: u32, oversubscription: f64) -> Graph {
    let leaves = devices.div_ceil(per_leaf);
    let mut graph = Graph::new(devices, leaves + 1);
    for device in 0..devices {
        graph.join(device, devices + device / per_leaf, 1.0);
    }
    for leaf in 0..leaves {
        let uplinks = f64::from(per_leaf) / oversubscription;
        graph.join(devices + leaf, devices + leaves, uplinks);
    }
    graph
}

/// A leaf switch with the places of its links to the spines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Number of the switch.
    pub number: u32,
    /// Link to the spines.
    pub up: u32,
    /// Link from the spines.
    pub down: u32,
}

/// The leaf above a device.
pub(super) const fn leaf(devices: u32, per_leaf: u32, device: u32) -> Leaf {
    let number = device / per_leaf;
    let up = 2 * (devices + number);
    Leaf {
        number,
        up,
        down: up + 1,
    }
}

/// The links of a route.
pub(super) fn route(
    devices: u32,
    per_leaf: u32,
    from: u32,
    to: u32,
    take: &mut dyn FnMut(u32, f64),
) {
    take(2 * from, 1.0);
    let leaf = |device| leaf(devices, per_leaf, device);
    let (below, above) = (leaf(from), leaf(to));
    if below != above {
        take(below.up, 1.0);
        take(above.down, 1.0);
    }
    take(2 * to + 1, 1.0);
}

/// Adds the loads between leaves and spines of an exchange between members in ascending order.
pub(super) fn exchange(devices: u32, per_leaf: u32, members: &[u32], loads: &mut [f64]) {
    for below in members.chunk_by(|a, b| a / per_leaf == b / per_leaf) {
        let leaf = leaf(devices, per_leaf, below[0]);
        let amount = crossing(below.len(), members.len());
        loads[leaf.up as usize] += amount;
        loads[leaf.down as usize] += amount;
    }
}
