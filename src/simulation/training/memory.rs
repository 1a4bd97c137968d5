//! Bytes that each pipeline stage holds at its peak.

use crate::simulation::training::schedule::{self, Pipeline};
use crate::simulation::training::work::{LayerWork, ModelWork};
use crate::simulation::{Layout, MemoryFootprint, TrainingScenario};
use crate::stack::{GradientPrecision, PipelineSchedule, Recompute, ZeroStage};
use crate::units::Bytes;

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

/// Footprint of one stage.
pub(super) fn footprint(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
    stage: u32,
) -> MemoryFootprint {
    let held = Held::of(layout, work, stage);
    let state = state(scenario, layout, &held);
    let activations = activations(layout, &held, stage);
    let reserve = &scenario.stack.reserve;
    let copies = gradient_copies(scenario, layout, &held);
    let state = MemoryFootprint {
        // The copies are made at the step, when no activation is left.
        optimizer: state.optimizer + copies.saturating_sub(Bytes::new(activations)),
        gradients: gradients_at_peak(scenario, layout, state.gradients, Bytes::new(activations)),
        ..state
    };
    let tensors = state.total().get() + activations;
    let fragmentation = tensors as f64 * reserve.fragmentation;
    let gathered = if layout.zero == ZeroStage::Z3 {
        // Two layers are gathered at a time, besides the embedding or head.
        2 * held.largest_layer * layout.precision.storage_bytes()
    } else {
        0
    };
    MemoryFootprint {
        activations: Bytes::new(activations),
        buffers: reserve.context + Bytes::from_f64(fragmentation) + Bytes::new(gathered),
        ..state
    }
}

/// Gradients that are there when most is held. Buffers that are freed with the step grow, in its only microbatch,
/// while activations shrink, so only what exceeds these adds to the peak.
fn gradients_at_peak(
    scenario: &TrainingScenario,
    layout: &Layout,
    gradients: Bytes,
    activations: Bytes,
) -> Bytes {
    if scenario.stack.recipe.persistent_gradients || layout.microbatches > 1 {
        gradients
    } else {
        gradients.saturating_sub(activations)
    }
}

/// Gradients in fp32 that an optimizer with fp32 master weights makes of 16-bit ones when it steps.
fn gradient_copies(scenario: &TrainingScenario, layout: &Layout, held: &Held) -> Bytes {
    let stack = &scenario.stack;
    let full_precision = layout.precision.storage_bytes() == 4;
    let copies = match stack.gradient_precision {
        GradientPrecision::Half => {
            !full_precision && !stack.recipe.fp32_parameters && stack.recipe.optimizer_bytes >= 12.0
        }
        GradientPrecision::Fp32 => false,
    };
    if !copies {
        return Bytes::ZERO;
    }
    let (dense, expert) = if layout.zero == ZeroStage::Z0 {
        (1, 1)
    } else {
        replicas(scenario, layout)
    };
    let share = |count: u64, replicas: u32| 4.0 * count as f64 / f64::from(replicas);
    Bytes::from_f64(share(held.dense, dense) + share(held.expert, expert))
}

/// What a stage holds, layer by layer added up.
#[derive(Default)]
struct Held {
    dense: u64,
    expert: u64,
    largest_layer: u64,
    /// Kept per microbatch by the layers of all chunks.
    kept: u64,
    chunks: u64,
    /// Kept per microbatch by embedding and head.
    embedding: u64,
    head: u64,
    /// Most that one layer's backward pass holds besides what was kept.
    working: u64,
}

impl Held {
    fn of(layout: &Layout, work: &ModelWork, stage: u32) -> Self {
        let mut held = Self {
            chunks: u64::from(layout.vpp),
            ..Self::default()
        };
        let stages = (layout.pp * layout.vpp) as usize;
        for chunk in 0..layout.vpp {
            let place = (chunk * layout.pp + stage) as usize;
            for &kind in layers_of(layout, work, place) {
                held.add_layer(&work.kinds[usize::from(kind)], layout);
            }
            if place == 0 {
                held.add_parameters(&work.embedding);
                held.embedding += work.embedding.kept.none.get();
            }
            if place + 1 == stages {
                held.add_parameters(&work.head);
                held.head += work.head.kept.none.get() + work.head.kept.transient.get();
                if let Some(mtp) = &work.mtp {
                    for _ in 0..work.mtp_layers {
                        held.add_layer(mtp, layout);
                    }
                }
            }
        }
        held
    }

    fn add_layer(&mut self, layer: &LayerWork, layout: &Layout) {
        self.add_parameters(layer);
        let kept = match layout.recompute {
            Recompute::None => layer.kept.none,
            Recompute::Selective => layer.kept.selective,
            Recompute::Full => {
                let share = layout.recomputed_share;
                layer.kept.full.scaled(share) + layer.kept.none.scaled(1.0 - share)
            }
        };
        self.kept += kept.get();
        let rebuilt = layer.kept.none.saturating_sub(kept);
        self.working = self.working.max(rebuilt.get() + layer.kept.transient.get());
    }

    fn add_parameters(&mut self, layer: &LayerWork) {
        self.dense += layer.parameters.dense;
        self.expert += layer.parameters.expert;
        self.largest_layer = self
            .largest_layer
            .max(layer.parameters.dense + layer.parameters.expert);
    }
}

/// Kinds of the layers of one virtual stage.
pub(super) fn layers_of<'a>(layout: &Layout, work: &'a ModelWork, place: usize) -> &'a [u16] {
    if layout.layers_per_stage.is_empty() {
        return &work.sequence;
    }
    let before: u32 = layout.layers_per_stage[..place].iter().sum();
    let count = layout.layers_per_stage[place];
    &work.sequence[before as usize..(before + count) as usize]
}

/// Weights, gradients and optimizer states.
///
/// Mixed precision keeps 16-bit weights, and in the optimizer fp32 master weights with two moments
/// (12 bytes per parameter); ZeRO divides by the replicas what its stage covers (arXiv 1910.02054,
/// section 5). The recipes that keep fp32 weights alone have no master copy.
fn state(scenario: &TrainingScenario, layout: &Layout, held: &Held) -> MemoryFootprint {
    let stack = &scenario.stack;
    let full_precision = layout.precision.storage_bytes() == 4;
    let fp32_weights = stack.recipe.fp32_parameters || full_precision;
    let weight_bytes = if fp32_weights { 4.0 } else { 2.0 };
    let gradient_bytes = match stack.gradient_precision {
        GradientPrecision::Half if !fp32_weights => 2.0,
        GradientPrecision::Fp32 if stack.recipe.late_accumulation && !fp32_weights => 6.0,
        GradientPrecision::Half | GradientPrecision::Fp32 => 4.0,
    };
    let optimizer_bytes = if fp32_weights {
        stack.recipe.optimizer_bytes.min(8.0)
    } else {
        stack.recipe.optimizer_bytes
    };
    let zero = layout.zero.number();
    let amount = |bytes: f64, sharded_from: u8| {
        let (dense, expert) = replicas(scenario, layout);
        let share = |count: u64, replicas: u32| {
            let all = count as f64 * bytes;
            if zero >= sharded_from {
                all / f64::from(replicas)
            } else {
                all
            }
        };
        Bytes::from_f64(share(held.dense, dense) + share(held.expert, expert))
    };
    MemoryFootprint {
        weights: amount(weight_bytes, 3),
        gradients: amount(gradient_bytes, 2),
        optimizer: amount(optimizer_bytes, 1),
        activations: Bytes::ZERO,
        buffers: Bytes::ZERO,
    }
}

/// Ranks over which dense and expert parameters are replicated.
pub(super) fn replicas(scenario: &TrainingScenario, layout: &Layout) -> (u32, u32) {
    let expert = scenario.gpus / (layout.pp * layout.etp * layout.ep);
    (layout.dp * layout.cp, expert.max(1))
}

fn activations(layout: &Layout, held: &Held, stage: u32) -> u64 {
    let pipeline = Pipeline {
        stages: layout.pp,
        chunks: layout.vpp,
        microbatches: layout.microbatches,
    };
    let chunks = u64::from(schedule::in_flight(layout.schedule, pipeline, stage));
    let all_forward_first = layout.schedule == PipelineSchedule::GPipe;
    let losses = if all_forward_first { chunks } else { 1 };
    held.kept * chunks / held.chunks
        + held.embedding * chunks / held.chunks
        + (held.head * losses).max(held.working)
}
