//! One training step on the event engine: the tasks of every stage for every microbatch.

mod fold;
mod step;

use std::ops::Range;
use std::rc::Rc;

pub(super) use self::step::Step;
use self::step::{PassSums, Played};
use crate::collective::CarriedBy;
use crate::des::{LinkLoads, TaskId};
use crate::halt;
use crate::memo::Memo;
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_cost::{Gathers, ReplicaCosts};
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::{self, Pass, PipelineSize, Placement, Slot};
use crate::simulation::training::timeline::{Ends, MicrobatchAt, PartsAt, SliceKind, Timeline};
use crate::simulation::training::trace::Trace;
use crate::simulation::{Infeasible, NetworkUse, StepPart, TimeShares};
use crate::units::SimDuration;

impl StepCosts<'_> {
    /// Simulates the step. `slowdown` multiplies the kernels of each stage; empty: none.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network, or the point takes more events or memory than it may.
    pub(super) fn play(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
        slowdown: &[f64],
    ) -> Result<Step, Infeasible> {
        let step = match self.folded(pricing, timeline, slowdown)? {
            Some(step) => step,
            None => self.play_all(pricing, timeline, slowdown)?,
        };
        timeline.effort.spend(step.events)?;
        Ok(step)
    }

    /// Simulates the step with every microbatch played.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    fn play_all(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
        slowdown: &[f64],
    ) -> Result<Step, Infeasible> {
        let played = self
            .build(pricing, timeline, PlayOptions::with(slowdown))?
            .run();
        let device = timeline.critical(played.end);
        Ok(Step::of(self.layout, &played, device))
    }

    /// Simulates the step and gives its timeline.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn trace(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
    ) -> Result<Trace, Infeasible> {
        let player = self.build(
            pricing,
            timeline,
            PlayOptions {
                shows_sends: true,
                ..PlayOptions::default()
            },
        )?;
        let hand_overs = player.hand_overs();
        player.run();
        Ok(Trace::of(self, timeline, &hand_overs))
    }

    fn build<'b>(
        &'b self,
        pricing: &'b mut Pricing,
        timeline: &'b mut Timeline,
        options: PlayOptions<'b>,
    ) -> Result<Player<'b, 'b>, Infeasible> {
        let replicas = ReplicaCosts {
            scenario: self.scenario,
            layout: self.layout,
            pricing,
        };
        timeline.reset(self.layout.pp);
        let mut player = Player::new(self, replicas, timeline, options);
        player.passes()?;
        player.close()?;
        Ok(player)
    }
}

/// Choices in building the tasks of a step.
#[derive(Clone, Debug, Default)]
struct PlayOptions<'a> {
    /// Factor on the kernels of each stage; empty: none.
    slowdown: &'a [f64],
    /// Whether every overlapped send is a task of its own, so that a trace shows it; the times are the same.
    shows_sends: bool,
    /// Microbatches whose traffic and FLOPs are summed apart, too.
    apart: Range<u32>,
}

impl<'a> PlayOptions<'a> {
    /// Options of a step whose stages are slowed down.
    fn with(slowdown: &'a [f64]) -> Self {
        Self {
            slowdown,
            ..Self::default()
        }
    }
}

/// Builder of the tasks of one step.
pub(super) struct Player<'a, 'b> {
    pub(super) costs: &'a StepCosts<'a>,
    pub(super) replicas: ReplicaCosts<'b>,
    pub(super) timeline: &'b mut Timeline,
    pub(super) slowdown: &'b [f64],
    /// Whether all overlapped sends of each stage are tasks of their own.
    queued_sends: Vec<bool>,
    /// Forward passes, `[virtual stage × microbatch]`.
    forward: Vec<Option<Ends>>,
    /// Backward passes, likewise.
    backward: Vec<Option<Ends>>,
    /// Compute tasks of sharded passes, for the limit of gathers in flight, per stage.
    pub(super) recent: Vec<Vec<TaskId>>,
    /// Reductions that the optimizer of each stage waits for.
    pub(super) reductions: Vec<Vec<TaskId>>,
    pub(super) sums: PassSums,
    /// Algorithm of the gradient reduction.
    pub(super) algorithm: Option<CarriedBy>,
    /// Microbatches whose passes are summed apart, too.
    apart: Range<u32>,
    of_apart: PassSums,
    /// Passes that were prepared, each once.
    prepared: Memo<PassKey, Prepared, MOST_PREPARED>,
    /// Layers of each virtual stage that are gathered and reduced together.
    pub(super) buckets: Vec<Option<Rc<[PricedBucket]>>>,
}

/// Layers that are gathered and reduced together, with what that takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PricedBucket {
    pub(super) layers: LayerCost,
    pub(super) gathers: Gathers<CommCost>,
    pub(super) reduction: CommCost,
}

/// Passes that are kept of one step.
const MOST_PREPARED: usize = 1 << 14;

/// Passes that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PassKey {
    /// Virtual stage.
    stage: u32,
    /// Bucket of its layers; `None` for all at once.
    bucket: Option<u32>,
    pass: Pass,
    /// Whether it is of the last microbatch.
    last: bool,
    overlapped: SimDuration,
}

/// Tasks of a pass.
#[derive(Clone, Copy, Debug)]
struct Prepared {
    kind: SliceKind,
    /// Kernels and, where it is one task, exposed communications.
    kernels: (PartsAt, SimDuration),
    /// Exposed communications that are a task of their own.
    exposed: Option<(PartsAt, SimDuration, LinkLoads)>,
    issue: SimDuration,
    hidden: SimDuration,
    traffic: NetworkUse,
    flops: f64,
}

impl<'a, 'b> Player<'a, 'b> {
    fn new(
        costs: &'a StepCosts<'a>,
        replicas: ReplicaCosts<'b>,
        timeline: &'b mut Timeline,
        PlayOptions {
            slowdown,
            shows_sends,
            apart,
        }: PlayOptions<'b>,
    ) -> Self {
        let pp = costs.layout.pp as usize;
        let passes = costs.stages.len() * costs.microbatches as usize;
        let send = costs.send.time;
        let queued_sends = (0..costs.layout.pp)
            .map(|stage| shows_sends || send > costs.shortest_pass(stage, slowdown))
            .collect();
        Self {
            costs,
            replicas,
            timeline,
            slowdown,
            queued_sends,
            forward: vec![None; passes],
            backward: vec![None; passes],
            recent: vec![Vec::new(); pp],
            reductions: vec![Vec::new(); pp],
            sums: PassSums::default(),
            algorithm: None,
            apart,
            of_apart: PassSums::default(),
            prepared: Memo::default(),
            buckets: vec![None; costs.stages.len()],
        }
    }

    /// Schedules all passes of all stages.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn passes(&mut self) -> Result<(), Infeasible> {
        let layout = self.costs.layout;
        let pipeline = PipelineSize {
            stages: layout.pp,
            chunks: layout.vpp,
            microbatches: self.costs.microbatches,
        };
        let mut slots: Vec<Slot> = Vec::new();
        for stage in 0..layout.pp {
            halt::check();
            schedule::order(layout.schedule, pipeline, stage, &mut slots);
            let mut rest = &slots[..];
            while let [slot, behind @ ..] = rest {
                rest = behind;
                if slot.beside_next
                    && let [next, behind @ ..] = rest
                {
                    rest = behind;
                    self.pair(stage, *slot, *next)?;
                } else {
                    self.pass(stage, *slot)?;
                }
                self.timeline.check_tasks()?;
            }
        }
        self.timeline.works_on(None);
        if self.waits_for_stages() {
            self.connect();
        }
        Ok(())
    }

    fn pass(&mut self, stage: u32, slot: Slot) -> Result<(), Infeasible> {
        let ends = self.summed(slot, |player| player.work(stage, slot))?;
        self.summed(slot, |player| player.hand_on(stage, slot, ends))
    }

    /// Schedules two passes that begin when both can and end together.
    fn pair(&mut self, stage: u32, slot: Slot, next: Slot) -> Result<(), Infeasible> {
        let first = self.summed(slot, |player| player.work(stage, slot))?;
        let second = self.summed(next, |player| player.work(stage, next))?;
        let both = Ends::of(first.first, second.last);
        self.summed(slot, |player| player.hand_on(stage, slot, both))?;
        self.summed(next, |player| player.hand_on(stage, next, both))
    }

    /// Schedules what is of a slot, and sums its microbatch apart where that was asked for.
    fn summed<T>(
        &mut self,
        slot: Slot,
        schedule: impl FnOnce(&mut Self) -> Result<T, Infeasible>,
    ) -> Result<T, Infeasible> {
        let before = self.sums;
        let scheduled = schedule(self)?;
        if self.apart.contains(&slot.microbatch) {
            self.of_apart.add(&self.sums.minus(&before), 1);
        }
        Ok(scheduled)
    }

    fn placement(&self) -> Placement {
        Placement::of(self.costs.layout)
    }

    /// Schedules the tasks of a pass, with what it waits for.
    fn work(&mut self, stage: u32, slot: Slot) -> Result<Ends, Infeasible> {
        let virtual_stage = self.placement().virtual_stage(stage, slot.chunk);
        self.timeline.works_on(Some(MicrobatchAt {
            microbatch: slot.microbatch,
            virtual_stage,
        }));
        self.gather_exposed(stage, virtual_stage as usize, slot)?;
        self.tasks(stage, virtual_stage as usize, slot)
    }

    /// Schedules what follows a pass: its send, and a reduction that is waited for.
    fn hand_on(&mut self, stage: u32, slot: Slot, ends: Ends) -> Result<(), Infeasible> {
        let placement = self.placement();
        let virtual_stage = placement.virtual_stage(stage, slot.chunk);
        let at = (virtual_stage * self.costs.microbatches + slot.microbatch) as usize;
        let sends = match slot.pass {
            Pass::Forward => {
                virtual_stage + 1 < self.costs.stages.len() as u32
                    && placement.crosses(virtual_stage)
            }
            Pass::Backward | Pass::BackwardInput => {
                virtual_stage > 0 && placement.crosses(virtual_stage - 1)
            }
            Pass::BackwardWeight => false,
        };
        let ends = if sends {
            self.send(stage, slot, ends)
        } else {
            ends
        };
        match slot.pass {
            Pass::Forward => self.forward[at] = Some(ends),
            Pass::Backward | Pass::BackwardInput => self.backward[at] = Some(ends),
            Pass::BackwardWeight => {}
        }
        self.reduce_exposed(stage, virtual_stage as usize, slot)
    }

    /// Schedules a send: exposed on the sender's compute stream, or overlapped with it.
    fn send(&mut self, stage: u32, slot: Slot, ends: Ends) -> Ends {
        let cost = &self.costs.send;
        self.sums.traffic += &cost.traffic.scaled(self.share(slot));
        let replicates = self.replicates_meanwhile(stage, slot);
        if self.costs.overlap.pipeline {
            return self.send_overlapped(stage, ends, replicates);
        }
        let parts = TimeShares::from([(StepPart::PpComm, cost.time)]);
        let last = if replicates && cost.time > SimDuration::ZERO {
            let kept = (self.timeline.keep(parts), cost.time);
            self.timeline
                .exposed(stage, SliceKind::Send, kept, cost.load)
        } else {
            self.timeline.wait(stage, SliceKind::Send, parts)
        };
        Ends { last, ..ends }
    }

    /// Schedules a send overlapped with compute. It shares the links with concurrent reductions and gathers, and
    /// waits for the send before it. Where neither can happen, because every pass takes longer than a send, it is no
    /// task but a lag of the receiver.
    fn send_overlapped(&mut self, stage: u32, ends: Ends, replicates: bool) -> Ends {
        let CommCost { time, load, .. } = self.costs.send;
        if !replicates && !self.queued_sends[stage as usize] {
            self.timeline.lags(ends.last, time);
            return Ends { lag: time, ..ends };
        }
        let load = if replicates {
            load
        } else {
            LinkLoads::default()
        };
        let last = self.timeline.send(stage, time, load);
        self.timeline.follow(ends.last, last);
        Ends { last, ..ends }
    }

    /// Schedules the kernels of one pass through a virtual stage or one of its buckets, and its exposed communications
    /// behind them.
    pub(super) fn compute(
        &mut self,
        stage: u32,
        (virtual_stage, bucket): (usize, Option<u32>),
        slot: Slot,
        overlapped: SimDuration,
    ) -> Ends {
        let alike = match self.costs.stages[virtual_stage].like {
            Some(first) if self.slowdown.is_empty() => first,
            Some(_) | None => virtual_stage,
        };
        let key = PassKey {
            stage: alike as u32,
            bucket,
            pass: slot.pass,
            last: slot.microbatch + 1 == self.costs.microbatches,
            overlapped,
        };
        let known = self.prepared.get(&key).copied();
        let pass = known.unwrap_or_else(|| {
            let layers = match bucket {
                Some(bucket) => self.bucket(virtual_stage, bucket).layers,
                None => *self.costs.stages[virtual_stage].total,
            };
            let prepared = self.prepare(stage, &layers, slot, overlapped);
            self.prepared.insert(key, prepared);
            prepared
        });
        self.sums.traffic += &pass.traffic;
        self.sums.flops += pass.flops;
        // A blocking receive synchronises the host with the device before the pass is issued.
        let synchronised = self.costs.layout.pp > 1 && !self.costs.overlap.pipeline;
        let Prepared {
            kind,
            kernels,
            exposed,
            ..
        } = pass;
        let issue = if exposed.is_some() {
            SimDuration::ZERO
        } else {
            pass.issue
        };
        let first = self
            .timeline
            .compute_kept(stage, kind, kernels, issue, synchronised);
        self.timeline.hides(first, pass.hidden);
        let Some((parts, lasts, load)) = exposed else {
            return Ends::of(first, first);
        };
        let last = self.timeline.exposed(stage, kind, (parts, lasts), load);
        // The host is busy for the pass as a whole, as in a pass of one task.
        self.timeline.engine.set_issue(last, pass.issue);
        Ends::of(first, last)
    }

    /// Tasks of a pass.
    ///
    /// While a communication of length `overlapped` runs, kernels have the SMs that
    /// its kernels leave, and communications share the links with it.
    fn prepare(
        &mut self,
        stage: u32,
        layers: &LayerCost,
        slot: Slot,
        overlapped: SimDuration,
    ) -> Prepared {
        let (cost, kind) = match slot.pass {
            Pass::Forward => (&layers.forward, SliceKind::Forward),
            Pass::Backward => (&layers.backward, SliceKind::Backward),
            Pass::BackwardInput => (&layers.backward_input, SliceKind::Backward),
            Pass::BackwardWeight => (&layers.backward_weight, SliceKind::Backward),
        };
        let mut parts = cost.parts;
        let share = self.share(slot);
        let drawn = self.slowdown.get(stage as usize).copied().unwrap_or(1.0);
        let factor = share * self.costs.slowest * drawn * self.costs.scenario.run.kernel_time();
        let kernels = parts[StepPart::Compute] + parts[StepPart::Recompute];
        parts[StepPart::Compute] += kernels.min(overlapped).scaled(self.costs.beside_replicas);
        if (factor - 1.0).abs() > 0.0 {
            parts[StepPart::Compute] = parts[StepPart::Compute].scaled(factor);
            parts[StepPart::Recompute] = parts[StepPart::Recompute].scaled(factor);
        }
        let (kernels, exposed) = split_exposed(parts);
        let seconds = exposed.total().as_secs_f64();
        let apart = overlapped > SimDuration::ZERO && seconds > 0.0;
        let first = if apart { kernels } else { parts };
        Prepared {
            kind,
            kernels: (self.timeline.keep(first), first.total()),
            exposed: apart.then(|| {
                let load = cost.link_time.map(|filled| (filled / seconds).min(1.0));
                (self.timeline.keep(exposed), exposed.total(), load)
            }),
            issue: cost.issue,
            hidden: cost.comm_busy.saturating_sub(exposed.total()),
            traffic: cost.traffic.scaled(share),
            flops: cost.flops * share,
        }
    }

    /// Size of a pass's microbatch relative to a full one, 0–1.
    fn share(&self, slot: Slot) -> f64 {
        let last = slot.microbatch + 1 == self.costs.microbatches;
        if last { self.costs.last_share() } else { 1.0 }
    }

    /// Whether stages wait for one another.
    pub(super) fn waits_for_stages(&self) -> bool {
        self.costs.waits_for_stages()
    }

    /// Adds the dependencies between stages: every pass waits for the stage that feeds it.
    fn connect(&mut self) {
        let microbatches = self.costs.microbatches as usize;
        let ends =
            |list: &[Option<Ends>], at: usize| list[at].expect("every schedule runs every pass");
        for virtual_stage in 0..self.costs.stages.len() - 1 {
            for microbatch in 0..microbatches {
                let at = virtual_stage * microbatches + microbatch;
                let next = at + microbatches;
                let (sent, received) = (ends(&self.forward, at), ends(&self.forward, next));
                let engine = &mut self.timeline.engine;
                engine.add_dependency(sent.last, received.first, sent.lag);
                let (sent, received) = (ends(&self.backward, next), ends(&self.backward, at));
                engine.add_dependency(sent.last, received.first, sent.lag);
            }
        }
    }

    /// Passes that send to another stage, each with the pass that receives.
    pub(super) fn hand_overs(&self) -> Vec<(TaskId, TaskId)> {
        let microbatches = self.costs.microbatches as usize;
        let across = if self.costs.layout.pp > 1 {
            self.costs.stages.len() - 1
        } else {
            0
        };
        let pair = |from: Option<Ends>, to: Option<Ends>| Some((from?.last, to?.first));
        let placement = self.placement();
        (0..across * microbatches)
            .filter(|at| placement.crosses((at / microbatches) as u32))
            .flat_map(|at| {
                let next = at + microbatches;
                let there = pair(self.forward[at], self.forward[next]);
                let back = pair(self.backward[next], self.backward[at]);
                [there, back]
            })
            .flatten()
            .collect()
    }

    /// Runs the engine and sums up what was played.
    fn run(self) -> Played {
        Played {
            end: self.timeline.engine.run(),
            sums: self.sums,
            of_apart: self.of_apart,
            algorithm: self.algorithm,
            events: self.timeline.engine.events(),
        }
    }
}

/// Splits a pass into its kernels and its exposed communication inside the stage.
fn split_exposed(parts: TimeShares) -> (TimeShares, TimeShares) {
    let (mut kernels, mut exposed) = (parts, TimeShares::default());
    for part in [StepPart::TpComm, StepPart::CpComm, StepPart::EpComm] {
        exposed[part] = std::mem::take(&mut kernels[part]);
    }
    (kernels, exposed)
}

#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
