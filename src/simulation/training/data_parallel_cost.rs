//! Costs of data parallelism: reducing gradients, gathering parameters, the optimizer's kernels.

use crate::collective::{Algorithm, CollectiveCost, CollectiveOp, GroupPattern};
use crate::model::ShardParameters;
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::optimizer;
use crate::simulation::training::parameters::{
    Copies, Replicas, Sharded, adds_behind_pass, gathered_bytes,
};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::Pass;
use crate::simulation::{Infeasible, Layout, StepPart, TrainingScenario};
use crate::stack::{GradientPrecision, ZeroStage};
use crate::units::{Bytes, SimDuration};

/// Operation that reduces the gradients of a layout.
pub(super) fn reduction(scenario: &TrainingScenario, layout: &Layout) -> CollectiveOp {
    if adds_behind_pass(scenario, layout) {
        return CollectiveOp::AllReduce;
    }
    match layout.zero {
        ZeroStage::Z0 => CollectiveOp::AllReduce,
        ZeroStage::Z1 | ZeroStage::Z2 | ZeroStage::Z3 => CollectiveOp::ReduceScatter,
    }
}

/// Checks that parameters which are sharded have replicas, and that a requested custom schedule fits the gradient
/// reduction of a layout.
///
/// # Errors
/// If there is one replica, or the schedule carries another operation than this ZeRO stage takes or is made for
/// another number of ranks.
pub(super) fn check_schedule(
    scenario: &TrainingScenario,
    layout: &Layout,
) -> Result<(), Infeasible> {
    if layout.zero == ZeroStage::Z3 && !Replicas::of(scenario, layout).any() {
        return Err(Infeasible::Limit(format!(
            "zero 3 shards over replicas, the layout has dp {} × cp {}",
            layout.dp, layout.cp
        )));
    }
    let asked = scenario.communication.collective.as_ref();
    let Some(own) = asked.and_then(Algorithm::custom) else {
        return Ok(());
    };
    let (name, schedule) = (&own.name, &own.schedule);
    let op = reduction(scenario, layout);
    let [dense, _] = Copies::of(scenario, layout);
    let ranks = dense.within.size;
    let sentence = if schedule.op() != Some(op) {
        format!(
            "collective `{name}` carries {}, ZeRO stage {} reduces gradients by {op}",
            schedule.op_name(),
            layout.zero
        )
    } else if schedule.ranks() != ranks {
        format!(
            "collective `{name}` is made for {} ranks, gradients are reduced over {ranks} (dp {} × cp {}{})",
            schedule.ranks(),
            layout.dp,
            layout.cp,
            match layout.shard_sets() {
                1 => String::new(),
                _ => format!(", zero_group {}", layout.zero_group),
            }
        )
    } else {
        return Ok(());
    };
    Err(Infeasible::Unsupported(sentence))
}

/// Prices of a layout's data-parallel communication.
pub(super) struct ReplicaCosts<'a> {
    pub(super) scenario: &'a TrainingScenario,
    pub(super) layout: &'a Layout,
    pub(super) pricing: &'a mut Pricing,
}

/// What is gathered of a bucket's parameters for the forward pass, and for the backward pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathers<T> {
    forward: T,
    backward: T,
}

impl<T: Copy> Gathers<T> {
    /// That for a pass.
    pub(super) fn of(&self, pass: Pass) -> T {
        if pass == Pass::Forward {
            self.forward
        } else {
            self.backward
        }
    }

    /// Another measure of the same.
    pub(super) fn map<U>(self, measure: impl Fn(T) -> U) -> Gathers<U> {
        Gathers {
            forward: measure(self.forward),
            backward: measure(self.backward),
        }
    }
}

impl ReplicaCosts<'_> {
    /// Cost of reducing gradients: all-reduce, or mostly reduce-scatter where the optimizer is sharded. Hybrid sharding
    /// reduce-scatters inside each group and all-reduces the shards across, on the same queue (arXiv 2304.11277,
    /// section 3.2.2; `_reduce_grad` in torch/distributed/fsdp/_runtime_utils.py).
    ///
    /// # Errors
    /// If the requested algorithm cannot run on this network.
    pub(super) fn gradients(&mut self, count: ShardParameters) -> Result<CommCost, Infeasible> {
        let bytes = self.gradient_bytes();
        let op = reduction(self.scenario, self.layout);
        self.both(op, count.trained(), bytes)
    }

    /// Cost of gathering updated parameters.
    ///
    /// # Errors
    /// If no algorithm can run on this network.
    pub(super) fn parameters(&mut self, count: ShardParameters) -> Result<CommCost, Infeasible> {
        let bytes = gathered_bytes(self.scenario, self.layout);
        // Without full sharding each rank holds what does not change.
        let count = match self.layout.zero {
            ZeroStage::Z3 => count,
            ZeroStage::Z0 | ZeroStage::Z1 | ZeroStage::Z2 => count.trained(),
        };
        self.both(CollectiveOp::AllGather, count, bytes)
    }

    /// Cost of gathering parameters for the forward pass, and for the backward pass, which does not come to all of them.
    ///
    /// # Errors
    /// If no algorithm can run on this network.
    pub(super) fn gathers(
        &mut self,
        count: ShardParameters,
    ) -> Result<Gathers<CommCost>, Infeasible> {
        let forward = self.parameters(count)?;
        let backward = match count.forward_only {
            0 => forward,
            _ => self.parameters(count.passed_back())?,
        };
        Ok(Gathers { forward, backward })
    }

    /// Bytes of one gradient on the wire.
    pub(super) fn gradient_bytes(&self) -> u64 {
        let half = self.layout.precision.storage_bytes();
        match self.scenario.stack.gradient_precision {
            GradientPrecision::Fp32 => 4,
            GradientPrecision::Half => half,
        }
    }

    fn both(
        &mut self,
        op: CollectiveOp,
        count: ShardParameters,
        bytes: u64,
    ) -> Result<CommCost, Infeasible> {
        let [dense, expert] = Copies::of(self.scenario, self.layout);
        let mut total = CommCost::default();
        if self.scenario.run.leaves_out(StepPart::DpComm) {
            return Ok(total);
        }
        // Only full sharding moves parameters and gradients layer by layer.
        let fraction = match self.layout.zero {
            ZeroStage::Z3 => self.scenario.stack.overlap.sharding_fraction,
            ZeroStage::Z0 | ZeroStage::Z1 | ZeroStage::Z2 => 1.0,
        };
        for (copies, parameters) in [(dense, count.dense), (expert, count.expert)] {
            if parameters == 0 {
                continue;
            }
            let Copies { within, across } = copies;
            let whole = parameters * bytes;
            if within.size > 1 {
                let price = if within == dense.within {
                    self.price_dense(op, whole, within)?
                } else {
                    self.price(op, whole, within)?
                };
                total.add(&price, price.time.scaled(1.0 / fraction));
            }
            if across.size > 1 && op == CollectiveOp::ReduceScatter {
                let shard = whole.div_ceil(u64::from(within.size));
                let price = self.price(CollectiveOp::AllReduce, shard, across)?;
                total.add(&price, price.time.scaled(1.0 / fraction));
            }
        }
        Ok(total)
    }

    fn price(
        &mut self,
        op: CollectiveOp,
        bytes: u64,
        groups: GroupPattern,
    ) -> Result<CollectiveCost, Infeasible> {
        let asked = self.scenario.communication.collective.as_ref();
        let algorithm = asked.filter(|asked| asked.built_in().is_some());
        self.pricing.price(op, Bytes::new(bytes), groups, algorithm)
    }

    /// Price for the dense parameters: a custom schedule reduces their gradients. Other operations, and experts
    /// over fewer ranks, take what the library would choose.
    fn price_dense(
        &mut self,
        op: CollectiveOp,
        bytes: u64,
        groups: GroupPattern,
    ) -> Result<CollectiveCost, Infeasible> {
        let asked = self.scenario.communication.collective.as_ref();
        if asked.is_some_and(|asked| asked.custom().is_some())
            && op == reduction(self.scenario, self.layout)
        {
            self.pricing.price(op, Bytes::new(bytes), groups, asked)
        } else {
            self.price(op, bytes, groups)
        }
    }

    /// Cost of summing the gradient norm over all ranks, before any optimizer may step; its few bytes are not counted
    /// as traffic.
    ///
    /// # Errors
    /// If no algorithm can run on this network.
    pub(super) fn norm(&mut self) -> Result<CommCost, Infeasible> {
        let mut norm = CommCost::default();
        if self.scenario.run.leaves_out(StepPart::DpComm) {
            return Ok(norm);
        }
        let groups = GroupPattern {
            size: self.scenario.gpus,
            stride: 1,
        };
        let price = self
            .pricing
            .price(CollectiveOp::AllReduce, Bytes::new(8), groups, None)?;
        norm.time = price.time;
        Ok(norm)
    }

    /// Cost of summing gradients that each tensor-parallel rank has for a part of the work alone, behind all others
    /// (`finalize_model_grads` of Megatron-Core).
    ///
    /// # Errors
    /// If the requested algorithm cannot run on this network.
    pub(super) fn partial(&mut self, count: ShardParameters) -> Result<CommCost, Infeasible> {
        let mut sum = CommCost::default();
        let groups = GroupPattern {
            size: self.layout.tp,
            stride: 1,
        };
        let left_out = self.scenario.run.leaves_out(StepPart::DpComm);
        if count.partial > 0 && groups.size > 1 && !left_out {
            let bytes = count.partial * self.gradient_bytes();
            let price = self.price(CollectiveOp::AllReduce, bytes, groups)?;
            sum.add(&price, price.time);
        }
        Ok(sum)
    }

    /// Cost of summing the gradients of a tied embedding between first and last stage.
    ///
    /// # Errors
    /// If the requested algorithm cannot run on this network.
    pub(super) fn tied_embedding(&mut self) -> Result<CommCost, Infeasible> {
        let mut sum = CommCost::default();
        let network = self.scenario.model.transformer();
        let table = network.and_then(|network| network.tied_table_parameters(self.layout.tp));
        let Some(table) = table else {
            return Ok(sum);
        };
        // In a V the first stage has both ends; a frozen table has no gradients.
        let one_stage = self.layout.pp == 1 || self.layout.schedule.is_v();
        let has_none = one_stage || self.scenario.freezes_tables();
        if has_none || self.scenario.run.leaves_out(StepPart::DpComm) {
            return Ok(sum);
        }
        let bytes = table * self.gradient_bytes();
        // First and last stage are as far apart as neighbours once stages fill whole domains.
        let groups = GroupPattern {
            size: 2,
            stride: self.scenario.gpus / self.layout.pp,
        };
        let price = self.price(CollectiveOp::AllReduce, bytes, groups)?;
        sum.add(&price, price.time);
        Ok(sum)
    }

    /// Time of the optimizer's kernels on one rank.
    pub(super) fn optimizer(&self, count: ShardParameters) -> SimDuration {
        let parameters = Sharded::of(self.scenario, self.layout, count.trained());
        optimizer::step_kernels(
            self.scenario,
            self.layout,
            parameters,
            self.gradient_bytes(),
        )
    }

    /// Time of the host's calls for them.
    pub(super) fn optimizer_calls(&self, count: ShardParameters) -> SimDuration {
        if self.scenario.run.leaves_out(StepPart::Optimizer) {
            return SimDuration::ZERO;
        }
        let trained = count.trained();
        let parameters = Sharded::of(self.scenario, self.layout, trained);
        let part = parameters.held(1) / parameters.all().max(1.0);
        let is_sharded = self.layout.zero == ZeroStage::Z3;
        HostCosts::of(self.scenario, self.layout).optimizer(trained.tensors, part, is_sharded)
    }
}

#[cfg(test)]
mod tests;
