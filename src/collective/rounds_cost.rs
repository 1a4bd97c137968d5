//! Price of a schedule of synchronous rounds in closed form: α per round plus bytes over the rate.
//!
//! For the algorithms that no library's table knows, and for `ideal`, where every algorithm is
//! priced so.

use crate::collective::ways::{Rates, Way};
use crate::collective::{CollectiveAlgorithm, CollectiveOp, GroupShape, Protocol};

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
        let price = match algorithm {
            CollectiveAlgorithm::Ring if reduces => self.ring(bytes).times(passes),
            CollectiveAlgorithm::Ring if op == CollectiveOp::Broadcast => self.chain(bytes),
            CollectiveAlgorithm::Direct if reduces => self.direct(bytes).times(passes),
            CollectiveAlgorithm::Direct if op == CollectiveOp::AllToAll => self.direct(bytes),
            CollectiveAlgorithm::Direct => self.fan_out(bytes, op),
            CollectiveAlgorithm::Hierarchical if reduces && self.is_even() => {
                self.hierarchical(bytes).times(passes)
            }
            CollectiveAlgorithm::Tree | CollectiveAlgorithm::DoubleBinaryTree => {
                let up_and_down = match op {
                    CollectiveOp::AllReduce => 2.0,
                    CollectiveOp::Broadcast => 1.0,
                    CollectiveOp::AllGather
                    | CollectiveOp::ReduceScatter
                    | CollectiveOp::AllToAll
                    | CollectiveOp::SendRecv => return None,
                };
                self.tree(bytes, algorithm, op).times(up_and_down)
            }
            CollectiveAlgorithm::Ring
            | CollectiveAlgorithm::HalvingDoubling
            | CollectiveAlgorithm::Hierarchical
            | CollectiveAlgorithm::Nvls => return None,
        };
        Some(Way {
            algorithm,
            protocol: self.protocol,
            latency: price.latency,
            transfer: price.transfer,
        })
    }

    /// Whether every domain of the group holds as many of its ranks.
    fn is_even(&self) -> bool {
        self.shape.members * self.shape.domains == self.shape.ranks
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
            transfer: (n - 1.0) * (bytes / n) / self.ring_rate(),
        }
    }

    /// A broadcast handed on around the ring in `n` pieces: `2n − 2` rounds.
    fn chain(&self, bytes: f64) -> Price {
        let n = f64::from(self.shape.ranks);
        Price {
            latency: (2.0 * n - 2.0) * self.slowest_latency(),
            transfer: (2.0 * n - 2.0) * (bytes / n) / self.ring_rate(),
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
            transfer: inside.max(across),
        }
    }

    /// The root to everyone, or one rank to the next, in one round.
    fn fan_out(&self, bytes: f64, op: CollectiveOp) -> Price {
        let (n, m) = (f64::from(self.shape.ranks), f64::from(self.shape.members));
        let receivers = if op == CollectiveOp::SendRecv {
            1.0
        } else {
            n - 1.0
        };
        let transfer = if self.crosses() {
            let remote = if op == CollectiveOp::SendRecv {
                1.0
            } else {
                n - m
            };
            bytes * remote / (self.rates.scattered / m)
        } else {
            bytes * receivers / self.rates.intra
        };
        Price {
            latency: self.slowest_latency(),
            transfer,
        }
    }

    /// Ring inside the domains, then one ring per member between them with what is left.
    fn hierarchical(&self, bytes: f64) -> Price {
        let (m, domains) = (f64::from(self.shape.members), f64::from(self.shape.domains));
        let inner = if self.shape.members > 1 {
            Price {
                latency: (m - 1.0) * self.latency.inside,
                transfer: (m - 1.0) * (bytes / m) / self.rates.intra,
            }
        } else {
            Price::default()
        };
        let outer = if self.crosses() {
            Price {
                latency: (domains - 1.0) * self.latency.across,
                transfer: (domains - 1.0) * (bytes / m / domains) / self.own_nic(),
            }
        } else {
            Price::default()
        };
        inner.and(outer)
    }

    /// One way through a binary tree in pieces: `depth + pieces − 1` rounds. A single tree's inner
    /// vertices send two copies, two trees with half of the bytes each share them out.
    fn tree(&self, bytes: f64, algorithm: CollectiveAlgorithm, op: CollectiveOp) -> Price {
        let depth = f64::from(self.shape.ranks.ilog2());
        let copies = if algorithm == CollectiveAlgorithm::Tree {
            2.0
        } else {
            1.0
        };
        // A tree of two has one branch, and two such trees send opposite ways; in a broadcast both
        // send away from its root.
        let copies = if self.shape.ranks == 2 && op == CollectiveOp::Broadcast {
            1.0
        } else if self.shape.ranks == 2 {
            copies / 2.0
        } else {
            copies
        };
        let rate = self.ring_rate() / copies;
        let alpha = self.slowest_latency();
        // The number of pieces that balances their latencies against the pipeline's fill.
        let ideal = libm::sqrt((depth - 1.0).max(0.0) * bytes / rate / alpha.max(1e-12));
        let pieces = libm::floor(ideal).clamp(1.0, 1024.0);
        let rounds = depth + pieces - 1.0;
        Price {
            latency: rounds * alpha,
            transfer: rounds * (bytes / pieces) / rate,
        }
    }
}
