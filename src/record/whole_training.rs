//! Time, rent and energy of a whole training: its steps, and what comes beside them.

use crate::model::Architecture;
use crate::record::interruptions::Interruptions;
use crate::simulation::{StepPart, StepReport, TrainingScenario, checkpoint_size};
use crate::spec::{AnalysisSettings, BesideStep};
use crate::units::SimDuration;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Bytes of a token in a data set: two where the vocabulary has under 65,500 entries, else four.
///
/// Source: Megatron-LM, megatron/core/datasets/indexed_dataset.py, `DType.optimal_dtype`.
const fn token_bytes(vocab: u32) -> f64 {
    if vocab < 65_500 { 2.0 } else { 4.0 }
}

/// Whole training at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WholeTraining {
    /// Time that its steps take by themselves over the expected time, 0–1.
    pub goodput: f64,
    /// Expected time in days.
    pub days: f64,
    /// Steps by time: the expected time over that of a step.
    step_times: f64,
}

impl WholeTraining {
    /// The training of so many tokens or samples as the settings say; `None` without them, and for images where they
    /// are tokens.
    ///
    /// `T = n·(max(t + s, d) + e)·i` with `n` steps of `t` seconds, `s` what slow nodes add, `d` the time to read the
    /// data of a step, `e` the share of an evaluation, and the stretch `i` of checkpoints, failures and restarts.
    pub(super) fn new(
        scenario: &TrainingScenario,
        step: &StepReport,
        settings: &AnalysisSettings,
    ) -> Option<Self> {
        let steps = steps(scenario, step, settings)?;
        let beside = &settings.beside;
        let seconds = step.step_time().as_secs_f64();
        let slowed = seconds + slowed_by(step, beside);
        let reading = beside.data_bandwidth.map_or(0.0, |rate| {
            data_bytes(scenario, step) / rate.as_bytes_per_s()
        });
        let nodes = scenario.gpus.div_ceil(scenario.cluster.gpus_per_node);
        let interruptions =
            Interruptions::of(beside, nodes, checkpoint_size(scenario, &step.layout));
        let each = slowed.max(reading) + evaluation(step, beside);
        let expected = steps * each * interruptions.stretch();
        Some(Self {
            goodput: steps * seconds / expected,
            days: expected / DAY,
            step_times: expected / seconds,
        })
    }

    /// Something that a step costs, over the whole time: GPUs are paid for whether they step or not.
    pub(crate) const fn total(&self, of_step: f64) -> f64 {
        self.step_times * of_step
    }
}

/// Steps of the training.
fn steps(
    scenario: &TrainingScenario,
    step: &StepReport,
    settings: &AnalysisSettings,
) -> Option<f64> {
    if let Some(samples) = settings.samples {
        return Some(samples / f64::from(scenario.workload.global_batch));
    }
    match scenario.model.architecture {
        Architecture::Transformer(_) => Some(settings.tokens? / step.tokens as f64),
        Architecture::Cnn(_) => None,
    }
}

/// Seconds that slow nodes add to a step: everyone waits for the kernels of the slowest.
fn slowed_by(step: &StepReport, beside: &BesideStep) -> f64 {
    let Some(slow) = beside.slow_nodes.filter(|slow| slow.nodes > 0.0) else {
        return 0.0;
    };
    let kernels = [StepPart::Compute, StepPart::Recompute, StepPart::Optimizer];
    let kernels: SimDuration = kernels.map(|part| step.shares[part]).into_iter().sum();
    (slow.factor - 1.0) * kernels.as_secs_f64()
}

/// Bytes that a step reads: its tokens, or the pixels of its images in three bytes each.
fn data_bytes(scenario: &TrainingScenario, step: &StepReport) -> f64 {
    match &scenario.model.architecture {
        Architecture::Transformer(network) => step.tokens as f64 * token_bytes(network.vocab),
        Architecture::Cnn(network) => {
            let side = f64::from(network.image_size);
            f64::from(scenario.workload.global_batch) * 3.0 * side * side
        }
    }
}

/// Seconds of evaluation per step: forward passes alone, with their share of the pipeline's bubble.
fn evaluation(step: &StepReport, beside: &BesideStep) -> f64 {
    let Some(evaluation) = beside.evaluation else {
        return 0.0;
    };
    let forward = step.forward.as_secs_f64();
    let both = forward + step.backward.as_secs_f64();
    let bubble = step.shares[StepPart::Bubble].as_secs_f64() * forward / both;
    evaluation.steps / evaluation.every * (forward + bubble)
}
