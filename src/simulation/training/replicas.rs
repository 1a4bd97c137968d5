//! The data-parallel part of a step: parameters gathered, gradients reduced, the optimizer.

use crate::des::TaskId;
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::player::{Ends, Player};
use crate::simulation::training::replication::{ParameterCount, ReplicaComm};
use crate::simulation::training::schedule::{Pass, Slot};
use crate::simulation::training::timeline::Cause;
use crate::simulation::{Infeasible, Layout, TimeShares};
use crate::stack::ZeroStage;
use crate::units::SimDuration;

/// Most pieces into which a pass is cut so that communication can run beside it.
const MOST_BUCKETS: usize = 12;
/// Most pieces into which a fully sharded pass is cut.
const MOST_GATHERS: usize = 64;
/// Gathers of sharded parameters that may be ahead of compute.
const GATHERS_IN_FLIGHT: usize = 2;

impl Player<'_, '_> {
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

    /// Whether parameters or gradients of a stage may be under way when a pass of it ends: those that
    /// are gathered for the first microbatch, those that its last one has made, and those of sharded
    /// passes all the time.
    pub(super) fn replicates_beside(&self, stage: u32, slot: Slot) -> bool {
        let gathered = slot.pass == Pass::Forward && slot.microbatch == 0 && self.gathers_ahead();
        gathered
            || !self.reductions[stage as usize].is_empty()
            || self.costs.layout.zero == ZeroStage::Z3
    }

    /// The tasks of one pass on the streams of its stage.
    pub(super) fn tasks(
        &mut self,
        stage: u32,
        place: usize,
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
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
            return Ok(self.compute(stage, &costs.stages[place].total, slot, SimDuration::ZERO));
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
            let tasks = self.compute(stage, group, slot, comm.time);
            self.timeline
                .engine
                .add_dependency(gather, tasks.first, SimDuration::ZERO);
            ends = Some(Ends::extended(ends, tasks));
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
            let comm = self.replication.gradients(count(group))?;
            // The bucket before this one is on its way while this one is computed.
            let beside = if ends.is_some() {
                comm.time
            } else {
                SimDuration::ZERO
            };
            let tasks = self.compute(stage, group, slot, beside);
            self.reduce(stage, comm, tasks.last);
            ends = Some(Ends::extended(ends, tasks));
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
            let mut beside = SimDuration::ZERO;
            if gathers {
                beside += self.replication.parameters(count(group))?.time;
            }
            if reduces {
                beside += self.replication.gradients(count(group))?.time;
            }
            let tasks = self.compute(stage, group, slot, beside);
            if let Some(gather) = next_gather.take() {
                self.timeline
                    .engine
                    .add_dependency(gather, tasks.first, SimDuration::ZERO);
            }
            self.recent[stage as usize].push(tasks.last);
            if gathers && index + 1 < groups.len() {
                next_gather = Some(self.gather(stage, &groups[index + 1])?);
            }
            if reduces {
                let comm = self.replication.gradients(count(group))?;
                self.reduce(stage, comm, tasks.last);
            }
            ends = Some(Ends::extended(ends, tasks));
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

    /// Reduces the gradients that a task made, beside what comes after it.
    fn reduce(&mut self, stage: u32, comm: ReplicaComm, made_by: TaskId) {
        self.algorithm = comm.algorithm;
        let reduction = self.beside(stage, comm);
        self.timeline
            .engine
            .add_dependency(made_by, reduction, SimDuration::ZERO);
        self.reductions[stage as usize].push(reduction);
    }

    fn beside(&mut self, stage: u32, comm: ReplicaComm) -> TaskId {
        self.traffic += &comm.traffic;
        self.timeline
            .communication(stage, comm.time, comm.latency, comm.load)
    }

    /// What follows the passes: reductions that did not overlap, the norm, the optimizer, gathers
    /// that do not overlap, the host.
    ///
    /// # Errors
    /// If a communication that was asked for cannot run.
    pub(super) fn close(&mut self) -> Result<(), Infeasible> {
        let Layout { pp, vpp, .. } = *self.costs.layout;
        let tied = self.replication.tied_embedding()?;
        let mut reduced = Vec::with_capacity(pp as usize);
        for stage in 0..pp {
            let held = self.parameters(stage, vpp);
            let mut exposed = ReplicaComm::default();
            if self.reductions[stage as usize].is_empty() && self.replicated() {
                exposed = self.replication.gradients(held)?;
                self.algorithm = exposed.algorithm;
            }
            if stage == 0 || stage + 1 == pp {
                exposed.time += tied;
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
            let waits = self.exposed(
                stage,
                ReplicaComm {
                    time: norm,
                    ..ReplicaComm::default()
                },
            );
            for (other, &task) in reduced.iter().enumerate() {
                if other != stage as usize && self.waits_for_stages() {
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
            let gather = self.replication.parameters(held)?;
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
    fn exposed(&mut self, stage: u32, comm: ReplicaComm) -> TaskId {
        self.traffic += &comm.traffic;
        let parts = TimeShares {
            dp_comm: comm.time,
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
}

fn count(layers: &LayerCost) -> ParameterCount {
    ParameterCount {
        dense: layers.dense,
        expert: layers.expert,
    }
}
