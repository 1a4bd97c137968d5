//! Rows of measured peaks of GPU memory.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::simulation::{Scenario, TrainingScenario};
use crate::stack::{GradientPrecision, LossMemory, SelectiveRecompute, Stack};
use crate::units::Bytes;

use super::case::{Case, CaseGroups, Figure, MemoryMeasure, Score, Subject};
use super::steps::JobCells;
use super::table::{CaseKind, MeasuredTable, Row, TableFaults};

/// Columns that a file of memory peaks must have; all others may be absent or empty.
const REQUIRED: [&str; 6] = ["id", "gpu", "gpus", "model", "global_batch", "measured_gib"];

/// The cases of a file of memory peaks.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(&REQUIRED, |row| case(row, catalog))
}

fn case(row: &mut Row<'_>, catalog: &Catalog) -> Case {
    let job = JobCells::read(row);
    let recipe = RecipeCells::read(row);
    let id = row.required_text("id").to_owned();
    let score = match row.text("score") {
        Some("yes") => Score::Value,
        _ => row.parsed("score").unwrap_or(Score::Value),
    };
    let measure = row.parsed("measure").unwrap_or(MemoryMeasure::Unknown);
    let ran = row.answer("fits").unwrap_or(true);
    let measured = if row.text("measured_gib").is_some() || (ran && score == Score::Value) {
        Some(row.measured("measured_gib"))
    } else {
        None
    };
    let stage = row.text("notes").and_then(stated_stage);
    let prepared = job.scenarios(catalog).map(|points| {
        let (_, mut scenario) = points
            .into_iter()
            .next_back()
            .expect("a job has at least one point");
        scenario.stack = Arc::new(recipe.applied(&scenario.stack));
        scenario
    });
    let (subject, family, stack) = match prepared {
        Ok(scenario) => {
            let TrainingScenario { model, stack, .. } = &scenario;
            let (family, stack) = (model.family.to_string(), stack.name.clone());
            let subject = Subject {
                points: vec![(1.0, Scenario::Training(Box::new(scenario)))],
                figure: Figure::Memory { measure, stage },
            };
            (Ok(subject), family, stack)
        }
        Err(reason) => (Err(reason), String::new(), String::new()),
    };
    let source = row.text("source").unwrap_or_default().to_owned();
    Case {
        id,
        kind: CaseKind::Memory,
        groups: CaseGroups {
            family,
            gpu: job.cluster.gpu_name().to_owned(),
            lineage: row.text("lineage").map_or(source.clone(), str::to_owned),
            source,
            stack,
            stated: job.is_stated(),
        },
        score,
        measured,
        ran,
        gpus: job.gpus,
        samples: job.global_batch,
        series: None,
        contest: String::new(),
        subject,
    }
}

/// The pipeline stage that a note limits a measurement to.
fn stated_stage(notes: &str) -> Option<u32> {
    let (_, after) = notes.split_once("STAGE ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Cells that state in which formats a run kept its state.
struct RecipeCells<'a> {
    precision: &'a str,
    optimizer: &'a str,
    attention: &'a str,
    recompute: &'a str,
}

impl<'a> RecipeCells<'a> {
    fn read(row: &Row<'a>) -> Self {
        Self {
            precision: row.text("precision").unwrap_or_default(),
            optimizer: row.text("optimizer").unwrap_or_default(),
            attention: row.text("attention").unwrap_or_default(),
            recompute: row.text("recompute").unwrap_or_default(),
        }
    }

    /// The stack with the formats that the row states.
    fn applied(&self, stack: &Stack) -> Stack {
        let mut stack = stack.clone();
        let recipe = &mut stack.recipe;
        if self.precision.contains("fp32 params") || self.precision.contains("fp32 sharded params")
        {
            recipe.fp32_parameters = true;
            recipe.optimizer_bytes = 8.0;
        }
        if self.precision.contains("fp32 grad") || self.precision.contains("params/grads") {
            stack.gradient_precision = GradientPrecision::Fp32;
        }
        if self.precision.contains("16-bit grads") || self.precision == "fp16" {
            stack.gradient_precision = GradientPrecision::Half;
        }
        if self.precision.contains("pure bf16") {
            recipe.fp32_parameters = false;
            stack.gradient_precision = GradientPrecision::Half;
            if recipe.loss == LossMemory::Separate {
                recipe.loss = LossMemory::Half;
            }
        }
        if self.optimizer.contains("bf16 states") {
            recipe.optimizer_bytes = 4.0;
        }
        if self.optimizer.contains("8bit") {
            recipe.optimizer_bytes = 2.0;
        }
        if self.recompute.starts_with("selective op") {
            stack.selective = SelectiveRecompute::Operations;
        }
        if self.attention == "unfused" {
            stack.attention = vec![crate::hardware::AttentionKernel::Unfused];
        } else if self.attention.starts_with("flash")
            && stack.attention == [crate::hardware::AttentionKernel::Unfused]
        {
            stack.attention = vec![
                crate::hardware::AttentionKernel::Flash2,
                crate::hardware::AttentionKernel::Flash1,
            ];
        }
        stack
    }
}

/// The stack as a measure sees it: what tensors take, what the allocator holds, or what the driver reports.
pub(super) fn seen_by(stack: &Stack, measure: MemoryMeasure) -> Stack {
    let mut stack = stack.clone();
    match measure {
        MemoryMeasure::Allocated => {
            stack.reserve.context = Bytes::ZERO;
            stack.reserve.fragmentation = 0.0;
            stack.reserve.flat_step = false;
        }
        MemoryMeasure::Reserved => stack.reserve.context = Bytes::ZERO,
        MemoryMeasure::Device | MemoryMeasure::Unknown => {}
    }
    stack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_limits_a_measurement_to_one_stage() {
        assert_eq!(stated_stage("GQA; PP STAGE 1 ONLY (ranks 4-7)"), Some(1));
        assert_eq!(stated_stage("max over 8 ranks"), None);
    }
}
