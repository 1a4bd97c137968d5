//! A layout on each type of GPU of a pipeline: its costs, its step and its memory.

use std::sync::Arc;

use crate::simulation::training::cache::{Served, Shared};
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::fit::{Fitting, in_words};
use crate::simulation::training::pipeline::VirtualStage;
use crate::simulation::training::search::Choice;
use crate::simulation::training::work::ModelWork;
use crate::simulation::training::{limits, memory, one_type};
use crate::simulation::{
    Infeasible, Layout, MemoryFootprint, PoolReport, StepReport, TrainingScenario,
};
use crate::units::SimDuration;

/// A type of GPU with the layout on it.
#[derive(Clone)]
pub(super) struct Typed<'a> {
    pub(super) job: &'a TrainingScenario,
    pub(super) layout: Layout,
    pub(super) work: Arc<ModelWork>,
    /// Stages from the first to the one behind the last.
    pub(super) stages: std::ops::Range<u32>,
}

/// Costs of a pipeline on several types.
pub(super) struct Mixed<'a> {
    /// Those of the type with the busiest stage, whose stages are of their types.
    pub(super) costs: StepCosts<'a>,
    /// Place of the type with the busiest stage.
    pub(super) slowest: usize,
    /// Time of each type's busiest stage.
    busiest: Vec<SimDuration>,
}

/// Prices a layout on the types.
pub(super) fn mixed<'a>(
    types: &'a [Typed<'_>],
    shared: &mut Shared,
) -> Result<Mixed<'a>, Infeasible> {
    let mut priced = Vec::with_capacity(types.len());
    for of_type in types {
        let pricing = shared.serve(of_type.job)?.pricing;
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
    let costs = StepCosts {
        stages: stages.collect(),
        send,
        ..priced[slowest].clone()
    };
    Ok(Mixed {
        costs,
        slowest,
        busiest,
    })
}

/// The step of a layout on the types.
pub(super) fn played(types: &[Typed<'_>], shared: &mut Shared) -> Result<StepReport, Infeasible> {
    let (tightest, footprints) = footprints(types);
    let Mixed {
        costs,
        slowest,
        busiest,
    } = mixed(types, shared)?;
    let Served {
        pricing, timeline, ..
    } = shared.serve(types[slowest].job)?;
    limits::check_time(costs.lower_bound())?;
    let step = costs.play(pricing, timeline, &[])?;
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

    /// Peak memory of each of the type's stages.
    fn peaks(&self) -> impl Iterator<Item = (u32, MemoryFootprint)> {
        let stages = memory::by_stage(self.job, &self.layout, &self.work);
        let own = stages
            .into_iter()
            .filter(|stage| self.stages.contains(&stage.stage));
        own.map(|stage| (stage.stage, stage.peak))
    }
}

/// Peak memory of the fullest stage of each type, and the place of the type whose memory is the fullest.
fn footprints(types: &[Typed<'_>]) -> (usize, Vec<MemoryFootprint>) {
    let peak = |of_type: &Typed<'_>| {
        let peaks = of_type.peaks().map(|(_, peak)| peak);
        peaks
            .max_by_key(MemoryFootprint::total)
            .expect("a type has stages")
    };
    let footprints: Vec<MemoryFootprint> = types.iter().map(peak).collect();
    let filled = |at: &usize| footprints[*at].total().as_f64() / types[*at].job.gpu.memory.as_f64();
    let tightest = (0..types.len()).max_by(|a, b| filled(a).total_cmp(&filled(b)));
    (tightest.expect("a job has types"), footprints)
}

/// The stage that has least room of those that do not fit, and why it does not.
pub(super) fn fullest(types: &[Typed<'_>]) -> Option<(usize, Infeasible)> {
    let mut fullest: Option<(f64, usize, Infeasible)> = None;
    for of_type in types {
        let available = of_type.job.gpu.memory;
        for (stage, peak) in of_type.peaks() {
            let filled = peak.total().as_f64() / available.as_f64();
            let is_fuller = fullest.as_ref().is_none_or(|(most, ..)| filled > *most);
            if peak.total() > available && is_fuller {
                let why = Infeasible::OutOfMemory {
                    needed: peak.total(),
                    available,
                    layout: format!("{}, on {}", in_words(&of_type.layout), of_type.job.gpu.name),
                };
                fullest = Some((filled, stage as usize, why));
            }
        }
    }
    fullest.map(|(_, stage, why)| (stage, why))
}
