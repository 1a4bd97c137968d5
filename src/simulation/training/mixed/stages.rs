//! Pipelines whose stages are on several types of GPU.
//!
//! Each type has consecutive stages in the order of the types, as many of all as GPUs of all; a faster one has more layers, so that all
//! stages take as long as whole layers can. Layers are priced on the GPU of their stage, whose groups of ranks are of that type alone, the
//! sends on the slower network. What follows the passes (reductions, the optimizer's step) is priced on the type with the
//! busiest stage.
//!
//! `auto` looks at the layouts that are the fastest for one of the types alone with each number of stages, under 1F1B with
//! one chunk per stage and whole parameters.

use std::sync::Arc;

use crate::model::Transformer;
use crate::simulation::training::cache::Served;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::fit::{Fitting, in_words};
use crate::simulation::training::layout::FirstFault;
use crate::simulation::training::mixed::alike::alike;
use crate::simulation::training::mixed::refusals::{check, on_type};
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::pipeline::VirtualStage;
use crate::simulation::training::search::Choice;
use crate::simulation::training::work::ModelWork;
use crate::simulation::training::{memory, one_type};
use crate::simulation::{
    Infeasible, Layout, MemoryFootprint, PoolReport, Scratch, StepReport, TrainingScenario,
};
use crate::stack::{PipelineSchedule, ZeroStage};
use crate::units::SimDuration;

/// Simulates a job whose types of GPU have pipeline stages of their own.
///
/// # Errors
/// If the stages do not divide among the types, a type cannot run as asked, or nothing fits.
pub(super) fn simulate(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<StepReport, Infeasible> {
    check(scenario)?;
    check_pipeline(scenario)?;
    let mut faults = FirstFault::default();
    let mut best: Option<StepReport> = None;
    let (mut tried, mut events) = (0, 0);
    let mut seen: Vec<Layout> = Vec::new();
    for pp in stage_counts(scenario)? {
        let Some(jobs) = faults.keep(jobs(scenario, pp, scratch)) else {
            continue;
        };
        for (_, step) in &jobs {
            (tried, events) = (tried + step.layouts_tried, events + step.events);
        }
        for at in 0..jobs.len() {
            let layout = &jobs[at].1.layout;
            if seen.iter().any(|known| alike(known, layout)) {
                continue;
            }
            seen.push(layout.clone());
            let Some(step) = faults.keep(
                typed(scenario, &jobs, layout, scratch).and_then(|types| played(&types, scratch)),
            ) else {
                continue;
            };
            (tried, events) = (tried + 1, events + step.events);
            if best
                .as_ref()
                .is_none_or(|best| step.step_time() < best.step_time())
            {
                best = Some(step);
            }
        }
    }
    let Some(best) = best else {
        return Err(faults
            .take()
            .expect("a layout was played, or it was refused"));
    };
    Ok(StepReport {
        layouts_tried: tried,
        events,
        ..best
    })
}

/// Refuses what pipelines on several types do not have.
fn check_pipeline(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let layout = &scenario.layout;
    let unsupported = |what: String| {
        Err(Infeasible::Unsupported(format!(
            "{what} is not simulated with stages on several types of GPU"
        )))
    };
    if let Some(schedule) = layout
        .schedule
        .filter(|asked| *asked != PipelineSchedule::OneFOneB)
    {
        return unsupported(format!("schedule {schedule}"));
    }
    if let Some(vpp) = layout.vpp.filter(|vpp| *vpp > 1) {
        return unsupported(format!("vpp {vpp}"));
    }
    match layout.zero {
        Some(zero @ (ZeroStage::Z2 | ZeroStage::Z3)) => unsupported(format!("zero {zero}")),
        Some(ZeroStage::Z0 | ZeroStage::Z1) | None => Ok(()),
    }
}

/// Why the stages that a job asks for do not divide among its types of GPU; `None` where they do, or it has stages of one
/// type.
pub(crate) fn undivided_stages(scenario: &TrainingScenario) -> Option<Infeasible> {
    if !scenario.has_stages_by_type() {
        return None;
    }
    stage_counts(scenario).err()
}

/// Numbers of stages of which each type has a whole number, at least one: the one that was asked for, else all.
fn stage_counts(scenario: &TrainingScenario) -> Result<Vec<u32>, Infeasible> {
    let gpus = u64::from(scenario.gpus);
    let divides = |pp: u32| {
        let pp = u64::from(pp);
        let each = scenario.pools.iter().map(|pool| u64::from(pool.gpus) * pp);
        gpus.is_multiple_of(pp) && each.into_iter().all(|share| share.is_multiple_of(gpus))
    };
    let layers = scenario.model.transformer().map_or(1, Transformer::depth);
    let counts: Vec<u32> = match scenario.layout.pp {
        Some(pp) => vec![pp],
        None => (2..=layers.min(scenario.gpus)).collect(),
    };
    let words = || {
        let each = scenario.pools.iter();
        let each: Vec<String> = each
            .map(|pool| format!("{} {}", pool.gpus, pool.gpu.name))
            .collect();
        each.join(" and ")
    };
    let least = scenario.pools.len() as u32;
    let found: Vec<u32> = counts
        .iter()
        .copied()
        .filter(|pp| *pp >= least && divides(*pp))
        .collect();
    if found.is_empty() {
        return Err(Infeasible::Indivisible {
            what: match scenario.layout.pp {
                Some(pp) => format!("pp {pp}"),
                None => "no number of stages".to_owned(),
            },
            by: format!("{}, of which each type has its share", words()),
        });
    }
    Ok(found)
}

/// The job as if all GPUs were of one type, with its fastest step of so many stages, for each type.
fn jobs(
    scenario: &TrainingScenario,
    pp: u32,
    scratch: &mut Scratch,
) -> Result<Vec<(TrainingScenario, StepReport)>, Infeasible> {
    let of_type = |pool| {
        let mut job = scenario.all_of(pool);
        let layout = &mut job.layout;
        (layout.pp, layout.vpp) = (Some(pp), Some(1));
        layout.schedule = Some(PipelineSchedule::OneFOneB);
        layout.zero = layout.zero.or(Some(ZeroStage::Z1));
        let step = one_type::simulate(&job, scratch).map_err(|why| on_type(why, pool))?;
        Ok((job, step))
    };
    scenario.pools.iter().map(of_type).collect()
}

/// A type of GPU with the layout on it.
struct Typed<'a> {
    job: &'a TrainingScenario,
    layout: Layout,
    work: Arc<ModelWork>,
    /// Stages from the first to the one behind the last.
    stages: std::ops::Range<u32>,
}

/// The types with a layout whose layers are shared out by their speed, unless the job says which stage has which.
fn typed<'a>(
    scenario: &TrainingScenario,
    jobs: &'a [(TrainingScenario, StepReport)],
    layout: &Layout,
    scratch: &mut Scratch,
) -> Result<Vec<Typed<'a>>, Infeasible> {
    let mut first = 0;
    let mut types = Vec::with_capacity(jobs.len());
    for ((job, step), pool) in jobs.iter().zip(&scenario.pools) {
        let stages =
            (u64::from(pool.gpus) * u64::from(layout.pp) / u64::from(scenario.gpus)) as u32;
        let layout = Layout {
            attention: step.layout.attention,
            ..layout.clone()
        };
        types.push(Typed {
            job,
            work: scratch.training.source(job).work(job, &layout),
            layout,
            stages: first..first + stages,
        });
        first += stages;
    }
    if scenario.layout.layers_per_stage.is_none() {
        let layers = shared_layers(&types, scratch)?;
        for of_type in &mut types {
            of_type.layout.layers_per_stage.clone_from(&layers);
        }
    }
    Ok(types)
}

/// The step of a layout on the types.
fn played(types: &[Typed<'_>], scratch: &mut Scratch) -> Result<StepReport, Infeasible> {
    let (tightest, footprints) = footprints(types)?;
    let mut priced = Vec::with_capacity(types.len());
    for of_type in types {
        let pricing = scratch.training.serve(of_type.job)?.pricing;
        priced.push(StepCosts::of(
            of_type.job,
            &of_type.layout,
            &of_type.work,
            pricing,
        )?);
    }
    let busiest: Vec<SimDuration> = types
        .iter()
        .zip(&priced)
        .map(|(of_type, costs)| {
            let times = of_type.stages.clone().map(|stage| costs.stage_time(stage));
            times.max().unwrap_or_default()
        })
        .collect();
    let places = (0..types.len()).rev();
    let slowest = places
        .max_by_key(|at| busiest[*at])
        .expect("a job has types");
    let stages = types.iter().zip(&priced).flat_map(|(of_type, costs)| {
        let own = of_type.stages.start as usize..of_type.stages.end as usize;
        costs.stages[own].iter().map(VirtualStage::apart)
    });
    let sends = priced.iter().map(|costs| costs.send);
    let send = sends.max_by_key(|send| send.time).expect("a job has types");
    let mixed = StepCosts {
        stages: stages.collect(),
        send,
        ..priced[slowest].clone()
    };
    let Served {
        pricing, timeline, ..
    } = scratch.training.serve(types[slowest].job)?;
    let step = mixed.play(pricing, timeline, &[])?;
    let choice = Choice {
        events: step.events,
        fitting: Fitting {
            layout: types[slowest].layout.clone(),
            work: Arc::clone(&types[slowest].work),
            memory: footprints[tightest],
        },
        step,
        tried: 1,
    };
    let microbatches = types[slowest].layout.microbatches;
    let pools = types.iter().zip(&footprints).zip(busiest);
    let pools = pools.map(|((of_type, memory), busiest)| PoolReport {
        microbatches,
        layers: Some(of_type.layers()),
        step_time: busiest * u64::from(microbatches),
        memory: *memory,
        memory_capacity: of_type.job.gpu.memory,
    });
    Ok(StepReport {
        memory_capacity: types[tightest].job.gpu.memory,
        pools: pools.collect(),
        ..one_type::report(types[slowest].job, &choice)
    })
}

impl Typed<'_> {
    /// Layers of the type's stages.
    fn layers(&self) -> u32 {
        let own = self.stages.start as usize..self.stages.end as usize;
        self.layout.layers_per_stage[own].iter().sum()
    }
}

/// Peak memory of the fullest stage of each type, and the place of the type whose memory is the fullest.
fn footprints(types: &[Typed<'_>]) -> Result<(usize, Vec<MemoryFootprint>), Infeasible> {
    let mut footprints = Vec::with_capacity(types.len());
    for of_type in types {
        let stages = memory::by_stage(of_type.job, &of_type.layout, &of_type.work);
        let own = stages
            .into_iter()
            .filter(|stage| of_type.stages.contains(&stage.stage));
        let peak = own
            .map(|stage| stage.peak)
            .max_by_key(MemoryFootprint::total)
            .expect("a type has stages");
        if peak.total() > of_type.job.gpu.memory {
            return Err(Infeasible::OutOfMemory {
                needed: peak.total(),
                available: of_type.job.gpu.memory,
                layout: format!("{}, on {}", in_words(&of_type.layout), of_type.job.gpu.name),
            });
        }
        footprints.push(peak);
    }
    let filled = |at: &usize| footprints[*at].total().as_f64() / types[*at].job.gpu.memory.as_f64();
    let tightest = (0..types.len()).max_by(|a, b| filled(a).total_cmp(&filled(b)));
    Ok((tightest.expect("a job has types"), footprints))
}

/// Layers of each stage, shared out by the speed of the types.
fn shared_layers(types: &[Typed<'_>], scratch: &mut Scratch) -> Result<Vec<u32>, Infeasible> {
    let mut stages: Vec<StageSpeed> = Vec::new();
    for of_type in types {
        let pricing = scratch.training.serve(of_type.job)?.pricing;
        let costs = StepCosts::of(of_type.job, &of_type.layout, &of_type.work, pricing)?;
        let priced = &costs.stages[0].layers;
        let seconds = |layer: &LayerCost| {
            let passes = layer.forward.parts.total() + layer.backward.parts.total();
            passes.as_secs_f64()
        };
        let kinds = of_type.work.sequence.iter();
        let speed = StageSpeed {
            layers: kinds
                .map(|kind| seconds(&priced.kinds[usize::from(*kind)]))
                .collect(),
            ends: 0.0,
        };
        let ends = (
            seconds(&priced.embedding),
            seconds(&priced.head) + seconds(&priced.mtp),
        );
        for stage in of_type.stages.clone() {
            let embedding = if stage == 0 { ends.0 } else { 0.0 };
            let head = if stage + 1 == of_type.layout.pp {
                ends.1
            } else {
                0.0
            };
            stages.push(StageSpeed {
                ends: embedding + head,
                ..speed.clone()
            });
        }
    }
    Ok(share_out(&stages))
}

/// Seconds of a microbatch on a stage.
#[derive(Clone, Debug)]
struct StageSpeed {
    /// Each layer of the model, if the stage had it.
    layers: Vec<f64>,
    /// Embedding and head, where the stage has them.
    ends: f64,
}

/// Halvings of the time within which all stages are done: to one part in 2⁴⁰.
const HALVINGS: u32 = 40;

/// Consecutive layers of each stage, one at least, with which the busiest stage takes as little as it can.
fn share_out(stages: &[StageSpeed]) -> Vec<u32> {
    let all = stages[0].layers.len();
    let filled = |limit: f64| {
        let mut next = 0;
        let mut counts = Vec::with_capacity(stages.len());
        for (stage, speed) in stages.iter().enumerate() {
            let behind = stages.len() - stage - 1;
            let (first, mut seconds) = (next, speed.ends);
            while next < all.saturating_sub(behind)
                && (next == first || seconds + speed.layers[next] <= limit)
            {
                seconds += speed.layers[next];
                next += 1;
            }
            counts.push((next - first) as u32);
        }
        (next, counts)
    };
    let total = |speed: &StageSpeed| speed.ends + speed.layers.iter().sum::<f64>();
    let (mut low, mut high) = (0.0, stages.iter().map(total).fold(0.0, f64::max));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if filled(middle).0 == all {
            high = middle;
        } else {
            low = middle;
        }
    }
    filled(high).1
}

#[cfg(test)]
mod tests {
    use super::*;

    // 12 alike layers on two stages: of 2 s a layer on the first and 1 s on the second 4 and 8, 8 s each. A head of 4 s on the second leaves
    // it 6: 6·1 + 4 = 10, and 6·2 = 12 are more than 5 and 7: 10 and 11.
    #[test]
    fn a_faster_stage_has_more_layers() {
        let speed = |each, ends| StageSpeed {
            layers: vec![each; 12],
            ends,
        };
        assert_eq!(share_out(&[speed(2.0, 0.0), speed(1.0, 0.0)]), [4, 8]);
        assert_eq!(share_out(&[speed(2.0, 0.0), speed(1.0, 4.0)]), [5, 7]);
    }

    // However slow, a stage has a layer.
    #[test]
    fn no_stage_is_empty() {
        let speed = |each| StageSpeed {
            layers: vec![each; 3],
            ends: 0.0,
        };
        assert_eq!(
            share_out(&[speed(100.0), speed(1.0), speed(100.0)]),
            [1, 1, 1]
        );
    }
}
