//! Order in which a pipeline stage works through its microbatches.

mod gpipe;
mod interleaved;
mod one_f_one_b;
mod slot;
mod static_order;
mod zb_h1;

pub(crate) use slot::{Pass, PipelineSize, Slot};
pub(crate) use static_order::{StagePass, StaticOrders};

use crate::stack::PipelineSchedule;

/// Writes the order of one stage into `slots` (cleared first).
///
/// Schedules other than the interleaved one have one chunk per stage.
///
/// # Panics
/// If `stage` is not below `pipeline.stages`.
pub(crate) fn order(
    schedule: PipelineSchedule,
    pipeline: PipelineSize,
    stage: u32,
    slots: &mut Vec<Slot>,
) {
    assert!(
        stage < pipeline.stages,
        "stage {stage} of {}",
        pipeline.stages
    );
    slots.clear();
    match schedule {
        PipelineSchedule::GPipe => gpipe::order(pipeline, slots),
        PipelineSchedule::OneFOneB => one_f_one_b::order(pipeline, stage, slots),
        PipelineSchedule::Interleaved => interleaved::order(pipeline, stage, slots),
        PipelineSchedule::ZbH1 => zb_h1::order(pipeline, stage, slots),
    }
}

/// Most chunks of activations that a stage holds: forward passes whose weight gradients are not done.
pub(crate) fn in_flight(schedule: PipelineSchedule, pipeline: PipelineSize, stage: u32) -> u32 {
    let PipelineSize {
        stages,
        chunks,
        microbatches,
    } = pipeline;
    match schedule {
        PipelineSchedule::GPipe => microbatches,
        PipelineSchedule::OneFOneB => microbatches.min(stages - stage),
        // A stage puts off weight gradients until it holds as much as the first.
        PipelineSchedule::ZbH1 => microbatches.min(stages),
        PipelineSchedule::Interleaved => {
            // Once it has begun, each backward pass follows a forward pass.
            (microbatches * chunks).min(interleaved::warmup(pipeline, stage) + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::des::{Engine, TaskId};
    use crate::units::SimDuration;

    const FORWARD: u64 = 10;
    const INPUT: u64 = 11;
    const WEIGHT: u64 = 9;

    /// Plays a pipeline of equal stages without communication; gives its time and the most chunks
    /// that each stage held.
    fn play(schedule: PipelineSchedule, pipeline: PipelineSize) -> (u64, Vec<u32>) {
        let PipelineSize {
            stages,
            chunks,
            microbatches,
        } = pipeline;
        let mut engine = Engine::default();
        let virtual_stages = (stages * chunks) as usize;
        let count = virtual_stages * microbatches as usize;
        let mut forward: Vec<Option<TaskId>> = vec![None; count];
        let mut backward: Vec<Option<TaskId>> = vec![None; count];
        let mut weight: Vec<bool> = vec![false; count];
        let mut held = Vec::new();
        let mut slots = Vec::new();
        for stage in 0..stages {
            let stream = engine.add_stream(stage);
            order(schedule, pipeline, stage, &mut slots);
            let (mut now, mut most) = (0_u32, 0_u32);
            for slot in &slots {
                let at = (slot.chunk * stages + stage) as usize * microbatches as usize
                    + slot.microbatch as usize;
                match slot.pass {
                    Pass::Forward => {
                        assert!(forward[at].is_none(), "{slot:?} twice");
                        forward[at] =
                            Some(engine.add_task(stream, SimDuration::from_picos(FORWARD)));
                        now += 1;
                    }
                    Pass::Backward | Pass::BackwardInput => {
                        assert!(backward[at].is_none() && forward[at].is_some(), "{slot:?}");
                        let work = if slot.pass == Pass::Backward {
                            INPUT + WEIGHT
                        } else {
                            INPUT
                        };
                        backward[at] = Some(engine.add_task(stream, SimDuration::from_picos(work)));
                        weight[at] = slot.pass == Pass::Backward;
                        now -= u32::from(weight[at]);
                    }
                    Pass::BackwardWeight => {
                        assert!(!weight[at] && backward[at].is_some(), "{slot:?}");
                        engine.add_task(stream, SimDuration::from_picos(WEIGHT));
                        weight[at] = true;
                        now -= 1;
                    }
                }
                most = most.max(now);
            }
            held.push(most);
        }
        assert!(
            weight.iter().all(|done| *done),
            "every microbatch passes every stage each way"
        );
        chain(&mut engine, pipeline, &forward, &backward);
        (engine.run().as_picos(), held)
    }

    fn chain(
        engine: &mut Engine,
        pipeline: PipelineSize,
        forward: &[Option<TaskId>],
        backward: &[Option<TaskId>],
    ) {
        let virtual_stages = (pipeline.stages * pipeline.chunks) as usize;
        let microbatches = pipeline.microbatches as usize;
        let task = |tasks: &[Option<TaskId>], at: usize| tasks[at].expect("every slot ran");
        for microbatch in 0..microbatches {
            for stage in 0..virtual_stages {
                let at = stage * microbatches + microbatch;
                if stage + 1 < virtual_stages {
                    let next = at + microbatches;
                    engine.add_dependency(
                        task(forward, at),
                        task(forward, next),
                        SimDuration::ZERO,
                    );
                    engine.add_dependency(
                        task(backward, next),
                        task(backward, at),
                        SimDuration::ZERO,
                    );
                } else {
                    engine.add_dependency(task(forward, at), task(backward, at), SimDuration::ZERO);
                }
            }
        }
    }

    fn pipelines(schedule: PipelineSchedule) -> Vec<PipelineSize> {
        let chunk_counts: &[u32] = if schedule == PipelineSchedule::Interleaved {
            &[2, 3, 5]
        } else {
            &[1]
        };
        let mut all = Vec::new();
        for stages in [1, 2, 3, 4, 8] {
            for &chunks in chunk_counts {
                for microbatches in [1, 2, 3, 7, 8, 16] {
                    all.push(PipelineSize {
                        stages,
                        chunks,
                        microbatches,
                    });
                }
            }
        }
        all
    }

    // GPipe's bubble: (p − 1) forward and backward passes of one stage's whole work. Interleaving keeps below it
    // where groups of p microbatches come out even.
    #[test]
    fn every_schedule_passes_everything_once_and_is_no_slower_than_gpipe() {
        for &schedule in PipelineSchedule::ALL {
            for pipeline in pipelines(schedule) {
                let (time, _) = play(schedule, pipeline);
                let whole_groups = pipeline.microbatches.is_multiple_of(pipeline.stages);
                if schedule == PipelineSchedule::Interleaved && !whole_groups {
                    continue;
                }
                let work = FORWARD + INPUT + WEIGHT;
                let chunks = u64::from(pipeline.chunks);
                let gpipe = u64::from(pipeline.microbatches + pipeline.stages - 1) * chunks * work;
                assert!(time <= gpipe, "{schedule} {pipeline:?}: {time} > {gpipe}");
                assert!(time >= u64::from(pipeline.microbatches) * chunks * work);
            }
        }
    }

    #[test]
    fn no_schedule_holds_more_chunks_than_it_states() {
        for &schedule in PipelineSchedule::ALL {
            for pipeline in pipelines(schedule) {
                let (_, held) = play(schedule, pipeline);
                for (stage, most) in held.iter().enumerate() {
                    let stated = in_flight(schedule, pipeline, stage as u32);
                    assert_eq!(*most, stated, "{schedule} {pipeline:?} stage {stage}");
                }
            }
        }
    }

    // Whatever is left of the last group: every pass runs once (`play` asserts it) and the schedule ends. The last
    // stage begins behind p − 1 forward passes, has m·v passes each way, and its last backward pass is followed by
    // p − 1 on the stages before it: at least (m·v + p − 1)(f + b). With a whole number of groups it takes just that.
    #[test]
    fn interleaving_ends_with_any_number_of_microbatches_and_beats_no_bound() {
        for stages in 2..=16_u32 {
            for chunks in 2..=8_u32 {
                for microbatches in 1..=40_u32 {
                    let pipeline = PipelineSize {
                        stages,
                        chunks,
                        microbatches,
                    };
                    let (time, held) = play(PipelineSchedule::Interleaved, pipeline);
                    let passes = u64::from(microbatches * chunks + stages - 1);
                    let bound = passes * (FORWARD + INPUT + WEIGHT);
                    assert!(time >= bound, "{pipeline:?}: {time} < {bound}");
                    let whole = microbatches.is_multiple_of(stages);
                    assert!(!whole || time == bound, "{pipeline:?}: {time} > {bound}");
                    for (stage, most) in (0..).zip(held) {
                        let stated = in_flight(PipelineSchedule::Interleaved, pipeline, stage);
                        assert_eq!(most, stated, "{pipeline:?} stage {stage}");
                    }
                }
            }
        }
    }

    // Two stages, two chunks, five microbatches: groups of 2 would leave 1 microbatch for two stages; groups of 3
    // leave 2, the example in Megatron-Core's own comment: 0 1 2 0 1 2 3 4 3 4.
    #[test]
    fn the_last_group_is_smaller_as_in_megatron_core() {
        let pipeline = PipelineSize {
            stages: 2,
            chunks: 2,
            microbatches: 5,
        };
        let mut slots = Vec::new();
        order(PipelineSchedule::Interleaved, pipeline, 0, &mut slots);
        let forward = slots.iter().filter(|slot| slot.pass == Pass::Forward);
        let places: Vec<(u32, u32)> = forward.map(|slot| (slot.microbatch, slot.chunk)).collect();
        let (first, second) = (
            [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)],
            [(3, 0), (4, 0), (3, 1), (4, 1)],
        );
        assert_eq!(places, [&first[..], &second[..]].concat());
    }

    // 4 stages, 8 microbatches, f = 10, b = 20: (8 + 3)·30 = 330.
    #[test]
    fn one_f_one_b_takes_the_time_of_the_formula() {
        let pipeline = PipelineSize {
            stages: 4,
            chunks: 1,
            microbatches: 8,
        };
        assert_eq!(play(PipelineSchedule::OneFOneB, pipeline).0, 330);
    }

    // The interleaved bubble is 1/v of it: 8·2·30 + 3·30 = 570 for two chunks of f = 10, b = 20.
    #[test]
    fn interleaving_divides_the_bubble_by_the_chunks() {
        let pipeline = PipelineSize {
            stages: 4,
            chunks: 2,
            microbatches: 8,
        };
        assert_eq!(play(PipelineSchedule::Interleaved, pipeline).0, 570);
    }

    // ZB-H1: bubble (p − 1)(f + b − w) with b the input gradients: 3·(10 + 11 − 9) = 36 over 8·30.
    #[test]
    fn zero_bubble_fills_the_bubble_with_weight_gradients() {
        let pipeline = PipelineSize {
            stages: 4,
            chunks: 1,
            microbatches: 8,
        };
        assert_eq!(play(PipelineSchedule::ZbH1, pipeline).0, 240 + 36);
    }
}
