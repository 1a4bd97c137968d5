//! Steps of a layout that was dealt to replicas of several types of GPU.

use crate::simulation::{
    GpuPool, Infeasible, Layout, LayoutRequest, NetworkUse, PoolReport, StepReport,
    TrainingScenario,
};
use crate::units::{Flops, SimDuration};

/// Replicas of one type in a step.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The job as if all GPUs were of the type.
    job: TrainingScenario,
    step: StepReport,
    /// Share of all replicas, 0–1.
    share: f64,
}

/// Microbatches dealt to the replicas of every type, with what that takes.
#[derive(Clone, Debug)]
pub(super) struct Dealt {
    pub(super) parts: Vec<Part>,
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

impl Dealt {
    /// The job as if all GPUs were of the type that takes longest, with the layout and the microbatches that it has.
    pub(super) fn pacing(mut self) -> TrainingScenario {
        let longest = self.longest();
        self.parts.swap_remove(longest).job
    }

    /// Counts layouts and events beside those of the steps.
    pub(super) fn count(&mut self, layouts: u32, events: u64) {
        for part in &mut self.parts {
            (part.step.layouts_tried, part.step.events) = (layouts, events);
        }
    }

    pub(super) fn step_time(&self) -> SimDuration {
        self.parts[self.longest()].step.step_time()
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
    /// Replicas of a type with the step that they take.
    ///
    /// # Errors
    /// If they have more samples than a step can have.
    pub(super) fn of(
        scenario: &TrainingScenario,
        pool: &GpuPool,
        step: StepReport,
    ) -> Result<Self, Infeasible> {
        let job = of_type(scenario, pool, &step.layout, step.layout.microbatches)?;
        let share = f64::from(pool.gpus) / f64::from(scenario.gpus);
        Ok(Self { job, step, share })
    }

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
