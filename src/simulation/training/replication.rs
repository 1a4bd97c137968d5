//! What data parallelism costs: gradients reduced, parameters gathered, the optimizer's kernels.

use crate::collective::{Algorithm, CarriedBy, CollectiveCost, CollectiveOp, GroupPattern};
use crate::simulation::training::memory::replicas;
use crate::simulation::training::passes::{Traffic, stream};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::{Infeasible, Layout, StepPart, TrainingScenario};
use crate::stack::{GradientPrecision, ZeroStage};
use crate::units::{Bytes, SimDuration};

/// A communication of the data-parallel groups of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ReplicaComm {
    /// Time when it runs alone.
    pub(super) time: SimDuration,
    /// Part of it that uses no link.
    pub(super) latency: SimDuration,
    /// Use of the link classes while it runs alone.
    pub(super) load: [f64; 2],
    /// What it sends.
    pub(super) traffic: Traffic,
    /// Algorithm of its larger part.
    pub(super) algorithm: Option<CarriedBy>,
}

/// Parameters of one rank, by the group they are reduced over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ParameterCount {
    pub(super) dense: u64,
    pub(super) expert: u64,
}

/// How a layout reduces gradients.
fn reduction(layout: &Layout) -> CollectiveOp {
    match layout.zero {
        ZeroStage::Z0 => CollectiveOp::AllReduce,
        ZeroStage::Z1 | ZeroStage::Z2 | ZeroStage::Z3 => CollectiveOp::ReduceScatter,
    }
}

/// Whether the schedule that a point asks for, if any, reduces the gradients of a layout.
///
/// # Errors
/// If it carries another operation than this ZeRO stage takes, or is made for another number of
/// ranks.
pub(super) fn check_schedule(
    scenario: &TrainingScenario,
    layout: &Layout,
) -> Result<(), Infeasible> {
    let asked = scenario.communication.collective.as_ref();
    let Some(own) = asked.and_then(Algorithm::custom) else {
        return Ok(());
    };
    let (name, schedule) = (&own.name, &own.schedule);
    let op = reduction(layout);
    let (ranks, _) = replicas(scenario, layout);
    let sentence = if schedule.op != op {
        format!(
            "collective `{name}` carries {}, ZeRO stage {} reduces gradients by {op}",
            schedule.op, layout.zero
        )
    } else if schedule.ranks != ranks {
        format!(
            "collective `{name}` is made for {} ranks, gradients are reduced over {ranks} (dp {} × cp {})",
            schedule.ranks, layout.dp, layout.cp
        )
    } else {
        return Ok(());
    };
    Err(Infeasible::Unsupported { sentence })
}

/// Prices data-parallel communication of a layout.
pub(super) struct Replication<'a> {
    pub(super) scenario: &'a TrainingScenario,
    pub(super) layout: &'a Layout,
    pub(super) pricing: &'a mut Pricing,
}

impl Replication<'_> {
    /// Reduction of gradients: all-reduce, or reduce-scatter where the optimizer is sharded.
    ///
    /// # Errors
    /// If the algorithm that was asked for cannot run here.
    pub(super) fn gradients(&mut self, count: ParameterCount) -> Result<ReplicaComm, Infeasible> {
        self.both(reduction(self.layout), count, self.gradient_bytes())
    }

    /// Gathering of updated parameters.
    ///
    /// # Errors
    /// If no algorithm can run here.
    pub(super) fn parameters(&mut self, count: ParameterCount) -> Result<ReplicaComm, Infeasible> {
        let low = self.layout.precision != self.layout.precision.high();
        let bytes = if low && self.scenario.stack.recipe.fp8_parameters {
            1
        } else {
            self.layout.precision.storage_bytes()
        };
        self.both(CollectiveOp::AllGather, count, bytes)
    }

    /// Bytes of one gradient on the wire.
    fn gradient_bytes(&self) -> u64 {
        let half = self.layout.precision.storage_bytes();
        match self.scenario.stack.gradient_precision {
            GradientPrecision::Fp32 => 4,
            GradientPrecision::Half => half,
        }
    }

    fn both(
        &mut self,
        op: CollectiveOp,
        count: ParameterCount,
        bytes: u64,
    ) -> Result<ReplicaComm, Infeasible> {
        let (dense_ranks, expert_ranks) = replicas(self.scenario, self.layout);
        let Layout { tp, etp, ep, .. } = *self.layout;
        let dense = GroupPattern {
            size: dense_ranks,
            stride: tp,
        };
        let expert = GroupPattern {
            size: expert_ranks,
            stride: etp * ep,
        };
        let mut total = ReplicaComm::default();
        if self.scenario.run.leaves_out(StepPart::DpComm) {
            return Ok(total);
        }
        for (groups, parameters) in [(dense, count.dense), (expert, count.expert)] {
            if groups.size <= 1 || parameters == 0 {
                continue;
            }
            let price = if groups == dense {
                self.price_dense(op, parameters * bytes, groups)?
            } else {
                self.price(op, parameters * bytes, groups)?
            };
            if price.time > total.time {
                total.algorithm = Some(price.algorithm);
            }
            // Only full sharding moves parameters and gradients piece by piece.
            let fraction = match self.layout.zero {
                ZeroStage::Z3 => self.scenario.stack.overlap.sharding_fraction,
                ZeroStage::Z0 | ZeroStage::Z1 | ZeroStage::Z2 => 1.0,
            };
            total.time += price.time.scaled(1.0 / fraction);
            total.latency += price.latency;
            total.traffic.add(&price, 1);
            total.load[0] = total.load[0].max(price.loads.scale_up);
            total.load[1] = total.load[1].max(price.loads.scale_out);
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

    /// Price for the dense parameters: a schedule of the spec's own reduces their gradients. What is
    /// no gradient reduction, and experts over fewer ranks, take what the library would choose.
    fn price_dense(
        &mut self,
        op: CollectiveOp,
        bytes: u64,
        groups: GroupPattern,
    ) -> Result<CollectiveCost, Infeasible> {
        let asked = self.scenario.communication.collective.as_ref();
        if asked.is_some_and(|asked| asked.custom().is_some()) && op == reduction(self.layout) {
            self.pricing.price(op, Bytes::new(bytes), groups, asked)
        } else {
            self.price(op, bytes, groups)
        }
    }

    /// Sum of the gradient norms over all ranks, before anyone may step.
    ///
    /// # Errors
    /// If no algorithm can run here.
    pub(super) fn norm(&mut self) -> Result<SimDuration, Infeasible> {
        if self.scenario.run.leaves_out(StepPart::DpComm) {
            return Ok(SimDuration::ZERO);
        }
        let groups = GroupPattern {
            size: self.scenario.gpus,
            stride: 1,
        };
        let price = self
            .pricing
            .price(CollectiveOp::AllReduce, Bytes::new(8), groups, None)?;
        Ok(price.time)
    }

    /// Gradients of a tied embedding, summed between first and last stage.
    ///
    /// # Errors
    /// If the algorithm that was asked for cannot run here.
    pub(super) fn tied_embedding(&mut self) -> Result<SimDuration, Infeasible> {
        let Some(network) = self.scenario.model.transformer() else {
            return Ok(SimDuration::ZERO);
        };
        let left_out = self.scenario.run.leaves_out(StepPart::DpComm);
        if !network.tied_embeddings || self.layout.pp == 1 || left_out {
            return Ok(SimDuration::ZERO);
        }
        let table =
            u64::from(network.vocab) * u64::from(network.hidden) / u64::from(self.layout.tp);
        let bytes = table * self.gradient_bytes();
        // First and last stage lie as far apart as neighbours do once stages fill whole domains.
        let groups = GroupPattern {
            size: 2,
            stride: self.scenario.gpus / self.layout.pp,
        };
        Ok(self.price(CollectiveOp::AllReduce, bytes, groups)?.time)
    }

    /// The optimizer's kernels on one rank: norm, Adam, and zeroing the gradients.
    ///
    /// Adam moves about 30 bytes per parameter that the rank updates: gradient, master weight and
    /// two moments read (16), the latter three written (12), 16-bit weight written (2). The norm
    /// reads and the zeroing writes every gradient that the rank holds.
    pub(super) fn optimizer(&self, count: ParameterCount) -> (SimDuration, u32) {
        const ADAM_BYTES: f64 = 30.0;
        if self.scenario.run.leaves_out(StepPart::Optimizer) {
            return (SimDuration::ZERO, 0);
        }
        let (dense, expert) = replicas(self.scenario, self.layout);
        let sharded = |covers: u8| {
            let (dense, expert) = if self.layout.zero.number() >= covers {
                (f64::from(dense), f64::from(expert))
            } else {
                (1.0, 1.0)
            };
            count.dense as f64 / dense + count.expert as f64 / expert
        };
        let fusion = &self.scenario.stack.fusion;
        // Without fusion every operation of the formula is a pass of its own over its operands.
        let passes = if fusion.optimizer { 1.0 } else { 2.5 };
        let gradient = self.gradient_bytes() as f64;
        let bytes = sharded(1) * (ADAM_BYTES * passes + gradient) + sharded(2) * gradient;
        let tensors = 12
            * self
                .scenario
                .model
                .transformer()
                .map_or(60, |network| network.layers / self.layout.pp);
        let kernels = if fusion.optimizer {
            tensors / 8 + 8
        } else {
            tensors * 10
        };
        (stream(self.scenario, bytes as u64), kernels)
    }
}
