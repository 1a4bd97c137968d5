//! Cost of one collective under one protocol.

use crate::des::PerLinkClass;
use crate::units::{Seconds, SimDuration, Volume};

/// Time that the busiest links of each class are busy.
pub(super) type Busy = PerLinkClass<Seconds>;

/// Latency and transfer of a collective.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Latency, independent of bandwidth.
    pub(super) latency: Seconds,
    /// Bytes over rates, the fill of pipelines included.
    pub(super) transfer: Seconds,
    /// Where the busiest links are known; else all links are taken to be alike.
    pub(super) busy: Option<Busy>,
}

impl Cost {
    /// Cost of `count` equal rounds, each of which ends at a whole picosecond.
    pub(super) fn rounds(count: f64, latency: Seconds, transfer: Seconds) -> Self {
        Self {
            latency: latency * count,
            transfer: transfer.whole_picos() * count,
            busy: None,
        }
    }

    /// One after the other.
    pub(super) fn then(self, next: Self) -> Self {
        Self {
            latency: self.latency + next.latency,
            transfer: self.transfer + next.transfer,
            busy: None,
        }
    }

    /// So many times one after another.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            latency: self.latency * factor,
            transfer: self.transfer * factor,
            busy: None,
        }
    }

    /// Latency and transfer together.
    pub(super) fn total(&self) -> Seconds {
        self.latency + self.transfer
    }

    /// The total, rounded to picoseconds.
    pub(super) fn time(&self) -> SimDuration {
        self.total().rounded()
    }
}

/// Bytes that a rank sends on average.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Inside its domain.
    pub(super) inside: Volume,
    /// To other domains.
    pub(super) across: Volume,
}
