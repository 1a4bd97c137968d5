//! One device per pipeline stage against every rank of the job as a device of its own.

use super::*;
use crate::catalog::Catalog;
use crate::des::Engine;
use crate::simulation::training::layout::Options;
use crate::simulation::training::work::WorkSource;
use crate::simulation::{LayoutRequest, TrainingScenario};
use crate::stack::{PipelineSchedule, ZeroStage};
use crate::units::SimTime;

/// A layout on nodes of `node` GPUs.
#[derive(Clone, Copy, Debug)]
struct Split {
    model: &'static str,
    stack: &'static str,
    gpus: u32,
    tp: u32,
    cp: u32,
    pp: u32,
    vpp: u32,
    ep: u32,
    zero: ZeroStage,
    overlap: bool,
    node: u32,
    /// `None`: interleaved where there are several chunks, else 1F1B.
    schedule: Option<PipelineSchedule>,
}

fn scenario(split: &Split) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut cluster = (*catalog.clusters["dgx-h100"]).clone();
    cluster.gpus_per_node = split.node;
    cluster.domain_gpus = split.node;
    cluster.nics_per_node = split.node;
    let schedule = split.schedule.unwrap_or(if split.vpp > 1 {
        PipelineSchedule::Interleaved
    } else {
        PipelineSchedule::OneFOneB
    });
    let mut scenario = TrainingScenario::new(
        catalog.models[split.model].clone(),
        catalog.gpus["h100-sxm"].clone(),
        cluster,
        catalog.stacks[split.stack].clone(),
    );
    scenario.gpus = split.gpus;
    // A last microbatch of half the size.
    scenario.stack = scenario.stack.with_partial_microbatches();
    scenario.workload.global_batch = 15 * split.gpus / (split.tp * split.cp * split.pp);
    scenario.workload.seq_len = 4096;
    scenario.layout = LayoutRequest {
        tp: Some(split.tp),
        cp: Some(split.cp),
        pp: Some(split.pp),
        vpp: Some(split.vpp),
        ep: Some(split.ep),
        micro_batch: Some(2),
        zero: Some(split.zero),
        schedule: Some(schedule),
        ..LayoutRequest::default()
    };
    scenario.communication.overlap_dp = Some(split.overlap);
    scenario
}

const DENSE: Split = Split {
    model: "llama3-8b",
    stack: "current",
    gpus: 64,
    tp: 2,
    cp: 1,
    pp: 4,
    vpp: 1,
    ep: 1,
    zero: ZeroStage::Z1,
    overlap: true,
    node: 8,
    schedule: None,
};

/// A step of each schedule that only some stacks offer.
fn scheduled() -> impl Iterator<Item = Split> {
    let offered = [
        ("zero-bubble", PipelineSchedule::ZbH1, 1),
        ("zero-bubble", PipelineSchedule::ZbH2, 1),
        ("zero-bubble", PipelineSchedule::ZbV, 2),
        ("torchtitan", PipelineSchedule::DualPipeV, 2),
        ("hai-llm", PipelineSchedule::DualPipe, 2),
    ];
    offered.into_iter().flat_map(|(stack, schedule, vpp)| {
        [false, true].map(|overlap| Split {
            stack,
            vpp,
            overlap,
            schedule: Some(schedule),
            ..DENSE
        })
    })
}

/// Every kind of step on at most 64 GPUs.
fn splits() -> Vec<Split> {
    let dense = DENSE;
    let mut all = Vec::new();
    for zero in [ZeroStage::Z0, ZeroStage::Z1, ZeroStage::Z2] {
        for overlap in [false, true] {
            for vpp in [1, 2] {
                let base = Split {
                    vpp,
                    zero,
                    overlap,
                    ..dense
                };
                all.push(base);
                all.push(Split { cp: 2, ..base });
                all.push(Split {
                    stack: "megatron-2021",
                    ..base
                });
                // Tensor groups of 4 over nodes of 6 straddle every second border.
                all.push(Split {
                    gpus: 48,
                    tp: 4,
                    node: 6,
                    ..base
                });
                all.push(Split {
                    model: "mixtral-8x7b",
                    tp: 1,
                    ep: 4,
                    ..base
                });
            }
        }
    }
    for (gpus, tp, pp) in [(2, 1, 2), (4, 2, 2), (8, 1, 1), (12, 1, 3), (16, 2, 4)] {
        all.push(Split {
            gpus,
            tp,
            pp,
            ..dense
        });
    }
    for overlap in [false, true] {
        let sharded = Split {
            zero: ZeroStage::Z3,
            stack: "fsdp-2024",
            overlap,
            pp: 1,
            tp: 1,
            ..dense
        };
        all.push(sharded);
        all.push(Split { tp: 8, ..sharded });
        all.push(Split {
            gpus: 40,
            ..sharded
        });
    }
    all
}

/// A step that was built and not played: its engine, and the kind and stage of every task.
fn built(
    costs: &StepCosts,
    pricing: &mut Pricing,
    slowdown: &[f64],
    shows_sends: bool,
) -> (Engine, Vec<(SliceKind, u32)>) {
    let mut timeline = Timeline::default();
    let player = costs
        .build(
            pricing,
            &mut timeline,
            PlayOptions {
                shows_sends,
                ..PlayOptions::with(slowdown)
            },
        )
        .expect("the network carries it");
    drop(player);
    let labels = timeline
        .tasks()
        .map(|(_, label)| (label.kind, label.device));
    let labels = labels.collect();
    (timeline.engine, labels)
}

/// Calls `look` with each split's costs and the prices behind them.
fn each_split(look: impl FnMut(&Split, &StepCosts, &mut Pricing)) {
    each_of(splits(), look);
}

/// Calls `look` with the costs of some splits and the prices behind them.
fn each_of(splits: Vec<Split>, mut look: impl FnMut(&Split, &StepCosts, &mut Pricing)) {
    for split in splits {
        let scenario = scenario(&split);
        let layout = Options::of(&scenario)
            .and_then(|options| options.first())
            .unwrap_or_else(|fault| panic!("{split:?}: {fault}"));
        let work = WorkSource::default().work(&scenario, &layout);
        let mut pricing =
            Pricing::new(&scenario.cluster, scenario.gpus).expect("the fabric holds them");
        let costs =
            StepCosts::of(&scenario, &layout, &work, &mut pricing).expect("the network carries it");
        look(&split, &costs, &mut pricing);
    }
}

/// The group in which a rank of a stage does a task: its data-parallel one.
fn group(split: &Split, kind: SliceKind, rank: u32) -> Option<u32> {
    (kind == SliceKind::Replication).then_some(rank % split.tp)
}

// Every rank has its own streams and host, and waits for the ranks of its data-parallel group. All of
// them do what the one device does that stands for their stage, picosecond by picosecond.
#[test]
fn one_device_per_stage_is_as_fast_as_every_rank() {
    each_split(|split, costs, pricing| {
        let (mut reduced, labels) = built(costs, pricing, &[], false);
        let ranks = split.gpus / split.pp;
        let mut full = reduced.unfolded(
            ranks,
            |task, _| reduced.work(task),
            |task, rank| group(split, labels[task.index()].0, rank),
        );
        assert_eq!(reduced.run(), full.run(), "{split:?}");
        let copies: Vec<(SimTime, SimTime)> = {
            let gates = full
                .tasks()
                .filter(|task| full.work(*task) > SimDuration::ZERO);
            gates
                .map(|task| (full.start(task), full.end(task)))
                .collect()
        };
        let ours = reduced
            .tasks()
            .filter(|task| reduced.work(*task) > SimDuration::ZERO);
        for (task, theirs) in ours.zip(copies.chunks(ranks as usize)) {
            let own = (reduced.start(task), reduced.end(task));
            assert!(theirs.iter().all(|it| *it == own), "{split:?} {task:?}");
        }
    });
}

// One GPU whose kernels take 7% longer holds up its whole group, its replica, and at the end of the step
// all others: the job is as fast as if every GPU of that stage were as slow. Where communications share
// links a later start may meet less traffic (fair sharing is not monotonic): there both agree to 0.1%.
#[test]
fn one_slow_gpu_is_as_bad_as_a_slow_stage() {
    each_split(|split, costs, pricing| {
        let ranks = split.gpus / split.pp;
        // Ranks that wait for each other within every layer.
        let together = (split.tp * split.cp).max(split.ep);
        for stage in 0..split.pp {
            let mut slowdown = vec![1.0; split.pp as usize];
            slowdown[stage as usize] = 1.07;
            let (plain, labels) = built(costs, pricing, &[], true);
            let (slow, _) = built(costs, pricing, &slowdown, true);
            for straggler in [0, ranks / 2, ranks - 1] {
                let mut full = slow.unfolded(
                    ranks,
                    |task, rank| {
                        let own = labels[task.index()].1 == stage;
                        if own && rank / together == straggler / together {
                            slow.work(task)
                        } else {
                            plain.work(task)
                        }
                    },
                    |task, rank| group(split, labels[task.index()].0, rank),
                );
                let [reduced, all] = [slow.clone().run(), full.run()].map(SimTime::as_picos);
                let apart = reduced.abs_diff(all);
                let bound = if split.overlap { reduced / 1_000 } else { 0 };
                assert!(
                    apart <= bound,
                    "{split:?}, GPU {straggler} of stage {stage}: {reduced} and {all} ps"
                );
            }
        }
    });
}

// A send that can neither wait for another nor share a link is a lag; as a task of its own it takes
// as long.
#[test]
fn sends_take_as_long_whether_they_are_shown_or_not() {
    each_split(|split, costs, pricing| {
        let (mut lags, _) = built(costs, pricing, &[], false);
        let (mut tasks, _) = built(costs, pricing, &[], true);
        assert_eq!(lags.run(), tasks.run(), "{split:?}");
    });
}

// A folded step repeats groups of microbatches that a whole one plays: every time is the same to the picosecond, every
// byte the same, and the FLOPs to the rounding of their sum.
#[test]
fn a_folded_step_is_the_whole_one() {
    let (mut folds, mut cases) = (0, 0);
    let all = splits().into_iter().chain(scheduled()).collect();
    each_of(all, |split, costs, pricing| {
        let mut timeline = Timeline::default();
        for microbatches in [128, 250, 403] {
            for drawn in [1.0, 1.01] {
                let mut slowdown = vec![1.0; split.pp as usize];
                slowdown[(microbatches % split.pp) as usize] = drawn;
                let mut costs = costs.clone();
                costs.microbatches = microbatches;
                let folded = costs
                    .folded(pricing, &mut timeline, &slowdown)
                    .expect("the network carries it");
                let whole = costs
                    .play_all(pricing, &mut timeline, &slowdown)
                    .expect("the network carries it");
                cases += 1;
                let Some(folded) = folded else { continue };
                folds += 1;
                let case = format!("{split:?}, {microbatches} microbatches, {drawn}");
                let rounded = (folded.hardware_flops / whole.hardware_flops - 1.0).abs();
                assert!(rounded < 1e-12, "{case}: {rounded}");
                assert!(folded.events < whole.events, "{case}");
                let folded = Step {
                    hardware_flops: whole.hardware_flops,
                    events: whole.events,
                    ..folded
                };
                assert_eq!(folded, whole, "{case}");
            }
        }
    });
    assert_eq!(folds, cases);
}
