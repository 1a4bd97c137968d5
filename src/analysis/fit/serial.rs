//! Amdahl's and Gustafson's law: one serial fraction.

use super::least_squares::{Basis, Terms, fit_log, leave_each_out};
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
    pub(crate) fn rate(&self, size: f64) -> f64 {
        let serial = self.serial_fraction;
        self.rate_of_one
            * match self.scaling {
                Scaling::Strong => 1.0 / (serial + (1.0 - serial) / size),
                Scaling::Weak => serial + (1.0 - serial) * size,
            }
    }
}

/// Fits the law of a scaling mode: Amdahl's for strong, Gustafson's for weak.
///
/// Amdahl: `T(n) = T(1)·[σ + (1−σ)/n]`, so `n/rate = (1 + σ·(n−1))/λ`, linear in `(1/λ, σ/λ)`. With
/// a baseline of `n₀` GPUs, `T(n) = T(n₀)·[(1−σ₀)·n₀/n + σ₀]` is the same curve for
/// `σ = σ₀/(n₀·(1−σ₀) + σ₀)`: the fraction here always refers to one GPU.
///
/// Gustafson: `S(n) = s + (1−s)·n`, so `rate = λ·(1 + (1−s)·(n−1))`, linear in `(λ, λ·(1−s))`.
///
/// Sources: Amdahl, AFIPS 1967; Gustafson, CACM 31(5), 1988.
pub fn fit_serial(sizes: &[SizeRate], scaling: Scaling) -> Option<SerialFit> {
    let basis = Basis::of(sizes)?;
    let values = values(sizes, &basis, scaling);
    let fit = |free: &[usize]| {
        let found = fit_log(&basis.terms, &values, free)?;
        let of_one = found.parameters[0];
        let serial_fraction = serial_fraction(scaling, found.parameters, &basis);
        let admissible = of_one > 0.0 && (0.0..=1.0).contains(&serial_fraction);
        admissible.then_some(SerialFit {
            scaling,
            serial_fraction,
            rate_of_one: match scaling {
                Scaling::Strong => 1.0 / of_one,
                Scaling::Weak => of_one,
            },
            error: found.error,
        })
    };
    // Without an admissible fraction the curve is ideal.
    fit(&[0, 1]).or_else(|| match scaling {
        Scaling::Strong => fit(&[0]),
        Scaling::Weak => {
            let ideal: Vec<Terms> = sizes.iter().map(|p| [p.size, 0.0, 0.0]).collect();
            fit_log(&ideal, &values, &[0]).map(|found| SerialFit {
                scaling,
                serial_fraction: 0.0,
                rate_of_one: found.parameters[0],
                error: found.error,
            })
        }
    })
}

/// Serial fraction with each size left out once; it may be negative there, which tells how sure a
/// fraction of zero is.
pub(super) fn serial_fraction_without_each(
    sizes: &[SizeRate],
    fit: &SerialFit,
) -> Option<Vec<f64>> {
    let basis = Basis::of(sizes)?;
    let values = values(sizes, &basis, fit.scaling);
    let (of_one, share) = match fit.scaling {
        Scaling::Strong => (1.0 / fit.rate_of_one, fit.serial_fraction),
        Scaling::Weak => (fit.rate_of_one, 1.0 - fit.serial_fraction),
    };
    let parameters = [of_one, share * basis.linear * of_one, 0.0];
    let without = leave_each_out(&basis.terms, &values, &parameters, &[0, 1])?;
    let fractions = without
        .into_iter()
        .map(|parameters| serial_fraction(fit.scaling, parameters, &basis));
    Some(fractions.collect())
}

/// The quantity that a law is linear in: GPU-seconds per sample for Amdahl's, the rate for Gustafson's.
fn values(sizes: &[SizeRate], basis: &Basis, scaling: Scaling) -> Vec<f64> {
    match scaling {
        Scaling::Strong => basis.times.clone(),
        Scaling::Weak => sizes.iter().map(|point| point.rate).collect(),
    }
}

/// Serial fraction of fitted parameters.
fn serial_fraction(scaling: Scaling, [of_one, growth, _]: Terms, basis: &Basis) -> f64 {
    let share = growth / basis.linear / of_one;
    match scaling {
        Scaling::Strong => share,
        Scaling::Weak => 1.0 - share,
    }
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
