//! Definition of a collective algorithm: its rounds, its cost, its support in the libraries.

use crate::collective::cost::{Cost, Sent};
use crate::collective::group::Group;
use crate::collective::job::Job;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Schedule, reducing};
use crate::units::Seconds;

/// Definition of one algorithm.
pub(in crate::collective) struct Row {
    /// Rounds over a group; `None` where the algorithm does not carry the operation.
    pub(in crate::collective) plan: fn(CollectiveOp, GroupLayout) -> Option<Plan>,
    /// Cost of the rounds in closed form, where it has one; else they are priced transfer by transfer.
    pub(in crate::collective) closed_form: fn(&Group<'_>, Protocol) -> Option<Cost>,
    /// Implementation in NCCL and libraries like it; `None` where they have none.
    pub(in crate::collective) library: Option<LibraryPath>,
    /// Bytes that a rank sends.
    pub(in crate::collective) sent: fn(&Group<'_>) -> Sent,
    /// Checks that an operation over so many ranks of a group can be priced in bounded time.
    pub(in crate::collective) check: fn(&Job, CollectiveOp, u32) -> Result<(), TooMany>,
    /// Whether every rank sends to all others at once.
    pub(in crate::collective) everyone_at_once: bool,
    /// Whether all scale-up domains must hold equally many ranks of the group.
    pub(in crate::collective) needs_even_domains: bool,
}

/// Messages of an algorithm that are priced one by one, more than can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collective) struct TooMany {
    pub(in crate::collective) messages: u64,
    pub(in crate::collective) most: u64,
}

/// Rounds of an algorithm.
pub(in crate::collective) enum Plan {
    /// Each round is a set of transfers.
    Rounds(Schedule),
    /// Chunks follow each other through stages.
    Stages(Pipeline),
}

impl Row {
    /// An algorithm without a library implementation whose ranks send to neighbours only; its cost comes from its
    /// rounds.
    pub(in crate::collective) const fn priced_by_transfers(
        plan: fn(CollectiveOp, GroupLayout) -> Option<Plan>,
    ) -> Self {
        Self {
            plan,
            closed_form: |_, _| None,
            library: None,
            sent: |group| group.sent_to_neighbours(),
            check: |_, _, _| Ok(()),
            everyone_at_once: false,
            needs_even_domains: false,
        }
    }
}

impl Plan {
    /// Rounds with one chunk for each rank's share of the buffer.
    pub(in crate::collective) fn of_shares(op: CollectiveOp, ranks: u32, rounds: Rounds) -> Self {
        Self::Rounds(Schedule::of_shares(op, ranks, rounds))
    }

    /// The operation from the rounds of a reduce-scatter; `None` where it neither reduces nor gathers.
    pub(in crate::collective) fn reducing(
        op: CollectiveOp,
        ranks: u32,
        scatter: Rounds,
    ) -> Option<Self> {
        Some(Self::of_shares(op, ranks, reducing(op, scatter)?))
    }
}

/// An algorithm as a library's kernels carry it.
pub(in crate::collective) struct LibraryPath {
    /// Operations that it has kernels for.
    pub(in crate::collective) offer: fn(CollectiveOp) -> Offer,
    /// Protocols that they speak.
    pub(in crate::collective) protocols: Protocols,
    /// Cost on the links of a job; `None` where this cluster lacks what it needs.
    pub(in crate::collective) cost: fn(&Group<'_>, Protocol) -> Option<Cost>,
    /// Time that the library itself expects, from its own tables, which know neither the plugin's
    /// latency nor other groups on the links.
    pub(in crate::collective) estimate: fn(&Group<'_>, Protocol, &Cost) -> Seconds,
}

/// Whether a library takes an algorithm for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collective) enum Offer {
    /// Among those it chooses from.
    Chosen,
    /// Only when it is asked to.
    OnRequest,
    /// Not at all: there is no kernel for it.
    Never,
}

/// Protocols of a library's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collective) enum Protocols {
    /// All three.
    All,
    /// Simple; a request for another one has no candidate.
    SimpleOnly,
    /// Simple, whatever is asked for.
    AlwaysSimple,
}

impl Protocols {
    /// Whether a kernel runs under a protocol when `asked` is requested.
    pub(in crate::collective) fn admit(self, protocol: Protocol, asked: Option<Protocol>) -> bool {
        let wanted = asked.is_none_or(|asked| asked == protocol);
        match self {
            Self::All => wanted,
            Self::SimpleOnly => wanted && protocol == Protocol::Simple,
            Self::AlwaysSimple => protocol == Protocol::Simple,
        }
    }
}
