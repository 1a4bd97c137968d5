//! Bounds of a fitted parameter by leaving each size out once.

use schemars::JsonSchema;
use serde::Serialize;

/// A fitted parameter with its bounds.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Estimate {
    /// The best value.
    pub value: f64,
    /// Lower bound (95%, jackknife).
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Two-sided 95% quantiles of Student's t for 1, 2, … degrees of freedom.
const STUDENT_T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// 95% bounds of a parameter, from its estimates `without` each size; at least zero, as every
/// parameter of a scaling law is.
///
/// Standard error `√((n−1)/n · Σ(θ₍ᵢ₎ − θ̄)²)` over the estimates with size `i` left out (Efron &
/// Stein, Annals of Statistics 9(3), 1981).
pub(super) fn bounds(value: f64, without: &[f64]) -> Estimate {
    let count = without.len() as f64;
    let mean = without.iter().sum::<f64>() / count;
    let spread: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
    let error = ((count - 1.0) / count * spread).sqrt();
    let degrees = without.len().saturating_sub(2).clamp(1, STUDENT_T.len());
    let reach = STUDENT_T[degrees - 1] * error;
    Estimate {
        value,
        low: (value - reach).max(0.0),
        high: value + reach,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        // Values 1, 2, 3, 4: mean 2.5, without each of them 9/3 to 6/3; s = 1.29099, s/√4 = 0.645497; t of 2 degrees is 4.303.
        let without = [9.0 / 3.0, 8.0 / 3.0, 7.0 / 3.0, 6.0 / 3.0];
        let found = bounds(2.5, &without);
        assert!((found.value - 2.5).abs() < 1e-12);
        assert!((found.high - (2.5 + 4.303 * 0.645_497)).abs() < 1e-5);
        // 2.5 − 2.78 is below zero.
        assert!(found.low.abs() < 1e-12);
    }
}
