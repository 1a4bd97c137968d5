//! What recipes save and cost, held against what was published of them.

use std::sync::Arc;

use crate::closed_set::Subset;
use crate::model::{Module, Modules};
use crate::simulation::training::tests::scenario;
use crate::simulation::{
    LayoutRequest, MemoryFootprint, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training, stage_memory,
};
use crate::stack::{RecipeChange, Recompute};

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
    };
    with(scenario, &change)
}

/// Llama 3 8B on 8 GPUs, nothing sharded but the optimizer, one microbatch of one sample at a time.
fn llama() -> TrainingScenario {
    let mut job = scenario("llama3-8b", 8, 32);
    job.layout = LayoutRequest {
        tp: Some(2),
        pp: Some(1),
        cp: Some(1),
        micro_batch: Some(1),
        recompute: Some(Recompute::None),
        ..LayoutRequest::default()
    };
    job
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

// arXiv 2603.07685, memory table: of 131.0 GB of activations of DeepSeek-V3 on 256 GPUs (PP 4, VPP 4, EP 64) mla_up_proj
// saves 30.4 GB, the activation of the experts 3.8 GB and the norms 8.2 GB. Here they are 127 GB; the norms come out at
// 8.2 GB, the other two higher, at 38 and 7.6 GB: what is counted is every tensor that the two put out.
#[test]
fn modules_of_deepseek_save_the_published_parts_of_its_activations() {
    let mut job = scenario("deepseek-v3", 256, 8_192);
    job.layout = LayoutRequest {
        tp: Some(1),
        pp: Some(4),
        vpp: Some(4),
        cp: Some(1),
        ep: Some(64),
        etp: Some(1),
        micro_batch: Some(1),
        recompute: Some(Recompute::None),
        ..LayoutRequest::default()
    };
    let all = first_stage(&job).activations.as_f64();
    let saved = |modules: &[Module]| {
        let kept = first_stage(&open(repeating(&job, modules))).activations;
        1.0 - kept.as_f64() / all
    };
    assert!((all / 131.0e9 - 1.0).abs() < 0.05, "{all}");
    let latent = saved(&[Module::LatentExpansion]);
    assert!((0.20..0.30).contains(&latent), "{latent}");
    let norms = saved(&[Module::LayerNorm]);
    assert!((0.055..0.070).contains(&norms), "{norms}");
    let activation = saved(&[Module::MoeActivation]);
    assert!((0.02..0.065).contains(&activation), "{activation}");
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
        "unsupported: recompute_modules moe: llama3-8b has no such module; it has core_attn, layernorm, qkv_proj, mlp, mlpwi"
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
