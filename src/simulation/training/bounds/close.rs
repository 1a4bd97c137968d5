//! Lower bounds on the step of a layout that is priced: one from sums over its stages, one from a walk over all passes.

use crate::model::ShardParameters;
use crate::simulation::Infeasible;
use crate::simulation::training::bounds::group::bound;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_cost::ReplicaCosts;
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::{Pass, PipelineSize, Placement, StaticOrders};
use crate::simulation::training::stage_times::{StageClass, StageTimes, in_order, index_of};
use crate::simulation::training::walk::{self, StageEnds};
use crate::units::SimDuration;

impl StepCosts<'_> {
    /// Lower bound from sums over each stage.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(in crate::simulation::training) fn bound_of_sums(
        &self,
        pricing: &mut Pricing,
    ) -> Result<SimDuration, Infeasible> {
        let mut replicas = self.replicas(pricing);
        let times = StageTimes::of(self, &mut replicas)?;
        let ends = Sums::of(self, &times).stages();
        self.bound_behind(&ends, &mut replicas)
    }

    /// Lower bound from a walk over all passes: the step as if nothing shared a link.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(in crate::simulation::training) fn close_bound(
        &self,
        pricing: &mut Pricing,
        orders: &mut StaticOrders,
    ) -> Result<SimDuration, Infeasible> {
        let mut replicas = self.replicas(pricing);
        let times = StageTimes::of(self, &mut replicas)?;
        let passes = orders.of(self.layout.schedule, self.pipeline());
        let ends = walk::stages(self, &times, &passes);
        self.bound_behind(&ends, &mut replicas)
    }

    fn replicas<'b>(&'b self, pricing: &'b mut Pricing) -> ReplicaCosts<'b> {
        ReplicaCosts {
            scenario: self.scenario,
            layout: self.layout,
            pricing,
        }
    }

    pub(in crate::simulation::training) fn pipeline(&self) -> PipelineSize {
        PipelineSize {
            stages: self.layout.pp,
            chunks: self.layout.vpp,
            microbatches: self.layout.microbatches,
        }
    }

    /// Bound of a step whose stages end their passes then: behind them reductions that do not overlap, the norm, the
    /// optimizer, gathers that do not overlap, the host.
    fn bound_behind(
        &self,
        stages: &[StageEnds],
        replicas: &mut ReplicaCosts<'_>,
    ) -> Result<SimDuration, Infeasible> {
        let layout = self.layout;
        let tied = replicas.tied_embedding()?.time.as_secs_f64();
        let (mut done, mut updated): (f64, f64) = (0.0, 0.0);
        let mut known: Option<(ShardParameters, f64)> = None;
        for (stage, ends) in (0..).zip(stages) {
            let mut held = ShardParameters::default();
            for chunk in self.chunks(stage) {
                held += chunk.parameters();
            }
            let behind = match known {
                Some((of, behind)) if of == held => behind,
                Some(_) | None => {
                    updated = updated.max(self.update(held, replicas)?);
                    self.reduced_behind(held, replicas)?
                }
            };
            known = Some((held, behind));
            let mut end = ends.passes + behind;
            if stage == 0 || stage + 1 == layout.pp {
                end += tied;
            }
            done = done.max(end).max(ends.reductions);
        }
        let norm = replicas.norm()?.time.as_secs_f64();
        let host = HostCosts::of(self.scenario, layout)
            .between_steps()
            .as_secs_f64();
        Ok(bound(done + norm + updated + host))
    }

    /// Seconds behind its passes in which a stage's gradients are reduced.
    fn reduced_behind(
        &self,
        held: ShardParameters,
        replicas: &mut ReplicaCosts<'_>,
    ) -> Result<f64, Infeasible> {
        let mut seconds = replicas.partial(held)?.time.as_secs_f64();
        if !self.overlap.gradients && !self.reduces_each() {
            seconds += replicas.gradients(held)?.time.as_secs_f64();
        }
        Ok(seconds)
    }

    /// Seconds in which a stage's optimizer runs, and its parameters are gathered behind it.
    fn update(
        &self,
        held: ShardParameters,
        replicas: &mut ReplicaCosts<'_>,
    ) -> Result<f64, Infeasible> {
        // The host calls for the kernels once it has read the norm.
        let kernels = replicas.optimizer(held);
        let mut seconds = kernels.max(replicas.optimizer_calls(held)).as_secs_f64();
        if self.shards_optimizer() && !self.overlap.parameters && !self.gathers_each() {
            seconds += replicas.parameters(held)?.time.as_secs_f64();
        }
        Ok(seconds)
    }
}

/// Sums over the passes of each stage.
struct Sums<'a> {
    costs: &'a StepCosts<'a>,
    times: &'a StageTimes,
    /// Sums of a chunk of each class.
    chunks: Vec<StageSum>,
}

/// Sums over one stage.
#[derive(Clone, Copy, Debug, Default)]
struct StageSum {
    /// Seconds of all its passes.
    busy: f64,
    issue: f64,
    /// Seconds of the overlapped gathers and reductions of all passes.
    gathers: f64,
    reductions: f64,
    /// Reduction of the bucket that is made last.
    last_reduction: f64,
    /// Gathering of the first bucket, before the first pass.
    first_gather: f64,
    /// First pass of the first microbatch, and last one of the last.
    first_pass: f64,
    last_pass: f64,
    /// The host's seconds for these two.
    first_issue: f64,
    last_issue: f64,
}

impl<'a> Sums<'a> {
    fn of(costs: &'a StepCosts<'a>, times: &'a StageTimes) -> Self {
        // Of a schedule that splits some backward passes, whole ones take no less.
        let kinds: &[Pass] = if costs.layout.schedule.splits_backward() {
            &[Pass::Forward, Pass::BackwardInput, Pass::BackwardWeight]
        } else {
            &[Pass::Forward, Pass::Backward]
        };
        let microbatches = costs.layout.microbatches;
        let chunks = (times.classes.iter())
            .map(|class| StageSum::of_chunk((times, class), kinds, microbatches))
            .collect();
        Self {
            costs,
            times,
            chunks,
        }
    }

    /// A stage begins behind the first passes of the stages before it, works through all its passes, and what it
    /// hands back still passes those stages. Its gathers and reductions take turns; all gathers that are ahead of the
    /// first microbatch come before any reduction behind the last, and a reduction follows the last pass.
    fn stages(&self) -> Vec<StageEnds> {
        let layout = self.costs.layout;
        let connected = self.costs.waits_for_stages();
        let hides_return = layout.schedule.splits_backward();
        let placement = Placement::of(layout);
        let waits_for_sends = layout.pp > 1 && !self.costs.overlap.pipeline;
        let send = if layout.pp > 1 { self.times.send } else { 0.0 };
        let mut ends = Vec::with_capacity(layout.pp as usize);
        let (mut there, mut back, mut longest) = (0.0, 0.0, 0.0_f64);
        for stage in 0..layout.pp {
            let mut sum = self.stage(stage);
            if waits_for_sends {
                let sends = f64::from(placement.sends(stage, layout.vpp));
                sum.busy += sends * send * f64::from(layout.microbatches);
            }
            let from = if connected {
                f64::max(there, sum.first_gather)
            } else {
                sum.first_gather
            };
            // The host is not ahead of the first pass. Where it waits for what a pass receives, it begins to call then.
            let called = if waits_for_sends && connected {
                there
            } else {
                0.0
            };
            let first = (from + sum.first_pass).max(called + sum.first_issue);
            let passes = (first + sum.busy - sum.first_pass).max(sum.issue);
            let mut reductions = 0.0;
            if sum.reductions > 0.0 {
                // The send behind the last pass delays no reduction.
                let sent = if waits_for_sends && stage > 0 {
                    send
                } else {
                    0.0
                };
                let made = (from + sum.busy - sent).max(sum.issue);
                reductions = (sum.gathers + sum.reductions).max(made + sum.last_reduction);
            }
            if connected && !hides_return {
                longest = longest.max(passes + back);
            }
            ends.push(StageEnds { passes, reductions });
            there = first + send;
            let sent = if waits_for_sends && stage == 0 {
                0.0
            } else {
                send
            };
            let returned = if waits_for_sends {
                sum.last_pass.max(sum.last_issue)
            } else {
                sum.last_pass
            };
            back += returned + sent;
        }
        ends[0].passes = ends[0].passes.max(longest);
        ends
    }

    fn stage(&self, stage: u32) -> StageSum {
        let layout = self.costs.layout;
        let placement = Placement::of(layout);
        let of = |chunk| {
            let class = self.times.class_of[placement.virtual_stage(stage, chunk) as usize];
            &self.chunks[class as usize]
        };
        let mut sum = *of(0);
        for of_chunk in (1..layout.vpp).map(of) {
            sum.busy += of_chunk.busy;
            sum.issue += of_chunk.issue;
            sum.gathers += of_chunk.gathers;
            sum.reductions += of_chunk.reductions;
        }
        sum
    }
}

impl StageSum {
    /// Sums of a chunk over all microbatches.
    fn of_chunk(
        (times, class): (&StageTimes, &StageClass),
        kinds: &[Pass],
        microbatches: u32,
    ) -> Self {
        let single = microbatches == 1;
        // Microbatches that are the first, the last, or neither.
        let mut of = vec![(1.0, true, single)];
        if !single {
            of.push((1.0, false, true));
            of.push((f64::from(microbatches - 2), false, false));
        }
        let buckets = || class.buckets.iter();
        let reduction: f64 = buckets().map(|bucket| bucket.reduction).sum();
        let mut sum = StageSum::default();
        for &pass in kinds {
            sum.issue += class.whole[index_of(pass)].issue * f64::from(microbatches);
            let gather: f64 = buckets().map(|bucket| bucket.gathers.of(pass)).sum();
            for &(count, first, last) in &of {
                let around = times.around(pass, first, last);
                sum.busy += count * times.seconds(class, pass, first, last);
                sum.gathers += if around.gathers { count * gather } else { 0.0 };
                sum.reductions += if around.reduces {
                    count * reduction
                } else {
                    0.0
                };
            }
        }
        sum.first_pass = times.seconds(class, Pass::Forward, true, single);
        let back = kinds[1];
        let issue = |pass| class.whole[index_of(pass)].issue;
        (sum.first_issue, sum.last_issue) = (issue(Pass::Forward), issue(back));
        sum.last_pass = times.seconds(class, back, single, true);
        let makes_gradients = kinds[kinds.len() - 1];
        if let (Some(first), true) = (
            class.buckets.first(),
            times.around(makes_gradients, single, true).reduces,
        ) {
            sum.last_reduction = first.reduction;
        }
        if times.around(Pass::Forward, true, single).gathers {
            let first = &class.buckets[in_order(0, class.buckets.len(), Pass::Forward)];
            sum.first_gather = first.gathers.of(Pass::Forward);
        }
        sum
    }
}
