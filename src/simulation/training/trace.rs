//! The timeline of one step, for people to look at.

use std::collections::BTreeMap;

use crate::des::TaskId;
use crate::simulation::TimeShares;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::memory;
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::stage_layers::layers_of;
use crate::simulation::training::timeline::{Label, SliceKind, Timeline, Track};
use crate::units::{Bytes, SimDuration, SimTime};

/// One task on one track.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    /// Pipeline stage, 0-based.
    pub stage: u32,
    /// Stream of the stage.
    pub track: Track,
    /// Kind of the task.
    pub kind: SliceKind,
    /// Microbatch, 0-based; `None` for what belongs to the whole step.
    pub microbatch: Option<u32>,
    /// Chunk of the stage's layers, 0-based.
    pub chunk: Option<u32>,
    /// First layer and one past the last, front to back.
    pub layers: Option<(u32, u32)>,
    /// Start, from the start of the step.
    pub start: SimTime,
    /// Duration.
    pub duration: SimDuration,
    /// Parts of its time.
    pub parts: TimeShares,
}

/// Activations that a stage holds from a moment until its next counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// Pipeline stage, 0-based.
    pub stage: u32,
    /// Moment, from the start of the step.
    pub at: SimTime,
    /// Bytes held.
    pub activations: Bytes,
}

/// One step of one representative device per pipeline stage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trace {
    /// Pipeline stages.
    pub stages: u32,
    /// Slices, in the order in which they were scheduled.
    pub slices: Vec<Slice>,
    /// Sends, as indices of the slice that hands over and the one that receives.
    pub flows: Vec<(usize, usize)>,
    /// Memory over time, by time.
    pub counters: Vec<Counter>,
}

impl Trace {
    /// Slices of a timeline that was played, and the activations held meanwhile.
    pub(super) fn of(
        costs: &StepCosts,
        timeline: &Timeline,
        hand_overs: &[(TaskId, TaskId)],
    ) -> Self {
        let slices = timeline
            .tasks()
            .map(|(task, label)| slice(costs, timeline, task, label));
        let slices: Vec<Slice> = slices.collect();
        Self {
            stages: costs.layout.pp,
            counters: counters(costs, &slices),
            slices,
            flows: hand_overs
                .iter()
                .map(|(from, to)| (from.index(), to.index()))
                .collect(),
        }
    }
}

fn slice(costs: &StepCosts, timeline: &Timeline, task: TaskId, label: &Label) -> Slice {
    let stage = label.works_on.map(|at| at.virtual_stage);
    let start = timeline.engine.start(task);
    Slice {
        stage: label.device,
        track: label.track,
        kind: label.kind,
        microbatch: label.works_on.map(|at| at.microbatch),
        chunk: stage.map(|stage| stage / costs.layout.pp),
        layers: stage.map(|stage| layers(costs, stage as usize)),
        start,
        duration: timeline.engine.end(task) - start,
        parts: *timeline.parts(label),
    }
}

fn layers(costs: &StepCosts, virtual_stage: usize) -> (u32, u32) {
    let held = &costs.layout.layers_per_stage;
    if held.is_empty() {
        return (0, costs.work.sequence.len() as u32);
    }
    let before: u32 = held[..virtual_stage].iter().sum();
    (before, before + held[virtual_stage])
}

/// A forward pass adds what its layers keep, the backward pass of the same microbatch frees it. A
/// pass that is cut into several tasks counts once: at the end of its last task.
fn counters(costs: &StepCosts, slices: &[Slice]) -> Vec<Counter> {
    let kept = |virtual_stage: usize| -> u64 {
        layers_of(costs.layout, costs.work, virtual_stage)
            .iter()
            .map(|&kind| {
                let layer = &costs.work.kinds[usize::from(kind)];
                memory::kept(costs.scenario, costs.layout, layer)
            })
            .sum()
    };
    let mut ends = BTreeMap::new();
    for slice in slices {
        let change = match slice.kind {
            SliceKind::Forward => 1_i64,
            SliceKind::Backward => -1,
            SliceKind::Send | SliceKind::Replication | SliceKind::Optimizer | SliceKind::Host => {
                continue;
            }
        };
        let key = (slice.stage, slice.microbatch, slice.chunk, change);
        let end = slice.start + slice.duration;
        let last = ends.entry(key).or_insert(end);
        *last = (*last).max(end);
    }
    let mut changes: Vec<(SimTime, u32, i64)> = ends
        .into_iter()
        .map(|((stage, _, chunk, change), at)| {
            let placement = Placement::of(costs.layout);
            let virtual_stage = placement.virtual_stage(stage, chunk.unwrap_or(0));
            let held = kept(virtual_stage as usize).cast_signed();
            (at, stage, change * held)
        })
        .collect();
    changes.sort_unstable();
    let mut held = vec![0_i64; costs.layout.pp as usize];
    changes
        .into_iter()
        .map(|(at, stage, change)| {
            let now = &mut held[stage as usize];
            *now += change;
            Counter {
                stage,
                at,
                activations: Bytes::new((*now).max(0).unsigned_abs()),
            }
        })
        .collect()
}
