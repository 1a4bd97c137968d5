//! Layouts dealt to several types of GPU, and the fastest of them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::simulation::training::cache::{Served, Shared};
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::fit::{Batch, Fit, Fitting, Repeats, Roomiest};
use crate::simulation::training::layout::{FirstFault, Options};
use crate::simulation::training::memory::{self, Load};
use crate::simulation::training::mixed::deal::{Hands, Seconds};
use crate::simulation::training::mixed::dealt::{Dealt, Part};
use crate::simulation::training::mixed::refusals::on_type;
use crate::simulation::training::search::{
    Choice, Place, Sharing, least_held, least_microbatches, with_microbatches,
};
use crate::simulation::training::shards::Shards;
use crate::simulation::training::work::ModelWork;
use crate::simulation::training::{limits, one_type};
use crate::simulation::{Infeasible, Layout, StepReport, TrainingScenario};
use crate::stack::{Recompute, ZeroStage};
use crate::units::{FlopRate, SimDuration};

/// How microbatches are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deals {
    /// To each type as many as it has time for.
    Uneven,
    /// As many to all: replicas exchange parameters or gradients in every microbatch.
    Lockstep,
}

impl Deals {
    pub(super) const ALL: [Self; 2] = [Self::Uneven, Self::Lockstep];

    const fn of(zero: ZeroStage) -> Self {
        match zero {
            ZeroStage::Z0 | ZeroStage::Z1 => Self::Uneven,
            ZeroStage::Z2 | ZeroStage::Z3 => Self::Lockstep,
        }
    }
}

/// Microbatches of each replica by the speed of its type.
#[derive(Clone, Debug)]
struct BySpeed {
    /// As they are dealt.
    dealt: Vec<u32>,
    /// Of which some type has as many in every deal.
    shares: Vec<u32>,
}

/// Layouts by which the speeds of the types are learned.
const FEW: u32 = 8;

/// Deals layouts to all types of a job, and keeps the fastest.
pub(super) struct Dealer<'a> {
    /// The job as it was asked for.
    scenario: &'a TrainingScenario,
    /// The job as if all GPUs were of each type.
    jobs: &'a [TrainingScenario],
    options: &'a [Options<'a>],
    shared: &'a mut Shared,
    deals: Deals,
    /// Microbatches that a replica of each type does in a time.
    speeds: Vec<f64>,
    /// Place of the type that is searched.
    searched: usize,
    /// By all replicas and the microbatch.
    by_speed: RefCell<HashMap<(u32, u32), BySpeed>>,
    seen: HashSet<Place>,
    best: Option<(SimDuration, Vec<StepReport>)>,
    faults: FirstFault,
    layouts: u32,
    events: u64,
    /// Layouts that may still be dealt, if few are for now.
    left: Option<u32>,
}

/// A layout on one type, before it is known how much is recomputed.
struct Typed<'a> {
    job: &'a TrainingScenario,
    layout: Layout,
    work: Arc<ModelWork>,
}

impl<'a> Dealer<'a> {
    /// With the steps that each type takes alone.
    pub(super) fn of(
        (scenario, jobs): (&'a TrainingScenario, &'a [TrainingScenario]),
        options: &'a [Options<'a>],
        shared: &'a mut Shared,
        alone: &[Option<Choice>],
    ) -> Self {
        let tried = || alone.iter().flatten();
        let of_steps = tried().map(|choice| choice.step.time().as_secs_f64().recip());
        let peak = |job: &TrainingScenario| {
            let peak = job.gpu.peaks.get(job.workload.precision);
            peak.map_or(1.0, FlopRate::as_flops_per_s)
        };
        let speeds: Vec<f64> = if tried().count() == jobs.len() {
            of_steps.collect()
        } else {
            jobs.iter().map(peak).collect()
        };
        Self {
            scenario,
            jobs,
            options,
            shared,
            deals: Deals::Uneven,
            speeds,
            searched: 0,
            by_speed: RefCell::default(),
            seen: HashSet::new(),
            best: None,
            faults: FirstFault::default(),
            layouts: tried().map(|choice| choice.tried).sum(),
            events: tried().map(|choice| choice.events).sum(),
            left: None,
        }
    }

    /// Begins to deal so, if any layout may be.
    pub(super) fn begin(&mut self, deals: Deals) -> bool {
        self.deals = deals;
        let stages = match self.scenario.layout.zero {
            Some(zero) => vec![zero],
            // Without replicas nothing is sharded.
            None => [&[ZeroStage::Z0], &*self.scenario.stack.offers.zero].concat(),
        };
        deals == Deals::Uneven || stages.into_iter().any(|zero| Deals::of(zero) == deals)
    }

    /// Plays a layout that is fast on one type, if it is dealt so.
    pub(super) fn try_first(&mut self, place: Place) {
        if self.takes(place.shards) {
            self.play(place);
        }
    }

    /// Learns the speeds of the types from the best step.
    pub(super) fn learn(&mut self) {
        let Some((_, steps)) = &self.best else {
            return;
        };
        let speeds = steps
            .iter()
            .map(|step| f64::from(step.layout.microbatches) / step.step_time().as_secs_f64());
        self.speeds = speeds.collect();
        self.by_speed.borrow_mut().clear();
    }

    /// Places of the types whose search comes by all layouts: that of the slowest where all have as many microbatches.
    pub(super) fn searched(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.jobs.len()).collect();
        places.sort_by(|a, b| self.speeds[*a].total_cmp(&self.speeds[*b]));
        match self.deals {
            Deals::Lockstep => places.truncate(1),
            Deals::Uneven => places.reverse(),
        }
        places
    }

    /// Begins the search over the type at a place, of a few layouts or of all.
    pub(super) const fn search(&mut self, place: usize, few: bool) {
        self.searched = place;
        self.left = if few { Some(FEW) } else { None };
    }

    /// The fastest deal, or the first reason for which a layout was not dealt.
    pub(super) fn fastest(self) -> Result<Dealt, Option<Infeasible>> {
        let Some((_, steps)) = self.best else {
            return Err(self.faults.take());
        };
        let parts = steps.into_iter().zip(&self.scenario.pools);
        let parts = parts.map(|(step, pool)| Part::of(self.scenario, pool, step));
        let mut dealt = Dealt {
            parts: parts.collect::<Result<Vec<Part>, Infeasible>>()?,
        };
        dealt.count(self.layouts, self.events);
        Ok(dealt)
    }

    /// Replicas of each type.
    fn replicas(&self, all: u32) -> Vec<u32> {
        let (pools, gpus) = (self.scenario.pools.iter(), u64::from(self.scenario.gpus));
        pools
            .map(|pool| (u64::from(pool.gpus) * u64::from(all) / gpus) as u32)
            .collect()
    }

    fn microbatches(&self, micro_batch: u32) -> u32 {
        self.scenario.workload.global_batch.div_ceil(micro_batch)
    }

    /// Microbatches by speed, looked up.
    fn by_speed<T>(&self, all: u32, micro_batch: u32, get: impl FnOnce(&BySpeed) -> T) -> T {
        let mut known = self.by_speed.borrow_mut();
        let of = known.entry((all, micro_batch)).or_insert_with(|| {
            let microbatches = self.microbatches(micro_batch);
            let even = vec![microbatches.div_ceil(all); self.jobs.len()];
            if self.deals == Deals::Lockstep {
                return BySpeed {
                    dealt: even.clone(),
                    shares: even,
                };
            }
            let replicas = self.replicas(all);
            let hands = Hands {
                replicas: &replicas,
                least: 1,
                microbatches,
            };
            let mut speeds = Speeds(&self.speeds);
            let dealt = hands.deal(&even, f64::INFINITY, &mut speeds);
            let dealt = dealt.ok().flatten().unwrap_or(even);
            let shares = hands.shares(&dealt, &mut speeds);
            BySpeed {
                shares: shares.unwrap_or_else(|_| vec![1; dealt.len()]),
                dealt,
            }
        });
        get(of)
    }

    /// Deals a layout in every way in which it fits on all types.
    fn deal(&mut self, place: &Place) -> Result<(), Infeasible> {
        let mut types = self.types(place)?;
        let near = self.by_speed(place.groups.dp, place.micro_batch, |of| of.dealt.clone());
        let policies = self.options[0].recompute();
        let least = Repeats::of(self.scenario, &policies);
        let replicas = self.replicas(place.groups.dp);
        let hands = Hands {
            replicas: &replicas,
            least: least_microbatches(&types[0].layout),
            microbatches: self.microbatches(place.micro_batch),
        };
        let Some(counts) = self.dealt(hands, (&types, &[]), least, &near)? else {
            return Ok(());
        };
        for (of_type, count) in types.iter_mut().zip(&counts) {
            of_type.layout.microbatches = *count;
        }
        let fit = |held: fn(&Layout) -> u32| -> Vec<_> {
            let each = types.iter();
            each.map(|of_type| of_type.fit(&policies, held(&of_type.layout)))
                .collect()
        };
        let fits = fit(least_held);
        let mut ways = Fit::on_all(&fits);
        let others = Fit::on_all(&fit(|layout| layout.microbatches));
        ways.extend(
            others
                .into_iter()
                .filter(|way| !ways.contains(way))
                .collect::<Vec<_>>(),
        );
        if ways.is_empty() {
            return Err(self.too_large(&types, &fits, &policies));
        }
        let stages: Vec<memory::Stages> = fits.into_iter().map(|(_, stages, _)| stages).collect();
        for repeats in ways {
            let fits =
                || (0..types.len()).all(|at| types[at].fits(&stages[at], repeats, counts[at]));
            let dealt = if repeats == least && fits() {
                Some(counts.clone())
            } else {
                self.dealt(hands, (&types, &stages), repeats, &counts)?
            };
            if let Some(counts) = dealt {
                self.play_dealt(&types, repeats, &counts)?;
            }
        }
        Ok(())
    }

    /// A layout on every type.
    fn types(&mut self, place: &Place) -> Result<Vec<Typed<'a>>, Infeasible> {
        let (all, microbatches) = (place.groups.dp, self.microbatches(place.micro_batch));
        let mut types = Vec::with_capacity(self.jobs.len());
        for (options, job) in self.options.iter().zip(self.jobs) {
            let mut layout = options.layout(
                &place.groups,
                place.micro_batch,
                &place.pipeline,
                place.shards,
            );
            layout.microbatches = microbatches / all;
            limits::check_pipeline(&layout)?;
            let work = self.shared.source(job).work(job, &layout);
            types.push(Typed { job, layout, work });
        }
        Ok(types)
    }

    /// Microbatches of each replica of every type with which the step may be the fastest, if any are; without stages, whether they
    /// fit or not.
    fn dealt(
        &mut self,
        hands: Hands<'_>,
        (types, stages): (&[Typed<'_>], &[memory::Stages]),
        repeats: Repeats,
        near: &[u32],
    ) -> Result<Option<Vec<u32>>, Infeasible> {
        let under = self
            .best
            .as_ref()
            .map_or(f64::INFINITY, |(best, _)| best.as_secs_f64());
        let mut bounds = Bounds {
            types,
            stages,
            repeats,
            shared: self.shared,
            known: HashMap::new(),
        };
        if self.deals == Deals::Uneven {
            return hands.deal(near, under, &mut bounds);
        }
        for (place, count) in near.iter().enumerate() {
            if !bounds.fits(place, *count) || bounds.of(place, *count)? >= under {
                return Ok(None);
            }
        }
        Ok(Some(near.to_vec()))
    }

    /// Why a layout fits on no type, or not on one.
    fn too_large(
        &mut self,
        types: &[Typed<'_>],
        fits: &[(Fit<'_>, memory::Stages, Batch<'_>)],
        policies: &[Recompute],
    ) -> Infeasible {
        let lacks = |(fit, stages, batch): &(Fit<'_>, memory::Stages, Batch<'_>)| {
            !fit.any(std::slice::from_ref(stages), *batch)
        };
        let at = fits.iter().position(lacks).unwrap_or(0);
        let Typed { job, layout, .. } = &types[at];
        let mut roomiest = Roomiest::default();
        let source = self.shared.source(job);
        roomiest.add(job, source, layout.clone(), policies);
        let why = roomiest.over(job).expect("a layout was added");
        on_type(why, &self.scenario.pools[at])
    }

    /// Plays what was dealt, the type that may be slowest first, and keeps it if it is the fastest.
    fn play_dealt(
        &mut self,
        types: &[Typed<'_>],
        repeats: Repeats,
        counts: &[u32],
    ) -> Result<(), Infeasible> {
        let mut longest = SimDuration::ZERO;
        let mut steps = Vec::with_capacity(types.len());
        self.layouts += 1;
        for (of_type, count) in types.iter().zip(counts) {
            let (job, layout) = of_type.dealt(repeats, *count);
            let step = played(&job, layout, &of_type.work, self.shared)?;
            self.events += step.events;
            longest = longest.max(step.step_time());
            steps.push(step);
            if self.is_over(longest) {
                return Ok(());
            }
        }
        if self.best.as_ref().is_none_or(|(best, _)| longest < *best) {
            self.best = Some((longest, steps));
        }
        Ok(())
    }
}

impl Sharing for Dealer<'_> {
    fn share(&self, replicas: u32, micro_batch: u32) -> u32 {
        self.by_speed(replicas, micro_batch, |of| of.shares[self.searched])
    }

    fn takes(&self, shards: Shards) -> bool {
        Deals::of(shards.zero) == self.deals
    }

    fn has_best(&self) -> bool {
        self.best.is_some()
    }

    fn is_over(&self, bound: SimDuration) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| bound > *best)
    }

    fn is_spent(&self) -> bool {
        self.left == Some(0) || self.shared.check_spent().is_err()
    }

    fn play(&mut self, place: Place) {
        self.left = self.left.map(|left| left.saturating_sub(1));
        if self.seen.contains(&place) {
            return;
        }
        let dealt = self.deal(&place);
        self.faults.keep(dealt);
        self.seen.insert(place);
    }
}

impl Typed<'_> {
    /// The recomputation that makes the layout fit on the type.
    fn fit<'b>(
        &'b self,
        policies: &'b [Recompute],
        microbatches: u32,
    ) -> (Fit<'b>, memory::Stages, Batch<'b>) {
        let fit = Fit {
            scenario: self.job,
            policies,
        };
        let batch = Batch {
            work: &self.work,
            samples: 1.0,
            microbatches,
        };
        let stages = memory::Stages::of(self.job, &self.layout, &self.work);
        (fit, stages, batch)
    }

    /// Whether the layout's stages fit on the type with so many microbatches.
    fn fits(&self, stages: &memory::Stages, repeats: Repeats, microbatches: u32) -> bool {
        let load = Load {
            recompute: repeats.policy,
            recomputed_share: repeats.share,
            microbatches,
            samples: 1.0,
        };
        stages.fit(self.job, &self.work, load)
    }

    /// The layout with so many microbatches, and the job that has them.
    fn dealt(&self, repeats: Repeats, microbatches: u32) -> (TrainingScenario, Layout) {
        let layout = Layout {
            recompute: repeats.policy,
            recomputed_share: repeats.share,
            microbatches,
            ..self.layout.clone()
        };
        (with_microbatches(self.job, &layout), layout)
    }
}

/// Lower bounds on the steps of a layout by the microbatches of each type.
struct Bounds<'a> {
    types: &'a [Typed<'a>],
    /// Stages on each type, if it matters whether they fit.
    stages: &'a [memory::Stages],
    repeats: Repeats,
    shared: &'a mut Shared,
    known: HashMap<(usize, u32), f64>,
}

impl Seconds for Bounds<'_> {
    fn of(&mut self, place: usize, microbatches: u32) -> Result<f64, Infeasible> {
        if let Some(known) = self.known.get(&(place, microbatches)) {
            return Ok(*known);
        }
        let of_type = &self.types[place];
        let (job, layout) = of_type.dealt(self.repeats, microbatches);
        limits::check_pipeline(&layout)?;
        let Served {
            pricing, orders, ..
        } = self.shared.serve(of_type.job)?;
        let costs = StepCosts::of(&job, &layout, &of_type.work, pricing)?;
        let seconds = costs
            .close_bound(pricing, &mut orders.passes)?
            .as_secs_f64();
        self.known.insert((place, microbatches), seconds);
        Ok(seconds)
    }

    fn fits(&self, place: usize, microbatches: u32) -> bool {
        let stages = self.stages.get(place);
        stages.is_none_or(|stages| self.types[place].fits(stages, self.repeats, microbatches))
    }
}

/// Seconds by how many microbatches each type does in a second.
struct Speeds<'a>(&'a [f64]);

impl Seconds for Speeds<'_> {
    fn of(&mut self, place: usize, microbatches: u32) -> Result<f64, Infeasible> {
        Ok(f64::from(microbatches) / self.0[place])
    }

    fn fits(&self, _: usize, _: u32) -> bool {
        true
    }
}

/// The step of a layout on one type.
fn played(
    job: &TrainingScenario,
    layout: Layout,
    work: &Arc<ModelWork>,
    shared: &mut Shared,
) -> Result<StepReport, Infeasible> {
    let Served {
        pricing, timeline, ..
    } = shared.serve(job)?;
    let costs = StepCosts::of(job, &layout, work, pricing)?;
    limits::check_time(costs.lower_bound())?;
    let step = costs.play(pricing, timeline, &[])?;
    let choice = Choice {
        events: step.events,
        fitting: Fitting {
            memory: memory::peak(job, &layout, work),
            work: Arc::clone(work),
            layout,
        },
        step,
        tried: 1,
    };
    Ok(one_type::report(job, &choice))
}
