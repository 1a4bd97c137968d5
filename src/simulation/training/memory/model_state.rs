//! Weights, gradients and optimizer states that a rank of one pipeline stage holds, sharded by ZeRO stage.

use crate::simulation::training::optimizer;
use crate::simulation::training::parameters::{
    Sharded, adds_behind_pass, shards_gradients, weight_bytes,
};
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{GradientPrecision, Offload, Recipe, Sharding, ZeroStage};
use crate::units::Bytes;

use super::unsharded::StageLayers;

/// Model state of a stage: bytes that do not depend on the batch.
///
/// Mixed precision keeps 16-bit weights, and in the optimizer fp32 master weights with two moments
/// (12 bytes per parameter); ZeRO shards over the replicas what its stage covers (arXiv 1910.02054,
/// section 5). The recipes that keep fp32 weights alone have no master copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// Weights kept from step to step.
    pub(super) weights: Bytes,
    /// Unsharded copies of the weights during forward and backward passes: what FSDP's ZeRO-2 gathers, and the casts
    /// that autocast keeps for the backward pass.
    pub(super) whole: Bytes,
    /// Gathered weights while the loss is computed: those of the head.
    pub(super) loss_gathered: Bytes,
    /// Gathered weights of the layer that runs and of the next, and of ends that stay gathered.
    pub(super) gathered: Bytes,
    /// Gathered weights of the two layers whose backward passes run last, when those of all others are freed.
    pub(super) last_gathered: Bytes,
    /// Gradients of all layers.
    pub(super) gradients: Bytes,
    /// Gradients of one layer before they are reduced to the rank's part, and of ends that are reduced last.
    pub(super) layer_gradients: Bytes,
    /// The head's gradients that there are before the layers' backward pass: those of a chunked loss, and those that a program
    /// of stacked layers reduces then.
    pub(super) loss_gradients: Bytes,
    /// Gradients of the layer whose backward pass runs first, where they are kept whole; those of all layers, where they are
    /// one tensor.
    pub(super) first_gradients: Bytes,
    /// Master weights and moments.
    pub(super) optimizer: Bytes,
    /// Copies of gradients that the optimizer's step makes.
    pub(super) copies: Bytes,
    /// Placeholder tensors for gradients that the matrix product itself accumulated into the buffer.
    pub(super) stand_ins: Bytes,
    /// Flat buffers in which gradients are reduced.
    pub(super) buckets: Bytes,
}

impl State {
    /// State of a stage with the parameters of `held`.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout, held: &StageLayers) -> Self {
        let parameters = Sharded::of(scenario, layout, held.parameters);
        let trained = parameters.trained();
        let recipe = &scenario.stack.recipe;
        let element = layout.precision.storage_bytes();
        let weight_bytes = weight_bytes(scenario, layout);
        let fp32_weights = weight_bytes >= 4.0;
        let beside = gathers(scenario);
        let most = most_gathered(parameters, beside);
        let autocast = recipe.autocast && fp32_weights && element < 4;
        let gathered_bytes = if autocast { 4 } else { element } as f64;
        let is_whole = layout.zero == ZeroStage::Z2 && beside;
        // What is frozen needs no fp32 copy.
        let sharded_from = if is_whole { 2 } else { 3 };
        let frozen = parameters.held(sharded_from) - trained.held(sharded_from);
        let weights = Bytes::from_f64(
            trained.held(sharded_from) * weight_bytes + frozen * element.min(4) as f64,
        );
        let casts = if autocast {
            trained.all() * element as f64
        } else {
            0.0
        };
        let unsharded = if is_whole { most * gathered_bytes } else { 0.0 };
        let is_gathered = layout.zero == ZeroStage::Z3;
        let (at_loss, at_work) = together(recipe, held);
        let in_passes = |gathers: bool, count: u64| {
            let parameters = if gathers { most.min(count as f64) } else { 0.0 };
            Bytes::from_f64(parameters * gathered_bytes)
        };
        let each_gradient = gradient_bytes(scenario, layout, fp32_weights);
        let sharded = shards_gradients(scenario, layout);
        let (layer_gradients, loss_gradients) =
            fresh_gradients(scenario, layout, held, (most, each_gradient));
        // Of what passes through the GPU, two layers are there: one that is used, and the one that is copied.
        let all = parameters.all().max(1.0);
        let passing = (2.0 * held.largest().all as f64 / all).min(1.0);
        let on_gpu = |state, bytes: Bytes| {
            if scenario.stack.offload.contains(state) {
                bytes.scaled(passing)
            } else {
                bytes
            }
        };
        Self {
            weights: on_gpu(Offload::Parameters, weights),
            whole: Bytes::from_f64(unsharded + casts),
            loss_gathered: in_passes(is_gathered, at_loss),
            gathered: in_passes(is_gathered, at_work),
            last_gathered: in_passes(is_gathered || is_whole, at_work),
            gradients: Bytes::from_f64(trained.gradients() * each_gradient),
            layer_gradients,
            loss_gradients,
            first_gradients: if recipe.stacked_layers {
                Bytes::from_f64(trained.gradients() * each_gradient)
            } else if sharded {
                Bytes::ZERO
            } else {
                Bytes::from_f64(held.largest().trained as f64 * each_gradient)
            },
            optimizer: on_gpu(
                Offload::Optimizer,
                Bytes::from_f64(trained.held(1) * optimizer::state_bytes(scenario, fp32_weights)),
            ),
            copies: copies(scenario, layout, trained),
            buckets: buckets(scenario, layout),
            stand_ins: if recipe.gradient_stand_ins {
                Bytes::new(held.distinct_weights * element)
            } else {
                Bytes::ZERO
            },
        }
    }
}

/// Parameters that may be gathered at once: never more than there are. FSDP gathers into a buffer `beside` the rank's part.
fn most_gathered(parameters: Sharded, beside: bool) -> f64 {
    let part = if beside {
        0.0
    } else {
        parameters.part() - (parameters.all() - parameters.gathered())
    };
    parameters.gathered() - part
}

/// Parameters that are gathered while the loss is computed, and in the layers' backward pass: of the layer or tensor that is
/// used and the next, and of ends that stay gathered.
fn together(recipe: &Recipe, held: &StageLayers) -> (u64, u64) {
    if recipe.stacked_layers {
        (held.logits().all, 2 * held.sharded_tensor.all)
    } else if recipe.gathered_ends {
        let ends = held.embedding.all + held.head.all;
        (ends, ends + 2 * held.sharded_layer.all)
    } else {
        (held.logits().all, 2 * held.largest_sharded().all)
    }
}

/// Whether sharded parameters are gathered for the passes while the rank keeps its part, as FSDP does;
/// DeepSpeed's ZeRO-2 keeps whole 16-bit weights instead.
pub(in crate::simulation::training) fn gathers(scenario: &TrainingScenario) -> bool {
    scenario.stack.sharding == Sharding::Full && !scenario.stack.recipe.persistent_gradients
}

/// Gradients before they are reduced to the rank's part: those of the layers' backward pass, and those that the loss
/// has made before. A layer's are reduced behind its backward pass, those of stacked layers tensor by tensor; those of ends
/// that are one unit stand whole until the last of them is there. The embedding's come when no layer's activations are left.
fn fresh_gradients(
    scenario: &TrainingScenario,
    layout: &Layout,
    held: &StageLayers,
    (most, each_gradient): (f64, f64),
) -> (Bytes, Bytes) {
    let recipe = &scenario.stack.recipe;
    let logits = held.logits().trained;
    let of_loss = |bytes: f64| {
        if recipe.chunked_loss || recipe.stacked_layers {
            Bytes::from_f64(bytes)
        } else {
            Bytes::ZERO
        }
    };
    if !shards_gradients(scenario, layout) {
        return (Bytes::ZERO, of_loss(logits as f64 * each_gradient));
    }
    let element = layout.precision.storage_bytes();
    let fresh = fresh_gradient_bytes(scenario, element);
    let bytes = |count: u64, each: f64| most.min(count as f64) * each;
    let element = element as f64;
    let layers = if recipe.stacked_layers {
        bytes(held.sharded_tensor.trained, element)
    } else if recipe.gathered_ends {
        let ends = held.embedding.trained.max(held.head.trained);
        let standing = bytes(held.sharded_layer.trained, fresh) + bytes(logits, element);
        standing.max(bytes(ends, fresh))
    } else {
        bytes(held.largest_sharded().trained, fresh)
    };
    (
        Bytes::from_f64(layers.min(most * fresh)),
        of_loss(bytes(logits, element)),
    )
}

/// Bytes of a gradient before it is reduced: 16-bit ones are cast where they are reduced in fp32, unless the product
/// adds to an fp32 buffer itself.
fn fresh_gradient_bytes(scenario: &TrainingScenario, element: u64) -> f64 {
    let fused = scenario.stack.fusion.gradient_accumulation;
    match scenario.stack.gradient_precision {
        GradientPrecision::Fp32 if fused => 4.0,
        GradientPrecision::Fp32 => 4.0 + element as f64,
        GradientPrecision::Half => element as f64,
    }
}

/// Bytes of a gradient from step to step: added behind the pass, 16-bit ones stand beside an fp32 buffer.
fn gradient_bytes(scenario: &TrainingScenario, layout: &Layout, fp32_weights: bool) -> f64 {
    if fp32_weights {
        return 4.0;
    }
    match scenario.stack.gradient_precision {
        _ if adds_behind_pass(scenario, layout) => 6.0,
        GradientPrecision::Half => 2.0,
        GradientPrecision::Fp32 => 4.0,
    }
}

/// Bytes of gradient copies in the optimizer's step: fp32 ones that an optimizer with fp32 master weights and
/// moments makes of 16-bit gradients; where a sharded optimizer flattens its part first, 16-bit ones too.
fn copies(scenario: &TrainingScenario, layout: &Layout, parameters: Sharded) -> Bytes {
    let stack = &scenario.stack;
    let full_precision = layout.precision.storage_bytes() == 4;
    let copied = match stack.gradient_precision {
        GradientPrecision::Half => {
            !full_precision
                && !stack.recipe.fp32_parameters
                && !adds_behind_pass(scenario, layout)
                && optimizer::steps_in_fp32(scenario)
        }
        GradientPrecision::Fp32 => false,
    };
    if !copied {
        return Bytes::ZERO;
    }
    let flattened = stack.reserve.flat_step && layout.zero != ZeroStage::Z0;
    Bytes::from_f64(parameters.held(1) * if flattened { 6.0 } else { 4.0 })
}

/// Bytes of the flat buffers of sharded reductions; a stack gives their size for 16-bit elements.
fn buckets(scenario: &TrainingScenario, layout: &Layout) -> Bytes {
    let bytes = scenario.stack.reserve.buffers;
    match (layout.zero, scenario.stack.gradient_precision) {
        (ZeroStage::Z0, _) => Bytes::ZERO,
        (_, GradientPrecision::Half) => bytes,
        (_, GradientPrecision::Fp32) => bytes + bytes,
    }
}
