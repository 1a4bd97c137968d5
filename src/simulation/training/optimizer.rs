//! The optimizer: bytes of state that a rank holds, and the kernels of its step.

use crate::simulation::training::newton_schulz;
use crate::simulation::training::parameters::{Sharded, weight_bytes};
use crate::simulation::training::passes::stream;
use crate::simulation::{Layout, StepPart, TrainingScenario};
use crate::stack::{Offload, Optimizer};
use crate::units::{Bytes, SimDuration};

/// Bytes of an fp32 number.
const FP32: f64 = 4.0;
/// Bytes of Adam's two moments in fp32.
const MOMENTS: f64 = 2.0 * FP32;
/// Bytes of an fp32 master weight and both moments.
const MASTER_AND_MOMENTS: f64 = FP32 + MOMENTS;
/// Bytes of a 16-bit number.
const HALF: f64 = 2.0;

/// Times that an unfused step moves those bytes: every operation of the formula is a pass over its operands
/// (estimate).
const UNFUSED_PASSES: f64 = 2.5;

/// Bytes of two 8-bit moments, with an fp32 scale for every 256 numbers of each (bitsandbytes, blockwise states).
const MOMENTS_8BIT: f64 = 2.0 * (1.0 + FP32 / 256.0);

/// Bytes of a master weight and of one moment of AdamW in the formats of the stack, per parameter: fp32 where it states 12
/// bytes or more; of fewer, what an fp32 master weight leaves to two moments of 16 bits, else the moments' alone. With fp32
/// weights there is no master copy.
fn master_and_moment(scenario: &TrainingScenario, fp32_weights: bool) -> (f64, f64) {
    let bytes = scenario.stack.recipe.optimizer_bytes;
    if fp32_weights {
        (0.0, FP32)
    } else if bytes >= MASTER_AND_MOMENTS {
        (FP32, FP32)
    } else if bytes >= FP32 + 2.0 * HALF {
        (FP32, (bytes - FP32) / 2.0)
    } else {
        (0.0, bytes / 2.0)
    }
}

/// Bytes of optimizer state per parameter.
///
/// Of rows and columns Adafactor keeps a number each, under 0.01 bytes per parameter: none is counted.
pub(super) fn state_bytes(scenario: &TrainingScenario, fp32_weights: bool) -> f64 {
    let (master, moment) = master_and_moment(scenario, fp32_weights);
    match scenario.stack.optimizer {
        Optimizer::AdamW => adam_bytes(scenario, fp32_weights),
        Optimizer::AdamW8bit => master + MOMENTS_8BIT,
        Optimizer::Adafactor => master,
        Optimizer::Sgd => master + moment,
        Optimizer::Muon => master + moment * (1.0 + adam_share(scenario)),
    }
}

/// Share of the parameters that Muon leaves to AdamW: embedding and head.
fn adam_share(scenario: &TrainingScenario) -> f64 {
    let model = &scenario.model;
    model.transformer().map_or(1.0, |network| {
        let tables = if network.tied_embeddings { 1.0 } else { 2.0 };
        let table = f64::from(network.vocab) * f64::from(network.hidden);
        (tables * table / model.parameters().total() as f64).min(1.0)
    })
}

/// Bytes of AdamW's state in the formats of the stack.
fn adam_bytes(scenario: &TrainingScenario, fp32_weights: bool) -> f64 {
    let recipe = &scenario.stack.recipe;
    let network = scenario.model.transformer();
    let is_latent = network.is_some_and(|network| network.moe.is_some() && network.mla.is_some());
    let bytes = match recipe.latent_optimizer_bytes {
        Some(bytes) if is_latent => bytes.min(recipe.optimizer_bytes),
        Some(_) | None => recipe.optimizer_bytes,
    };
    if fp32_weights {
        bytes.min(MOMENTS)
    } else {
        bytes
    }
}

/// Whether master weights and moments are all in fp32.
pub(super) fn steps_in_fp32(scenario: &TrainingScenario) -> bool {
    state_bytes(scenario, false) >= MASTER_AND_MOMENTS
}

/// Time of the optimizer's kernels on one rank: norm, Adam, and zeroing the gradients.
///
/// Its kernels move [`step_bytes`] per parameter that the rank updates, beside the stack's `step_copies`; the norm reads and the zeroing
/// writes every gradient that it holds. Muon's iterations are products, of a replica's part of the matrices. State in the host's
/// memory passes through the GPU once, both ways at a time, while the kernels run.
pub(super) fn step_kernels(
    scenario: &TrainingScenario,
    layout: &Layout,
    parameters: Sharded,
    gradient_bytes: u64,
) -> SimDuration {
    if scenario.run.leaves_out(StepPart::Optimizer) {
        return SimDuration::ZERO;
    }
    let fused = scenario.stack.fusion.optimizer;
    let passes = if fused { 1.0 } else { UNFUSED_PASSES };
    let gradient = gradient_bytes as f64;
    let copies = scenario.stack.recipe.step_copies;
    let fp32_weights = weight_bytes(scenario, layout) >= FP32;
    let moved = step_bytes(scenario, fp32_weights);
    let bytes = parameters.held(1) * (moved * passes + gradient + copies)
        + parameters.gradients() * gradient;
    let mut busy = stream(scenario, bytes as u64);
    if scenario.stack.optimizer == Optimizer::Muon {
        let each = newton_schulz::seconds_per_parameter(scenario, layout);
        let orthogonalised = parameters.held(1) * (1.0 - adam_share(scenario));
        busy += SimDuration::from_secs_f64(orthogonalised * each);
    }
    if scenario.stack.offload.contains(Offload::Optimizer)
        && let Some(link) = scenario.gpu.host_link
    {
        let state = parameters.held(1) * state_bytes(scenario, fp32_weights);
        busy = busy.max(Bytes::from_f64(state) / link);
    }
    busy
}

/// Bytes that the step moves per parameter that the rank updates: state read and written, gradient read; of weights the
/// fp32 ones read and written, 16-bit ones written from the master weight in the state, or read and written without one.
/// A gradient is read in fp32 beside any fp32 state. Adafactor reads gradients twice more, for the means and for the size of
/// the update.
fn step_bytes(scenario: &TrainingScenario, fp32_weights: bool) -> f64 {
    let state = state_bytes(scenario, fp32_weights);
    let (master, moment) = master_and_moment(scenario, fp32_weights);
    let in_fp32 = match scenario.stack.optimizer {
        Optimizer::AdamW => state >= MOMENTS,
        Optimizer::AdamW8bit | Optimizer::Adafactor => master > 0.0,
        Optimizer::Sgd | Optimizer::Muon => master > 0.0 || moment >= FP32,
    };
    let (gradient, weights) = if fp32_weights {
        (FP32, 2.0 * FP32)
    } else if in_fp32 {
        (FP32, HALF)
    } else {
        (HALF, 2.0 * HALF)
    };
    let read_again = match scenario.stack.optimizer {
        Optimizer::Adafactor => 2.0 * gradient,
        Optimizer::AdamW | Optimizer::AdamW8bit | Optimizer::Sgd | Optimizer::Muon => 0.0,
    };
    gradient + read_again + 2.0 * state + weights
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::simulation::training::tests::scenario;
    use crate::stack::Stack;

    // 8-bit moments, means of rows and columns, and one moment are at most AdamW's state in the formats of any stack, and a step
    // moves at most AdamW's bytes.
    #[test]
    fn optimizers_of_less_state_take_no_more_than_adamw() {
        for (name, stack) in &Catalog::builtin().stacks {
            for optimizer in [Optimizer::AdamW8bit, Optimizer::Adafactor, Optimizer::Sgd] {
                let with = |optimizer| {
                    let mut scenario = scenario("llama3-8b", 8, 8);
                    scenario.stack = Arc::new(Stack {
                        optimizer,
                        ..Stack::clone(stack)
                    });
                    scenario
                };
                let (less, adamw) = (with(optimizer), with(Optimizer::AdamW));
                for fp32_weights in [false, true] {
                    for bytes in [state_bytes, step_bytes] {
                        let [less, adamw] = [&less, &adamw].map(|it| bytes(it, fp32_weights));
                        assert!(less <= adamw, "{name} {optimizer}: {less} over {adamw}");
                    }
                }
            }
        }
    }

    // HAI-LLM keeps an fp32 master weight and two 16-bit moments: 4 + 2·(1 + 4/256) = 6.03 bytes with 8-bit moments, 4
    // without any, 4 + 2 with one.
    #[test]
    fn a_master_weight_stays_under_any_optimizer() {
        let mut scenario = scenario("llama3-8b", 8, 8);
        for (optimizer, expected) in [
            (Optimizer::AdamW, 8.0),
            (Optimizer::AdamW8bit, 6.03125),
            (Optimizer::Adafactor, 4.0),
            (Optimizer::Sgd, 6.0),
        ] {
            scenario.stack = Arc::new(Stack {
                optimizer,
                ..Stack::clone(&Catalog::builtin().stacks["hai-llm"])
            });
            assert!((state_bytes(&scenario, false) - expected).abs() < 1e-12);
        }
    }
}
