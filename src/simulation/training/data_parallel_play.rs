//! The data-parallel tasks of a step: gathering parameters, reducing gradients, the optimizer.

use crate::des::TaskId;
use crate::model::ShardParameters;
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::memory::model_state::gathers;
use crate::simulation::training::parameters::shards_gradients;
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::play::Player;
use crate::simulation::training::schedule::{Pass, Slot};
use crate::simulation::training::timeline::{Ends, SliceKind};
use crate::simulation::{Infeasible, StepPart, TimeShares};
use crate::stack::ZeroStage;
use crate::units::SimDuration;

/// Most tasks into which a pass is cut so that communication overlaps with it.
const MOST_BUCKETS: usize = 12;
/// Most tasks into which a fully sharded pass is cut.
const MOST_GATHERS: usize = 64;
/// Gathers of sharded parameters that may be in flight ahead of compute.
const GATHERS_IN_FLIGHT: usize = 2;

/// Data-parallel communication of one pass.
#[derive(Clone, Copy)]
struct Replicates {
    /// Whether parameters are gathered for it.
    gathers: bool,
    /// Whether the gradients that it makes are reduced.
    reduces: bool,
}

impl Player<'_, '_> {
    /// Whether a sharded optimizer's parameters are gathered behind the next step's first forward pass.
    fn gathers_ahead(&self) -> bool {
        self.shards_optimizer() && self.costs.overlap.parameters
    }

    fn shards_optimizer(&self) -> bool {
        matches!(self.costs.layout.zero, ZeroStage::Z1 | ZeroStage::Z2)
    }

    /// Whether the gradients of every microbatch are reduced, not only their sum.
    fn reduces_each(&self) -> bool {
        shards_gradients(self.costs.scenario, self.costs.layout)
    }

    /// Whether parameters are gathered for the forward pass of every microbatch and kept until its backward pass.
    fn gathers_each(&self) -> bool {
        self.costs.layout.zero == ZeroStage::Z2 && gathers(self.costs.scenario)
    }

    /// Whether gathers or reductions of a stage may be in flight when one of its passes ends: gathers at the first
    /// microbatch, reductions at the last, both all the time when parameters are sharded (ZeRO-3).
    pub(super) fn replicates_meanwhile(&self, stage: u32, slot: Slot) -> bool {
        self.gathers_for(slot)
            || !self.reductions[stage as usize].is_empty()
            || self.costs.layout.zero == ZeroStage::Z3
    }

    /// Whether parameters are gathered behind a pass, where passes do not gather their own.
    fn gathers_for(&self, slot: Slot) -> bool {
        let first = slot.microbatch == 0 || self.gathers_each();
        slot.pass == Pass::Forward && first && self.gathers_ahead()
    }

    /// Schedules what a pass waits for where nothing overlaps: the gathering of the parameters of its chunk.
    ///
    /// # Errors
    /// If no algorithm can run on this network.
    pub(super) fn gather_exposed(
        &mut self,
        stage: u32,
        virtual_stage: usize,
        slot: Slot,
    ) -> Result<(), Infeasible> {
        let gathers = slot.pass == Pass::Forward && self.gathers_each();
        if gathers && !self.costs.overlap.parameters {
            let held = self.costs.stages[virtual_stage].parameters();
            let gather = self.replicas.parameters(held)?;
            self.exposed(stage, gather);
        }
        Ok(())
    }

    /// Schedules the reduction of a microbatch's gradients behind their pass, where they are reduced each time and
    /// nothing overlaps.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn reduce_exposed(
        &mut self,
        stage: u32,
        virtual_stage: usize,
        slot: Slot,
    ) -> Result<(), Infeasible> {
        let overlaps = self.costs.overlap.gradients || self.costs.layout.zero == ZeroStage::Z3;
        let makes_gradients = matches!(slot.pass, Pass::Backward | Pass::BackwardWeight);
        if makes_gradients && self.reduces_each() && !overlaps {
            let held = self.costs.stages[virtual_stage].parameters();
            let reduction = self.replicas.gradients(held)?;
            self.carried_by(&reduction);
            self.exposed(stage, reduction);
        }
        Ok(())
    }

    /// Schedules one pass on the streams of its stage.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn tasks(
        &mut self,
        stage: u32,
        virtual_stage: usize,
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let costs = self.costs;
        let layers = &costs.stages[virtual_stage];
        let makes_gradients = matches!(slot.pass, Pass::Backward | Pass::BackwardWeight);
        let sharded = costs.layout.zero == ZeroStage::Z3;
        let (gathers, reduces) = if sharded {
            (slot.pass != Pass::BackwardWeight, makes_gradients)
        } else {
            let last = slot.microbatch + 1 == costs.layout.microbatches;
            let reduces = makes_gradients && (last || self.reduces_each());
            (self.gathers_for(slot), reduces && costs.overlap.gradients)
        };
        if !gathers && !reduces {
            return Ok(self.compute(stage, &layers.total, slot, SimDuration::ZERO));
        }
        let most = if sharded {
            MOST_GATHERS
        } else {
            let held = layers.parameters();
            let bucket = costs.overlap.bucket.get().max(1);
            let buckets = ((held.dense + held.expert) * 4).div_ceil(bucket);
            (buckets as usize).clamp(1, MOST_BUCKETS)
        };
        let mut groups = layers.groups(costs.layout, costs.work, &costs.layers, most);
        if slot.pass != Pass::Forward {
            groups.reverse();
        }
        self.grouped_pass(stage, &groups, slot, Replicates { gathers, reduces })
    }

    /// Schedules a pass in groups of layers, on one communication queue: each group behind the gathering of its
    /// parameters, the reduction of its gradients behind it, and the gathering of the next group before that.
    fn grouped_pass(
        &mut self,
        stage: u32,
        groups: &[LayerCost],
        slot: Slot,
        Replicates { gathers, reduces }: Replicates,
    ) -> Result<Ends, Infeasible> {
        let sharded = self.costs.layout.zero == ZeroStage::Z3;
        let mut next_gather = None;
        if gathers {
            next_gather = Some(self.gather(stage, &groups[0])?);
        }
        let mut ends: Option<Ends> = None;
        for (index, group) in groups.iter().enumerate() {
            let mut overlapped = SimDuration::ZERO;
            if gathers {
                overlapped += self.replicas.parameters(group.parameters)?.time;
            }
            // Behind the first bucket of whole gradients none is in flight yet.
            if reduces && (sharded || index > 0) {
                overlapped += self.replicas.gradients(group.parameters)?.time;
            }
            let tasks = self.compute(stage, group, slot, overlapped);
            if let Some(gather) = next_gather.take() {
                self.timeline.follow(gather, tasks.first);
            }
            if sharded {
                self.recent[stage as usize].push(tasks.last);
            }
            if gathers && index + 1 < groups.len() {
                next_gather = Some(self.gather(stage, &groups[index + 1])?);
            }
            if reduces {
                let comm = self.replicas.gradients(group.parameters)?;
                self.reduce(stage, comm, tasks.last);
            }
            ends = Some(Ends::extended(ends, tasks));
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// Schedules the gathering of a group's parameters, once few enough gathers are in flight.
    fn gather(&mut self, stage: u32, group: &LayerCost) -> Result<TaskId, Infeasible> {
        let comm = self.replicas.parameters(group.parameters)?;
        let gather = self.overlapped(stage, comm);
        // No pass but sharded ones is listed, so that no other gather waits.
        let done = &self.recent[stage as usize];
        if done.len() >= GATHERS_IN_FLIGHT {
            let before = done[done.len() - GATHERS_IN_FLIGHT];
            self.timeline.follow(before, gather);
        }
        Ok(gather)
    }

    /// Schedules the gradient reduction of a task, overlapped with later work.
    fn reduce(&mut self, stage: u32, comm: CommCost, made_by: TaskId) {
        self.carried_by(&comm);
        let reduction = self.overlapped(stage, comm);
        self.timeline.follow(made_by, reduction);
        self.reductions[stage as usize].push(reduction);
    }

    fn overlapped(&mut self, stage: u32, comm: CommCost) -> TaskId {
        self.traffic += &comm.traffic;
        self.timeline
            .communication(stage, comm.time, comm.latency, comm.load)
    }

    /// Schedules what follows the passes: reductions that did not overlap, the norm, the optimizer, gathers
    /// that do not overlap, the host.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn close(&mut self) -> Result<(), Infeasible> {
        let pp = self.costs.layout.pp;
        let tied = self.replicas.tied_embedding()?;
        let mut reduced = Vec::with_capacity(pp as usize);
        for stage in 0..pp {
            let held = self.parameters(stage);
            let mut exposed = CommCost::default();
            if self.reductions[stage as usize].is_empty() && !self.reduces_each() {
                exposed = self.replicas.gradients(held)?;
                self.carried_by(&exposed);
            }
            let partial = self.replicas.partial(held)?;
            let ends = stage == 0 || stage + 1 == pp;
            for sum in [Some(partial), ends.then_some(tied)].into_iter().flatten() {
                exposed.time += sum.time;
                exposed.traffic += &sum.traffic;
            }
            let done = self.exposed(stage, exposed);
            for reduction in std::mem::take(&mut self.reductions[stage as usize]) {
                self.timeline.follow(reduction, done);
            }
            reduced.push(done);
        }
        let norm = self.replicas.norm()?;
        for stage in 0..pp {
            let held = self.parameters(stage);
            let waits = self.exposed(stage, norm);
            for (other, &task) in reduced.iter().enumerate() {
                if other != stage as usize && self.waits_for_stages() {
                    self.timeline.follow(task, waits);
                }
            }
            self.update(stage, held)?;
        }
        Ok(())
    }

    /// Schedules the optimizer of one stage, gathers that do not overlap, and the host.
    fn update(&mut self, stage: u32, held: ShardParameters) -> Result<(), Infeasible> {
        let host = self.costs.scenario.host();
        let (kernels, launches) = self.replicas.optimizer(held);
        let parts = TimeShares::from([(StepPart::Optimizer, kernels)]);
        let issue = host.dispatch * u64::from(launches);
        self.timeline
            .compute(stage, SliceKind::Optimizer, parts, issue, true);
        if self.shards_optimizer() && !self.costs.overlap.parameters && !self.gathers_each() {
            let gather = self.replicas.parameters(held)?;
            self.exposed(stage, gather);
        }
        let parts = TimeShares::from([(StepPart::Overhead, host.step)]);
        self.timeline.wait(stage, SliceKind::Host, parts);
        Ok(())
    }

    /// Schedules data-parallel communication that compute waits for.
    fn exposed(&mut self, stage: u32, comm: CommCost) -> TaskId {
        self.traffic += &comm.traffic;
        let parts = TimeShares::from([(StepPart::DpComm, comm.time)]);
        self.timeline.wait(stage, SliceKind::Replication, parts)
    }

    /// Takes note of the algorithm of a gradient reduction; one of a rank alone has none.
    fn carried_by(&mut self, reduction: &CommCost) {
        self.algorithm = reduction.algorithm.or(self.algorithm);
    }

    /// Parameters on one rank of a stage, all chunks.
    fn parameters(&self, stage: u32) -> ShardParameters {
        let mut held = ShardParameters::default();
        for chunk in self.costs.chunks(stage) {
            held += chunk.parameters();
        }
        held
    }
}
