//! Tasks of one step: what every stage does with every microbatch.

use crate::collective::CarriedBy;
use crate::des::TaskId;
use crate::simulation::training::passes::{LayerCost, Traffic};
use crate::simulation::training::replication::Replication;
use crate::simulation::training::schedule::{self, Pass, Pipeline, Slot};
use crate::simulation::training::step::{Step, StepCosts};
use crate::simulation::training::timeline::{Cause, Passage, Timeline};
use crate::simulation::{Infeasible, Layout, StepPart, TimeShares};
use crate::units::{SimDuration, SimTime};

/// First and last task of a pass of one microbatch through one virtual stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) first: TaskId,
    pub(super) last: TaskId,
    /// How long after the last task the next stage has what it sends, beyond the tasks themselves.
    pub(super) lag: SimDuration,
}

impl Ends {
    pub(super) const fn of(first: TaskId, last: TaskId) -> Self {
        Self {
            first,
            last,
            lag: SimDuration::ZERO,
        }
    }

    /// A pass that goes on with more tasks, or begins with them.
    pub(super) fn extended(so_far: Option<Self>, more: Self) -> Self {
        Self::of(so_far.map_or(more.first, |ends| ends.first), more.last)
    }
}

/// Builds the tasks of one step.
pub(super) struct Player<'a, 'b> {
    pub(super) costs: &'a StepCosts<'a>,
    pub(super) replication: Replication<'b>,
    pub(super) timeline: &'b mut Timeline,
    pub(super) slowdown: &'b [f64],
    /// Whether the sends beside compute of each stage are tasks of their own all the time.
    queued_sends: Vec<bool>,
    /// `[virtual stage × microbatch]`.
    forward: Vec<Option<Ends>>,
    backward: Vec<Option<Ends>>,
    /// Compute tasks of sharded passes, for the limit of gathers in flight, per stage.
    pub(super) recent: Vec<Vec<TaskId>>,
    /// Reductions that the optimizer of each stage waits for.
    pub(super) reductions: Vec<Vec<TaskId>>,
    pub(super) traffic: Traffic,
    pub(super) comm_busy: SimDuration,
    /// Algorithm of the gradient reduction.
    pub(super) algorithm: Option<CarriedBy>,
    pub(super) flops: f64,
}

impl<'a, 'b> Player<'a, 'b> {
    pub(super) fn new(
        costs: &'a StepCosts<'a>,
        replication: Replication<'b>,
        timeline: &'b mut Timeline,
        slowdown: &'b [f64],
    ) -> Self {
        let pp = costs.layout.pp as usize;
        let passes = costs.stages.len() * costs.layout.microbatches as usize;
        let sends_take = costs.sends.time;
        let queued_sends = (0..costs.layout.pp)
            .map(|stage| sends_take > costs.shortest_pass(stage, slowdown))
            .collect();
        Self {
            costs,
            replication,
            timeline,
            slowdown,
            queued_sends,
            forward: vec![None; passes],
            backward: vec![None; passes],
            recent: vec![Vec::new(); pp],
            reductions: vec![Vec::new(); pp],
            traffic: Traffic::default(),
            comm_busy: SimDuration::ZERO,
            algorithm: None,
            flops: 0.0,
        }
    }

    /// All passes of all stages.
    ///
    /// # Errors
    /// If a communication that was asked for cannot run.
    pub(super) fn passes(&mut self) -> Result<(), Infeasible> {
        let layout = self.costs.layout;
        let pipeline = Pipeline {
            stages: layout.pp,
            chunks: layout.vpp,
            microbatches: layout.microbatches,
        };
        let mut slots: Vec<Slot> = Vec::new();
        for stage in 0..layout.pp {
            schedule::order(layout.schedule, pipeline, stage, &mut slots);
            for &slot in &slots {
                self.pass(stage, slot)?;
            }
        }
        self.timeline.works_on(None);
        if self.waits_for_stages() {
            self.connect();
        }
        Ok(())
    }

    fn pass(&mut self, stage: u32, slot: Slot) -> Result<(), Infeasible> {
        let Layout {
            pp, microbatches, ..
        } = *self.costs.layout;
        let place = (slot.chunk * pp + stage) as usize;
        let at = place * microbatches as usize + slot.microbatch as usize;
        let forward = slot.pass == Pass::Forward;
        self.timeline.works_on(Some(Passage {
            microbatch: slot.microbatch,
            place: place as u32,
        }));
        let ends = self.tasks(stage, place, slot)?;
        let last_place = self.costs.stages.len() - 1;
        let sends = match slot.pass {
            Pass::Forward => place < last_place,
            Pass::Backward | Pass::BackwardInput => place > 0,
            Pass::BackwardWeight => return Ok(()),
        };
        let ends = if sends && pp > 1 {
            self.send(stage, slot, ends)
        } else {
            ends
        };
        let list = if forward {
            &mut self.forward
        } else {
            &mut self.backward
        };
        list[at] = Some(ends);
        Ok(())
    }

    /// A send that holds up its sender or runs beside compute.
    fn send(&mut self, stage: u32, slot: Slot, ends: Ends) -> Ends {
        let sends = &self.costs.sends;
        self.traffic += &sends.traffic;
        self.comm_busy += sends.time;
        let beside = self.replicates_beside(stage, slot);
        if self.overlaps_sends() {
            return self.send_beside(stage, ends, beside);
        }
        let parts = TimeShares {
            pp_comm: sends.time,
            ..TimeShares::default()
        };
        let last = if beside && sends.time > SimDuration::ZERO {
            self.timeline.exposed(stage, Cause::Send, parts, sends.load)
        } else {
            self.timeline
                .compute(stage, Cause::Send, parts, SimDuration::ZERO, false)
        };
        Ends { last, ..ends }
    }

    /// A send beside compute. It shares the links with reductions and gathers that run at the same
    /// time, and waits for the send before it. Where it can do neither, because every pass takes
    /// longer than a send, the receiver simply has it so much later.
    fn send_beside(&mut self, stage: u32, ends: Ends, beside_replication: bool) -> Ends {
        let sends = &self.costs.sends;
        if !beside_replication && !self.queued_sends[stage as usize] {
            return Ends {
                lag: sends.time,
                ..ends
            };
        }
        let load = if beside_replication {
            sends.load
        } else {
            [0.0; 2]
        };
        let last = self.timeline.send(stage, sends.time, load);
        let engine = &mut self.timeline.engine;
        engine.add_dependency(ends.last, last, SimDuration::ZERO);
        Ends { last, ..ends }
    }

    fn overlaps_sends(&self) -> bool {
        let stack = &self.costs.scenario.stack;
        let interleaved = self.costs.layout.vpp > 1;
        self.costs
            .scenario
            .communication
            .overlap_pp
            .unwrap_or(stack.overlap.pipeline && interleaved)
    }

    /// Kernels of one pass, and its communications behind them.
    ///
    /// For the part of it during which a communication of `beside` runs, kernels have the SMs that
    /// its kernels leave, and communications share the links with it.
    pub(super) fn compute(
        &mut self,
        stage: u32,
        layers: &LayerCost,
        slot: Slot,
        beside: SimDuration,
    ) -> Ends {
        let (cost, cause) = match slot.pass {
            Pass::Forward => (&layers.forward, Cause::Forward),
            Pass::Backward => (&layers.backward, Cause::Backward),
            Pass::BackwardInput => (&layers.backward_input, Cause::Backward),
            Pass::BackwardWeight => (&layers.backward_weight, Cause::Backward),
        };
        self.traffic += &cost.traffic;
        self.comm_busy += cost.comm_busy;
        let mut parts = cost.parts;
        let last = slot.microbatch + 1 == self.costs.layout.microbatches;
        let share = if last { self.costs.last_share() } else { 1.0 };
        self.flops += cost.flops * share;
        let drawn = self.slowdown.get(stage as usize).copied().unwrap_or(1.0);
        let factor = share * self.costs.slowest * drawn * self.costs.scenario.run.kernel_time();
        let kernels = parts.compute + parts.recompute;
        let taken = f64::from(self.costs.scenario.stack.overlap.communication_sms);
        let all = f64::from(self.costs.scenario.gpu.sms);
        if beside > SimDuration::ZERO && taken < all {
            let overlapped = kernels.min(beside).as_secs_f64();
            parts.compute += SimDuration::from_secs_f64(overlapped * taken / (all - taken));
        }
        if (factor - 1.0).abs() > 0.0 {
            parts.compute = parts.compute.scaled(factor);
            parts.recompute = parts.recompute.scaled(factor);
        }
        // A blocking receive synchronises the host with the device before the pass is issued.
        let synchronised = self.costs.layout.pp > 1 && !self.overlaps_sends();
        let (kernels, exposed) = apart(parts);
        let seconds = exposed.total().as_secs_f64();
        if beside == SimDuration::ZERO || seconds <= 0.0 {
            let task = self
                .timeline
                .compute(stage, cause, parts, cost.issue, synchronised);
            return Ends::of(task, task);
        }
        let first = self
            .timeline
            .compute(stage, cause, kernels, cost.issue, synchronised);
        let load = cost.link_time.map(|filled| (filled / seconds).min(1.0));
        let last = self.timeline.exposed(stage, cause, exposed, load);
        Ends::of(first, last)
    }

    /// Whether stages wait for one another, as they do but in a counterfactual.
    pub(super) fn waits_for_stages(&self) -> bool {
        !self.costs.scenario.run.leaves_out(StepPart::Bubble)
    }

    /// Lets every pass wait for the stage that feeds it.
    fn connect(&mut self) {
        let microbatches = self.costs.layout.microbatches as usize;
        let ends =
            |list: &[Option<Ends>], at: usize| list[at].expect("every schedule runs every pass");
        for place in 0..self.costs.stages.len() - 1 {
            for microbatch in 0..microbatches {
                let at = place * microbatches + microbatch;
                let next = at + microbatches;
                let (sent, received) = (ends(&self.forward, at), ends(&self.forward, next));
                self.timeline
                    .engine
                    .add_dependency(sent.last, received.first, sent.lag);
                let (sent, received) = (ends(&self.backward, next), ends(&self.backward, at));
                self.timeline
                    .engine
                    .add_dependency(sent.last, received.first, sent.lag);
            }
        }
    }

    /// Passes that hand over to another stage, and those that receive.
    pub(super) fn hand_overs(&self) -> Vec<(TaskId, TaskId)> {
        let microbatches = self.costs.layout.microbatches as usize;
        let across = if self.costs.layout.pp > 1 {
            self.costs.stages.len() - 1
        } else {
            0
        };
        let pair = |from: Option<Ends>, to: Option<Ends>| Some((from?.last, to?.first));
        (0..across * microbatches)
            .flat_map(|at| {
                let next = at + microbatches;
                let there = pair(self.forward[at], self.forward[next]);
                let back = pair(self.backward[next], self.backward[at]);
                [there, back]
            })
            .flatten()
            .collect()
    }

    /// Makes every send beside compute a task, for people to look at; the times are the same.
    pub(super) fn show_sends(&mut self) {
        self.queued_sends.fill(true);
    }

    /// Plays what was built.
    pub(super) fn finish(self) -> Step {
        let end = self.timeline.engine.run();
        let device = self.timeline.critical(end);
        assert!(
            device.shares.total() == end - SimTime::ZERO,
            "the parts of a step sum to the step"
        );
        let Layout { tp, cp, dp, pp, .. } = *self.costs.layout;
        // Traffic was added up over the stages: a GPU has its part of it.
        let stages = u64::from(pp);
        let traffic = Traffic {
            intra: self.traffic.intra / stages,
            inter: self.traffic.inter / stages,
            ..self.traffic
        };
        let inside = SimDuration::from_picos(self.comm_busy.as_picos() / stages);
        Step {
            device,
            hardware_flops: self.flops * f64::from(tp) * f64::from(cp) * f64::from(dp),
            comm_busy: inside + device.replication_busy,
            traffic,
            algorithm: self.algorithm,
            events: self.timeline.engine.events(),
        }
    }
}

/// The parts of a pass on the compute cores, and its communications inside the stage.
fn apart(parts: TimeShares) -> (TimeShares, TimeShares) {
    let TimeShares {
        tp_comm,
        cp_comm,
        ep_comm,
        ..
    } = parts;
    let kernels = TimeShares {
        tp_comm: SimDuration::ZERO,
        cp_comm: SimDuration::ZERO,
        ep_comm: SimDuration::ZERO,
        ..parts
    };
    let exposed = TimeShares {
        tp_comm,
        cp_comm,
        ep_comm,
        ..TimeShares::default()
    };
    (kernels, exposed)
}
