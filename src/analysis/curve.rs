//! Speedup and scaling efficiency over the sizes of one series.

use itertools::Itertools;
use schemars::JsonSchema;
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
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
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

/// Whether an efficiency lies under the best of other sizes by more than noise, 2%.
pub(super) fn is_under(efficiency: f64, best: f64) -> bool {
    efficiency < best * 0.98
}

/// Teeth of divisibility: sizes under the upper envelope of the efficiency.
///
/// A tooth is less efficient than some smaller size, and also than some larger one or because its batch divides
/// unevenly (`uneven`, one for each size), which is no trend of the job: no larger size of the envelope does better
/// than one that lies on it.
pub(crate) fn teeth(efficiency: &[Efficiency], uneven: &[bool]) -> Vec<bool> {
    let values: Vec<f64> = efficiency.iter().map(|e| e.of_baseline).collect();
    let mut teeth = Vec::with_capacity(values.len());
    // The best of all larger sizes, from the largest on.
    let mut later = 0.0_f64;
    let mut best_later: Vec<f64> = (values.iter().rev())
        .map(|value| {
            let best = later;
            later = later.max(*value);
            best
        })
        .collect();
    best_later.reverse();
    let mut best_before = 0.0_f64;
    for ((value, after), uneven) in values.iter().zip(best_later).zip(uneven) {
        let before = is_under(*value, best_before);
        teeth.push(before && (*uneven || is_under(*value, after)));
        best_before = best_before.max(*value);
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

    /// Efficiencies against a first size of 1.
    fn efficient(values: &[f64]) -> Vec<Efficiency> {
        let sizes = values.iter().zip(1_u32..).map(|(value, size)| SizeRate {
            size: f64::from(size),
            rate: value * f64::from(size),
        });
        efficiencies(&sizes.collect::<Vec<_>>())
    }

    #[test]
    fn a_dip_between_two_better_sizes_is_a_tooth_and_a_fall_is_not() {
        // The second lies between 1.0 and 0.95; two teeth side by side lie under 0.95 as well.
        let even = [false; 5];
        assert_eq!(
            teeth(&efficient(&[1.0, 0.8, 0.95, 0.7, 0.6]), &even),
            [false, true, false, false, false]
        );
        assert_eq!(
            teeth(&efficient(&[1.0, 0.7, 0.75, 0.95, 0.6]), &even),
            [false, true, true, false, false]
        );
        // A crippled start is under a larger size alone.
        assert_eq!(
            teeth(&efficient(&[1.0, 1.4, 1.3, 1.2, 1.1]), &even),
            [false; 5]
        );
    }

    #[test]
    fn an_uneven_size_at_the_end_of_the_curve_is_a_tooth() {
        // No larger size ran that would show it; 0.97 is no worse than 0.985, nor that than 1.0, by more than noise.
        let uneven = [false, false, true, true];
        assert_eq!(
            teeth(&efficient(&[1.0, 0.97, 0.985, 0.7]), &uneven),
            [false, false, false, true]
        );
    }

    #[test]
    fn no_sizes_give_no_efficiencies() {
        assert!(efficiencies(&[]).is_empty());
    }
}
