//! Metrics derived from a step and its scenario: rates, money, the verdict.

use itertools::Itertools as _;

use crate::collective::CollectiveOp;
use crate::interval::{Features, Interval, Quantity};
use crate::model::Architecture;
use crate::record::lost_time::{Bottleneck, LossContext, LostTime};
use crate::record::whole_training::{PhaseStep, WholeTraining};
use crate::simulation::{
    CollectiveReport, CollectiveScenario, StepPart, StepReport, TimeShares, TrainingScenario,
};
use crate::spec::{AnalysisSettings, BottleneckThresholds};
use crate::units::SimDuration;

/// Metrics derived from a simulated step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepMetrics {
    /// Samples per second of the job.
    pub samples_per_s: f64,
    /// Tokens per second of the job; `None` for images.
    pub tokens_per_s: Option<f64>,
    /// Tokens per second and GPU; `None` for images.
    pub tokens_per_s_per_gpu: Option<f64>,
    /// Work of the model per GPU, in FLOP/s.
    pub model_flops_per_gpu_per_s: f64,
    /// Model FLOPs utilization, 0–1.
    pub mfu: Option<f64>,
    /// Hardware FLOPs utilization, 0–1.
    pub hfu: Option<f64>,
    /// Fraction of the step in which compute kernels run, 0–1.
    pub gpu_utilization: f64,
    /// Fraction of the step that waits for communication, 0–1.
    pub comm_fraction: f64,
    /// Bottleneck, to be changed first.
    pub bottleneck: Bottleneck,
    /// Whether the peak of the memory lies inside the headroom.
    pub tight: bool,
    /// Seconds between which the step would be measured; `None` where nothing comparable was measured.
    pub step_time: Option<Interval>,
    /// Bytes between which the peak of the memory would be measured; `None` where nothing comparable was measured.
    pub memory_peak: Option<Interval>,
    /// Thresholds crossed, joined by commas.
    pub exceeded: String,
    /// Upper bound of the gain without the largest cause of lost time, and what changes it.
    pub advice: String,
    /// Rent for one step, in US dollars.
    pub cost_per_step_usd: Option<f64>,
    /// Rent per million tokens, in US dollars.
    pub cost_per_mtoken_usd: Option<f64>,
    /// Energy of the GPUs for one step and of the building around them, in kWh.
    pub energy_per_step_kwh: Option<f64>,
    /// The whole training; `None` without its tokens or samples.
    pub whole: Option<WholeTraining>,
}

impl StepMetrics {
    /// Computes them; the formulas stand with the columns.
    pub(crate) fn new(
        scenario: &TrainingScenario,
        step: &StepReport,
        phases: &[PhaseStep],
        settings: &AnalysisSettings,
    ) -> Self {
        let thresholds = &settings.thresholds;
        let seconds = step.step_time().as_secs_f64();
        let gpus = f64::from(scenario.gpus);
        let tokens = match scenario.model.architecture {
            Architecture::Transformer(_) => Some(step.tokens as f64),
            Architecture::Cnn(_) => None,
        };
        let peak = scenario.peak_of_each(step.layout.precision);
        let model_rate = step.model_flops.get() / gpus / seconds;
        let hardware_rate = step.hardware_flops.get() / gpus / seconds;
        let rent_per_hour = scenario.sum_over_gpus(|gpu, _| Some(gpu.price_per_hour?.usd()));
        let cost_per_step_usd = rent_per_hour.map(|usd| usd * seconds / 3_600.0);
        let shares = &step.shares;
        let context = LossContext {
            layout: &step.layout,
            gpus: scenario.gpus,
            domain_gpus: scenario.cluster.domain_gpus,
            recompute_is_auto: scenario.layout.recompute.is_none(),
        };
        let lost = LostTime::new(shares, &context);
        // Nothing was measured on several types of GPU.
        let features = scenario.pools.is_empty();
        let features = features.then(|| Features::of(scenario, Some(&step.layout)));
        let features = features.as_ref();
        let filled = step.memory.total().as_f64();
        Self {
            samples_per_s: f64::from(scenario.workload.global_batch) / seconds,
            tokens_per_s: tokens.map(|tokens| tokens / seconds),
            tokens_per_s_per_gpu: tokens.map(|tokens| tokens / seconds / gpus),
            model_flops_per_gpu_per_s: model_rate,
            mfu: peak.map(|peak| model_rate / peak),
            hfu: peak.map(|peak| hardware_rate / peak),
            gpu_utilization: gpu_utilization(shares),
            comm_fraction: fraction(shares.exposed_communication(), shares),
            bottleneck: lost.bottleneck(thresholds.gpu_utilization),
            tight: memory_share(step) > 1.0 - thresholds.memory_headroom,
            step_time: features.and_then(|it| Interval::of_step(step, it)),
            memory_peak: features.and_then(|it| Interval::around(filled, Quantity::MemoryPeak, it)),
            exceeded: exceeded(step, thresholds),
            advice: lost.advice(),
            cost_per_step_usd,
            cost_per_mtoken_usd: cost_per_step_usd
                .zip(tokens)
                .map(|(cost, tokens)| cost / (tokens / 1e6)),
            energy_per_step_kwh: energy_kwh(scenario, seconds),
            whole: WholeTraining::new(scenario, step, phases, settings),
        }
    }

    /// Rent for the whole training, in US dollars.
    pub(crate) fn total_cost_usd(&self) -> Option<f64> {
        Some(self.whole?.total(self.cost_per_step_usd?))
    }

    /// Energy of the GPUs for the whole training, in kWh.
    pub(crate) fn total_energy_kwh(&self) -> Option<f64> {
        Some(self.whole?.total(self.energy_per_step_kwh?))
    }
}

/// Energy of the GPUs over some seconds, and of the buildings around them, in kWh; `None` where the power of one is not
/// known.
fn energy_kwh(scenario: &TrainingScenario, seconds: f64) -> Option<f64> {
    let each = scenario.types().map(|(gpu, cluster, gpus)| {
        let watts = gpu.power?.as_watts();
        Some(watts * f64::from(gpus) * seconds / 3.6e6 * cluster.pue)
    });
    each.sum()
}

fn fraction(part: SimDuration, shares: &TimeShares) -> f64 {
    part.as_secs_f64() / shares.total().as_secs_f64()
}

/// Peak over capacity of the fullest GPU's memory.
fn memory_share(step: &StepReport) -> f64 {
    step.memory.total().as_f64() / step.memory_capacity.as_f64()
}

fn gpu_utilization(shares: &TimeShares) -> f64 {
    fraction(
        shares[StepPart::Compute] + shares[StepPart::Recompute] + shares[StepPart::Optimizer],
        shares,
    )
}

fn exceeded(step: &StepReport, thresholds: &BottleneckThresholds) -> String {
    let shares = &step.shares;
    let memory = memory_share(step);
    let crossed = [
        (
            "gpu_utilization",
            gpu_utilization(shares),
            thresholds.gpu_utilization,
        ),
        ("memory", memory, thresholds.memory),
        (
            "communication",
            fraction(shares.exposed_communication(), shares),
            thresholds.exposed_communication,
        ),
        (
            "bubble",
            fraction(shares[StepPart::Bubble], shares),
            thresholds.bubble,
        ),
    ];
    crossed
        .iter()
        .filter(|(_, value, threshold)| value > threshold)
        .map(|(name, ..)| name)
        .join(",")
}

/// Bus bandwidth over algorithm bandwidth: `2(n−1)/n` for all-reduce, `(n−1)/n` for all-gather, reduce-scatter and
/// all-to-all, 1 for broadcast and send/recv.
///
/// Source: nccl-tests, doc/PERFORMANCE.md.
pub(crate) fn bus_factor(op: CollectiveOp, ranks: u32) -> f64 {
    let ranks = f64::from(ranks);
    match op {
        CollectiveOp::AllReduce => 2.0 * (ranks - 1.0) / ranks,
        CollectiveOp::AllGather | CollectiveOp::ReduceScatter | CollectiveOp::AllToAll => {
            (ranks - 1.0) / ranks
        }
        CollectiveOp::Broadcast | CollectiveOp::SendRecv => 1.0,
    }
}

/// Bandwidths of one communication as nccl-tests counts them, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bandwidths {
    /// Size over time.
    pub algorithm: f64,
    /// Bus bandwidth: comparable to the rate of the links.
    pub bus: f64,
}

impl Bandwidths {
    /// Computes them: `algbw = S/t`, `busbw = algbw · f` with the [`bus_factor`].
    pub(crate) fn new(scenario: &CollectiveScenario, report: &CollectiveReport) -> Option<Self> {
        let seconds = report.time.as_secs_f64();
        let factor = bus_factor(scenario.op, scenario.gpus);
        let algorithm = scenario.size.as_f64() / seconds;
        (seconds > 0.0).then_some(Self {
            algorithm,
            bus: algorithm * factor,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::collective::{CollectiveAlgorithm, Protocol};
    use crate::simulation::NetworkUse;
    use crate::units::Bytes;

    /// Milliseconds of compute, recomputation, data-parallel communication and bubble.
    fn shares(compute: u64, recompute: u64, dp_comm: u64, bubble: u64) -> TimeShares {
        let millis = |n: u64| SimDuration::from_micros(1_000 * n);
        TimeShares::from([
            (StepPart::Compute, millis(compute)),
            (StepPart::Recompute, millis(recompute)),
            (StepPart::DpComm, millis(dp_comm)),
            (StepPart::Bubble, millis(bubble)),
        ])
    }

    // (60 + 25) / 100 of the step are kernels, 10 of 100 communication.
    #[test]
    fn utilisation_counts_kernels_and_the_fraction_counts_waiting() {
        let shares = shares(60, 25, 10, 5);
        assert!((gpu_utilization(&shares) - 0.85).abs() < 1e-12);
        assert!((fraction(shares.exposed_communication(), &shares) - 0.1).abs() < 1e-12);
    }

    // 1 GB over 8 ranks in 10 ms: algbw 100 GB/s; all-reduce moves 2·7/8 of that over each link,
    // all-gather 7/8, a broadcast all of it.
    #[test]
    fn bandwidths_are_those_of_nccl_tests() {
        let catalog = Catalog::builtin();
        let report = CollectiveReport {
            time: SimDuration::from_micros(10_000),
            algorithm: CollectiveAlgorithm::Ring.into(),
            protocol: Protocol::Simple,
            network: NetworkUse::default(),
            events: 1,
        };
        for (op, bus) in [
            (CollectiveOp::AllReduce, 175e9),
            (CollectiveOp::AllGather, 87.5e9),
            (CollectiveOp::ReduceScatter, 87.5e9),
            (CollectiveOp::AllToAll, 87.5e9),
            (CollectiveOp::Broadcast, 100e9),
            (CollectiveOp::SendRecv, 100e9),
        ] {
            let scenario = CollectiveScenario {
                gpu: Arc::clone(&catalog.gpus["h100-sxm"]),
                cluster: Arc::clone(&catalog.clusters["dgx-h100"]),
                gpus: 8,
                op,
                size: Bytes::new(1_000_000_000),
                algorithm: None,
                protocol: None,
                ranks_per_process: 1,
            };
            let got = Bandwidths::new(&scenario, &report).unwrap();
            assert!((got.algorithm / 100e9 - 1.0).abs() < 1e-12);
            assert!((got.bus / bus - 1.0).abs() < 1e-12, "{op}: {}", got.bus);
        }
    }
}
