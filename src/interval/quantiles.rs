//! Intervals from weighted quantiles of the errors of measured runs.

use std::collections::BTreeMap;

use super::errors::{KnownError, Quantity, known};
use super::features::Features;
use crate::simulation::StepReport;

/// Distance within which a measured run tells the error of a single other one: another GPU, precision and stack, or a mixture of
/// experts against a dense model with another stack.
pub(crate) const NEAR: f64 = 3.0;

/// Distance within which some run of its family has to be measured for a point to have an interval. Of the shipped errors all runs
/// but one have one of another lineage within it, and of the 141 whose nearest is further than [`NEAR`] 77% lie inside their
/// interval. Runs of one family do not tell the errors of another: of mixtures of experts 57% lie inside what
/// dense models alone would say, of encoders 27%.
const REACH: f64 = 5.0;

/// Share of the measurements that an interval is to hold.
pub(crate) const COVERAGE: f64 = 0.8;

/// Fall of a run's weight per distance.
const SHARPNESS: f64 = 1.5;

/// Power of the weight of its runs that a lineage weighs.
const OF_LINEAGE: f64 = 0.75;

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
    /// The ends are weighted quantiles of the errors of all measured runs, each predicted by constants that were fitted
    /// without its lineage. A run weighs `exp(−1.5·distance)`, a lineage the ¾ power of the weight of its runs: a source of
    /// many runs says less than as many sources, since the runs of a source err alike. Whether few lineages err up or down
    /// says little of another: each error counts with the other sign too, with 1/L of its weight, where L lineages of equal
    /// weight would be spread as these are; and the ends are √(1 + 1/L) times as far, as those of an interval for one more
    /// value whose distribution L values tell. The interval always holds the prediction itself. Weights and distances were
    /// chosen by hand among some, with a look at the share of runs that lie inside.
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

/// Quantiles of the errors around a run, `ln(predicted/measured)`, as few lineages tell them: those of one lineage left out;
/// `None` where no run of its family is within `reach`. `errors` ascend.
fn quantiles(
    errors: &[KnownError],
    features: &Features,
    without: Option<&str>,
    reach: f64,
) -> Option<(f64, f64)> {
    let mut nearest = f64::INFINITY;
    let mut lineages: BTreeMap<&str, f64> = BTreeMap::new();
    let mut weights = Vec::with_capacity(errors.len());
    for error in errors {
        if without == Some(&error.lineage) {
            weights.push(0.0);
            continue;
        }
        let distance = features.distance(&error.features);
        if error.features.family == features.family {
            nearest = nearest.min(distance);
        }
        let weight = libm::exp(-SHARPNESS * distance);
        *lineages.entry(&error.lineage).or_default() += weight;
        weights.push(weight);
    }
    if nearest > reach {
        return None;
    }
    for (weight, error) in weights.iter_mut().zip(errors) {
        if let Some(of_lineage) = lineages.get(error.lineage.as_str()) {
            *weight /= libm::pow(*of_lineage, 1.0 - OF_LINEAGE);
        }
    }
    let weighed = lineages.values().map(|it| libm::pow(*it, OF_LINEAGE));
    let mirrored = 1.0 / effective_number(weighed);
    let further = (1.0 + mirrored).sqrt();
    let mut both: Vec<(f64, f64)> = std::iter::zip(errors, weights)
        .filter(|(_, weight)| *weight > 0.0)
        .flat_map(|(error, weight)| [(error.error, weight), (-error.error, weight * mirrored)])
        .collect();
    both.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = both.iter().map(|(_, weight)| weight).sum();
    let quantile = |share: f64| {
        let mut below = 0.0;
        let reached = both.iter().find(|(_, weight)| {
            below += weight;
            below >= share * all
        });
        reached.or(both.last()).map(|(error, _)| *error * further)
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
    // lie at or below −0.8, eighteen at or below 0.7. Ten runs of another lineage on 8 times the GPUs are 1 away. The lineages
    // weigh 10^¾ = 5.62 and (10/e^1.5)^¾ = 1.83, together 1.59 of equal weight, so that the other sign weighs 0.63. Below −5
    // lie 0.63·1.83 = 1.15 of all 1.63·7.45 = 12.1, less than a tenth, which the next error reaches, −0.9; 5 is the largest.
    // The ends are √2 times as far from one lineage, √1.63 = 1.277 times from both.
    #[test]
    fn quantiles_weigh_runs_by_distance_and_mirror_errors_of_few_lineages() {
        let near = features("h100-sxm", 8);
        let mut errors: Vec<KnownError> = (0..10)
            .map(|i| error("near", near.clone(), f64::from(i) / 10.0))
            .collect();
        let is = |errors: &[KnownError], without, least: f64, most: f64| {
            let found = quantiles(errors, &near, without, REACH).expect("runs are near");
            let far = (found.0 - least).abs().max((found.1 - most).abs());
            assert!(far < 1e-3, "{found:?} is not {least} to {most}");
        };
        let two = std::f64::consts::SQRT_2;
        is(&errors, None, -0.8 * two, 0.7 * two);
        let far = features("h100-sxm", 64);
        errors.extend((0..10).map(|_| error("far", far.clone(), 5.0)));
        is(&errors, None, -0.9 * 1.2767, 5.0 * 1.2767);
        is(&errors, Some("far"), -0.8 * two, 0.7 * two);
        is(&errors, Some("near"), -5.0 * two, 5.0 * two);
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
