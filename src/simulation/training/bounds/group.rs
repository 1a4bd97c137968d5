//! Lower bound on the step of any layout with given groups and microbatch, before kernels and prices are known.

use crate::collective::GroupPattern;
use crate::model::{CommGroup, CommOp};
use crate::simulation::training::bounds::floor::{
    LeastCommunication, LeastLayer, LeastPass, LeastWork,
};
use crate::simulation::training::fit::Repeats;
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::layout::{Groups, Pipeline};
use crate::simulation::training::passes::{
    beside_exchange, beside_tensor, collective_op, part_of, ranks,
};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::token_dispatch::{may_overlap, token_exchange};
use crate::simulation::{Layout, StepPart, TrainingScenario};
use crate::stack::Recompute;
use crate::units::{Bytes, SimDuration};

/// Share of a bound that rounding to picoseconds may take: a group of layers rounds a few times, and takes a
/// microsecond or more.
const ROUNDING: f64 = 2e-6;

/// Seconds as a bound, rounding left out.
pub(in crate::simulation::training) fn bound(seconds: f64) -> SimDuration {
    SimDuration::from_secs_f64(seconds.max(0.0) * (1.0 - ROUNDING))
}

/// Seconds that are affine in the samples of a microbatch: kernels, and what does not shrink with the last microbatch.
#[derive(Clone, Copy, Debug, Default)]
struct Affine {
    /// Kernels, per microbatch.
    fixed: f64,
    /// Kernels and communication, per sample.
    growing: f64,
    /// Gaps between kernels, per microbatch.
    gaps: f64,
    /// The host's seconds, per microbatch.
    issue: f64,
}

impl Affine {
    fn add(&mut self, other: Self, times: f64) {
        self.fixed += other.fixed * times;
        self.growing += other.growing * times;
        self.gaps += other.gaps * times;
        self.issue += other.issue * times;
    }

    fn least(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.min(other.fixed),
            growing: self.growing.min(other.growing),
            gaps: self.gaps.min(other.gaps),
            issue: self.issue.min(other.issue),
        }
    }

    fn of(self, samples: f64) -> f64 {
        self.fixed + self.growing * samples + self.gaps
    }
}

/// Layers that a microbatch passes before it reaches a stage, and those of the stage with the head: the fewest that any
/// pipeline of so many stages has.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::training) struct Filling {
    /// On the way to a stage and back, the mean over the stages; forward and backward.
    mean: f64,
    /// The same to the stage with the head.
    last: f64,
    /// Layers of the stage with the head.
    on_last: f64,
    /// Whether weight gradients may be left for later, so that the way back may be hidden.
    hides_return: bool,
}

impl Filling {
    /// The least of several.
    pub(in crate::simulation::training) fn of(pipelines: &[Pipeline], pp: u32) -> Vec<Self> {
        let filling = |pipeline: &Pipeline| {
            let layers = |stage: usize| {
                f64::from(pipeline.layers_per_stage.get(stage).copied().unwrap_or(0))
            };
            let stages = pp as usize;
            let (mut before, mut sum) = (0.0, 0.0);
            for stage in 0..stages {
                sum += before;
                if stage + 1 < stages {
                    before += layers(stage);
                }
            }
            // In a V the first stage has the head.
            let placement = Placement::new(pipeline.schedule, pp);
            let with_head = placement.stage(pp * pipeline.vpp - 1);
            let its_chunk = |chunk| placement.virtual_stage(with_head, chunk) as usize;
            Self {
                mean: sum / stages as f64,
                last: if with_head == 0 { 0.0 } else { before },
                on_last: (0..pipeline.vpp).map(its_chunk).map(layers).sum(),
                hides_return: pipeline.schedule.splits_backward(),
            }
        };
        let (hiding, plain): (Vec<Self>, Vec<Self>) = pipelines
            .iter()
            .map(filling)
            .partition(|filling| filling.hides_return);
        let least = |a: Self, b: Self| Self {
            mean: a.mean.min(b.mean),
            last: a.last.min(b.last),
            on_last: a.on_last.min(b.on_last),
            ..a
        };
        [hiding, plain]
            .into_iter()
            .filter_map(|them| them.into_iter().reduce(least))
            .collect()
    }
}

/// Passes of one layer, or of several.
#[derive(Clone, Copy, Debug, Default)]
struct LayerTimes {
    forward: Affine,
    backward: Affine,
    /// Forward work that recomputation may repeat in full, and what it repeats of it selectively.
    again: Affine,
    selective: Affine,
}

impl LayerTimes {
    fn add(&mut self, other: Self, times: f64) {
        self.forward.add(other.forward, times);
        self.backward.add(other.backward, times);
        self.again.add(other.again, times);
        self.selective.add(other.selective, times);
    }

    fn least(self, other: Self) -> Self {
        Self {
            forward: self.forward.least(other.forward),
            backward: self.backward.least(other.backward),
            again: self.again.least(other.again),
            selective: self.selective.least(other.selective),
        }
    }

    /// Backward pass with what is recomputed before it.
    fn backward(&self, repeats: Repeats) -> Affine {
        let mut backward = self.backward;
        match repeats.policy {
            Recompute::None => {}
            Recompute::Selective => backward.add(self.selective, 1.0),
            Recompute::Full => backward.add(self.again, repeats.share),
        }
        backward
    }
}

/// Lower bounds of the layouts with given groups.
#[derive(Clone, Debug)]
pub(in crate::simulation::training) struct GroupBound {
    stages: f64,
    total: LayerTimes,
    /// The least layer.
    layer: LayerTimes,
    head: LayerTimes,
    /// Seconds behind the passes.
    closing: f64,
    fillings: Vec<Filling>,
}

impl GroupBound {
    /// Bounds of microbatches up to those of `least`; `closing` seconds follow the passes.
    pub(in crate::simulation::training) fn of(
        scenario: &TrainingScenario,
        groups: &Groups,
        (least, layout): (&LeastWork, &Layout),
        fillings: Vec<Filling>,
        (pricing, closing): (&Pricing, f64),
    ) -> Self {
        let costing = Costing {
            scenario,
            host: HostCosts::of(scenario, layout),
            layout,
            pricing,
            slowest: pricing.slowest().over_mean(scenario.gpu.rates.speed_spread)
                * scenario.run.kernel_time(),
            repeats: !scenario.run.leaves_out(StepPart::Recompute),
        };
        let mut total = LayerTimes::default();
        let mut shortest: Option<LayerTimes> = None;
        for (layer, count) in least.kinds.iter().zip(&least.counts) {
            let times = costing.layer(layer);
            total.add(times, f64::from(*count));
            shortest = Some(shortest.map_or(times, |shortest| shortest.least(times)));
        }
        let mut head = costing.end(&least.head);
        let mtp = scenario
            .model
            .transformer()
            .map_or(0, |network| network.mtp_layers);
        if let Some(layer) = &least.mtp {
            head.add(costing.layer(layer), f64::from(mtp));
        }
        total.add(head, 1.0);
        total.add(costing.end(&least.embedding), 1.0);
        Self {
            stages: f64::from(groups.pp),
            total,
            layer: shortest.unwrap_or_default(),
            head,
            closing,
            fillings,
        }
    }

    /// Bound of layouts with this microbatch, and so many samples on a replica, that recompute in one of these ways.
    ///
    /// A stage works through every microbatch behind the passes of the first one through the stages before it; and
    /// the last one still has to pass back through them, unless weight gradients were left for then. The step is no
    /// shorter than that of the last stage, nor than the mean over all stages. Kernels of a last, smaller microbatch
    /// take its share; gaps and launches do not shrink.
    pub(in crate::simulation::training) fn step(
        &self,
        (micro_batch, samples): (u32, u32),
        ways: &[Repeats],
    ) -> SimDuration {
        let passes = ways
            .iter()
            .map(|repeats| self.passes((micro_batch, samples), *repeats));
        let passes = passes.reduce(f64::min).unwrap_or_default();
        bound(passes + self.closing)
    }

    fn passes(&self, (micro_batch, of_replica): (u32, u32), repeats: Repeats) -> f64 {
        let full = f64::from(of_replica / micro_batch);
        let rest = f64::from(of_replica % micro_batch) / f64::from(micro_batch);
        let samples = f64::from(micro_batch);
        let all =
            |work: Affine| (full + rest) * (work.fixed + work.growing * samples) + full * work.gaps;
        let both = |layers: &LayerTimes| {
            let mut both = layers.forward;
            both.add(layers.backward(repeats), 1.0);
            both
        };
        let back = if rest > 0.0 { rest } else { 1.0 };
        let forward = self.layer.forward.of(samples);
        let backward = self.layer.backward(repeats).of(samples);
        let total = both(&self.total);
        let busy = all(total) / self.stages;
        let (layer, head) = (all(both(&self.layer)), all(both(&self.head)));
        let filled = self.fillings.iter().map(|filling| {
            let each = if filling.hides_return {
                forward
            } else {
                forward + backward * back
            };
            let mean = busy + filling.mean * each;
            let last = filling.on_last * layer + head + filling.last * each;
            mean.max(last)
        });
        let passes = filled.reduce(f64::min).unwrap_or(busy);
        passes.max(full * total.issue / self.stages)
    }
}

struct Costing<'a> {
    scenario: &'a TrainingScenario,
    host: HostCosts,
    layout: &'a Layout,
    pricing: &'a Pricing,
    slowest: f64,
    /// Whether recomputation takes time.
    repeats: bool,
}

impl Costing<'_> {
    fn layer(&self, layer: &LeastLayer) -> LayerTimes {
        let mut times = self.end(layer);
        if self.repeats && layer.has_backward {
            times.again = times.forward;
            times.selective = self.pass(&layer.selective);
        }
        times.forward.add(self.pass(&layer.once), 1.0);
        times
    }

    /// Embedding or head, of which nothing is recomputed.
    fn end(&self, layer: &LeastLayer) -> LayerTimes {
        let mut backward = self.pass(&layer.backward_input);
        backward.add(self.pass(&layer.backward_weight), 1.0);
        LayerTimes {
            forward: self.pass(&layer.forward),
            backward,
            ..LayerTimes::default()
        }
    }

    fn pass(&self, pass: &LeastPass) -> Affine {
        let mut rings = Vec::new();
        let communicated = pass.communications.iter().map(|it| {
            let groups = ranks(self.layout, it.group);
            if groups.size <= 1 || self.scenario.run.leaves_out(part_of(it.group)) {
                return 0.0;
            }
            if it.group == CommGroup::Expert {
                return self.exchange(it, groups) * self.exchange_hidden_at_least(groups);
            }
            let size = f64::from(groups.size);
            let busy = self
                .pricing
                .line_rate_seconds(collective_op(it.op), it.bytes, groups);
            match it.op {
                CommOp::RingExchange => {
                    rings.push(busy * (size - 1.0));
                    0.0
                }
                CommOp::AllReduce
                | CommOp::AllGather
                | CommOp::ReduceScatter
                | CommOp::AllToAll => {
                    if it.overlappable {
                        let first = busy / size;
                        first + (busy - first) * self.hidden_at_least(groups)
                    } else {
                        busy
                    }
                }
            }
        });
        let mut communicated: f64 = communicated.sum();
        communicated += self.exchanged(&rings, pass.attention);
        Affine {
            fixed: pass.fixed * self.slowest,
            growing: pass.growing * self.slowest + communicated,
            gaps: pass.kernels * self.host.kernel_gap().as_secs_f64(),
            issue: self.host.inside(&pass.calls).as_secs_f64(),
        }
    }

    /// Exposed seconds of ring exchanges, with what attention may take more than its least: each exchange hides behind
    /// all but one share of the attention. Longer attention hides more, so that the sum of both has its least at the
    /// least attention or where an exchange is just hidden.
    fn exchanged(&self, rings: &[f64], attention: f64) -> f64 {
        let size = f64::from(self.layout.cp);
        let hides = (size - 1.0) / size;
        let behind = |taken: f64| {
            let exposed = rings.iter().map(|ring| (ring - taken * hides).max(0.0));
            (taken - attention) * self.slowest + exposed.sum::<f64>()
        };
        let just_hidden = rings.iter().map(|ring| ring / hides);
        just_hidden
            .filter(|taken| *taken > attention)
            .map(behind)
            .fold(behind(attention), f64::min)
    }

    /// Least seconds of an exchange with experts.
    fn exchange(&self, least: &LeastCommunication, groups: GroupPattern) -> f64 {
        let dispatch = self.layout.expert_dispatch;
        match token_exchange(self.scenario, dispatch, (Bytes::ZERO, groups)) {
            Some(exchange) => self.pricing.least_exchange_seconds(&exchange, least.bytes),
            None => self
                .pricing
                .line_rate_seconds(collective_op(least.op), least.bytes, groups),
        }
    }

    /// Least cost of a hidden communication, relative to its own time: what kernels beside it lose, or all of it where
    /// it is not hidden.
    fn hidden_at_least(&self, groups: GroupPattern) -> f64 {
        let overlap = self.scenario.overlap(self.layout);
        if !overlap.tensor {
            return 1.0;
        }
        (beside_tensor(self.scenario, self.pricing, groups) * self.slowest).min(1.0)
    }

    /// The same of an exchange with experts.
    fn exchange_hidden_at_least(&self, groups: GroupPattern) -> f64 {
        if !may_overlap(self.scenario) {
            return 1.0;
        }
        let dispatch = self.layout.expert_dispatch;
        let slowdown = beside_exchange(self.scenario, self.pricing, dispatch, groups);
        (slowdown * self.slowest).min(1.0)
    }
}
