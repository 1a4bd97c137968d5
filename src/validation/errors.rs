//! Prediction errors of groups of cases.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Judged;

/// Errors of a set of cases.
#[derive(Clone, Copy, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// Cases with a prediction and a measurement.
    pub count: usize,
    /// Cases wrongly predicted to run or not to run, and unsupported ones.
    pub misses: usize,
    /// Median of |predicted/measured − 1|.
    pub median: f64,
    /// Mean of |predicted/measured − 1|.
    pub mean: f64,
    /// 90th percentile of |predicted/measured − 1|.
    pub p90: f64,
    /// Mean of predicted/measured − 1.
    pub bias: f64,
    /// Mean of |ln(predicted/measured)|, which weighs half and double alike.
    pub log_mean: f64,
}

impl ErrorSummary {
    /// Errors of cases.
    pub(crate) fn of<'a>(cases: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut errors = Vec::new();
        let mut misses = 0;
        for judged in cases {
            misses += usize::from(judged.is_miss());
            errors.extend(judged.relative_error());
        }
        Self {
            misses,
            ..Self::of_errors(&errors)
        }
    }

    /// Summary of relative errors, predicted/measured − 1.
    pub(crate) fn of_errors(errors: &[f64]) -> Self {
        if errors.is_empty() {
            return Self::default();
        }
        let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        Self {
            count: errors.len(),
            misses: 0,
            median: quantile(&sizes, 0.5),
            mean: mean(&sizes),
            p90: quantile(&sizes, 0.9),
            bias: mean(errors),
            log_mean: errors
                .iter()
                .map(|error| libm::log1p(error.max(-1.0 + 1e-9)).abs())
                .sum::<f64>()
                / errors.len() as f64,
        }
    }
}

impl ErrorSummary {
    /// Geometric mean error: the geometric mean of the factors by which predictions are off, less 1.
    ///
    /// `exp(mean |ln(predicted/measured)|) − 1`
    pub(crate) fn geometric_mean(&self) -> f64 {
        libm::expm1(self.log_mean)
    }
}

/// Mean; 0 without values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// Quantile of ascending values, interpolated linearly between neighbours (numpy's default); 0 without values.
pub(crate) fn quantile(ascending: &[f64], fraction: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let place = fraction * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let share = place - below as f64;
    ascending[below] * (1.0 - share) + ascending[above] * share
}

/// Errors of the cases of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupErrors {
    /// Name of the group: `decoder`, `h100-sxm`.
    pub name: String,
    /// Errors of its cases.
    pub errors: ErrorSummary,
}

/// Errors by group, in the order of the groups' names.
pub(crate) fn by_group<'a>(
    cases: &[&'a Judged],
    name: impl Fn(&'a Judged) -> &'a str,
) -> Vec<GroupErrors> {
    let mut groups: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for &judged in cases {
        groups.entry(name(judged)).or_default().push(judged);
    }
    groups
        .into_iter()
        .map(|(name, members)| GroupErrors {
            name: name.to_owned(),
            errors: ErrorSummary::of(members),
        })
        .collect()
}

/// Mean error per group, averaged over the groups that have a prediction; `None` without any.
pub(crate) fn mean_over_groups(groups: &[GroupErrors]) -> Option<f64> {
    let means: Vec<f64> = groups
        .iter()
        .filter(|group| group.errors.count > 0)
        .map(|group| group.errors.mean)
        .collect();
    (!means.is_empty()).then(|| mean(&means))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_matches_the_hand_computation() {
        // |errors| ascending: 0.1, 0.1, 0.2, 0.4. Median 0.15, mean 0.2; the 90th percentile lies at place
        // 0.9 · 3 = 2.7, so 0.2 + 0.7 · 0.2 = 0.34. Bias: (0.1 − 0.1 + 0.4 − 0.2)/4 = 0.05.
        let summary = ErrorSummary::of_errors(&[0.1, -0.1, 0.4, -0.2]);
        assert_eq!(summary.count, 4);
        for (got, expected) in [
            (summary.median, 0.15),
            (summary.mean, 0.2),
            (summary.p90, 0.34),
            (summary.bias, 0.05),
        ] {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
    }

    #[test]
    fn half_and_double_are_equally_far_in_logarithms() {
        // ln 2 = 0.693 either way, though the relative errors are −0.5 and 1.
        let half = ErrorSummary::of_errors(&[-0.5]).log_mean;
        let double = ErrorSummary::of_errors(&[1.0]).log_mean;
        assert!((half - double).abs() < 1e-12);
    }

    #[test]
    fn the_geometric_mean_error_is_a_factor() {
        // Off by factors of 1.21 and 1/1.21 and exact: exp((2 · ln 1.21) / 3) − 1 = 13.55%.
        let summary = ErrorSummary::of_errors(&[0.21, 1.0 / 1.21 - 1.0, 0.0]);
        let expected = libm::pow(1.21, 2.0 / 3.0) - 1.0;
        assert!((summary.geometric_mean() - expected).abs() < 1e-12);
    }

    #[test]
    fn no_cases_have_no_errors() {
        assert_eq!(ErrorSummary::of_errors(&[]), ErrorSummary::default());
    }
}
