//! Price of a schedule of synchronous rounds in closed form: α per round plus bytes over the rate.
//!
//! For the algorithms that no library's table knows, and for `ideal`, where every algorithm is
//! priced so. Algorithms that hand pieces on have rounds of many kinds: see
//! [`pipelined_cost`](super::pipelined_cost).

use crate::collective::ways::{Rates, Way};
use crate::collective::{CollectiveAlgorithm, CollectiveOp, GroupShape, Protocol};
use crate::units::SimDuration;

/// Latencies of one round, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundLatency {
    /// When all its messages stay inside a domain.
    pub(super) inside: f64,
    /// When some leave one.
    pub(super) across: f64,
}

/// A group with the rates and latencies its rounds see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    pub(super) shape: GroupShape,
    pub(super) rates: Rates,
    pub(super) latency: RoundLatency,
    pub(super) protocol: Protocol,
}

/// Seconds to the nearest picosecond, as each round takes them.
pub(super) fn whole_picos(secs: f64) -> f64 {
    SimDuration::from_secs_f64(secs).as_secs_f64()
}

/// Seconds of latency and of transfer.
#[derive(Clone, Copy, Default)]
struct Price {
    latency: f64,
    transfer: f64,
}

impl Price {
    fn and(self, other: Self) -> Self {
        Self {
            latency: self.latency + other.latency,
            transfer: self.transfer + other.transfer,
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            latency: self.latency * factor,
            transfer: self.transfer * factor,
        }
    }
}

impl Rounds {
    /// The price of `op` on `bytes` by `algorithm`; `None` where the algorithm cannot carry it.
    pub(super) fn way(
        &self,
        algorithm: CollectiveAlgorithm,
        op: CollectiveOp,
        bytes: f64,
    ) -> Option<Way> {
        let passes = match op {
            CollectiveOp::AllReduce => 2.0,
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter => 1.0,
            CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => 0.0,
        };
        let reduces = passes > 0.0;
        let price = if algorithm == CollectiveAlgorithm::Ring && reduces {
            self.ring(bytes).times(passes)
        } else if algorithm == CollectiveAlgorithm::Direct && reduces {
            self.direct(bytes).times(passes)
        } else if algorithm == CollectiveAlgorithm::Direct && op == CollectiveOp::AllToAll {
            self.direct(bytes)
        } else if algorithm == CollectiveAlgorithm::Hierarchical && reduces && self.shape.is_even()
        {
            self.hierarchical(bytes).times(passes)
        } else {
            return None;
        };
        Some(Way {
            algorithm,
            protocol: self.protocol,
            latency: price.latency,
            transfer: price.transfer,
            busy: None,
        })
    }

    fn crosses(&self) -> bool {
        self.shape.domains > 1
    }

    fn slowest_latency(&self) -> f64 {
        if self.crosses() {
            self.latency.across
        } else {
            self.latency.inside
        }
    }

    fn ring_rate(&self) -> f64 {
        match (self.crosses(), self.shape.members) {
            (false, _) => self.rates.intra,
            (true, 1) => self.rates.inter,
            (true, _) => self.rates.through.min(self.rates.inter),
        }
    }

    /// Rate of one rank towards other domains when all its neighbours send too.
    fn own_nic(&self) -> f64 {
        self.rates.inter / f64::from(self.shape.members)
    }

    /// `n − 1` rounds of `bytes / n`.
    fn ring(&self, bytes: f64) -> Price {
        let n = f64::from(self.shape.ranks);
        Price {
            latency: (n - 1.0) * self.slowest_latency(),
            transfer: (n - 1.0) * whole_picos(bytes / n / self.ring_rate()),
        }
    }

    /// One round in which everyone sends every other rank its `bytes / n`.
    fn direct(&self, bytes: f64) -> Price {
        let (n, m) = (f64::from(self.shape.ranks), f64::from(self.shape.members));
        let inside = bytes / n * (m - 1.0) / self.rates.intra;
        let across = if self.crosses() {
            bytes / n * (n - m) / (self.rates.scattered / m)
        } else {
            0.0
        };
        Price {
            latency: self.slowest_latency(),
            transfer: whole_picos(inside.max(across)),
        }
    }

    /// Ring inside the domains, then one ring per member between them with what is left.
    fn hierarchical(&self, bytes: f64) -> Price {
        let (m, domains) = (f64::from(self.shape.members), f64::from(self.shape.domains));
        let inner = if self.shape.members > 1 {
            Price {
                latency: (m - 1.0) * self.latency.inside,
                transfer: (m - 1.0) * whole_picos(bytes / m / self.rates.intra),
            }
        } else {
            Price::default()
        };
        let outer = if self.crosses() {
            Price {
                latency: (domains - 1.0) * self.latency.across,
                transfer: (domains - 1.0) * whole_picos(bytes / m / domains / self.own_nic()),
            }
        } else {
            Price::default()
        };
        inner.and(outer)
    }
}
