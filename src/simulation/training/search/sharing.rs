//! What a search over one type of GPU of a job asks of the others.

use crate::simulation::training::layout::{Groups, Pipeline};
use crate::simulation::training::schedule::{self, PipelineSize};
use crate::simulation::training::shards::Shards;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::PipelineSchedule;
use crate::units::SimDuration;

/// A layout before it is known how much is recomputed, as all types have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::simulation::training) struct Place {
    pub(in crate::simulation::training) groups: Groups,
    pub(in crate::simulation::training) micro_batch: u32,
    pub(in crate::simulation::training) pipeline: Pipeline,
    pub(in crate::simulation::training) shards: Shards,
}

/// The other types of GPU in a job, to the search over one of them.
///
/// However the microbatches are dealt, some type has as many as its share, since the shares less one of each replica are too
/// few. So the layouts that may be faster than the best are those which may be so on one type with its share, over all types.
pub(in crate::simulation::training) trait Sharing {
    /// Microbatches that are the share of each of so many replicas of the type.
    fn share(&self, replicas: u32, micro_batch: u32) -> u32;

    /// Whether layouts with these shards are among those that are looked at.
    fn takes(&self, shards: Shards) -> bool;

    /// Whether a layout was played.
    fn has_best(&self) -> bool;

    /// Whether the best step of the whole job is shorter than a bound.
    fn is_over(&self, bound: SimDuration) -> bool;

    /// Whether the point has taken as many events as it may.
    fn is_spent(&self) -> bool;

    /// Plays a layout on all types, if they can run it.
    fn play(&mut self, place: Place);
}

/// Fewest microbatches that a layout's schedule takes.
pub(in crate::simulation::training) fn least_microbatches(layout: &Layout) -> u32 {
    if layout.schedule.pairs_passes() {
        2 * layout.pp
    } else {
        1
    }
}

/// Microbatches, those of a layout or more, of which it holds least: the groups of an interleaved pipeline are as small as they
/// can be where they are all whole.
pub(in crate::simulation::training) fn least_held(layout: &Layout) -> u32 {
    let held = |microbatches: &u32| {
        let pipeline = PipelineSize {
            stages: layout.pp,
            chunks: layout.vpp,
            microbatches: *microbatches,
        };
        schedule::in_flight(layout.schedule, pipeline, 0)
    };
    match layout.schedule {
        PipelineSchedule::Interleaved => {
            let whole = layout.microbatches.next_multiple_of(layout.pp);
            [layout.microbatches, whole]
                .into_iter()
                .min_by_key(held)
                .unwrap_or(whole)
        }
        PipelineSchedule::GPipe
        | PipelineSchedule::OneFOneB
        | PipelineSchedule::ZbH1
        | PipelineSchedule::ZbH2
        | PipelineSchedule::ZbV
        | PipelineSchedule::DualPipe
        | PipelineSchedule::DualPipeV => layout.microbatches,
    }
}

/// A scenario whose global batch is that of all replicas with a layout's microbatches.
pub(in crate::simulation::training) fn with_microbatches(
    scenario: &TrainingScenario,
    layout: &Layout,
) -> TrainingScenario {
    let mut dealt = scenario.clone();
    let samples = layout.microbatches.saturating_mul(layout.micro_batch);
    dealt.workload.global_batch = samples.saturating_mul(layout.dp);
    dealt
}
