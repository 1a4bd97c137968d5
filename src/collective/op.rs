//! Collective operations, and the protocols that carry their bytes.

use crate::closed_set;

closed_set! {
    /// Operation that a group of ranks carries out together.
    pub enum CollectiveOp: "collective operation" {
        /// Each rank ends with the sum of all buffers.
        AllReduce = "all-reduce",
        /// Each rank ends with the shares of all ranks.
        AllGather = "all-gather",
        /// Each rank ends with the sum, over all ranks, of its own share.
        ReduceScatter = "reduce-scatter",
        /// Each rank sends a different share to every other rank.
        AllToAll = "all-to-all",
        /// The root sends its buffer to all ranks.
        Broadcast = "broadcast",
        /// Each rank sends its buffer to the next rank.
        SendRecv = "send-recv",
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

impl CollectiveOp {
    /// Passes of a reduction or gathering over all shares: two for an all-reduce; `None` for the
    /// operations that neither reduce nor gather.
    pub(super) const fn passes(self) -> Option<f64> {
        match self {
            Self::AllReduce => Some(2.0),
            Self::AllGather | Self::ReduceScatter => Some(1.0),
            Self::AllToAll | Self::Broadcast | Self::SendRecv => None,
        }
    }
}

impl Protocol {
    /// Messages between domains for one hand-over: bulk chunks flush the receiver's memory, which is
    /// one more.
    pub(super) const fn messages_per_hop(self) -> f64 {
        match self {
            Self::Ll | Self::Ll128 => 1.0,
            Self::Simple | Self::Ideal => 2.0,
        }
    }
}
