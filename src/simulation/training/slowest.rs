//! Speed of the slowest of many GPUs, for which all others wait.
//!
//! GPUs of one kind differ: by their silicon, and by what cooling and power leave of their clocks. A step
//! ends when the slowest has ended, so a job of many GPUs is slower than one of few even where nothing is
//! communicated.

/// Slowest GPU of a job of a given size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slowest {
    /// Expectation of the largest of as many standard normal numbers.
    largest: f64,
}

impl Slowest {
    /// Slowest of `gpus`.
    ///
    /// Blom's approximation of the largest of n, `Φ⁻¹((n − 0.375)/(n + 0.25))` (Blom, Statistical Estimates
    /// and Transformed Beta-Variables, 1958; within 0.03 for all n). One GPU is a mean one.
    pub(super) fn of(gpus: u32) -> Self {
        let n = f64::from(gpus);
        let largest = if gpus <= 1 {
            0.0
        } else {
            normal_quantile((n - 0.375) / (n + 0.25))
        };
        Self { largest }
    }

    /// Kernel time relative to a mean GPU, `1 + σ·E[max of n]`, where speeds have a standard deviation of `spread`
    /// over their mean.
    pub(super) fn over_mean(self, spread: f64) -> f64 {
        1.0 + spread * self.largest
    }
}

/// Quantile of the standard normal distribution, by bisection of `erfc`.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-9.0_f64, 9.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
        if below < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Φ(0) = 0.5 and Φ(1.959964) = 0.975.
    #[test]
    fn quantiles_of_the_normal_distribution_are_the_tabulated_ones() {
        assert!(normal_quantile(0.5).abs() < 1e-12);
        assert!((normal_quantile(0.975) - 1.959_963_985).abs() < 1e-8);
    }

    // Tables of order statistics (Harter, Biometrika 48, 1961): the largest of 2 is expected at 0.5642, of 8 at
    // 1.4236, of 100 at 2.5076.
    #[test]
    fn the_largest_of_n_is_where_the_tables_have_it() {
        for (gpus, expected) in [(2, 0.5642), (8, 1.4236), (100, 2.5076)] {
            let slower = (Slowest::of(gpus).over_mean(0.01) - 1.0) / 0.01;
            assert!((slower - expected).abs() < 0.03, "{gpus}: {slower}");
        }
    }

    #[test]
    fn one_gpu_or_gpus_that_are_alike_have_no_slowest() {
        assert!((Slowest::of(1).over_mean(0.02) - 1.0).abs() < f64::EPSILON);
        assert!((Slowest::of(4096).over_mean(0.0) - 1.0).abs() < f64::EPSILON);
    }
}
