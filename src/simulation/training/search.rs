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
use crate::units::{Bytes, SimDuration};

/// The layout that was chosen, with its step.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) layout: Layout,
    pub(super) work: Arc<ModelWork>,
    pub(super) memory: MemoryFootprint,
    pub(super) step: Step,
    /// Layouts whose step was played.
    pub(super) tried: u32,
    /// Events of all of them.
    pub(super) events: u64,
}

/// A layout that fits, with the time that it cannot beat.
struct Bounded {
    layout: Layout,
    work: Arc<ModelWork>,
    memory: MemoryFootprint,
    bound: SimDuration,
}

/// Enumerates the layouts that divide, drops those that do not fit, and plays the others in the
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
    let mut fitting = fitting(scenario, source, candidates(scenario)?)?;
    let mut fault = None;
    let mut bounded = Vec::with_capacity(fitting.len());
    for mut layout in fitting.drain(..) {
        match StepCosts::of(scenario, &layout.layout, &layout.work, pricing) {
            Ok(costs) => {
                layout.bound = costs.lower_bound();
                bounded.push(layout);
            }
            Err(cannot) => fault = fault.or(Some(cannot)),
        }
    }
    // The sort is stable: equal bounds stay in the order of the enumeration.
    bounded.sort_by_key(|layout| layout.bound);
    let mut best: Option<Choice> = None;
    let (mut tried, mut events) = (0, 0);
    for Bounded {
        layout,
        work,
        memory,
        bound,
    } in bounded
    {
        let beaten = |best: &Choice| bound >= best.step.device.shares.total();
        if best.as_ref().is_some_and(beaten) {
            break;
        }
        let step = StepCosts::of(scenario, &layout, &work, pricing)
            .and_then(|costs| costs.play(pricing, timeline, &[]));
        let step = match step {
            Ok(step) => step,
            Err(cannot) => {
                fault = fault.or(Some(cannot));
                continue;
            }
        };
        tried += 1;
        events += step.events;
        let faster = |best: &Choice| {
            let (new, old) = (step.device.shares.total(), best.step.device.shares.total());
            (new, rank(&layout)) < (old, rank(&best.layout))
        };
        if best.as_ref().is_none_or(faster) {
            best = Some(Choice {
                layout,
                work,
                memory,
                step,
                tried: 0,
                events: 0,
            });
        }
    }
    match (best, fault) {
        (Some(best), _) => Ok(Choice {
            tried,
            events,
            ..best
        }),
        (None, Some(fault)) => Err(fault),
        (None, None) => {
            unreachable!("a layout that fits has a bound, and the first is always played")
        }
    }
}

/// Order in which ties are broken.
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
) -> Result<Vec<Bounded>, Infeasible> {
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
                let bound = SimDuration::ZERO;
                fitting.push(Bounded {
                    layout: layout.clone(),
                    work: work.clone(),
                    memory,
                    bound,
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

/// The peak under the layout's policy. Full recomputation that the search chooses covers the fewest layers that
/// make it fit, in sixteenths, as frameworks name a number of layers.
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

/// A layout in the words of its axes.
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
