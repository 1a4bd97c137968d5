//! Step times when kernel times vary.

use hdrhistogram::Histogram;

use crate::halt;
use crate::simulation::parts::Parts;
use crate::simulation::random::{GOLDEN, mixed};
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::slowest::normal_quantile;
use crate::simulation::training::timeline::{DeviceTimes, Timeline};
use crate::simulation::{Infeasible, Percentiles};
use crate::units::SimDuration;

/// Share of a kernel time's variance that belongs to the GPU and stays over the steps (estimate).
const PERSISTENT: f64 = 0.25;
/// Share of it that a GPU draws anew for each step (estimate).
const PER_STEP: f64 = 0.25;

/// Times of the simulated steps.
pub(super) struct Spread {
    /// Times of the critical device in the mean step.
    pub(super) mean: DeviceTimes,
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
    let mut times = StepTimes::default();
    let mut total = DeviceSum::default();
    let mut events = 0;
    let mut slowdown = vec![1.0; stages as usize];
    for step in 0..u64::from(run.iterations) {
        halt::check();
        for (stage, factor) in slowdown.iter_mut().enumerate() {
            *factor =
                (1.0 + persistent[stage] + sigma(PER_STEP) * draw(step, stage as u64)).max(0.1);
        }
        let played = costs.play(pricing, timeline, &slowdown)?;
        times.record(played.time());
        total.add(&played.device);
        events += played.events;
    }
    Ok(Spread {
        mean: total.mean(run.iterations),
        percentiles: times.percentiles(),
        events,
    })
}

/// Distribution of step times, of any number of steps in a few megabytes.
struct StepTimes(Histogram<u64>);

impl Default for StepTimes {
    /// No steps: a histogram that keeps four digits of each time in nanoseconds and grows with the longest.
    fn default() -> Self {
        Self(Histogram::new(4).expect("four digits are supported"))
    }
}

impl StepTimes {
    fn record(&mut self, step: SimDuration) {
        self.0
            .record(step.as_picos() / 1000)
            .expect("the histogram grows to any time");
    }

    /// Times that 50%, 95% and 99% of the steps do not exceed.
    fn percentiles(&self) -> Percentiles {
        let at = |quantile| SimDuration::from_nanos(self.0.value_at_quantile(quantile));
        Percentiles {
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// Sum of the critical device's times over steps, in picoseconds.
#[derive(Default)]
struct DeviceSum {
    shares: Parts<u128>,
    forward: u128,
    backward: u128,
    comm_busy: u128,
}

impl DeviceSum {
    fn add(&mut self, device: &DeviceTimes) {
        let picos = |time: SimDuration| u128::from(time.as_picos());
        self.shares += &device.shares.map(picos);
        self.forward += picos(device.forward);
        self.backward += picos(device.backward);
        self.comm_busy += picos(device.comm_busy);
    }

    fn mean(&self, steps: u32) -> DeviceTimes {
        let of = |sum: u128| SimDuration::from_picos((sum / u128::from(steps.max(1))) as u64);
        DeviceTimes {
            shares: self.shares.map(of),
            forward: of(self.forward),
            backward: of(self.backward),
            comm_busy: of(self.comm_busy),
        }
    }
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
    use proptest::prelude::*;

    use super::*;

    // The mean of 100,000 uniform numbers has a standard deviation of 0.2887/√100000 = 0.0009.
    #[test]
    fn counters_give_uniform_numbers() {
        let draws = 100_000;
        let sum: f64 = (0..draws).map(|step| uniform(7, step, 3)).sum();
        assert!((sum / draws as f64 - 0.5).abs() < 0.004);
    }

    proptest! {
        // Of n sorted times, the one that a share q does not exceed is the ⌈q·n⌉th. Times of 10 µs to 10 s; a
        // histogram of four digits is off by at most 1/10,000 of the time, and by the nanosecond that it counts in.
        #[test]
        fn percentiles_are_those_of_the_sorted_times(
            micros in prop::collection::vec(10.0..10_000_000.0_f64, 1..300),
        ) {
            let mut sorted: Vec<SimDuration> =
                micros.iter().map(|it| SimDuration::from_secs_f64(it * 1e-6)).collect();
            let mut times = StepTimes::default();
            for &time in &sorted {
                times.record(time);
            }
            sorted.sort_unstable();
            let found = times.percentiles();
            for (quantile, found) in [(0.50, found.p50), (0.95, found.p95), (0.99, found.p99)] {
                let rank = (quantile * sorted.len() as f64).ceil() as usize;
                let (exact, found) = (sorted[rank - 1].as_secs_f64(), found.as_secs_f64());
                prop_assert!((found - exact).abs() <= 1e-4 * exact + 1e-9, "{}: {} and {}", quantile, found, exact);
            }
        }
    }
}
