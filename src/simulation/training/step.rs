//! One step of a layout, played on the engine.

use crate::collective::CarriedBy;
use crate::simulation::training::passes::{LayerCosts, Traffic, layer_costs};
use crate::simulation::training::pipeline::{Sends, VirtualStage, virtual_stages};
use crate::simulation::training::player::Player;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::replication::{Replication, check_schedule};
use crate::simulation::training::timeline::{DeviceTimes, Timeline};
use crate::simulation::training::trace::Trace;
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Infeasible, Layout, TimeShares, TrainingScenario};
use crate::units::SimDuration;

/// Everything about a layout that the step needs, priced.
pub(super) struct StepCosts<'a> {
    pub(super) scenario: &'a TrainingScenario,
    pub(super) layout: &'a Layout,
    pub(super) work: &'a ModelWork,
    pub(super) layers: LayerCosts,
    pub(super) stages: Vec<VirtualStage>,
    pub(super) sends: Sends,
    /// What the slowest GPU takes, over a mean one.
    pub(super) slowest: f64,
}

/// A step, before it becomes a report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// What the critical device did; its shares sum to the step.
    pub(super) device: DeviceTimes,
    /// Work of the hardware over all GPUs.
    pub(super) hardware_flops: f64,
    /// Time during which one device communicated.
    pub(super) comm_busy: SimDuration,
    /// What one device sent.
    pub(super) traffic: Traffic,
    /// Algorithm of the gradient reduction.
    pub(super) algorithm: Option<CarriedBy>,
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
        check_schedule(scenario, layout)?;
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
            slowest: pricing.slowest().over_mean(scenario.gpu.rates.speed_spread),
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
                .map(|chunk| busy(&self.stages[(chunk * pp + stage) as usize], self.slowest))
                .sum();
            bound = bound.max(ahead + own * microbatches);
            ahead += busy(&self.stages[stage as usize], self.slowest);
        }
        bound
    }

    /// Microbatches that are full; a last one may be shorter.
    fn full_microbatches(&self) -> u32 {
        self.scenario.workload.global_batch / self.layout.dp / self.layout.micro_batch
    }

    /// Size of the last microbatch against the others, 0–1.
    pub(super) fn last_share(&self) -> f64 {
        let replica = self.scenario.workload.global_batch / self.layout.dp;
        match replica % self.layout.micro_batch {
            0 => 1.0,
            rest => f64::from(rest) / f64::from(self.layout.micro_batch),
        }
    }

    /// A time that no pass of a stage that sends is shorter than; `slowdown` multiplies the kernels of
    /// each stage.
    pub(super) fn shortest_pass(&self, stage: u32, slowdown: &[f64]) -> SimDuration {
        let Layout { pp, vpp, .. } = *self.layout;
        let drawn = slowdown.get(stage as usize).copied().unwrap_or(1.0);
        let factor = self.last_share() * drawn * self.scenario.run.kernel_time();
        let chunks = (0..vpp).map(|chunk| &self.stages[(chunk * pp + stage) as usize].total);
        let passes = chunks.flat_map(|layers| [&layers.forward, &layers.backward_input]);
        let shortest = passes.map(|pass| pass.parts.total()).min();
        shortest.unwrap_or_default().scaled(factor.min(1.0))
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
        self.build(pricing, timeline, slowdown, false)
            .map(Player::finish)
    }

    /// Plays the step and gives its timeline.
    ///
    /// # Errors
    /// If a communication that was asked for cannot run.
    pub(super) fn trace(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
    ) -> Result<Trace, Infeasible> {
        let player = self.build(pricing, timeline, &[], true)?;
        let hand_overs = player.hand_overs();
        player.finish();
        Ok(Trace::of(self, timeline, &hand_overs))
    }

    fn build<'b>(
        &'b self,
        pricing: &'b mut Pricing,
        timeline: &'b mut Timeline,
        slowdown: &'b [f64],
        shows_sends: bool,
    ) -> Result<Player<'b, 'b>, Infeasible> {
        let replication = Replication {
            scenario: self.scenario,
            layout: self.layout,
            pricing,
        };
        timeline.reset(self.layout.pp);
        let mut player = Player::new(self, replication, timeline, slowdown);
        if shows_sends {
            player.show_sends();
        }
        player.passes()?;
        player.close()?;
        Ok(player)
    }
}

/// What the passes of a stage take on the slowest GPU.
fn busy(stage: &VirtualStage, slowest: f64) -> SimDuration {
    let pass = |parts: &TimeShares| {
        let kernels = parts.compute + parts.recompute;
        parts.total() - kernels + parts.compute.scaled(slowest) + parts.recompute.scaled(slowest)
    };
    pass(&stage.total.forward.parts) + pass(&stage.total.backward.parts)
}

#[cfg(test)]
mod tests;
