//! Order in which a pipeline stage works through its microbatches.

mod dual_pipe_v;
mod gpipe;
mod interleaved;
mod one_f_one_b;
mod placement;
mod slot;
mod static_order;
mod zb_h1;
mod zb_h2;
mod zb_v;

pub(crate) use placement::Placement;
pub(crate) use slot::{Pass, PipelineSize, Slot};
pub(crate) use static_order::{StagePass, StaticOrders};

use crate::stack::PipelineSchedule;

/// Writes the order of one stage into `slots` (cleared first).
///
/// Chunks and microbatches are as the schedule takes them.
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
        PipelineSchedule::ZbH2 => zb_h2::order(pipeline, stage, slots),
        PipelineSchedule::ZbV => zb_v::order(pipeline, stage, slots),
        PipelineSchedule::DualPipe | PipelineSchedule::DualPipeV => {
            dual_pipe_v::order(pipeline, stage, slots);
        }
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
        PipelineSchedule::ZbH2 => zb_h2::in_flight(pipeline),
        PipelineSchedule::ZbV => zb_v::in_flight(pipeline, stage),
        PipelineSchedule::DualPipe | PipelineSchedule::DualPipeV => {
            dual_pipe_v::in_flight(pipeline)
        }
        PipelineSchedule::Interleaved => {
            // Once it has begun, each backward pass follows a forward pass.
            (microbatches * chunks).min(interleaved::warmup(pipeline, stage) + 1)
        }
    }
}

/// Microbatches after which the order of a pipeline's passes repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    /// Microbatches of a group: behind the first passes and before the last ones, passes of the next group follow in
    /// the order of those of this one.
    pub(crate) microbatches: u32,
    /// Groups whose forward passes may come before the first backward pass of a group.
    pub(crate) reach: u32,
}

/// Microbatches after which the order of a pipeline's passes repeats; `None` of a schedule whose order does not.
pub(crate) fn period(schedule: PipelineSchedule, pipeline: PipelineSize) -> Option<Period> {
    let PipelineSize { stages, chunks, .. } = pipeline;
    match schedule {
        // All forward passes come first.
        PipelineSchedule::GPipe => None,
        PipelineSchedule::OneFOneB => Some(Period {
            microbatches: 1,
            reach: stages,
        }),
        // Weight gradients are put off by up to as many microbatches as there are stages.
        PipelineSchedule::ZbH1 => Some(Period {
            microbatches: 1,
            reach: 2 * stages,
        }),
        // Twice as many, or two chunks.
        PipelineSchedule::ZbH2
        | PipelineSchedule::ZbV
        | PipelineSchedule::DualPipe
        | PipelineSchedule::DualPipeV => Some(Period {
            microbatches: 1,
            reach: 4 * stages,
        }),
        PipelineSchedule::Interleaved => {
            let group = interleaved::group_size(pipeline);
            let ahead = interleaved::warmup(pipeline, 0);
            Some(Period {
                microbatches: group,
                reach: ahead.div_ceil(chunks * group) + 1,
            })
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

    /// Times of a played pipeline.
    struct Played {
        time: u64,
        /// Most chunks that each stage held.
        held: Vec<u32>,
        /// Idle time of each stage between its first pass and its last.
        idle: Vec<u64>,
    }

    /// Tasks of the passes, `[virtual stage × microbatch]`: the first and the last of each.
    struct Tasks {
        forward: Vec<Option<(TaskId, TaskId)>>,
        backward: Vec<Option<(TaskId, TaskId)>>,
        weight: Vec<bool>,
    }

    impl Tasks {
        /// Adds the passes of one stage to its stream; gives them, and the most chunks that it held.
        fn add(
            &mut self,
            mut add: impl FnMut(u64) -> TaskId,
            slots: &[(Slot, usize)],
            [forward, input, weight]: [u64; 3],
        ) -> (Vec<TaskId>, u32) {
            let (mut now, mut most, mut own) = (0_u32, 0_u32, Vec::new());
            let mut waits: Option<(usize, TaskId)> = None;
            for &(slot, at) in slots {
                match slot.pass {
                    Pass::Forward => {
                        assert!(self.forward[at].is_none(), "{slot:?} twice");
                        let task = add(forward);
                        self.forward[at] = Some((task, task));
                        waits = slot.beside_next.then_some((at, task));
                        own.push(task);
                        now += 1;
                    }
                    Pass::Backward | Pass::BackwardInput => {
                        assert!(self.backward[at].is_none(), "{slot:?} twice");
                        assert!(self.forward[at].is_some(), "{slot:?}");
                        let whole = slot.pass == Pass::Backward;
                        let task = add(if whole { input + weight } else { input });
                        let mut first = task;
                        if let Some((pair, begin)) = waits.take() {
                            self.forward[pair] = Some((begin, task));
                            first = begin;
                        }
                        self.backward[at] = Some((first, task));
                        self.weight[at] = whole;
                        own.push(task);
                        now -= u32::from(whole);
                    }
                    Pass::BackwardWeight => {
                        assert!(!self.weight[at] && self.backward[at].is_some(), "{slot:?}");
                        own.push(add(weight));
                        self.weight[at] = true;
                        now -= 1;
                    }
                }
                most = most.max(now);
            }
            (own, most)
        }
    }

    /// Plays a pipeline of equal stages without communication.
    fn played(schedule: PipelineSchedule, pipeline: PipelineSize, works: [u64; 3]) -> Played {
        let mut engine = Engine::default();
        let placement = Placement::new(schedule, pipeline.stages);
        let microbatches = pipeline.microbatches as usize;
        let count = (pipeline.stages * pipeline.chunks) as usize * microbatches;
        let mut tasks = Tasks {
            forward: vec![None; count],
            backward: vec![None; count],
            weight: vec![false; count],
        };
        let (mut held, mut on_stages) = (Vec::new(), Vec::new());
        let mut slots = Vec::new();
        for stage in 0..pipeline.stages {
            let stream = engine.add_stream(stage);
            order(schedule, pipeline, stage, &mut slots);
            let placed = slots.iter().map(|slot| {
                let at = placement.virtual_stage(stage, slot.chunk) as usize * microbatches;
                (*slot, at + slot.microbatch as usize)
            });
            let placed: Vec<(Slot, usize)> = placed.collect();
            let add = |work| engine.add_task(stream, SimDuration::from_picos(work));
            let (own, most) = tasks.add(add, &placed, works);
            held.push(most);
            on_stages.push(own);
        }
        assert!(
            tasks.weight.iter().all(|done| *done),
            "every microbatch passes every stage each way"
        );
        chain(&mut engine, pipeline, &tasks);
        let time = engine.run().as_picos();
        let work = u64::from(pipeline.microbatches * pipeline.chunks) * works.iter().sum::<u64>();
        let idle = on_stages.iter().map(|own| {
            let (first, last) = (own[0], own[own.len() - 1]);
            (engine.end(last) - engine.start(first)).as_picos() - work
        });
        Played {
            time,
            held,
            idle: idle.collect(),
        }
    }

    /// Time of a pipeline, and the most chunks that each stage held.
    fn play(schedule: PipelineSchedule, pipeline: PipelineSize) -> (u64, Vec<u32>) {
        let Played { time, held, .. } = played(schedule, pipeline, [FORWARD, INPUT, WEIGHT]);
        (time, held)
    }

    fn chain(engine: &mut Engine, pipeline: PipelineSize, tasks: &Tasks) {
        let virtual_stages = (pipeline.stages * pipeline.chunks) as usize;
        let microbatches = pipeline.microbatches as usize;
        let of = |tasks: &[Option<(TaskId, TaskId)>], at: usize| tasks[at].expect("it ran");
        let (forward, backward) = (&tasks.forward, &tasks.backward);
        for microbatch in 0..microbatches {
            for stage in 0..virtual_stages {
                let at = stage * microbatches + microbatch;
                let mut follow = |from: (TaskId, TaskId), to: (TaskId, TaskId)| {
                    engine.add_dependency(from.1, to.0, SimDuration::ZERO);
                };
                if stage + 1 < virtual_stages {
                    let next = at + microbatches;
                    follow(of(forward, at), of(forward, next));
                    follow(of(backward, next), of(backward, at));
                } else {
                    follow(of(forward, at), of(backward, at));
                }
            }
        }
    }

    fn pipelines(schedule: PipelineSchedule) -> Vec<PipelineSize> {
        let chunk_counts: &[u32] = match schedule.chunks() {
            (_, u32::MAX) => &[2, 3, 5],
            (2, _) => &[2],
            _ => &[1],
        };
        let mut all = Vec::new();
        for stages in [1, 2, 3, 4, 8] {
            for &chunks in chunk_counts {
                for microbatches in [1, 2, 3, 7, 8, 16, 19] {
                    if schedule.pairs_passes() && microbatches < 2 * stages {
                        continue;
                    }
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

    fn most_idle(schedule: PipelineSchedule, stages: u32, works: [u64; 3]) -> u64 {
        let pipeline = PipelineSize {
            stages,
            chunks: schedule.chunks().0,
            microbatches: 3 * stages,
        };
        let idle = played(schedule, pipeline, works).idle;
        idle.into_iter().max().expect("there are stages")
    }

    // Bubbles as published, each stage from its own first pass to its last: ZB-H1 (p − 1)(f + b − w), ZB-H2
    // (p − 1)(f + b − 2w), none where all are as long (arXiv 2401.10241, table 2, b the input gradients alone).
    #[test]
    fn bubbles_of_zero_bubble_schedules_are_as_published() {
        for stages in [2, 4, 8] {
            for [f, b, w] in [[10, 11, 9], [10, 10, 10], [10, 12, 8]] {
                let idle = |schedule| most_idle(schedule, stages, [f, b, w]);
                let borders = u64::from(stages) - 1;
                assert_eq!(idle(PipelineSchedule::ZbH1), borders * (f + b - w));
                assert_eq!(idle(PipelineSchedule::ZbH2), borders * (f + b - 2 * w));
                if f == b && b == w {
                    assert_eq!(idle(PipelineSchedule::ZbV), 0);
                }
            }
        }
    }

    // Peak activations in microbatches of a whole stage: 1F1B and ZB-H1 p, ZB-H2 2p − 1 (arXiv 2401.10241, table 2); ZB-V
    // p, in halves (arXiv 2405.15362): half of ZB-H2 as p grows. DualPipe's p + 1 of p virtual stages (README of
    // deepseek-ai/DualPipe): 2p + 1 chunks on p stages of two.
    #[test]
    fn peaks_are_as_published() {
        for stages in [2, 4, 8] {
            let peak = |schedule: PipelineSchedule| {
                let pipeline = PipelineSize {
                    stages,
                    chunks: schedule.chunks().0,
                    microbatches: 3 * stages,
                };
                played(schedule, pipeline, [10, 10, 10]).held[0]
            };
            assert_eq!(peak(PipelineSchedule::OneFOneB), stages);
            assert_eq!(peak(PipelineSchedule::ZbH1), stages);
            assert_eq!(peak(PipelineSchedule::ZbH2), 2 * stages - 1);
            assert_eq!(peak(PipelineSchedule::ZbV), 2 * stages);
            assert_eq!(peak(PipelineSchedule::DualPipeV), 2 * stages + 1);
        }
    }

    // README of deepseek-ai/DualPipe, of p virtual stages on p/2 ranks: (p/2 − 1)(F&B + B − 3W), F&B one pair of f + b + w,
    // B = b + w, for passes that are as long: (p/2 − 1)(30 + 20 − 30). Longer input gradients leave less than that.
    #[test]
    fn the_bubble_of_pairs_is_as_published() {
        for stages in [2, 4, 8] {
            for [f, b, w] in [[10, 10, 10], [10, 11, 9]] {
                let idle = most_idle(PipelineSchedule::DualPipeV, stages, [f, b, w]);
                let pair = f + b + w;
                let published = (u64::from(stages) - 1) * (pair + b + w - 3 * w);
                assert!(idle <= published, "{stages}: {idle} > {published}");
                assert!(
                    b != w || idle == published,
                    "{stages}: {idle} < {published}"
                );
            }
        }
    }
}
