//! The fastest layout that fits.
//!
//! Branch and bound, best first: groups of ranks, then their microbatches, then schedule, chunks and ZeRO stage, each
//! with a lower bound on the step of all layouts below it. The one with the least bound is looked at next. Memory is
//! asked for, and a step played, only of layouts whose bound is below the best step so far.

mod batches;
mod exchanges;
mod groups;
mod opened;
mod shared;
mod sharing;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

use self::opened::{Bounded, LeastStages, Opened, Pipelines};
pub(super) use self::sharing::{Place, Sharing, least_held, least_microbatches, with_microbatches};
use crate::halt;
use crate::memo::Memo;
use crate::simulation::training::bounds::stage::{PricedLayers, Replication};
use crate::simulation::training::cache::{Orders, Served};
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_cost::ReplicaCosts;
use crate::simulation::training::fit::{self, Batch, Fit, Fitting, Repeats};
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::layout::{FirstFault, Groups, Options, Pipeline};
use crate::simulation::training::limits;
use crate::simulation::training::memory;
use crate::simulation::training::play::Step;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::shards::Shards;
use crate::simulation::training::timeline::Timeline;
use crate::simulation::training::work::WorkSource;
use crate::simulation::{Infeasible, Layout, TrainingScenario};
use crate::stack::{Offload, Recompute};
use crate::units::SimDuration;

/// The layout that was chosen, with its step.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) fitting: Fitting,
    pub(super) step: Step,
    /// Layouts whose step was simulated.
    pub(super) tried: u32,
    /// Events of all their simulations.
    pub(super) events: u64,
}

/// The fastest layout among all that the axes allow and the stack's framework offers.
///
/// # Errors
/// If no layout divides, none fits, or none can communicate as asked.
pub(super) fn fastest(
    scenario: &TrainingScenario,
    source: &mut WorkSource,
    of_all: (&mut Pricing, &mut Timeline, &mut Orders),
) -> Result<Choice, Infeasible> {
    Search::of(scenario, source, of_all)?.run()
}

/// Plays all layouts that may be faster than the best of the whole job on its type of GPU that a scenario is of.
///
/// # Errors
/// If there was none to play: no layout divides, none fits on the type, or none can communicate as asked.
pub(super) fn search_shared(
    scenario: &TrainingScenario,
    served: Served<'_>,
    sharing: &mut dyn Sharing,
) -> Result<(), Infeasible> {
    let Served {
        source,
        pricing,
        timeline,
        orders,
    } = served;
    let mut search = Search::of(scenario, source, (pricing, timeline, orders))?;
    search.sharing = Some(sharing);
    search.open()?;
    let sharing = search.sharing.as_ref();
    if search.tried > 0 || sharing.is_some_and(|sharing| sharing.has_best()) {
        return Ok(());
    }
    search.refusal().map_or(Ok(()), Err)
}

/// Place in the tree of layouts. The order of its fields is that in which ties are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// Layouts with these groups.
    Groups { groups: u32 },
    /// And this microbatch.
    Batch {
        groups: u32,
        micro_batch: u32,
        /// Whether its bound recomputes what it must to fit.
        fits: bool,
    },
    /// And this schedule and ZeRO stage.
    Layout {
        groups: u32,
        pipeline: u32,
        micro_batch: u32,
        shards: Shards,
        /// Whether its bound is of its exact prices.
        is_priced: bool,
    },
    /// And this recomputation, with which it fits.
    Fitting {
        groups: u32,
        pipeline: u32,
        micro_batch: u32,
        shards: Shards,
        recompute: Recompute,
        /// Index among those that were found to fit.
        fitting: u32,
        /// Whether its bound is the close one.
        is_close: bool,
    },
}

/// Microbatches whose layers stay priced; all are dropped when more come.
const MOST_PRICED: usize = 1024;

/// Most tokens of a microbatch, beyond what any GPU holds of one.
const MOST_TOKENS: u64 = 1 << 36;

struct Search<'a> {
    scenario: &'a TrainingScenario,
    /// The scenario whose layers bounds price: copies over the host's link are counted beside their passes.
    without_copies: Cow<'a, TrainingScenario>,
    /// The scenario whose steps bounds price: how many activations are copied depends on how much is recomputed.
    without_activations: Cow<'a, TrainingScenario>,
    options: Options<'a>,
    /// The other types of GPU in the job.
    sharing: Option<&'a mut dyn Sharing>,
    source: &'a mut WorkSource,
    pricing: &'a mut Pricing,
    timeline: &'a mut Timeline,
    orders: &'a mut Orders,
    recompute: Vec<Recompute>,
    /// Seconds that follow the passes of every layout.
    closing: f64,
    groups: Vec<Groups>,
    /// By number of stages.
    pipelines: HashMap<u32, Rc<Pipelines>>,
    /// Stages that hold no more than any others with these groups, by ZeRO stage.
    least_stages: HashMap<u32, Rc<LeastStages>>,
    bounded: HashMap<u32, Bounded>,
    opened: HashMap<u32, Rc<Opened>>,
    /// Least bound first; of equal ones the first in the order of ties.
    queue: BinaryHeap<Reverse<(SimDuration, Node)>>,
    /// Layouts that fit.
    fitting: Vec<Layout>,
    /// Layers of microbatches that were looked into, by groups, microbatch, chunks as far as they matter, and whether the
    /// pipeline pairs passes.
    priced: Memo<(u32, u32, (u32, bool)), Rc<PricedLayers>, MOST_PRICED>,
    /// Whether the stack's own exchange takes no longer than others, by groups without stages and replicas, microbatch, and
    /// whether there is one alone.
    dominated: HashMap<(Groups, u32, bool), bool>,
    /// Faults of layouts that were not made, and of those that cannot communicate.
    faults: FirstFault,
    refused: FirstFault,
    best: Option<(Node, Fitting, Step)>,
    tried: u32,
    events: u64,
}

impl<'a> Search<'a> {
    fn of(
        scenario: &'a TrainingScenario,
        source: &'a mut WorkSource,
        (pricing, timeline, orders): (&'a mut Pricing, &'a mut Timeline, &'a mut Orders),
    ) -> Result<Self, Infeasible> {
        let options = Options::of(scenario)?;
        let groups = options.groups()?;
        Ok(Self {
            scenario,
            without_copies: scenario.without_offload(&[Offload::Parameters, Offload::Activations]),
            without_activations: scenario.without_offload(&[Offload::Activations]),
            options,
            sharing: None,
            source,
            pricing,
            timeline,
            orders,
            recompute: options.recompute(),
            closing: 0.0,
            groups,
            pipelines: HashMap::new(),
            least_stages: HashMap::new(),
            bounded: HashMap::new(),
            opened: HashMap::new(),
            queue: BinaryHeap::new(),
            fitting: Vec::new(),
            priced: Memo::default(),
            dominated: HashMap::new(),
            faults: FirstFault::default(),
            refused: FirstFault::default(),
            best: None,
            tried: 0,
            events: 0,
        })
    }

    fn run(mut self) -> Result<Choice, Infeasible> {
        self.open()?;
        self.choice()
    }

    /// Opens all layouts that may be faster than the best.
    fn open(&mut self) -> Result<(), Infeasible> {
        if let Some(only) = self.only()? {
            for (bound, node) in self.fit(only, SimDuration::ZERO) {
                self.play(node, bound);
            }
            return Ok(());
        }
        self.closing = self.closing_seconds()?;
        // What exchanges keys and values otherwise than the stack does is seldom fastest: the best of the others bounds most
        // of it before its batches are looked at, and those that the stack's own exchange dominates are left out.
        let (usual, other): (Vec<u32>, Vec<u32>) =
            (0..self.groups.len() as u32).partition(|groups| {
                self.options
                    .is_usual_exchange(&self.groups[*groups as usize])
            });
        for some in [usual, other] {
            for groups in some {
                self.add_groups(groups);
            }
            self.open_all();
        }
        Ok(())
    }

    /// Opens what was added until no bound is below the best step.
    fn open_all(&mut self) {
        while let Some(Reverse((bound, node))) = self.queue.pop() {
            // Layouts that are as fast as the best may still come before it.
            if self.is_over(bound) || self.is_spent() {
                break;
            }
            halt::check();
            match node {
                Node::Groups { groups } => self.open_groups(groups),
                Node::Batch {
                    groups,
                    micro_batch,
                    fits: false,
                } => self.fit_batch(groups, micro_batch, bound),
                Node::Batch {
                    groups,
                    micro_batch,
                    fits: true,
                } => self.open_batch(groups, micro_batch, bound),
                Node::Layout {
                    is_priced: false, ..
                } => self.price(node, bound),
                Node::Layout {
                    is_priced: true, ..
                } => self.open_layout(node, bound),
                Node::Fitting {
                    is_close: false, ..
                } => self.close_in(node, bound),
                Node::Fitting { is_close: true, .. } => self.play(node, bound),
            }
        }
    }

    /// Whether the best step is shorter than a bound.
    fn is_over(&self, bound: SimDuration) -> bool {
        match (&self.sharing, &self.best) {
            (Some(sharing), _) => sharing.is_over(bound),
            (None, Some((_, _, step))) => bound > step.time(),
            (None, None) => false,
        }
    }

    fn add(&mut self, bound: SimDuration, node: Node) {
        if !self.is_over(bound) {
            self.queue.push(Reverse((bound, node)));
        }
    }

    fn choice(mut self) -> Result<Choice, Infeasible> {
        self.timeline.effort.check_spent()?;
        if let Some((_, fitting, step)) = self.best.take() {
            return Ok(Choice {
                fitting,
                step,
                tried: self.tried,
                events: self.events,
            });
        }
        let refused = self.refusal();
        Err(refused.expect("a layout was refused or does not fit"))
    }

    /// Why no layout was played, if there was any.
    fn refusal(mut self) -> Option<Infeasible> {
        if let Some(fault) = std::mem::take(&mut self.refused).take() {
            return Some(fault);
        }
        let mut roomiest = fit::Roomiest::default();
        for groups in &self.groups {
            for layout in self.smallest(groups).unwrap_or_default() {
                roomiest.add(self.scenario, self.source, layout, &self.recompute);
            }
        }
        roomiest.over(self.scenario).or(self.faults.take())
    }

    /// Layouts with the smallest microbatch of some groups, one for each ZeRO stage and its groups.
    fn smallest(&self, groups: &Groups) -> Result<Vec<Layout>, Infeasible> {
        let (micro_batch, _) = self.options.micro_batches(groups)?;
        let pipeline = self.options.pipelines(groups.pp)?.swap_remove(0);
        let layout = |shards| self.layout(groups, micro_batch, &pipeline, shards);
        Ok(self.shards(groups)?.into_iter().map(layout).collect())
    }

    /// The only layout there is, where every axis has one value.
    fn only(&mut self) -> Result<Option<Node>, Infeasible> {
        let [groups] = self.groups[..] else {
            return Ok(None);
        };
        let (least, most) = self.options.micro_batches(&groups)?;
        let pipelines = self.options.pipelines(groups.pp)?;
        let shards = self.shards(&groups)?;
        let single = least == most && pipelines.len() == 1 && self.recompute.len() == 1;
        let pipelines = Pipelines::of(pipelines, groups.pp);
        self.pipelines.insert(groups.pp, Rc::new(pipelines));
        Ok(match shards[..] {
            [shards] if single => Some(Node::Layout {
                groups: 0,
                pipeline: 0,
                micro_batch: least,
                shards,
                is_priced: true,
            }),
            _ => None,
        })
    }

    /// Seconds of the gradients' norm and of the host, which follow every layout's passes.
    fn closing_seconds(&mut self) -> Result<f64, Infeasible> {
        let groups = self.groups[0];
        let pipeline = Pipeline::default();
        let layout = self.options.layout(&groups, 1, &pipeline, Shards::NONE);
        let mut replicas = ReplicaCosts {
            scenario: self.scenario,
            layout: &layout,
            pricing: self.pricing,
        };
        let norm = replicas.norm()?.time;
        let between = HostCosts::least_between_steps(self.scenario);
        Ok((norm + between).as_secs_f64())
    }

    fn pipelines(&mut self, pp: u32) -> Option<Rc<Pipelines>> {
        if let Some(known) = self.pipelines.get(&pp) {
            return Some(Rc::clone(known));
        }
        let found = self.faults.keep(self.options.pipelines(pp))?;
        let found = Rc::new(Pipelines::of(found, pp));
        self.pipelines.insert(pp, Rc::clone(&found));
        Some(found)
    }

    /// Recomputations with which a layout fits, with their bounds; `least` bounds them all.
    fn fit(&mut self, node: Node, least: SimDuration) -> Vec<(SimDuration, Node)> {
        let Node::Layout {
            groups,
            pipeline,
            micro_batch,
            shards,
            ..
        } = node
        else {
            return Vec::new();
        };
        let with = self.groups[groups as usize];
        let Some(pipelines) = self.pipelines(with.pp) else {
            return Vec::new();
        };
        let pipeline_of = &pipelines.all[pipeline as usize];
        let layout = self.layout(&with, micro_batch, pipeline_of, shards);
        let passes = limits::check_pipeline(&layout);
        if self.refused.keep(passes).is_none() {
            return Vec::new();
        }
        let work = self.source.work(self.scenario, &layout);
        let fit = Fit {
            scenario: self.scenario,
            policies: &self.recompute,
        };
        let stages = memory::Stages::of(self.scenario, &layout, &work);
        let batch = Batch {
            work: &work,
            samples: 1.0,
            microbatches: self.held(&layout),
        };
        let fits = fit.of(&[stages], batch);
        let replication = (least > SimDuration::ZERO)
            .then(|| Replication::of(self.scenario, &layout, self.pricing));
        let mut found = Vec::new();
        for repeats in fits {
            let mut bound = least;
            if let Some(replication) = &replication
                && let Some(layers) = self.priced((groups, micro_batch), &layout)
            {
                let sums = layers.stages(pipeline_of, with.pp);
                let of = (self.scenario, &layout);
                let middle = self.middle(&layout);
                let beside = (replication, self.closing);
                bound = bound.max(sums.step(of, (&[repeats], &middle), beside, self.pricing));
            }
            found.push((
                bound,
                Node::Fitting {
                    groups,
                    pipeline,
                    micro_batch,
                    shards,
                    recompute: repeats.policy,
                    fitting: self.fitting.len() as u32,
                    is_close: false,
                },
            ));
            let layout = Layout {
                recompute: repeats.policy,
                recomputed_share: repeats.share,
                ..layout.clone()
            };
            self.fitting.push(layout);
        }
        found
    }

    /// Adds a layout with the bound of its exact prices.
    fn price(&mut self, mut node: Node, least: SimDuration) {
        let Node::Layout {
            groups,
            pipeline,
            micro_batch,
            shards,
            is_priced,
        } = &mut node
        else {
            return;
        };
        *is_priced = true;
        let with = self.groups[*groups as usize];
        let Some(pipelines) = self.pipelines(with.pp) else {
            return;
        };
        let pipeline = &pipelines.all[*pipeline as usize];
        let repeats = Repeats::of(self.scenario, &self.recompute);
        let layout = Layout {
            recompute: repeats.policy,
            recomputed_share: repeats.share,
            ..self.layout(&with, *micro_batch, pipeline, *shards)
        };
        let work = self.source.work(self.scenario, &layout);
        let scenario = self.dealt(&self.without_activations, &layout);
        let bound = StepCosts::of(&scenario, &layout, &work, self.pricing)
            .and_then(|costs| costs.bound_of_sums(self.pricing));
        if let Some(bound) = self.refused.keep(bound) {
            self.add(bound.max(least), node);
        }
    }

    fn open_layout(&mut self, node: Node, least: SimDuration) {
        for (bound, node) in self.fit(node, least) {
            self.add(bound, node);
        }
    }

    /// Adds a layout that fits with its close bound.
    fn close_in(&mut self, node: Node, least: SimDuration) {
        let Node::Fitting {
            groups,
            pipeline,
            micro_batch,
            shards,
            recompute,
            fitting,
            ..
        } = node
        else {
            return;
        };
        let layout = &self.fitting[fitting as usize];
        let work = self.source.work(self.scenario, layout);
        let scenario = self.dealt(self.scenario, layout);
        let bound = StepCosts::of(&scenario, layout, &work, self.pricing)
            .and_then(|costs| costs.close_bound(self.pricing, &mut self.orders.passes));
        if let Some(bound) = self.refused.keep(bound) {
            let node = Node::Fitting {
                groups,
                pipeline,
                micro_batch,
                shards,
                recompute,
                fitting,
                is_close: true,
            };
            self.add(bound.max(least), node);
        }
    }

    fn play(&mut self, node: Node, bound: SimDuration) {
        let Node::Fitting { fitting, .. } = node else {
            return;
        };
        if let Some((sharing, place)) = self.place(node) {
            sharing.play(place);
            self.tried += 1;
            return;
        }
        let layout = self.fitting[fitting as usize].clone();
        let work = self.source.work(self.scenario, &layout);
        let step = StepCosts::of(self.scenario, &layout, &work, self.pricing).and_then(|costs| {
            limits::check_time(costs.lower_bound())?;
            costs.play(self.pricing, self.timeline, &[])
        });
        let Some(step) = self.refused.keep(step) else {
            return;
        };
        debug_assert!(
            bound <= step.time(),
            "a bound of {bound:?} on a step of {:?}: {:?}",
            step.time(),
            layout
        );
        self.tried += 1;
        self.events += step.events;
        let beats =
            |(old, _, best): &(Node, Fitting, Step)| (step.time(), node) < (best.time(), *old);
        if self.best.as_ref().is_none_or(beats) {
            let fitting = Fitting {
                memory: memory::peak(self.scenario, &layout, &work),
                layout,
                work,
            };
            self.best = Some((node, fitting, step));
        }
    }
}
