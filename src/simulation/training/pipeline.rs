//! Costs of the virtual stages of a pipeline, and of the sends between them.

use std::rc::Rc;

use crate::collective::{CollectiveOp, GroupPattern};
use crate::model::{Ends, ShardParameters};
use crate::simulation::training::comm_cost::CommCost;
use crate::simulation::training::passes::{LayerCost, LayerCosts};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::stage_layers::{VirtualStages, layers_of};
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Infeasible, Layout, StepPart, TrainingScenario};
use crate::units::Bytes;

/// Layers between two sends: one chunk of one pipeline stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VirtualStage {
    /// Costs of all its layers, embedding and head included; stages that are alike share them.
    pub(super) total: Rc<LayerCost>,
    /// Index among the virtual stages, front to back.
    pub(super) index: usize,
    /// The first of those with the same layers, if it is another.
    pub(super) like: Option<usize>,
    /// Costs of the layers that it is made of.
    pub(super) layers: Rc<LayerCosts>,
    first: bool,
    last: bool,
}

/// Costs of the virtual stages, front to back; `waits_each_pass` where the host waits for the GPU at the ends of passes.
pub(super) fn virtual_stages(
    layout: &Layout,
    work: &ModelWork,
    costs: &Rc<LayerCosts>,
    waits_each_pass: bool,
) -> Vec<VirtualStage> {
    let stages = (layout.pp * layout.vpp) as usize;
    let all = VirtualStages::of(layout, work);
    let mut made: Vec<VirtualStage> = Vec::with_capacity(stages);
    for index in 0..stages {
        let (first, last) = (index == 0, index + 1 == stages);
        let kinds = all.layers(index as u32);
        // Behind the first, which has the embedding, most stages are like the one before.
        let alike = index > 1 && !last && kinds == all.layers(index as u32 - 1);
        let total = if alike {
            Rc::clone(&made[index - 1].total)
        } else {
            let embedding = first.then_some(&costs.embedding);
            let ends = last.then_some([&costs.head, &costs.mtp]);
            let kinds = kinds.iter().map(|kind| &costs.kinds[usize::from(*kind)]);
            let layers = embedding.into_iter().chain(kinds);
            let layers = layers.chain(ends.into_iter().flatten());
            Rc::new(if waits_each_pass {
                LayerCost::waited_for(&layers.collect::<Vec<_>>())
            } else {
                let mut total = LayerCost::default();
                layers.for_each(|layer| total += layer);
                total
            })
        };
        made.push(VirtualStage {
            total,
            index,
            like: alike.then(|| made[index - 1].like.unwrap_or(index - 1)),
            layers: Rc::clone(costs),
            first,
            last,
        });
    }
    made
}

impl VirtualStage {
    /// The stage beside others than those that it was made with.
    pub(super) fn apart(&self) -> Self {
        Self {
            like: None,
            ..self.clone()
        }
    }

    /// Parameters on one rank of the stage.
    pub(super) fn parameters(&self) -> ShardParameters {
        self.total.parameters
    }

    /// Costs of its layers in at most `most` contiguous groups, front to back; the embedding is in the first, the
    /// head in the last.
    pub(super) fn groups(&self, layout: &Layout, work: &ModelWork, most: usize) -> Vec<LayerCost> {
        let costs = &self.layers;
        let layers = layers_of(layout, work, self.index);
        let count = most.min(layers.len()).max(1);
        let mut groups = vec![LayerCost::default(); count];
        for (index, &kind) in layers.iter().enumerate() {
            groups[index * count / layers.len()] += &costs.kinds[usize::from(kind)];
        }
        if self.first {
            groups[0] += &costs.embedding;
        }
        if self.last {
            groups[count - 1] += &costs.head;
            groups[count - 1] += &costs.mtp;
        }
        groups
    }
}

/// Cost of one send of activations to the next stage (and of their gradients to the one before); nothing when
/// there is one stage.
///
/// With sequence parallelism a rank sends its 1/tp of the tokens. Without it every rank of a
/// tensor group sends the whole activation, unless the stack sends 1/tp and gathers it behind
/// the receiving NICs (arXiv 2104.04473, section 4.1).
///
/// # Errors
/// If the network cannot carry them.
pub(super) fn send_cost(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
    pricing: &mut Pricing,
) -> Result<CommCost, Infeasible> {
    let mut send = CommCost::default();
    if layout.pp == 1 || scenario.run.leaves_out(StepPart::PpComm) {
        return Ok(send);
    }
    let residual = Bytes::new(handed_on(scenario, layout, work));
    let tp = layout.tp;
    let gathers = !layout.sequence_parallel && scenario.stack.overlap.scatter_gather && tp > 1;
    let sent = if gathers {
        Bytes::new(residual.get() / u64::from(tp))
    } else {
        residual
    };
    let stages = GroupPattern {
        size: layout.pp,
        stride: scenario.gpus / layout.pp,
    };
    let price = pricing.price(CollectiveOp::SendRecv, sent, stages, None)?;
    send.add(&price, price.time);
    let inside = sends_inside_domains(layout, stages.stride, pricing.ranks_per_domain());
    send.traffic.intra_node = sent.scaled(inside);
    send.traffic.inter_node = sent.saturating_sub(send.traffic.intra_node);
    if gathers {
        let group = GroupPattern {
            size: tp,
            stride: 1,
        };
        let gather = pricing.price(CollectiveOp::AllGather, residual, group, None)?;
        send.time += gather.time;
        send.traffic.add(&gather, 1);
    }
    Ok(send)
}

/// Bytes of one microbatch that pass a border between two stages, the mean of both directions and of all borders, behind
/// an encoder of images: what the next layer takes, which behind the projector are the images' tokens and behind the
/// decoder's first layer its stream; the same goes back where something in front is trained.
fn image_sends(layout: &Layout, work: &ModelWork) -> u64 {
    let mut before = 0;
    let (mut bytes, mut sends) = (0, 0);
    let inner = layout
        .layers_per_stage
        .split_last()
        .map_or(&[][..], |it| it.1);
    for layers in inner {
        before += *layers as usize;
        let stream = match work.input_bytes(before) {
            0 => work.residual_bytes(),
            bytes => bytes,
        };
        bytes += if work.goes_back(before) {
            2 * stream
        } else {
            stream
        };
        sends += 2;
    }
    bytes / sends.max(1)
}

/// Bytes of one microbatch that a stage hands on to the next: its stream. Stages of an encoder-decoder hand on the encoder's
/// output to the end, those of the decoder their own stream beside it (`get_tensor_shapes` of NVIDIA/Megatron-LM
/// megatron/core/pipeline_parallel/schedules.py); the mean over borders that lie evenly among the layers.
pub(super) fn handed_on(scenario: &TrainingScenario, layout: &Layout, work: &ModelWork) -> u64 {
    if work.sees_images() {
        return image_sends(layout, work);
    }
    let first = work.residual_bytes();
    let network = scenario.model.transformer();
    let (Some(Ends::EncoderDecoder(stacks)), Some(last)) =
        (network.map(|network| network.ends), work.sequence.last())
    else {
        return first;
    };
    let stream = work.kinds[usize::from(*last)].kept.full.get();
    let layers = u64::from(stacks.encoder_layers) + u64::from(stacks.decoder_layers);
    first + stream * u64::from(stacks.decoder_layers) / layers.max(1)
}

/// Share of a step's sends that stay inside a scale-up domain, 0–1.
///
/// Every border between two virtual stages is crossed equally often. With `chunks` chunks per stage there are
/// `chunks` borders between each stage and the next, and one less between the last and the first; none of those in a V,
/// which turns on the last stage.
fn sends_inside_domains(layout: &Layout, stride: u32, per_domain: u32) -> f64 {
    let [stages, chunks, stride, domain] =
        [layout.pp, layout.vpp, stride, per_domain].map(u64::from);
    // Of the ranks from 0 to `count`, those whose partner `distance` further on lies in their domain.
    let inside = |count: u64, distance: u64| {
        let near = domain.saturating_sub(distance);
        count / domain * near + (count % domain).min(near)
    };
    let ahead = (stages - 1) * stride;
    let next = chunks * inside(ahead, stride);
    let wraps = if layout.schedule.is_v() {
        0
    } else {
        chunks - 1
    };
    let wrap = wraps * inside(stride, ahead);
    (next + wrap) as f64 / (stride * (chunks * (stages - 1) + wraps)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of the sends inside domains, every rank of every border looked at.
    fn counted(stages: u32, chunks: u32, stride: u32, per_domain: u32) -> f64 {
        let borders = 0..stages * chunks - 1;
        let inside = borders.clone().map(|border| {
            let (from, to) = (border % stages * stride, (border + 1) % stages * stride);
            let same = |rank: &u32| (from + rank) / per_domain == (to + rank) / per_domain;
            (0..stride).filter(same).count()
        });
        inside.sum::<usize>() as f64 / (stride as usize * borders.count()) as f64
    }

    // T5 Large has 24 layers in either stack, of 512 tokens 1,024 wide in 16 bits: 1 MiB. Of three borders among four stages two hand
    // on the encoder's output alone and one the decoder's stream beside it; borders that lie evenly, half of them: 1.5 MiB.
    #[test]
    fn decoder_stages_hand_on_the_encoders_output_too() {
        let catalog = crate::catalog::Catalog::builtin();
        let mut scenario = TrainingScenario::new(
            catalog.models["t5-large"].clone(),
            catalog.gpus["h100-sxm"].clone(),
            catalog.clusters["dgx-h100"].clone(),
            catalog.stacks["current"].clone(),
        );
        (scenario.layout.tp, scenario.layout.pp) = (Some(1), Some(4));
        scenario.layout.micro_batch = Some(1);
        let layout = crate::simulation::training::layout::Options::of(&scenario)
            .and_then(|options| options.first())
            .expect("some layout divides");
        let mut source = crate::simulation::training::work::WorkSource::default();
        let work = source.work(&scenario, &layout);
        assert_eq!(handed_on(&scenario, &layout, &work), 3 << 19);
        assert_eq!(work.residual_bytes(), 1 << 20);
    }

    #[test]
    fn sends_inside_domains_are_counted_as_each_rank_sends() {
        let catalog = crate::catalog::Catalog::builtin();
        let scenario = TrainingScenario::new(
            catalog.models["gpt3-1.3b"].clone(),
            catalog.gpus["h100-sxm"].clone(),
            catalog.clusters["dgx-h100"].clone(),
            catalog.stacks["current"].clone(),
        );
        let any = crate::simulation::training::layout::Options::of(&scenario)
            .and_then(|options| options.first())
            .expect("some layout divides");
        for pp in 2..9 {
            for vpp in 1..4 {
                let layout = Layout {
                    pp,
                    vpp,
                    ..any.clone()
                };
                for stride in [1, 2, 3, 4, 6, 8, 12, 16] {
                    for per_domain in [1, 4, 6, 8, 72] {
                        let share = sends_inside_domains(&layout, stride, per_domain);
                        let expected = counted(pp, vpp, stride, per_domain);
                        assert!(
                            (share - expected).abs() < 1e-12,
                            "pp {pp}, vpp {vpp}, {stride} ranks a stage, {per_domain} a domain: {share} and {expected}"
                        );
                    }
                }
            }
        }
    }
}
