//! The data-parallel tasks of a step: gathering parameters, reducing gradients, the optimizer.

use crate::des::TaskId;
use crate::model::ShardParameters;
use crate::simulation::training::comm_cost::CommCost;
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

    /// Whether gathers or reductions of a stage may be in flight when one of its passes ends: gathers at the first
    /// microbatch, reductions at the last, both all the time when parameters are sharded (ZeRO-3).
    pub(super) fn replicates_meanwhile(&self, stage: u32, slot: Slot) -> bool {
        let gathered = slot.pass == Pass::Forward && slot.microbatch == 0 && self.gathers_ahead();
        gathered
            || !self.reductions[stage as usize].is_empty()
            || self.costs.layout.zero == ZeroStage::Z3
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
            let first = slot.pass == Pass::Forward && slot.microbatch == 0;
            let last = makes_gradients && slot.microbatch + 1 == costs.layout.microbatches;
            (
                first && self.gathers_ahead(),
                last && costs.overlap.gradients,
            )
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
        self.algorithm = comm.algorithm;
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
            if self.reductions[stage as usize].is_empty() && self.replicated() {
                exposed = self.replicas.gradients(held)?;
                self.algorithm = exposed.algorithm;
            }
            if stage == 0 || stage + 1 == pp {
                exposed.time += tied.time;
                exposed.traffic += &tied.traffic;
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
        if self.shards_optimizer() && !self.costs.overlap.parameters && self.replicated() {
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

    fn replicated(&self) -> bool {
        self.costs.scenario.gpus > self.costs.layout.tp * self.costs.layout.pp
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
