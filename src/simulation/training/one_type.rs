//! Steps of jobs whose GPUs are all of one type.

use crate::simulation::training::cache::Served;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::search::{self, Choice};
use crate::simulation::training::trace::Trace;
use crate::simulation::training::{dual_pipe, fit, request, variability};
use crate::simulation::{Infeasible, Scratch, StepReport, TrainingScenario};
use crate::units::Flops;

/// Simulates a scenario as if all its GPUs were of its first type: searches the layout axes that are `None`, plays the step.
///
/// # Errors
/// If no layout divides, fits in memory and can communicate as asked.
pub(super) fn simulate(
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

/// Simulates a scenario as if all its GPUs were of its first type; gives its report and the timeline of a step.
///
/// # Errors
/// As [`simulate`].
pub(super) fn trace(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<(StepReport, Trace), Infeasible> {
    let report = simulate(scenario, scratch)?;
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

/// The report of a layout that was played.
pub(super) fn report(scenario: &TrainingScenario, choice: &Choice) -> StepReport {
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
        correction: None,
    }
}
