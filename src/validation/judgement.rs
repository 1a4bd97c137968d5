//! Simulating cases, many at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;

use crate::simulation::{
    self, Infeasible, MemoryFootprint, Outcome, Scenario, Scratch, TrainingScenario,
};

use super::case::{Case, CaseResult, CaseStatus, Figure, Judged, MemoryMeasure, Subject};
use super::memory::seen_by;

/// Simulates every case, in parallel; the order stays.
pub fn judge(cases: Vec<Case>) -> Vec<Judged> {
    cases
        .into_par_iter()
        .map_init(Scratch::default, |scratch, case| {
            let result = match &case.subject {
                Ok(subject) => guarded(subject, scratch),
                Err(reason) => CaseResult::missed(CaseStatus::Unsupported, reason.clone()),
            };
            Judged { case, result }
        })
        .collect()
}

/// The result of a case; a fault of the simulator is a miss with its message, as it is a row of a run.
fn guarded(subject: &Subject, scratch: &mut Scratch) -> CaseResult {
    match catch_unwind(AssertUnwindSafe(|| result(subject, scratch))) {
        Ok(result) => result,
        Err(panic) => {
            *scratch = Scratch::default();
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let reason = format!("the simulator failed on this row: {message}");
            CaseResult::missed(CaseStatus::Unsupported, reason)
        }
    }
}

fn result(subject: &Subject, scratch: &mut Scratch) -> CaseResult {
    if let Figure::Arrival(at) = subject.figure {
        return CaseResult::predicted(at.as_secs_f64());
    }
    let mut sum = 0.0;
    for (weight, scenario) in &subject.points {
        let value = match (subject.figure, scenario) {
            (Figure::Time | Figure::Arrival(_), _) => time(scenario, scratch),
            (Figure::Memory { measure, stage }, Scenario::Training(scenario)) => {
                return memory(scenario, measure, stage, scratch);
            }
            (Figure::Memory { .. }, Scenario::Collective(_)) => {
                let reason = "a collective has no peak of memory".to_owned();
                return CaseResult::missed(CaseStatus::Unsupported, reason);
            }
        };
        match value {
            Ok(value) => sum += weight * value,
            Err(reason) => return CaseResult::missed(CaseStatus::Infeasible, reason.to_string()),
        }
    }
    CaseResult::predicted(sum)
}

fn time(scenario: &Scenario, scratch: &mut Scratch) -> Result<f64, Infeasible> {
    match simulation::simulate(scenario, scratch) {
        Outcome::Completed(report) => Ok(report.step_time().as_secs_f64()),
        Outcome::Communicated(report) => Ok(report.time.as_secs_f64()),
        Outcome::Infeasible(reason) => Err(reason),
    }
}

/// The peak as the measure sees it, and whether the whole fits the GPU.
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
    let held = footprints.iter().map(MemoryFootprint::total);
    let peak = match stage {
        Some(stage) => held.clone().nth(stage as usize),
        None => held.clone().max(),
    };
    let predicted = peak.map(crate::units::Bytes::as_gib);
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
