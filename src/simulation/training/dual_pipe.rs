//! DualPipe as the same schedule cut in half.
//!
//! DualPipe sends half of the microbatches from either end of the pipeline, so that the ranks r and p − 1 − r hold the same two
//! stages, and each does with one half what the other does with the other. Cut in half (the blog of Sea AI Lab that
//! deepseek-ai/DualPipe refers to), the first p/2 ranks are a pipeline in a V whose microbatches go there and back,
//! and the others its replicas: the passes of a rank, their times, and what it holds are the same. So a layout is played with half the
//! stages and twice the replicas, each of which has half the microbatches; the turn is a send, between the ranks in the
//! middle.

use std::borrow::Cow;

use crate::simulation::{Infeasible, Layout, TrainingScenario, Unstated};
use crate::stack::PipelineSchedule;

/// The job whose layouts are played for one that asks for DualPipe; others are played as they are.
///
/// # Errors
/// If DualPipe cannot have its stages or chunks.
pub(super) fn folded(scenario: &TrainingScenario) -> Result<Cow<'_, TrainingScenario>, Infeasible> {
    if scenario.layout.schedule != Some(PipelineSchedule::DualPipe) {
        return Ok(Cow::Borrowed(scenario));
    }
    let mut folded = scenario.clone();
    let layout = &mut folded.layout;
    if let Some(vpp) = layout.vpp.filter(|vpp| *vpp != 1) {
        return Err(Infeasible::Unsupported(format!(
            "schedule dualpipe has one chunk per stage and direction, vpp is {vpp}: leave vpp out or give 1"
        )));
    }
    layout.vpp = None;
    if let Some(pp) = layout.pp.filter(|pp| *pp > 1) {
        if pp < 4 || pp % 2 == 1 {
            return Err(Infeasible::Limit(format!(
                "schedule dualpipe takes an even number of stages from 4 on, pp is {pp}"
            )));
        }
        layout.pp = Some(pp / 2);
        layout.dp = layout.dp.map(|dp| dp.saturating_mul(2));
    }
    Ok(Cow::Owned(folded))
}

/// The same job asking for DualPipe, where the search may choose it.
pub(super) fn alternative(scenario: &TrainingScenario) -> Option<TrainingScenario> {
    let dual_pipe = PipelineSchedule::DualPipe;
    let layout = &scenario.layout;
    let may = layout.unstated == Unstated::Fastest
        && layout.schedule.is_none()
        && layout.pp != Some(1)
        && scenario.stack.offers.schedules.contains(&dual_pipe);
    may.then(|| {
        let mut paired = scenario.clone();
        paired.layout.schedule = Some(dual_pipe);
        paired
    })
}

/// The layout that a played one stands for.
pub(super) fn unfolded(layout: &Layout) -> Layout {
    if layout.schedule != PipelineSchedule::DualPipe {
        return layout.clone();
    }
    Layout {
        pp: 2 * layout.pp,
        dp: layout.dp / 2,
        vpp: 1,
        microbatches: 2 * layout.microbatches,
        ..layout.clone()
    }
}

/// The layout that is played for one.
pub(super) fn played(layout: &Layout) -> Layout {
    if layout.schedule != PipelineSchedule::DualPipe {
        return layout.clone();
    }
    Layout {
        pp: layout.pp / 2,
        dp: 2 * layout.dp,
        vpp: 2,
        microbatches: layout.microbatches / 2,
        ..layout.clone()
    }
}
