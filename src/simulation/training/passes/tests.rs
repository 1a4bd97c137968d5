//! Exchanges of context parallelism: bytes, what is hidden, memory, limits.

use itertools::iproduct;

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm};
use crate::model::CpExchange;
use crate::simulation::training::passes::{LayerCost, PassCost, wait_for_rows};
use crate::simulation::training::slowest::Slowest;
use crate::simulation::{
    Infeasible, LayoutRequest, Scratch, StepPart, StepReport, TrainingScenario, Unstated,
    simulate_training,
};
use crate::stack::{Recompute, ZeroStage};
use crate::units::{Bytes, SimDuration};

/// A job of A100s, one replica over `cp` ranks, whose all-reduces are rings.
fn job(stack: &str, cp: u32, seq_len: u32, exchange: Option<CpExchange>) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut gpu = (*catalog.gpus["a100-80gb-sxm"]).clone();
    gpu.memory = Bytes::gib(1000);
    let mut job = TrainingScenario::new(
        catalog.models["llama3-8b"].clone(),
        gpu,
        catalog.clusters["dgx-a100"].clone(),
        catalog.stacks[stack].clone(),
    );
    (job.gpus, job.workload.global_batch) = (cp, 1);
    job.workload.seq_len = seq_len;
    job.communication.collective = Some(Algorithm::BuiltIn(CollectiveAlgorithm::Ring));
    job.layout = LayoutRequest {
        tp: Some(1),
        pp: Some(1),
        cp: Some(cp),
        cp_exchange: exchange,
        micro_batch: Some(1),
        recompute: Some(Recompute::None),
        zero: Some(ZeroStage::Z1),
        ..LayoutRequest::default()
    };
    job
}

fn run(job: &TrainingScenario) -> Result<StepReport, Infeasible> {
    simulate_training(job, &mut Scratch::default())
}

fn step(cp: u32, seq_len: u32, exchange: CpExchange) -> StepReport {
    run(&job("megatron-2025", cp, seq_len, Some(exchange))).expect("it runs")
}

// Llama 3 8B has 32 layers with 32 heads of 128, 8 of them for keys and values. A rank has 4096/c tokens, K = 2·8·128·2 bytes
// of keys and values of each, and Q = 32·128·2 of queries, as of the output.
// Ring: keys and values go round c − 1 ranks forward, with their gradients backward: 3(c − 1)K. All-gather: (c − 1)K forward;
// backward gathered again, and their gradients scattered: 3(c − 1)K, too. Ulysses: all but 1/c of 2Q + K each way.
// Beside that gradients are scattered and parameters gathered, 2 bytes each, over all ranks.
#[test]
fn bytes_of_each_exchange_are_those_of_the_closed_forms() {
    let weights = 32.0 * (4096.0 * 6144.0 + 4096.0 * 4096.0 + 3.0 * 4096.0 * 14336.0)
        + 2.0 * 128_256.0 * 4096.0
        + 65.0 * 4096.0;
    let (keys, queries) = (2.0 * 8.0 * 128.0 * 2.0, 32.0 * 128.0 * 2.0);
    for cp in [2, 4, 8] {
        let c = f64::from(cp);
        let passed_on = (c - 1.0) / c;
        let tokens = 4096.0 / c;
        for exchange in CpExchange::ALL {
            let each = match exchange {
                CpExchange::Ring | CpExchange::AllGather => 3.0 * (c - 1.0) * keys,
                CpExchange::Ulysses => 2.0 * passed_on * (2.0 * queries + keys),
            };
            let expected = 32.0 * tokens * each + 2.0 * weights * 2.0 * passed_on;
            let network = step(cp, 4096, *exchange).network;
            let sent = network.intra_node.as_f64() + network.inter_node.as_f64();
            let ratio = sent / expected;
            assert!((ratio - 1.0).abs() < 3e-6, "cp {cp} {exchange}: {ratio}");
        }
    }
}

// Attention over 64 Ki tokens takes longer than a block's way around the ring, which it hides but for latencies; what is
// gathered, and what Ulysses exchanges, is waited for.
#[test]
fn a_ring_hides_behind_long_attention_and_the_others_do_not() {
    let waits = |exchange| step(4, 65_536, exchange).shares[StepPart::CpComm];
    let ring = waits(CpExchange::Ring);
    for other in [CpExchange::AllGather, CpExchange::Ulysses] {
        assert!(
            waits(other) > ring * 4,
            "{other}: {:?} {ring:?}",
            waits(other)
        );
    }
}

// All heads of a part of the tokens, or all tokens of a part of the heads: the same products, and the same work.
#[test]
fn every_exchange_computes_the_same() {
    let of = |exchange| {
        let step = step(4, 8192, exchange);
        (step.hardware_flops.get(), step.memory.activations)
    };
    let (flops, ring) = of(CpExchange::Ring);
    for other in [CpExchange::AllGather, CpExchange::Ulysses] {
        let (same, _) = of(other);
        assert!((same / flops - 1.0).abs() < 1e-9, "{other}: {same} {flops}");
    }
    // Keys and values of all tokens stand beside the layer that runs.
    assert!(of(CpExchange::AllGather).1 >= ring);
}

// A validation file's row that states no exchange ran as its framework does.
#[test]
fn the_exchange_of_a_measured_run_is_the_stacks() {
    let used = |stack| {
        let mut job = job(stack, 2, 4096, None);
        job.layout.unstated = Unstated::Usual;
        run(&job).expect("it runs").layout.cp_exchange
    };
    assert_eq!(used("megatron-2025"), CpExchange::Ring);
    assert_eq!(used("torchtitan"), CpExchange::AllGather);
}

// A ring hides behind long attention within a node; between nodes its steps cost more than they hide.
#[test]
fn auto_takes_the_fastest_exchange_that_the_stack_offers() {
    let mut taken = Vec::new();
    for (stack, cp, seq_len) in iproduct!(
        ["megatron-2023", "megatron-2025", "torchtitan", "jax-2023"],
        [2, 16],
        [2048, 65_536]
    ) {
        let auto = run(&job(stack, cp, seq_len, None)).expect("it runs");
        let explicit = CpExchange::ALL
            .iter()
            .filter_map(|exchange| run(&job(stack, cp, seq_len, Some(*exchange))).ok());
        let fastest = explicit
            .min_by_key(StepReport::step_time)
            .expect("the stack's own runs");
        assert_eq!(
            auto.step_time(),
            fastest.step_time(),
            "{stack} {cp} {seq_len}"
        );
        assert_eq!(auto.layout.cp_exchange, fastest.layout.cp_exchange);
        taken.push(auto.layout.cp_exchange);
    }
    assert!(
        taken.contains(&CpExchange::Ring) && taken.contains(&CpExchange::AllGather),
        "{taken:?}"
    );
}

#[test]
fn exchanges_that_do_not_go_are_refused() {
    let refused = |job: &TrainingScenario| run(job).expect_err("it cannot run").to_string();
    let ulysses = Some(CpExchange::Ulysses);
    let told = refused(&job("megatron-2025", 16, 4096, ulysses));
    assert!(
        told.contains("8 heads of keys and values") && told.contains("cp 16"),
        "{told}"
    );
    let told = refused(&job("megatron-2023", 2, 4096, ulysses));
    assert!(
        told.contains("megatron-2023") && told.contains("cp_exchange ulysses"),
        "{told}"
    );
}

/// A layer whose passes have kernels and calls of so many microseconds.
fn layer(kernels: u64, calls: u64) -> LayerCost {
    let mut pass = PassCost {
        issue: SimDuration::from_micros(calls),
        ..PassCost::default()
    };
    pass.parts[StepPart::Compute] = SimDuration::from_micros(kernels);
    LayerCost {
        forward: pass,
        backward: pass,
        ..LayerCost::default()
    }
}

// Two layers of 1 µs whose calls take 3 µs, and a head of 5 µs whose calls take 1 µs. Forward the kernels of the layers end at
// 3 and 6 µs, with their calls; those of the head at 11 µs: of 7 µs of kernels and 7 µs of calls 4 µs are waited for. Backward
// the head comes first: its kernels end at 5 µs, those of the layers behind them at 6 µs and, with their calls, at 7 µs.
#[test]
fn a_host_that_waits_each_pass_is_ahead_inside_it_alone() {
    let (body, head) = (layer(1, 3), layer(5, 1));
    let total = LayerCost::waited_for(&[&body, &body, &head]);
    let waits = |pass: &PassCost| pass.parts[StepPart::Overhead];
    assert_eq!(waits(&total.forward), SimDuration::from_micros(4));
    assert_eq!(waits(&total.backward), SimDuration::ZERO);
    assert_eq!(total.forward.issue, SimDuration::from_micros(7));
}

// Kernels of 10 ms, 6 of them in front of the experts; calls of 9 ms, 7 of them for the experts. The host, which reads the
// experts' rows in 1, has called for these after 7, when the 6 of the next layer can start: 13, and 14 with the read. With 3
// for the experts kernels are what takes longest, 11; with 12 calls in all that are made behind the read, 13.
#[test]
fn a_host_that_reads_rows_is_not_ahead_of_the_experts() {
    let millis = |count: u64| SimDuration::from_micros(1000 * count);
    for (issue, routed, expected) in [(9, 7, 14), (9, 3, 11), (12, 3, 13)] {
        let mut pass = PassCost {
            issue: millis(issue),
            ..PassCost::default()
        };
        pass.parts[StepPart::Compute] = millis(10);
        wait_for_rows(&mut pass, millis(1), [millis(routed), millis(6)]);
        assert_eq!(pass.parts.total(), millis(expected), "{issue} {routed}");
        assert_eq!(pass.issue, pass.parts.total());
    }
}

// FSDP2 gathers Llama 3 8B's 8.03 billion parameters in 2 bytes each for the forward and again for the backward pass of a
// microbatch, and copies them each time: 64.2 GB read and written, by the slowest of eight GPUs. Full recomputation gathers no
// third time.
#[test]
fn what_fsdp2_gathers_is_copied_once_a_pass() {
    let seconds = |copies: bool, recompute| {
        let mut job = crate::simulation::training::tests::scenario("llama3-8b", 8, 8);
        let mut stack = (*Catalog::builtin().stacks["torchtitan"]).clone();
        stack.overlap.copies_gathered = copies;
        job.stack = stack.into();
        job.layout = LayoutRequest {
            tp: Some(1),
            pp: Some(1),
            micro_batch: Some(1),
            zero: Some(ZeroStage::Z3),
            recompute: Some(recompute),
            ..LayoutRequest::default()
        };
        let report = run(&job).expect("it runs");
        let streamed = job.gpu.memory_bandwidth.as_bytes_per_s()
            * job.gpu.rates.memory_fraction
            * job.stack.kernels.memory;
        let shares = &report.shares;
        let parts = shares[StepPart::Compute] + shares[StepPart::Recompute];
        let slowest = Slowest::of(8).over_mean(job.gpu.rates.speed_spread);
        let copied = slowest * 2.0 * 2.0 * 2.0 * 8.03e9 / streamed;
        (parts.as_secs_f64(), copied)
    };
    for recompute in [Recompute::None, Recompute::Full] {
        let ((with, expected), (without, _)) =
            (seconds(true, recompute), seconds(false, recompute));
        let ratio = (with - without) / expected;
        assert!((ratio - 1.0).abs() < 0.001, "{recompute}: {ratio}");
    }
}

// Rows that are added by index take as long whether layers are recomputed or not: no gradient needs the sums, so that
// recomputation, which repeats all else of the forward pass, takes as long with them as without.
#[test]
fn what_no_gradient_needs_is_not_repeated() {
    let shares = |indexed_sum, recompute| {
        let mut job = crate::simulation::training::tests::scenario("qwen3-30b-a3b", 8, 8);
        let mut stack = (*Catalog::builtin().stacks["torchtitan-2026"]).clone();
        stack.fusion.indexed_sum = indexed_sum;
        job.stack = stack.into();
        job.gpu = {
            let mut gpu = (*job.gpu).clone();
            gpu.memory = Bytes::gib(1000);
            gpu.into()
        };
        job.layout = LayoutRequest {
            tp: Some(1),
            pp: Some(1),
            ep: Some(1),
            micro_batch: Some(1),
            zero: Some(ZeroStage::Z3),
            recompute: Some(recompute),
            ..LayoutRequest::default()
        };
        let report = run(&job).expect("it runs");
        [StepPart::Compute, StepPart::Recompute].map(|part| report.shares[part].as_secs_f64())
    };
    let more = |recompute| {
        let (with, without) = (shares(true, recompute), shares(false, recompute));
        (with[0] - without[0], with[1] - without[1])
    };
    let (none, full) = (more(Recompute::None), more(Recompute::Full));
    assert!(none.0 > 1e-3, "{none:?}");
    assert!((full.0 / none.0 - 1.0).abs() < 1e-6, "{full:?} {none:?}");
    assert!(full.1.abs() < 1e-9, "{full:?}");
}
