//! The data-parallel tasks of a step: gathering parameters, reducing gradients, the optimizer.

use crate::des::TaskId;
use crate::model::ShardParameters;
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_cost::Gathers;
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::memory::model_state::gathers;
use crate::simulation::training::parameters::shards_gradients;
use crate::simulation::training::passes::LayerCost;
use crate::simulation::training::pipeline::VirtualStage;
use crate::simulation::training::play::{Player, PricedBucket};
use crate::simulation::training::schedule::{Pass, Slot};
use crate::simulation::training::timeline::{Ends, SliceKind};
use crate::simulation::{Infeasible, StepPart, TimeShares};
use crate::stack::ZeroStage;
use crate::units::SimDuration;

/// Most tasks into which a pass is cut so that communication overlaps with it.
const MOST_BUCKETS: usize = 12;
/// Most tasks into which a fully sharded pass is cut.
pub(super) const MOST_GATHERS: usize = 64;
/// Gathers of sharded parameters that may be in flight ahead of compute.
pub(super) const GATHERS_IN_FLIGHT: usize = 2;

/// Data-parallel communication of one pass.
#[derive(Clone, Copy)]
pub(super) struct Replicates {
    /// Whether parameters are gathered for it.
    pub(super) gathers: bool,
    /// Whether the gradients that it makes are reduced.
    pub(super) reduces: bool,
}

impl StepCosts<'_> {
    /// Whether a sharded optimizer's parameters are gathered behind the next step's first forward pass.
    fn gathers_ahead(&self) -> bool {
        self.shards_optimizer() && self.overlap.parameters
    }

    pub(super) fn shards_optimizer(&self) -> bool {
        matches!(self.layout.zero, ZeroStage::Z1 | ZeroStage::Z2)
    }

    /// Whether the gradients of every microbatch are reduced, not only their sum.
    pub(super) fn reduces_each(&self) -> bool {
        shards_gradients(self.scenario, self.layout)
    }

    /// Whether parameters are gathered for the forward pass of every microbatch and kept until its backward pass.
    pub(super) fn gathers_each(&self) -> bool {
        self.layout.zero == ZeroStage::Z2 && gathers(self.scenario)
    }

    /// Whether parameters are gathered behind a pass, where passes do not gather their own.
    fn gathers_for(&self, slot: Slot) -> bool {
        let first = slot.microbatch == 0 || self.gathers_each();
        slot.pass == Pass::Forward && first && self.gathers_ahead()
    }

    /// Whether a pass waits for the gathering of its chunk's parameters, where nothing overlaps.
    pub(super) fn waits_for_gather(&self, slot: Slot) -> bool {
        slot.pass == Pass::Forward && self.gathers_each() && !self.overlap.parameters
    }

    /// Whether the reduction of a microbatch's gradients is waited for behind their pass: they are reduced each time,
    /// and nothing overlaps.
    pub(super) fn waits_for_reduction(&self, slot: Slot) -> bool {
        let overlaps = self.overlap.gradients || self.layout.zero == ZeroStage::Z3;
        let makes_gradients = matches!(slot.pass, Pass::Backward | Pass::BackwardWeight);
        makes_gradients && self.reduces_each() && !overlaps
    }

    /// Whether gathers and reductions of sharded parameters are waited for group by group, as the spec asks for.
    fn waits_for_shards(&self) -> bool {
        let asked = self.scenario.communication.overlap_dp;
        self.layout.zero == ZeroStage::Z3 && asked == Some(false)
    }

    /// Data-parallel communication that overlaps with a pass.
    pub(super) fn replicates(&self, slot: Slot) -> Replicates {
        let makes_gradients = matches!(slot.pass, Pass::Backward | Pass::BackwardWeight);
        if self.layout.zero == ZeroStage::Z3 {
            return Replicates {
                gathers: slot.pass != Pass::BackwardWeight,
                reduces: makes_gradients,
            };
        }
        let last = slot.microbatch + 1 == self.microbatches;
        let reduces = makes_gradients && (last || self.reduces_each());
        Replicates {
            gathers: self.gathers_for(slot),
            reduces: reduces && self.overlap.gradients,
        }
    }

    /// Layers of a virtual stage in the groups that are gathered and reduced together, front to back.
    pub(super) fn buckets(&self, layers: &VirtualStage) -> Vec<LayerCost> {
        let most = if self.layout.zero == ZeroStage::Z3 {
            MOST_GATHERS
        } else {
            let held = layers.parameters().trained();
            let bucket = self.overlap.bucket.get().max(1);
            let buckets = ((held.dense + held.expert) * 4).div_ceil(bucket);
            (buckets as usize).clamp(1, MOST_BUCKETS)
        };
        layers.groups(self.layout, self.work, most)
    }
}

impl Player<'_, '_> {
    /// Whether gathers or reductions of a stage may be in flight when one of its passes ends: gathers at the first
    /// microbatch, reductions at the last, both all the time when parameters are sharded (ZeRO-3).
    pub(super) fn replicates_meanwhile(&self, stage: u32, slot: Slot) -> bool {
        self.costs.gathers_for(slot)
            || !self.reductions[stage as usize].is_empty()
            || self.costs.layout.zero == ZeroStage::Z3
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
        if self.costs.waits_for_gather(slot) {
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
        if self.costs.waits_for_reduction(slot) {
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
        let replicates = costs.replicates(slot);
        if !replicates.gathers && !replicates.reduces {
            return Ok(self.compute(stage, (virtual_stage, None), slot, SimDuration::ZERO));
        }
        self.price_buckets(virtual_stage)?;
        let buckets = self.buckets[virtual_stage]
            .clone()
            .expect("they were priced");
        Ok(self.grouped_pass(stage, (virtual_stage, &buckets), slot, replicates))
    }

    /// Layers of a virtual stage that are gathered and reduced together.
    ///
    /// # Panics
    /// If they were not priced.
    pub(super) fn bucket(&self, virtual_stage: usize, bucket: u32) -> &PricedBucket {
        let buckets = self.buckets[virtual_stage]
            .as_ref()
            .expect("they were priced");
        &buckets[bucket as usize]
    }

    /// Prices the buckets of a virtual stage.
    fn price_buckets(&mut self, virtual_stage: usize) -> Result<(), Infeasible> {
        if self.buckets[virtual_stage].is_some() {
            return Ok(());
        }
        let stage = &self.costs.stages[virtual_stage];
        if let Some(known) = stage.like.and_then(|like| self.buckets[like].clone()) {
            self.buckets[virtual_stage] = Some(known);
            return Ok(());
        }
        let mut buckets = Vec::new();
        for layers in self.costs.buckets(stage) {
            let gathers = if self.costs.layout.zero == ZeroStage::Z0 {
                Gathers::default()
            } else {
                self.replicas.gathers(layers.parameters)?
            };
            let reduction = self.replicas.gradients(layers.parameters)?;
            buckets.push(PricedBucket {
                layers,
                gathers,
                reduction,
            });
        }
        self.buckets[virtual_stage] = Some(buckets.into());
        Ok(())
    }

    /// Schedules a pass in groups of layers, on one communication queue: each group behind the gathering of its
    /// parameters, the reduction of its gradients behind it, and the gathering of the next group before that; where nothing
    /// overlaps, the next group behind the reduction.
    fn grouped_pass(
        &mut self,
        stage: u32,
        (virtual_stage, buckets): (usize, &[PricedBucket]),
        slot: Slot,
        Replicates { gathers, reduces }: Replicates,
    ) -> Ends {
        let sharded = self.costs.layout.zero == ZeroStage::Z3;
        let waits = self.costs.waits_for_shards();
        let count = buckets.len();
        let in_order = |index: usize| match slot.pass {
            Pass::Forward => index,
            Pass::Backward | Pass::BackwardInput | Pass::BackwardWeight => count - 1 - index,
        };
        let mut next_gather = None;
        if gathers {
            next_gather = Some(self.gather(stage, buckets[in_order(0)].gathers.of(slot.pass)));
        }
        let mut ends: Option<Ends> = None;
        for index in 0..count {
            let at = in_order(index);
            let reduction = buckets[at].reduction;
            let mut overlapped = SimDuration::ZERO;
            if gathers && !waits {
                overlapped += buckets[at].gathers.of(slot.pass).time;
            }
            // Behind the first bucket of whole gradients none is in flight yet.
            if reduces && !waits && (sharded || index > 0) {
                overlapped += reduction.time;
            }
            let tasks = self.compute(stage, (virtual_stage, Some(at as u32)), slot, overlapped);
            if let Some(gather) = next_gather.take() {
                self.timeline.follow(gather, tasks.first);
            }
            if waits && let Some(&before) = self.reductions[stage as usize].last() {
                self.timeline.follow(before, tasks.first);
            }
            if sharded {
                self.recent[stage as usize].push(tasks.last);
            }
            if reduces && waits {
                self.reduce(stage, reduction, tasks.last);
            }
            if gathers && index + 1 < count {
                let next = buckets[in_order(index + 1)].gathers.of(slot.pass);
                next_gather = Some(self.gather(stage, next));
            }
            if reduces && !waits {
                self.reduce(stage, reduction, tasks.last);
            }
            ends = Some(Ends::extended(ends, tasks));
        }
        ends.expect("a pass has at least one group")
    }

    /// Schedules the gathering of a group's parameters, once few enough gathers are in flight.
    fn gather(&mut self, stage: u32, comm: CommCost) -> TaskId {
        let gather = self.overlapped(stage, comm);
        // No pass but sharded ones is listed, so that no other gather waits.
        let done = &self.recent[stage as usize];
        let in_flight = if self.costs.waits_for_shards() {
            1
        } else {
            GATHERS_IN_FLIGHT
        };
        if done.len() >= in_flight {
            let before = done[done.len() - in_flight];
            self.timeline.follow(before, gather);
        }
        gather
    }

    /// Schedules the gradient reduction of a task, overlapped with later work.
    fn reduce(&mut self, stage: u32, comm: CommCost, made_by: TaskId) {
        self.carried_by(&comm);
        let reduction = self.overlapped(stage, comm);
        self.timeline.follow(made_by, reduction);
        self.reductions[stage as usize].push(reduction);
    }

    fn overlapped(&mut self, stage: u32, comm: CommCost) -> TaskId {
        self.sums.traffic += &comm.traffic;
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
            if self.reductions[stage as usize].is_empty() && !self.costs.reduces_each() {
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
            self.update(stage, held, waits)?;
        }
        Ok(())
    }

    /// Schedules the optimizer of one stage, for which the host calls once it has read the norm, gathers that do not
    /// overlap, and the host's work between steps.
    fn update(
        &mut self,
        stage: u32,
        held: ShardParameters,
        norm: TaskId,
    ) -> Result<(), Infeasible> {
        let kernels = self.replicas.optimizer(held);
        let parts = TimeShares::from([(StepPart::Optimizer, kernels)]);
        let issue = self.replicas.optimizer_calls(held);
        let step = self
            .timeline
            .compute(stage, SliceKind::Optimizer, parts, issue, true);
        self.timeline.follow(norm, step);
        if self.costs.shards_optimizer()
            && !self.costs.overlap.parameters
            && !self.costs.gathers_each()
        {
            let gather = self.replicas.parameters(held)?;
            self.exposed(stage, gather);
        }
        let host = HostCosts::of(self.costs.scenario, self.costs.layout);
        let between =
            host.between_steps() + host.between_microbatches(self.costs.layout.microbatches);
        let parts = TimeShares::from([(StepPart::Overhead, between)]);
        self.timeline.wait(stage, SliceKind::Host, parts);
        Ok(())
    }

    /// Schedules data-parallel communication that compute waits for.
    fn exposed(&mut self, stage: u32, comm: CommCost) -> TaskId {
        self.sums.traffic += &comm.traffic;
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
