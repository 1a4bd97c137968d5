//! Lower bound on the step of a layout whose layers are priced, from sums over its stages.

use std::sync::Arc;

use crate::collective::CollectiveOp;
use crate::memo::Memo;
use crate::model::ShardParameters;
use crate::simulation::training::bounds::group::bound;
use crate::simulation::training::costs::beside_replicas;
use crate::simulation::training::data_parallel_cost::{ReplicaCosts, reduction};
use crate::simulation::training::data_parallel_play::MOST_GATHERS;
use crate::simulation::training::fit::Repeats;
use crate::simulation::training::host_copies::HostCopies;
use crate::simulation::training::layout::Pipeline;
use crate::simulation::training::parameters::{Copies, gathered_bytes, shards_gradients};
use crate::simulation::training::passes::{LayerCost, LayerCosts, PassCost};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::{self, Pass, PipelineSize, Placement, Slot};
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Layout, StepPart, TimeShares, TrainingScenario};
use crate::stack::{PipelineSchedule, Recompute, ZeroStage};
use crate::units::SimDuration;

/// Seconds and parameters of layers.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    forward: f64,
    input: f64,
    weight: f64,
    /// Forward passes that recomputation may repeat in full, and what it repeats of them selectively.
    again: f64,
    selective: f64,
    issue: f64,
    dense: f64,
    expert: f64,
    /// Reducing their gradients and gathering their parameters twice, layer by layer, and what that slows the kernels.
    sharded: f64,
    slowed: f64,
    /// Copies over the host's link, which passes take no less than.
    copied_forward: f64,
    copied_backward: f64,
}

impl Stretch {
    /// A layer; `selective` is the same with selective recomputation, where that may be asked for.
    fn of(layer: &LayerCost, selective: Option<&LayerCost>, kernels: f64) -> Self {
        let seconds = |pass: &PassCost| slowed(&pass.parts, kernels);
        let input = seconds(&layer.backward_input);
        Self {
            forward: seconds(&layer.forward),
            input,
            weight: seconds(&layer.backward_weight),
            again: 0.0,
            selective: selective.map_or(0.0, |layer| seconds(&layer.backward_input) - input),
            issue: (layer.forward.issue + layer.backward.issue).as_secs_f64(),
            dense: layer.parameters.trained().dense as f64,
            expert: layer.parameters.trained().expert as f64,
            sharded: 0.0,
            slowed: 0.0,
            copied_forward: 0.0,
            copied_backward: 0.0,
        }
    }

    fn plus(self, other: Self, times: f64) -> Self {
        Self {
            forward: self.forward + other.forward * times,
            input: self.input + other.input * times,
            weight: self.weight + other.weight * times,
            again: self.again + other.again * times,
            selective: self.selective + other.selective * times,
            issue: self.issue + other.issue * times,
            dense: self.dense + other.dense * times,
            expert: self.expert + other.expert * times,
            sharded: self.sharded + other.sharded * times,
            slowed: self.slowed + other.slowed * times,
            copied_forward: self.copied_forward + other.copied_forward * times,
            copied_backward: self.copied_backward + other.copied_backward * times,
        }
    }

    fn forward(&self) -> f64 {
        self.forward.max(self.copied_forward)
    }

    /// Backward pass for the gradients of the inputs, with what is recomputed before it.
    fn input(&self, repeats: Repeats) -> f64 {
        let again = match repeats.policy {
            Recompute::None => 0.0,
            Recompute::Selective => self.selective,
            Recompute::Full => self.again * repeats.share,
        };
        // The pass for the gradients of the weights hides copies, too.
        (self.input + again).max(self.copied_backward - self.weight)
    }

    fn backward(&self, repeats: Repeats) -> f64 {
        self.input(repeats) + self.weight
    }
}

/// Seconds of a pass whose kernels take so many times as long.
pub(in crate::simulation::training) fn slowed(parts: &TimeShares, kernels: f64) -> f64 {
    let slowed = parts[StepPart::Compute] + parts[StepPart::Recompute];
    (parts.total() - slowed).as_secs_f64() + slowed.as_secs_f64() * kernels
}

/// Layers of a microbatch that recompute nothing, added up front to back.
#[derive(Clone, Debug)]
pub(in crate::simulation::training) struct PricedLayers {
    /// Before each layer: the layers in front of it, without the embedding.
    before: Vec<Stretch>,
    /// First of the layers in front of each that are of its kind without another between.
    same_from: Vec<usize>,
    embedding: Stretch,
    head: Stretch,
    times: Times,
}

/// Passes of the stage with the last layers from its first backward pass to the last one of the last virtual stage, by
/// chunk; a last, smaller microbatch counts its share.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::training) struct Middle {
    chunks: Vec<MiddleChunk>,
}

#[derive(Clone, Copy, Debug, Default)]
struct MiddleChunk {
    forward: f64,
    /// Passes for the gradients of the inputs, and of the weights.
    input: f64,
    weight: f64,
}

/// Middles that were counted, whatever the job.
pub(in crate::simulation::training) type Middles =
    Memo<(PipelineSchedule, PipelineSize, (u32, u32)), Arc<Middle>, 8192>;

/// Most passes that are looked at; where there are more, the way there and back is little of the step.
const MOST_PASSES: u32 = 2048;

impl Middle {
    /// Passes in the order of a schedule whose last microbatch has this share of a full one's samples.
    pub(in crate::simulation::training) fn of(
        schedule: PipelineSchedule,
        pipeline: PipelineSize,
        last: f64,
    ) -> Self {
        let few = pipeline.microbatches < 2 * pipeline.stages;
        if !few || pipeline.microbatches * pipeline.chunks > MOST_PASSES {
            return Self::default();
        }
        let mut slots = Vec::new();
        // The stage that has the last layers.
        let placement = Placement::new(schedule, pipeline.stages);
        let stage = placement.stage(pipeline.stages * pipeline.chunks - 1);
        schedule::order(schedule, pipeline, stage, &mut slots);
        let passes_back = |slot: &Slot| match slot.pass {
            Pass::Backward | Pass::BackwardInput => true,
            Pass::Forward | Pass::BackwardWeight => false,
        };
        let begin = slots.iter().position(passes_back).unwrap_or(0);
        let of_last = |slot: &Slot| passes_back(slot) && slot.chunk + 1 == pipeline.chunks;
        let end = slots.iter().rposition(of_last).unwrap_or(0);
        let mut chunks = vec![MiddleChunk::default(); pipeline.chunks as usize];
        for slot in &slots[begin..=end] {
            let size = if slot.microbatch + 1 == pipeline.microbatches {
                last
            } else {
                1.0
            };
            let chunk = &mut chunks[slot.chunk as usize];
            match slot.pass {
                Pass::Forward => chunk.forward += size,
                Pass::Backward => {
                    chunk.input += size;
                    chunk.weight += size;
                }
                Pass::BackwardInput => chunk.input += size,
                Pass::BackwardWeight => chunk.weight += size,
            }
        }
        Self { chunks }
    }
}

/// Times that all pipelines of a microbatch share.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// Microbatches, and the size of all relative to a full one.
    microbatches: f64,
    all: f64,
    /// Size of the last microbatch relative to the others.
    last: f64,
    /// Seconds of a send to the next stage, and whether the sender waits for it.
    send: f64,
    sends_exposed: bool,
}

impl PricedLayers {
    /// Layers priced for a layout; its stages do not matter. `selective` has the prices with selective recomputation,
    /// `sharded` what gathering and reducing each kind of layer takes by itself, `copies` the least that is copied beside it.
    pub(in crate::simulation::training) fn of(
        (scenario, layout): (&TrainingScenario, &Layout),
        (work, costs, selective): (&ModelWork, &LayerCosts, Option<&LayerCosts>),
        (sharded, copies): (&[Replicated], &[HostCopies]),
        (send, replica_batch): (SimDuration, u32),
        pricing: &Pricing,
    ) -> Self {
        let slowest = pricing.slowest().over_mean(scenario.gpu.rates.speed_spread);
        let kernels = slowest * scenario.run.kernel_time();
        let repeats = !scenario.run.leaves_out(StepPart::Recompute);
        let stretch = |layer: &LayerCost, selective: Option<&LayerCost>, has_backward: bool| {
            let mut stretch = Stretch::of(layer, selective, kernels);
            if repeats && has_backward {
                stretch.again = stretch.forward - layer.once.as_secs_f64() * kernels.max(1.0);
            }
            stretch
        };
        let kinds: Vec<Stretch> = (0..costs.kinds.len())
            .map(|kind| {
                let layer = &costs.kinds[kind];
                let has_backward = work.kinds[kind].has_backward;
                let again = selective.map(|with| &with.kinds[kind]);
                let mut stretch = stretch(layer, again, has_backward);
                // What a copy outlasts its pass by does not shrink with the kernels.
                if kernels >= 1.0 {
                    stretch.copied_forward = copies[kind].forward.as_secs_f64();
                    stretch.copied_backward = copies[kind].backward.as_secs_f64();
                }
                if let Some(Replicated { reduced, gathered }) = sharded.get(kind) {
                    let back = if has_backward { *gathered } else { 0.0 };
                    let beside = |pass: &PassCost, communicated: f64| {
                        pass.parts[StepPart::Compute]
                            .as_secs_f64()
                            .min(communicated)
                    };
                    stretch.sharded = reduced + gathered + back;
                    stretch.slowed = kernels
                        * beside_replicas(scenario, layout, pricing)
                        * (beside(&layer.forward, *gathered)
                            + beside(&layer.backward, back + reduced));
                }
                stretch
            })
            .collect();
        let mut before = vec![Stretch::default()];
        let mut same_from = Vec::with_capacity(work.sequence.len());
        let mut sum = Stretch::default();
        for (at, &kind) in work.sequence.iter().enumerate() {
            sum = sum.plus(kinds[usize::from(kind)], 1.0);
            before.push(sum);
            same_from.push(match at.checked_sub(1) {
                Some(last) if work.sequence[last] == kind => same_from[last],
                Some(_) | None => at,
            });
        }
        let mtp = stretch(&costs.mtp, selective.map(|with| &with.mtp), true);
        let size = f64::from(replica_batch) / f64::from(layout.micro_batch);
        let microbatches = f64::from(replica_batch.div_ceil(layout.micro_batch));
        Self {
            before,
            same_from,
            embedding: Stretch::of(&costs.embedding, None, kernels),
            head: Stretch::of(&costs.head, None, kernels).plus(mtp, 1.0),
            times: Times {
                microbatches,
                all: size,
                last: size - (microbatches - 1.0),
                send: send.as_secs_f64(),
                sends_exposed: !scenario.overlap(layout).pipeline,
            },
        }
    }

    /// The stages of a pipeline.
    pub(in crate::simulation::training) fn stages(
        &self,
        pipeline: &Pipeline,
        pp: u32,
    ) -> StageSums {
        let placement = Placement::new(pipeline.schedule, pp);
        let chunks = self.chunks(&pipeline.layers_per_stage);
        let of = |stage: u32, chunk| chunks.of(placement.virtual_stage(stage, chunk));
        let alike = |stage: u32| {
            (0..pipeline.vpp).all(|chunk| of(stage, chunk).0 == of(stage - 1, chunk).0)
        };
        let mut runs: Vec<Run> = Vec::new();
        let mut all = Stretch::default();
        for stage in 0..pp {
            let sends = f64::from(placement.sends(stage, pipeline.vpp));
            match runs.last_mut() {
                Some(run) if run.sends.total_cmp(&sends).is_eq() && alike(stage) => {
                    run.stages += 1.0;
                }
                Some(_) | None => runs.push(Run {
                    stages: 1.0,
                    sends,
                    held: (0..pipeline.vpp).fold(Stretch::default(), |held, chunk| {
                        held.plus(*of(stage, chunk).1, 1.0)
                    }),
                    first: *of(stage, 0).1,
                    top: *of(stage, pipeline.vpp - 1).1,
                }),
            }
        }
        for run in &runs {
            all = all.plus(run.held, run.stages);
        }
        let last = pp * pipeline.vpp - 1;
        let on_last = (0..pipeline.vpp).map(|chunk| *of(placement.stage(last), chunk).1);
        StageSums {
            times: self.times,
            hops: f64::from(placement.hops(pipeline.vpp)),
            several: pp > 1,
            hides_return: pipeline.schedule.splits_backward(),
            runs,
            all,
            last: *chunks.of(last).1,
            on_last: on_last.collect(),
        }
    }

    /// The layers of each virtual stage.
    fn chunks(&self, layers_per_stage: &[u32]) -> Chunks {
        let whole = [self.before.len() as u32 - 1];
        let list = if layers_per_stage.is_empty() {
            &whole[..]
        } else {
            layers_per_stage
        };
        let mut chunks = Chunks {
            unlike: Vec::new(),
            which: Vec::with_capacity(list.len()),
        };
        let mut at = 0;
        for (index, &layers) in list.iter().enumerate() {
            let end = at + layers as usize;
            let (is_first, is_last) = (index == 0, index + 1 == list.len());
            // Behind the first, most hold as many layers of one kind as the one before.
            let alike = index > 1
                && !is_last
                && layers == list[index - 1]
                && end > at
                && self.same_from[end - 1] + layers as usize <= at;
            if !alike {
                let mut stretch = self.before[end].plus(self.before[at], -1.0);
                if is_first || is_last || layers as usize > MOST_GATHERS {
                    // Layers that are gathered with others, or with embedding or head.
                    (stretch.sharded, stretch.slowed) = (0.0, 0.0);
                }
                if is_first {
                    stretch = stretch.plus(self.embedding, 1.0);
                }
                if is_last {
                    stretch = stretch.plus(self.head, 1.0);
                }
                chunks.unlike.push(stretch);
            }
            chunks.which.push(chunks.unlike.len() as u32 - 1);
            at = end;
        }
        chunks
    }
}

/// Layers of the virtual stages, those that are alike once.
struct Chunks {
    unlike: Vec<Stretch>,
    /// Which of them each virtual stage has.
    which: Vec<u32>,
}

impl Chunks {
    /// Which layers a virtual stage has, and these.
    fn of(&self, virtual_stage: u32) -> (u32, &Stretch) {
        let which = self.which[virtual_stage as usize];
        (which, &self.unlike[which as usize])
    }
}

/// Stages behind one another that are alike.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// Number of the stages.
    stages: f64,
    /// Sends of each with every microbatch.
    sends: f64,
    /// All layers of one, those of its first and of its last chunk.
    held: Stretch,
    first: Stretch,
    top: Stretch,
}

/// Sums over the stages of a pipeline.
#[derive(Clone, Debug)]
pub(in crate::simulation::training) struct StageSums {
    times: Times,
    /// Sends of a microbatch from the first virtual stage to the last.
    hops: f64,
    /// Whether there are several stages.
    several: bool,
    /// Whether the schedule leaves weight gradients for when the last microbatch is passed back.
    hides_return: bool,
    /// Stages front to back.
    runs: Vec<Run>,
    /// All layers, those of the last virtual stage, and those of each chunk of the stage that has it.
    all: Stretch,
    last: Stretch,
    on_last: Vec<Stretch>,
}

impl StageSums {
    /// Bound of the step without what follows the passes.
    ///
    /// A stage works through all microbatches, a smaller last one in proportion, behind the first forward passes of the
    /// stages before it. What it
    /// hands back goes through the backward passes of those stages. The host issues its kernels one after another,
    /// from the start on. Its gradients are reduced, in one queue, behind all its forward passes and the backward
    /// passes of all microbatches but the last.
    fn passes(&self, repeats: Repeats, middle: &Middle, replication: &Replication) -> f64 {
        let Times {
            microbatches,
            all,
            last,
            send,
            sends_exposed,
        } = self.times;
        let (mut there, mut back) = (0.0, 0.0);
        let mut longest = self.there_and_back(repeats, middle);
        for (index, run) in self.runs.iter().enumerate() {
            let Run {
                stages,
                sends,
                held,
                first,
                top,
            } = run;
            let on = first.forward() + send;
            // A sender that waits has the first send back among its own.
            let sent = if sends_exposed && index == 0 {
                0.0
            } else {
                send
            };
            let returns = (first.backward(repeats) + sent) * last;
            // The last stage of a run is ready last, and what it hands back has the longest way.
            there += (stages - 1.0) * on;
            back += (stages - 1.0) * returns;
            let forward = held.forward() * all;
            let mut busy = forward + held.backward(repeats) * all;
            if sends_exposed && self.several {
                busy += sends * send * microbatches;
            }
            if replication.sharded {
                busy += held.slowed * all;
            }
            let returned = if self.hides_return { 0.0 } else { back };
            let passed = (there + busy).max(held.issue * microbatches) + returned;
            let replicated = replication.replicated(held);
            let reduced = match replication.when {
                When::Behind => there + busy + replicated.reduced,
                When::LastMicrobatch => {
                    let before_last = microbatches - 1.0;
                    let behind = there + forward + before_last * top.input(repeats);
                    (behind + replicated.reduced).max(replicated.reduced + replicated.gathered)
                }
                When::BehindEach => there + busy + microbatches * replicated.reduced,
                When::EveryMicrobatch { gathers } => {
                    let at_line_rate =
                        microbatches * replicated.reduced + gathers * replicated.gathered;
                    if replication.sharded {
                        at_line_rate.max(microbatches * held.sharded)
                    } else {
                        at_line_rate
                    }
                }
            };
            longest = longest.max(passed).max(reduced);
            there += on;
            back += returns;
        }
        longest
    }

    /// Time of a microbatch on its way to the last virtual stage, of the last stage's passes from its first backward pass
    /// to the last one there, and of the way back; the first stage then has its own weight gradients left at least.
    fn there_and_back(&self, repeats: Repeats, middle: &Middle) -> f64 {
        let Times { last, send, .. } = self.times;
        let there = self.all.forward() + self.hops * send;
        let others = self.all.plus(self.last, -1.0);
        let returned = others.input(repeats) + self.hops * send;
        let passes = self
            .on_last
            .iter()
            .zip(&middle.chunks)
            .map(|(chunk, times)| {
                chunk.forward() * times.forward
                    + chunk.input(repeats) * times.input
                    + chunk.weight * times.weight
            });
        let weights = if self.hides_return {
            self.runs[0].first.weight
        } else {
            others.weight
        };
        there + passes.sum::<f64>() + (returned + weights) * last
    }

    /// Parameters of the stage that has most.
    fn largest(&self) -> ShardParameters {
        let mut largest = ShardParameters::default();
        for run in &self.runs {
            let (dense, expert) = (run.held.dense as u64, run.held.expert as u64);
            if dense + expert > largest.dense + largest.expert {
                largest = ShardParameters {
                    dense,
                    expert,
                    ..ShardParameters::default()
                };
            }
        }
        largest
    }

    /// Bound of the step of layouts that recompute in one of these ways: behind the passes the optimizer of the
    /// largest stage, for whose norm all stages wait, and `closing` seconds.
    pub(in crate::simulation::training) fn step(
        &self,
        (scenario, layout): (&TrainingScenario, &Layout),
        (ways, middle): (&[Repeats], &Middle),
        (replication, closing): (&Replication, f64),
        pricing: &mut Pricing,
    ) -> SimDuration {
        let passes = ways
            .iter()
            .map(|repeats| self.passes(*repeats, middle, replication));
        let passes = passes.reduce(f64::min).unwrap_or_default();
        let replicas = ReplicaCosts {
            scenario,
            layout,
            pricing,
        };
        let kernels = replicas.optimizer(self.largest());
        bound(passes + kernels.as_secs_f64() + closing)
    }
}

/// When gradients are reduced.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Behind all passes.
    Behind,
    /// Behind those of the last microbatch, and parameters gathered behind those of the first.
    LastMicrobatch,
    /// Behind those of each, which waits for it.
    BehindEach,
    /// Behind those of each, and parameters gathered so many times.
    EveryMicrobatch { gathers: f64 },
}

/// Least seconds of data-parallel communication for each parameter, at line rate.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::training) struct Replication {
    when: When,
    /// Whether parameters are sharded, and gathered and reduced layer by layer.
    sharded: bool,
    /// Reducing its gradient: a dense one's, an expert's.
    reduced: [f64; 2],
    /// Gathering it.
    gathered: [f64; 2],
}

/// Seconds to reduce gradients and to gather parameters once.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::training) struct Replicated {
    pub(in crate::simulation::training) reduced: f64,
    pub(in crate::simulation::training) gathered: f64,
}

impl Replicated {
    /// The less of each.
    pub(in crate::simulation::training) fn least(self, other: Self) -> Self {
        Self {
            reduced: self.reduced.min(other.reduced),
            gathered: self.gathered.min(other.gathered),
        }
    }
}

impl Replication {
    /// Seconds of a layout's replicas; its pipeline does not matter.
    pub(in crate::simulation::training) fn of(
        scenario: &TrainingScenario,
        layout: &Layout,
        pricing: &mut Pricing,
    ) -> Self {
        let overlap = scenario.overlap(layout);
        let sharded = layout.zero == ZeroStage::Z3;
        let costs = ReplicaCosts {
            scenario,
            layout,
            pricing,
        };
        let (gradient, parameter) = (costs.gradient_bytes(), gathered_bytes(scenario, layout));
        let leaves_out = scenario.run.leaves_out(StepPart::DpComm);
        let copies = Copies::of(scenario, layout);
        let seconds = |op, bytes: u64| {
            copies.map(|Copies { within, across }| {
                if leaves_out {
                    return 0.0;
                }
                let mut seconds = pricing.line_rate_seconds(op, bytes as f64, within);
                if op == CollectiveOp::ReduceScatter && across.size > 1 {
                    let shard = bytes as f64 / f64::from(within.size);
                    seconds += pricing.line_rate_seconds(CollectiveOp::AllReduce, shard, across);
                }
                seconds
            })
        };
        let gathers = sharded || layout.zero != ZeroStage::Z0 && overlap.parameters;
        let microbatches = f64::from(layout.microbatches);
        let each = shards_gradients(scenario, layout);
        let when = match (each, overlap.gradients || sharded) {
            (true, true) => When::EveryMicrobatch {
                gathers: match layout.zero {
                    ZeroStage::Z3 => 2.0 * microbatches,
                    ZeroStage::Z0 | ZeroStage::Z1 | ZeroStage::Z2 => 1.0,
                },
            },
            (true, false) => When::BehindEach,
            (false, true) => When::LastMicrobatch,
            (false, false) => When::Behind,
        };
        Self {
            when,
            sharded,
            reduced: seconds(reduction(scenario, layout), gradient),
            gathered: if gathers {
                seconds(CollectiveOp::AllGather, parameter)
            } else {
                [0.0; 2]
            },
        }
    }

    fn of_layers(each: [f64; 2], layers: &Stretch) -> f64 {
        each[0] * layers.dense + each[1] * layers.expert
    }

    /// Seconds of the layers of a stage.
    fn replicated(&self, layers: &Stretch) -> Replicated {
        Replicated {
            reduced: Self::of_layers(self.reduced, layers),
            gathered: Self::of_layers(self.gathered, layers),
        }
    }
}
