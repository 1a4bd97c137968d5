//! Costs of each layer's passes on one rank, communication inside the layer included.

use crate::collective::{CollectiveOp, GroupPattern, launch_per_gpu};
use crate::des::PerLinkClass;
use crate::model::{CommGroup, CommOp, ShardParameters};
use crate::simulation::training::memory::unsharded::Policy;
use crate::simulation::training::parameters::{Sharded, weight_bytes};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::work::{
    Communication, Kernels, LayerWork, ModelWork, PassWork, fused_dispatch,
};
use crate::simulation::{Infeasible, Layout, NetworkUse, StepPart, TimeShares, TrainingScenario};
use crate::stack::{GradientPrecision, Host, Offload, Overlap, Recompute};
use crate::units::{Bytes, SimDuration};

/// Cost of one pass of one layer (or of several, added up).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PassCost {
    /// Time on the compute stream, by part of the step.
    pub(super) parts: TimeShares,
    /// Host time to issue its kernels.
    pub(super) issue: SimDuration,
    /// Time of its communications, overlapped or exposed.
    pub(super) comm_busy: SimDuration,
    /// Seconds for which its exposed communications would fill the links inside and between domains.
    pub(super) link_time: PerLinkClass<f64>,
    /// Work of the hardware.
    pub(super) flops: f64,
    /// Bytes that its communications send.
    pub(super) traffic: NetworkUse,
}

impl std::ops::AddAssign<&PassCost> for PassCost {
    fn add_assign(&mut self, other: &Self) {
        self.parts += &other.parts;
        self.issue += other.issue;
        self.comm_busy += other.comm_busy;
        self.link_time = self.link_time.zip(other.link_time, |own, more| own + more);
        self.flops += other.flops;
        self.traffic += &other.traffic;
    }
}

impl PassCost {
    /// A share of a pass.
    fn scaled(self, share: f64) -> Self {
        if share >= 1.0 {
            return self;
        }
        Self {
            parts: self.parts.map(|part| part.scaled(share)),
            issue: self.issue.scaled(share),
            comm_busy: self.comm_busy.scaled(share),
            link_time: self.link_time.map(|seconds| seconds * share),
            flops: self.flops * share,
            traffic: self.traffic.scaled(share),
        }
    }
}

/// All passes of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LayerCost {
    pub(super) forward: PassCost,
    /// Both backward passes, with what is recomputed before them.
    pub(super) backward: PassCost,
    pub(super) backward_input: PassCost,
    pub(super) backward_weight: PassCost,
    /// Parameters on this rank.
    pub(super) parameters: ShardParameters,
}

impl std::ops::AddAssign<&LayerCost> for LayerCost {
    fn add_assign(&mut self, other: &Self) {
        self.forward += &other.forward;
        self.backward += &other.backward;
        self.backward_input += &other.backward_input;
        self.backward_weight += &other.backward_weight;
        self.parameters += other.parameters;
    }
}

/// Costs of the distinct layers of a model under one layout.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LayerCosts {
    pub(super) kinds: Vec<LayerCost>,
    pub(super) embedding: LayerCost,
    pub(super) head: LayerCost,
    pub(super) mtp: LayerCost,
}

/// Prices every layer of a model.
///
/// # Errors
/// If a communication that was asked for cannot run.
pub(super) fn layer_costs(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
    pricing: &mut Pricing,
) -> Result<LayerCosts, Infeasible> {
    let mut costing = Costing {
        scenario,
        host: scenario.host(),
        overlap: scenario.overlap(layout),
        layout,
        pricing,
    };
    let kinds = work.kinds.iter().map(|layer| costing.hidden_layer(layer));
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    let embedding = costing.layer(&work.embedding, Recompute::None)?;
    let head = costing.layer(&work.head, Recompute::None)?;
    let mut mtp = LayerCost::default();
    if let Some(layer) = &work.mtp {
        let one = costing.hidden_layer(layer)?;
        for _ in 0..work.mtp_layers {
            mtp += &one;
        }
    }
    Ok(LayerCosts {
        kinds,
        embedding,
        head,
        mtp,
    })
}

struct Costing<'a> {
    scenario: &'a TrainingScenario,
    host: Host,
    overlap: Overlap,
    layout: &'a Layout,
    pricing: &'a mut Pricing,
}

impl Costing<'_> {
    /// A layer, with what is copied over the host's link around its passes.
    fn hidden_layer(&mut self, layer: &LayerWork) -> Result<LayerCost, Infeasible> {
        let mut cost = self.layer(layer, self.layout.recompute)?;
        let offload = self.scenario.stack.offload;
        if offload.is_empty() {
            return Ok(cost);
        }
        let Some(link) = self.scenario.gpu.host_link else {
            return Ok(cost);
        };
        let mut activations = 0.0;
        if offload.contains(Offload::Activations) {
            let policy = (self.layout.recompute, self.layout.recomputed_share);
            let policy = Policy::of(self.scenario, self.layout.precision, policy);
            activations = policy.kept(layer) as f64;
        }
        let mut weights = 0.0;
        if offload.contains(Offload::Parameters) {
            let parameters = Sharded::of(self.scenario, self.layout, layer.parameters);
            weights = parameters.held(3) * weight_bytes(self.scenario, self.layout);
        }
        // Weights come in while activations go out; both come in for the backward pass. What a copy outlasts its pass
        // by is waited for.
        let waits = |pass: &PassCost, bytes: f64| {
            let copied = Bytes::from_f64(bytes) / link;
            copied.saturating_sub(pass.parts.total())
        };
        let there = waits(&cost.forward, f64::max(activations, weights));
        let back = waits(&cost.backward, activations + weights);
        cost.forward.parts[StepPart::Overhead] += there;
        cost.backward.parts[StepPart::Overhead] += back;
        cost.backward_input.parts[StepPart::Overhead] += back;
        Ok(cost)
    }

    fn layer(&mut self, layer: &LayerWork, recompute: Recompute) -> Result<LayerCost, Infeasible> {
        let forward = self.pass(&layer.forward)?;
        let mut backward_input = self.pass(&layer.backward_input)?;
        let mut backward_weight = self.pass(&layer.backward_weight)?;
        let trained = layer.parameters.trained();
        let parameters = trained.dense + trained.expert;
        let accumulation = self.accumulation(parameters);
        backward_weight.parts[StepPart::Compute] += accumulation;
        let again = match recompute {
            Recompute::None => PassCost::default(),
            Recompute::Selective => self.pass(&layer.selective)?,
            Recompute::Full => forward.scaled(self.layout.recomputed_share),
        };
        if !self.scenario.run.leaves_out(StepPart::Recompute) {
            backward_input += &as_recomputation(again);
        }
        let mut backward = backward_input;
        backward += &backward_weight;
        Ok(LayerCost {
            forward,
            backward,
            backward_input,
            backward_weight,
            parameters: layer.parameters,
        })
    }

    /// Time to add a microbatch's weight gradients to the buffer: fp32 buffers move 8 bytes per
    /// parameter when the product does it, 12 when a kernel of its own does; 16-bit ones half.
    fn accumulation(&self, parameters: u64) -> SimDuration {
        let stack = &self.scenario.stack;
        if self.layout.microbatches == 1 && !stack.fusion.gradient_accumulation {
            return SimDuration::ZERO;
        }
        let fused = if stack.fusion.gradient_accumulation {
            8
        } else {
            12
        };
        let bytes = match stack.gradient_precision {
            GradientPrecision::Fp32 => fused,
            GradientPrecision::Half => fused / 2,
        };
        stream(self.scenario, parameters * bytes)
    }

    /// Cost of kernels that run one after another.
    fn kernels(&self, kernels: &Kernels) -> PassCost {
        let mut cost = PassCost {
            flops: kernels.flops,
            ..PassCost::default()
        };
        cost.parts[StepPart::Compute] = kernels.busy;
        cost.parts[StepPart::Overhead] = self.host.kernel_gap * u64::from(kernels.count);
        if !self.host.cuda_graphs {
            cost.issue = self.host.dispatch * u64::from(kernels.calls);
        }
        cost
    }

    fn pass(&mut self, work: &PassWork) -> Result<PassCost, Infeasible> {
        let mut cost = self.kernels(&work.kernels);
        for communication in &work.communications {
            self.communicate(&mut cost, communication, &work.kernels)?;
        }
        Ok(cost)
    }

    fn communicate(
        &mut self,
        cost: &mut PassCost,
        communication: &Communication,
        kernels: &Kernels,
    ) -> Result<(), Infeasible> {
        let Communication {
            op,
            group,
            bytes,
            overlapped,
        } = *communication;
        let groups = ranks(self.layout, group);
        if groups.size <= 1 || self.scenario.run.leaves_out(part_of(group)) {
            return Ok(());
        }
        let asked = self.scenario.communication.collective.as_ref();
        let algorithm = asked.filter(|asked| asked.built_in().is_some());
        let bytes = if group == CommGroup::Expert && op == CommOp::AllToAll {
            bytes.scaled(copies_sent(
                self.scenario,
                self.layout,
                self.pricing,
                groups,
            ))
        } else {
            bytes
        };
        let mut price = self
            .pricing
            .price(collective_op(op), bytes, groups, algorithm)?;
        let rounds = if op == CommOp::RingExchange {
            u64::from(groups.size - 1)
        } else {
            1
        };
        let busy = price.time * rounds;
        let size = u64::from(groups.size);
        let exposed = match op {
            // One share of attention runs before the first block arrives; the rest hides the others.
            CommOp::RingExchange => {
                let hidden =
                    SimDuration::from_picos(kernels.attention.as_picos() / size * (size - 1));
                busy.saturating_sub(hidden).max(price.latency)
            }
            CommOp::AllToAll if group == CommGroup::Expert && self.overlaps_experts(groups) => {
                // A pass has two of them.
                self.hide(cost, busy, kernels.busy.scaled(0.5))
            }
            CommOp::AllReduce | CommOp::AllGather | CommOp::ReduceScatter | CommOp::AllToAll => {
                if self.overlap.tensor && overlapped > SimDuration::ZERO {
                    // The first or last chunk has no product to hide behind.
                    let first = SimDuration::from_picos(busy.as_picos() / size);
                    first + self.hide(cost, busy - first, overlapped)
                } else {
                    busy
                }
            }
        };
        cost.parts[part_of(group)] += exposed;
        if !self.host.cuda_graphs {
            // One launch, without the small kernels that the dispatch of a kernel stands for.
            cost.issue += self.host.dispatch.min(launch_per_gpu()) * rounds;
        }
        cost.comm_busy += busy;
        let exposed = exposed.as_secs_f64();
        let filled = |filled, load: f64| filled + exposed * load;
        cost.link_time = cost.link_time.zip(price.loads, filled);
        if op == CommOp::RingExchange {
            // In a chain the last rank sends nothing; around a ring every rank sends in every round.
            let ring = f64::from(groups.size) / f64::from(groups.size - 1);
            price.sent_intra = price.sent_intra.scaled(ring);
            price.sent_inter = price.sent_inter.scaled(ring);
        }
        cost.traffic.add(&price, rounds);
        Ok(())
    }

    /// Exposed time of a communication overlapped with kernels of `compute`, which are slower by the SMs that it takes
    /// from them while both run.
    fn hide(&self, cost: &mut PassCost, busy: SimDuration, compute: SimDuration) -> SimDuration {
        let slowdown = self.overlap.slowdown(self.scenario.gpu.sms);
        cost.parts[StepPart::Compute] += busy.min(compute).scaled(slowdown);
        busy.saturating_sub(compute)
    }

    /// Whether exchanges of tokens overlap with another microbatch: always where passes run in pairs; else between
    /// scale-up domains only, where they are
    /// long enough to be worth it, and with the chunks of an interleaved pipeline.
    fn overlaps_experts(&self, groups: GroupPattern) -> bool {
        self.layout.schedule.pairs_passes()
            || self.overlap.experts && self.layout.vpp > 1 && self.pricing.domains(groups) > 1
    }
}

/// Copies of a token that are sent, over the experts that it visits. An all-to-all sends every copy. A fused
/// dispatch sends one to each domain that has some of its experts, inside one domain one to each such rank:
/// of N domains (or ranks), k random experts lie on N(1 − (1 − 1/N)^k), or on as many domains as the model's
/// own limit allows.
pub(super) fn copies_sent(
    scenario: &TrainingScenario,
    layout: &Layout,
    pricing: &Pricing,
    groups: GroupPattern,
) -> f64 {
    let network = scenario.model.transformer();
    let Some(moe) = network.and_then(|network| network.moe) else {
        return 1.0;
    };
    if !fused_dispatch(scenario, layout) {
        return 1.0;
    }
    let domains = pricing.domains(groups);
    let targets = f64::from(if domains > 1 { domains } else { groups.size });
    let visited = f64::from(moe.experts_per_token);
    let met = targets * (1.0 - libm::pow(1.0 - 1.0 / targets, visited));
    let met = match moe.node_limit {
        Some(limit) if domains > 1 => met.min(f64::from(limit.get())),
        Some(_) | None => met,
    };
    (met / visited).min(1.0)
}

/// Ranks of a group under a layout.
pub(super) fn ranks(layout: &Layout, group: CommGroup) -> GroupPattern {
    let Layout {
        tp, cp, ep, etp, ..
    } = *layout;
    let (size, stride) = match group {
        CommGroup::Tensor => (tp, 1),
        CommGroup::Context => (cp, tp),
        CommGroup::Expert => (ep, etp),
        CommGroup::ExpertTensor => (etp, 1),
    };
    GroupPattern { size, stride }
}

/// Accounts a forward pass that the backward pass repeats as recomputation.
fn as_recomputation(mut again: PassCost) -> PassCost {
    again.parts[StepPart::Recompute] = again.parts[StepPart::Compute];
    again.parts[StepPart::Compute] = SimDuration::ZERO;
    again
}

/// Part of the step that waits for a group's communication.
pub(super) const fn part_of(group: CommGroup) -> StepPart {
    match group {
        CommGroup::Tensor | CommGroup::ExpertTensor => StepPart::TpComm,
        CommGroup::Context => StepPart::CpComm,
        CommGroup::Expert => StepPart::EpComm,
    }
}

pub(super) const fn collective_op(op: CommOp) -> CollectiveOp {
    match op {
        CommOp::AllReduce => CollectiveOp::AllReduce,
        CommOp::AllGather => CollectiveOp::AllGather,
        CommOp::ReduceScatter => CollectiveOp::ReduceScatter,
        CommOp::AllToAll => CollectiveOp::AllToAll,
        CommOp::RingExchange => CollectiveOp::SendRecv,
    }
}

/// Time to stream bytes through memory.
pub(super) fn stream(scenario: &TrainingScenario, bytes: u64) -> SimDuration {
    let gpu = &scenario.gpu;
    let fraction = gpu.rates.memory_fraction * scenario.stack.kernels.memory;
    Bytes::new(bytes) / gpu.memory_bandwidth.scaled(fraction)
}

#[cfg(test)]
mod tests;
