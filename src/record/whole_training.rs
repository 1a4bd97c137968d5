//! Time, rent and energy of a whole training: its steps, and what comes beside them.

use crate::interval::OwnRuns;
use crate::model::{Architecture, Diffusion, Ends};
use crate::record::interruptions::Interruptions;
use crate::simulation::{
    Scratch, StepPart, StepReport, TrainingScenario, checkpoint_size, simulate_training,
};
use crate::spec::{AnalysisSettings, BesideStep, Phase};
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

/// Step of a phase of the training; `None` where the phase cannot run.
pub(crate) type PhaseStep = Option<(TrainingScenario, StepReport)>;

/// Simulates the phases of a training whose main step is that of `scenario`; each with a layout of its own, as far as the
/// scenario leaves it open, and as measured runs of one's own correct it.
pub(crate) fn phase_steps(
    scenario: &TrainingScenario,
    phases: &[Phase],
    measured: &OwnRuns,
    scratch: &mut Scratch,
) -> Vec<PhaseStep> {
    let step = |phase: &Phase| {
        let mut scenario = scenario.clone();
        let workload = &mut scenario.workload;
        workload.global_batch = phase.global_batch.unwrap_or(workload.global_batch);
        if scenario.model.transformer().is_some() {
            workload.seq_len = phase.seq_len.unwrap_or(workload.seq_len);
        }
        let step = simulate_training(&scenario, scratch).ok()?;
        let step = measured.correct(&scenario, step);
        Some((scenario, step))
    };
    phases.iter().map(step).collect()
}

/// Steps of one kind in a training.
struct Part<'a> {
    scenario: &'a TrainingScenario,
    step: &'a StepReport,
    /// Tokens or samples, as the settings count them.
    amount: f64,
}

impl WholeTraining {
    /// The training of so many tokens or samples as the settings say: its phases, and what is left with the main step.
    /// `None` without them, for images where they are tokens, where a phase cannot run, and where the training never
    /// ends.
    ///
    /// `T = i·Σ n·(max(t + s, d) + e)` over the phases, with `n` steps of `t` seconds, `s` what slow nodes add, `d` the
    /// time to read the data of a step, `e` the share of an evaluation, and the stretch `i` of checkpoints, failures
    /// and restarts.
    pub(super) fn new(
        scenario: &TrainingScenario,
        step: &StepReport,
        phases: &[PhaseStep],
        settings: &AnalysisSettings,
    ) -> Option<Self> {
        let mut amount = settings.question.amount()?;
        let mut parts = Vec::with_capacity(phases.len() + 1);
        for (phase, settings) in phases.iter().zip(&settings.phases) {
            let (scenario, step) = phase.as_ref()?;
            amount -= settings.amount;
            parts.push(Part {
                scenario,
                step,
                amount: settings.amount,
            });
        }
        parts.push(Part {
            scenario,
            step,
            amount,
        });
        let (mut productive, mut expected) = (0.0, 0.0);
        for part in parts {
            let steps = part.amount / part.of_step(settings)?;
            productive += steps * part.step.step_time().as_secs_f64();
            expected += steps * part.seconds(&settings.beside);
        }
        let nodes = scenario.nodes();
        let size = checkpoint_size(scenario, &step.layout);
        expected *= Interruptions::of(&settings.beside, nodes, size).stretch();
        // A job that fails far more often than it writes a checkpoint never ends.
        expected.is_finite().then(|| Self {
            goodput: productive / expected,
            days: expected / DAY,
            step_times: expected / step.step_time().as_secs_f64(),
        })
    }

    /// Something that a step costs, over the whole time: GPUs are paid for whether they step or not.
    pub(crate) const fn total(&self, of_step: f64) -> f64 {
        self.step_times * of_step
    }
}

impl Part<'_> {
    /// Samples or tokens of a step; `None` where they are tokens and the step has images.
    fn of_step(&self, settings: &AnalysisSettings) -> Option<f64> {
        if settings.question.samples.is_some() {
            return Some(f64::from(self.scenario.workload.global_batch));
        }
        match self.scenario.model.architecture {
            Architecture::Transformer(_) => Some(self.step.tokens as f64),
            Architecture::Cnn(_) => None,
        }
    }

    /// Seconds of a step with what slow nodes, data and evaluations add.
    fn seconds(&self, beside: &BesideStep) -> f64 {
        let (scenario, step) = (self.scenario, self.step);
        let slowed = step.step_time().as_secs_f64() + slowed_by(step, beside);
        let reading = beside.data_bandwidth.map_or(0.0, |rate| {
            data_bytes(scenario, step) / rate.as_bytes_per_s()
        });
        slowed.max(reading) + evaluation(step, beside)
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

/// Bytes that a step reads: its tokens, the pixels of its images in a byte for each colour, or the values of its latents
/// in two bytes each.
fn data_bytes(scenario: &TrainingScenario, step: &StepReport) -> f64 {
    let images = |side: u32, channels: u32, each: f64| {
        let pixels = f64::from(side) * f64::from(side);
        f64::from(scenario.workload.global_batch) * pixels * f64::from(channels) * each
    };
    match &scenario.model.architecture {
        Architecture::Transformer(network) => match network.ends {
            Ends::Decoder | Ends::Encoder | Ends::EncoderDecoder(_) => {
                let text = step.tokens as f64 * token_bytes(network.vocab);
                let seen = network.vision.as_ref().map(|vision| vision.images);
                text + seen.map_or(0.0, |it| {
                    images(it.image_size, it.channels, it.images.into())
                })
            }
            Ends::Images(seen) => images(seen.image_size, seen.channels, seen.images.into()),
            Ends::Vit(image) => images(image.image_size, image.channels, 1.0),
            Ends::Dit(Diffusion { latent, .. }) => images(latent.image_size, latent.channels, 2.0),
        },
        Architecture::Cnn(network) => images(network.image_size, 3, 1.0),
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
