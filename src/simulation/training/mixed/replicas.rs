//! Data-parallel replicas of several types of GPU.
//!
//! Replicas of all types have one layout; those of a faster type take more microbatches, and all wait for the reduction of
//! the gradients. Each type is simulated as if all GPUs were of it, over the network of the slowest, with the microbatches
//! that it is dealt; the step is the longest of these. Frameworks that gather parameters or reduce gradients in every
//! microbatch (ZeRO stages 2 and 3) need as many on each replica.
//!
//! `auto` looks at the layouts that are the fastest for one of the types alone, with ZeRO as it is chosen and with stage 1,
//! and at those that are with each half of their micro batch: small ones are more microbatches to deal.

use crate::simulation::training::layout::FirstFault;
use crate::simulation::training::mixed::alike::alike;
use crate::simulation::training::mixed::refusals::{check, on_type};
use crate::simulation::training::one_type;
use crate::simulation::{
    GpuPool, Infeasible, Layout, LayoutRequest, NetworkUse, PoolReport, Scratch, StepReport,
    TrainingScenario,
};
use crate::stack::ZeroStage;
use crate::units::Flops;

/// Replicas of one type in a step.
#[derive(Clone, Debug)]
struct Part {
    /// The job as if all GPUs were of the type.
    job: TrainingScenario,
    step: StepReport,
    /// Share of all replicas, 0–1.
    share: f64,
}

/// Microbatches dealt to the replicas of every type, with what that takes.
#[derive(Clone, Debug)]
pub(super) struct Dealt {
    parts: Vec<Part>,
}

/// Layouts that were simulated, and their events.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    layouts: u32,
    events: u64,
}

impl Effort {
    fn add(&mut self, step: &StepReport) {
        self.layouts += step.layouts_tried;
        self.events += step.events;
    }
}

/// The fastest deal of all layouts that are looked at.
///
/// # Errors
/// If a type cannot run as asked, or no layout fits all of them.
pub(super) fn fastest(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<Dealt, Infeasible> {
    check(scenario)?;
    let mut effort = Effort::default();
    let mut faults = FirstFault::default();
    let mut best: Option<Dealt> = None;
    for layout in layouts(scenario, scratch, &mut effort)? {
        let Some(dealt) = faults.keep(deal_layout(scenario, &layout, scratch, &mut effort)) else {
            continue;
        };
        let time = |dealt: &Dealt| dealt.parts[dealt.longest()].step.step_time();
        if best.as_ref().is_none_or(|best| time(&dealt) < time(best)) {
            best = Some(dealt);
        }
    }
    let Some(mut dealt) = best else {
        return Err(faults
            .take()
            .expect("a layout was dealt, or it was refused"));
    };
    for part in &mut dealt.parts {
        (part.step.layouts_tried, part.step.events) = (effort.layouts, effort.events);
    }
    Ok(dealt)
}

/// The layouts that are looked at: the fastest of each type, and with smaller micro batches, each once.
fn layouts(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
    effort: &mut Effort,
) -> Result<Vec<Layout>, Infeasible> {
    let mut found: Vec<Layout> = Vec::new();
    for pool in &scenario.pools {
        let mut job = scenario.all_of(pool);
        let of_type = fastest_of_type(&job, scratch, effort).map_err(|why| on_type(why, pool))?;
        let micro_batch = of_type[0].micro_batch;
        let mut layouts = of_type;
        if job.layout.micro_batch.is_none() {
            let halves = std::iter::successors(Some(micro_batch / 2), |half| Some(half / 2));
            for half in halves.take_while(|half| *half > 0) {
                job.layout.micro_batch = Some(half);
                layouts.extend(fastest_of_type(&job, scratch, effort).unwrap_or_default());
            }
        }
        for layout in layouts {
            if !found.iter().any(|known| alike(known, &layout)) {
                found.push(layout);
            }
        }
    }
    Ok(found)
}

/// The fastest layout of a job on one type, and the fastest with ZeRO stage 1 where that one cannot be dealt unevenly.
fn fastest_of_type(
    job: &TrainingScenario,
    scratch: &mut Scratch,
    effort: &mut Effort,
) -> Result<Vec<Layout>, Infeasible> {
    let step = one_type::simulate(job, scratch)?;
    effort.add(&step);
    let mut layouts = vec![step.layout];
    if job.layout.zero.is_none() && in_lockstep(&layouts[0]) {
        let mut uneven = job.clone();
        uneven.layout.zero = Some(ZeroStage::Z1);
        let step = one_type::simulate(&uneven, scratch);
        layouts.extend(
            step.inspect(|step| effort.add(step))
                .map(|step| step.layout),
        );
    }
    Ok(layouts)
}

/// Whether replicas exchange parameters or gradients in every microbatch.
const fn in_lockstep(layout: &Layout) -> bool {
    match layout.zero {
        ZeroStage::Z0 | ZeroStage::Z1 => false,
        ZeroStage::Z2 | ZeroStage::Z3 => true,
    }
}

/// Deals the microbatches of a layout so that all types take as long, as far as whole microbatches can.
fn deal_layout(
    scenario: &TrainingScenario,
    layout: &Layout,
    scratch: &mut Scratch,
    effort: &mut Effort,
) -> Result<Dealt, Infeasible> {
    let pools = &scenario.pools;
    let replica = layout.tp * layout.pp * layout.cp;
    let replicas: Vec<u32> = pools.iter().map(|pool| pool.gpus / replica).collect();
    let batch = scenario.workload.global_batch;
    let microbatches = batch.div_ceil(layout.micro_batch);
    if microbatches < layout.dp {
        return Err(Infeasible::Limit(format!(
            "global batch {batch} is {microbatches} microbatches of {}, fewer than the {} replicas",
            layout.micro_batch, layout.dp
        )));
    }
    let mut step = |pool: &GpuPool, count: u32| {
        let job = of_type(scenario, pool, layout, count)?;
        let step = one_type::simulate(&job, scratch).map_err(|why| on_type(why, pool))?;
        effort.add(&step);
        Ok((job, step))
    };
    let even = microbatches.div_ceil(layout.dp);
    let counts = if in_lockstep(layout) {
        vec![even; pools.len()]
    } else {
        let mut costs = Vec::with_capacity(pools.len());
        for pool in pools {
            let few = step(pool, even)?.1.step_time().as_secs_f64();
            let many = step(pool, even.saturating_mul(2))?
                .1
                .step_time()
                .as_secs_f64();
            costs.push(Cost::through(f64::from(even), few, many));
        }
        deal(&replicas, &costs, microbatches)
    };
    let parts = std::iter::zip(pools, counts).zip(replicas);
    let parts = parts.map(|((pool, count), replicas)| {
        let (job, step) = step(pool, count)?;
        let share = f64::from(replicas) / f64::from(layout.dp);
        Ok(Part { job, step, share })
    });
    let parts = parts.collect::<Result<Vec<Part>, Infeasible>>()?;
    Ok(Dealt { parts })
}

/// The job as if all GPUs were of one type, each replica with so many microbatches.
fn of_type(
    scenario: &TrainingScenario,
    pool: &GpuPool,
    layout: &Layout,
    microbatches: u32,
) -> Result<TrainingScenario, Infeasible> {
    let mut job = scenario.all_of(pool);
    let samples = microbatches.checked_mul(layout.micro_batch);
    let batch = samples.and_then(|samples| samples.checked_mul(layout.dp));
    job.workload.global_batch = batch.ok_or_else(|| {
        Infeasible::Limit(format!(
            "{microbatches} microbatches on each of {} replicas are more samples than a step can have",
            layout.dp
        ))
    })?;
    let attention = job.layout.attention;
    job.layout = LayoutRequest {
        attention,
        ..LayoutRequest::pinned(layout)
    };
    Ok(job)
}

/// Seconds of a step by the microbatches of a replica: a constant and so much for each.
#[derive(Clone, Copy, Debug)]
struct Cost {
    constant: f64,
    each: f64,
}

impl Cost {
    /// The line through a step of `few` seconds with so many microbatches and one of `many` seconds with twice as many.
    fn through(microbatches: f64, few: f64, many: f64) -> Self {
        let each = (many - few) / microbatches;
        Self {
            constant: few - each * microbatches,
            each,
        }
    }

    fn seconds(self, microbatches: u32) -> f64 {
        self.constant + self.each * f64::from(microbatches)
    }
}

/// Microbatches of each replica of every type, one at least, with which the longest step is as short as it can be; together
/// the replicas have all of them, or a few more, since replicas of one type have as many.
///
/// With `c + e·m` seconds for m microbatches all types end together after `T = (M + Σ r·c/e) / Σ r/e`, where r are the
/// replicas of each and M all microbatches.
fn deal(replicas: &[u32], costs: &[Cost], microbatches: u32) -> Vec<u32> {
    let each_type = || std::iter::zip(replicas, costs);
    let sum = |of: fn(f64, &Cost) -> f64| -> f64 {
        let terms = each_type().map(|(replicas, cost)| of(f64::from(*replicas), cost));
        terms.sum()
    };
    let end = (f64::from(microbatches) + sum(|r, cost| r * cost.constant / cost.each))
        / sum(|r, cost| r / cost.each);
    let mut counts: Vec<u32> = costs
        .iter()
        .map(|cost| (((end - cost.constant) / cost.each).floor() as u32).max(1))
        .collect();
    let dealt = |counts: &[u32]| -> u64 {
        let each = std::iter::zip(replicas, counts);
        each.map(|(replicas, count)| u64::from(*replicas) * u64::from(*count))
            .sum()
    };
    while dealt(&counts) < u64::from(microbatches) {
        let with_one_more = (0..counts.len()).map(|at| (at, costs[at].seconds(counts[at] + 1)));
        let (least, _) = with_one_more
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .expect("a job has types");
        counts[least] += 1;
    }
    counts
}

impl Dealt {
    /// The job as if all GPUs were of the type that takes longest, with the layout and the microbatches that it has.
    pub(super) fn pacing(mut self) -> TrainingScenario {
        let longest = self.longest();
        self.parts.swap_remove(longest).job
    }

    /// Place of the type that takes longest, the first of equals.
    fn longest(&self) -> usize {
        let places = (0..self.parts.len()).rev();
        places
            .max_by_key(|place| self.parts[*place].step.step_time())
            .expect("a job has types")
    }

    /// The step of the whole job: that of the type which takes longest, with the memory of the tightest one.
    pub(super) fn report(self, scenario: &TrainingScenario) -> StepReport {
        let pools: Vec<PoolReport> = self.parts.iter().map(Part::report).collect();
        let tightest = pools
            .iter()
            .max_by(|a, b| a.filled().total_cmp(&b.filled()))
            .expect("a job has types");
        let longest = &self.parts[self.longest()];
        let batch = scenario.workload.global_batch;
        // Replicas of a type have as many microbatches, so that together they may have a few more than the batch.
        let share = f64::from(batch) / f64::from(longest.job.workload.global_batch);
        StepReport {
            model_flops: Flops::new(longest.step.model_flops.get() * share),
            hardware_flops: Flops::new(longest.step.hardware_flops.get() * share),
            tokens: u64::from(batch) * u64::from(scenario.workload.seq_len.max(1)),
            memory: tightest.memory,
            memory_capacity: tightest.memory_capacity,
            network: self.network(),
            pools,
            ..longest.step.clone()
        }
    }

    /// Traffic of a mean GPU.
    fn network(&self) -> NetworkUse {
        let mut all = NetworkUse::default();
        for part in &self.parts {
            all += &part.step.network.scaled(part.share);
        }
        all
    }
}

impl Part {
    fn report(&self) -> PoolReport {
        PoolReport {
            microbatches: self.step.layout.microbatches,
            layers: None,
            step_time: self.step.step_time(),
            memory: self.step.memory,
            memory_capacity: self.step.memory_capacity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 3 replicas of 1 s a microbatch and 1 of 2 s, 28 microbatches: T = 28 / (3/1 + 1/2) = 8 s, so 8 and 4: 3·8 + 4 = 28.
    #[test]
    fn microbatches_are_dealt_so_that_all_end_together() {
        let cost = |constant, each| Cost { constant, each };
        let costs = [cost(0.0, 1.0), cost(0.0, 2.0)];
        assert_eq!(deal(&[3, 1], &costs, 28), [8, 4]);
        // One more goes where it ends first: the ninth after 9 s, the fifth after 10 s.
        assert_eq!(deal(&[3, 1], &costs, 29), [9, 4]);
        // A type that takes 4 s before its first microbatch is dealt as many fewer: T = (28 + 4) / 3.5 = 9.14 s,
        // 3·(9.14 − 0) and (9.14 − 4) / 2: 9 and 2, and 29 ≥ 28.
        assert_eq!(deal(&[3, 1], &[cost(0.0, 1.0), cost(4.0, 2.0)], 28), [9, 2]);
    }

    // However slow a type is, each of its replicas takes part in the reduction of the gradients.
    #[test]
    fn no_replica_goes_without_a_microbatch() {
        let cost = |each| Cost {
            constant: 0.0,
            each,
        };
        assert_eq!(deal(&[1, 1], &[cost(1.0), cost(1000.0)], 10), [9, 1]);
    }
}
