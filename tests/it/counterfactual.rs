//! Points simulated again: as they ran, without a part, on faster hardware.

use clustersweep::analysis::Resource;
use clustersweep::catalog::Catalog;
use clustersweep::simulation::{
    Counterfactual, LayoutRequest, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training,
};
use clustersweep::units::SimDuration;
use clustersweep::whatif::{elasticities, with_more};

/// Jobs with layouts of every kind: replicas alone, tensor groups, pipelines, experts, images, and
/// one that recomputes a part of its layers.
const JOBS: &[(&str, &str, &str, u32, u32)] = &[
    ("llama2-7b", "h100-sxm", "dgx-h100", 64, 512),
    ("llama3-70b", "h100-sxm", "dgx-h100", 256, 512),
    ("gpt3-175b", "a100-80gb-sxm", "dgx-a100", 512, 1_024),
    ("llama3-70b", "a100-80gb-sxm", "dgx-a100", 64, 512),
    ("mixtral-8x7b", "h100-sxm", "dgx-h100", 64, 256),
    ("resnet50", "a100-80gb-sxm", "dgx-a100", 64, 8_192),
    ("llama2-13b", "a100-80gb-pcie", "hgx-a100-pcie", 8, 128),
];

fn scenario(job: &(&str, &str, &str, u32, u32)) -> TrainingScenario {
    let (model, gpu, cluster, gpus, global_batch) = *job;
    let catalog = Catalog::builtin();
    let mut scenario = TrainingScenario::new(
        catalog.models[model].clone(),
        catalog.gpus[gpu].clone(),
        catalog.clusters[cluster].clone(),
        catalog.stacks["current"].clone(),
    );
    scenario.gpus = gpus;
    scenario.workload.global_batch = global_batch;
    scenario
}

fn play(scenario: &TrainingScenario) -> StepReport {
    simulate_training(scenario, &mut Scratch::default()).unwrap_or_else(|why| panic!("{why}"))
}

/// A job with the layout that the search chose for it, and its step.
fn pinned(job: &(&str, &str, &str, u32, u32)) -> (TrainingScenario, StepReport) {
    let mut scenario = scenario(job);
    let step = play(&scenario);
    scenario.layout = LayoutRequest::pinned(&step.layout);
    (scenario, step)
}

fn without(scenario: &TrainingScenario, part: StepPart) -> StepReport {
    let mut changed = scenario.clone();
    changed.run.counterfactual = Some(Counterfactual::Without(part));
    play(&changed)
}

#[test]
fn the_layout_that_was_chosen_asked_for_gives_the_same_step() {
    let mut partly = 0;
    for job in JOBS {
        let (asked, chosen) = pinned(job);
        let again = play(&asked);
        assert_eq!(again.layouts_tried, 1, "{job:?}");
        let as_chosen = StepReport {
            layouts_tried: chosen.layouts_tried,
            events: chosen.events,
            ..again
        };
        assert_eq!(as_chosen, chosen, "{job:?}");
        partly += u32::from(chosen.layout.recomputed_share < 1.0);
    }
    assert!(
        partly > 0,
        "one of the jobs recomputes a part of its layers"
    );
}

#[test]
fn without_a_part_that_part_takes_no_time_and_no_step_takes_longer() {
    let mut taken_away = 0;
    for job in JOBS {
        let (asked, step) = pinned(job);
        for &part in StepPart::ALL.iter().filter(|part| part.is_avoidable()) {
            let changed = without(&asked, part);
            assert_eq!(changed.shares[part], SimDuration::ZERO, "{job:?} {part}");
            assert!(changed.step_time() <= step.step_time(), "{job:?} {part}");
            taken_away += u32::from(step.shares[part] > SimDuration::ZERO);
        }
    }
    assert!(taken_away > 15, "{taken_away} parts were there at all");
}

#[test]
fn without_what_nothing_hides_behind_a_step_is_shorter_by_just_that() {
    // A single replica without a pipeline: nothing runs beside its kernels, so the optimizer and the
    // tensor groups' communication are addends of the step.
    let mut job = scenario(&("llama2-7b", "h100-sxm", "dgx-h100", 8, 64));
    job.layout = LayoutRequest {
        tp: Some(8),
        pp: Some(1),
        micro_batch: Some(4),
        ..LayoutRequest::default()
    };
    job.communication.overlap_tp = Some(false);
    let step = play(&job);
    // Without the part another layout may be faster.
    job.layout = LayoutRequest::pinned(&step.layout);
    for part in [StepPart::Optimizer, StepPart::TpComm] {
        let gone = step.shares[part];
        assert!(gone > SimDuration::ZERO);
        let without = without(&job, part);
        // The host issues fewer kernels too, which may shorten its own part, and has less time to get ahead, which may
        // lengthen it.
        let seconds = |step: &StepReport, part| step.shares[part].as_secs_f64();
        let host = seconds(&step, StepPart::Overhead) - seconds(&without, StepPart::Overhead);
        let shorter = step.step_time().as_secs_f64() - without.step_time().as_secs_f64();
        assert!(
            (shorter - gone.as_secs_f64() - host).abs() < 1e-9,
            "{part}: {gone:?} {shorter} {host}"
        );
        // Calls that come in bursts keep kernels waiting for at most 2^(1/3) − 1 = 0.26 of their time, with the power 3 of
        // this stack; behind the optimizer's step nothing hides calls.
        let most = match part {
            StepPart::TpComm => 0.26 * seconds(&step, StepPart::Compute),
            _ => 1e-9,
        };
        assert!(
            (-most..=seconds(&step, StepPart::Overhead)).contains(&host),
            "{part}: {host}, {most}"
        );
    }
}

#[test]
fn kernels_that_take_half_as_long_halve_the_compute_part() {
    let (mut asked, step) = pinned(&JOBS[0]);
    asked.run.counterfactual = Some(Counterfactual::KernelTime(0.5));
    let halved = play(&asked);
    // Kernels beside which a communication runs are slower by what it takes of the SMs, for as long as it
    // runs: that part is not halved.
    let ratio = halved.shares[StepPart::Compute].as_secs_f64()
        / step.shares[StepPart::Compute].as_secs_f64();
    assert!((0.49..0.52).contains(&ratio), "{ratio}");
}

/// Twice as much of everything.
fn twice(scenario: &TrainingScenario) -> TrainingScenario {
    Resource::ALL
        .iter()
        .fold(scenario.clone(), |scenario, &resource| {
            with_more(resource, 2.0, &scenario)
        })
}

#[test]
fn twice_as_much_of_everything_halves_the_step() {
    // Every rate times k, every latency, dispatch and overhead over k: a step of T/k. The ceilings of the
    // library's protocols are rates of no resource, so jobs whose small messages meet them fall short of it a
    // little, and none goes beyond.
    for job in JOBS {
        // Nothing shares a link with anything else.
        let (mut asked, _) = pinned(job);
        asked.communication.overlap_dp = Some(false);
        let ratio = halved(&asked);
        assert!((0.5 - 1e-6..0.505).contains(&ratio), "{job:?}: {ratio}");
    }
}

#[test]
fn what_meets_a_ceiling_leaves_more_of_twice_the_link_to_the_others() {
    // Beside a reduction that a protocol's ceiling holds back, the other communications of the job get more than half of
    // twice the link. At most they are no longer stretched by it at all: the step goes beyond T/2 by at most half of what the
    // reduction stretches them by, over T.
    for job in JOBS {
        let (asked, step) = pinned(job);
        let alone = without(&asked, StepPart::DpComm);
        let others = [
            StepPart::TpComm,
            StepPart::CpComm,
            StepPart::EpComm,
            StepPart::PpComm,
        ];
        let exposed = |step: &StepReport| {
            let all = others.map(|part| step.shares[part].as_secs_f64());
            all.iter().sum::<f64>()
        };
        let stretched = exposed(&step) - exposed(&alone);
        let most = stretched.max(0.0) / 2.0 / step.step_time().as_secs_f64();
        let ratio = halved(&asked);
        assert!(
            (0.5 - 1e-6 - most..0.505).contains(&ratio),
            "{job:?}: {ratio}, {most}"
        );
    }
}

/// The step time with twice as much of everything, over that without.
fn halved(asked: &TrainingScenario) -> f64 {
    let time = |scenario: &TrainingScenario| play(scenario).step_time().as_secs_f64();
    time(&twice(asked)) / time(asked)
}

#[test]
fn elasticities_sum_to_one() {
    // T is homogeneous of degree −1 in all rates and inverse times together (the test above), so by Euler's
    // theorem the elasticities sum to 1, but for the protocols' ceilings.
    for job in JOBS {
        let (asked, step) = pinned(job);
        let found = elasticities(&asked, &step, &mut Scratch::default());
        assert_eq!(found.len(), Resource::ALL.len());
        let sum: f64 = found.iter().map(|it| it.percent_per_percent).sum();
        assert!((sum - 1.0).abs() < 0.02, "{job:?}: {sum} {found:?}");
        // More of anything never makes these steps longer by more than the rounding of a division.
        for it in &found {
            assert!(it.percent_per_percent > -0.005, "{job:?} {it:?}");
        }
    }
}

#[test]
fn a_step_without_communication_hangs_on_the_gpu_and_its_host_alone() {
    let job = scenario(&("gpt2-xl", "h100-sxm", "dgx-h100", 1, 8));
    let step = play(&job);
    for it in elasticities(&job, &step, &mut Scratch::default()) {
        let of_network = matches!(
            it.resource,
            Resource::ScaleUp | Resource::Nic | Resource::NetworkLatency
        );
        assert_eq!(of_network, it.percent_per_percent.abs() < 1e-9, "{it:?}");
    }
}
