//! Kinds of names that can be listed.

use crate::closed_set;

closed_set! {
    /// Kind of names that can be listed.
    pub enum Listed: "list" {
        /// GPUs.
        Gpus = "gpus",
        /// Models.
        Models = "models",
        /// Clusters: nodes and their fabric.
        Clusters = "clusters",
        /// Software generations.
        Stacks = "stacks",
        /// Lists of prices.
        Prices = "prices",
        /// Algorithms of collective operations.
        Collectives = "collectives",
        /// Networks between the nodes.
        Topologies = "topologies",
        /// Axes of a spec.
        Axes = "axes",
        /// Columns of `points.parquet`.
        Columns = "columns",
    }
}
