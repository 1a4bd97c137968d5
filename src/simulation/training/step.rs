//! One step of a layout, played on the engine.

use crate::collective::CollectiveAlgorithm;
use crate::des::TaskId;
use crate::simulation::training::passes::{LayerCost, LayerCosts, PassCost, layer_costs};
use crate::simulation::training::pipeline::{Sends, VirtualStage, virtual_stages};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::replication::{ParameterCount, ReplicaComm, Replication};
use crate::simulation::training::schedule::{self, Pass, Pipeline, Slot};
use crate::simulation::training::timeline::{Cause, DeviceTimes, Timeline};
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Infeasible, Layout, TimeShares, TrainingScenario};
use crate::stack::ZeroStage;
use crate::units::{SimDuration, SimTime};

/// Most pieces into which a pass is cut so that communication can run beside it.
const MOST_BUCKETS: usize = 12;
/// Most pieces into which a fully sharded pass is cut.
const MOST_GATHERS: usize = 64;
/// Gathers of sharded parameters that may be ahead of compute.
const GATHERS_IN_FLIGHT: usize = 2;

/// Everything about a layout that the step needs, priced.
pub(super) struct StepCosts<'a> {
    scenario: &'a TrainingScenario,
    layout: &'a Layout,
    work: &'a ModelWork,
    layers: LayerCosts,
    stages: Vec<VirtualStage>,
    sends: Sends,
}

/// A step, before it becomes a report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// What the critical device did; its shares sum to the step.
    pub(super) device: DeviceTimes,
    /// Work of the hardware over all GPUs.
    pub(super) hardware_flops: f64,
    /// Communication of one device: busy time, bytes, busiest link.
    pub(super) traffic: PassCost,
    /// Algorithm of the gradient reduction.
    pub(super) algorithm: Option<CollectiveAlgorithm>,
    /// Events of the engine.
    pub(super) events: u64,
}

impl<'a> StepCosts<'a> {
    /// Prices a layout.
    ///
    /// # Errors
    /// If a communication that was asked for cannot run.
    pub(super) fn of(
        scenario: &'a TrainingScenario,
        layout: &'a Layout,
        work: &'a ModelWork,
        pricing: &mut Pricing,
    ) -> Result<Self, Infeasible> {
        let layers = layer_costs(scenario, layout, work, pricing)?;
        let stages = virtual_stages(layout, work, &layers);
        let sends = Sends::of(scenario, layout, pricing)?;
        Ok(Self {
            scenario,
            layout,
            work,
            layers,
            stages,
            sends,
        })
    }

    /// A time that no step of this layout can beat: the busiest stage without data-parallel
    /// communication, behind the first passes of the stages before it.
    pub(super) fn lower_bound(&self) -> SimDuration {
        let Layout { pp, vpp, .. } = *self.layout;
        let microbatches = u64::from(self.full_microbatches());
        let mut ahead = SimDuration::ZERO;
        let mut bound = SimDuration::ZERO;
        for stage in 0..pp {
            let own: SimDuration = (0..vpp)
                .map(|chunk| busy(&self.stages[(chunk * pp + stage) as usize]))
                .sum();
            bound = bound.max(ahead + own * microbatches);
            ahead += busy(&self.stages[stage as usize]);
        }
        bound
    }

    /// Microbatches that are full; a last one may be shorter.
    fn full_microbatches(&self) -> u32 {
        self.scenario.workload.global_batch / self.layout.dp / self.layout.micro_batch
    }

    /// Size of the last microbatch against the others, 0–1.
    fn last_share(&self) -> f64 {
        let replica = self.scenario.workload.global_batch / self.layout.dp;
        match replica % self.layout.micro_batch {
            0 => 1.0,
            rest => f64::from(rest) / f64::from(self.layout.micro_batch),
        }
    }

    /// Plays the step. `slowdown` multiplies the kernels of each stage; empty: none.
    ///
    /// # Errors
    /// If a communication that was asked for cannot run.
    pub(super) fn play(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
        slowdown: &[f64],
    ) -> Result<Step, Infeasible> {
        let replication = Replication {
            scenario: self.scenario,
            layout: self.layout,
            pricing,
            traffic: PassCost::default(),
            algorithm: None,
        };
        timeline.reset(self.layout.pp);
        let mut player = Player::new(self, replication, timeline, slowdown);
        player.passes()?;
        player.close()?;
        Ok(player.finish())
    }
}

fn busy(stage: &VirtualStage) -> SimDuration {
    stage.total.forward.parts.total() + stage.total.backward.parts.total()
}

/// First and last task of a pass of one microbatch through one virtual stage.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: TaskId,
    last: TaskId,
}

/// Builds the tasks of one step.
struct Player<'a, 'b> {
    costs: &'a StepCosts<'a>,
    replication: Replication<'b>,
    timeline: &'b mut Timeline,
    slowdown: &'b [f64],
    /// `[virtual stage × microbatch]`.
    forward: Vec<Option<Ends>>,
    backward: Vec<Option<Ends>>,
    /// Compute tasks of sharded passes, for the limit of gathers in flight, per stage.
    recent: Vec<Vec<TaskId>>,
    /// Reductions that the optimizer of each stage waits for.
    reductions: Vec<Vec<TaskId>>,
    traffic: PassCost,
    flops: f64,
}

impl<'a, 'b> Player<'a, 'b> {
    fn new(
        costs: &'a StepCosts<'a>,
        replication: Replication<'b>,
        timeline: &'b mut Timeline,
        slowdown: &'b [f64],
    ) -> Self {
        let pp = costs.layout.pp as usize;
        let passes = costs.stages.len() * costs.layout.microbatches as usize;
        Self {
            costs,
            replication,
            timeline,
            slowdown,
            forward: vec![None; passes],
            backward: vec![None; passes],
            recent: vec![Vec::new(); pp],
            reductions: vec![Vec::new(); pp],
            traffic: PassCost::default(),
            flops: 0.0,
        }
    }

    fn passes(&mut self) -> Result<(), Infeasible> {
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
        self.connect();
        Ok(())
    }

    fn pass(&mut self, stage: u32, slot: Slot) -> Result<(), Infeasible> {
        let Layout {
            pp, microbatches, ..
        } = *self.costs.layout;
        let place = (slot.chunk * pp + stage) as usize;
        let at = place * microbatches as usize + slot.microbatch as usize;
        let forward = slot.pass == Pass::Forward;
        let ends = self.tasks(stage, place, slot)?;
        let last_place = self.costs.stages.len() - 1;
        let sends = match slot.pass {
            Pass::Forward => place < last_place,
            Pass::Backward | Pass::BackwardInput => place > 0,
            Pass::BackwardWeight => return Ok(()),
        };
        let ends = if sends && pp > 1 {
            self.send(stage, ends)
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

    /// A send that holds up its sender, unless sends run beside compute.
    fn send(&mut self, stage: u32, ends: Ends) -> Ends {
        let sends = &self.costs.sends;
        self.traffic += &sends.traffic;
        self.traffic.comm_busy += sends.time;
        if self.overlaps_sends() {
            return ends;
        }
        let parts = TimeShares {
            pp_comm: sends.time,
            ..TimeShares::default()
        };
        let last = self
            .timeline
            .compute(stage, Cause::Send, parts, SimDuration::ZERO, false);
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

    fn overlaps_replication(&self) -> bool {
        let stack = &self.costs.scenario.stack;
        self.costs
            .scenario
            .communication
            .overlap_dp
            .unwrap_or(stack.overlap.gradients)
    }

    fn gathers_ahead(&self) -> bool {
        let stack = &self.costs.scenario.stack;
        let sharded = matches!(self.costs.layout.zero, ZeroStage::Z1 | ZeroStage::Z2);
        sharded
            && self
                .costs
                .scenario
                .communication
                .overlap_dp
                .unwrap_or(stack.overlap.parameters)
    }

    /// The tasks of one pass on the streams of its stage.
    fn tasks(&mut self, stage: u32, place: usize, slot: Slot) -> Result<Ends, Infeasible> {
        let costs = self.costs;
        let layout = costs.layout;
        if layout.zero == ZeroStage::Z3 {
            return self.sharded_pass(stage, place, slot);
        }
        let last = slot.microbatch + 1 == layout.microbatches;
        let reduces = match slot.pass {
            Pass::Backward | Pass::BackwardWeight => last && self.overlaps_replication(),
            Pass::Forward | Pass::BackwardInput => false,
        };
        let gathers = slot.pass == Pass::Forward && slot.microbatch == 0 && self.gathers_ahead();
        if !reduces && !gathers {
            let task = self.compute(stage, &costs.stages[place].total, slot);
            return Ok(Ends {
                first: task,
                last: task,
            });
        }
        let bucket = costs
            .scenario
            .communication
            .bucket
            .unwrap_or(costs.scenario.stack.overlap.bucket);
        let bytes = (costs.stages[place].total.dense + costs.stages[place].total.expert) * 4;
        let buckets = (bytes.div_ceil(bucket.get().max(1)) as usize).clamp(1, MOST_BUCKETS);
        let groups = costs.stages[place].groups(layout, costs.work, &costs.layers, buckets);
        if gathers {
            self.gathered_pass(stage, &groups, slot)
        } else {
            self.reduced_pass(stage, &groups, slot)
        }
    }

    /// First forward pass of a step, behind the gathering of the parameters that the step before
    /// updated.
    fn gathered_pass(
        &mut self,
        stage: u32,
        groups: &[LayerCost],
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let mut ends: Option<Ends> = None;
        for group in groups {
            let comm = self.replication.parameters(count(group))?;
            let gather = self.beside(stage, comm);
            let task = self.compute(stage, group, slot);
            self.timeline
                .engine
                .add_dependency(gather, task, SimDuration::ZERO);
            ends = Some(Ends {
                first: ends.map_or(task, |ends| ends.first),
                last: task,
            });
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// Last backward pass, with each bucket of gradients reduced behind the layers that made it.
    fn reduced_pass(
        &mut self,
        stage: u32,
        groups: &[LayerCost],
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let mut ends: Option<Ends> = None;
        for group in groups.iter().rev() {
            let task = self.compute(stage, group, slot);
            let comm = self.replication.gradients(count(group))?;
            let reduction = self.beside(stage, comm);
            self.timeline
                .engine
                .add_dependency(task, reduction, SimDuration::ZERO);
            self.reductions[stage as usize].push(reduction);
            ends = Some(Ends {
                first: ends.map_or(task, |ends| ends.first),
                last: task,
            });
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// A pass over fully sharded parameters: gather before each layer, reduce behind it, on one
    /// queue, where the gather of the next layer goes before the reduction of this one.
    fn sharded_pass(&mut self, stage: u32, place: usize, slot: Slot) -> Result<Ends, Infeasible> {
        let costs = self.costs;
        let mut groups =
            costs.stages[place].groups(costs.layout, costs.work, &costs.layers, MOST_GATHERS);
        let gathers = slot.pass != Pass::BackwardWeight;
        let reduces = matches!(slot.pass, Pass::Backward | Pass::BackwardWeight);
        if slot.pass != Pass::Forward {
            groups.reverse();
        }
        let mut ends: Option<Ends> = None;
        let mut next_gather = if gathers {
            Some(self.gather(stage, &groups[0])?)
        } else {
            None
        };
        for (index, group) in groups.iter().enumerate() {
            let task = self.compute(stage, group, slot);
            if let Some(gather) = next_gather.take() {
                self.timeline
                    .engine
                    .add_dependency(gather, task, SimDuration::ZERO);
            }
            self.recent[stage as usize].push(task);
            if gathers && index + 1 < groups.len() {
                next_gather = Some(self.gather(stage, &groups[index + 1])?);
            }
            if reduces {
                let comm = self.replication.gradients(count(group))?;
                let reduction = self.beside(stage, comm);
                self.timeline
                    .engine
                    .add_dependency(task, reduction, SimDuration::ZERO);
                self.reductions[stage as usize].push(reduction);
            }
            ends = Some(Ends {
                first: ends.map_or(task, |ends| ends.first),
                last: task,
            });
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// Gathers the parameters of a group once few enough gathers are ahead of compute.
    fn gather(&mut self, stage: u32, group: &LayerCost) -> Result<TaskId, Infeasible> {
        let comm = self.replication.parameters(count(group))?;
        let gather = self.beside(stage, comm);
        let done = &self.recent[stage as usize];
        if let Some(&before) = done
            .len()
            .checked_sub(GATHERS_IN_FLIGHT)
            .and_then(|at| done.get(at))
        {
            self.timeline
                .engine
                .add_dependency(before, gather, SimDuration::ZERO);
        }
        Ok(gather)
    }

    fn beside(&mut self, stage: u32, comm: ReplicaComm) -> TaskId {
        self.timeline
            .communication(stage, comm.time, comm.latency, comm.load)
    }

    fn compute(&mut self, stage: u32, layers: &LayerCost, slot: Slot) -> TaskId {
        let (cost, cause) = match slot.pass {
            Pass::Forward => (&layers.forward, Cause::Forward),
            Pass::Backward => (&layers.backward, Cause::Backward),
            Pass::BackwardInput => (&layers.backward_input, Cause::Backward),
            Pass::BackwardWeight => (&layers.backward_weight, Cause::Backward),
        };
        self.flops += cost.flops;
        self.traffic += cost;
        let mut parts = cost.parts;
        let last = slot.microbatch + 1 == self.costs.layout.microbatches;
        let share = if last { self.costs.last_share() } else { 1.0 };
        let factor = share * self.slowdown.get(stage as usize).copied().unwrap_or(1.0);
        if (factor - 1.0).abs() > 0.0 {
            parts.compute = parts.compute.scaled(factor);
            parts.recompute = parts.recompute.scaled(factor);
        }
        // A blocking receive synchronises the host with the device before the pass is issued.
        let synchronised = self.costs.layout.pp > 1 && !self.overlaps_sends();
        self.timeline
            .compute(stage, cause, parts, cost.issue, synchronised)
    }

    /// Lets every pass wait for the stage that feeds it.
    fn connect(&mut self) {
        let microbatches = self.costs.layout.microbatches as usize;
        let across = self.costs.layout.pp > 1;
        let lag = if across && self.overlaps_sends() {
            self.costs.sends.time
        } else {
            SimDuration::ZERO
        };
        let ends =
            |list: &[Option<Ends>], at: usize| list[at].expect("every schedule runs every pass");
        for place in 0..self.costs.stages.len() - 1 {
            for microbatch in 0..microbatches {
                let at = place * microbatches + microbatch;
                let next = at + microbatches;
                let (sent, received) = (ends(&self.forward, at), ends(&self.forward, next));
                self.timeline
                    .engine
                    .add_dependency(sent.last, received.first, lag);
                let (sent, received) = (ends(&self.backward, next), ends(&self.backward, at));
                self.timeline
                    .engine
                    .add_dependency(sent.last, received.first, lag);
            }
        }
    }

    /// What follows the passes: reductions that did not overlap, the norm, the optimizer, gathers
    /// that do not overlap, the host.
    fn close(&mut self) -> Result<(), Infeasible> {
        let Layout { pp, vpp, .. } = *self.costs.layout;
        let tied = self.replication.tied_embedding()?;
        let mut reduced = Vec::with_capacity(pp as usize);
        for stage in 0..pp {
            let held = self.parameters(stage, vpp);
            let mut exposed = SimDuration::ZERO;
            if self.reductions[stage as usize].is_empty() && self.replicated() {
                exposed += self.replication.gradients(held)?.time;
            }
            if stage == 0 || stage + 1 == pp {
                exposed += tied;
            }
            let done = self.exposed(stage, exposed);
            for reduction in std::mem::take(&mut self.reductions[stage as usize]) {
                self.timeline
                    .engine
                    .add_dependency(reduction, done, SimDuration::ZERO);
            }
            reduced.push(done);
        }
        let norm = self.replication.norm()?;
        for stage in 0..pp {
            let held = self.parameters(stage, vpp);
            let waits = self.exposed(stage, norm);
            for (other, &task) in reduced.iter().enumerate() {
                if other != stage as usize {
                    self.timeline
                        .engine
                        .add_dependency(task, waits, SimDuration::ZERO);
                }
            }
            self.update(stage, held)?;
        }
        Ok(())
    }

    /// The optimizer of one stage and what comes behind it.
    fn update(&mut self, stage: u32, held: ParameterCount) -> Result<(), Infeasible> {
        let stack = &self.costs.scenario.stack;
        let (kernels, launches) = self.replication.optimizer(held);
        let parts = TimeShares {
            optimizer: kernels,
            ..TimeShares::default()
        };
        let issue = stack.host.dispatch * u64::from(launches);
        self.timeline
            .compute(stage, Cause::Optimizer, parts, issue, true);
        let sharded = matches!(self.costs.layout.zero, ZeroStage::Z1 | ZeroStage::Z2);
        if sharded && !self.gathers_ahead() && self.replicated() {
            let gather = self.replication.parameters(held)?.time;
            self.exposed(stage, gather);
        }
        let parts = TimeShares {
            overhead: stack.host.step,
            ..TimeShares::default()
        };
        self.timeline
            .compute(stage, Cause::Host, parts, SimDuration::ZERO, false);
        Ok(())
    }

    /// Data-parallel communication that compute waits for.
    fn exposed(&mut self, stage: u32, time: SimDuration) -> TaskId {
        let parts = TimeShares {
            dp_comm: time,
            ..TimeShares::default()
        };
        self.timeline
            .compute(stage, Cause::Replication, parts, SimDuration::ZERO, false)
    }

    fn replicated(&self) -> bool {
        self.costs.scenario.gpus > self.costs.layout.tp * self.costs.layout.pp
    }

    /// Parameters on one rank of a stage, all chunks.
    fn parameters(&self, stage: u32, vpp: u32) -> ParameterCount {
        let mut held = ParameterCount::default();
        for chunk in 0..vpp {
            let one =
                self.costs.stages[(chunk * self.costs.layout.pp + stage) as usize].parameters();
            held.dense += one.dense;
            held.expert += one.expert;
        }
        held
    }

    fn finish(self) -> Step {
        let end = self.timeline.engine.run();
        let device = self.timeline.critical(end);
        assert!(
            device.shares.total() == end - SimTime::ZERO,
            "the parts of a step sum to the step"
        );
        let Layout { tp, cp, dp, pp, .. } = *self.costs.layout;
        // Traffic was added up over the stages: a GPU has its part of it.
        let stages = u64::from(pp);
        let mut traffic = self.traffic;
        traffic += &self.replication.traffic;
        traffic.sent_intra /= stages;
        traffic.sent_inter /= stages;
        traffic.comm_busy = SimDuration::from_picos(traffic.comm_busy.as_picos() / stages)
            + device.replication_busy;
        Step {
            device,
            hardware_flops: self.flops * f64::from(tp) * f64::from(cp) * f64::from(dp),
            traffic,
            algorithm: self.replication.algorithm,
            events: self.timeline.engine.events(),
        }
    }
}

fn count(layers: &LayerCost) -> ParameterCount {
    ParameterCount {
        dense: layers.dense,
        expert: layers.expert,
    }
}
