//! Savings and costs of recipes, held against what was published of them.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::closed_set::Subset;
use crate::hardware::Precision;
use crate::model::{Module, Modules};
use crate::simulation::training::tests::{plain, scenario};
use crate::simulation::{
    LayoutRequest, MemoryFootprint, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training, stage_memory,
};
use crate::stack::{
    GradientPrecision, Loss, Offload, Optimizer, PipelineSchedule, RecipeChange, Recompute, Stack,
    ZeroStage, slowdown,
};
use crate::units::Bytes;

fn ok(scenario: &TrainingScenario) -> StepReport {
    simulate_training(scenario, &mut Scratch::default()).expect("it runs")
}

fn reason(scenario: &TrainingScenario) -> String {
    let refused = simulate_training(scenario, &mut Scratch::default());
    refused.expect_err("it is refused").to_string()
}

/// Footprint of the first stage, whether it fits or not.
fn first_stage(scenario: &TrainingScenario) -> MemoryFootprint {
    stage_memory(scenario, &mut Scratch::default()).expect("the layout divides")[0]
}

fn with(scenario: &TrainingScenario, change: &RecipeChange) -> TrainingScenario {
    TrainingScenario {
        stack: Arc::new(scenario.stack.with(change)),
        ..scenario.clone()
    }
}

fn repeating(scenario: &TrainingScenario, modules: &[Module]) -> TrainingScenario {
    let change = RecipeChange {
        recompute_modules: Some(Modules::of(modules)),
        ..RecipeChange::default()
    };
    with(scenario, &change)
}

/// Llama 3 8B on 8 GPUs.
fn llama() -> TrainingScenario {
    plain("llama3-8b", 2)
}

fn open(mut job: TrainingScenario) -> TrainingScenario {
    job.layout.recompute = None;
    job
}

// NVIDIA's measurements of Moonlight (skills/nemo-mbridge-perf-activation-recompute of Megatron-Bridge): 36.618 GB without,
// 36.614 GB and 4% more time with core_attn under fused attention. Only the sums of the rows go: 4 bytes of each head
// and token.
#[test]
fn core_attn_under_fused_attention_saves_nothing_and_costs_an_attention() {
    let none = ok(&llama());
    let core = ok(&open(repeating(&llama(), &[Module::CoreAttention])));
    let (before, after) = (none.memory.activations, core.memory.activations);
    assert!(after < before, "{before} {after}");
    assert!(after.as_f64() > 0.99 * before.as_f64(), "{before} {after}");
    let slower = core.step_time().as_secs_f64() / none.step_time().as_secs_f64();
    assert!((1.02..1.10).contains(&slower), "{slower}");
}

// arXiv 2603.07685, memory table of DeepSeek-V3 on 256 GPUs (PP 4, VPP 4, EP 64): of 131.0 GB of activations mla_up_proj saves
// 30.4 and the activation of the experts 3.8. In GiB these are 61 layers with 4,096 tokens each: of 128 heads queries and
// keys of 192 and values of 128 in 16 bits, 30.5; of 8 experts 2,048 columns in 8 bits, 3.8. Counted is each layer once, as many as 1F1B
// holds of four even stages. The first stage here has 16 layers, three of them dense, and four microbatches in flight: 64 and
// 52 of 61; with four chunks it has 19 of the 16 chunks, 19/16 of what 1F1B holds. What is repeated stands in memory
// for one layer at a time.
#[test]
fn modules_of_deepseek_save_the_published_parts_of_its_activations() {
    let mut job = scenario("deepseek-v3", 256, 8_192);
    job.workload.precision = Precision::Fp8;
    job.layout = LayoutRequest {
        tp: Some(1),
        pp: Some(4),
        vpp: Some(1),
        cp: Some(1),
        ep: Some(64),
        etp: Some(1),
        micro_batch: Some(1),
        layers_per_stage: Some(vec![16, 15, 15, 15]),
        schedule: Some(PipelineSchedule::OneFOneB),
        recompute: Some(Recompute::None),
        ..LayoutRequest::default()
    };
    let saved = |job: &TrainingScenario, modules: &[Module]| {
        let all = first_stage(job).activations;
        let kept = first_stage(&open(repeating(job, modules))).activations;
        (all.as_f64() - kept.as_f64()) / Bytes::gib(1).as_f64()
    };
    let latent = saved(&job, &[Module::LatentExpansion]);
    let expected = 30.4 * 64.0 / 61.0;
    assert!(
        (latent / expected - 1.0).abs() < 0.02,
        "{latent} {expected}"
    );
    let activation = saved(&job, &[Module::MoeActivation]);
    let expected = 3.8 * 52.0 / 61.0;
    assert!(
        (activation / expected - 1.0).abs() < 0.02,
        "{activation} {expected}"
    );
    (job.layout.vpp, job.layout.schedule) = (Some(4), Some(PipelineSchedule::Interleaved));
    job.layout.layers_per_stage = Some([[4; 15].as_slice(), &[1]].concat());
    let chunked = saved(&job, &[Module::LatentExpansion]);
    let expected = 30.4 * 76.0 / 61.0;
    assert!(
        (chunked / expected - 1.0).abs() < 0.02,
        "{chunked} {expected}"
    );
}

// Megatron-Bridge's performance guide: full recomputation is about 30% more compute. A forward pass is a third of
// forward and backward passes together.
#[test]
fn full_recomputation_is_about_thirty_percent_more_compute() {
    let mut job = llama();
    job.layout.recompute = Some(Recompute::Full);
    let shares = ok(&job).shares;
    let part = |part| shares[part].as_secs_f64();
    let more = part(StepPart::Recompute) / part(StepPart::Compute);
    assert!((0.26..0.36).contains(&more), "{more}");
}

// What is repeated is not kept and takes time; more modules keep no more and are no faster; a layer keeps at least its
// input, as under full recomputation.
#[test]
fn each_module_saves_memory_for_time() {
    for model in ["llama3-8b", "deepseek-v2-lite", "qwen3-30b-a3b"] {
        let mut job = scenario(model, 8, 32);
        job.layout.micro_batch = Some(1);
        (job.layout.tp, job.layout.pp, job.layout.cp) = (Some(1), Some(1), Some(1));
        let reports = |job: &TrainingScenario| {
            let mut roomy = job.clone();
            let gpu = Arc::make_mut(&mut roomy.gpu);
            gpu.memory = gpu.memory.scaled(10.0);
            ok(&roomy)
        };
        let policy = |recompute| {
            let mut job = job.clone();
            job.layout.recompute = Some(recompute);
            reports(&job)
        };
        let (none, full) = (policy(Recompute::None), policy(Recompute::Full));
        let has = |module: &&Module| job.model.has_module(**module);
        let modules: Vec<Module> = Module::ALL.iter().filter(has).copied().collect();
        assert!(modules.len() > 3, "{model}: {modules:?}");
        for module in &modules {
            let one = reports(&repeating(&job, &[*module]));
            let kept = one.memory.activations;
            assert!(kept < none.memory.activations, "{model} {module}");
            assert!(kept >= full.memory.activations, "{model} {module}");
            let again = |report: &StepReport| report.shares[StepPart::Recompute];
            assert!(again(&one) > again(&none), "{model} {module}");
            let all = reports(&repeating(&job, &modules));
            assert!(all.memory.activations <= kept, "{model} {module}");
            assert!(again(&all) >= again(&one), "{model} {module}");
        }
    }
}

// Of 32 layers on one stage 8 are a quarter: what they keep goes, but for their inputs. 32 or more are all.
#[test]
fn a_number_of_layers_is_that_part_of_full_recomputation() {
    let kept = |layers: Option<u32>, recompute: Recompute| {
        let mut job = llama();
        // So many that the passes, not the optimizer's step, hold most.
        job.workload.seq_len = 65_536;
        job.layout.recompute = Some(recompute);
        job.layout.recompute_layers = layers;
        first_stage(&job).activations.as_f64()
    };
    let none = kept(None, Recompute::None);
    let full = kept(None, Recompute::Full);
    let quarter = kept(Some(8), Recompute::Full);
    assert!(full < quarter && quarter < none);
    // A layer's working memory while it is repeated is on top, once: of 32 layers less than a tenth.
    let part = (none - quarter) / (none - full);
    assert!((0.15..0.35).contains(&part), "{part}");
    for layers in [32, 1000] {
        let all = kept(Some(layers), Recompute::Full);
        assert!(
            (all / full - 1.0).abs() < 1e-12,
            "{all} {full} {quarter} {none}"
        );
    }
    let mut job = open(llama());
    job.layout.recompute_layers = Some(8);
    assert_eq!(ok(&job).layout.recompute, Recompute::Full);
    assert!((ok(&job).layout.recomputed_share - 0.25).abs() < 1e-12);
}

#[test]
fn recomputation_that_contradicts_itself_or_the_model_is_refused() {
    let lacking = open(repeating(&llama(), &[Module::Moe]));
    assert_eq!(
        reason(&lacking),
        "unsupported: recompute_modules moe: llama3-8b has no such module; it has core_attn, layernorm, qkv_proj, mlp, mlpwi, mlp_act"
    );
    let none = repeating(&llama(), &[Module::Mlp]);
    assert_eq!(
        reason(&none),
        "unsupported: recompute_modules is of selective recomputation, recompute is none"
    );
    let mut both = open(repeating(&llama(), &[Module::Mlp]));
    both.layout.recompute_layers = Some(4);
    assert!(reason(&both).contains("one of the two has to be auto"));
    let mut layers = llama();
    layers.layout.recompute_layers = Some(4);
    assert!(reason(&layers).contains("recompute is none"));
    assert_eq!(Modules::of(&[]), Subset::default());
}

// With a vocabulary of 256,000 and 8,192 tokens the head of Gemma 2 2B holds 2 bytes of each logit in place (4.2 GB); in 112
// parts (256,000/2,304, rounded up) it holds those of 74 tokens, and the gradients of its inputs.
#[test]
fn a_chunked_loss_holds_the_logits_of_one_chunk() {
    let head = |loss| {
        let change = RecipeChange {
            loss: Some(loss),
            ..RecipeChange::default()
        };
        let mut job = scenario("gemma2-2b", 8, 32);
        job.layout = llama().layout;
        (job.layout.tp, job.workload.seq_len) = (Some(1), 8_192);
        job.layout.recompute = Some(Recompute::Full);
        let job = with(&job, &change);
        (first_stage(&job).total().as_f64(), ok(&job))
    };
    let ((full, all), (chunked, parts)) = (head(Loss::Full), head(Loss::Chunked));
    let (tokens, vocabulary, hidden) = (8_192.0, 256_000.0, 2_304.0);
    let gradients = tokens * hidden * 2.0;
    let saved = tokens * vocabulary * 2.0 * (1.0 - 1.0 / 112.0) - gradients;
    // The allocator's reserve is in proportion; other moments may hold more than the head's once its logits are gone.
    assert!(
        full - chunked > 0.3 * saved && full - chunked < 1.2 * saved,
        "{full} {chunked} {saved}"
    );
    // The gradient of the weights is read and written once for each part but the first.
    let slower = parts.step_time().as_secs_f64() - all.step_time().as_secs_f64();
    let microbatches = f64::from(parts.layout.microbatches);
    let moved = microbatches * 111.0 * 2.0 * vocabulary * hidden * 2.0 / 3.35e12;
    assert!(slower > moved && slower < 6.0 * moved, "{slower} {moved}");
}

fn optimizing(optimizer: Optimizer) -> TrainingScenario {
    let change = RecipeChange {
        optimizer: Some(optimizer),
        ..RecipeChange::default()
    };
    with(&llama(), &change)
}

// 8,030,261,248 parameters over tp 2, their states over 4 replicas, so a tenth of a percent from an eighth each (norms lie
// on both ranks): fp32 master weights of 4 bytes, and two moments of 4, of 1 with 4/256 bytes of scales, none, one of
// 4; Muon has one but for the two tables of 128,256 · 4,096.
#[test]
fn each_optimizer_holds_the_bytes_of_its_state() {
    let parameters = 8_030_261_248.0 / 8.0;
    let tables = 2.0 * 128_256.0 * 4_096.0 / 8_030_261_248.0;
    for (optimizer, bytes) in [
        (Optimizer::AdamW, 12.0),
        (Optimizer::AdamW8bit, 4.0 + 2.0 * (1.0 + 4.0 / 256.0)),
        (Optimizer::Adafactor, 4.0),
        (Optimizer::Sgd, 8.0),
        (Optimizer::Muon, 8.0 + 4.0 * tables),
    ] {
        let held = first_stage(&optimizing(optimizer)).optimizer.as_f64();
        assert!(
            (held / (parameters * bytes) - 1.0).abs() < 1e-3,
            "{optimizer}: {held}"
        );
    }
}

// Fewer bytes take less time; Newton-Schulz iterations take most of Muon's step: 5 · (4m + 2m²/n) FLOPs for each
// parameter of a matrix of m × n, 4,096 × 14,336 for most.
#[test]
fn each_optimizer_takes_the_time_of_what_it_moves_and_multiplies() {
    let seconds = |optimizer| ok(&optimizing(optimizer)).shares[StepPart::Optimizer].as_secs_f64();
    let adam = seconds(Optimizer::AdamW);
    for fewer in [Optimizer::AdamW8bit, Optimizer::Adafactor, Optimizer::Sgd] {
        assert!(seconds(fewer) < adam, "{fewer}");
    }
    let flops = 8.03e9 / 8.0 * 0.87 * 5.0 * (4.0 * 4_096.0 + 2.0 * 4_096.0 * 4_096.0 / 14_336.0);
    let least = flops / 989e12;
    let more = seconds(Optimizer::Muon) - adam;
    assert!(more > 0.5 * least && more < 6.0 * least, "{more} {least}");
}

// 10 bytes more per parameter of a rank's part: 8,030,261,248 parameters over 8 replicas, at the memory's rate.
#[test]
fn a_step_that_copies_takes_the_time_of_the_bytes() {
    let seconds = |copies| {
        let mut job = llama();
        let mut stack = (*job.stack).clone();
        stack.recipe.step_copies = copies;
        job.stack = Arc::new(stack);
        let gpu = &job.gpu;
        let fraction = gpu.rates.memory_fraction * job.stack.kernels.memory;
        let rate = gpu.memory_bandwidth.scaled(fraction);
        let copied = Bytes::from_f64(8_030_261_248.0 / 8.0 * copies) / rate;
        (
            ok(&job).shares[StepPart::Optimizer].as_secs_f64(),
            copied.as_secs_f64(),
        )
    };
    let ((none, _), (some, copied)) = (seconds(0.0), seconds(10.0));
    let off = (some - none) / copied - 1.0;
    assert!(off.abs() < 1e-3, "{none} {some} {copied}");
}

// Added behind the pass, a gradient is cast to 32 bits (reads 2, writes 4) and added to the buffer (reads 8, writes 4): 18 bytes
// of each of 8,030,261,248 / 2 parameters and 8 microbatches, where a product that adds in 16 bits itself moves 4. Both stand
// for it, 6 bytes instead of 2. What reduces is a ring over 4 replicas: all gradients around it twice instead of once, and
// their parameters once, three for two. In fp16 nothing of this happens.
#[test]
fn a_bf16_optimizer_adds_behind_the_pass_and_reduces_everything_everywhere() {
    let runs = |precision, late| {
        let mut job = llama();
        let mut stack = (*job.stack).clone();
        stack.recipe.late_accumulation = late;
        stack.gradient_precision = GradientPrecision::Half;
        stack.fusion.gradient_accumulation = true;
        (stack.overlap.gradients, stack.overlap.parameters) = (false, false);
        job.stack = Arc::new(stack);
        job.workload.precision = precision;
        let gradients = first_stage(&job).gradients;
        (job.clone(), ok(&job), gradients)
    };
    let ((job, plain, half), (_, late, both)) =
        (runs(Precision::Bf16, false), runs(Precision::Bf16, true));
    let parameters = 8_030_261_248.0 / 2.0;
    let fraction = job.gpu.rates.memory_fraction * job.stack.kernels.memory;
    let rate = job.gpu.memory_bandwidth.scaled(fraction);
    let moved = Bytes::from_f64(8.0 * parameters * (18.0 - 4.0)) / rate;
    let longer = late.shares[StepPart::Compute] - plain.shares[StepPart::Compute];
    let ratio = longer.as_secs_f64() / moved.as_secs_f64();
    // The slowest GPU of eight is some percent slower than the mean.
    assert!((ratio - 1.0).abs() < 0.04, "{ratio}");
    let more = (both.get() - half.get()) as f64 / (4.0 * parameters);
    assert!((more - 1.0).abs() < 0.01, "{more}");
    let exposed = late.shares[StepPart::DpComm].as_secs_f64();
    let ratio = exposed / plain.shares[StepPart::DpComm].as_secs_f64();
    assert!((ratio - 1.5).abs() < 0.05, "{ratio}");
    let [(_, plain, half), (_, late, same)] = [false, true].map(|late| runs(Precision::Fp16, late));
    assert_eq!((plain.shares, half), (late.shares, same));
}

// Per parameter of a rank's part: fp32 master weight and moments of 12 bytes read and written, a gradient of 4 read, a weight of 2
// written: 30. A master weight beside 16-bit moments, 8 bytes: 22. 16-bit moments alone, 4 bytes: read and written with the
// weight, and a gradient of 2: 14.
#[test]
fn a_step_moves_the_bytes_of_its_states() {
    let seconds = |bytes| {
        let mut job = llama();
        let mut stack = (*job.stack).clone();
        stack.recipe.optimizer_bytes = bytes;
        job.stack = Arc::new(stack);
        let fraction = job.gpu.rates.memory_fraction * job.stack.kernels.memory;
        let rate = job.gpu.memory_bandwidth.scaled(fraction);
        let each = Bytes::from_f64(8_030_261_248.0 / 8.0) / rate;
        let took = ok(&job).shares[StepPart::Optimizer].as_secs_f64();
        took / each.as_secs_f64()
    };
    let whole = seconds(12.0);
    for (bytes, fewer) in [(8.0, 30.0 - 22.0), (4.0, 30.0 - 14.0)] {
        let saved = whole - seconds(bytes);
        assert!((saved / fewer - 1.0).abs() < 1e-3, "{bytes}: {saved}");
    }
}

// arXiv 2603.07685: 15 to 20 GB of optimizer states of a GB200's own pass over NVLink-C2C and back in 0.1 to 0.2 s; at 225
// GB/s each way that is 0.07 to 0.09 s at least.
#[test]
fn an_offloaded_optimizer_frees_its_state_and_waits_for_the_link() {
    let change = RecipeChange {
        offload: Some(Subset::of(&[Offload::Optimizer])),
        ..RecipeChange::default()
    };
    let offloaded = with(&llama(), &change);
    let (before, after) = (first_stage(&llama()), first_stage(&offloaded));
    // Two of 34 layers (tables of 0.5 billion parameters are the largest) pass through.
    assert!(after.optimizer.as_f64() < 0.3 * before.optimizer.as_f64());
    assert_eq!(after.weights, before.weights);
    let step = ok(&offloaded).shares[StepPart::Optimizer].as_secs_f64();
    let state = 8_030_261_248.0 / 8.0 * 12.0;
    let copied = state / 63e9;
    assert!((step / copied - 1.0).abs() < 0.1, "{step} {copied}");
}

// What 32 layers keep shrinks to that of two, and what 63 GB/s cannot copy beside the passes is waited for.
#[test]
fn offloaded_activations_leave_two_layers_and_may_wait() {
    let change = RecipeChange {
        offload: Some(Subset::of(&[Offload::Activations])),
        ..RecipeChange::default()
    };
    let mut job = llama();
    job.workload.seq_len = 65_536;
    let (before, after) = (first_stage(&job), first_stage(&with(&job, &change)));
    let left = after.activations.as_f64() / before.activations.as_f64();
    assert!(left < 0.5, "{left}");
    let waits = |job: &TrainingScenario| ok(job).shares[StepPart::Overhead].as_secs_f64();
    // A layer of 8,192 tokens a rank keeps about 32 bytes per token and width over tp 2 (0.5 GB), and runs 2 ms.
    let short = llama();
    assert!(waits(&with(&short, &change)) > waits(&short));
    // Over Grace's link, 450 GB/s, it takes 1.3 ms.
    let on = |name: &str, change: &RecipeChange| {
        let mut job = with(&short, change);
        job.gpu = Catalog::builtin().gpus[name].clone();
        job.cluster = Catalog::builtin().clusters[&job.gpu.cluster].clone();
        waits(&job)
    };
    let hidden = on("gh200", &change) - on("gh200", &RecipeChange::default());
    assert!(hidden.abs() < 1e-9, "{hidden}");
}

#[test]
fn nothing_is_offloaded_over_a_link_that_is_not_known() {
    let change = RecipeChange {
        offload: Some(Subset::of(&[Offload::Optimizer])),
        ..RecipeChange::default()
    };
    let mut job = with(&llama(), &change);
    Arc::make_mut(&mut job.gpu).host_link = None;
    assert_eq!(
        reason(&job),
        "unsupported: offload optimizer needs a link to the host, of h100-sxm none is known; [gpus.h100-sxm] host_link gives it"
    );
}

// Attention over documents of 1,024 of 8,192 tokens is an eighth of the work: the model's FLOPs shrink by seven eighths of
// those of attention, 2·2·s²/2·hidden a layer and sample forward, three times that with the backward pass.
#[test]
fn packed_documents_attend_to_themselves_alone() {
    let flops = |length| {
        let mut job = llama();
        (job.workload.seq_len, job.workload.document_length) = (8_192, length);
        let report = ok(&job);
        (report.model_flops, report.step_time())
    };
    let ((whole, slow), (packed, fast)) = (flops(None), flops(Some(1_024)));
    let attention = 32.0 * 32.0 * 3.0 * 2.0 * 8_192.0_f64.powi(2) * 4_096.0;
    let less = whole.get() - packed.get();
    assert!(
        (less / (attention * 7.0 / 8.0) - 1.0).abs() < 0.01,
        "{less} {attention}"
    );
    assert!(fast < slow);
    // As long as the sample, or longer, it is one document.
    for length in [8_192, 100_000] {
        assert_eq!(flops(Some(length)), (whole, slow));
    }
    let mut images = scenario("resnet50", 8, 256);
    images.workload.document_length = Some(10);
    assert!(reason(&images).contains("no packed text"));
}

// Adapters of rank 16 beside the four linear layers of each of Llama 3 8B's 32 layers: 16 · (4,096 + 6,144 + 2 · 4,096 + 4,096
// + 28,672 + 14,336 + 4,096) = 1,114,112 parameters a layer. They alone have 12 bytes of optimizer state, over 8 replicas,
// and 16-bit gradients; the 8,030,261,248 frozen ones have 2 bytes and no gradient.
#[test]
fn adapters_alone_have_gradients_and_optimizer_states() {
    let mut whole = llama();
    (whole.layout.tp, whole.workload.seq_len) = (Some(1), 2_048);
    let mut job = whole.clone();
    job.workload.lora_rank = Some(16);
    let adapters = 32.0 * 1_114_112.0;
    let held = first_stage(&job);
    let is = |bytes: Bytes, expected: f64| (bytes.as_f64() / expected - 1.0).abs() < 1e-6;
    assert!(is(held.optimizer, adapters * 12.0 / 8.0), "{held:?}");
    assert!(is(held.gradients, adapters * 2.0), "{held:?}");
    assert!(
        is(held.weights, (8_030_261_248.0 + adapters) * 2.0),
        "{held:?}"
    );
    let (all, lora) = (ok(&whole), ok(&job));
    // Gradients of weights are a third of the products, attention aside; the model's FLOPs lack them as well.
    let part = |report: &StepReport| report.shares[StepPart::Compute].as_secs_f64();
    let ratio = part(&lora) / part(&all);
    assert!((0.62..0.85).contains(&ratio), "{ratio}");
    let flops = lora.model_flops.get() / all.model_flops.get();
    assert!((0.64..0.75).contains(&flops), "{flops}");
    // Reduced are the adapters' gradients alone.
    let sent = |report: &StepReport| report.network.intra_node.as_f64();
    assert!(
        sent(&lora) < 0.02 * sent(&all),
        "{} {}",
        sent(&lora),
        sent(&all)
    );
}

#[test]
fn adapters_need_a_transformer() {
    let mut images = scenario("resnet50", 8, 256);
    images.workload.lora_rank = Some(8);
    assert!(reason(&images).contains("lora_rank 8 needs a transformer"));
}

// megatron/core/transformer/moe/moe_layer.py, core_v0.12.0, raises for it; a dense model may, and so may other frameworks.
#[test]
fn megatron_core_trains_experts_with_tensor_parallelism_only_under_sequence_parallelism() {
    let job = |model: &str, stack: &str, tp, sequence_parallel| {
        let mut job = scenario(model, 8, 8);
        job.stack = Catalog::builtin().stacks[stack].clone();
        job.layout = LayoutRequest {
            tp,
            sequence_parallel,
            ..LayoutRequest::default()
        };
        job
    };
    let experts = "deepseek-v2-lite";
    assert_eq!(
        reason(&job(experts, "current", Some(2), Some(false))),
        "unsupported: stack `current` trains mixtures of experts with tp 2 only with sequence_parallel true"
    );
    assert_eq!(ok(&job(experts, "current", None, Some(false))).layout.tp, 1);
    let open = ok(&job(experts, "current", Some(2), None));
    assert!(open.layout.sequence_parallel, "{:?}", open.layout);
    for (model, stack) in [("llama3-8b", "current"), (experts, "megatron-2023")] {
        let layout = ok(&job(model, stack, Some(2), Some(false))).layout;
        assert!(!layout.sequence_parallel, "{layout:?}");
    }
}

// XLA splits the products behind which a tensor-parallel gather hides on a TPU; on a GPU it gathers in front of them, unless it
// is told otherwise.
#[test]
fn xla_hides_tensor_parallelism_on_tpus_alone() {
    let catalog = Catalog::builtin();
    let waits = |gpu: &str, overlap: Option<bool>| {
        let gpu = catalog.gpus[gpu].clone();
        let mut job = llama();
        job.cluster = catalog.clusters[&gpu.cluster].clone();
        job.gpu = gpu;
        job.stack = catalog.stacks["jax-2023"].clone();
        job.communication.overlap_tp = overlap;
        ok(&job).shares[StepPart::TpComm]
    };
    assert_eq!(waits("mi300x", None), waits("mi300x", Some(false)));
    assert!(waits("mi300x", Some(true)) < waits("mi300x", None));
    assert_eq!(waits("tpu-v5p", None), waits("tpu-v5p", Some(true)));
}

// Products lose a quarter of their time beside the 20 SMs of an H100 that DeepEP takes (arXiv 2603.07685), 1.4 times 20/112.
#[test]
fn kernels_lose_more_than_the_sms_that_are_taken() {
    assert!((slowdown(20, 132) - 0.25).abs() < 1e-12);
    assert!(slowdown(132, 132).abs() < 1e-12);
}

// What a step loses beside a communication grows with the SMs that it takes: by 16 of 132 it is (16/116)/(8/124) = 2.138 times as
// much as by 8. Tensor parallelism has SMs of its own, and no other communication has those.
#[test]
fn what_a_step_loses_beside_communication_goes_with_its_sms() {
    let compute = |job: &TrainingScenario, change: fn(&mut Stack, u32), sms: u32| {
        let mut job = job.clone();
        let mut stack = Stack::clone(&job.stack);
        change(&mut stack, sms);
        job.stack = stack.into();
        ok(&job).shares[StepPart::Compute].as_secs_f64()
    };
    let of_tensors = |stack: &mut Stack, sms| stack.overlap.tensor_sms = Some(sms);
    let of_others = |stack: &mut Stack, sms| stack.overlap.communication_sms = Some(sms);
    let grows = |job: &TrainingScenario, change: fn(&mut Stack, u32)| {
        let [none, some, more] = [0, 8, 16].map(|sms| compute(job, change, sms));
        let ratio = (more - none) / (some - none);
        assert!(
            (ratio - (16.0 / 116.0) / (8.0 / 124.0)).abs() < 1e-3,
            "{ratio}"
        );
    };
    let sharded = llama();
    grows(&sharded, of_tensors);
    let replicated = plain("llama3.2-1b", 1);
    grows(&replicated, of_others);
    let [none, some] = [0, 8].map(|sms| compute(&replicated, of_tensors, sms));
    assert!((some - none).abs() < 1e-12);
}

// NVIDIA's BERT reduces all gradients behind the last backward pass, its ResNet each bucket behind the rest of the pass, and DLPerf's
// TensorFlow each gradient of BERT as it comes; a job that says otherwise does otherwise.
#[test]
fn scripts_of_encoders_reduce_when_they_do() {
    let waits = |stack: &str, model: &str, overlap| {
        let catalog = Catalog::builtin();
        let mut job = plain(model, 1);
        job.gpu = catalog.gpus["a100-80gb-sxm"].clone();
        job.cluster = catalog.clusters["dgx-a100"].clone();
        job.stack = catalog.stacks[stack].clone();
        job.layout.zero = Some(ZeroStage::Z0);
        (job.gpus, job.workload.global_batch, job.workload.seq_len) = (16, 64, 128);
        if model == "resnet50" {
            job.workload.seq_len = 1;
        }
        job.communication.overlap_dp = overlap;
        ok(&job).shares[StepPart::DpComm]
    };
    for (stack, model, usual) in [
        ("ddp-2021", "bert-large", false),
        ("ddp-2021", "resnet50", true),
        ("horovod-2020", "bert-large", false),
        ("tensorflow-2019", "bert-large", true),
    ] {
        let [left, said, other] =
            [None, Some(usual), Some(!usual)].map(|it| waits(stack, model, it));
        assert_eq!(left, said, "{stack} {model}");
        assert_ne!(left, other, "{stack} {model}");
    }
}
