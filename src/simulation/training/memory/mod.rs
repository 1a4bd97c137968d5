//! Peak memory of each pipeline stage.
//!
//! The peak of a stage is the fullest of four moments: when gradients of the loss are
//! computed, at the start and at the end of the layers' backward pass, and when the optimizer
//! steps. Activations are freed while gradients appear, so that the two never add up in full unless
//! the gradients persist from an earlier microbatch or step.

pub(super) mod model_state;
#[cfg(test)]
mod tests;
mod unsharded;

use crate::simulation::training::schedule::{self, PipelineSize};
use crate::simulation::training::work::{LayerWork, ModelWork};
use crate::simulation::{Layout, MemoryFootprint, TrainingScenario};
use crate::stack::PipelineSchedule;
use crate::units::Bytes;

use model_state::State;
use unsharded::{Policy, Unsharded};

/// Footprint of the fullest stage.
pub(super) fn peak(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
) -> MemoryFootprint {
    (0..layout.pp)
        .map(|stage| footprint(scenario, layout, work, stage))
        .max_by_key(MemoryFootprint::total)
        .expect("a pipeline has at least one stage")
}

/// Peak footprint of one stage.
pub(super) fn footprint(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
    stage: u32,
) -> MemoryFootprint {
    let held = Unsharded::of(scenario, layout, work, stage);
    let state = State::of(scenario, layout, &held);
    let activations = Activations::of(scenario, layout, &held, stage);
    let peak = moments(scenario, layout, &state, &activations)
        .into_iter()
        .max_by_key(MemoryFootprint::total)
        .expect("there are four moments");
    let reserve = &scenario.stack.reserve;
    let tensors = peak.total().as_f64();
    let tight = reserve.fragmentation.min(TIGHT_FRAGMENTATION);
    let held = MemoryFootprint {
        buffers: peak.buffers + reserve.context + Bytes::from_f64(tensors * tight),
        ..peak
    };
    let room = scenario.gpu.memory.saturating_sub(held.total());
    let mut cached = Bytes::from_f64(tensors * (reserve.fragmentation - tight));
    // The step's flat blocks fit in no freed activation, so they are allocated on top.
    if reserve.flat_step && peak.activations > Bytes::ZERO {
        cached += state.copies;
    }
    MemoryFootprint {
        buffers: held.buffers + cached.min(room),
        ..held
    }
}

/// Fragmentation that always takes memory: reserved over allocated memory is 1.03 to 1.09 where both were
/// measured (SimuMax v1.2, 16 runs). What a stack has above it is cache, which is given back before memory runs out.
const TIGHT_FRAGMENTATION: f64 = 0.09;

/// Footprint at each of the four moments, tensors alone.
fn moments(
    scenario: &TrainingScenario,
    layout: &Layout,
    state: &State,
    activations: &Activations,
) -> [MemoryFootprint; 4] {
    let lives_on = scenario.stack.recipe.persistent_gradients || layout.microbatches > 1;
    let earlier = if lives_on {
        state.gradients
    } else {
        state.first_gradients
    };
    let buffers = state.stand_ins + state.buckets;
    let at_work = buffers + state.layer_gradients;
    let passes = MemoryFootprint {
        weights: state.weights + state.whole,
        gradients: earlier,
        optimizer: state.optimizer,
        activations: Bytes::ZERO,
        buffers,
    };
    [
        MemoryFootprint {
            gradients: if lives_on { earlier } else { Bytes::ZERO },
            activations: Bytes::new(activations.loss),
            ..passes
        },
        MemoryFootprint {
            activations: Bytes::new(activations.first_backward),
            buffers: at_work + state.gathered,
            ..passes
        },
        MemoryFootprint {
            weights: state.weights,
            gradients: state.gradients,
            activations: Bytes::new(activations.last_backward),
            buffers: at_work + state.last_gathered,
            ..passes
        },
        MemoryFootprint {
            weights: state.weights,
            gradients: state.gradients,
            optimizer: state.optimizer + state.copies,
            ..passes
        },
    ]
}

/// Activations of a stage at three moments of a microbatch, in bytes.
struct Activations {
    /// While gradients of the loss are computed.
    loss: u64,
    /// During the backward pass of the last layer, which runs first.
    first_backward: u64,
    /// During the backward pass of the first layer, which runs last, when no other microbatch is in flight.
    last_backward: u64,
}

impl Activations {
    fn of(scenario: &TrainingScenario, layout: &Layout, held: &Unsharded, stage: u32) -> Self {
        let pipeline = PipelineSize {
            stages: layout.pp,
            chunks: layout.vpp,
            microbatches: layout.microbatches,
        };
        let chunks = u64::from(schedule::in_flight(layout.schedule, pipeline, stage));
        let output = if scenario.stack.recipe.holds_stage_outputs {
            held.output
        } else {
            0
        };
        let kept = (held.kept + held.embedding) * chunks / held.chunks + output * chunks;
        let losses = match layout.schedule {
            PipelineSchedule::GPipe => chunks,
            PipelineSchedule::OneFOneB | PipelineSchedule::Interleaved | PipelineSchedule::ZbH1 => {
                1
            }
        };
        Self {
            loss: kept + held.head * losses + held.head_transient,
            first_backward: kept + held.head * (losses - 1) + held.working,
            last_backward: held.embedding + held.layer,
        }
    }
}

/// Bytes that a layer keeps of one microbatch from forward to backward.
pub(super) fn kept(scenario: &TrainingScenario, layout: &Layout, layer: &LayerWork) -> u64 {
    Policy::of(scenario, layout).kept(layer)
}
