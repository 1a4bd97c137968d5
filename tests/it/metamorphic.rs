//! Jobs drawn at random, each held against itself: what must not change, and what may only get better.
//!
//! No expectation here is a number that the program gave once. [`JOBS`] jobs run with every `cargo test`; before a
//! release, `METAMORPHIC_JOBS=100000 cargo test --release --test it metamorphic -- --nocapture` runs more.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clustersweep::analysis::Resource;
use clustersweep::collective::CollectiveAlgorithm;
use clustersweep::simulation::{
    Counterfactual, LayoutRequest, Scenario, Scratch, StepPart, StepReport, TrainingScenario,
    simulate_training,
};
use clustersweep::spec::{Overrides, Spec, Syntax};
use clustersweep::stack::ZeroStage;
use clustersweep::units::SimDuration;
use clustersweep::whatif::with_more;
use rayon::prelude::*;

/// Jobs that run with every `cargo test`.
const JOBS: usize = 2_000;
/// Jobs of one spec.
const BATCH: usize = 50;
/// Jobs of which every [`SOME`]th is also searched, or simulated with noise: those cost more.
const SOME: usize = 10;

/// Numbers that look random and are the same every time (SplitMix64, doi 10.1145/2714064.2660195).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.next() % from.len() as u64).unwrap()]
    }

    fn divisor(&mut self, of: u32, most: u32) -> u32 {
        let divisors: Vec<u32> = (1..=most.min(of))
            .filter(|n| of.is_multiple_of(*n))
            .collect();
        self.pick(&divisors)
    }
}

/// GPUs with those of one node.
const GPUS: [(&str, u32); 11] = [
    ("h100-sxm", 8),
    ("h200-sxm", 8),
    ("a100-80gb-sxm", 8),
    ("a100-80gb-pcie", 8),
    ("v100-32gb-sxm", 8),
    ("b200", 8),
    ("gb200", 4),
    ("mi300x", 8),
    ("mi250x", 8),
    ("l40s", 8),
    ("h800", 8),
];

const STACKS: [&str; 8] = [
    "current",
    "megatron-2021",
    "megatron-2023",
    "megatron-2025",
    "megatron-deepspeed",
    "deepspeed-2021",
    "fsdp-2024",
    "torchtitan",
];

/// A model table and a point that trains it, every layout axis given. GPUs have all the memory they may need.
fn draw(number: usize, draws: &mut Draws) -> (String, String) {
    let (gpu, per_node) = draws.pick(&GPUS);
    let gpus = per_node * draws.pick(&[1, 1, 2, 3, 4, 8, 16]);
    let tp = draws.divisor(per_node, 8);
    let pp = draws.divisor(gpus / tp, 8);
    let most = draws.pick(&[1, 1, 1, 2]);
    let cp = draws.divisor(gpus / tp / pp, most);
    let dp = gpus / tp / pp / cp;
    let vpp = if pp > 1 { draws.pick(&[1, 1, 2, 3]) } else { 1 };
    let schedule = match (pp, vpp) {
        (1, _) => "1f1b",
        (_, 1) => draws.pick(&["gpipe", "1f1b", "1f1b", "zb-h1"]),
        _ => "interleaved",
    };
    let experts = draws.pick(&[0, 0, 0, 8, 16]);
    let ep = if experts > 0 {
        draws.pick(&[1, 2, 4, 8].map(|ep| {
            if (tp * cp * dp).is_multiple_of(ep) {
                ep
            } else {
                1
            }
        }))
    } else {
        1
    };
    let (micro_batch, microbatches) = (
        draws.pick(&[1, 1, 2, 4]),
        draws.pick(&[1, 2, 3, 4, 5, 8, 12, 24]),
    );
    let heads = draws.pick(&[16, 32]);
    let (hidden, layers) = (heads * 128, pp * vpp * draws.pick(&[1, 1, 2, 4]));
    let zero = if dp > 1 {
        draws.pick(&[0, 1, 1, 2, 3])
    } else {
        0
    };
    let mut model = format!(
        "[models.m{number}]\nfamily = \"{}\"\nlayers = {layers}\nhidden = {hidden}\nffn_hidden = {}\nheads = {heads}\n\
         kv_heads = {}\nvocab = {}\nseq_len = {}\nmlp = \"swiglu\"\n",
        if experts > 0 { "moe" } else { "decoder" },
        hidden * draws.pick(&[3, 4]),
        draws.pick(&[8, 16]),
        draws.pick(&[32_000, 128_256]),
        draws.pick(&[1_024, 2_048, 4_096]),
    );
    if experts > 0 {
        let _ = write!(
            model,
            "experts = {experts}\nexperts_per_token = 2\nexpert_ffn_hidden = {hidden}\n"
        );
    }
    let point = format!(
        "[[point]]\ngpu = \"{gpu}\"\ngpus = {gpus}\nmodel = \"m{number}\"\nglobal_batch = {}\nmicro_batch = {micro_batch}\n\
         tp = {tp}\npp = {pp}\ncp = {cp}\nep = {ep}\n{}vpp = {vpp}\nzero = {zero}\nschedule = \"{schedule}\"\n\
         recompute = \"{}\"\nsequence_parallel = {}\nstack = \"{}\"\n",
        dp * micro_batch * microbatches,
        if experts > 0 {
            format!("etp = {}\n", if ep > 1 { 1 } else { tp })
        } else {
            String::new()
        },
        draws.pick(&["none", "selective", "full"]),
        tp > 1 && draws.pick(&[true, true, false]),
        draws.pick(&STACKS),
    );
    (model, point)
}

/// One job: its scenario with all the memory it needs, and its step.
struct Job {
    name: String,
    scenario: TrainingScenario,
    step: StepReport,
}

/// A batch of jobs; those that their stack does not offer are left out.
fn run_batch(batch: usize, scratch: &mut Scratch) -> Vec<Job> {
    let mut draws = Draws(batch as u64);
    let (mut models, mut points) = (String::new(), String::new());
    for number in 0..BATCH {
        let (model, point) = draw(number, &mut draws);
        models.push_str(&model);
        points.push_str(&point);
    }
    let memory = GPUS.map(|(gpu, _)| format!("[gpus.\"{gpu}\"]\nmemory = \"100000 GiB\"\n"));
    let memory = memory.concat();
    let text = format!("{points}{memory}{models}");
    let spec = Spec::parse("drawn", &text, Syntax::Toml, &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let plan = spec.plan();
    let texts = points.split("[[point]]\n").skip(1);
    let mut jobs = Vec::new();
    for (point, text) in plan.kept(0..plan.len()).zip(texts) {
        let name = format!("batch {batch}: {}", text.trim().replace('\n', "; "));
        let Ok(Scenario::Training(mut scenario)) = plan.scenario(&point) else {
            continue;
        };
        let played = catch_unwind(AssertUnwindSafe(|| simulate_training(&scenario, scratch)));
        let played = played.unwrap_or_else(|_| panic!("panicked: {name}"));
        let Ok(step) = played else { continue };
        scenario.layout = LayoutRequest::pinned(&step.layout);
        let scenario = *scenario;
        jobs.push(Job {
            name,
            scenario,
            step,
        });
    }
    jobs
}

/// Holds one job in every `every` against a property, and fails with the first jobs that do not have it.
fn hold(every: usize, property: impl Fn(&Job, &mut Scratch) -> Result<(), String> + Sync) {
    let jobs = std::env::var("METAMORPHIC_JOBS").map_or(JOBS, |text| text.parse().unwrap());
    let wanted = jobs / every;
    // Some of the jobs drawn ask for what their stack does not offer.
    let batches = 2 * wanted.div_ceil(BATCH);
    let (held, faults) = (0..batches)
        .into_par_iter()
        .map_init(Scratch::default, |scratch, batch| {
            let jobs = run_batch(batch, scratch);
            let faults: Vec<String> = jobs
                .iter()
                .filter_map(|job| {
                    property(job, scratch)
                        .err()
                        .map(|fault| format!("{fault}\n  of {}", job.name))
                })
                .collect();
            (jobs.len(), faults)
        })
        .reduce(
            || (0, Vec::new()),
            |(held, mut faults), (more, others)| {
                faults.extend(others);
                (held + more, faults)
            },
        );
    assert!(held >= wanted, "only {held} of {wanted} jobs ran");
    let first = faults
        .iter()
        .take(5)
        .map(String::as_str)
        .collect::<Vec<_>>();
    assert!(
        faults.is_empty(),
        "{} of {held} jobs:\n{}",
        faults.len(),
        first.join("\n")
    );
}

fn ensure(holds: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault()) }
}

/// Share of a step by which a faster part may make it longer where communications overlap with others on the same
/// links: what is done earlier meets other traffic, and fair sharing then serves the one that others wait for less
/// (an anomaly of list schedules, doi 10.1137/0117039). With 1% here one of 40,000 jobs fails.
const SHARING: f64 = 0.02;

/// Share of a communication by which a faster link may make it longer: the library's tuner estimates protocols by
/// tables of its own, and changes from one to the next where the other is faster still (`docs/network.md`).
const SWITCH: f64 = 0.05;

/// Whether a step is no longer than another, but for rounding (a picosecond an event) and for `slack` in seconds.
fn no_longer(step: &StepReport, than: &StepReport, slack: f64) -> bool {
    let rounding = step.events.max(than.events) as f64 * 1e-12;
    step.step_time().as_secs_f64() <= than.step_time().as_secs_f64() + slack + rounding
}

fn play(scenario: &TrainingScenario, scratch: &mut Scratch) -> StepReport {
    simulate_training(scenario, scratch).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn at_a_fixed_layout_more_of_a_resource_never_makes_a_step_longer() {
    hold(1, |job, scratch| {
        // ZeRO 3 gathers and reduces behind the layers whatever is asked.
        let alone = job.step.layout.zero != ZeroStage::Z3;
        for sharing in [false, true]
            .into_iter()
            .filter(|sharing| *sharing || alone)
        {
            let mut asked = job.scenario.clone();
            if !sharing {
                asked.communication.overlap_dp = Some(false);
                asked.communication.overlap_pp = Some(false);
                asked.communication.collective = Some(CollectiveAlgorithm::Ring.into());
            }
            let Ok(step) = simulate_training(&asked, scratch) else {
                continue;
            };
            let slack = if sharing {
                SHARING * step.step_time().as_secs_f64()
            } else {
                SWITCH * step.shares.exposed_communication().as_secs_f64()
            };
            for &resource in Resource::ALL {
                let more = play(&with_more(resource, 2.0, &asked), scratch);
                ensure(no_longer(&more, &step, slack), || {
                    let (more, step) = (more.step_time(), step.step_time());
                    format!("{resource}, sharing {sharing}: {more:?} instead of {step:?}")
                })?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_step_is_what_its_parts_say() {
    hold(1, |job, scratch| {
        let step = &job.step;
        let time = step.step_time();
        // Communication under way is at least what the step waits for, and at most the step.
        let exposed = step.shares.exposed_communication();
        ensure(exposed <= step.comm_busy && step.comm_busy <= time, || {
            format!(
                "{exposed:?} exposed, {:?} busy, of {time:?}",
                step.comm_busy
            )
        })?;
        ensure(step.forward + step.backward <= time, || {
            format!(
                "{:?} forward and {:?} backward in {time:?}",
                step.forward, step.backward
            )
        })?;
        // One stage has no bubble and sends nothing; without recomputation nothing is repeated.
        let none = |part: StepPart| step.shares[part] == SimDuration::ZERO;
        let layout = &step.layout;
        let absent = [
            (layout.pp == 1, StepPart::Bubble),
            (layout.pp == 1, StepPart::PpComm),
            (layout.tp * layout.etp == 1, StepPart::TpComm),
            (layout.cp == 1, StepPart::CpComm),
            (layout.ep == 1, StepPart::EpComm),
        ];
        for (applies, part) in absent {
            ensure(!applies || none(part), || {
                format!("{part}: {:?}", step.shares[part])
            })?;
        }
        // A scratch that other jobs have used gives what a new one gives.
        let fresh = play(&job.scenario, &mut Scratch::default());
        ensure(play(&job.scenario, scratch) == fresh, || {
            "a used scratch changes the report".to_owned()
        })
    });
}

#[test]
fn percentiles_are_those_of_a_distribution_about_the_step() {
    hold(SOME, |job, scratch| {
        let mut noisy = job.scenario.clone();
        (noisy.run.variability, noisy.run.iterations) = (0.03, 64);
        let step = play(&noisy, scratch);
        let mean = step.step_time().as_secs_f64();
        let percentiles = step.percentiles.ok_or("no percentiles")?;
        let [p50, p95, p99] =
            [percentiles.p50, percentiles.p95, percentiles.p99].map(SimDuration::as_secs_f64);
        // Noise of 3% averages out over a step's kernels; its disturbances do not. A median far from the mean
        // would be another unit or another job.
        ensure(
            p50 <= p95 && p95 <= p99 && (0.9..1.1).contains(&(p50 / mean)) && p99 >= mean,
            || format!("mean {mean}, percentiles {p50} {p95} {p99}"),
        )
    });
}

#[test]
fn the_same_reports_on_any_number_of_threads() {
    let reports = |threads: usize| -> Vec<StepReport> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (0..JOBS / BATCH / SOME)
                .into_par_iter()
                .map_init(Scratch::default, |scratch, batch| run_batch(batch, scratch))
                .flat_map_iter(|jobs| jobs.into_iter().map(|job| job.step))
                .collect()
        })
    };
    let one = reports(1);
    assert!(one.len() > JOBS / SOME / 2);
    assert_eq!(one, reports(3));
}

/// Steps of a model of 24 alike layers (hidden 4096, MLP 3 × 4096 × 12288) whose embedding and head weigh nothing,
/// batch 96 of 1 × 2048 tokens, on one node of H100 without recomputation or any cost of the host.
fn alike(layout: &str) -> StepReport {
    let text = format!(
        "[[point]]\ngpu = \"h100-sxm\"\nmodel = \"alike\"\nstack = \"current\"\nmicro_batch = 1\n\
         recompute = \"none\"\nzero = 0\n{layout}\n[gpus.\"h100-sxm\"]\nmemory = \"100000 GiB\"\n\
         [models.alike]\nfamily = \"decoder\"\nlayers = 24\nhidden = 4096\nffn_hidden = 12288\nheads = 32\n\
         vocab = 128\nseq_len = 2048\nmlp = \"swiglu\"\n"
    );
    let spec = Spec::parse("alike", &text, Syntax::Toml, &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let Ok(Scenario::Training(mut scenario)) = spec.plan().scenario(&spec.plan().point(0)) else {
        panic!("{layout}");
    };
    scenario.run.counterfactual = Some(Counterfactual::Without(StepPart::Overhead));
    play(&scenario, &mut Scratch::default())
}

#[test]
fn bubbles_of_alike_stages_by_closed_form() {
    for (pp, m) in [(2, 4), (4, 4), (4, 8), (4, 24), (8, 8), (8, 32)] {
        let step = |schedule: &str, vpp: u32| {
            alike(&format!(
                "gpus = {pp}\npp = {pp}\nvpp = {vpp}\nglobal_batch = {m}\nschedule = \"{schedule}\""
            ))
        };
        // A stage computes for m·(F + B) and waits for (p − 1)·(F + B)/v: for the first microbatch to reach it and
        // the last to come back (arXiv 2104.04473, section 2.2). Sends, gradients and optimizer are their own parts.
        let expected = |v: f64| f64::from(pp - 1) / (f64::from(m) * v);
        let bubble = |step: &StepReport| {
            let part = |part| step.shares[part].as_secs_f64();
            part(StepPart::Bubble) / part(StepPart::Compute)
        };
        for (schedule, vpp) in [("gpipe", 1), ("1f1b", 1), ("interleaved", 3)] {
            let (is, should) = (bubble(&step(schedule, vpp)), expected(f64::from(vpp)));
            assert!(
                (is / should - 1.0).abs() < 0.06,
                "{schedule} p {pp} m {m}: {is} instead of {should}"
            );
        }
        // ZB-H1 keeps (p − 1)·(F + B − 2W) of (p − 1)·(F + B), where F ≈ B_input ≈ W: a third (arXiv 2401.10241,
        // table 2).
        let is = bubble(&step("zb-h1", 1)) / expected(1.0);
        assert!(
            (0.25..0.45).contains(&is),
            "zb-h1 p {pp} m {m}: {is} of the bubble of 1f1b"
        );
    }
}

#[test]
fn traffic_by_closed_form() {
    let sent = |layout: &str| {
        let network = alike(layout).network;
        (network.intra_node + network.inter_node).get() as f64
    };
    let close = |is: f64, should: f64, of: &str| {
        assert!(
            (is / should - 1.0).abs() < 0.02,
            "{of}: {is:e} instead of {should:e}"
        );
    };
    // Activations of a microbatch in bf16: 2048 tokens × 4096 × 2 bytes.
    let activations = 2048.0 * 4096.0 * 2.0;
    for p in [2_u32, 4, 8] {
        // p − 1 of p stages send forward, as many backward, once per microbatch.
        let share = 2.0 * f64::from(p - 1) / f64::from(p);
        close(
            sent(&format!(
                "gpus = {p}\npp = {p}\nvpp = 1\nglobal_batch = 16\nschedule = \"1f1b\""
            )),
            share * 16.0 * activations,
            "pipeline",
        );
        // With sequence parallelism attention and MLP of each of 24 layers gather the activations and scatter them,
        // forward as well as backward, and gather their input once more for the gradients of the weights
        // (arXiv 2205.05198, section 4.2.2): five times (n − 1)/n of them. So does the head with its rows, and the
        // embedding scatters forward and gathers backward.
        close(
            sent(&format!(
                "gpus = {p}\ntp = {p}\npp = 1\nglobal_batch = 4\ncollective = \"ring\""
            )),
            4.0 * (24.0 * 2.0 * 5.0 + 3.0 + 2.0) * (share / 2.0) * activations,
            "tensor",
        );
        // A ring passes 2(n − 1)/n of the gradients, 2 bytes each with this stack, of 24 · (4·4096² + 3·4096·12288) parameters.
        close(
            sent(&format!(
                "gpus = {p}\ntp = 1\npp = 1\nglobal_batch = {p}\ncollective = \"ring\""
            )),
            share * 2.0 * 24.0 * (4.0 * 4096.0 * 4096.0 + 3.0 * 4096.0 * 12288.0),
            "data",
        );
    }
}
