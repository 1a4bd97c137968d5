//! Reasons for which a job does not run.

use crate::closed_set;
use crate::collective::Unsupported;
use crate::units::Bytes;

closed_set! {
    /// Kind of reason for which a point did not run.
    pub enum ReasonKind: "kind of reason" {
        /// More memory is needed than the GPU has.
        Memory = "memory",
        /// A count does not divide another.
        Divisibility = "divisibility",
        /// A value is over a limit, or contradicts another.
        Limit = "limit",
        /// The GPU, model, stack, topology or algorithm does not have what is asked for.
        Unsupported = "unsupported",
        /// The simulator failed on the point.
        Crash = "crash",
        /// The point took longer than it may.
        Timeout = "timeout",
    }
}

/// Reason for which a point cannot run.
///
/// Sentences about memory and divisibility are made here; `Limit` and `Unsupported` hold the sentence of the
/// check that failed: `training/request.rs`, `training/layout.rs`, `collective.rs` and `spec/scenario.rs`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Infeasible {
    /// The best layout needs more memory than the GPU has.
    #[error(
        "{}: {:.1} GiB needed per GPU, {:.1} GiB available ({layout})",
        self.kind(), needed.as_gib(), available.as_gib()
    )]
    OutOfMemory {
        /// Bytes needed on the fullest GPU of the layout that needs least.
        needed: Bytes,
        /// Bytes of the GPU.
        available: Bytes,
        /// Layout that needs least, in words: `tp 8, pp 4, micro batch 1`.
        layout: String,
    },
    /// A count that does not divide.
    #[error("{}: {what} cannot be divided by {by}", self.kind())]
    Indivisible {
        /// Dividend with its value: `global batch 100`.
        what: String,
        /// Divisor with its value: `dp 8 × micro batch 2 = 16`.
        by: String,
    },
    /// Sentence about a value over a limit: `tp 16 needs 16 GPUs, the job has 8`.
    #[error("{}: {_0}", self.kind())]
    Limit(String),
    /// Sentence about something that the GPU, model, stack, topology or algorithm does not have.
    #[error("{}: {_0}", self.kind())]
    Unsupported(String),
}

impl Infeasible {
    /// The reason for which a collective cannot be priced.
    pub(super) fn of_collective(why: &Unsupported) -> Self {
        match why {
            Unsupported::TooManyMessages { .. } => Self::Limit(why.to_string()),
            Unsupported::NoCandidate { .. }
            | Unsupported::OtherOperation { .. }
            | Unsupported::OtherRanks { .. } => Self::Unsupported(why.to_string()),
        }
    }

    /// Kind of reason, for counting; the message begins with its name.
    pub(crate) const fn kind(&self) -> ReasonKind {
        match self {
            Self::OutOfMemory { .. } => ReasonKind::Memory,
            Self::Indivisible { .. } => ReasonKind::Divisibility,
            Self::Limit(_) => ReasonKind::Limit,
            Self::Unsupported(_) => ReasonKind::Unsupported,
        }
    }
}
