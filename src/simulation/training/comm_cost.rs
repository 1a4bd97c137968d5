//! Cost of a communication that is a task of its own.

use crate::collective::{CarriedBy, CollectiveCost};
use crate::des::LinkLoads;
use crate::simulation::NetworkUse;
use crate::units::SimDuration;

/// A communication of one stage: a send, a reduction, a gathering.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CommCost {
    /// Time when it runs alone.
    pub(super) time: SimDuration,
    /// Latency term: the part of it that uses no link.
    pub(super) latency: SimDuration,
    /// Load of the links inside and between domains while it runs alone, 0–1.
    pub(super) load: LinkLoads,
    /// Bytes that one rank sends.
    pub(super) traffic: NetworkUse,
    /// Algorithm of its longest collective.
    pub(super) algorithm: Option<CarriedBy>,
}

impl CommCost {
    /// Adds a collective that takes `time`.
    pub(super) fn add(&mut self, cost: &CollectiveCost, time: SimDuration) {
        if cost.time > self.time {
            self.algorithm = Some(cost.algorithm);
        }
        self.time += time;
        self.latency += cost.latency;
        self.traffic.add(cost, 1);
        self.load = self.load.zip(cost.loads, f64::max);
    }
}
