//! Zero bubble with the memory of nearly two pipelines (arXiv 2401.10241, H2): twice the forward passes are ahead, and
//! weight gradients wait for when a stage would.

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let PipelineSize {
        stages,
        microbatches,
        ..
    } = pipeline;
    let warmup = microbatches.min(2 * (stages - stage) - 1);
    // A stage may put off as many weight gradients as it holds fewer activations than the first.
    let delay = 2 * stage;
    let slot = |pass, microbatch| Slot::of(pass, microbatch, 0);
    slots.extend((0..warmup).map(|microbatch| slot(Pass::Forward, microbatch)));
    let mut weights = 0;
    for microbatch in 0..microbatches {
        slots.push(slot(Pass::BackwardInput, microbatch));
        let next = warmup + microbatch;
        let waiting = microbatch + 1 - weights;
        if next >= microbatches || waiting > delay {
            slots.push(slot(Pass::BackwardWeight, weights));
            weights += 1;
        }
        if next < microbatches {
            slots.push(slot(Pass::Forward, next));
        }
    }
    slots.extend((weights..microbatches).map(|microbatch| slot(Pass::BackwardWeight, microbatch)));
}

/// Most microbatches that a stage holds.
pub(super) fn in_flight(pipeline: PipelineSize) -> u32 {
    pipeline.microbatches.min(2 * pipeline.stages - 1)
}
