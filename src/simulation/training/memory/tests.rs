//! Footprints whose bytes are counted by hand.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::closed_set::{ClosedSet as _, Subset};
use crate::hardware::Gpu;
use crate::model::{Architecture, Model};
use crate::simulation::{
    LayoutRequest, MemoryFootprint, MemoryMoment, Scratch, StageMemory, TrainingScenario,
    ZeroGroup, memory_of_layout, simulate_training, stage_memory,
};
use crate::stack::{GradientPrecision, Offload, Recompute, Stack, ZeroStage};
use crate::units::Bytes;

/// A model on 8 GPUs of one node on the current stack without a reserve.
fn scenario(model: &str, layout: LayoutRequest) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let gpu = catalog.gpus["h100-sxm"].clone();
    let mut stack = Stack::clone(&catalog.stacks["current"]);
    stack.reserve.context = Bytes::ZERO;
    stack.reserve.fragmentation = 0.0;
    let cluster = catalog.clusters[&gpu.cluster].clone();
    let model = catalog.models[model].clone();
    let mut scenario = TrainingScenario::new(model, gpu, cluster, stack);
    scenario.workload.seq_len = 1024;
    scenario.layout = layout;
    scenario
}

fn layout(tp: u32, pp: u32) -> LayoutRequest {
    LayoutRequest {
        tp: Some(tp),
        pp: Some(pp),
        cp: Some(1),
        micro_batch: Some(1),
        zero: Some(ZeroStage::Z1),
        recompute: Some(Recompute::Full),
        ..LayoutRequest::default()
    }
}

fn footprints(scenario: &TrainingScenario) -> Vec<MemoryFootprint> {
    stage_memory(scenario, &mut Scratch::default()).expect("the layout divides")
}

fn with_stack(scenario: &TrainingScenario, change: impl FnOnce(&mut Stack)) -> TrainingScenario {
    let mut stack = Stack::clone(&scenario.stack);
    change(&mut stack);
    TrainingScenario {
        stack: Arc::new(stack),
        ..scenario.clone()
    }
}

// Llama 3 8B has weights of 4096 × 6144, 4096 × 4096, 4096 × 28672, 14336 × 4096 and 4096 × 128256; one stand-in for
// each shape takes 2 bytes per element, however many layers share it.
#[test]
fn stand_ins_of_gradients_take_one_tensor_of_each_shape() {
    let with = scenario("llama3-8b", layout(1, 1));
    let without = with_stack(&with, |stack| stack.recipe.gradient_stand_ins = false);
    let shapes: u64 = 4096 * (6144 + 4096 + 28672 + 14336 + 128_256);
    let more = footprints(&with)[0]
        .buffers
        .saturating_sub(footprints(&without)[0].buffers);
    assert_eq!(more, Bytes::new(2 * shapes));
}

// GPT-3 1.3B ties its 50,257 × 2,048 matrix, which both stages hold. Besides, the first has 2,048 positions and the
// last the final norm's 2·2,048 parameters; 2 bytes each.
#[test]
fn first_and_last_stage_each_hold_a_tied_matrix() {
    let stages = footprints(&scenario("gpt3-1.3b", layout(1, 2)));
    let (positions, norm) = (2048 * 2048, 2 * 2048);
    assert_eq!(
        stages[0].weights.saturating_sub(stages[1].weights),
        Bytes::new(2 * (positions - norm))
    );
}

// One microbatch on FSDP: gradients appear while activations go. With 8,192 tokens more is kept than there are
// gradients, so the peak has none. With two microbatches those of the first stay: 2 bytes of 8,030,261,248 parameters
// over 8 GPUs.
#[test]
fn gradients_and_activations_of_one_microbatch_do_not_add_up() {
    let mut one = scenario("llama3-8b", layout(1, 1));
    one.layout.zero = Some(ZeroStage::Z3);
    one.layout.recompute = Some(Recompute::None);
    one.workload.seq_len = 8192;
    let one = with_stack(&one, |stack| stack.recipe.persistent_gradients = false);
    assert_eq!(footprints(&one)[0].gradients, Bytes::ZERO);
    let mut two = one.clone();
    two.workload.global_batch = 16;
    assert_eq!(
        footprints(&two)[0].gradients,
        Bytes::new(2 * 8_030_261_248 / 8)
    );
}

// DeepSpeed's step flattens the rank's eighth of the gradients in 16 and in 32 bits, 6 bytes per parameter; the
// allocator adds the blocks to the peak of the passes, and never beyond the GPU's memory.
#[test]
fn blocks_of_the_step_are_added_while_there_is_room() {
    let mut flat = scenario("gpt3-1.3b", layout(1, 1));
    // What is kept of 2,048 tokens is more than the blocks, so that the peak is in the passes.
    flat.workload.seq_len = 2048;
    flat.layout.recompute = Some(Recompute::None);
    let flat = with_stack(&flat, |stack| stack.reserve.flat_step = true);
    let added = |scenario: &TrainingScenario| {
        let plain = with_stack(scenario, |stack| stack.reserve.flat_step = false);
        let plain = footprints(&plain)[0];
        let more = footprints(scenario)[0]
            .total()
            .saturating_sub(plain.total());
        (plain.total(), more)
    };
    let parameters = flat.model.parameters().total() as f64;
    let (plain, more) = added(&flat);
    assert_eq!(more, Bytes::from_f64(6.0 * parameters / 8.0));
    let mut small = flat.clone();
    small.gpu = Arc::new(Gpu {
        memory: plain + Bytes::new(1_000_000),
        ..Gpu::clone(&flat.gpu)
    });
    assert_eq!(added(&small).1, Bytes::new(1_000_000));
}

// What is gathered is never more than there is: with one layer a stage or many, one microbatch or several, on every
// stack, sharding the parameters too leaves no stage with more than sharding gradients. Where the optimizer flattens
// gradients, what it allocates depends on when the peak is.
#[test]
fn sharded_parameters_never_take_more_than_whole_ones() {
    let stacks: Vec<Arc<Stack>> = Catalog::builtin().stacks.values().cloned().collect();
    let jobs = [
        ("llama3-8b", 8, 64),
        ("llama3-8b", 32, 64),
        ("llama3-8b", 1, 8),
        ("mixtral-8x7b", 32, 64),
    ];
    let offers = &Catalog::builtin().stacks["current"].offers;
    for stack in &stacks {
        for (model, pp, gpus) in jobs {
            for batch in [gpus / pp, 4 * gpus / pp] {
                let peaks = |zero| {
                    let mut job = scenario(model, layout(1, pp));
                    (job.gpus, job.workload.global_batch) = (gpus, batch);
                    (job.layout.zero, job.layout.vpp) = (Some(zero), Some(1));
                    job.stack = Arc::clone(stack);
                    footprints(&with_stack(&job, |stack| {
                        stack.reserve.flat_step = false;
                        // Whether the framework offers it is another question.
                        stack.offers = offers.clone();
                    }))
                };
                let (gradients, parameters) = (peaks(ZeroStage::Z2), peaks(ZeroStage::Z3));
                for (stage, (two, three)) in gradients.iter().zip(&parameters).enumerate() {
                    assert!(
                        three.total() <= two.total(),
                        "{} {model} pp {pp} batch {batch} stage {stage}: {three:?} {two:?}",
                        stack.name
                    );
                }
            }
        }
    }
}

/// Memory of the only stage, moment by moment.
fn moments(scenario: &TrainingScenario) -> StageMemory {
    let mut scratch = Scratch::default();
    let report = simulate_training(scenario, &mut scratch).expect("it fits");
    memory_of_layout(scenario, &report.layout, &mut scratch).remove(0)
}

// Without a reserve the peak is the fullest moment's tensors, on every stack and stage.
#[test]
fn the_peak_is_the_fullest_moment() {
    for stack in Catalog::builtin().stacks.values() {
        let mut job = scenario("llama3-8b", layout(1, 1));
        job.layout.zero = Some(ZeroStage::Z3);
        job.stack = Arc::clone(stack);
        let offers = Catalog::builtin().stacks["current"].offers.clone();
        let job = with_stack(&job, |stack| {
            (stack.reserve.context, stack.reserve.fragmentation) = (Bytes::ZERO, 0.0);
            stack.reserve.flat_step = false;
            stack.offers = offers;
        });
        let stage = moments(&job);
        let fullest = stage.tensors.iter().map(MemoryFootprint::total).max();
        assert_eq!(fullest, Some(stage.peak.total()), "{}", stack.name);
        let tensors = stage.tensors[stage.fullest().position()];
        assert_eq!(tensors, stage.peak, "{}", stack.name);
    }
}

// Llama 3 8B over 8 ranks of FSDP: while the loss is computed, ends that stay gathered are 2 · 128,256 · 4,096 parameters
// and the final norm's 4,096 in 2 bytes; a head of its own is half of that and the norm.
#[test]
fn ends_that_stay_gathered_are_there_with_the_loss() {
    let gathered = |stays: bool| {
        let mut job = scenario("llama3-8b", layout(1, 1));
        job.layout.zero = Some(ZeroStage::Z3);
        let job = with_stack(&job, |stack| {
            stack.recipe.gathered_ends = stays;
            stack.recipe.gradient_stand_ins = false;
            stack.reserve.buffers = Bytes::ZERO;
        });
        moments(&job).tensors[MemoryMoment::Loss.position()].buffers
    };
    let (matrix, norm) = (128_256 * 4_096, 4_096);
    assert_eq!(gathered(true), Bytes::new(2 * (2 * matrix + norm)));
    assert_eq!(gathered(false), Bytes::new(2 * (matrix + norm)));
}

// Mixtral 8x7B with its 8 experts on 8 ranks: experts have no replica, so that sharding parameters takes of a layer's
// 1,401,946,112 trained ones only those outside the experts, and no expert is gathered. With 2 of 8 ranks in a group of
// experts each has 4 and FSDP shards them over 4 replicas; experts that stay whole are 4 times as many.
#[test]
fn experts_without_replicas_are_not_gathered() {
    let job = |ep: u32, whole: bool| {
        let mut job = scenario("mixtral-8x7b", layout(1, 1));
        (job.layout.zero, job.layout.ep) = (Some(ZeroStage::Z3), Some(ep));
        with_stack(&job, |stack| stack.recipe.whole_experts = whole)
    };
    let weights = |ep, whole| {
        let stage = stage_memory(&job(ep, whole), &mut Scratch::default());
        stage.expect("it divides")[0].weights.get()
    };
    let experts = 32 * 8 * 3 * 4_096 * 14_336_u64;
    assert_eq!(weights(8, false), weights(8, true));
    assert_eq!(
        weights(2, true) - weights(2, false),
        2 * (experts / 2 - experts / 8)
    );
}

// Llama 3 8B over 8 ranks, its layers one loop of a program: in the last layer's backward pass two tensors are gathered, of
// which gate and up together are the largest, 4096 × 28672, and the gradient of one is whole, all in 2 bytes; of 8,030,261,248
// parameters a rank has gradients of an eighth in 4 bytes from there on. With the loss the head's matrix and norm are
// gathered and its gradient is whole, and no gradient of a layer is there yet.
#[test]
fn stacked_layers_are_gathered_tensor_by_tensor() {
    let mut job = scenario("llama3-8b", layout(1, 1));
    job.layout.zero = Some(ZeroStage::Z3);
    let job = with_stack(&job, |stack| {
        stack.recipe.stacked_layers = true;
        stack.recipe.persistent_gradients = false;
        stack.recipe.gradient_stand_ins = false;
        stack.gradient_precision = GradientPrecision::Fp32;
        stack.reserve.buffers = Bytes::ZERO;
    });
    let tensors = moments(&job).tensors;
    let (tensor, head) = (4_096 * 28_672, 128_256 * 4_096 + 4_096);
    let last = tensors[MemoryMoment::LastLayer.position()];
    assert_eq!(last.buffers, Bytes::new(2 * (2 * tensor + tensor)));
    assert_eq!(last.gradients, Bytes::new(4 * 8_030_261_248 / 8));
    let loss = tensors[MemoryMoment::Loss.position()];
    assert_eq!(loss.buffers, Bytes::new(2 * (head + head)));
    assert_eq!(loss.gradients, Bytes::ZERO);
}

// Recipes of Google for TPU v6e in MaxText, which ran (AI-Hypercomputer/maxtext@e591f30cb
// benchmarks/maxtext_trillium_model_configs.py): full recomputation with the layers' inputs in the host's memory, one
// microbatch. 405 billion parameters in 12 bytes over one slice of 256 chips would be 19 GB, with 6.3 GB of gradients
// in a backward pass that takes 14 GB more, so that their recipe takes two slices; 70 billion in 12 bytes over 32 chips are
// 26 GB, so that theirs keeps weights in 16 bits alone. Experts have room for 1.25 times their mean tokens
// (`capacity_factor`), so that gate, up and their product take 3.5 GB each of Mixtral 8x7B on 49,152 tokens: gradients of
// gate and up beside them would be more than a chip has.
#[test]
fn recipes_of_maxtext_fit_where_they_ran() {
    let fits = |stack: &str, (model, seq_len): (&str, u32), (gpus, each): (u32, u32), ep: u32| {
        let catalog = Catalog::builtin();
        let gpu = catalog.gpus["tpu-v6e"].clone();
        let cluster = catalog.clusters[&gpu.cluster].clone();
        let mut stack = Stack::clone(&catalog.stacks[stack]);
        stack.offload = Subset::of(&[Offload::Activations]);
        let memory = gpu.memory;
        let mut model = Model::clone(&catalog.models[model]);
        if let Architecture::Transformer(network) = &mut model.architecture
            && let Some(moe) = &mut network.moe
        {
            moe.capacity_factor = Some(1.25);
        }
        let mut job = TrainingScenario::new(Arc::new(model), gpu, cluster, stack);
        (job.gpus, job.workload.global_batch) = (gpus, gpus * each);
        job.workload.seq_len = seq_len;
        job.layout = LayoutRequest {
            micro_batch: Some(each),
            zero: Some(ZeroStage::Z3),
            zero_group: Some(ZeroGroup::Replicas),
            ep: Some(ep),
            ..layout(1, 1)
        };
        footprints(&job)[0].total() <= memory
    };
    let (full, half) = ("jax-2023", "jax-bf16");
    for (stack, model, chips, ep) in [
        (full, ("llama2-70b", 4_096), (256, 3), 1),
        (full, ("llama3.1-405b", 8_192), (512, 1), 1),
        (full, ("llama3-70b", 8_192), (256, 5), 1),
        (full, ("llama3-70b", 8_192), (128, 4), 1),
        (full, ("llama3-70b", 8_192), (64, 2), 1),
        (half, ("llama3-70b", 8_192), (32, 2), 1),
        (full, ("llama3-8b", 8_192), (8, 4), 1),
        (full, ("mixtral-8x7b", 4_096), (256, 12), 1),
        (half, ("mixtral-8x22b", 4_096), (256, 8), 4),
    ] {
        assert!(fits(stack, model, chips, ep), "{model:?} on {chips:?}");
    }
    assert!(!fits(full, ("llama3.1-405b", 8_192), (256, 1), 1));
    assert!(!fits(full, ("llama3-70b", 8_192), (32, 2), 1));
}
