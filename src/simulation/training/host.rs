//! The host as a device: what a thread of the CPU needs to have the kernels of a job launched.
//!
//! The GPU runs behind that thread, which is ahead of it wherever kernels take longer than the calls for them. Both are
//! tracks of their own when a step is played, and meet where the host waits for the GPU.

use crate::collective::launch_per_gpu;
use crate::model::{Calls, CommGroup, ExpertDispatch, PassCalls, lower};
use crate::simulation::training::work;
use crate::simulation::{Layout, StepPart, TrainingScenario};
use crate::stack::{CudaGraphs, Host, StepTensors};
use crate::units::SimDuration;

/// Calls of modules that cast their inputs to 8 or 4 bits, relative to those in 16 bits: "more than 2x" in Transformer
/// Engine of 2024 (NVIDIA/TransformerEngine issue 761); 3.6 in that of 2023 (issue 445).
const CASTING: u64 = 2;
/// Launch of an instantiated graph, without the about 1 ns for each kernel in it (NVIDIA developer blog, Constant Time
/// Launch for Straight-Line CUDA Graphs, 2024; from memory, the page was not read again).
const REPLAY: SimDuration = SimDuration::from_nanos(2_500);
/// Copy of the rows that go to each expert to the host (NVIDIA/TransformerEngine issue 2995).
const ROWS_READ: SimDuration = SimDuration::from_nanos(13_400);
/// Host's part of a call of HybridEP's dispatch behind its wait for the rows: 4.253 s of calls a step less 3.109 s of waits, and 1.767
/// less 0.670 with exchanges behind another microbatch, over 48 layers, 64 microbatches and two passes (profiles of
/// Qwen3-30B on 16 H100, NVIDIA-NeMo/Megatron-Bridge@067f987df skills/nemo-mbridge-perf-moe-comm-overlap/SKILL.md).
const HYBRIDEP_CALL: SimDuration = SimDuration::from_nanos(182_000);
/// States of the CPU's and the GPU's random numbers that a checkpointed layer reads or writes (NVIDIA/Megatron-LM
/// megatron/core/tensor_parallel/random.py CheckpointFunction): three saved, then three saved, set and restored.
const RANDOM_STATES: u64 = 12;
/// Operators of an optimizer's step beside those of each tensor: norm, its root and comparison, scaling, the search
/// for overflows, zeroing (NVIDIA/Megatron-LM megatron/core/optimizer/clip_grads.py and optimizer.py).
const STEP_OPERATORS: u64 = 8;

/// Times of a job's host, on the CPUs of its cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HostCosts {
    host: Host,
    graphs: CudaGraphs,
    /// Launch of a graph, and of a communication behind its operator.
    replay: SimDuration,
    communication: SimDuration,
    rows_read: SimDuration,
    /// Call of a dispatch that reads the rows itself.
    dispatch_call: SimDuration,
}

/// Scope of CUDA graphs under a layout. An exchange of tokens whose sizes the host reads back leaves little to gain
/// (NVIDIA-NeMo/Megatron-Bridge skills/nemo-mbridge-perf-moe-dispatcher-selection: 1.5% slower with an all-to-all), so
/// that racks capture mixtures of experts with a fused dispatch alone.
pub(super) fn cuda_graphs(scenario: &TrainingScenario, layout: &Layout) -> CudaGraphs {
    let library = layout
        .expert_dispatch
        .and_then(ExpertDispatch::token_library);
    graphs(scenario, library.is_some())
}

fn graphs(scenario: &TrainingScenario, fused_dispatch: bool) -> CudaGraphs {
    let host = &scenario.stack.host;
    let in_racks = scenario.cluster.domain_gpus > scenario.cluster.gpus_per_node;
    let network = scenario.model.transformer();
    let is_moe = network.is_some_and(|network| network.moe.is_some());
    if in_racks && is_moe && fused_dispatch {
        host.rack_moe_graphs
    } else {
        host.cuda_graphs
    }
}

impl HostCosts {
    /// Costs of a layout; none where a counterfactual leaves them out.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout) -> Self {
        Self::with_graphs(scenario, cuda_graphs(scenario, layout))
    }

    /// The least work between two steps of any layout.
    pub(super) fn least_between_steps(scenario: &TrainingScenario) -> SimDuration {
        let between = [false, true].map(|fused_dispatch| {
            Self::with_graphs(scenario, graphs(scenario, fused_dispatch)).between_steps()
        });
        between[0].min(between[1])
    }

    fn with_graphs(scenario: &TrainingScenario, graphs: CudaGraphs) -> Self {
        let host = scenario.stack.host;
        let faster = 1.0 / scenario.run.host_speedup;
        let (slower, gap) = if scenario.run.leaves_out(StepPart::Overhead) {
            (0.0, SimDuration::ZERO)
        } else {
            (
                faster / scenario.cluster.host_speed,
                host.kernel_gap.scaled(faster),
            )
        };
        let modules = if host.modules_by_cpu {
            slower
        } else {
            slower.min(faster)
        };
        Self {
            host: Host {
                operator: host.operator.scaled(slower),
                function: host.function.scaled(modules),
                module: host.module.scaled(modules),
                expert: host.expert.scaled(modules),
                low_expert: host.low_expert.scaled(modules),
                rows: host.rows.scaled(modules),
                low_rows: host.low_rows.scaled(modules),
                tensor: host.tensor.scaled(slower),
                sharded_tensor: host.sharded_tensor.scaled(slower),
                step: host.step.scaled(slower),
                collection: host.collection.scaled(slower),
                kernel_gap: gap,
                ..host
            },
            graphs,
            replay: REPLAY.scaled(slower),
            communication: launch_per_gpu().scaled(slower),
            rows_read: ROWS_READ.scaled(slower),
            dispatch_call: HYBRIDEP_CALL.scaled(modules),
        }
    }

    /// Gap between two kernels that wait in the GPU's queue.
    pub(super) const fn kernel_gap(&self) -> SimDuration {
        self.host.kernel_gap
    }

    /// Time for which the GPU waits for calls inside a pass whose kernels alternate, over and above what all calls take longer than
    /// all kernels. The pass has the times of its kernels, with exposed communication, and of the calls for these.
    ///
    /// Were every call as long as its kernel, a GPU that has more to do than its host would never wait. But calls come in
    /// bursts: the host falls behind at short kernels before it gets ahead at long ones. Kernels `g` with calls `h` take
    /// `(gᵖ + min(g, h)ᵖ)^(1/p)` with the power `p` that the stack calls `host.evenness`.
    pub(super) fn idle(&self, (kernels, calls): (SimDuration, SimDuration)) -> SimDuration {
        if kernels == SimDuration::ZERO || calls == SimDuration::ZERO {
            return SimDuration::ZERO;
        }
        let power = self.host.evenness;
        let kernels = kernels.as_secs_f64();
        let ratio = raised((calls.as_secs_f64() / kernels).min(1.0), power);
        SimDuration::from_secs_f64(kernels * (libm::pow(1.0 + ratio, 1.0 / power) - 1.0))
    }

    /// Work between two steps, with the mean part of a collection of garbage, which graphs leave as it is.
    pub(super) fn between_steps(&self) -> SimDuration {
        let collection = self
            .host
            .collection
            .scaled(1.0 / f64::from(self.host.collection_steps));
        match self.graphs {
            CudaGraphs::None | CudaGraphs::Layer => self.host.step + collection,
            CudaGraphs::Step => collection,
        }
    }

    /// Work between the microbatches of a step.
    pub(super) fn between_microbatches(&self, microbatches: u32) -> SimDuration {
        if self.host.step_each_microbatch && self.graphs != CudaGraphs::Step {
            self.host.step * u64::from(microbatches.saturating_sub(1))
        } else {
            SimDuration::ZERO
        }
    }

    /// Whether the host calls for single kernels at all.
    fn calls_kernels(&self) -> bool {
        self.graphs != CudaGraphs::Step && !self.host.executable
    }

    /// Time of the calls of a pass of a layer.
    pub(super) fn pass(&self, calls: &PassCalls) -> SimDuration {
        let replayed = self.graphs == CudaGraphs::Layer && self.calls_kernels();
        let captures = replayed && calls.fixed.count() > 0;
        self.inside(calls)
            + if captures {
                self.replay()
            } else {
                SimDuration::ZERO
            }
    }

    /// Time of calls that are no pass of their own: gradients of weights, selective recomputation.
    pub(super) fn inside(&self, calls: &PassCalls) -> SimDuration {
        if !self.calls_kernels() {
            return SimDuration::ZERO;
        }
        let routed = self.calls(calls.routed);
        match self.graphs {
            CudaGraphs::None => self.calls(calls.fixed) + routed,
            CudaGraphs::Layer | CudaGraphs::Step => routed,
        }
    }

    /// Calls that let a layer be recomputed: a function around it in the forward and in the backward pass, which saves,
    /// sets and restores the state of random numbers.
    pub(super) fn checkpoint(&self) -> SimDuration {
        match self.graphs {
            CudaGraphs::None if self.calls_kernels() => {
                self.host.function * 2 + self.host.operator * RANDOM_STATES
            }
            CudaGraphs::None | CudaGraphs::Layer | CudaGraphs::Step => SimDuration::ZERO,
        }
    }

    /// Time of calls that are launched one by one.
    pub(super) fn calls(&self, calls: Calls) -> SimDuration {
        let Host {
            operator,
            function,
            module,
            expert,
            low_expert,
            rows,
            low_rows,
            ..
        } = self.host;
        operator * u64::from(calls.operators)
            + function * u64::from(calls.functions)
            + module * (u64::from(calls.modules) + CASTING * u64::from(calls.casting))
            + expert * u64::from(calls.experts)
            + low_expert * u64::from(calls.low_experts)
            + rows * u64::from(calls.rows)
            + low_rows * u64::from(calls.low_rows)
    }

    /// Replay of a layer's graph, from a module of its own that copies the input to where the graph reads it
    /// (`make_graphed_callables` of Transformer Engine, transformer_engine/pytorch/graph.py).
    fn replay(&self) -> SimDuration {
        self.host.module + self.host.operator + self.replay
    }

    /// Time to launch a communication inside a layer: an operator of the framework, and the launch of the library.
    pub(super) fn communication(&self, group: CommGroup) -> SimDuration {
        let routed = match group {
            CommGroup::Tensor | CommGroup::Context => false,
            CommGroup::Expert | CommGroup::ExpertCounts | CommGroup::ExpertTensor => true,
        };
        let captured = self.graphs == CudaGraphs::Layer && !routed;
        if captured || !self.calls_kernels() {
            return SimDuration::ZERO;
        }
        self.host.operator + self.communication
    }

    /// Time to read back from the GPU how many rows go to each expert, until the next kernel can start; `None` where
    /// the host launches none.
    pub(super) fn reads_rows(&self) -> Option<SimDuration> {
        self.calls_kernels()
            .then(|| self.rows_read + self.host.operator)
    }

    /// Time until the GPU has work again after the host has read the rows of the experts, beyond that of an operator.
    pub(super) fn behind_rows(&self, dispatch: Option<ExpertDispatch>) -> SimDuration {
        if dispatch == Some(ExpertDispatch::HybridEp) {
            self.dispatch_call
        } else {
            SimDuration::ZERO
        }
    }

    /// Time of the optimizer's calls, over so many parameter tensors, of whose elements the rank updates a `part`
    /// (0–1); `is_sharded` where every tensor is sharded on its own (ZeRO-3).
    pub(super) fn optimizer(&self, tensors: u64, part: f64, is_sharded: bool) -> SimDuration {
        if !self.calls_kernels() {
            return SimDuration::ZERO;
        }
        let tensors = match self.host.step_tensors {
            StepTensors::Each => tensors as f64,
            StepTensors::Sharded => libm::ceil(tensors as f64 * part),
            StepTensors::Flat => 1.0,
        };
        let each = if is_sharded {
            self.host.sharded_tensor
        } else {
            self.host.tensor
        };
        each.scaled(tensors) + self.host.operator * STEP_OPERATORS
    }
}

/// `base^power`; whole powers of up to 8 by multiplication, several times as fast.
fn raised(base: f64, power: f64) -> f64 {
    if power <= 8.0 && power.fract().abs() <= 0.0 {
        (0..power as u32).fold(1.0, |product, _| product * base)
    } else {
        libm::pow(base, power)
    }
}

/// Host's work for one microbatch in a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerLaunches {
    /// Kind of layer: `dense`, `moe`, `bottleneck`.
    pub(crate) layer: &'static str,
    /// Layers of that kind.
    pub(crate) layers: usize,
    /// Calls of the forward pass, and of the backward pass without recomputation.
    pub(crate) calls: [u32; 2],
    /// Their time, with the graphs and on the CPU of the job; communications are launched besides.
    pub(crate) time: [SimDuration; 2],
}

/// Host's work for each kind of layer under a layout.
pub(crate) fn layer_launches(scenario: &TrainingScenario, layout: &Layout) -> Vec<LayerLaunches> {
    let costs = HostCosts::of(scenario, layout);
    let lowered = lower(&scenario.model, &work::shard(scenario, layout));
    let of_kind = |(at, layer): (usize, &crate::model::LoweredLayer)| {
        let calls = layer.calls;
        let count = |pass: PassCalls| pass.fixed.count() + pass.routed.count();
        LayerLaunches {
            layer: layer.name,
            layers: lowered
                .sequence
                .iter()
                .filter(|kind| usize::from(**kind) == at)
                .count(),
            calls: [
                count(calls.forward),
                count(calls.backward_input) + count(calls.backward_weight),
            ],
            time: [
                costs.pass(&calls.forward),
                costs.pass(&calls.backward_input) + costs.inside(&calls.backward_weight),
            ],
        }
    };
    lowered
        .layer_kinds
        .iter()
        .enumerate()
        .map(of_kind)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hardware::Cluster;
    use crate::simulation::Counterfactual;
    use crate::simulation::training::tests::{ok, reason, scenario};
    use crate::stack::{RecipeChange, Stack};

    fn costs(job: &TrainingScenario) -> HostCosts {
        HostCosts::with_graphs(job, super::graphs(job, false))
    }

    fn graphs(job: &TrainingScenario, scope: CudaGraphs) -> TrainingScenario {
        let change = RecipeChange {
            cuda_graphs: Some(scope),
            ..RecipeChange::default()
        };
        TrainingScenario {
            stack: Arc::new(job.stack.with(&change)),
            ..job.clone()
        }
    }

    /// A job whose kernels are too short to hide their calls: 1,024 tokens of a small model on each GPU.
    fn small() -> TrainingScenario {
        let mut job = scenario("gpt3-1.3b", 8, 8);
        job.workload.seq_len = 1024;
        (job.layout.tp, job.layout.pp) = (Some(1), Some(1));
        job
    }

    fn with_host(job: &TrainingScenario, change: impl FnOnce(&mut Host)) -> TrainingScenario {
        let mut stack = Stack::clone(&job.stack);
        change(&mut stack.host);
        TrainingScenario {
            stack: Arc::new(stack),
            ..job.clone()
        }
    }

    // 3 operators of 1 µs, 2 functions of 2 µs, 4 modules of 10 µs, one that casts at twice that; 4 experts of 0.5 µs, and 2
    // in 8 bits of 1 µs; the rows of 4 and of 2 at 0.25 and 3 µs.
    #[test]
    fn calls_cost_what_their_kind_takes() {
        let job = with_host(&small(), |host| {
            host.operator = SimDuration::from_micros(1);
            host.function = SimDuration::from_micros(2);
            host.module = SimDuration::from_micros(10);
            host.expert = SimDuration::from_nanos(500);
            host.low_expert = SimDuration::from_micros(1);
            host.rows = SimDuration::from_nanos(250);
            host.low_rows = SimDuration::from_micros(3);
        });
        let fixed = Calls {
            operators: 3,
            functions: 2,
            modules: 4,
            casting: 1,
            experts: 4,
            low_experts: 2,
            rows: 4,
            low_rows: 2,
        };
        let calls = PassCalls {
            fixed,
            routed: Calls {
                modules: 1,
                ..Calls::default()
            },
        };
        let time = |scope| costs(&graphs(&job, scope)).pass(&calls);
        assert_eq!(
            time(CudaGraphs::None),
            SimDuration::from_micros(3 + 4 + 40 + 20 + 4 + 1 + 6 + 10)
        );
        // What routing decides, the module that replays the rest, the copy of its input, and the launch of its graph.
        assert_eq!(
            time(CudaGraphs::Layer),
            SimDuration::from_micros(10 + 10 + 1) + REPLAY
        );
        assert_eq!(time(CudaGraphs::Step), SimDuration::ZERO);
    }

    // With the power 3, kernels and calls of 1 s each take 2^(1/3) s; longer calls keep the GPU waiting no longer inside the
    // pass, and without calls it never waits. Calls of half the kernels' time wait for (1 + 1/8)^(1/3) − 1 of it, with the power
    // 2.5 for (1 + 2^−2.5)^0.4 − 1.
    #[test]
    fn calls_in_bursts_keep_the_gpu_waiting() {
        let even = 2.0_f64.cbrt() - 1.0;
        for (power, kernels, calls, waits) in [
            (3.0, 1.0, 1.0, even),
            (3.0, 1.0, 5.0, even),
            (3.0, 1.0, 0.0, 0.0),
            (3.0, 0.0, 1.0, 0.0),
            (3.0, 2.0, 1.0, 2.0 * (1.125_f64.cbrt() - 1.0)),
            (
                2.5,
                2.0,
                1.0,
                2.0 * ((1.0 + 2.0_f64.powf(-2.5)).powf(0.4) - 1.0),
            ),
        ] {
            let host = costs(&with_host(&small(), |host| host.evenness = power));
            let found = host.idle((
                SimDuration::from_secs_f64(kernels),
                SimDuration::from_secs_f64(calls),
            ));
            let found = found.as_secs_f64();
            assert!(
                (found - waits).abs() < 1e-9,
                "{kernels} {calls}: {found} {waits}"
            );
        }
    }

    // Uneven calls lengthen a step whose kernels are called for one by one, and no other: not under graphs of it all, as one
    // executable, or without a host's time at all.
    #[test]
    fn bursts_cost_nothing_where_nothing_is_called() {
        let long = {
            let mut job = small();
            job.workload.global_batch = 64;
            job.layout.micro_batch = Some(8);
            job
        };
        let mut without = long.clone();
        without.run.counterfactual = Some(Counterfactual::Without(StepPart::Overhead));
        let compiled = with_host(&long, |host| host.executable = true);
        let replayed = graphs(&long, CudaGraphs::Step);
        let longer = |job: &TrainingScenario| {
            let [uneven, even] = [1.0, 100.0]
                .map(|power| ok(&with_host(job, |host| host.evenness = power)).step_time());
            (uneven > even, uneven == even)
        };
        assert_eq!(longer(&long), (true, false));
        for job in [&without, &compiled, &replayed] {
            assert_eq!(longer(job), (false, true), "{:?}", job.run.counterfactual);
        }
    }

    // Half of the time of every call, of modules too, which take as long on a CPU of 0.36 times the speed as on any other.
    #[test]
    fn a_counterfactual_host_is_faster_at_every_call() {
        let mut job = with_host(&small(), |host| host.modules_by_cpu = false);
        job.cluster = Arc::new(Cluster {
            host_speed: 0.36,
            ..Cluster::clone(&job.cluster)
        });
        let mut faster = job.clone();
        faster.run.host_speedup = 2.0;
        let calls = PassCalls {
            fixed: Calls {
                operators: 3,
                functions: 2,
                modules: 4,
                ..Calls::default()
            },
            routed: Calls::default(),
        };
        let [once, halved] = [&job, &faster].map(costs);
        for (halved, once) in [
            (halved.pass(&calls), once.pass(&calls)),
            (halved.kernel_gap(), once.kernel_gap()),
            (halved.between_steps(), once.between_steps()),
        ] {
            // Each call's time is rounded to a picosecond.
            assert!((halved * 2).as_picos().abs_diff(once.as_picos()) < 10);
        }
    }

    // A CPU of half the speed takes twice as long, unless the framework's modules were measured alike on both; a step that is
    // one executable has no calls.
    #[test]
    fn the_cpu_and_the_framework_decide() {
        let job = with_host(&small(), |host| {
            host.modules_by_cpu = true;
            host.operator = SimDuration::from_micros(12);
            host.module = SimDuration::from_micros(100);
        });
        let calls = PassCalls {
            fixed: Calls {
                operators: 3,
                modules: 4,
                ..Calls::default()
            },
            routed: Calls::default(),
        };
        let mut slow = job.clone();
        slow.cluster = Arc::new(Cluster {
            host_speed: 0.5,
            ..Cluster::clone(&job.cluster)
        });
        let time = |job: &TrainingScenario| costs(job).pass(&calls);
        assert_eq!(time(&slow), time(&job) * 2);
        let alike = with_host(&slow, |host| host.modules_by_cpu = false);
        assert_eq!(time(&alike), SimDuration::from_micros(2 * 3 * 12 + 4 * 100));
        let compiled = with_host(&job, |host| host.executable = true);
        assert_eq!(time(&compiled), SimDuration::ZERO);
        assert_eq!(
            costs(&compiled).optimizer(100, 1.0, false),
            SimDuration::ZERO
        );
    }

    // A collection of 0.2 s every fourth step is 50 ms of each, in a graph of the whole step too.
    #[test]
    fn a_step_has_its_part_of_a_collection() {
        let job = with_host(&small(), |host| {
            host.step = SimDuration::from_micros(2_000);
            host.collection = SimDuration::from_micros(200_000);
            host.collection_steps = 4;
        });
        let between = |scope| costs(&graphs(&job, scope)).between_steps();
        assert_eq!(
            between(CudaGraphs::None),
            SimDuration::from_micros(2_000 + 50_000)
        );
        assert_eq!(between(CudaGraphs::Step), SimDuration::from_micros(50_000));
    }

    // Three microbatches have two gaps between them; a graph of the whole step has none.
    #[test]
    fn microbatches_may_be_steps_of_the_program() {
        let job = with_host(&small(), |host| {
            host.step = SimDuration::from_micros(2_000);
            host.step_each_microbatch = true;
        });
        let between = |job, microbatches| costs(job).between_microbatches(microbatches);
        assert_eq!(between(&job, 3), SimDuration::from_micros(4_000));
        assert_eq!(between(&job, 1), SimDuration::ZERO);
        let plain = small();
        assert_eq!(between(&plain, 3), SimDuration::ZERO);
        assert_eq!(
            between(&graphs(&job, CudaGraphs::Step), 3),
            SimDuration::ZERO
        );
    }

    // HybridEP's call reads the rows itself and launches its exchange at its end, 182 µs later.
    #[test]
    fn the_gpu_waits_for_the_call_of_hybridep() {
        let costs = costs(&small());
        let hybridep = costs.behind_rows(Some(ExpertDispatch::HybridEp));
        assert_eq!(hybridep, SimDuration::from_micros(182));
        for other in [ExpertDispatch::DeepEp, ExpertDispatch::AllToAll] {
            assert_eq!(costs.behind_rows(Some(other)), SimDuration::ZERO);
        }
    }

    // Of 96 tensors a rank that updates an eighth goes through 12, at 50 µs each.
    #[test]
    fn an_optimizer_goes_through_the_tensors_that_its_framework_holds() {
        let time = |tensors, part| {
            let job = with_host(&small(), |host| {
                host.operator = SimDuration::ZERO;
                host.tensor = SimDuration::from_micros(50);
                host.sharded_tensor = SimDuration::from_micros(300);
                host.step_tensors = tensors;
            });
            let costs = costs(&job);
            [false, true].map(|is_sharded| costs.optimizer(96, part, is_sharded))
        };
        let micros = |each: [u64; 2]| each.map(SimDuration::from_micros);
        assert_eq!(
            time(StepTensors::Sharded, 0.125),
            micros([12 * 50, 12 * 300])
        );
        assert_eq!(time(StepTensors::Each, 0.125), micros([96 * 50, 96 * 300]));
        assert_eq!(time(StepTensors::Flat, 0.125), micros([50, 300]));
    }

    // Graphs take calls away and hold memory; a graph of the whole step leaves no part that waits for the host but the
    // gaps between kernels, of 1 µs each.
    #[test]
    fn graphs_shorten_a_small_step_and_take_memory() {
        let job = small();
        let [none, layer, step] = [CudaGraphs::None, CudaGraphs::Layer, CudaGraphs::Step]
            .map(|scope| ok(&graphs(&job, scope)));
        assert!(layer.step_time() < none.step_time());
        assert!(step.step_time() < layer.step_time());
        let bytes = |report: &crate::simulation::StepReport| report.memory.total();
        assert!(bytes(&layer) > bytes(&none) && bytes(&step) > bytes(&none));
        let waits = |report: &crate::simulation::StepReport| report.shares[StepPart::Overhead];
        assert!(waits(&none) > waits(&layer) && waits(&layer) > waits(&step));
        assert_eq!(none.step_time(), ok(&job).step_time());
    }

    // The host reads the counts behind a copy and an operator, unless a graph holds the step.
    #[test]
    fn reading_token_counts_stops_the_host() {
        let job = small();
        let read = ROWS_READ + job.stack.host.operator;
        assert_eq!(costs(&job).reads_rows(), Some(read));
        assert_eq!(costs(&graphs(&job, CudaGraphs::Step)).reads_rows(), None);
    }

    #[test]
    fn a_stack_without_graphs_refuses_them() {
        let mut job = small();
        job.stack = crate::catalog::Catalog::builtin().stacks["megatron-2021"].clone();
        let sentence = reason(&graphs(&job, CudaGraphs::Step));
        assert!(
            sentence.contains("cuda_graphs step") && sentence.contains("megatron-2021"),
            "{sentence}"
        );
    }

    // Mixtures of experts in a rack replay layers where their dispatch is fused; everything else launches kernel by
    // kernel.
    #[test]
    fn racks_replay_layers_of_experts() {
        let catalog = crate::catalog::Catalog::builtin();
        let scope = |model: &str, gpu: &str, fused| {
            let gpu = catalog.gpus[gpu].clone();
            let cluster = catalog.clusters[&gpu.cluster].clone();
            let (model, stack) = (
                catalog.models[model].clone(),
                catalog.stacks["megatron-bridge"].clone(),
            );
            super::graphs(&TrainingScenario::new(model, gpu, cluster, stack), fused)
        };
        assert_eq!(scope("deepseek-v3", "gb200", true), CudaGraphs::Layer);
        assert_eq!(scope("llama3-70b", "gb200", true), CudaGraphs::None);
        assert_eq!(scope("deepseek-v3", "gb200", false), CudaGraphs::None);
        assert_eq!(scope("deepseek-v3", "h100-sxm", true), CudaGraphs::None);
    }
}
