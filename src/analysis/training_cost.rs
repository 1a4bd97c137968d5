//! Time and cost of a whole training at one size, failures included.

use serde::Serialize;

use super::points::SizePoint;
use crate::spec::AnalysisSettings;
use crate::units::SimDuration;

/// A training of a given number of tokens at one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrainingCost {
    /// Tokens.
    pub tokens: f64,
    /// Time without failures, in seconds.
    pub ideal_s: f64,
    /// Expected time with failures, checkpoints and restarts; `None` without the settings.
    pub with_failures_s: Option<f64>,
    /// Time between checkpoints (Daly), in seconds.
    pub checkpoint_interval_s: Option<f64>,
    /// GPUs times expected time, in hours.
    pub gpu_hours: f64,
    /// Rent; `None` without a price.
    pub cost_usd: Option<f64>,
    /// Energy of the GPUs; `None` without a power limit.
    pub energy_kwh: Option<f64>,
}

impl TrainingCost {
    /// The training at a size that ran; `None` without a number of tokens, and for images.
    pub(crate) fn new(point: &SizePoint, settings: &AnalysisSettings) -> Option<Self> {
        let tokens = settings.tokens?;
        let measured = point.measured?;
        let ideal_s = tokens / measured.tokens_per_s?;
        let failures = Failures::new(point, settings);
        let with_failures_s = failures.map(|failures| failures.expected_time(ideal_s));
        let time = with_failures_s.unwrap_or(ideal_s);
        let steps = time / measured.step_time_s;
        Some(Self {
            tokens,
            ideal_s,
            with_failures_s,
            checkpoint_interval_s: failures.map(|failures| failures.interval()),
            gpu_hours: f64::from(point.gpus) * time / 3_600.0,
            cost_usd: measured.cost_per_step_usd.map(|cost| cost * steps),
            energy_kwh: measured.energy_per_step_kwh.map(|energy| energy * steps),
        })
    }

    /// Expected time, failures included where they are known.
    pub(crate) fn time_s(&self) -> f64 {
        self.with_failures_s.unwrap_or(self.ideal_s)
    }
}

/// Failure rate of a job and the cost of a failure, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Failures {
    /// Mean time between failures of the job: that of a node over the number of nodes.
    pub mtbf: f64,
    /// Time to write a checkpoint.
    pub checkpoint: f64,
    /// From a failure to the first step after it.
    pub restart: f64,
}

impl Failures {
    fn new(point: &SizePoint, settings: &AnalysisSettings) -> Option<Self> {
        let nodes = f64::from(point.nodes.unwrap_or(1).max(1));
        let size = settings.checkpoint_size?.as_f64();
        let rate = settings.checkpoint_bandwidth?.as_bytes_per_s();
        Some(Self {
            mtbf: settings.node_mtbf_hours? * 3_600.0 / nodes,
            checkpoint: size / rate,
            restart: settings.restart_time.map_or(0.0, SimDuration::as_secs_f64),
        })
    }

    /// Work between checkpoints that loses least.
    ///
    /// `τ = √(2δM)·(1 + ⅓·√(δ/2M) + ⅑·δ/2M) − δ`, and `M` where a checkpoint takes longer than
    /// `2M`. Young's `√(2δM)` is its first term.
    ///
    /// Source: Daly, FGCS 22(3), 2006, eq. 37.
    pub(crate) fn interval(&self) -> f64 {
        let Self {
            mtbf, checkpoint, ..
        } = *self;
        let ratio = checkpoint / (2.0 * mtbf);
        if ratio >= 1.0 {
            return mtbf;
        }
        let young = (2.0 * checkpoint * mtbf).sqrt();
        young * (1.0 + ratio.sqrt() / 3.0 + ratio / 9.0) - checkpoint
    }

    /// Expected wall time of some work: `M·e^(R/M)·(e^((τ+δ)/M) − 1)·T/τ`.
    ///
    /// Source: Daly, FGCS 22(3), 2006, eq. 20.
    pub(crate) fn expected_time(&self, work: f64) -> f64 {
        let interval = self.interval();
        self.mtbf
            * libm::exp(self.restart / self.mtbf)
            * libm::expm1((interval + self.checkpoint) / self.mtbf)
            * work
            / interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_never_come_cost_only_their_checkpoints() {
        // One failure in 10⁹ s, 10 s per checkpoint: τ = √(2·10·10⁹) = 141,421 s, so checkpoints
        // and lost work each take 10/141,421 = 7·10⁻⁵ of the time.
        let rare = Failures {
            mtbf: 1e9,
            checkpoint: 10.0,
            restart: 600.0,
        };
        assert!((rare.interval() / 141_421.0 - 1.0).abs() < 1e-3);
        let overhead = rare.expected_time(1e6) / 1e6 - 1.0;
        assert!((overhead - 1.414e-4).abs() < 1e-6, "{overhead}");
    }

    #[test]
    fn frequent_failures_lose_what_young_and_daly_say() {
        // M = 3 h, δ = 60 s, R = 300 s: τ ≈ √(2·60·10,800) ≈ 1,138 − …; to first order the loss is
        // δ/τ + τ/2M + R/M = 0.054 + 0.051 + 0.028.
        let often = Failures {
            mtbf: 10_800.0,
            checkpoint: 60.0,
            restart: 300.0,
        };
        let loss = often.expected_time(1.0) - 1.0;
        assert!((0.125..0.155).contains(&loss), "{loss}");
    }
}
