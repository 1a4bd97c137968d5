//! Layouts of jobs on several types of GPU against what their axes take explicitly; before a release,
//! `MIXED_JOBS=2000 cargo test --lib mixed` takes more jobs.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::Precision;
use crate::simulation::random::mixed;
use crate::simulation::training::search::tests::{Draws, pinned, single};
use crate::simulation::{
    GpuPool, LayoutRequest, MixedLayout, Scratch, TrainingScenario, simulate_training,
};

const GPUS: [&str; 8] = [
    "h100-sxm",
    "a100-80gb-sxm",
    "a100-40gb-sxm",
    "l40s",
    "b200",
    "v100-32gb-sxm",
    "mi300x",
    "mi250x",
];
const MODELS: [&str; 7] = [
    "llama3.2-1b",
    "llama3-8b",
    "qwen3-8b",
    "gpt-oss-20b",
    "mixtral-8x7b",
    "deepseek-v2-lite",
    "gpt2-small",
];
const STACKS: [&str; 6] = [
    "current",
    "current",
    "torchtitan",
    "jax-2023",
    "fsdp-2024",
    "hai-llm",
];

/// Number of jobs that are drawn of each kind.
fn jobs(usual: u64) -> u64 {
    std::env::var("MIXED_JOBS").map_or(usual, |text| text.parse().unwrap())
}

/// A job on two types drawn by its number.
fn job(number: u64, kind: MixedLayout) -> TrainingScenario {
    let mut draws = Draws(mixed(number));
    let catalog = Catalog::builtin();
    let first = draws.below(GPUS.len());
    let second = (first + 1 + draws.below(GPUS.len() - 1)) % GPUS.len();
    let gpus = [first, second].map(|at| &catalog.gpus[GPUS[at]]);
    let clusters = gpus.map(|gpu| &catalog.clusters[&gpu.cluster]);
    let slowest = clusters.iter().map(|it| it.nic_bandwidth_per_gpu());
    let slowest = slowest.min_by(|a, b| a.partial_cmp(b).unwrap()).unwrap();
    let pools = std::iter::zip(gpus, clusters).map(|(gpu, cluster)| GpuPool {
        gpu: Arc::clone(gpu),
        cluster: Arc::new(cluster.with_nic_rate(slowest)),
        gpus: draws.of(&[8, 8, 16]),
    });
    let pools: Vec<GpuPool> = pools.collect();
    let mut job = TrainingScenario::new(
        catalog.models[draws.of(&MODELS)].clone(),
        Arc::clone(&pools[0].gpu),
        Arc::clone(&pools[0].cluster),
        catalog.stacks[draws.of(&STACKS)].clone(),
    );
    job.gpus = pools.iter().map(|pool| pool.gpus).sum();
    job.pools = pools;
    job.workload.global_batch = draws.of(&[24, 32, 60, 64, 96]);
    job.workload.seq_len = draws.of(&[1024, 2048, 4096]);
    job.workload.seq_len = job.model.fixed_tokens().unwrap_or(job.workload.seq_len);
    if job
        .pools
        .iter()
        .any(|pool| pool.gpu.peaks.get(Precision::Bf16).is_none())
    {
        job.workload.precision = Precision::Fp16;
    }
    job.layout.mixed = Some(kind);
    job
}

/// A request with one axis, or three, given.
fn asked(draws: &mut Draws, job: &TrainingScenario, few: bool) -> LayoutRequest {
    let all = pinned(draws, job);
    let mut asked = if few {
        LayoutRequest {
            tp: all.tp,
            pp: all.pp,
            zero: all.zero,
            ..LayoutRequest::default()
        }
    } else {
        single(draws, job)
    };
    asked.mixed = job.layout.mixed;
    asked
}

/// Jobs against requests; gives how many ran, and what was wrong.
fn compare(jobs: std::ops::Range<u64>, kind: MixedLayout) -> (u32, Vec<String>) {
    let mut scratch = Scratch::default();
    let (mut ran, mut wrong) = (0, Vec::new());
    for number in jobs {
        let job = job(number, kind);
        let auto = simulate_training(&job, &mut scratch);
        let mut draws = Draws(!mixed(number));
        for place in 0..8 {
            let asked = asked(&mut draws, &job, place > 4);
            let of_asked = TrainingScenario {
                layout: asked.clone(),
                ..job.clone()
            };
            let Ok(explicit) = simulate_training(&of_asked, &mut scratch) else {
                continue;
            };
            ran += 1;
            if auto
                .as_ref()
                .is_ok_and(|auto| auto.step_time() <= explicit.step_time())
            {
                continue;
            }
            wrong.push(format!(
                "job {number}: auto takes {:?}, {asked:?} takes {:?} by {:?}",
                auto.as_ref()
                    .map(|report| (report.step_time(), &report.layout)),
                explicit.step_time(),
                explicit.layout
            ));
        }
    }
    (ran, wrong)
}

/// Compares jobs, of which so many explicit layouts run at least.
fn hold(jobs: u64, mixed: MixedLayout, at_least: u64) {
    let (ran, wrong) = compare(0..jobs, mixed);
    assert!(
        wrong.is_empty(),
        "{} of {ran}: {}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(u64::from(ran) > at_least, "{ran}");
}

#[test]
fn no_explicit_layout_of_replicas_is_faster_than_auto() {
    let jobs = jobs(16);
    hold(jobs, MixedLayout::Replicas, jobs);
}

#[test]
fn no_explicit_layout_of_stages_is_faster_than_auto() {
    let jobs = jobs(10);
    hold(jobs, MixedLayout::Stages, jobs / 2);
}
