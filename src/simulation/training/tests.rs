//! Properties of every training step.

use std::sync::Arc;

use proptest::prelude::*;

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu, Precision};
use crate::simulation::training::{SliceKind, trace_training};
use crate::simulation::{
    Infeasible, LayoutRequest, RunSettings, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training,
};
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
use crate::units::{Bytes, SimDuration};

fn scenario(model: &str, gpus: u32, global_batch: u32) -> TrainingScenario {
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

fn ok(scenario: &TrainingScenario) -> StepReport {
    run(scenario).expect("the layout fits")
}

fn reason(scenario: &TrainingScenario) -> String {
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
    let (short, whole) = (
        ok(&with_layout(8, 201, layout.clone())),
        ok(&with_layout(8, 202, layout)),
    );
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
        point.workload.seq_len = 2048;
        let network = ok(&point).network;
        let whole = 2.0 * 63.0 * 2048.0 * 4096.0 * 2.0;
        let expected = whole * f64::from(pp * vpp - 1) / f64::from(pp);
        let ratio = network.intra_node.as_f64() / expected;
        assert!((ratio - 1.0).abs() < 1e-6, "pp {pp}, vpp {vpp}: {ratio}");
        assert_eq!(network.inter_node, Bytes::ZERO);
    }
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
