//! Groups and pipelines that the search looked into.

use std::ops::Range;
use std::sync::Arc;

use itertools::Itertools;

use crate::simulation::Layout;
use crate::simulation::training::bounds::group::{Filling, GroupBound};
use crate::simulation::training::layout::Pipeline;
use crate::simulation::training::memory;
use crate::simulation::training::shards::Shards;
use crate::simulation::training::work::ModelWork;
use crate::stack::PipelineSchedule;

/// Groups whose microbatches are not looked at yet.
pub(super) struct Bounded {
    pub(super) bound: GroupBound,
    pub(super) sampled: Sampled,
    /// Smallest and largest microbatch of which a layer's activations fit.
    pub(super) micro_batches: (u32, u32),
}

/// Groups whose microbatches are looked at.
pub(super) struct Opened {
    pub(super) bound: GroupBound,
    /// Work of a microbatch of many samples, and the share of it that a sample of a smaller one holds at least.
    pub(super) work: Arc<ModelWork>,
    pub(super) exact: f64,
}

/// A layout of many samples, whose activations bound those of fewer.
pub(super) struct Sampled {
    pub(super) layout: Layout,
    /// Sample of its microbatch that a sample of a smaller one holds at least.
    pub(super) exact: f64,
}

/// Stages that hold no more than any others of some groups.
#[derive(Debug, Default)]
pub(super) struct LeastStages {
    pub(super) all: Vec<memory::Stages>,
    pub(super) by_shards: Vec<(Shards, Range<usize>)>,
}

/// Pipelines of one number of stages.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) all: Vec<Pipeline>,
    /// Pipelines that hold no more than any other with the same layers on the same stages, each once.
    pub(super) least: Vec<Pipeline>,
    pub(super) fillings: Vec<Filling>,
}

impl Pipelines {
    pub(super) fn of(all: Vec<Pipeline>, pp: u32) -> Self {
        Self {
            least: all.iter().map(|it| least(it, pp)).unique().collect(),
            fillings: Filling::of(&all, pp),
            all,
        }
    }
}

/// The pipeline that holds least of those with the same layers on the same stages: 1F1B, which has the fewest
/// microbatches in flight and holds all chunks together; ZB-V where the first stage has both ends.
fn least(pipeline: &Pipeline, pp: u32) -> Pipeline {
    if pipeline.schedule.is_v() {
        return Pipeline {
            schedule: PipelineSchedule::ZbV,
            ..pipeline.clone()
        };
    }
    let list = &pipeline.layers_per_stage;
    let of = |stage| list.iter().skip(stage).step_by(pp as usize).sum();
    let stages = if list.is_empty() { 0 } else { pp as usize };
    Pipeline {
        layers_per_stage: (0..stages).map(of).collect(),
        ..Pipeline::default()
    }
}
