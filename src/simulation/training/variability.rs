//! Step times when kernel times vary.

use hdrhistogram::Histogram;

use crate::simulation::random::{GOLDEN, mixed};
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::slowest::normal_quantile;
use crate::simulation::training::timeline::Timeline;
use crate::simulation::{Infeasible, Percentiles};
use crate::units::SimDuration;

/// Share of a kernel time's variance that belongs to the GPU and stays over the steps (estimate).
const PERSISTENT: f64 = 0.25;
/// Share of it that a GPU draws anew for each step (estimate).
const PER_STEP: f64 = 0.25;

/// Times of the simulated steps.
pub(super) struct Spread {
    /// Mean step.
    pub(super) mean: SimDuration,
    /// Percentiles.
    pub(super) percentiles: Percentiles,
    /// Events of all steps.
    pub(super) events: u64,
}

/// Simulates the steps of a layout whose GPUs differ in speed.
///
/// Noise per kernel averages out over the thousands of kernels of a step. What remains is a
/// persistent difference between GPUs and a deviation per step; each stage is as slow as the
/// slowest of its ranks. The maximum over n identically distributed ranks is drawn as one order statistic, the
/// quantile at `U^(1/n)`, so that cost does not grow with n (David & Nagaraja, Order Statistics,
/// 2.1). Draws are counter-based: seed, step and stage decide them.
///
/// # Errors
/// If a requested collective cannot run on this network.
pub(super) fn spread(
    costs: &StepCosts,
    pricing: &mut Pricing,
    timeline: &mut Timeline,
) -> Result<Spread, Infeasible> {
    let run = costs.scenario.run;
    let stages = costs.layout.pp;
    let ranks = f64::from(costs.scenario.gpus / stages);
    let sigma = |share: f64| run.variability * libm::sqrt(share);
    let draw = |step: u64, stage: u64| {
        normal_quantile(libm::pow(uniform(run.seed, step, stage), 1.0 / ranks))
    };
    let persistent: Vec<f64> = (0..u64::from(stages))
        .map(|stage| sigma(PERSISTENT) * draw(u64::MAX, stage))
        .collect();
    let mut histogram = Histogram::<u64>::new(5).expect("five digits are supported");
    let (mut total, mut events) = (0_u128, 0);
    let mut slowdown = vec![1.0; stages as usize];
    for step in 0..u64::from(run.iterations) {
        for (stage, factor) in slowdown.iter_mut().enumerate() {
            *factor =
                (1.0 + persistent[stage] + sigma(PER_STEP) * draw(step, stage as u64)).max(0.1);
        }
        let played = costs.play(pricing, timeline, &slowdown)?;
        let picos = played.time().as_picos();
        total += u128::from(picos);
        events += played.events;
        // The histogram counts nanoseconds; five digits of them are finer than any step's spread.
        histogram.saturating_record(picos / 1000);
    }
    let at = |quantile| SimDuration::from_nanos(histogram.value_at_quantile(quantile));
    Ok(Spread {
        mean: SimDuration::from_picos((total / u128::from(run.iterations.max(1))) as u64),
        percentiles: Percentiles {
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
        },
        events,
    })
}

/// Uniform number in (0, 1), drawn by the counters `step` and `stage`.
fn uniform(seed: u64, step: u64, stage: u64) -> f64 {
    let mut bits = seed;
    for word in [step, stage] {
        bits = mixed(bits ^ mixed(word.wrapping_add(GOLDEN)));
    }
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    // The mean of 100,000 uniform numbers has a standard deviation of 0.2887/√100000 = 0.0009.
    #[test]
    fn counters_give_uniform_numbers() {
        let draws = 100_000;
        let sum: f64 = (0..draws).map(|step| uniform(7, step, 3)).sum();
        assert!((sum / draws as f64 - 0.5).abs() < 0.004);
    }
}
