//! Costs of a layout: what its layers, virtual stages and sends take, before the step is simulated.

use std::rc::Rc;

use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::data_parallel_cost::check_schedule;
use crate::simulation::training::parameters::Copies;
use crate::simulation::training::passes::layer_costs;
use crate::simulation::training::pipeline::{VirtualStage, send_cost, virtual_stages};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Infeasible, Layout, StepPart, TimeShares, TrainingScenario};
use crate::stack::{Overlap, slowdown};
use crate::units::SimDuration;

/// Costs of a layout's layers, virtual stages and sends.
#[derive(Clone)]
pub(super) struct StepCosts<'a> {
    pub(super) scenario: &'a TrainingScenario,
    pub(super) layout: &'a Layout,
    pub(super) work: &'a ModelWork,
    /// Microbatches that a step has: those of the layout, or fewer where it is folded.
    pub(super) microbatches: u32,
    pub(super) stages: Vec<VirtualStage>,
    pub(super) send: CommCost,
    pub(super) overlap: Overlap,
    /// Time that kernels lose beside the communication of replicas, over its length.
    pub(super) beside_replicas: f64,
    /// Kernel time of the slowest GPU over that of a mean one.
    pub(super) slowest: f64,
}

impl<'a> StepCosts<'a> {
    /// Prices a layout.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn of(
        scenario: &'a TrainingScenario,
        layout: &'a Layout,
        work: &'a ModelWork,
        pricing: &mut Pricing,
    ) -> Result<Self, Infeasible> {
        check_schedule(scenario, layout)?;
        let layers = Rc::new(layer_costs(scenario, layout, work, pricing)?);
        let stages = virtual_stages(layout, work, &layers, scenario.stack.host.waits_each_pass);
        let send = send_cost(scenario, layout, work, pricing)?;
        Ok(Self {
            scenario,
            layout,
            work,
            microbatches: layout.microbatches,
            stages,
            send,
            overlap: scenario.overlap(layout),
            beside_replicas: beside_replicas(scenario, layout, pricing),
            slowest: pricing.slowest().over_mean(scenario.gpu.rates.speed_spread),
        })
    }

    /// Whether stages wait for one another: always but in a counterfactual.
    pub(super) fn waits_for_stages(&self) -> bool {
        !self.scenario.run.leaves_out(StepPart::Bubble)
    }

    /// Lower bound on the step time: the busiest stage without data-parallel communication, behind the first passes
    /// of the stages before it.
    pub(super) fn lower_bound(&self) -> SimDuration {
        let microbatches = u64::from(self.full_microbatches());
        let (mut ahead, mut bound) = (SimDuration::ZERO, SimDuration::ZERO);
        for stage in 0..self.layout.pp {
            let mut passes = self
                .chunks(stage)
                .map(|chunk| passes_time(chunk, self.slowest));
            let first = passes.next().unwrap_or_default();
            let work = first + passes.sum::<SimDuration>();
            bound = bound.max(ahead + work * microbatches);
            ahead += first;
        }
        bound
    }

    /// Time of a stage's passes of one microbatch on the slowest GPU.
    pub(super) fn stage_time(&self, stage: u32) -> SimDuration {
        let chunks = self.chunks(stage);
        chunks.map(|chunk| passes_time(chunk, self.slowest)).sum()
    }

    /// Virtual stages of a pipeline stage, first chunk first.
    pub(super) fn chunks(&self, stage: u32) -> impl Iterator<Item = &VirtualStage> {
        let placement = Placement::of(self.layout);
        let chunks = 0..self.layout.vpp;
        chunks.map(move |chunk| &self.stages[placement.virtual_stage(stage, chunk) as usize])
    }

    /// Full microbatches; a last one may be smaller.
    fn full_microbatches(&self) -> u32 {
        self.scenario.workload.global_batch / self.layout.dp / self.layout.micro_batch
    }

    /// Size of the last microbatch relative to the others, 0–1.
    pub(super) fn last_share(&self) -> f64 {
        let replica = self.scenario.workload.global_batch / self.layout.dp;
        match replica % self.layout.micro_batch {
            0 => 1.0,
            rest => f64::from(rest) / f64::from(self.layout.micro_batch),
        }
    }

    /// Lower bound on the duration of any forward or backward pass of a stage; `slowdown` multiplies the kernels of
    /// each stage.
    pub(super) fn shortest_pass(&self, stage: u32, slowdown: &[f64]) -> SimDuration {
        let drawn = slowdown.get(stage as usize).copied().unwrap_or(1.0);
        let factor = self.last_share() * drawn * self.scenario.run.kernel_time();
        let passes = self
            .chunks(stage)
            .flat_map(|chunk| [&chunk.total.forward, &chunk.total.backward_input]);
        let shortest = passes.map(|pass| pass.parts.total()).min();
        shortest.unwrap_or_default().scaled(factor.min(1.0))
    }
}

/// Time that kernels lose beside the communication of replicas, over its length.
pub(super) fn beside_replicas(
    scenario: &TrainingScenario,
    layout: &Layout,
    pricing: &Pricing,
) -> f64 {
    let [dense, _] = Copies::of(scenario, layout);
    let taken = scenario.stack.overlap.taken(pricing.channels(dense.within));
    slowdown(taken, scenario.gpu.sms)
}

/// Time of a virtual stage's forward and backward pass on the slowest GPU.
fn passes_time(stage: &VirtualStage, slowest: f64) -> SimDuration {
    let pass = |parts: &TimeShares| {
        let kernels = parts[StepPart::Compute] + parts[StepPart::Recompute];
        parts.total() - kernels
            + parts[StepPart::Compute].scaled(slowest)
            + parts[StepPart::Recompute].scaled(slowest)
    };
    pass(&stage.total.forward.parts) + pass(&stage.total.backward.parts)
}
