//! Whole steps of each schedule against one another.

use crate::catalog::Catalog;
use crate::simulation::{
    Infeasible, LayoutRequest, Scratch, StepPart, StepReport, TrainingScenario, simulate_training,
};
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};

/// A job on four stages with micro batches of one sample.
fn job(
    stack: &str,
    model: &str,
    schedule: PipelineSchedule,
    microbatches: u32,
) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut job = TrainingScenario::new(
        catalog.models[model].clone(),
        catalog.gpus["h200-sxm"].clone(),
        catalog.clusters["dgx-h100"].clone(),
        catalog.stacks[stack].clone(),
    );
    (job.gpus, job.workload.global_batch) = (32, 8 * microbatches);
    job.workload.seq_len = 2048;
    job.layout = LayoutRequest {
        tp: Some(1),
        pp: Some(4),
        cp: Some(1),
        ep: Some(if model == "llama3-8b" { 1 } else { 8 }),
        etp: Some(1),
        micro_batch: Some(1),
        recompute: Some(Recompute::None),
        zero: Some(ZeroStage::Z1),
        schedule: Some(schedule),
        ..LayoutRequest::default()
    };
    job
}

fn run(job: &TrainingScenario) -> Result<StepReport, Infeasible> {
    simulate_training(job, &mut Scratch::default())
}

fn step(stack: &str, model: &str, schedule: PipelineSchedule) -> StepReport {
    run(&job(stack, model, schedule, 16)).expect("it runs")
}

// Bubbles (p − 1)(f + b + w), (p − 1)(f + b − w) and, in chunks of half the length, of ZB-V less than that of ZB-H1.
#[test]
fn schedules_that_fill_the_bubble_take_less_time() {
    let of = |schedule| {
        let step = step("zero-bubble", "llama3-8b", schedule);
        (step.step_time(), step.memory)
    };
    let (plain, plain_memory) = of(PipelineSchedule::OneFOneB);
    let (h1, _) = of(PipelineSchedule::ZbH1);
    let (h2, h2_memory) = of(PipelineSchedule::ZbH2);
    let (v, v_memory) = of(PipelineSchedule::ZbV);
    assert!(
        h1 < plain && h2 <= h1 && v < h1,
        "{plain:?} {h1:?} {h2:?} {v:?}"
    );
    // 2p − 1 microbatches against p, 7/4 of the layers alone; ZB-V holds 2p chunks of half a stage, and one stage has embedding and head.
    let ratio = h2_memory.activations.as_f64() / plain_memory.activations.as_f64();
    assert!(ratio > 1.5, "{ratio}");
    assert!(v_memory.activations < h2_memory.activations);
}

// Every stage has a forward and a backward chunk of each half: the first has the head, and all layers are there once.
#[test]
fn a_stage_of_a_v_has_two_chunks() {
    let report = step("torchtitan", "llama3-8b", PipelineSchedule::ZbV);
    assert_eq!((report.layout.pp, report.layout.vpp), (4, 2));
    assert_eq!(report.layout.layers_per_stage.len(), 8);
    assert_eq!(report.layout.layers_per_stage.iter().sum::<u32>(), 32);
}

// Pairs of passes hide the exchanges of tokens: what is left waits no longer than half of what ZB-V waits.
#[test]
fn pairs_of_passes_hide_the_exchanges_of_experts() {
    let waits = |schedule| {
        let step = step("torchtitan", "mixtral-8x7b", schedule);
        step.shares[StepPart::EpComm]
    };
    let (apart, paired) = (
        waits(PipelineSchedule::ZbV),
        waits(PipelineSchedule::DualPipeV),
    );
    assert!(paired + paired < apart, "{paired:?} {apart:?}");
}

#[test]
fn schedules_are_refused_with_a_way_out() {
    let refused = |job: &TrainingScenario| run(job).expect_err("it cannot run").to_string();
    let elsewhere = job("megatron-2025", "llama3-8b", PipelineSchedule::ZbV, 16);
    let told = refused(&elsewhere);
    assert!(
        told.contains("megatron-2025") && told.contains("zb-v"),
        "{told}"
    );
    let few = job("torchtitan", "llama3-8b", PipelineSchedule::DualPipeV, 7);
    let told = refused(&few);
    assert!(
        told.contains("8 microbatches or more, there are 7"),
        "{told}"
    );
    let mut chunks = job("torchtitan", "llama3-8b", PipelineSchedule::ZbV, 16);
    chunks.layout.vpp = Some(3);
    let told = refused(&chunks);
    assert!(told.contains("two chunks per stage, vpp is 3"), "{told}");
}

// Half of the microbatches from either end, on two copies of every stage: what DualPipe cut in half does with half of the
// stages and twice the replicas, but for the sends between the ranks in the middle. A rank holds two of eight stages,
// 2 × what it has in a pipeline of eight.
#[test]
fn dual_pipe_is_two_halves_that_each_run_in_a_v() {
    let of = |schedule, pp| {
        let mut job = job("hai-llm", "llama3-8b", schedule, 16);
        let mut stack = (*job.stack).clone();
        stack.offers.schedules = PipelineSchedule::ALL.to_vec();
        (job.stack, job.layout.pp) = (stack.into(), Some(pp));
        run(&job).expect("it runs")
    };
    let whole = of(PipelineSchedule::DualPipe, 8);
    let half = of(PipelineSchedule::DualPipeV, 4);
    let layout = &whole.layout;
    assert_eq!((layout.pp, layout.dp, layout.vpp), (8, 4, 1));
    assert_eq!(layout.microbatches, 2 * half.layout.microbatches);
    assert_eq!(whole.memory.weights, half.memory.weights);
    assert_eq!(whole.memory.optimizer, half.memory.optimizer);
    assert_eq!(whole.memory.activations, half.memory.activations);
    let longer = whole.step_time().as_secs_f64() / half.step_time().as_secs_f64();
    assert!((1.0..1.05).contains(&longer), "{longer}");
    let plain = of(PipelineSchedule::OneFOneB, 8);
    let copies = whole.memory.weights.as_f64() / plain.memory.weights.as_f64();
    assert!((copies - 2.0).abs() < 0.02, "{copies}");
}

// Pairs hide exchanges that 1F1B waits for, and leave a smaller bubble.
#[test]
fn the_search_takes_dual_pipe_where_a_framework_has_it() {
    let mut auto = job("hai-llm", "mixtral-8x7b", PipelineSchedule::DualPipe, 32);
    let asked = run(&auto).expect("it runs");
    auto.layout.schedule = None;
    let chosen = run(&auto).expect("it runs");
    assert!(chosen.step_time() <= asked.step_time());
    assert_eq!(chosen.layout.schedule, PipelineSchedule::DualPipe);
    auto.layout.schedule = Some(PipelineSchedule::DualPipe);
    auto.layout.pp = Some(3);
    let told = run(&auto)
        .expect_err("three stages have no halves")
        .to_string();
    assert!(
        told.contains("pp is 3") || told.contains("divided"),
        "{told}"
    );
}
