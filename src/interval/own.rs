//! Measured runs of one's own, and what they say about the runs near them.

use super::features::Features;
use super::quantiles::NEAR;
use crate::simulation::{StepReport, TrainingScenario};

/// Measured run of one's own with its prediction; repeats are one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnRun {
    /// Name by which messages call it.
    pub(crate) name: String,
    /// Features of the run.
    pub(crate) features: Features,
    /// Predicted seconds of a step.
    pub(crate) simulated_s: f64,
    /// Measured seconds of a step, one for each repeat.
    pub(crate) measured_s: Vec<f64>,
}

impl OwnRun {
    /// Whether another run is of the same configuration, as far as the simulator tells two apart.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        self.is_run(&other.features, other.simulated_s)
    }

    /// Whether a step with these features and this predicted time is this run.
    fn is_run(&self, features: &Features, simulated_s: f64) -> bool {
        // Simulations of one configuration agree to the last digit.
        self.simulated_s.to_bits() == simulated_s.to_bits()
            && features.distance(&self.features) == 0.0
    }

    /// Measured over predicted time; of repeats their geometric mean.
    pub(crate) fn ratio(&self) -> f64 {
        libm::exp(self.mean_ln()) / self.simulated_s
    }

    fn mean_ln(&self) -> f64 {
        let lns = self.measured_s.iter().map(|seconds| libm::log(*seconds));
        lns.sum::<f64>() / self.measured_s.len() as f64
    }

    /// Sum of the squares by which ln(measured) differs from its mean among repeats.
    fn squares(&self) -> f64 {
        let mean = self.mean_ln();
        let differences = self.measured_s.iter().map(|it| libm::log(*it) - mean);
        differences.map(|it| it * it).sum()
    }
}

/// Measured runs of one's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OwnRuns(Vec<OwnRun>);

/// Share that a run has in the correction of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Influence<'a> {
    pub(crate) run: &'a OwnRun,
    /// Distance from the point; 0 of the same features.
    pub(crate) distance: f64,
    /// Power to which its ratio is taken.
    pub(crate) weight: f64,
}

impl OwnRuns {
    /// Runs, each of another configuration.
    pub(crate) const fn new(runs: Vec<OwnRun>) -> Self {
        Self(runs)
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The step as its own measured runs correct it; as it is where none lies within [`NEAR`].
    ///
    /// `t = s·Πrᵢ^wᵢ` with the simulated time `s`, the ratios `rᵢ` of measured over simulated time and the weights of
    /// [`OwnRuns::influences`]. All parts of the step are scaled alike: a measured time says how long a step took, not why.
    pub(crate) fn correct(&self, scenario: &TrainingScenario, step: StepReport) -> StepReport {
        // Nothing was measured on several types of GPU.
        if !scenario.pools.is_empty() {
            return step;
        }
        let features = Features::of(scenario, Some(&step.layout));
        let influences = self.influences(&features, step.step_time().as_secs_f64());
        let share: f64 = influences.iter().map(|it| it.weight).sum();
        if influences.is_empty() {
            return step;
        }
        let lns = influences.iter();
        let ln: f64 = lns.map(|it| it.weight * libm::log(it.run.ratio())).sum();
        step.corrected(libm::exp(ln), share.min(1.0), self.spread())
    }

    /// The runs that correct a step with these features and this simulated time, the most important first.
    ///
    /// A run of the same configuration decides alone, with weight 1. Else a run at distance `d` shares
    /// `cᵢ = (exp(−d) − exp(−R))/(1 − exp(−R))` of its error with the step, nothing from the reach `R` on. Among the shipped
    /// runs, one of a source so takes away two fifths of the error of the source's others near it; no other rate or reach of the
    /// decay leaves over 2% less, as a test says. The nearest run decides how much of the correction holds, `max cᵢ`; among
    /// several each counts as `cᵢ/(1 − cᵢ)`, the inverse of what it leaves unknown. So a run weighs `max c · vᵢ/Σv`: all weights
    /// sum to the share of the nearest, and runs that agree do not add up.
    pub(crate) fn influences(&self, features: &Features, simulated_s: f64) -> Vec<Influence<'_>> {
        if let Some(run) = self.0.iter().find(|run| run.is_run(features, simulated_s)) {
            return vec![Influence {
                run,
                distance: 0.0,
                weight: 1.0,
            }];
        }
        let shared = |run: &OwnRun| {
            let distance = features.distance(&run.features);
            (distance, shared_error(distance))
        };
        let near: Vec<(&OwnRun, f64, f64)> = (self.0.iter())
            .map(|run| (run, shared(run)))
            .filter(|(_, (_, shared))| *shared > 0.0)
            .map(|(run, (distance, shared))| (run, distance, shared))
            .collect();
        let most = near.iter().map(|it| it.2).fold(0.0, f64::max);
        // A run with the same features leaves little unknown, not nothing.
        let precision = |shared: f64| shared / (1.0 - shared).max(1e-6);
        let all: f64 = near.iter().map(|it| precision(it.2)).sum();
        let mut found: Vec<Influence<'_>> = (near.into_iter())
            .map(|(run, distance, shared)| Influence {
                run,
                distance,
                weight: most * precision(shared) / all,
            })
            .collect();
        found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        found
    }

    /// Standard deviation of ln(time) among the repeats of all runs; 0 where nothing was repeated.
    pub(crate) fn spread(&self) -> f64 {
        let squares: f64 = self.0.iter().map(OwnRun::squares).sum();
        let free: usize = self.0.iter().map(|run| run.measured_s.len() - 1).sum();
        if free == 0 {
            0.0
        } else {
            (squares / free as f64).sqrt()
        }
    }
}

/// Share of its error that a run has in common with another at a distance, 0–1.
fn shared_error(distance: f64) -> f64 {
    decay(distance, 1.0, NEAR)
}

/// An exponential decay from 1 at distance 0 to 0 at the reach and beyond.
fn decay(distance: f64, rate: f64, reach: f64) -> f64 {
    let beyond = libm::exp(-rate * reach);
    ((libm::exp(-rate * distance) - beyond) / (1.0 - beyond)).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use itertools::iproduct;

    use super::super::errors::{Quantity, known};
    use super::*;
    use crate::catalog::Catalog;
    use crate::simulation::{Scratch, simulate_training};

    fn job(gpus: u32) -> TrainingScenario {
        let catalog = Catalog::builtin();
        let mut job = TrainingScenario::new(
            catalog.models["llama3-8b"].clone(),
            catalog.gpus["h100-sxm"].clone(),
            catalog.clusters["dgx-h100"].clone(),
            catalog.stacks["megatron-2025"].clone(),
        );
        (job.gpus, job.workload.global_batch) = (gpus, 512);
        let layout = &mut job.layout;
        (layout.tp, layout.pp, layout.cp, layout.ep) = (Some(2), Some(1), Some(1), Some(1));
        job
    }

    fn run(name: &str, gpus: u32, simulated_s: f64, measured_s: &[f64]) -> OwnRun {
        OwnRun {
            name: name.to_owned(),
            features: Features::of(&job(gpus), None),
            simulated_s,
            measured_s: measured_s.to_vec(),
        }
    }

    fn weights(runs: &OwnRuns, gpus: u32, simulated_s: f64) -> Vec<(String, f64)> {
        let features = Features::of(&job(gpus), None);
        let found = runs.influences(&features, simulated_s).into_iter();
        found.map(|it| (it.run.name.clone(), it.weight)).collect()
    }

    // 8 times the GPUs are 1 away: (e⁻¹ − e⁻³)/(1 − e⁻³) = (0.36788 − 0.04979)/0.95021 = 0.33476. 512 times are 3 away, where
    // nothing is left. The run itself, which its simulated time tells, decides alone.
    #[test]
    fn a_run_weighs_less_the_farther_it_is() {
        let runs = OwnRuns::new(vec![run("one", 8, 2.0, &[3.0])]);
        assert_eq!(weights(&runs, 8, 2.0), [("one".to_owned(), 1.0)]);
        let far = weights(&runs, 64, 1.0);
        assert!((far[0].1 - 0.334_76).abs() < 1e-5, "{far:?}");
        assert!(weights(&runs, 8 * 512, 1.0).is_empty());
        assert!((runs.0[0].ratio() - 1.5).abs() < 1e-12);
    }

    // A point of 64 GPUs between runs of 8 and of 512: both are 1 away, so they share the weight of one. One of 16 is 1/3
    // from the first, c = (0.71653 − 0.04979)/0.95021 = 0.70168, and 5/3 from the second, c = (0.18888 − 0.04979)/0.95021 =
    // 0.14638: they count as 0.70168/0.29832 = 2.35210 and 0.14638/0.85362 = 0.17148, shares of 0.70168 in all.
    #[test]
    fn among_several_the_nearest_says_most_and_all_say_no_more_than_it() {
        let runs = OwnRuns::new(vec![
            run("small", 8, 2.0, &[3.0]),
            run("large", 512, 0.1, &[0.1]),
        ]);
        let middle = weights(&runs, 64, 1.0);
        assert!(middle.iter().all(|it| (it.1 - 0.334_76 / 2.0).abs() < 1e-5));
        let near = weights(&runs, 16, 1.0);
        let expected = [("small", 2.352_10), ("large", 0.171_48)];
        for ((name, weight), (of, precision)) in near.iter().zip(expected) {
            let share = 0.701_68 * precision / (2.352_10 + 0.171_48);
            assert!(name == of && (weight - share).abs() < 1e-4, "{near:?}");
        }
    }

    // ln(4/2) apart, each differs from the mean by ln(2)/2: the variance of two is 2·(0.34657)²/1, its root 0.49013. The mean
    // of 2 and 4 is √8.
    #[test]
    fn repeats_are_one_run_with_a_spread() {
        let twice = run("twice", 8, 1.0, &[2.0, 4.0]);
        assert!((twice.ratio() - 8_f64.sqrt()).abs() < 1e-12);
        let runs = OwnRuns::new(vec![twice, run("once", 64, 1.0, &[1.0])]);
        assert!((runs.spread() - 0.490_13).abs() < 1e-5);
        assert!(OwnRuns::new(vec![run("once", 64, 1.0, &[1.0])]).spread() < 1e-12);
    }

    // The parts are scaled alike and rounded to picoseconds, of which there are ten.
    #[test]
    fn a_corrected_step_is_the_measured_one_and_its_parts_sum_to_it() {
        let job = job(8);
        let step = simulate_training(&job, &mut Scratch::default()).expect("it fits");
        let simulated = step.step_time().as_secs_f64();
        let measured = OwnRun {
            features: Features::of(&job, Some(&step.layout)),
            ..run("it", 8, simulated, &[1.25 * simulated])
        };
        let corrected = OwnRuns::new(vec![measured]).correct(&job, step.clone());
        assert_eq!(corrected.simulated_time(), step.step_time());
        assert!((corrected.correction_factor() - 1.25).abs() < 1e-9);
        for (part, time) in step.shares.iter() {
            let scaled = corrected.shares[part].as_secs_f64();
            assert!((scaled - 1.25 * time.as_secs_f64()).abs() < 1e-11, "{part}");
        }
        assert_eq!(OwnRuns::default().correct(&job, step.clone()), step);
    }

    /// Sums over pairs of shipped runs of one source nearer than `reach`: of `f` of their errors and their distance. A source
    /// counts as much as its share of pairs leaves each of its runs the same weight.
    fn over_pairs(reach: f64, f: impl Fn(f64, f64, f64) -> [f64; 2]) -> f64 {
        let errors = known(Quantity::StepTime);
        let mut sources: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, error) in errors.iter().enumerate() {
            sources.entry(&error.lineage).or_default().push(at);
        }
        let mut sums = [0.0, 0.0];
        for runs in sources.values() {
            let pairs = runs
                .iter()
                .flat_map(|one| runs.iter().map(move |other| (one, other)));
            for (one, other) in pairs.filter(|(one, other)| one != other) {
                let (one, other) = (&errors[*one], &errors[*other]);
                let distance = one.features.distance(&other.features);
                if distance < reach {
                    let found = f(distance, one.error, other.error);
                    let share = (runs.len() as f64).powi(-2);
                    sums = [sums[0] + share * found[0], sums[1] + share * found[1]];
                }
            }
        }
        sums[0] / sums[1]
    }

    // One run of a source taken as measured: what is left of the error of the source's others. Without a correction it would
    // be 1, and beyond where weights say more than errors have in common. Those with the same features err alike. No other
    // rate or reach of the decay leaves 2% less; a step function of the distance, fitted freely to these errors, leaves 0.80 of all.
    #[test]
    fn a_measured_run_takes_away_as_much_of_the_error_of_others_as_any_decay_of_its_weight_would() {
        let left = |reach, shared: &dyn Fn(f64) -> f64| {
            over_pairs(reach, |distance, one, other| {
                [(other - shared(distance) * one).abs(), other.abs()]
            })
        };
        let near = left(1.0, &shared_error);
        assert!(near < 0.6, "{near} of those near");
        let all = left(f64::INFINITY, &shared_error);
        assert!(all < 0.9, "{all} of all");
        for (rate, reach) in iproduct!([0.3, 0.5, 0.7, 1.3, 2.0], [NEAR, 5.0, 9.0]) {
            let other = left(f64::INFINITY, &|distance| decay(distance, rate, reach));
            assert!(
                all < 1.02 * other,
                "{all} of all, {other} with {rate}, {reach}"
            );
        }
        let alike = over_pairs(1e-9, |_, one, other| {
            [one * other, f64::midpoint(one * one, other * other)]
        });
        assert!(alike > 0.9, "{alike}");
    }
}
