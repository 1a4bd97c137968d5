//! The Universal Scalability Law: contention and coherency.

use super::least_squares::{Basis, Terms, fit_log, leave_each_out};
use crate::analysis::curve::SizeRate;

/// The Universal Scalability Law, fitted: `X(n) = λ·n / (1 + σ·(n−1) + κ·n·(n−1))`.
///
/// Source: Gunther, *Guerrilla Capacity Planning*, Springer 2007.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UslFit {
    /// Rate of one GPU, λ.
    pub rate_of_one: f64,
    /// Contention σ: time lost to what only one can use at a time.
    pub contention: f64,
    /// Coherency κ: time lost to exchange between pairs.
    pub coherency: f64,
    /// Root mean square of the log residuals.
    pub error: f64,
}

impl UslFit {
    /// Rate at a size.
    pub(crate) fn rate(&self, size: f64) -> f64 {
        self.rate_of_one * size
            / (1.0 + self.contention * (size - 1.0) + self.coherency * size * (size - 1.0))
    }

    /// Size of the highest rate, `√((1−σ)/κ)`; `None` where the rate never falls.
    pub(crate) fn peak_size(&self) -> Option<f64> {
        (self.coherency > 0.0 && self.contention < 1.0)
            .then(|| ((1.0 - self.contention) / self.coherency).sqrt())
    }
}

/// Least squares on the logarithm of the rate, both parameters kept from going negative.
///
/// `n/X(n) = (1 + σ·(n−1) + κ·n·(n−1))/λ` is linear in `(1/λ, σ/λ, κ/λ)`. Bounds at zero are
/// handled by fitting each set of free parameters and keeping the best one that is admissible.
pub fn fit_usl(sizes: &[SizeRate]) -> Option<UslFit> {
    let Basis {
        terms,
        times,
        linear,
        quadratic,
    } = Basis::of(sizes)?;
    let fit = |free: &[usize]| {
        let found = fit_log(&terms, &times, free)?;
        let [of_one, contention, coherency] = found.parameters;
        let admissible = of_one > 0.0 && contention >= 0.0 && coherency >= 0.0;
        admissible.then(|| UslFit {
            rate_of_one: 1.0 / of_one,
            contention: contention / linear / of_one,
            coherency: coherency / quadratic / of_one,
            error: found.error,
        })
    };
    // With all of them free and admissible no smaller set fits better.
    fit(&[0, 1, 2]).or_else(|| {
        [fit(&[0, 1]), fit(&[0, 2]), fit(&[0])]
            .into_iter()
            .flatten()
            .min_by(|a, b| a.error.total_cmp(&b.error))
    })
}

/// Contention and coherency with each size left out once; they may be negative there, which tells how
/// sure a zero is.
pub(super) fn usl_without_each(sizes: &[SizeRate], fit: &UslFit) -> Option<Vec<(f64, f64)>> {
    let Basis {
        terms,
        times,
        linear,
        quadratic,
    } = Basis::of(sizes)?;
    let of_one = 1.0 / fit.rate_of_one;
    let parameters = [
        of_one,
        fit.contention * linear * of_one,
        fit.coherency * quadratic * of_one,
    ];
    let without = leave_each_out(&terms, &times, &parameters, &[0, 1, 2])?;
    let of = |[of_one, contention, coherency]: Terms| {
        (contention / linear / of_one, coherency / quadratic / of_one)
    };
    Some(without.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 8] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

    fn curve(contention: f64, coherency: f64) -> [SizeRate; 8] {
        let law = UslFit {
            rate_of_one: 7.0,
            contention,
            coherency,
            error: 0.0,
        };
        SIZES.map(|size| SizeRate {
            size,
            rate: law.rate(size),
        })
    }

    #[test]
    fn contention_and_coherency_come_back() {
        for (contention, coherency) in [(0.01, 1e-5), (0.001, 1e-6), (0.1, 1e-4)] {
            let found = fit_usl(&curve(contention, coherency)).unwrap();
            assert!((found.contention / contention - 1.0).abs() < 1e-6);
            assert!((found.coherency / coherency - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn the_rate_peaks_where_coherency_overtakes() {
        // √((1 − 0.01)/1e-5) = 314.6.
        let found = fit_usl(&curve(0.01, 1e-5)).unwrap();
        assert!((found.peak_size().unwrap() - 314.64).abs() < 0.1);
    }

    #[test]
    fn parameters_never_go_negative() {
        // Slightly superlinear: both parameters end at their bound.
        let sizes = SIZES.map(|size| SizeRate {
            size,
            rate: libm::pow(size, 1.01),
        });
        let found = fit_usl(&sizes).unwrap();
        assert!(found.contention.abs() < 1e-12 && found.coherency.abs() < 1e-12);
        assert_eq!(found.peak_size(), None);
    }
}
