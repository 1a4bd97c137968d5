//! Simulation of cases, in parallel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;

use crate::simulation::{
    self, Infeasible, MemoryFootprint, Outcome, Scenario, Scratch, TrainingScenario,
};
use crate::units::Bytes;

use super::case::{Case, CaseResult, CaseStatus, Judged, MemoryMeasure, Subject};
use super::memory::seen_by;

/// Simulates every case, in parallel; keeps the order.
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

/// Result of a case; a panic of the simulator makes the case unsupported, with the panic's message.
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
    match subject {
        Subject::Time(points) => {
            let weighted = points
                .iter()
                .map(|(weight, scenario)| Ok(weight * time(scenario, scratch)?));
            match weighted.sum::<Result<f64, Infeasible>>() {
                Ok(sum) => CaseResult::predicted(sum),
                Err(reason) => CaseResult::missed(CaseStatus::Infeasible, reason.to_string()),
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
