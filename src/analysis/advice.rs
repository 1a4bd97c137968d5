//! Results of simulating points again: improvements by one change, and sensitivities of the step time.
//!
//! The room `whatif` fills these in where a run has its spec beside it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::closed_set;
use crate::spec::Axis;

closed_set! {
    /// Resource to which the step time may be sensitive.
    pub enum Resource: "resource" {
        /// Peak rate of the matrix products.
        Flops = "flops",
        /// Bandwidth of the GPU's memory.
        MemoryBandwidth = "memory-bandwidth",
        /// Bandwidth inside the scale-up domain.
        ScaleUp = "scale-up",
        /// Bandwidth of the NICs.
        Nic = "nic",
        /// Latency of the network and of the library's protocols; more is less of it.
        NetworkLatency = "network-latency",
        /// Speed of the host: dispatch, gaps between kernels, their floors, work per step.
        Host = "host",
    }
}

impl Resource {
    /// The resource for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Flops => "FLOP/s",
            Self::MemoryBandwidth => "memory bandwidth",
            Self::ScaleUp => "NVLink bandwidth",
            Self::Nic => "NIC bandwidth",
            Self::NetworkLatency => "network latency",
            Self::Host => "host and launch",
        }
    }
}

/// Sensitivity of the step time to one resource.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Elasticity {
    /// The resource.
    pub resource: Resource,
    /// Percent of the step that one percent more of the resource saves (of latency and of the host's
    /// work: one percent less).
    pub percent_per_percent: f64,
}

/// A change of one axis, and its effect on a point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Improvement {
    /// The axis.
    pub axis: Axis,
    /// The change in words: `NICs at 800 Gbit/s per GPU instead of 400`.
    pub change: String,
    /// Change of the time per sample, new over old less one; below zero is faster.
    pub time_per_sample: f64,
    /// Rent of all GPUs of the changed point for an hour, in US dollars; `None` without a price.
    pub usd_per_hour: Option<f64>,
}

closed_set! {
    /// Why a point was asked about.
    pub(crate) enum AskedAs: "asked as" {
        /// The fastest choice of an answer.
        Fastest = "fastest",
        /// The cheapest choice within the limits of the question.
        Chosen = "chosen",
        /// The recommended size.
        Recommended = "recommended",
        /// The first size under the threshold.
        Broken = "broken",
    }
}

/// Improvements and sensitivities of one point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct PointAdvice {
    /// Number of the series.
    pub series: u32,
    /// Index among the sizes of the series.
    #[serde(skip)]
    pub place: usize,
    /// Number of the point.
    pub point: u64,
    /// Why it was asked about.
    pub(crate) asked_as: AskedAs,
    /// Changes that would help, best first.
    pub gains: Vec<Improvement>,
    /// Sensitivities, in the order of [`Resource::ALL`].
    pub elasticities: Vec<Elasticity>,
}

/// Improvements and sensitivities of a study's points.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Advice {
    /// The points that were asked about.
    pub points: Vec<PointAdvice>,
    /// Neighbours that were simulated.
    pub neighbours: u32,
    /// Points that would have been asked about too, had there been no limit.
    pub left_out: u32,
    /// Series whose points this version simulates to other times than their rows say, so that nothing was asked
    /// about them.
    pub not_reproduced: u32,
}

impl Advice {
    /// The answers about a point; `None` where it was not asked about.
    pub(crate) fn about(&self, series: u32, place: usize) -> Option<&PointAdvice> {
        let mut points = self.points.iter();
        points.find(|point| (point.series, point.place) == (series, place))
    }

    /// The answers about points that were asked about for one reason.
    pub(crate) fn asked_as(&self, asked_as: AskedAs) -> impl Iterator<Item = &PointAdvice> {
        let points = self.points.iter();
        points.filter(move |point| point.asked_as == asked_as)
    }
}
