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
mod layout;
mod limits;
mod memory;
mod mixed;
mod newton_schulz;
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
#[cfg(test)]
pub(crate) use timeline::SliceKind;
pub(crate) use timeline::Track;
pub(crate) use token_dispatch::lacking_fabric;
pub(crate) use trace::{Slice, Trace};

use crate::simulation::training::cache::Served;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::layout::Options;
use crate::simulation::training::search::Choice;
use crate::simulation::{
    Infeasible, Layout, MemoryFootprint, Scratch, StageMemory, StepReport, TrainingScenario,
};
use crate::units::Flops;

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
    on_one_type(scenario, scratch)
}

/// Simulates a scenario as if all its GPUs were of its first type.
fn on_one_type(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<StepReport, Infeasible> {
    request::check(scenario)?;
    let found = fastest(scenario, scratch);
    let Some(paired) = dual_pipe::alternative(scenario) else {
        return found;
    };
    match (found, fastest(&paired, scratch)) {
        (Ok(own), Ok(paired)) => Ok(own.or_faster(paired)),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => Ok(only),
        (Err(why), Err(_)) => Err(why),
    }
}

/// The fastest layout of a scenario that asks for DualPipe or does without.
fn fastest(scenario: &TrainingScenario, scratch: &mut Scratch) -> Result<StepReport, Infeasible> {
    let folded = dual_pipe::folded(scenario)?;
    let scenario = &*folded;
    let Served {
        source,
        pricing,
        timeline,
        orders,
    } = scratch.training.serve(scenario)?;
    let choice = search::fastest(scenario, source, (pricing, timeline, orders))?;
    let mut report = report(scenario, &choice);
    if scenario.run.variability > 0.0 {
        let fit::Fitting { layout, work, .. } = &choice.fitting;
        let costs = StepCosts::of(scenario, layout, work, pricing)?;
        let spread = variability::spread(&costs, pricing, timeline)?;
        report.percentiles = Some(spread.percentiles);
        report.events += spread.events;
        report.shares = spread.mean.shares;
        report.forward = spread.mean.forward;
        report.backward = spread.mean.backward;
        report.comm_busy = spread.mean.comm_busy;
    }
    Ok(report)
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
    let layout = dual_pipe::played(layout);
    let mut of_type = |scenario: &TrainingScenario| {
        let work = scratch.training.source(scenario).work(scenario, &layout);
        memory::by_stage(scenario, &layout, &work)
    };
    if scenario.pools.is_empty() {
        return of_type(scenario);
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
        return trace_on_one_type(&pacing, scratch);
    }
    trace_on_one_type(scenario, scratch)
}

fn trace_on_one_type(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<(StepReport, Trace), Infeasible> {
    let report = on_one_type(scenario, scratch)?;
    let Served {
        source,
        pricing,
        timeline,
        ..
    } = scratch.training.serve(scenario)?;
    let layout = dual_pipe::played(&report.layout);
    let work = source.work(scenario, &layout);
    let trace = StepCosts::of(scenario, &layout, &work, pricing)?.trace(pricing, timeline)?;
    Ok((report, trace))
}

fn report(scenario: &TrainingScenario, choice: &Choice) -> StepReport {
    let fit::Fitting {
        layout,
        work,
        memory,
    } = &choice.fitting;
    let step = &choice.step;
    let workload = scenario.workload;
    let samples = u64::from(workload.global_batch);
    let per_replica = work.model_flops() * f64::from(layout.tp * layout.cp);
    let passes = samples as f64 / f64::from(layout.micro_batch);
    StepReport {
        layout: dual_pipe::unfolded(layout),
        layouts_tried: choice.tried,
        shares: step.device.shares,
        forward: step.device.forward,
        backward: step.device.backward,
        comm_busy: step.device.comm_busy,
        percentiles: None,
        model_flops: Flops::new(per_replica * passes),
        hardware_flops: Flops::new(step.hardware_flops),
        tokens: samples * u64::from(workload.seq_len.max(1)),
        memory: *memory,
        memory_capacity: scenario.gpu.memory,
        collective_used: step
            .algorithm
            .map(|carried| carried.named(scenario.communication.collective.as_ref())),
        network: step.traffic,
        pools: Vec::new(),
        events: choice.events,
    }
}
