//! One forward, one backward (PipeDream-Flush, arXiv 2006.09503).

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let microbatches = pipeline.microbatches;
    let warmup = microbatches.min(pipeline.stages - 1 - stage);
    let slot = |pass, microbatch| Slot::of(pass, microbatch, 0);
    slots.extend((0..warmup).map(|microbatch| slot(Pass::Forward, microbatch)));
    for microbatch in warmup..microbatches {
        slots.push(slot(Pass::Forward, microbatch));
        slots.push(slot(Pass::Backward, microbatch - warmup));
    }
    slots.extend(
        (microbatches - warmup..microbatches).map(|microbatch| slot(Pass::Backward, microbatch)),
    );
}
