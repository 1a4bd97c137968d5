//! Forward and backward passes in pairs, on two chunks a stage in a V: DualPipe cut in half (deepseek-ai/DualPipe,
//! dualpipe/dualpipev.py; `ScheduleDualPipeV` in torch/distributed/pipelining/schedules.py has the same order).

use super::slot::{Counts, Pass, PipelineSize, Slot};

/// Writes an order; the schedule takes two microbatches a stage or more.
pub(super) fn order(pipeline: PipelineSize, stage: u32, slots: &mut Vec<Slot>) {
    let PipelineSize {
        stages,
        microbatches,
        ..
    } = pipeline;
    let behind = stages - 1 - stage;
    let mut made = Counts::of(slots);
    for _ in 0..2 * behind {
        made.push(Pass::Forward, 0);
    }
    for _ in 0..=stage {
        made.push(Pass::Forward, 0);
        made.push(Pass::Forward, 1);
    }
    for _ in 0..behind {
        made.push(Pass::BackwardInput, 1);
        made.push_weight();
        made.push(Pass::Forward, 1);
    }
    for round in 0..(microbatches + stage + 1).saturating_sub(2 * stages) {
        if round == 0 && behind == 0 {
            // Apart, so that the stages before need not wait for both.
            made.push(Pass::Forward, 0);
            made.push(Pass::Backward, 1);
        } else {
            made.push_pair(0, 1);
        }
        made.push_pair(1, 0);
    }
    for _ in 0..behind {
        made.push(Pass::Backward, 1);
        made.push_pair(1, 0);
    }
    // Weight gradients of the last backward passes wait.
    let mut backward = Pass::Backward;
    for round in 0..=stage {
        let turns = round == stage.div_ceil(2);
        if turns && stage % 2 == 1 {
            backward = Pass::BackwardInput;
        }
        made.push(backward, 1);
        if turns && stage.is_multiple_of(2) {
            backward = Pass::BackwardInput;
        }
        made.push(backward, 0);
    }
    for _ in 0..behind {
        made.push_weight();
        made.push(backward, 0);
    }
    while made.push_weight() {}
}

/// Most chunks that a stage holds: 2p, and one more while a pair runs.
pub(super) fn in_flight(pipeline: PipelineSize) -> u32 {
    (2 * pipeline.stages + 1).min(2 * pipeline.microbatches)
}
