//! 1F1B over several chunks of layers per stage (arXiv 2104.04473, section 2.2).

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let (total, warmup) = (
        pipeline.microbatches * pipeline.chunks,
        warmup(pipeline, stage),
    );
    let positions = positions(pipeline);
    let forward = |k: u32| {
        let (microbatch, chunk) = positions[k as usize];
        Slot::of(Pass::Forward, microbatch, chunk)
    };
    let backward = |k: u32| {
        let (microbatch, chunk) = positions[k as usize];
        Slot::of(Pass::Backward, microbatch, pipeline.chunks - 1 - chunk)
    };
    slots.reserve(2 * total as usize);
    slots.extend((0..warmup).map(forward));
    for k in warmup..total {
        slots.push(forward(k));
        slots.push(backward(k - warmup));
    }
    slots.extend((total - warmup..total).map(backward));
}

/// Forward passes of a stage before its first backward pass.
pub(super) fn warmup(pipeline: PipelineSize, stage: u32) -> u32 {
    let PipelineSize {
        stages,
        chunks,
        microbatches,
    } = pipeline;
    (microbatches * chunks).min(2 * (stages - 1 - stage) + (chunks - 1) * group_size(pipeline))
}

/// Microbatches that go through one chunk before the next chunk begins: as many as there are stages.
///
/// The last group has what is left. Where that is less than a stage each, a later chunk of it would wait for a
/// backward pass that waits for it, so that Megatron-Core refuses such a group size
/// (`microbatch_group_size_per_vp_stage` in megatron/core/pipeline_parallel/schedules.py): the smallest that it takes
/// leaves nothing or at least a microbatch per stage. Fewer microbatches than stages are one group.
pub(super) fn group_size(pipeline: PipelineSize) -> u32 {
    let PipelineSize {
        stages,
        microbatches,
        ..
    } = pipeline;
    let fits = |size: &u32| {
        let left = microbatches % size;
        left == 0 || left >= stages
    };
    (stages..microbatches).find(fits).unwrap_or(microbatches)
}

/// Microbatch and chunk of every pass: each group of microbatches goes through the first chunk, then through the
/// second and so on.
fn positions(pipeline: PipelineSize) -> Vec<(u32, u32)> {
    let PipelineSize {
        chunks,
        microbatches,
        ..
    } = pipeline;
    let whole = group_size(pipeline);
    let mut positions = Vec::with_capacity((microbatches * chunks) as usize);
    for first in (0..microbatches).step_by(whole as usize) {
        let group = first..microbatches.min(first + whole);
        for chunk in 0..chunks {
            positions.extend(group.clone().map(|microbatch| (microbatch, chunk)));
        }
    }
    positions
}
