//! Sizes of a step that the simulator's integers hold; beyond them a job is refused, with the limit.
//!
//! The bounds are coarse and far above what runs: a job that one of them refuses needs thousands of times the memory
//! of any GPU, or trains for weeks per step.

use crate::hardware::AttentionKernel;
use crate::model::Transformer;
use crate::simulation::training::dual_pipe::unfolded;
use crate::simulation::{Infeasible, Layout, TrainingScenario};
use crate::stack::PipelineSchedule;
use crate::units::SimDuration;

/// Most bytes of activations that are counted on one rank, 4 EiB: sums of a few such amounts fit into 64 bits.
const ACTIVATION_BYTES: f64 = (1_u64 << 62) as f64;

/// Most passes of a step each way: microbatches times virtual stages. Each takes some 2 KB while it is played.
const PASSES: u64 = 10_000_000;

/// Longest step in days, of the 213 that a simulated time holds: a step takes less than seven times its lower bound.
const STEP_DAYS: f64 = 30.0;

/// Tokens in flight, and of a sequence, that no model's activations take to the limit.
const FEW_TOKENS: f64 = (1_u64 << 27) as f64;
const SHORT_SEQUENCE: u32 = 1 << 20;

/// Bytes per element and score, temporary ones included: unfused attention passes seven 4-byte tensors over its scores.
const BYTES_PER_ELEMENT: f64 = 32.0;

/// Chunks that the schedules with several hold at most, per chunk of a stage: the warm-up of the interleaved one is below
/// `2·(p − 1) + (v − 1)·2p` passes of `p` stages.
const CHUNKS_IN_FLIGHT: f64 = 5.0;

/// Checks that the bytes of the activations can be counted, whatever layout is chosen.
///
/// # Errors
/// If an upper bound on the bytes that one rank handles is over 4 EiB. Of the elements per token, a layer has no more than
/// its parameters over the hidden width, and a dozen residual streams.
pub(super) fn check_activations(
    scenario: &TrainingScenario,
    attention: AttentionKernel,
) -> Result<(), Infeasible> {
    let (asked, workload) = (&scenario.layout, scenario.workload);
    let Some(network) = scenario.model.transformer() else {
        return Ok(());
    };
    let micro_batch = asked.micro_batch.unwrap_or(1);
    let samples = if asked.schedule == Some(PipelineSchedule::GPipe) {
        f64::from(workload.global_batch.max(micro_batch))
    } else {
        f64::from(micro_batch) * CHUNKS_IN_FLIGHT * f64::from(asked.vpp.unwrap_or(1))
    };
    let (images, narrowest, widest) = seen_images(network);
    let longest = workload.seq_len.max(images);
    let tokens = samples * (f64::from(workload.seq_len) + f64::from(images));
    if tokens <= FEW_TOKENS && longest <= SHORT_SEQUENCE {
        return Ok(());
    }
    let layers = f64::from(network.depth());
    let widths = scenario.model.parameters().total() as f64 / narrowest + 16.0 * widest * layers;
    let scores = if attention == AttentionKernel::Unfused {
        heads(network) * f64::from(longest) * layers
    } else {
        0.0
    };
    let bytes = tokens * (widths + scores) * BYTES_PER_ELEMENT;
    if bytes <= ACTIVATION_BYTES {
        return Ok(());
    }
    Err(Infeasible::Limit(format!(
        "{samples} samples of {} tokens in flight are up to {bytes:.1e} bytes of activations of {}, the most that is counted is {ACTIVATION_BYTES:.1e} (4 EiB); lower micro_batch, seq_len, or global_batch of gpipe",
        workload.seq_len, scenario.model.name
    )))
}

/// Tokens of a sample's images in their encoder, and the narrowest and the widest stream of both stacks.
fn seen_images(network: &Transformer) -> (u32, f64, f64) {
    let own = f64::from(network.hidden);
    network.vision.as_ref().map_or((0, own, own), |vision| {
        let encoder = f64::from(vision.encoder.hidden);
        (vision.images.tokens(), own.min(encoder), own.max(encoder))
    })
}

/// Most heads of a layer.
fn heads(network: &Transformer) -> f64 {
    let encoder = network.vision.as_ref().map(|vision| vision.encoder.heads);
    f64::from(network.heads.max(encoder.unwrap_or(0)))
}

/// Checks that a layout's schedule takes as many microbatches, and the number of its passes.
///
/// # Errors
/// If there are fewer microbatches than pairs of passes need, or more passes than are played.
pub(super) fn check_pipeline(layout: &Layout) -> Result<(), Infeasible> {
    let Layout {
        schedule,
        pp,
        microbatches,
        ..
    } = *layout;
    if schedule.pairs_passes() && microbatches / 2 < pp {
        let Layout {
            pp, microbatches, ..
        } = unfolded(layout);
        return Err(Infeasible::Limit(format!(
            "schedule {schedule} with pp {pp} takes {} microbatches or more, there are {microbatches}; lower micro_batch or dp, or raise global_batch",
            2 * u64::from(pp)
        )));
    }
    check_passes(microbatches, pp, layout.vpp)
}

fn check_passes(microbatches: u32, pp: u32, vpp: u32) -> Result<(), Infeasible> {
    let stages = u64::from(pp) * u64::from(vpp);
    let passes = stages * u64::from(microbatches);
    if passes <= PASSES {
        return Ok(());
    }
    Err(Infeasible::Limit(format!(
        "{microbatches} microbatches on {stages} pipeline stages and chunks are {passes} passes, a step has at most {PASSES}; lower global_batch, raise micro_batch or dp"
    )))
}

/// Checks a lower bound on the time of a step.
///
/// # Errors
/// If it is longer than what is played.
pub(super) fn check_time(bound: SimDuration) -> Result<(), Infeasible> {
    let days = bound.as_secs_f64() / 86_400.0;
    if days <= STEP_DAYS {
        return Ok(());
    }
    Err(Infeasible::Limit(format!(
        "a step takes at least {days:.0} days, the longest that is simulated has {STEP_DAYS} days; lower global_batch or seq_len, or take more GPUs"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::simulation::training::tests::scenario;
    use crate::simulation::{Scratch, simulate_training};

    fn outcome(scenario: &TrainingScenario) -> String {
        match simulate_training(scenario, &mut Scratch::default()) {
            Ok(_) => "ok".to_owned(),
            Err(reason) => reason.to_string(),
        }
    }

    // 2·10⁹ samples on 8 GPUs, one at a time: at least 2.5·10⁸ microbatches on every layout.
    #[test]
    fn more_microbatches_than_are_played_are_refused_with_the_limit() {
        let mut scenario = scenario("llama2-7b", 8, 2_000_000_000);
        scenario.layout.micro_batch = Some(1);
        let reason = outcome(&scenario);
        assert!(reason.contains("at most 10000000"), "{reason}");
        assert_eq!(check_passes(1_000_000, 5, 2), Ok(()), "10⁷ are played");
        assert!(check_passes(1_000_001, 5, 2).is_err());
    }

    // 100·46632603² scores of 32 heads are 7·10¹⁸ elements per layer: no integer of 64 bits holds their bytes.
    #[test]
    fn scores_that_cannot_be_counted_are_refused_with_the_limit() {
        let mut scenario = scenario("mixtral-8x7b", 8, 800);
        scenario.workload.seq_len = 46_632_603;
        scenario.layout.micro_batch = Some(100);
        scenario.layout.attention = Some(AttentionKernel::Unfused);
        let reason = outcome(&scenario);
        assert!(reason.contains("(4 EiB)"), "{reason}");
    }

    // The longest sequence of the axis, 10⁸ tokens, and the largest batches and microbatches of their axes: an outcome
    // for every model, never a panic, fused or not, whatever the schedule.
    #[test]
    fn the_ends_of_the_axes_are_outcomes_for_every_model() {
        let schedules = [None, Some(PipelineSchedule::GPipe)];
        let kernels = [None, Some(AttentionKernel::Unfused)];
        let sizes = [(1, 100_000_000, 8), (1_000_000, 4_096, 2_000_000_000)];
        for model in Catalog::builtin().models.keys() {
            for (micro_batch, seq_len, global_batch) in sizes {
                for (schedule, attention) in schedules.iter().zip(kernels) {
                    let mut scenario = scenario(model, 8, global_batch);
                    if scenario.model.fixed_tokens().is_none() {
                        scenario.workload.seq_len = seq_len;
                    }
                    scenario.layout.micro_batch = Some(micro_batch);
                    scenario.layout.schedule = *schedule;
                    scenario.layout.attention = attention;
                    let words = outcome(&scenario);
                    assert!(!words.is_empty(), "{model}");
                }
            }
        }
    }

    // 40 days of 86,400 s are over the 30; a duration that does not fit stays at the longest, 213 days.
    #[test]
    fn a_step_of_weeks_is_refused() {
        assert_eq!(
            check_time(SimDuration::from_secs_f64(29.0 * 86_400.0)),
            Ok(())
        );
        let long = SimDuration::from_secs_f64(40.0 * 86_400.0);
        let told = check_time(long).expect_err("too long").to_string();
        assert!(
            told.contains("40 days") && told.contains("30 days"),
            "{told}"
        );
        assert!(check_time(SimDuration::from_secs_f64(1e30) + long).is_err());
    }
}
