//! Intervals from weighted quantiles of the errors of measured runs.

use std::collections::BTreeMap;

use super::errors::{KnownError, Quantity, known};
use super::features::Features;
use crate::simulation::StepReport;

/// Distance within which a measured run tells the error of a single other one: another GPU, precision and stack, or a mixture of
/// experts against a dense model with another stack.
pub(crate) const NEAR: f64 = 3.0;

/// Distance within which some run of its family has to be measured for a point to have an interval. Of the shipped errors all runs
/// but one have one of another lineage within it.
const REACH: f64 = 5.0;

/// Share of the measurements that an interval is to hold.
pub(crate) const COVERAGE: f64 = 0.8;

/// Correlation of the errors of two runs of one source that have the same features; of the shipped errors, as a test says.
const ALIKE: f64 = 0.95;

/// Standard deviations within which four of five values of a normal distribution lie.
const NORMAL_TAIL: f64 = 1.2816;

/// A range around a prediction, in the prediction's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Where four of five measurements of a run would lie whose prediction is this; `None` where no run of its family
    /// was measured within [`REACH`].
    ///
    /// The ends are weighted quantiles of the errors of the measured runs of its family, each predicted by constants that were
    /// fitted without its lineage. A run weighs `exp(−distance)`. Whether few lineages err up or down says little of another: each
    /// error counts with the other sign too, with 1/L of its weight, where L lineages of equal weight would be spread as these are.
    /// The interval always holds the prediction itself. Runs of other families do not count: of mixtures of experts 57% would lie
    /// inside what dense models alone say, of encoders 27%.
    pub(crate) fn around(predicted: f64, quantity: Quantity, features: &Features) -> Option<Self> {
        let (least, most) = ends(known(quantity), features, None)?;
        Some(Self::between(predicted, least, most))
    }

    /// The same around the time of a step, in seconds, which measured runs of one's own may have corrected.
    ///
    /// Of the spread of errors, `√(1 − c²)` is left where a run shares `c` of its error with the step, as of two quantities
    /// with correlation `c`. A run of the same configuration leaves what measured runs with the same features differ by,
    /// [`ALIKE`], and never less than its own repeats do.
    pub(crate) fn of_step(step: &StepReport, features: &Features) -> Option<Self> {
        let seconds = step.step_time().as_secs_f64();
        let Some(correction) = step.correction else {
            return Self::around(seconds, Quantity::StepTime, features);
        };
        // The measured run is within reach, whatever else is.
        let errors = known(Quantity::StepTime);
        let (least, most) = quantiles(errors, features, None, f64::INFINITY)?;
        let shared = correction.share.min(ALIKE);
        let left = (1.0 - shared * shared).sqrt();
        let repeats = NORMAL_TAIL * correction.spread;
        let (least, most) = (least.min(0.0) * left, most.max(0.0) * left);
        Some(Self::between(
            seconds,
            least.min(-repeats),
            most.max(repeats),
        ))
    }

    /// The range of measurements whose predictions err by `least` to `most`, in ln(predicted/measured).
    fn between(predicted: f64, least: f64, most: f64) -> Self {
        Self {
            low: predicted * libm::exp(-most),
            high: predicted * libm::exp(-least),
        }
    }
}

/// Least and largest error of an interval, `ln(predicted/measured)`, with no error between them.
pub(super) fn ends(
    errors: &[KnownError],
    features: &Features,
    without: Option<&str>,
) -> Option<(f64, f64)> {
    let (least, most) = quantiles(errors, features, without, REACH)?;
    Some((least.min(0.0), most.max(0.0)))
}

/// Quantiles of the errors of a run's family around it, `ln(predicted/measured)`: those of one lineage left out; `None` where none of
/// its runs is within `reach`.
fn quantiles(
    errors: &[KnownError],
    features: &Features,
    without: Option<&str>,
    reach: f64,
) -> Option<(f64, f64)> {
    let mut nearest = f64::INFINITY;
    let mut lineages: BTreeMap<&str, f64> = BTreeMap::new();
    let mut weighted = Vec::with_capacity(errors.len());
    for error in errors {
        if without == Some(&error.lineage) || error.features.family != features.family {
            continue;
        }
        let distance = features.distance(&error.features);
        nearest = nearest.min(distance);
        let weight = libm::exp(-distance);
        *lineages.entry(&error.lineage).or_default() += weight;
        weighted.push((error.error, weight));
    }
    if nearest > reach {
        return None;
    }
    let mirrored = 1.0 / effective_number(lineages.into_values());
    let mut both: Vec<(f64, f64)> = weighted
        .into_iter()
        .flat_map(|(error, weight)| [(error, weight), (-error, weight * mirrored)])
        .collect();
    both.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = both.iter().map(|(_, weight)| weight).sum();
    let quantile = |share: f64| {
        let mut below = 0.0;
        let reached = both.iter().find(|(_, weight)| {
            below += weight;
            below >= share * all
        });
        reached.or(both.last()).map(|(error, _)| *error)
    };
    let tail = (1.0 - COVERAGE) / 2.0;
    quantile(tail).zip(quantile(1.0 - tail))
}

/// Number of equal weights that are spread as these are, `(Σw)²/Σw²`.
fn effective_number(weights: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) = weights.fold((0.0, 0.0), |(sum, squares), weight| {
        (sum + weight, squares + weight * weight)
    });
    sum * sum / squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::model::Family;
    use crate::simulation::TrainingScenario;

    fn features(gpu: &str, gpus: u32) -> Features {
        let catalog = Catalog::builtin();
        let gpu = &catalog.gpus[gpu];
        let mut job = TrainingScenario::new(
            catalog.models["llama3-8b"].clone(),
            gpu.clone(),
            catalog.clusters[&gpu.cluster].clone(),
            catalog.stacks["megatron-2025"].clone(),
        );
        job.gpus = gpus;
        Features::of(&job, None)
    }

    fn error(lineage: &str, features: Features, error: f64) -> KnownError {
        KnownError {
            lineage: lineage.to_owned(),
            features,
            error,
        }
    }

    // Ten runs of one lineage that are the point itself count with both signs alike: of twenty errors from −0.9 to 0.9 two
    // lie at or below −0.8, eighteen at or below 0.7. Ten runs of another lineage on 8 times the GPUs are 1 away and weigh
    // 1/e = 0.368: the lineages are (1 + 0.368)²/(1 + 0.135) = 1.648 of equal weight, so that the other sign weighs 0.607. Of all
    // 1.607·13.68 = 21.98, 2.23 are −5, more than a tenth, and 3.68 are 5.
    #[test]
    fn quantiles_weigh_runs_by_distance_and_mirror_errors_of_few_lineages() {
        let near = features("h100-sxm", 8);
        let mut errors: Vec<KnownError> = (0..10)
            .map(|i| error("near", near.clone(), f64::from(i) / 10.0))
            .collect();
        let is = |errors: &[KnownError], without, least: f64, most: f64| {
            let found = quantiles(errors, &near, without, REACH).expect("runs are near");
            assert_eq!(found, (least, most));
        };
        is(&errors, None, -0.8, 0.7);
        let far = features("h100-sxm", 64);
        errors.extend((0..10).map(|_| error("far", far.clone(), 5.0)));
        is(&errors, None, -5.0, 5.0);
        is(&errors, Some("far"), -0.8, 0.7);
        is(&errors, Some("near"), -5.0, 5.0);
    }

    // Four lineages of equal weight are four; one beside which others weigh nothing is one.
    #[test]
    fn lineages_are_counted_by_their_weight() {
        let number = |weights: [f64; 4]| effective_number(weights.into_iter());
        assert!((number([2.0; 4]) - 4.0).abs() < 1e-12);
        assert!((number([1.0, 0.0, 0.0, 0.0]) - 1.0).abs() < 1e-12);
    }

    // 8^6 times the GPUs are 6 away, and nothing was measured within 5; a run of another family does not count.
    #[test]
    fn what_is_far_from_everything_has_no_interval() {
        let mut errors = [error("one", features("h100-sxm", 8), 0.1)];
        let of = |errors: &[KnownError], gpus| {
            quantiles(errors, &features("h100-sxm", gpus), None, REACH)
        };
        assert!(of(&errors, 8 * 4096).is_some());
        assert_eq!(of(&errors, 8 * 262_144), None);
        errors[0].features.family = Family::Vit;
        assert_eq!(of(&errors, 8), None);
    }

    #[test]
    fn intervals_hold_the_prediction_and_grow_with_it() {
        for quantity in Quantity::ALL {
            let of = |predicted| {
                let features = features("h100-sxm", 64);
                Interval::around(predicted, *quantity, &features).expect("its like was measured")
            };
            let (one, ten) = (of(1.0), of(10.0));
            assert!(one.low < 1.0 && one.high > 1.0, "{one:?}");
            assert!((ten.low / one.low - 10.0).abs() < 1e-9, "{one:?} {ten:?}");
            assert!((ten.high / one.high - 10.0).abs() < 1e-9, "{one:?} {ten:?}");
        }
    }
}
