//! Simulation of cases, in parallel.

use std::sync::Arc;

use rayon::prelude::*;

use crate::hardware::Gpu;
use crate::simulation::{
    self, Infeasible, MemoryFootprint, Outcome, Scenario, Scratch, TrainingScenario, guarded,
};
use crate::units::Bytes;

use super::case::{Case, CaseResult, CaseStatus, Judged, Subject};
use super::memory::seen_by;
use crate::measured::MemoryMeasure;

/// Simulates every case, in parallel; keeps the order.
pub fn judge(cases: Vec<Case>) -> Vec<Judged> {
    cases
        .into_par_iter()
        .map_init(Scratch::default, |scratch, case| {
            let result = match &case.subject {
                Ok(subject) => played(subject, scratch),
                Err(reason) => CaseResult::missed(CaseStatus::Unsupported, reason.clone()),
            };
            Judged { case, result }
        })
        .collect()
}

/// Result of a case; a panic of the simulator is a crash with the panic's message.
fn played(subject: &Subject, scratch: &mut Scratch) -> CaseResult {
    guarded(scratch, |scratch| result(subject, scratch)).unwrap_or_else(|crash| {
        let reason = format!("the simulator crashed: {crash}");
        CaseResult::missed(CaseStatus::Crashed, reason)
    })
}

fn result(subject: &Subject, scratch: &mut Scratch) -> CaseResult {
    match subject {
        Subject::Time(points) => {
            let weighted = points
                .iter()
                .map(|(weight, scenario)| Ok(weight * time(scenario, scratch)?));
            match weighted.sum::<Result<f64, Infeasible>>() {
                Ok(sum) => CaseResult::predicted(sum),
                Err(reason) => with_more_memory(points, &reason, scratch),
            }
        }
        Subject::Memory {
            scenario,
            measure,
            stage,
        } => memory(scenario, *measure, *stage, scratch),
        Subject::Arrival(at) => CaseResult::predicted(at.as_secs_f64()),
    }
}

/// Result of jobs of which one was refused: where that was for want of memory, their time on GPUs that have as much as the
/// leanest layout needs, since a run that was measured had it.
fn with_more_memory(
    points: &[(f64, Scenario)],
    refusal: &Infeasible,
    scratch: &mut Scratch,
) -> CaseResult {
    let times = points.iter().map(|(weight, scenario)| {
        let time = match time(scenario, scratch) {
            Err(Infeasible::OutOfMemory { needed, .. }) => {
                time(&given_memory(scenario, needed), scratch)?
            }
            other => other?,
        };
        Ok(weight * time)
    });
    let reason = refusal.to_string();
    match times.sum::<Result<f64, Infeasible>>() {
        Ok(sum) => CaseResult {
            status: CaseStatus::OverMemory,
            predicted: Some(sum),
            reason: Some(reason),
        },
        Err(_) => CaseResult::missed(CaseStatus::Infeasible, reason),
    }
}

/// The same job on GPUs of so much memory.
fn given_memory(scenario: &Scenario, memory: Bytes) -> Scenario {
    match scenario {
        Scenario::Training(job) => {
            let mut job = job.clone();
            job.gpu = Arc::new(Gpu {
                memory,
                ..Gpu::clone(&job.gpu)
            });
            Scenario::Training(job)
        }
        Scenario::Collective(_) => scenario.clone(),
    }
}

fn time(scenario: &Scenario, scratch: &mut Scratch) -> Result<f64, Infeasible> {
    match simulation::simulate(scenario, scratch) {
        Outcome::Completed(report) => Ok(report.step_time().as_secs_f64()),
        Outcome::Communicated(report) => Ok(report.time.as_secs_f64()),
        Outcome::Infeasible(reason) => Err(reason),
    }
}

/// Predicted memory peak under a measure, and whether the job fits into the GPU's memory.
fn memory(
    scenario: &TrainingScenario,
    measure: MemoryMeasure,
    stage: Option<u32>,
    scratch: &mut Scratch,
) -> CaseResult {
    let seen = TrainingScenario {
        stack: Arc::new(seen_by(&scenario.stack, measure)),
        ..scenario.clone()
    };
    let footprints = match simulation::stage_memory(&seen, scratch) {
        Ok(footprints) => footprints,
        Err(reason) => return CaseResult::missed(CaseStatus::Infeasible, reason.to_string()),
    };
    if let Some(stage) = stage.filter(|stage| *stage as usize >= footprints.len()) {
        let last = footprints.len() - 1;
        let reason =
            format!("the row is about pipeline stage {stage}, the layout has stages 0 to {last}");
        return CaseResult::missed(CaseStatus::Unsupported, reason);
    }
    let mut held = footprints.iter().map(MemoryFootprint::total);
    let peak = match stage {
        Some(stage) => held.nth(stage as usize),
        None => held.max(),
    };
    let predicted = peak.map(Bytes::as_gib);
    let outcome = simulation::simulate(&Scenario::Training(Box::new(scenario.clone())), scratch);
    let (status, reason) = match outcome {
        Outcome::Completed(_) | Outcome::Communicated(_) => (CaseStatus::Ok, None),
        Outcome::Infeasible(reason) => (CaseStatus::Infeasible, Some(reason.to_string())),
    };
    CaseResult {
        status,
        predicted,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::validation::CaseKind;

    // GPT-3 13B with Adam's 16 bytes a parameter over two stages takes 107 GB a GPU, which 80 GB do not hold: the run that was
    // measured is timed all the same, as on a GPU with that memory, and counts as a miss.
    #[test]
    fn a_run_that_was_measured_is_timed_though_it_should_not_fit() {
        let catalog = Catalog::builtin();
        let job = |gpu: &str| {
            let mut job = TrainingScenario::new(
                catalog.models["gpt3-13b"].clone(),
                catalog.gpus[gpu].clone(),
                catalog.clusters["dgx-h100"].clone(),
                catalog.stacks["current"].clone(),
            );
            job.gpus = 2;
            job.workload.global_batch = 4;
            (job.layout.tp, job.layout.pp) = (Some(1), Some(2));
            job
        };
        let small = job("h100-sxm");
        let mut large = small.clone();
        large.gpu = Arc::new(Gpu {
            memory: Bytes::new(1 << 40),
            ..Gpu::clone(&large.gpu)
        });
        let case = |job: &TrainingScenario| {
            let scenario = Scenario::Training(Box::new(job.clone()));
            let subject = Subject::Time(vec![(1.0, scenario)]);
            Case::new(CaseKind::Step, "13b".to_owned(), Ok(subject))
        };
        let judged = judge(vec![case(&small), case(&large)]);
        let [small, large] = [0, 1].map(|at: usize| judged[at].result.clone());
        assert_eq!(small.status, CaseStatus::OverMemory);
        assert!(judged[0].is_miss() && !judged[1].is_miss());
        assert!(small.reason.is_some_and(|reason| reason.contains("memory")));
        // With memory to spare nothing is recomputed.
        assert!(small.predicted >= large.predicted && large.predicted.is_some());
    }

    // A microbatch of no samples, which no file can ask for, makes the simulator divide by zero; the row beside it
    // runs all the same.
    #[test]
    fn a_panic_of_the_simulator_is_a_crashed_row_and_the_others_run() {
        let catalog = Catalog::builtin();
        let mut job = TrainingScenario::new(
            catalog.models["gpt3-1.3b"].clone(),
            catalog.gpus["h100-sxm"].clone(),
            catalog.clusters["dgx-h100"].clone(),
            catalog.stacks["current"].clone(),
        );
        let case = |id: &str, job: &TrainingScenario| {
            let scenario = Scenario::Training(Box::new(job.clone()));
            let subject = Subject::Time(vec![(1.0, scenario)]);
            Case::new(CaseKind::Step, id.to_owned(), Ok(subject))
        };
        let good = case("good", &job);
        job.stack = job.stack.with_partial_microbatches();
        job.layout.micro_batch = Some(0);
        let judged = judge(vec![good.clone(), case("bad", &job), good]);
        let statuses: Vec<CaseStatus> = judged.iter().map(|row| row.result.status).collect();
        assert_eq!(
            statuses,
            [CaseStatus::Ok, CaseStatus::Crashed, CaseStatus::Ok]
        );
        let reason = judged[1].result.reason.as_deref();
        assert_eq!(
            reason,
            Some("the simulator crashed: attempt to divide by zero")
        );
        assert!(judged[1].is_miss());
    }
}
