//! Collective operations: who sends what to whom, and how long that takes on a network.

mod contention;
mod halving_cost;
mod hashing;
mod library;
mod link_loads;
mod network;
mod own;
mod pipelined_cost;
mod placement;
mod rounds_cost;
mod scheduled;
mod sent;
mod straddling;
#[cfg(test)]
mod tests;
mod ways;

pub mod schedule;

pub use network::{
    CollectiveCost, CollectiveRequest, GroupPattern, LinkLoads, Network, NetworkFault, Unsupported,
};
pub use own::{Algorithm, CarriedBy, OwnAlgorithm};
pub use placement::GroupShape;
pub use scheduled::ScheduledRequest;
pub use ways::FITTED;

use crate::closed_set;

closed_set! {
    /// What a group of ranks does together.
    pub enum CollectiveOp: "collective operation" {
        /// Everyone ends with the sum of all buffers.
        AllReduce = "all-reduce",
        /// Everyone ends with all shares.
        AllGather = "all-gather",
        /// Everyone ends with the sum of one share.
        ReduceScatter = "reduce-scatter",
        /// Everyone sends one share to everyone.
        AllToAll = "all-to-all",
        /// One buffer to all.
        Broadcast = "broadcast",
        /// One rank to the next one.
        SendRecv = "send-recv",
    }
}

closed_set! {
    /// How a collective operation is carried out.
    pub enum CollectiveAlgorithm: "collective algorithm" {
        /// Around a ring, share by share.
        Ring = "ring",
        /// Up one binary tree and down again.
        Tree = "tree",
        /// Two trees, each with half of the buffer.
        DoubleBinaryTree = "double-binary-tree",
        /// Recursive halving, then recursive doubling.
        HalvingDoubling = "halving-doubling",
        /// Everyone with everyone at once.
        Direct = "direct",
        /// Inside the nodes, across them, inside them again.
        Hierarchical = "hierarchical",
        /// Reduction inside the switches.
        Nvls = "nvls",
    }
}

closed_set! {
    /// NCCL's wire protocol.
    pub enum Protocol: "protocol" {
        /// 8-byte flags beside 8-byte data.
        Ll = "ll",
        /// 120 of 128 bytes are data.
        Ll128 = "ll128",
        /// Bulk chunks with a synchronisation each.
        Simple = "simple",
        /// No protocol overhead: α–β on the links alone.
        Ideal = "ideal",
    }
}
