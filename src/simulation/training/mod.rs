//! Training steps: layout and placement, pipeline schedules, the step on the engine, the search.

mod bounds;
mod cache;
mod checkpoint;
mod comm_cost;
mod costs;
mod data_parallel_cost;
mod data_parallel_play;
mod dual_pipe;
mod effort;
mod fit;
mod host;
mod host_copies;
#[cfg(test)]
mod image_tests;
mod layout;
mod limits;
mod memory;
mod mixed;
mod newton_schulz;
mod one_type;
mod optimizer;
mod parameters;
mod passes;
mod pipeline;
mod play;
mod pricing;
#[cfg(test)]
mod recipe_tests;
mod request;
pub(crate) mod schedule;
mod search;
mod shards;
mod slowest;
pub(crate) mod stage_layers;
mod stage_times;
#[cfg(test)]
mod tests;
mod timeline;
mod token_dispatch;
mod trace;
mod variability;
mod walk;
mod work;

pub(super) use cache::Shared;
pub(crate) use checkpoint::checkpoint_size;
pub(crate) use host::{LayerLaunches, layer_launches};
pub(crate) use mixed::undivided_stages;
#[cfg(test)]
pub(crate) use timeline::SliceKind;
pub(crate) use timeline::Track;
pub(crate) use token_dispatch::lacking_fabric;
pub(crate) use trace::{Slice, Trace};

use crate::simulation::training::layout::{Options, attention_kernel};
use crate::simulation::{
    Infeasible, Layout, MemoryFootprint, Scratch, StageMemory, StepReport, TrainingScenario,
};

/// Simulates one training scenario: searches the layout axes that are `None`, plays the step.
///
/// # Errors
/// If no layout divides, fits in memory and can communicate as asked.
pub fn simulate_training(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<StepReport, Infeasible> {
    if !scenario.pools.is_empty() {
        return mixed::simulate(scenario, scratch);
    }
    one_type::simulate(scenario, scratch)
}

/// Peak memory of every pipeline stage of a layout, whether it fits or not.
///
/// Axes that are `None` take the first of the layouts that the search would look at, with the policy that
/// recomputes least and fits, or else the one that recomputes most.
///
/// # Errors
/// If no layout divides.
pub(crate) fn stage_memory(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<Vec<MemoryFootprint>, Infeasible> {
    request::check(scenario)?;
    let folded = dual_pipe::folded(scenario)?;
    let scenario = &*folded;
    let source = scratch.training.source(scenario);
    let options = Options::of(scenario)?;
    let mut layout = options.first()?;
    let work = source.work(scenario, &layout);
    for policy in options.recompute() {
        layout.recompute = policy;
        if memory::peak(scenario, &layout, &work).total() <= scenario.gpu.memory {
            break;
        }
    }
    let stages = memory::by_stage(scenario, &layout, &work);
    Ok(stages.into_iter().map(|stage| stage.peak).collect())
}

/// Memory of every pipeline stage under a layout that ran, moment by moment.
pub(crate) fn memory_of_layout(
    scenario: &TrainingScenario,
    layout: &Layout,
    scratch: &mut Scratch,
) -> Vec<StageMemory> {
    let played = dual_pipe::played(layout);
    let mut of_type = |scenario: &TrainingScenario| {
        // Each type of GPU has a kernel of its own.
        let has_several = !scenario.pools.is_empty();
        let own = has_several.then(|| attention_kernel(scenario).ok());
        let layout = Layout {
            attention: own.flatten().unwrap_or(played.attention),
            ..played.clone()
        };
        let work = scratch.training.source(scenario).work(scenario, &layout);
        memory::by_stage(scenario, &layout, &work)
    };
    if scenario.pools.is_empty() {
        return of_type(scenario);
    }
    if scenario.has_stages_by_type() {
        return by_type(scenario, played.pp, of_type);
    }
    // That of the tightest type.
    let each = scenario.pools.iter().map(|pool| {
        let stages = of_type(&scenario.all_of(pool));
        let peaks = stages.iter().map(|stage| stage.peak.total().as_f64());
        let peak = peaks.fold(0.0, f64::max);
        (peak / pool.gpu.memory.as_f64(), stages)
    });
    let tightest = each.max_by(|(a, _), (b, _)| a.total_cmp(b));
    tightest.map(|(_, stages)| stages).unwrap_or_default()
}

/// Memory of every pipeline stage where each type of GPU has stages of its own.
fn by_type(
    scenario: &TrainingScenario,
    pp: u32,
    mut of_type: impl FnMut(&TrainingScenario) -> Vec<StageMemory>,
) -> Vec<StageMemory> {
    let mut stages = Vec::new();
    for pool in &scenario.pools {
        let own = u64::from(pool.gpus) * u64::from(pp) / u64::from(scenario.gpus);
        let all = of_type(&scenario.all_of(pool)).into_iter();
        stages.extend(all.skip(stages.len()).take(own as usize));
    }
    stages
}

/// Simulates one training scenario; gives its report and the timeline of a step, of several types of GPU that of the one
/// which takes longest.
///
/// # Errors
/// As [`simulate_training`].
pub(crate) fn trace_training(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<(StepReport, Trace), Infeasible> {
    if !scenario.pools.is_empty() {
        let pacing = mixed::pacing(scenario, scratch)?;
        return one_type::trace(&pacing, scratch);
    }
    one_type::trace(scenario, scratch)
}
