//! A request for a collective, its cost, and why there may be none.

use crate::collective::algorithm::CollectiveAlgorithm;
use crate::collective::custom::{Algorithm, CarriedBy};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::GroupPattern;
use crate::des::LinkLoads;
use crate::units::{Bytes, SimDuration};

/// A collective of one parallel dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CollectiveRequest {
    /// Operation of every group.
    pub op: CollectiveOp,
    /// Size as nccl-tests counts it: the whole buffer of a rank; of all-gather the gathered one, of
    /// reduce-scatter the one before it is scattered.
    pub bytes: Bytes,
    /// The groups, all at once. For send-recv `size` is the number of stages, each sends to the next.
    pub groups: GroupPattern,
    /// Algorithm; `None`: what the library would choose.
    pub algorithm: Option<Algorithm>,
    /// Protocol; `None`: what the library would choose, of a custom algorithm the fastest one.
    pub protocol: Option<Protocol>,
}

/// Cost of a collective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollectiveCost {
    /// From the first kernel's start to the last one's end.
    pub time: SimDuration,
    /// Part of the time that no bandwidth helps.
    pub latency: SimDuration,
    /// Algorithm that carried it.
    pub algorithm: CarriedBy,
    /// Protocol that carried it.
    pub(crate) protocol: Protocol,
    /// Sent per GPU inside the domains.
    pub sent_intra: Bytes,
    /// Sent per GPU between them.
    pub sent_inter: Bytes,
    /// Load of the busiest link against its line rate, 0–1.
    pub link_utilization_max: f64,
    /// Share of each link class that it takes while it runs alone.
    pub loads: LinkLoads,
    /// Streaming multiprocessors that the kernel takes.
    pub sms: u32,
}

/// Why a collective cannot run on a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// No algorithm and protocol of those allowed carries it there.
    #[error(
        "no {} for {op} over {ranks} ranks on {domains} domains of this cluster",
        algorithm.map_or("auto", CollectiveAlgorithm::as_str)
    )]
    NoCandidate {
        /// Requested algorithm.
        algorithm: Option<CollectiveAlgorithm>,
        /// Operation.
        op: CollectiveOp,
        /// Ranks of a group.
        ranks: u32,
        /// Scale-up domains of a group.
        domains: u32,
    },
    /// An algorithm whose messages are priced one by one has too many of them.
    #[error(
        "{} would send {messages} messages, at most {most} are priced on such a network; take fewer GPUs or another collective",
        algorithm.as_str()
    )]
    TooManyMessages {
        /// Requested algorithm.
        algorithm: CollectiveAlgorithm,
        /// Its messages.
        messages: u64,
        /// Most that are priced on such a network.
        most: u64,
    },
    /// A custom algorithm carries another operation.
    #[error("collective `{name}` carries {carries}, not {asked}")]
    OtherOperation {
        /// Name of the algorithm.
        name: String,
        /// Operation of its schedule.
        carries: CollectiveOp,
        /// Requested operation.
        asked: CollectiveOp,
    },
    /// A custom algorithm is made for groups of another size.
    #[error("collective `{name}` is made for {made_for} ranks, the group has {has}")]
    OtherRanks {
        /// Name of the algorithm.
        name: String,
        /// Ranks of its schedule.
        made_for: u32,
        /// Ranks of a group.
        has: u32,
    },
}
