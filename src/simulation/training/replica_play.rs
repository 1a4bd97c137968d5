//! The data-parallel tasks of a step: gathering parameters, reducing gradients, the optimizer.

use crate::des::TaskId;
use crate::model::ShardParameters;
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::play::Player;
use crate::simulation::training::schedule::{Pass, Slot};
use crate::simulation::training::timeline::{Ends, SliceKind};
use crate::simulation::{Infeasible, Layout, StepPart, TimeShares};
use crate::stack::ZeroStage;
use crate::units::SimDuration;

/// Most tasks into which a pass is cut so that communication overlaps with it.
const MOST_BUCKETS: usize = 12;
/// Most tasks into which a fully sharded pass is cut.
const MOST_GATHERS: usize = 64;
/// Gathers of sharded parameters that may be in flight ahead of compute.
const GATHERS_IN_FLIGHT: usize = 2;

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
    pub(super) fn tasks(
        &mut self,
        stage: u32,
        virtual_stage: usize,
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let costs = self.costs;
        let layout = costs.layout;
        if layout.zero == ZeroStage::Z3 {
            return self.sharded_pass(stage, virtual_stage, slot);
        }
        let last = slot.microbatch + 1 == layout.microbatches;
        let reduces = match slot.pass {
            Pass::Backward | Pass::BackwardWeight => last && self.costs.overlap.gradients,
            Pass::Forward | Pass::BackwardInput => false,
        };
        let gathers = slot.pass == Pass::Forward && slot.microbatch == 0 && self.gathers_ahead();
        if !reduces && !gathers {
            let layers = &costs.stages[virtual_stage].total;
            return Ok(self.compute(stage, layers, slot, SimDuration::ZERO));
        }
        let bucket = costs.overlap.bucket.get().max(1);
        let held = costs.stages[virtual_stage].parameters();
        let bytes = (held.dense + held.expert) * 4;
        let buckets = (bytes.div_ceil(bucket) as usize).clamp(1, MOST_BUCKETS);
        let groups = costs.stages[virtual_stage].groups(layout, costs.work, &costs.layers, buckets);
        if gathers {
            self.gathered_pass(stage, &groups, slot)
        } else {
            self.reduced_pass(stage, &groups, slot)
        }
    }

    /// Schedules the first forward pass of a step, behind the gathering of the parameters that the step
    /// before updated.
    fn gathered_pass(
        &mut self,
        stage: u32,
        groups: &[LayerCost],
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let mut ends: Option<Ends> = None;
        for group in groups {
            let comm = self.replicas.parameters(group.parameters)?;
            let gather = self.overlapped(stage, comm);
            let tasks = self.compute(stage, group, slot, comm.time);
            self.timeline.follow(gather, tasks.first);
            ends = Some(Ends::extended(ends, tasks));
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// Schedules the last backward pass, with each bucket of gradients reduced behind the layers that made it.
    fn reduced_pass(
        &mut self,
        stage: u32,
        groups: &[LayerCost],
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let mut ends: Option<Ends> = None;
        for group in groups.iter().rev() {
            let comm = self.replicas.gradients(group.parameters)?;
            // The bucket before this one is on its way while this one is computed.
            let overlapped = if ends.is_some() {
                comm.time
            } else {
                SimDuration::ZERO
            };
            let tasks = self.compute(stage, group, slot, overlapped);
            self.reduce(stage, comm, tasks.last);
            ends = Some(Ends::extended(ends, tasks));
        }
        Ok(ends.expect("a pass has at least one group"))
    }

    /// Schedules a pass over fully sharded parameters: gather before each layer, reduce behind it, on one
    /// queue, where the gather of the next layer goes before the reduction of this one.
    fn sharded_pass(
        &mut self,
        stage: u32,
        virtual_stage: usize,
        slot: Slot,
    ) -> Result<Ends, Infeasible> {
        let costs = self.costs;
        let mut groups = costs.stages[virtual_stage].groups(
            costs.layout,
            costs.work,
            &costs.layers,
            MOST_GATHERS,
        );
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
            let mut overlapped = SimDuration::ZERO;
            if gathers {
                overlapped += self.replicas.parameters(group.parameters)?.time;
            }
            if reduces {
                overlapped += self.replicas.gradients(group.parameters)?.time;
            }
            let tasks = self.compute(stage, group, slot, overlapped);
            if let Some(gather) = next_gather.take() {
                self.timeline.follow(gather, tasks.first);
            }
            self.recent[stage as usize].push(tasks.last);
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
        let done = &self.recent[stage as usize];
        if let Some(&before) = done
            .len()
            .checked_sub(GATHERS_IN_FLIGHT)
            .and_then(|at| done.get(at))
        {
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
        let Layout { pp, vpp, .. } = *self.costs.layout;
        let tied = self.replicas.tied_embedding()?;
        let mut reduced = Vec::with_capacity(pp as usize);
        for stage in 0..pp {
            let held = self.parameters(stage, vpp);
            let mut exposed = CommCost::default();
            if self.reductions[stage as usize].is_empty() && self.replicated() {
                exposed = self.replicas.gradients(held)?;
                self.algorithm = exposed.algorithm;
            }
            if stage == 0 || stage + 1 == pp {
                exposed.time += tied;
            }
            let done = self.exposed(stage, exposed);
            for reduction in std::mem::take(&mut self.reductions[stage as usize]) {
                self.timeline.follow(reduction, done);
            }
            reduced.push(done);
        }
        let norm = self.replicas.norm()?;
        for stage in 0..pp {
            let held = self.parameters(stage, vpp);
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
    fn parameters(&self, stage: u32, vpp: u32) -> ShardParameters {
        let mut held = ShardParameters::default();
        for chunk in 0..vpp {
            held += self.costs.stages[(chunk * self.costs.layout.pp + stage) as usize].parameters();
        }
        held
    }
}
