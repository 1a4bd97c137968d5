//! One ideal switch.

use super::graph::Graph;

/// Every device on one switch at full rate; device `d` sends on link `2d` and receives on `2d + 1`.
pub(super) fn graph(devices: u32) -> Graph {
    let mut graph = Graph::new(devices, 1);
    for device in 0..devices {
        graph.join(device, devices, 1.0);
    }
    graph
}

/// The links of a route.
pub(super) fn route(from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
    take(2 * from, 1.0);
    take(2 * to + 1, 1.0);
}
