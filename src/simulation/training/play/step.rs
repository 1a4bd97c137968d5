//! Step that was played, and the sums over passes that make it.

use crate::collective::CarriedBy;
use crate::simulation::training::timeline::DeviceTimes;
use crate::simulation::{Layout, NetworkUse};
use crate::units::{Bytes, SimDuration, SimTime};

/// A step, before it becomes a report.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulation::training) struct Step {
    /// Times of the critical device; its shares sum to the step.
    pub(in crate::simulation::training) device: DeviceTimes,
    /// FLOPs executed by all GPUs, recomputation included.
    pub(in crate::simulation::training) hardware_flops: f64,
    /// Bytes that one device sent.
    pub(in crate::simulation::training) traffic: NetworkUse,
    /// Algorithm of the gradient reduction.
    pub(in crate::simulation::training) algorithm: Option<CarriedBy>,
    /// Events of the simulation.
    pub(in crate::simulation::training) events: u64,
}

/// Sums over passes, of one rank of every stage.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::simulation::training) struct PassSums {
    /// FLOPs executed.
    pub(super) flops: f64,
    /// Bytes sent.
    pub(in crate::simulation::training) traffic: NetworkUse,
}

impl PassSums {
    pub(super) fn minus(&self, before: &Self) -> Self {
        let [all, some] = [&self.traffic, &before.traffic];
        Self {
            flops: self.flops - before.flops,
            traffic: NetworkUse {
                intra_node: all.intra_node.saturating_sub(some.intra_node),
                inter_node: all.inter_node.saturating_sub(some.inter_node),
                ..self.traffic
            },
        }
    }

    /// Adds what was summed, so many times.
    pub(super) fn add(&mut self, other: &Self, times: u64) {
        self.flops += other.flops * times as f64;
        self.traffic += &NetworkUse {
            intra_node: other.traffic.intra_node * times,
            inter_node: other.traffic.inter_node * times,
            ..other.traffic
        };
    }
}

/// Tasks that ran.
pub(super) struct Played {
    pub(super) end: SimTime,
    pub(super) sums: PassSums,
    /// Sums over the microbatches that were counted apart, which are in `sums` too.
    pub(super) of_apart: PassSums,
    /// Algorithm of the gradient reduction.
    pub(super) algorithm: Option<CarriedBy>,
    pub(super) events: u64,
}

impl Step {
    /// The step of what was played, with the times of its critical device.
    pub(super) fn of(layout: &Layout, played: &Played, device: DeviceTimes) -> Self {
        assert!(
            device.shares.total() == played.end - SimTime::ZERO,
            "the parts of a step sum to the step"
        );
        let Layout { tp, cp, dp, pp, .. } = *layout;
        let sums = &played.sums;
        // Traffic was added up over the stages: a GPU has its part of it.
        let stages = u64::from(pp);
        let of_one = |sent: Bytes| Bytes::new(sent.get() / stages);
        let traffic = NetworkUse {
            intra_node: of_one(sums.traffic.intra_node),
            inter_node: of_one(sums.traffic.inter_node),
            ..sums.traffic
        };
        Self {
            device,
            hardware_flops: sums.flops * f64::from(tp) * f64::from(cp) * f64::from(dp),
            traffic,
            algorithm: played.algorithm,
            events: played.events,
        }
    }

    /// Time of the step.
    pub(in crate::simulation::training) fn time(&self) -> SimDuration {
        self.device.shares.total()
    }
}
