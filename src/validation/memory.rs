//! Rows of measured peaks of GPU memory.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::{AttentionKernel, Precision};
use crate::stack::{GradientPrecision, LossMemory, SelectiveRecompute, Stack};
use crate::units::Bytes;

use super::case::{Case, Subject};
use crate::measured::TableFaults;
use crate::measured::cells::{Index, Positive, Stated};
use crate::measured::job::JobRow;
use crate::measured::table::{MeasuredTable, Row, columns};
use crate::measured::{CaseKind, MemoryMeasure, Score};

columns! {
    /// Measured memory of a job, and the formats in which the run kept its state.
    pub(super) struct MemoryRow {
        measured_gib: Option<Positive>,
        fits: Option<bool>,
        measure: Option<MemoryMeasure>,
        stage: Option<Index>,
        parameters: Option<Stated<Precision>>,
        gradients: Option<GradientPrecision>,
        optimizer_bytes: Option<f64>,
        loss_memory: Option<LossMemory>,
        gathered_ends: Option<bool>,
        selective_recompute: Option<SelectiveRecompute>,
    }
}

/// Reads the cases of a file of memory peaks.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(|row, (job, memory): (JobRow, MemoryRow)| {
        let ran = memory.fits.unwrap_or(true);
        let case = Case {
            measured: memory.measured_gib.map(|size| size.0),
            ran,
            ..Case::of_job(&job, CaseKind::Memory, memory.subject(&job, catalog))
        };
        if ran && case.score == Score::Value && case.measured.is_none() {
            row.fault("measured_gib", Row::EMPTY);
        }
        case
    })
}

impl MemoryRow {
    /// Memory of the job, of the larger batch where its microbatches do not divide the batch.
    fn subject(&self, job: &JobRow, catalog: &Catalog) -> Result<Subject, String> {
        let (_, mut scenario) = job
            .scenarios(catalog)?
            .pop()
            .expect("a job has at least one point");
        scenario.stack = Arc::new(self.recipe(&scenario.stack, job.attention.as_deref())?);
        Ok(Subject::Memory {
            scenario: Box::new(scenario),
            measure: self.measure.unwrap_or(MemoryMeasure::Unknown),
            stage: self.stage.map(|stage| stage.0),
        })
    }

    /// The stack with the formats of the row.
    fn recipe(&self, stack: &Stack, attention: Option<&str>) -> Result<Stack, String> {
        let mut stack = stack.clone();
        let recipe = &mut stack.recipe;
        if let Some(precision) = &self.parameters {
            let precision = precision.clone().map_err(|error| error.to_string())?;
            recipe.fp32_parameters = precision == Precision::Fp32;
        }
        recipe.loss = self.loss_memory.unwrap_or(recipe.loss);
        recipe.gathered_ends = self.gathered_ends.unwrap_or(recipe.gathered_ends);
        if let Some(bytes) = self.optimizer_bytes {
            recipe.optimizer_bytes = bytes;
        }
        stack.gradient_precision = self.gradients.unwrap_or(stack.gradient_precision);
        stack.selective = self.selective_recompute.unwrap_or(stack.selective);
        let unfused = [AttentionKernel::Unfused];
        match attention {
            Some("unfused") => stack.attention = unfused.into(),
            Some(name) if name.starts_with("flash") && stack.attention == unfused => {
                stack.attention = vec![AttentionKernel::Flash2, AttentionKernel::Flash1];
            }
            Some(_) | None => {}
        }
        Ok(stack)
    }
}

/// The stack with those memory reserves that a measure includes.
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
