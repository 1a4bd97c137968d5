//! Pipelines whose stages are on several types of GPU.
//!
//! Each type has consecutive stages in the order of the types, as many of all as GPUs of all; a faster one has more layers, so that all
//! stages take as long as whole layers can. Layers are priced on the GPU of their stage, whose groups of ranks are of that type alone, the
//! sends on the slower network. What follows the passes (reductions, the optimizer's step) is priced on the type with the
//! busiest stage.
//!
//! Where the stages of a type do not fit, they leave layers to others.
//!
//! `auto` looks at every layout under 1F1B with one chunk per stage and whole parameters. A step is no shorter than if all stages
//! were on the type that is fastest with its layout, so that the search over one type after the other, as if memory were no
//! matter, comes by all that may be faster than the best.

use std::collections::HashSet;

use crate::model::Transformer;
use crate::simulation::training::cache::{Served, Shared};
use crate::simulation::training::fit::Repeats;
use crate::simulation::training::layout::{FirstFault, Options};
use crate::simulation::training::mixed::layer_shares::shared_layers;
use crate::simulation::training::mixed::refusals::{check, on_type};
use crate::simulation::training::mixed::typed::{Mixed, Typed, fullest, mixed, played};
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::search::{self, Place, Sharing};
use crate::simulation::training::shards::Shards;
use crate::simulation::training::{request, stage_layers};
use crate::simulation::{Infeasible, Scratch, StepReport, TrainingScenario};
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
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
    let counts = stage_counts(scenario)?;
    for pool in &scenario.pools {
        request::check(&scenario.all_of(pool)).map_err(|why| on_type(why, pool))?;
    }
    let mut faults = FirstFault::default();
    let mut refused = FirstFault::default();
    let mut best = Best::default();
    let mut dealing = scratch.training.take_dealing();
    for pp in counts {
        let jobs = jobs(scenario, pp);
        let searched = search_all((scenario, &jobs), scratch, &mut dealing, &mut best);
        faults.keep(searched);
        if let Some(why) = best.fault.take() {
            refused.keep::<()>(Err(why));
        }
    }
    scratch.training.put_dealing(dealing);
    scratch.training.check_spent()?;
    let Some((step, _)) = best.step else {
        let unsharded = || {
            Infeasible::Unsupported(format!(
                "stages on several types of GPU have whole parameters (zero 0 or 1), of which stack `{}` offers neither",
                scenario.stack.name
            ))
        };
        let why = refused.take().or(faults.take());
        return Err(why.unwrap_or_else(unsharded));
    };
    Ok(StepReport {
        layouts_tried: best.tried,
        events: best.events,
        ..step
    })
}

/// Plays all layouts of some number of stages that may be faster than the best.
fn search_all(
    (scenario, jobs): (&TrainingScenario, &[TrainingScenario]),
    scratch: &mut Scratch,
    dealing: &mut Shared,
    best: &mut Best,
) -> Result<(), Infeasible> {
    let mut options = Vec::with_capacity(jobs.len());
    for (job, pool) in jobs.iter().zip(&scenario.pools) {
        options.push(Options::of(job).map_err(|why| on_type(why, pool))?);
    }
    let mut stages = OfTypes {
        scenario,
        jobs,
        options: &options,
        shared: dealing,
        seen: HashSet::new(),
        best,
    };
    let mut faults = FirstFault::default();
    for (job, pool) in jobs.iter().zip(&scenario.pools) {
        let searched = TrainingScenario {
            gpu: scratch.training.roomy(&job.gpu),
            ..job.clone()
        };
        let played = scratch
            .training
            .serve(&searched)
            .and_then(|served| search::search_shared(&searched, served, &mut stages));
        faults.keep(played.map_err(|why| on_type(why, pool)));
    }
    faults.take().map_or(Ok(()), Err)
}

/// The fastest step so far.
#[derive(Debug, Default)]
struct Best {
    step: Option<(StepReport, SimDuration)>,
    fault: Option<Infeasible>,
    /// Layouts that were played, and their events.
    tried: u32,
    events: u64,
}

/// Pipelines of some number of stages on several types.
struct OfTypes<'a> {
    scenario: &'a TrainingScenario,
    /// The job as if all GPUs were of each type.
    jobs: &'a [TrainingScenario],
    options: &'a [Options<'a>],
    shared: &'a mut Shared,
    seen: HashSet<Place>,
    best: &'a mut Best,
}

impl Sharing for OfTypes<'_> {
    fn share(&self, replicas: u32, micro_batch: u32) -> u32 {
        let samples = self.scenario.workload.global_batch / replicas;
        samples.div_ceil(micro_batch)
    }

    fn takes(&self, shards: Shards) -> bool {
        matches!(shards.zero, ZeroStage::Z0 | ZeroStage::Z1)
    }

    fn has_best(&self) -> bool {
        self.best.step.is_some()
    }

    fn is_over(&self, bound: SimDuration) -> bool {
        let best = self.best.step.as_ref();
        best.is_some_and(|(_, best)| bound > *best)
    }

    fn is_spent(&self) -> bool {
        self.shared.check_spent().is_err()
    }

    fn play(&mut self, place: Place) {
        if self.seen.contains(&place) {
            return;
        }
        if let Err(why) = self.share_layers(&place) {
            self.best.fault.get_or_insert(why);
        }
        self.seen.insert(place);
    }
}

impl<'a> OfTypes<'a> {
    /// Plays a layout in every way in which it fits.
    fn share_layers(&mut self, place: &Place) -> Result<(), Infeasible> {
        let policies = self.options[0].recompute();
        let least = Repeats::of(self.scenario, &policies);
        let types = self.types(place);
        let plain = self.shared_out(&types, least, &[])?;
        if self.is_slower(&plain)? {
            return Ok(());
        }
        if fullest(&plain).is_none() {
            return self.play_if_faster(&plain);
        }
        let mut fitting = 0;
        for &policy in &policies {
            if let Some(typed) = self.fitted(&types, (policy, policies.len() > 1))? {
                fitting += 1;
                self.play_if_faster(&typed)?;
            }
        }
        match fitting {
            0 => Err(self.too_large(&types, &policies)?),
            _ => Ok(()),
        }
    }

    /// The types with a layout that is not shared out.
    fn types(&mut self, place: &Place) -> Vec<Typed<'a>> {
        let mut first = 0;
        let mut types = Vec::with_capacity(self.jobs.len());
        let each = self.options.iter().zip(self.jobs);
        for ((options, job), pool) in each.zip(&self.scenario.pools) {
            let Place {
                groups,
                micro_batch,
                pipeline,
                shards,
            } = place;
            let layout = options.layout(groups, *micro_batch, pipeline, *shards);
            let gpus = u64::from(self.scenario.gpus);
            let stages = (u64::from(pool.gpus) * u64::from(layout.pp) / gpus) as u32;
            types.push(Typed {
                job,
                work: self.shared.source(job).work(job, &layout),
                layout,
                stages: first..first + stages,
            });
            first += stages;
        }
        types
    }

    /// The types with layers that are shared out by their speed, unless the job says which stage has which; no stage has more than
    /// it may.
    fn shared_out(
        &mut self,
        types: &[Typed<'a>],
        repeats: Repeats,
        most: &[u32],
    ) -> Result<Vec<Typed<'a>>, Infeasible> {
        let mut types = types.to_vec();
        for of_type in &mut types {
            of_type.layout.recompute = repeats.policy;
            of_type.layout.recomputed_share = repeats.share;
        }
        if self.scenario.layout.layers_per_stage.is_none() {
            let layers = shared_layers(&types, most, self.shared)?;
            for of_type in &mut types {
                of_type.layout.layers_per_stage.clone_from(&layers);
            }
        }
        if let Some(layers) = self.scenario.layout.recompute_layers {
            for of_type in &mut types {
                let list = &of_type.layout.layers_per_stage;
                let share = stage_layers::share_of(layers, list, Placement::of(&of_type.layout));
                of_type.layout.recomputed_share = share;
            }
        }
        Ok(types)
    }

    /// The types with as little recomputation of a policy, where it is chosen, as makes them fit, and layers left to stages that
    /// have room for them.
    fn fitted(
        &mut self,
        types: &[Typed<'a>],
        (policy, is_chosen): (Recompute, bool),
    ) -> Result<Option<Vec<Typed<'a>>>, Infeasible> {
        if policy != Recompute::Full || !is_chosen {
            let share = self.scenario.layout.recomputed_share.unwrap_or(1.0);
            return self.with_room(types, Repeats { policy, share });
        }
        let all = self
            .scenario
            .model
            .transformer()
            .map_or(1, Transformer::depth);
        let (mut low, mut high) = (0, all);
        let with = |layers: u32| Repeats {
            policy,
            share: f64::from(layers) / f64::from(all),
        };
        let Some(mut found) = self.with_room(types, with(all))? else {
            return Ok(None);
        };
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            match self.with_room(types, with(middle))? {
                Some(fitting) => (found, high) = (fitting, middle),
                None => low = middle,
            }
        }
        Ok(Some(found))
    }

    /// The types with layers left to stages that have room for them, if there are such.
    fn with_room(
        &mut self,
        types: &[Typed<'a>],
        repeats: Repeats,
    ) -> Result<Option<Vec<Typed<'a>>>, Infeasible> {
        let stages = types[0].layout.pp as usize;
        let mut most = vec![u32::MAX; stages];
        loop {
            let typed = self.shared_out(types, repeats, &most)?;
            let Some((stage, _)) = fullest(&typed) else {
                return Ok(Some(typed));
            };
            let layers = &typed[0].layout.layers_per_stage;
            let held = layers.get(stage).copied().unwrap_or(0);
            let is_stated = self.scenario.layout.layers_per_stage.is_some();
            if is_stated || held <= 1 || most[stage] < held {
                return Ok(None);
            }
            most[stage] = held - 1;
            let all: u64 = layers.iter().map(|layers| u64::from(*layers)).sum();
            let room: u64 = most.iter().map(|most| u64::from(*most)).sum();
            if room < all {
                return Ok(None);
            }
        }
    }

    /// Why a layout does not fit.
    fn too_large(
        &mut self,
        types: &[Typed<'a>],
        policies: &[Recompute],
    ) -> Result<Infeasible, Infeasible> {
        let policy = *policies.last().expect("a layout recomputes somehow");
        let share = self.scenario.layout.recomputed_share.unwrap_or(1.0);
        let typed = self.shared_out(types, Repeats { policy, share }, &[])?;
        let (_, why) = fullest(&typed).expect("it does not fit");
        Ok(why)
    }

    /// Whether a layout is slower than the best.
    fn is_slower(&mut self, types: &[Typed<'_>]) -> Result<bool, Infeasible> {
        let Mixed { costs, slowest, .. } = mixed(types, self.shared)?;
        let Served {
            pricing, orders, ..
        } = self.shared.serve(types[slowest].job)?;
        let bound = costs.close_bound(pricing, &mut orders.passes)?;
        Ok(self.is_over(bound))
    }

    /// Plays a layout that fits, if it may be faster than the best.
    fn play_if_faster(&mut self, types: &[Typed<'_>]) -> Result<(), Infeasible> {
        if self.is_slower(types)? {
            return Ok(());
        }
        let step = played(types, self.shared)?;
        self.best.tried += 1;
        self.best.events += step.events;
        let time = step.step_time();
        let best = self.best.step.as_ref();
        if best.is_none_or(|(_, best)| time < *best) {
            self.best.step = Some((step, time));
        }
        Ok(())
    }
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

/// The job as if all GPUs were of each type, with so many stages.
fn jobs(scenario: &TrainingScenario, pp: u32) -> Vec<TrainingScenario> {
    let of_type = |pool| {
        let mut job = scenario.all_of(pool);
        let layout = &mut job.layout;
        (layout.pp, layout.vpp) = (Some(pp), Some(1));
        layout.schedule = Some(PipelineSchedule::OneFOneB);
        job
    };
    scenario.pools.iter().map(of_type).collect()
}
