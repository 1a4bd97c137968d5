//! The timeline of one step, for people to look at.

use crate::closed_set;
use crate::des::TaskId;
use crate::simulation::TimeShares;
use crate::simulation::training::memory;
use crate::simulation::training::step::StepCosts;
use crate::simulation::training::timeline::{Cause, Label, Timeline};
use crate::units::{Bytes, SimDuration, SimTime};

closed_set! {
    /// Streams of one pipeline stage.
    pub enum Track: "track" {
        /// Kernels, and everything that kernels wait for.
        Compute = "compute",
        /// Data-parallel communication beside them.
        Communication = "communication",
        /// Sends to other stages beside them.
        Sends = "sends",
    }
}

closed_set! {
    /// What a slice of a track shows.
    pub enum SliceKind: "slice" {
        /// Forward pass of one microbatch through one chunk of layers.
        Forward = "forward",
        /// Backward pass of it.
        Backward = "backward",
        /// Send to another stage.
        Send = "send",
        /// Gathering of parameters or reduction of gradients.
        Replication = "replication",
        /// The optimizer's kernels.
        Optimizer = "optimizer",
        /// The host's work between steps.
        Host = "host",
    }
}

/// A stretch of time on one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Pipeline stage, 0-based.
    pub stage: u32,
    /// Stream of the stage.
    pub track: Track,
    /// What it shows.
    pub kind: SliceKind,
    /// Microbatch, 0-based; `None` for what belongs to the whole step.
    pub microbatch: Option<u32>,
    /// Chunk of the stage's layers, 0-based.
    pub chunk: Option<u32>,
    /// First layer and one past the last, front to back.
    pub layers: Option<(u32, u32)>,
    /// When it starts.
    pub start: SimTime,
    /// How long it lasts.
    pub duration: SimDuration,
    /// How its time divides.
    pub parts: TimeShares,
}

/// Activations that a stage holds from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Pipeline stage, 0-based.
    pub stage: u32,
    /// The moment.
    pub at: SimTime,
    /// What it holds.
    pub activations: Bytes,
}

/// One step of one representative device per pipeline stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
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
    /// The timeline that was played, with what it means for memory.
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
    let place = label.passage.map(|passage| passage.place);
    let start = timeline.engine.start(task);
    Slice {
        stage: label.device,
        track: label.track,
        kind: match label.cause {
            Cause::Forward => SliceKind::Forward,
            Cause::Backward => SliceKind::Backward,
            Cause::Send => SliceKind::Send,
            Cause::Replication => SliceKind::Replication,
            Cause::Optimizer => SliceKind::Optimizer,
            Cause::Host => SliceKind::Host,
        },
        microbatch: label.passage.map(|passage| passage.microbatch),
        chunk: place.map(|place| place / costs.layout.pp),
        layers: place.map(|place| layers(costs, place as usize)),
        start,
        duration: timeline.engine.end(task) - start,
        parts: label.parts,
    }
}

fn layers(costs: &StepCosts, place: usize) -> (u32, u32) {
    let held = &costs.layout.layers_per_stage;
    if held.is_empty() {
        return (0, costs.work.sequence.len() as u32);
    }
    let before: u32 = held[..place].iter().sum();
    (before, before + held[place])
}

/// A forward pass adds what its layers keep, the backward pass of the same microbatch frees it. A
/// pass that is cut into pieces counts once: at the end of its last piece.
fn counters(costs: &StepCosts, slices: &[Slice]) -> Vec<Counter> {
    let kept = |place: usize| -> u64 {
        memory::layers_of(costs.layout, costs.work, place)
            .iter()
            .map(|&kind| {
                let layer = &costs.work.kinds[usize::from(kind)];
                memory::kept(costs.scenario, costs.layout, layer)
            })
            .sum()
    };
    let mut ends = std::collections::BTreeMap::new();
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
            let place = chunk.unwrap_or(0) * costs.layout.pp + stage;
            (at, stage, change * kept(place as usize).cast_signed())
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
