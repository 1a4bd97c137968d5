//! Speedup and scaling efficiency over the sizes of one series.

use itertools::Itertools;
use serde::Serialize;

use crate::closed_set;

closed_set! {
    /// Batch that stays fixed while a series grows.
    pub enum Scaling: "scaling" {
        /// The global batch.
        Strong = "strong",
        /// The batch per GPU.
        Weak = "weak",
    }
}

/// One size of a series that ran: how large it was and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeRate {
    /// Size: GPUs, or the value of another numeric axis.
    pub size: f64,
    /// Samples per second.
    pub rate: f64,
}

impl SizeRate {
    /// Samples per second and unit of size.
    pub(crate) fn rate_per_size(self) -> f64 {
        self.rate / self.size
    }

    /// Scaling efficiency against a smaller size: `E(n) = (rate/n) / (rate₀/n₀)`.
    pub(crate) fn efficiency_over(self, baseline: Self) -> f64 {
        self.rate_per_size() / baseline.rate_per_size()
    }
}

/// Scaling of one size against the others of its series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Efficiency {
    /// `rate/rate₀`: how many times faster than the smallest size that ran.
    pub speedup: f64,
    /// `E(n) = (rate/n) / (rate₀/n₀)` against the smallest size that ran.
    pub of_baseline: f64,
    /// Efficiency against the best rate per GPU at any size up to this one.
    pub of_best: f64,
}

/// Scaling of each size of a series, smallest first.
///
/// The smallest size is often crippled by memory, so that later ones look superlinear; `of_best`
/// keeps a breakdown visible then.
///
/// # Panics
/// If sizes do not rise, or a rate is not positive: readers refuse such rows.
pub fn efficiencies(sizes: &[SizeRate]) -> Vec<Efficiency> {
    let Some(baseline) = sizes.first() else {
        return Vec::new();
    };
    assert!(
        sizes.iter().tuple_windows().all(|(a, b)| a.size < b.size),
        "the sizes of a series rise"
    );
    let mut best = 0.0_f64;
    sizes
        .iter()
        .map(|point| {
            assert!(point.rate > 0.0, "a size that ran has a rate");
            best = best.max(point.rate_per_size());
            Efficiency {
                speedup: point.rate / baseline.rate,
                of_baseline: point.efficiency_over(*baseline),
                of_best: point.rate_per_size() / best,
            }
        })
        .collect()
}

/// Sizes that are slower per GPU than both neighbours by more than 2%: a sawtooth from sizes that do
/// not divide the batch or the layers, not a trend.
pub(crate) fn sawteeth(efficiency: &[f64]) -> Vec<bool> {
    const DEPTH: f64 = 0.02;
    let mut teeth = vec![false; efficiency.len()];
    for (tooth, (before, size, after)) in teeth
        .iter_mut()
        .skip(1)
        .zip(efficiency.iter().tuple_windows())
    {
        *tooth = *size < before * (1.0 - DEPTH) && *size < after * (1.0 - DEPTH);
    }
    teeth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Vec<SizeRate> {
        points
            .iter()
            .map(|&(size, rate)| SizeRate { size, rate })
            .collect()
    }

    #[test]
    fn efficiency_is_the_rate_per_gpu_against_the_smallest_size() {
        // 8 GPUs give 80/s (10 each), 16 give 120/s (7.5 each): 75%, 1.5 times as fast.
        let found = efficiencies(&curve(&[(8.0, 80.0), (16.0, 120.0)]));
        assert!((found[1].of_baseline - 0.75).abs() < 1e-12);
        assert!((found[1].speedup - 1.5).abs() < 1e-12);
    }

    #[test]
    fn a_crippled_baseline_does_not_hide_a_loss_from_the_best_rate() {
        // Per GPU: 5, 10, 7. Against the smallest size 1.4, against the best 0.7.
        let found = efficiencies(&curve(&[(1.0, 5.0), (2.0, 20.0), (4.0, 28.0)]));
        assert!((found[2].of_baseline - 1.4).abs() < 1e-12);
        assert!((found[2].of_best - 0.7).abs() < 1e-12);
        // Its own best is the size itself.
        assert!((found[1].of_best - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_dip_between_two_better_sizes_is_a_sawtooth_and_a_fall_is_not() {
        assert_eq!(
            sawteeth(&[1.0, 0.8, 0.95, 0.7, 0.6]),
            [false, true, false, false, false]
        );
    }

    #[test]
    fn no_sizes_give_no_efficiencies() {
        assert!(efficiencies(&[]).is_empty());
    }
}
