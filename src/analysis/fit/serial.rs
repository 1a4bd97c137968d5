//! Amdahl's and Gustafson's law: one serial fraction.

use super::least_squares::{Terms, fit_log, leave_each_out};
use crate::analysis::curve::{Scaling, SizeRate};

/// A law with one serial fraction, fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SerialFit {
    /// Which law.
    pub scaling: Scaling,
    /// Fraction of one GPU's time that no further GPU shortens.
    pub serial_fraction: f64,
    /// Rate of one GPU.
    pub rate_of_one: f64,
    /// Root mean square of the log residuals.
    pub error: f64,
}

impl SerialFit {
    /// Rate at a size.
    pub fn rate(&self, size: f64) -> f64 {
        let serial = self.serial_fraction;
        self.rate_of_one
            * match self.scaling {
                Scaling::Strong => 1.0 / (serial + (1.0 - serial) / size),
                Scaling::Weak => serial + (1.0 - serial) * size,
            }
    }
}

/// Fits the law of a way of scaling: Amdahl's for strong, Gustafson's for weak.
///
/// Amdahl: `T(n) = T(1)·[σ + (1−σ)/n]`, so `n/rate = (1 + σ·(n−1))/λ`, linear in `(1/λ, σ/λ)`. With
/// a baseline of `n₀` GPUs, `T(n) = T(n₀)·[(1−σ₀)·n₀/n + σ₀]` is the same curve for
/// `σ = σ₀/(n₀·(1−σ₀) + σ₀)`: the fraction here always refers to one GPU.
///
/// Gustafson: `S(n) = s + (1−s)·n`, so `rate = λ·(1 + (1−s)·(n−1))`, linear in `(λ, λ·(1−s))`.
///
/// Sources: Amdahl, AFIPS 1967; Gustafson, CACM 31(5), 1988.
pub fn fit_serial(sizes: &[SizeRate], scaling: Scaling) -> Option<SerialFit> {
    let (terms, linear) = basis(sizes)?;
    match scaling {
        Scaling::Strong => amdahl(sizes, &terms, linear),
        Scaling::Weak => gustafson(sizes, &terms, linear),
    }
}

/// The terms of both laws, and the factor of the second: relative to the largest size, so that they are of
/// one magnitude.
fn basis(sizes: &[SizeRate]) -> Option<(Vec<Terms>, f64)> {
    let linear = (sizes.last()?.size - 1.0).max(1.0);
    let terms = sizes
        .iter()
        .map(|point| [1.0, (point.size - 1.0) / linear, 0.0]);
    Some((terms.collect(), linear))
}

/// The serial fraction with each size left out once; it may go below zero there, which tells how sure a
/// fraction of zero is.
pub(super) fn serial_fraction_without_each(
    sizes: &[SizeRate],
    fit: &SerialFit,
) -> Option<Vec<f64>> {
    let (terms, linear) = basis(sizes)?;
    let without = match fit.scaling {
        Scaling::Strong => {
            let times: Vec<f64> = sizes.iter().map(|p| p.size / p.rate).collect();
            let of_one = 1.0 / fit.rate_of_one;
            let parameters = [of_one, fit.serial_fraction * linear * of_one, 0.0];
            leave_each_out(&terms, &times, &parameters, &[0, 1])?
                .into_iter()
                .map(|[of_one, growth, _]| growth / linear / of_one)
                .collect()
        }
        Scaling::Weak => {
            let rates: Vec<f64> = sizes.iter().map(|p| p.rate).collect();
            let growth = (1.0 - fit.serial_fraction) * linear * fit.rate_of_one;
            let parameters = [fit.rate_of_one, growth, 0.0];
            leave_each_out(&terms, &rates, &parameters, &[0, 1])?
                .into_iter()
                .map(|[of_one, growth, _]| 1.0 - growth / linear / of_one)
                .collect()
        }
    };
    Some(without)
}

fn amdahl(sizes: &[SizeRate], terms: &[Terms], linear: f64) -> Option<SerialFit> {
    let times: Vec<f64> = sizes.iter().map(|p| p.size / p.rate).collect();
    let fit = |free: &[usize]| {
        let found = fit_log(terms, &times, free)?;
        let [of_one, growth, _] = found.parameters;
        let serial_fraction = growth / linear / of_one;
        let admissible = of_one > 0.0 && (0.0..=1.0).contains(&serial_fraction);
        admissible.then_some(SerialFit {
            scaling: Scaling::Strong,
            serial_fraction,
            rate_of_one: 1.0 / of_one,
            error: found.error,
        })
    };
    // Without growth the curve is ideal: no serial fraction.
    fit(&[0, 1]).or_else(|| fit(&[0]))
}

fn gustafson(sizes: &[SizeRate], terms: &[Terms], linear: f64) -> Option<SerialFit> {
    let rates: Vec<f64> = sizes.iter().map(|p| p.rate).collect();
    let with = |rate_of_one: f64, serial_fraction: f64, error: f64| SerialFit {
        scaling: Scaling::Weak,
        serial_fraction,
        rate_of_one,
        error,
    };
    let free = fit_log(terms, &rates, &[0, 1]).map(|found| {
        let [of_one, growth, _] = found.parameters;
        with(of_one, 1.0 - growth / linear / of_one, found.error)
    });
    let admissible =
        |fit: &SerialFit| fit.rate_of_one > 0.0 && (0.0..=1.0).contains(&fit.serial_fraction);
    free.filter(admissible).or_else(|| {
        // The ideal curve, `rate = λ·n`.
        let ideal: Vec<Terms> = sizes.iter().map(|p| [p.size, 0.0, 0.0]).collect();
        fit_log(&ideal, &rates, &[0]).map(|found| with(found.parameters[0], 0.0, found.error))
    })
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
            let found = fit_serial(&sizes, Scaling::Strong).unwrap();
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
        let found = fit_serial(&sizes, Scaling::Strong).unwrap();
        assert!((found.serial_fraction - 0.030_303_0).abs() < 1e-5);
    }

    #[test]
    fn a_gustafson_curve_gives_its_fraction_back() {
        let sizes = SIZES.map(|size| SizeRate {
            size,
            rate: 5.0 * (0.1 + 0.9 * size),
        });
        let found = fit_serial(&sizes, Scaling::Weak).unwrap();
        assert!((found.serial_fraction - 0.1).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn ideal_scaling_has_no_serial_fraction() {
        let sizes = SIZES.map(|size| SizeRate { size, rate: size });
        assert!(fit_serial(&sizes, Scaling::Strong).unwrap().serial_fraction < 1e-8);
    }
}
