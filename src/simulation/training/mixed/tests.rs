//! Several types of GPU in one job, against what each type does alone.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::AttentionKernel;
use crate::simulation::{
    GpuPool, LayoutRequest, MixedLayout, Scratch, StepReport, TrainingScenario, simulate_training,
};
use crate::stack::{PipelineSchedule, ZeroStage};

/// Llama 3.2 1B with stated groups on so many GPUs of each type.
fn job(types: &[(&str, u32)], batch: u32) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let pools = types.iter().map(|(name, gpus)| {
        let gpu = &catalog.gpus[*name];
        let cluster = &catalog.clusters[&gpu.cluster];
        GpuPool {
            gpu: Arc::clone(gpu),
            cluster: Arc::new(
                cluster.with_nic_rate(catalog.clusters["dgx-a100"].nic_bandwidth_per_gpu()),
            ),
            gpus: *gpus,
        }
    });
    let pools: Vec<GpuPool> = pools.collect();
    let mut job = TrainingScenario::new(
        catalog.models["llama3.2-1b"].clone(),
        Arc::clone(&pools[0].gpu),
        Arc::clone(&pools[0].cluster),
        catalog.stacks["current"].clone(),
    );
    job.gpus = pools.iter().map(|pool| pool.gpus).sum();
    job.pools = pools;
    job.workload.global_batch = batch;
    job.workload.seq_len = 4096;
    job.layout = LayoutRequest {
        micro_batch: Some(1),
        tp: Some(1),
        pp: Some(1),
        cp: Some(1),
        zero: Some(ZeroStage::Z1),
        ..LayoutRequest::default()
    };
    job
}

fn ok(job: &TrainingScenario) -> StepReport {
    simulate_training(job, &mut Scratch::default()).unwrap()
}

fn counts(report: &StepReport) -> Vec<u32> {
    report.pools.iter().map(|pool| pool.microbatches).collect()
}

// Two pools of one type are a job of that type: 2 · 4 replicas with 64 / 8 = 8 microbatches each.
#[test]
fn pools_of_one_type_are_a_job_of_that_type() {
    let mixed = job(&[("h100-sxm", 8), ("h100-sxm", 8)], 128);
    let mut alike = mixed.clone();
    alike.pools.clear();
    let (mixed, alike) = (ok(&mixed), ok(&alike));
    assert_eq!(counts(&mixed), [8, 8]);
    assert_eq!(mixed.step_time(), alike.step_time());
    assert_eq!(mixed.memory, alike.memory);
    assert_eq!(mixed.network, alike.network);
    assert!((mixed.model_flops.get() / alike.model_flops.get() - 1.0).abs() < 1e-12);
}

// The A100 has 312 TFLOP/s and the H100 989: it is dealt fewer, the step lies between those of 16 GPUs of either type, and
// no type waits longer than one microbatch of the slower.
#[test]
fn a_faster_type_takes_more_microbatches() {
    let types = [("a100-80gb-sxm", 8), ("h100-sxm", 8)];
    let report = ok(&job(&types, 512));
    let [slow, fast] = counts(&report)[..] else {
        panic!("two types");
    };
    assert!(slow < fast && 8 * (slow + fast) >= 512 && 8 * (slow + fast) < 512 + 16);
    let alone = |name| {
        let mut job = job(&[(name, 8), (name, 8)], 512);
        job.pools.clear();
        ok(&job).step_time()
    };
    assert!(report.step_time() < alone("a100-80gb-sxm"));
    assert!(report.step_time() > alone("h100-sxm"));
    let times: Vec<f64> = report
        .pools
        .iter()
        .map(|pool| pool.step_time.as_secs_f64())
        .collect();
    let microbatch = alone("a100-80gb-sxm").as_secs_f64() / 32.0;
    assert!((times[0] - times[1]).abs() < microbatch, "{times:?}");
}

// Alone either type is fastest with the largest micro batch, of which 128 samples leave each of 16 replicas one: nothing
// to deal, and the slow type sets the pace. Left open, the micro batch is no worse than any that is given.
#[test]
fn an_open_micro_batch_is_no_slower_than_any_given() {
    let mut open = job(&[("a100-80gb-sxm", 8), ("h100-sxm", 8)], 128);
    open.layout.micro_batch = None;
    let of_open = ok(&open);
    let given = [1, 2, 4, 8].map(|micro_batch| {
        let mut given = open.clone();
        given.layout.micro_batch = Some(micro_batch);
        ok(&given).step_time()
    });
    for step_time in given {
        assert!(of_open.step_time() <= step_time);
    }
    let [slow, fast] = counts(&of_open)[..] else {
        panic!("two types");
    };
    assert!(slow < fast, "{slow} {fast}");
}

// ZeRO-3 gathers parameters in every microbatch, so that all replicas have as many: the slow type sets the pace.
#[test]
fn replicas_in_lockstep_have_as_many_microbatches() {
    let mut job = job(&[("a100-80gb-sxm", 8), ("h100-sxm", 8)], 512);
    job.layout.zero = Some(ZeroStage::Z3);
    let report = ok(&job);
    assert_eq!(counts(&report), [32, 32]);
    assert_eq!(report.step_time(), report.pools[0].step_time);
}

// 40 GB are less than 80: the peak is that of the type whose memory is the fuller.
#[test]
fn the_tightest_type_decides_about_memory() {
    let report = ok(&job(&[("h100-sxm", 8), ("a100-40gb-sxm", 8)], 256));
    assert_eq!(report.memory_capacity, report.pools[1].memory_capacity);
    let mut large = job(&[("h100-sxm", 8), ("a100-40gb-sxm", 8)], 256);
    large.model = Arc::clone(&Catalog::builtin().models["llama3-8b"]);
    large.layout.zero = Some(ZeroStage::Z0);
    let why = simulate_training(&large, &mut Scratch::default()).unwrap_err();
    assert!(
        why.to_string().contains("h100-sxm") || why.to_string().contains("a100-40gb-sxm"),
        "{why}"
    );
}

// A replica of 16 ranks does not lie on 8 GPUs of a type.
#[test]
fn a_replica_is_on_gpus_of_one_type() {
    let mut wide = job(&[("a100-80gb-sxm", 8), ("h100-sxm", 8)], 512);
    (wide.layout.tp, wide.layout.pp) = (Some(8), Some(2));
    let why = simulate_training(&wide, &mut Scratch::default()).unwrap_err();
    assert!(why.to_string().contains("8 a100-80gb-sxm"), "{why}");
}

// The H100 calls cuDNN and the A100 FlashAttention 2 in the same layout, which is dealt once, beside the step that each type
// takes alone, of one layout with every axis given.
#[test]
fn types_with_kernels_of_their_own_are_laid_out_alike() {
    let report = ok(&job(&[("h100-sxm", 8), ("a100-80gb-sxm", 8)], 512));
    assert_eq!(report.layouts_tried, 2 + 1);
    let kernel = |name| {
        let mut job = job(&[(name, 8), (name, 8)], 512);
        job.pools.clear();
        ok(&job).layout.attention
    };
    let kernels = ["h100-sxm", "a100-80gb-sxm"].map(kernel);
    assert_eq!(kernels, [AttentionKernel::CuDnn, AttentionKernel::Flash2]);
    assert!(kernels.contains(&report.layout.attention), "{report:?}");
}

// A kernel that is asked for is asked of every type.
#[test]
fn a_kernel_that_a_type_lacks_is_told_with_the_type() {
    let mut asked = job(&[("h100-sxm", 8), ("a100-80gb-sxm", 8)], 512);
    asked.layout.attention = Some(AttentionKernel::Flash3);
    let why = simulate_training(&asked, &mut Scratch::default()).unwrap_err();
    assert!(
        why.to_string()
            .contains("`flash3` does not run on a100-80gb-sxm"),
        "{why}"
    );
}

/// Pipeline stages on so many GPUs of each type.
fn pipeline(types: &[(&str, u32)], pp: u32) -> TrainingScenario {
    let mut job = job(types, 128);
    job.layout.mixed = Some(MixedLayout::Stages);
    (job.layout.pp, job.layout.tp) = (Some(pp), Some(2));
    job.layout.schedule = Some(PipelineSchedule::OneFOneB);
    job
}

// Two pools of one type are a pipeline of that type with the same layers on each stage.
#[test]
fn stages_of_one_type_are_a_pipeline_of_that_type() {
    let mixed = pipeline(&[("h100-sxm", 8), ("h100-sxm", 8)], 4);
    let report = ok(&mixed);
    let mut alike = mixed.clone();
    alike.pools.clear();
    alike.layout.layers_per_stage = Some(report.layout.layers_per_stage.clone());
    alike.layout.vpp = Some(1);
    let alike = ok(&alike);
    assert_eq!(report.step_time(), alike.step_time());
    assert_eq!(report.memory, alike.memory);
    let layers = report.pools.iter().filter_map(|pool| pool.layers);
    assert_eq!(layers.sum::<u32>(), 16);
}

// An H100 has three times the peak of an A100, so its two stages have more of the 16 layers than the A100's two, and the
// step lies between those of either type.
#[test]
fn a_faster_type_has_more_layers() {
    let types = [("a100-80gb-sxm", 8), ("h100-sxm", 8)];
    let report = ok(&pipeline(&types, 4));
    let layers: Vec<u32> = report.pools.iter().filter_map(|pool| pool.layers).collect();
    assert!(
        layers[0] < layers[1] && layers[0] + layers[1] == 16,
        "{layers:?}"
    );
    let alone = |name| {
        let mut job = pipeline(&[(name, 8), (name, 8)], 4);
        job.pools.clear();
        ok(&job).step_time()
    };
    assert!(report.step_time() < alone("a100-80gb-sxm"));
    assert!(report.step_time() > alone("h100-sxm"));
}

// Of 8 and 16 GPUs a third of the stages is on the first type: 3, 6, … of them, never 4.
#[test]
fn each_type_has_its_share_of_the_stages() {
    let types = [("a100-80gb-sxm", 8), ("h100-sxm", 16)];
    let why = simulate_training(&pipeline(&types, 4), &mut Scratch::default()).unwrap_err();
    assert!(why.to_string().contains("pp 4"), "{why}");
    assert_eq!(ok(&pipeline(&types, 3)).layout.pp, 3);
}
