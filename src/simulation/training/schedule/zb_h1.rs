//! 1F1B whose weight gradients fill the bubble, with the memory of 1F1B (arXiv 2401.10241, H1).

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let microbatches = pipeline.microbatches;
    let warmup = microbatches.min(pipeline.stages - 1 - stage);
    // A stage may put off as many weight gradients as it holds fewer activations than the first.
    let delay = stage.min(microbatches);
    let slot = |pass, microbatch| Slot::of(pass, microbatch, 0);
    let mut weights = 0;
    slots.extend((0..warmup).map(|microbatch| slot(Pass::Forward, microbatch)));
    for microbatch in 0..microbatches {
        if microbatch + warmup < microbatches {
            slots.push(slot(Pass::Forward, microbatch + warmup));
        }
        slots.push(slot(Pass::BackwardInput, microbatch));
        let waiting = microbatch + 1 - weights;
        let cooldown = microbatch + warmup >= microbatches;
        if waiting > delay || cooldown && waiting > 0 {
            slots.push(slot(Pass::BackwardWeight, weights));
            weights += 1;
        }
    }
    slots.extend((weights..microbatches).map(|microbatch| slot(Pass::BackwardWeight, microbatch)));
}
