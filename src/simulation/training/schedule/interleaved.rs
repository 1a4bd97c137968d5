//! 1F1B over several chunks of layers per stage (arXiv 2104.04473, section 2.2).

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let PipelineSize {
        stages,
        chunks,
        microbatches,
    } = pipeline;
    let total = microbatches * chunks;
    let warmup = total.min(2 * (stages - 1 - stage) + (chunks - 1) * stages);
    slots.extend((0..warmup).map(|k| forward(pipeline, k)));
    for k in warmup..total {
        slots.push(forward(pipeline, k));
        slots.push(backward(pipeline, k - warmup));
    }
    slots.extend((total - warmup..total).map(|k| backward(pipeline, k)));
}

/// Microbatch and chunk of the k-th pass: groups of `stages` microbatches go through the first
/// chunk, then through the second and so on; the last group may be smaller.
fn position(pipeline: PipelineSize, k: u32) -> (u32, u32) {
    let PipelineSize {
        stages,
        chunks,
        microbatches,
    } = pipeline;
    let group = k / (stages * chunks);
    let size = stages.min(microbatches - group * stages);
    let within = k - group * stages * chunks;
    (group * stages + within % size, within / size)
}

fn forward(pipeline: PipelineSize, k: u32) -> Slot {
    let (microbatch, chunk) = position(pipeline, k);
    Slot {
        pass: Pass::Forward,
        microbatch,
        chunk,
    }
}

fn backward(pipeline: PipelineSize, k: u32) -> Slot {
    let (microbatch, chunk) = position(pipeline, k);
    Slot {
        pass: Pass::Backward,
        microbatch,
        chunk: pipeline.chunks - 1 - chunk,
    }
}
