//! The fastest layout that fits.

use std::sync::Arc;

use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::layout::{Candidate, candidates};
use crate::simulation::training::memory;
use crate::simulation::training::play::Step;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::timeline::Timeline;
use crate::simulation::training::work::{ModelWork, WorkSource};
use crate::simulation::{Infeasible, Layout, MemoryFootprint, TrainingScenario};
use crate::stack::Recompute;
use crate::units::Bytes;

/// A layout that fits in memory.
#[derive(Clone, Debug)]
pub(super) struct Fitting {
    pub(super) layout: Layout,
    pub(super) work: Arc<ModelWork>,
    pub(super) memory: MemoryFootprint,
}

/// The layout that was chosen, with its step.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) fitting: Fitting,
    pub(super) step: Step,
    /// Layouts whose step was simulated.
    pub(super) tried: u32,
    /// Events of all their simulations.
    pub(super) events: u64,
}

/// Enumerates the layouts that divide, drops those that do not fit in memory, and simulates the others in the
/// order of their lower bounds until no bound is below the best step.
///
/// # Errors
/// If no layout divides, none fits, or none can communicate as asked.
pub(super) fn fastest(
    scenario: &TrainingScenario,
    source: &mut WorkSource,
    pricing: &mut Pricing,
    timeline: &mut Timeline,
) -> Result<Choice, Infeasible> {
    let mut fault = None;
    let mut bounded = Vec::new();
    for fitting in fitting(scenario, source, candidates(scenario)?)? {
        match StepCosts::of(scenario, &fitting.layout, &fitting.work, pricing) {
            Ok(costs) => bounded.push((costs.lower_bound(), fitting)),
            Err(cannot) => fault = fault.or(Some(cannot)),
        }
    }
    // The sort is stable: equal bounds stay in the order of the enumeration.
    bounded.sort_by_key(|(bound, _)| *bound);
    let mut best: Option<(Fitting, Step)> = None;
    let (mut tried, mut events) = (0, 0);
    for (bound, fitting) in bounded {
        if best.as_ref().is_some_and(|(_, step)| bound >= step.time()) {
            break;
        }
        // Priced a second time: few layouts are simulated, and the costs of all would take too much memory.
        let step = StepCosts::of(scenario, &fitting.layout, &fitting.work, pricing)
            .and_then(|costs| costs.play(pricing, timeline, &[]));
        match step {
            Ok(step) => {
                tried += 1;
                events += step.events;
                let order = |fitting: &Fitting, step: &Step| (step.time(), rank(&fitting.layout));
                let beats =
                    |(old, time): &(Fitting, Step)| order(&fitting, &step) < order(old, time);
                if best.as_ref().is_none_or(beats) {
                    best = Some((fitting, step));
                }
            }
            Err(cannot) => fault = fault.or(Some(cannot)),
        }
    }
    let Some((fitting, step)) = best else {
        return Err(fault.expect("a layout that fits has a bound, and the first is always played"));
    };
    Ok(Choice {
        fitting,
        step,
        tried,
        events,
    })
}

/// Tie-breaking order of layouts with equal step times.
fn rank(layout: &Layout) -> (u32, u32, u32, u32, u32, u32, u8) {
    let Layout {
        tp,
        pp,
        cp,
        ep,
        vpp,
        ..
    } = *layout;
    (
        tp,
        pp,
        cp,
        ep,
        vpp,
        layout.micro_batch,
        layout.zero.number(),
    )
}

/// Layouts that fit in memory, each with the policy that recomputes least.
fn fitting(
    scenario: &TrainingScenario,
    source: &mut WorkSource,
    candidates: Vec<Candidate>,
) -> Result<Vec<Fitting>, Infeasible> {
    let capacity = scenario.gpu.memory;
    let mut fitting = Vec::new();
    let mut least: Option<(Bytes, Layout)> = None;
    for Candidate {
        mut layout,
        recompute,
    } in candidates
    {
        let work = source.work(scenario, &layout);
        let mut fits = false;
        let mut needed = Bytes::ZERO;
        for &policy in recompute {
            layout.recompute = policy;
            let memory = least_recomputation(scenario, &mut layout, &work, recompute.len() > 1);
            needed = memory.total();
            if needed <= capacity {
                fitting.push(Fitting {
                    layout: layout.clone(),
                    work: work.clone(),
                    memory,
                });
                fits = true;
                break;
            }
        }
        if !fits && least.as_ref().is_none_or(|(bytes, _)| needed < *bytes) {
            least = Some((needed, layout));
        }
    }
    match least {
        Some((needed, layout)) if fitting.is_empty() => Err(Infeasible::OutOfMemory {
            needed,
            available: capacity,
            layout: in_words(&layout),
        }),
        Some(_) | None => Ok(fitting),
    }
}

/// Peak memory under the layout's policy. Full recomputation that the search chooses covers the fewest layers that
/// make it fit, in sixteenths, as frameworks take a number of layers.
fn least_recomputation(
    scenario: &TrainingScenario,
    layout: &mut Layout,
    work: &ModelWork,
    chosen: bool,
) -> MemoryFootprint {
    const PARTS: u32 = 16;
    layout.recomputed_share = scenario.layout.recomputed_share.unwrap_or(1.0);
    let whole = memory::peak(scenario, layout, work);
    if !chosen || layout.recompute != Recompute::Full || whole.total() > scenario.gpu.memory {
        return whole;
    }
    let (mut low, mut high, mut least) = (0, PARTS, whole);
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        layout.recomputed_share = f64::from(middle) / f64::from(PARTS);
        let peak = memory::peak(scenario, layout, work);
        if peak.total() <= scenario.gpu.memory {
            (high, least) = (middle, peak);
        } else {
            low = middle;
        }
    }
    layout.recomputed_share = f64::from(high) / f64::from(PARTS);
    least
}

/// Layout in the words of its axes: `tp 8, pp 4, dp 2, micro batch 1, zero 1, recompute none`.
fn in_words(layout: &Layout) -> String {
    let optional = |name: &str, size: u32| match size {
        1 => String::new(),
        size => format!(", {name} {size}"),
    };
    format!(
        "tp {}, pp {}, dp {}{}{}, micro batch {}, zero {}, recompute {}",
        layout.tp,
        layout.pp,
        layout.dp,
        optional("cp", layout.cp),
        optional("ep", layout.ep),
        layout.micro_batch,
        layout.zero,
        layout.recompute
    )
}
