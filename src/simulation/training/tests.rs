//! Properties of every training step.

use std::sync::Arc;

use itertools::Itertools as _;
use proptest::prelude::*;

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm};
use crate::hardware::{Cluster, Gpu, Precision};
use crate::model::{ExpertDispatch, Operator, Shard, lower};
use crate::simulation::training::{SliceKind, trace_training};
use crate::simulation::{
    Infeasible, LayoutRequest, RunSettings, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training,
};
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
use crate::units::{Bytes, SimDuration};

pub(super) fn scenario(model: &str, gpus: u32, global_batch: u32) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut scenario = TrainingScenario::new(
        catalog.models[model].clone(),
        catalog.gpus["h100-sxm"].clone(),
        catalog.clusters["dgx-h100"].clone(),
        catalog.stacks["current"].clone(),
    );
    scenario.gpus = gpus;
    scenario.workload.global_batch = global_batch;
    scenario
}

fn run(scenario: &TrainingScenario) -> Result<StepReport, Infeasible> {
    simulate_training(scenario, &mut Scratch::default())
}

pub(super) fn ok(scenario: &TrainingScenario) -> StepReport {
    run(scenario).expect("the layout fits")
}

pub(super) fn reason(scenario: &TrainingScenario) -> String {
    run(scenario)
        .expect_err("the layout cannot run")
        .to_string()
}

fn with_layout(gpus: u32, global_batch: u32, layout: LayoutRequest) -> TrainingScenario {
    TrainingScenario {
        layout,
        ..scenario("llama3-8b", gpus, global_batch)
    }
}

#[test]
fn a_job_of_eight_gpus_trains_llama_3_8b_between_peak_and_a_third_of_it() {
    let scenario = scenario("llama3-8b", 8, 128);
    let report = ok(&scenario);
    let peak = scenario
        .gpu
        .peaks
        .get(Precision::Bf16)
        .unwrap()
        .as_flops_per_s()
        * 8.0;
    let mfu = report.model_flops.get() / report.step_time().as_secs_f64() / peak;
    assert!((0.33..1.0).contains(&mfu), "{mfu}");
}

// tp 16 on 8 GPUs.
#[test]
fn a_group_larger_than_the_job_names_limit_and_need() {
    let layout = LayoutRequest {
        tp: Some(16),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&with_layout(8, 128, layout)),
        "limit: tp 16 needs 16 GPUs, the job has 8"
    );
}

#[test]
fn a_batch_that_does_not_divide_by_dp_says_so() {
    let layout = LayoutRequest {
        tp: Some(1),
        pp: Some(1),
        cp: Some(1),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&with_layout(8, 100, layout)),
        "divisibility: global batch 100 cannot be divided by dp 8"
    );
}

// Llama 3 8B with Adam needs over 100 GB on one GPU.
#[test]
fn a_model_that_cannot_fit_names_need_and_capacity() {
    let text = reason(&scenario("llama3-8b", 1, 8));
    assert!(
        text.starts_with("memory: ") && text.contains("79.1 GiB available"),
        "{text}"
    );
}

#[test]
fn experts_and_chunks_where_there_are_none_are_refused() {
    let experts = LayoutRequest {
        ep: Some(2),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&with_layout(8, 128, experts)),
        "unsupported: ep 2 needs experts, llama3-8b has none"
    );
    let chunks = LayoutRequest {
        pp: Some(1),
        vpp: Some(2),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&with_layout(8, 128, chunks)),
        "unsupported: vpp 2 needs a pipeline, the layout has pp 1"
    );
}

#[test]
fn a_scratch_that_has_seen_other_points_changes_nothing() {
    let points = [
        scenario("llama3-8b", 8, 128),
        scenario("llama3-8b", 64, 512),
        scenario("llama3-8b", 16, 128),
    ];
    let mut shared = Scratch::default();
    for _ in 0..2 {
        for point in &points {
            assert_eq!(simulate_training(point, &mut shared), run(point));
        }
    }
}

// A rate is looked up by the kernel for every attention operator, and unfused attention, which has none, is products and
// kernels that move memory: of all models the indexer's alone has an operator left, and such models are refused above.
#[test]
fn unfused_attention_is_made_of_other_operators() {
    for (name, model) in &Catalog::builtin().models {
        let shard = Shard {
            flash_attention: false,
            ..Shard::whole(model.seq_len().max(1))
        };
        let lowered = lower(model, &shard);
        let layers = lowered.layer_kinds.iter().chain(&lowered.mtp);
        let mut operators =
            layers.flat_map(|layer| layer.forward.iter().chain(&layer.backward_input));
        let is_attention = |it: &Operator| matches!(it, Operator::Attention { .. });
        let latent = model.transformer().and_then(|network| network.mla);
        let chooses = latent.is_some_and(|mla| mla.index_heads > 0);
        assert_eq!(operators.any(is_attention), chooses, "{name}");
    }
}

// A V100 has no fused attention, and the indexer of DeepSeek-V3.2 no other.
#[test]
fn chosen_keys_need_a_fused_kernel() {
    let catalog = Catalog::builtin();
    let mut job = scenario("deepseek-v3.2", 8, 8);
    job.gpu = catalog.gpus["v100-32gb-sxm"].clone();
    job.cluster = catalog.clusters["dgx-1"].clone();
    job.workload.precision = Precision::Fp16;
    let why = reason(&job);
    assert!(why.contains("keys that its indexer chooses"), "{why}");
}

/// A model on 8 GPUs in one stage, nothing sharded but the optimizer, one microbatch of one sample at a time, which keeps
/// all activations.
pub(super) fn plain(model: &str, tp: u32) -> TrainingScenario {
    let mut job = scenario(model, 8, 32);
    job.layout = LayoutRequest {
        tp: Some(tp),
        pp: Some(1),
        cp: Some(1),
        micro_batch: Some(1),
        zero: Some(ZeroStage::Z1),
        recompute: Some(Recompute::None),
        ..LayoutRequest::default()
    };
    job
}

// 201 samples are no whole number of microbatches of 2: refused where the framework needs whole ones, and left out of the
// search, whose microbatches divide 15 (of 8 replicas with 120 samples together).
#[test]
fn microbatches_divide_the_batch_of_a_replica() {
    let layout = LayoutRequest {
        tp: Some(8),
        pp: Some(1),
        micro_batch: Some(2),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&with_layout(8, 201, layout)),
        "divisibility: global batch 201 cannot be divided by dp 1 × micro batch 2 = 2"
    );
    let open = LayoutRequest {
        tp: Some(1),
        pp: Some(1),
        cp: Some(1),
        ..LayoutRequest::default()
    };
    let found = ok(&with_layout(8, 120, open)).layout;
    assert!(
        15_u32.is_multiple_of(found.micro_batch),
        "{}",
        found.micro_batch
    );
}

// 100 microbatches of 2 and one of 1 are 201 samples: 100.5/101 of the time of 101 whole ones on the
// parts that scale with samples; the optimizer and the end of the step do not shrink.
#[test]
fn a_short_last_microbatch_takes_less_time_than_a_whole_one() {
    let layout = LayoutRequest {
        tp: Some(8),
        pp: Some(1),
        micro_batch: Some(2),
        ..LayoutRequest::default()
    };
    let of = |samples| {
        let mut job = with_layout(8, samples, layout.clone());
        job.stack = job.stack.with_partial_microbatches();
        ok(&job)
    };
    let (short, whole) = (of(201), of(202));
    assert_eq!(short.layout.microbatches, 101);
    let ratio = short.shares[StepPart::Compute].as_secs_f64()
        / whole.shares[StepPart::Compute].as_secs_f64();
    assert!((ratio - 100.5 / 101.0).abs() < 1e-6, "{ratio}");
}

// The slowest of n GPUs decides: more GPUs, longer steps; none, the deterministic one.
#[test]
fn variability_makes_steps_longer_and_reports_their_spread() {
    let mut point = scenario("llama3-8b", 64, 512);
    let calm = ok(&point);
    point.run = RunSettings {
        variability: 0.05,
        iterations: 64,
        seed: 1,
        ..RunSettings::default()
    };
    let noisy = ok(&point);
    let spread = noisy.percentiles.expect("variability was asked for");
    assert!(noisy.step_time() > calm.step_time());
    assert!(spread.p50 <= spread.p95 && spread.p95 <= spread.p99);
    // One stage, whose slowest of 64 GPUs is drawn anew for each step: with a standard deviation of at most 2.5% of
    // the step the mean lies near the median, and a few of 64 steps are slower than it.
    let ratio = spread.p50.as_secs_f64() / noisy.step_time().as_secs_f64();
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
    assert!(spread.p99 > noisy.step_time());
    assert!(calm.percentiles.is_none());
}

#[test]
fn recomputation_and_sharding_trade_time_and_memory_as_they_should() {
    let with = |recompute, zero| {
        let layout = LayoutRequest {
            tp: Some(4),
            pp: Some(1),
            micro_batch: Some(1),
            recompute: Some(recompute),
            zero: Some(zero),
            ..LayoutRequest::default()
        };
        ok(&with_layout(16, 64, layout))
    };
    let plain = with(Recompute::None, ZeroStage::Z1);
    let full = with(Recompute::Full, ZeroStage::Z1);
    assert!(full.step_time() > plain.step_time());
    assert!(full.memory.activations < plain.memory.activations);
    assert!(full.hardware_flops.get() > plain.hardware_flops.get());
    assert_eq!(full.model_flops, plain.model_flops);
    // Adam's 12 bytes per parameter over 4 replicas: a quarter of them.
    let replicated = with(Recompute::None, ZeroStage::Z0);
    let ratio = replicated.memory.optimizer.as_f64() / plain.memory.optimizer.as_f64();
    assert!((ratio - 4.0).abs() < 1e-6, "{ratio}");
    let sharded = with(Recompute::None, ZeroStage::Z3);
    assert!(sharded.memory.weights < plain.memory.weights);
}

fn scaled_gpu(gpu: &Gpu, factor: f64) -> Arc<Gpu> {
    Arc::new(Gpu {
        memory_bandwidth: gpu.memory_bandwidth.scaled(factor),
        ..gpu.clone()
    })
}

fn scaled_nic(cluster: &Cluster, factor: f64) -> Arc<Cluster> {
    Arc::new(Cluster {
        nic_bandwidth: cluster.nic_bandwidth.scaled(factor),
        ..cluster.clone()
    })
}

fn layouts() -> impl Strategy<Value = (u32, LayoutRequest)> {
    let groups = (
        0_u32..3,
        0_u32..3,
        0_u32..2,
        0_u32..4,
        prop::sample::select(vec![1_u32, 2, 4]),
    );
    let policies = (
        prop::sample::select(ZeroStage::ALL),
        prop::sample::select(Recompute::ALL),
        prop::sample::select(PipelineSchedule::ALL),
        any::<bool>(),
    );
    (groups, policies).prop_map(
        |((tp, pp, cp, dp, micro_batch), (zero, recompute, schedule, sp))| {
            let vpp = if schedule == PipelineSchedule::Interleaved && pp > 0 {
                2
            } else {
                1
            };
            let schedule = if vpp == 1 && schedule == PipelineSchedule::Interleaved {
                PipelineSchedule::OneFOneB
            } else {
                schedule
            };
            let layout = LayoutRequest {
                tp: Some(1 << tp),
                pp: Some(1 << pp),
                cp: Some(1 << cp),
                vpp: Some(vpp),
                micro_batch: Some(micro_batch),
                zero: Some(zero),
                recompute: Some(recompute),
                schedule: Some(schedule),
                sequence_parallel: Some(sp),
                ..LayoutRequest::default()
            };
            (1 << (tp + pp + cp + dp), layout)
        },
    )
}

fn roomy(mut scenario: TrainingScenario) -> TrainingScenario {
    let gpu = Gpu {
        memory: Bytes::gib(100_000),
        ..(*scenario.gpu).clone()
    };
    scenario.gpu = Arc::new(gpu);
    scenario
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // The engine's end is compared with the sum of the parts where the parts are made; here every
    // layout passes through that, and through the physical limits.
    #[test]
    fn no_layout_beats_the_peak_and_more_bandwidth_is_never_slower((gpus, layout) in layouts()) {
        let point = roomy(with_layout(gpus, 64, layout));
        if let Ok(report) = run(&point) {
            let step = report.step_time();
            let peak = point.gpu.peaks.get(Precision::Bf16).unwrap().as_flops_per_s() * f64::from(gpus);
            prop_assert!(step.as_secs_f64() >= report.hardware_flops.get() / peak);
            prop_assert!(report.hardware_flops.get() >= 0.999 * report.model_flops.get());
            prop_assert!(report.network.link_utilization_max <= 1.0 + 1e-9);
            prop_assert!(step >= report.shares[StepPart::Compute] + report.shares.exposed_communication());
            prop_assert!(report.shares.exposed_communication() <= report.comm_busy);
            prop_assert!(report.comm_busy <= step);

            let faster_memory = TrainingScenario { gpu: scaled_gpu(&point.gpu, 1.5), ..point.clone() };
            prop_assert!(ok(&faster_memory).step_time() <= step);
            let faster_nic = TrainingScenario { cluster: scaled_nic(&point.cluster, 2.0), ..point.clone() };
            let slack = SimDuration::from_nanos(1);
            prop_assert!(ok(&faster_nic).step_time() <= step + slack);
        }
    }

    #[test]
    fn twice_the_batch_on_fixed_groups_is_twice_the_work((gpus, layout) in layouts()) {
        let (one, two) = (roomy(with_layout(gpus, 64, layout.clone())), roomy(with_layout(gpus, 128, layout)));
        if let (Ok(one), Ok(two)) = (run(&one), run(&two)) {
            prop_assert!((two.model_flops.get() / one.model_flops.get() - 2.0).abs() < 1e-9);
            prop_assert!(two.step_time() > one.step_time());
        }
    }
}

// Nothing but sends between stages: of 63 samples of 2,048 tokens, 4,096 numbers and 2 bytes, a last microbatch of one
// sample included, each of the p·v − 1 borders between chunks is crossed by all of them, there and back. A GPU sends
// the p-th part: 2·63·2048·4096·2·(p·v − 1)/p bytes. In a node of 8 GPUs none leaves it.
#[test]
fn a_gpu_sends_its_part_of_what_crosses_the_borders_between_stages() {
    for (pp, vpp) in [(2, 1), (4, 1), (8, 1), (2, 4), (4, 2)] {
        let layout = LayoutRequest {
            tp: Some(1),
            pp: Some(pp),
            cp: Some(1),
            vpp: Some(vpp),
            micro_batch: Some(2),
            recompute: Some(Recompute::Full),
            ..LayoutRequest::default()
        };
        let mut point = roomy(with_layout(pp, 63, layout));
        point.stack = point.stack.with_partial_microbatches();
        point.workload.seq_len = 2048;
        let network = ok(&point).network;
        let whole = 2.0 * 63.0 * 2048.0 * 4096.0 * 2.0;
        let expected = whole * f64::from(pp * vpp - 1) / f64::from(pp);
        let ratio = network.intra_node.as_f64() / expected;
        assert!((ratio - 1.0).abs() < 1e-6, "pp {pp}, vpp {vpp}: {ratio}");
        assert_eq!(network.inter_node, Bytes::ZERO);
    }
}

/// A job of `gpus` A100s, which have no switches that reduce, all of whose all-reduces are rings.
fn on_rings(model: &str, gpus: u32, global_batch: u32, layout: LayoutRequest) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut point = TrainingScenario::new(
        catalog.models[model].clone(),
        catalog.gpus["a100-80gb-sxm"].clone(),
        catalog.clusters["dgx-a100"].clone(),
        catalog.stacks["current"].clone(),
    );
    (point.gpus, point.workload.global_batch) = (gpus, global_batch);
    point.workload.seq_len = 4096;
    point.communication.collective = Some(Algorithm::BuiltIn(CollectiveAlgorithm::Ring));
    point.layout = LayoutRequest {
        pp: Some(1),
        recompute: Some(Recompute::None),
        ..layout
    };
    roomy(point)
}

/// Part of a buffer that a rank of `n` sends when it is gathered or scattered around a ring.
fn passed_on(n: u32) -> f64 {
    f64::from(n - 1) / f64::from(n)
}

fn sent(point: &TrainingScenario) -> f64 {
    let network = ok(point).network;
    network.intra_node.as_f64() + network.inter_node.as_f64()
}

/// Bytes of the gradients and parameters that a rank sends in a step of `microbatches`, of each `parameters` that
/// `replicas` ranks hold. Both take 2 bytes. A reduction and a gathering once per step; the reduction once per
/// microbatch where gradients are sharded; with sharded parameters two gatherings, too.
fn replicated_bytes(zero: ZeroStage, microbatches: f64, parameters: f64, replicas: u32) -> f64 {
    let passes = match zero {
        ZeroStage::Z0 | ZeroStage::Z1 => 2.0,
        ZeroStage::Z2 => microbatches + 1.0,
        ZeroStage::Z3 => 3.0 * microbatches,
    };
    passes * parameters * 2.0 * passed_on(replicas)
}

// Llama 3 8B: 32 layers of 4096·(4096 + 2·1024) + 4096² + 3·4096·14336 weights, embedding and head of 128,256·4096,
// each over tp ranks, and 65 norms of 4,096 on every rank.
// Tensor parallelism: of a residual stream of R = tokens/cp · 4096 · 2 bytes, without sequence parallelism 4
// all-reduces a layer, and one each for embedding and logits; with it 10 gatherings or scatterings a layer, 5 for
// embedding and logits, and once per step an all-reduce of the norms' gradients, which a rank has for its own tokens
// alone. The loss all-reduces three numbers of 4 bytes per token.
// Context parallelism: keys and values of 8 heads of 128 numbers go round cp − 1 times forward, twice as many bytes
// backward.
#[test]
fn bytes_of_a_dense_step_are_those_of_the_closed_forms() {
    let splits = [(1, 1, 8), (8, 1, 1), (2, 2, 4), (4, 4, 1), (1, 2, 8)];
    for ((tp, cp, dp), zero) in splits.into_iter().cartesian_product(ZeroStage::ALL) {
        for sequence_parallel in [false, true] {
            if dp * cp == 1 && *zero == ZeroStage::Z3 {
                continue;
            }
            let layout = LayoutRequest {
                tp: Some(tp),
                cp: Some(cp),
                micro_batch: Some(2),
                zero: Some(*zero),
                sequence_parallel: Some(sequence_parallel),
                ..LayoutRequest::default()
            };
            let microbatches = 3.0;
            let point = on_rings("llama3-8b", tp * cp * dp, 6 * dp, layout);
            let [t, c] = [tp, cp].map(f64::from);
            let tokens = 2.0 * 4096.0 / c;
            let residual = tokens * 4096.0 * 2.0;
            let streams = if sequence_parallel {
                325.0
            } else {
                2.0 * 130.0
            };
            let tensor = passed_on(tp) * (streams * residual + 2.0 * 3.0 * 4.0 * tokens);
            let context = 32.0 * 3.0 * (c - 1.0) * tokens * (8.0 / t) * 2.0 * 128.0 * 2.0;
            let weights = 32.0 * (4096.0 * 6144.0 + 4096.0 * 4096.0 + 3.0 * 4096.0 * 14336.0)
                + 2.0 * 128_256.0 * 4096.0;
            let held = weights / t + 65.0 * 4096.0;
            let norms = if sequence_parallel {
                2.0 * passed_on(tp) * 65.0 * 4096.0 * 2.0
            } else {
                0.0
            };
            let expected = microbatches * (tensor + context)
                + norms
                + replicated_bytes(*zero, microbatches, held, dp * cp);
            let ratio = sent(&point) / expected;
            let case = format!("tp {tp} cp {cp} dp {dp} zero {zero} {sequence_parallel}");
            assert!((ratio - 1.0).abs() < 3e-6, "{case}: {ratio}");
        }
    }
}

// Mixtral 8x7B on 8 GPUs: 32 layers of 4096·6144 + 4096² attention and 4096·8 router weights, 2 norms, and 8 experts of
// 3·4096·14336; embedding and head of 32,000·4096 and a norm. Every token visits two experts and comes back, and so
// do the gradients: 4 all-to-alls a layer of 2·tokens·4096·2 bytes; DeepEP sends one copy where both experts lie on one
// rank, 2 − 1/ep on average. Dense weights are held by all 8 ranks, experts by 8/ep.
#[test]
fn bytes_of_a_step_with_experts_are_those_of_the_closed_forms() {
    for (ep, zero) in [1, 2, 4, 8].into_iter().cartesian_product(ZeroStage::ALL) {
        let layout = LayoutRequest {
            tp: Some(1),
            cp: Some(1),
            ep: Some(ep),
            etp: Some(1),
            micro_batch: Some(1),
            zero: Some(*zero),
            ..LayoutRequest::default()
        };
        let microbatches = 3.0;
        let mut point = on_rings("mixtral-8x7b", 8, 3 * 8, layout);
        let dense = 32.0 * (4096.0 * 6144.0 + 4096.0 * 4096.0 + 4096.0 * 8.0 + 2.0 * 4096.0)
            + 2.0 * 32_000.0 * 4096.0
            + 4096.0;
        let experts = 32.0 * f64::from(8 / ep) * 3.0 * 4096.0 * 14336.0;
        for (way, copies) in [
            (ExpertDispatch::AllToAll, 2.0),
            (ExpertDispatch::DeepEp, 2.0 - 1.0 / f64::from(ep)),
        ] {
            let exchanged = 32.0 * 4.0 * copies * 4096.0 * 4096.0 * 2.0 * passed_on(ep);
            let expected = microbatches * exchanged
                + replicated_bytes(*zero, microbatches, dense, 8)
                + replicated_bytes(*zero, microbatches, experts, 8 / ep);
            point.communication.expert_dispatch = Some(way);
            let ratio = sent(&point) / expected;
            assert!(
                (ratio - 1.0).abs() < 1e-3,
                "{way} ep {ep} zero {zero}: {ratio}"
            );
        }
    }
}

// Experts that every one of 8 tensor-parallel ranks holds whole, or 8/ep of them: their gradients are reduced over
// those, whether that overlaps or not. Mixtral's experts over ep 2: 4 of them on each rank, held by 4 ranks.
#[test]
fn gradients_of_experts_are_reduced_where_no_dense_weight_is_replicated() {
    let sent_by = |overlap| {
        let layout = LayoutRequest {
            tp: Some(8),
            cp: Some(1),
            ep: Some(2),
            etp: Some(1),
            micro_batch: Some(1),
            zero: Some(ZeroStage::Z1),
            ..LayoutRequest::default()
        };
        let mut point = on_rings("mixtral-8x7b", 8, 1, layout);
        point.communication.overlap_dp = Some(overlap);
        let report = ok(&point);
        (report.network, report.step_time(), sent(&point))
    };
    let (overlapped, exposed) = (sent_by(true), sent_by(false));
    assert_eq!(overlapped.0.intra_node, exposed.0.intra_node);
    assert!(exposed.1 >= overlapped.1);
    let experts = replicated_bytes(ZeroStage::Z1, 1.0, 32.0 * 4.0 * 3.0 * 4096.0 * 14336.0, 4);
    assert!(overlapped.2 > experts, "{} and {experts}", overlapped.2);
}

// ZeRO-2 pays: a framework that reduces each microbatch's gradients holds a part of them and sends more; one that
// reduces once holds them whole, as ZeRO-1 does.
#[test]
fn sharded_gradients_cost_bytes_and_whole_ones_memory() {
    let with = |stack: &str, zero| {
        let layout = LayoutRequest {
            tp: Some(1),
            cp: Some(1),
            micro_batch: Some(1),
            zero: Some(zero),
            ..LayoutRequest::default()
        };
        let mut point = on_rings("gpt3-6.7b", 8, 32, layout);
        point.stack = Catalog::builtin().stacks[stack].clone();
        (ok(&point).memory.gradients.as_f64(), sent(&point))
    };
    for stack in ["current", "deepspeed-2021", "fsdp-2024"] {
        let (one, two) = (with(stack, ZeroStage::Z1), with(stack, ZeroStage::Z2));
        assert!(
            (one.0 / two.0 - 8.0).abs() < 1e-6,
            "{stack}: {one:?} {two:?}"
        );
        // Four reductions and at least one gathering in place of one of each.
        assert!(two.1 > 2.4 * one.1, "{stack}: {one:?} {two:?}");
    }
    // One that offers no ZeRO-2 refuses it.
    let mut refused = on_rings(
        "gpt3-6.7b",
        8,
        32,
        LayoutRequest {
            zero: Some(ZeroStage::Z2),
            ..LayoutRequest::default()
        },
    );
    refused.stack = Catalog::builtin().stacks["megatron-2021"].clone();
    assert!(
        reason(&refused).contains("does not offer zero 2"),
        "{}",
        reason(&refused)
    );
}

#[test]
fn parameters_are_sharded_over_replicas_or_not_at_all() {
    let layout = |dp: Option<u32>| LayoutRequest {
        tp: dp.map(|_| 8),
        pp: dp.map(|_| 1),
        cp: Some(1),
        zero: Some(ZeroStage::Z3),
        ..LayoutRequest::default()
    };
    assert_eq!(
        reason(&roomy(with_layout(8, 64, layout(Some(1))))),
        "limit: zero 3 shards over replicas, the layout has dp 1 × cp 1"
    );
    assert!(ok(&roomy(with_layout(8, 64, layout(None)))).layout.dp > 1);
}

// 4 stages, 8 microbatches: 8 forward and 8 backward passes on each stage, sent across 3 borders
// each way: 48 flows. At the end nothing is held.
#[test]
fn a_trace_shows_every_pass_and_every_send_and_ends_with_empty_memory() {
    let layout = LayoutRequest {
        tp: Some(2),
        pp: Some(4),
        vpp: Some(1),
        micro_batch: Some(1),
        schedule: Some(PipelineSchedule::OneFOneB),
        ..LayoutRequest::default()
    };
    let (report, trace) =
        trace_training(&with_layout(8, 8, layout), &mut Scratch::default()).expect("it fits");
    let count = |stage, kind| {
        let passes = trace
            .slices
            .iter()
            .filter(|slice| slice.stage == stage && slice.kind == kind);
        passes
            .map(|slice| slice.microbatch)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    for stage in 0..4 {
        assert_eq!(
            (
                count(stage, SliceKind::Forward),
                count(stage, SliceKind::Backward)
            ),
            (8, 8)
        );
    }
    assert_eq!(trace.flows.len(), 48);
    for &(from, to) in &trace.flows {
        let (from, to) = (&trace.slices[from], &trace.slices[to]);
        assert!(from.start + from.duration <= to.start && from.stage != to.stage);
    }
    let end = trace
        .slices
        .iter()
        .map(|slice| slice.start + slice.duration)
        .max();
    assert_eq!(end.unwrap().as_picos(), report.step_time().as_picos());
    for stage in 0..4 {
        let last = trace
            .counters
            .iter()
            .rfind(|counter| counter.stage == stage);
        assert_eq!(last.unwrap().activations, Bytes::ZERO);
    }
}
