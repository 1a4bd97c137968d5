//! Networks as graphs: vertices, links with bandwidth and latency, and the routes between devices.

use crate::closed_set;

closed_set! {
    /// Shape of the network between nodes.
    pub enum TopologyKind: "topology" {
        /// One ideal switch.
        Switch = "switch",
        /// Leaves under spines, k levels.
        FatTree = "fat-tree",
        /// One leaf per NIC index (rail), joined by spines.
        Rail = "rail",
        /// Nodes in a ring.
        Ring = "ring",
        /// Grid without wrap-around.
        Mesh2d = "mesh2d",
        /// Grid with wrap-around in two dimensions.
        Torus2d = "torus2d",
        /// Grid with wrap-around in three dimensions.
        Torus3d = "torus3d",
        /// Single-rooted tree of switches.
        Tree = "tree",
        /// Fully joined groups of fully joined routers.
        Dragonfly = "dragonfly",
    }
}
