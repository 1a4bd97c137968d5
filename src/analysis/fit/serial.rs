//! Amdahl's and Gustafson's law: one serial fraction.

use super::root_mean_square;
use crate::analysis::curve::SizeRate;

/// A law with one serial fraction, fitted.
#[derive(Clone, Copy, Debug)]
pub struct SerialFit {
    /// Fraction of one GPU's time that no further GPU shortens.
    pub serial_fraction: f64,
    /// Rate of one GPU.
    pub rate_of_one: f64,
    /// Root mean square of the log residuals.
    pub error: f64,
    law: fn(f64, f64) -> f64,
}

impl SerialFit {
    /// Rate at a size.
    pub fn rate(&self, size: f64) -> f64 {
        self.rate_of_one * (self.law)(self.serial_fraction, size)
    }
}

/// Amdahl's law `T(n) = T(1)·[σ + (1−σ)/n]`, σ referred to one GPU.
///
/// With a baseline of `n₀` GPUs and `T(n) = T(n₀)·[(1−σ₀)·n₀/n + σ₀]` the two are the same curve
/// for `σ = σ₀ / (n₀·(1−σ₀) + σ₀)`.
///
/// Source: Amdahl, AFIPS 1967.
pub fn fit_amdahl(sizes: &[SizeRate]) -> Option<SerialFit> {
    fit(sizes, |sigma, size| 1.0 / (sigma + (1.0 - sigma) / size))
}

/// Gustafson's law: scaled speedup `S(n) = s + (1−s)·n`, `s` referred to one GPU.
///
/// Source: Gustafson, CACM 31(5), 1988.
pub fn fit_gustafson(sizes: &[SizeRate]) -> Option<SerialFit> {
    fit(sizes, |serial, size| serial + (1.0 - serial) * size)
}

/// Least squares over `(log rate of one, serial fraction)`.
///
/// For a given fraction the rate of one is the mean residual; what remains is one dimension, whose
/// scale is not known beforehand (1e-9 to 1), so it is searched over a logarithmic grid and refined
/// by golden section around the best cell.
fn fit(sizes: &[SizeRate], law: fn(f64, f64) -> f64) -> Option<SerialFit> {
    if sizes.len() < 2 {
        return None;
    }
    let misfit = |fraction: f64| residuals(sizes, law, fraction).1;
    let grid: Vec<f64> = std::iter::once(0.0)
        .chain((0..=180).map(|step| libm::pow(10.0, f64::from(step) / 20.0 - 9.0)))
        .collect();
    let errors: Vec<f64> = grid.iter().map(|fraction| misfit(*fraction)).collect();
    let best = (0..grid.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b]))?;
    let low = grid[best.saturating_sub(1)];
    let high = grid[(best + 1).min(grid.len() - 1)];
    let refined = golden_section(low, high, misfit);
    // A fraction of exactly zero (ideal scaling) is an end that the section only approaches.
    let serial_fraction = if misfit(refined) < errors[best] {
        refined
    } else {
        grid[best]
    };
    let (log_rate, error) = residuals(sizes, law, serial_fraction);
    Some(SerialFit {
        serial_fraction,
        rate_of_one: libm::exp(log_rate),
        error,
        law,
    })
}

/// Log rate of one GPU, and the root mean square that it leaves.
fn residuals(sizes: &[SizeRate], law: fn(f64, f64) -> f64, fraction: f64) -> (f64, f64) {
    let logs: Vec<f64> = sizes
        .iter()
        .map(|point| libm::log(point.rate) - libm::log(law(fraction, point.size)))
        .collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    (mean, root_mean_square(logs.iter().map(|r| r - mean)))
}

fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const INVERSE_GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut a = high - INVERSE_GOLDEN * (high - low);
    let mut b = low + INVERSE_GOLDEN * (high - low);
    let (mut at_a, mut at_b) = (f(a), f(b));
    for _ in 0..60 {
        if at_a <= at_b {
            high = b;
            (b, at_b) = (a, at_a);
            a = high - INVERSE_GOLDEN * (high - low);
            at_a = f(a);
        } else {
            low = a;
            (a, at_a) = (b, at_b);
            b = low + INVERSE_GOLDEN * (high - low);
            at_b = f(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 6] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

    #[test]
    fn the_serial_fraction_of_an_amdahl_curve_comes_back_whatever_its_scale() {
        for sigma in [1e-5, 3e-4, 0.002, 0.05, 0.4] {
            let sizes = SIZES.map(|size| SizeRate {
                size,
                rate: 3.0 / (sigma + (1.0 - sigma) / size),
            });
            let found = fit_amdahl(&sizes).unwrap();
            assert!(
                (found.serial_fraction / sigma - 1.0).abs() < 1e-3,
                "{sigma}: {found:?}"
            );
            assert!((found.rate_of_one / 3.0 - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn a_baseline_above_one_gpu_converts_to_one() {
        // σ₀ = 0.2 referred to 8 GPUs: T = 0.8·8/n + 0.2; σ = 0.2/(8·0.8 + 0.2) = 0.0303030.
        let sizes = SIZES.map(|size| SizeRate {
            size,
            rate: 1.0 / (0.8 * 8.0 / size + 0.2),
        });
        let found = fit_amdahl(&sizes).unwrap();
        assert!((found.serial_fraction - 0.030_303_0).abs() < 1e-5);
    }

    #[test]
    fn a_gustafson_curve_gives_its_fraction_back() {
        let sizes = SIZES.map(|size| SizeRate {
            size,
            rate: 5.0 * (0.1 + 0.9 * size),
        });
        let found = fit_gustafson(&sizes).unwrap();
        assert!((found.serial_fraction - 0.1).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn ideal_scaling_has_no_serial_fraction() {
        let sizes = SIZES.map(|size| SizeRate { size, rate: size });
        assert!(fit_amdahl(&sizes).unwrap().serial_fraction < 1e-8);
    }
}
