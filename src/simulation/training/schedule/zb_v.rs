//! Zero bubble with the memory of 1F1B, on two chunks a stage in a V (arXiv 2405.15362; the order of
//! `ScheduleZBVZeroBubble` in torch/distributed/pipelining/schedules.py).

use super::slot::{Counts, Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let PipelineSize {
        stages,
        microbatches,
        ..
    } = pipeline;
    // The order of as many microbatches as fill the pipeline, without those that there are not.
    let filling = microbatches.max(2 * stages - 1);
    let mut made = Counts::of(slots);
    for _ in 0..2 * (stages - stage) - 1 {
        made.push(Pass::Forward, 0);
    }
    for _ in 0..stage {
        made.push(Pass::Forward, 1);
        made.push(Pass::Forward, 0);
    }
    for _ in 0..stages - stage {
        made.push(Pass::Forward, 1);
        made.push(Pass::BackwardInput, 1);
        made.push(Pass::BackwardWeight, 1);
    }
    while made.forward(1) < made.forward(0) || made.forward(0) < filling {
        if made.forward(0) < filling {
            made.push(Pass::Forward, 0);
        }
        made.push(Pass::BackwardInput, 0);
        made.push(Pass::BackwardWeight, 0);
        made.push(Pass::Forward, 1);
        made.push(Pass::BackwardInput, 1);
        made.push(Pass::BackwardWeight, 1);
    }
    for _ in 0..stage {
        made.push(Pass::BackwardInput, 0);
        made.push(Pass::BackwardInput, 1);
    }
    for _ in 0..stages - stage {
        made.push(Pass::BackwardInput, 0);
        made.push(Pass::BackwardWeight, 0);
    }
    for chunk in [1, 0] {
        while made.weights(chunk) < filling {
            made.push(Pass::BackwardWeight, chunk);
        }
    }
    slots.retain(|slot| slot.microbatch < microbatches);
}

/// Most chunks that a stage holds: 2p where microbatches fill the pipeline.
pub(super) fn in_flight(pipeline: PipelineSize, stage: u32) -> u32 {
    let PipelineSize {
        stages,
        microbatches,
        ..
    } = pipeline;
    microbatches.min(2 * stages - 1 - stage) + microbatches.min(stage + 1)
}
