//! Costs of each layer's passes on one rank, communication inside the layer included.

use crate::collective::{CollectiveCost, CollectiveOp, GroupPattern, token_sms};
use crate::des::PerLinkClass;
use crate::model::{CommGroup, CommOp, ExpertDispatch, ShardParameters};
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::host_copies::HostCopies;
use crate::simulation::training::parameters::{adds_behind_pass, gathered_bytes};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::token_dispatch::token_exchange;
use crate::simulation::training::work::{Communication, Kernels, LayerWork, ModelWork, PassWork};
use crate::simulation::{Infeasible, Layout, NetworkUse, StepPart, TimeShares, TrainingScenario};
use crate::stack::{GradientPrecision, Overlap, Recompute, ZeroStage, slowdown};
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

/// A pass for which the host begins to call when the GPU waits for it.
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    kernels: SimDuration,
    calls: SimDuration,
    /// When the last kernel ends.
    end: SimDuration,
}

impl Behind {
    fn of(pass: &PassCost) -> Self {
        let (kernels, calls) = pass.spans();
        Self {
            kernels,
            calls,
            end: kernels.max(calls),
        }
    }

    /// This pass and one whose calls follow: its kernels run behind their calls and behind the kernels of this one.
    fn then(self, next: Self) -> Self {
        Self {
            kernels: self.kernels + next.kernels,
            calls: self.calls + next.calls,
            end: (self.end + next.kernels).max(self.calls + next.end),
        }
    }

    /// Time for which the GPU waits for calls.
    fn waits(self) -> SimDuration {
        self.end - self.kernels
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
    /// Part of the forward pass that no recomputation repeats.
    pub(super) once: SimDuration,
    /// Parameters on this rank.
    pub(super) parameters: ShardParameters,
}

impl std::ops::AddAssign<&LayerCost> for LayerCost {
    fn add_assign(&mut self, other: &Self) {
        self.forward += &other.forward;
        self.backward += &other.backward;
        self.backward_input += &other.backward_input;
        self.backward_weight += &other.backward_weight;
        self.once += other.once;
        self.parameters += other.parameters;
    }
}

impl LayerCost {
    /// Costs of layers, front to back, as one after whose passes the host waits for the GPU: it is ahead of the GPU inside
    /// a pass alone.
    pub(super) fn waited_for(layers: &[&Self]) -> Self {
        let mut total = Self::default();
        for &layer in layers {
            total += layer;
        }
        let wait = |pass: &mut PassCost, of: &mut dyn Iterator<Item = &PassCost>| {
            let all = of.fold(Behind::default(), |all, next| all.then(Behind::of(next)));
            pass.parts[StepPart::Overhead] += all.waits();
        };
        let back = || layers.iter().rev();
        wait(&mut total.forward, &mut layers.iter().map(|it| &it.forward));
        wait(&mut total.backward, &mut back().map(|it| &it.backward));
        wait(
            &mut total.backward_input,
            &mut back().map(|it| &it.backward_input),
        );
        wait(
            &mut total.backward_weight,
            &mut back().map(|it| &it.backward_weight),
        );
        total
    }
}

impl PassCost {
    /// Whether the kernels and communications of this pass take no longer than those of another, and use the links no
    /// longer, where kernels may be up to twice as slow.
    fn takes_no_longer_than(&self, other: &Self) -> bool {
        let total = |pass: &Self| pass.parts.total();
        let slow = |pass: &Self| {
            total(pass) + pass.parts[StepPart::Compute] + pass.parts[StepPart::Recompute]
        };
        let links = self
            .link_time
            .zip(other.link_time, |own, other| own <= other);
        total(self) <= total(other)
            && slow(self) <= slow(other)
            && links.scale_up
            && links.scale_out
    }

    /// Time of its kernels and exposed communication on the GPU, and of the host's calls for them.
    fn spans(&self) -> (SimDuration, SimDuration) {
        (self.parts.total(), self.issue)
    }

    /// Time for which its calls are over before its kernels are, and for which they go on behind them.
    fn calls_ahead(&self) -> [SimDuration; 2] {
        let (kernels, calls) = self.spans();
        [kernels.saturating_sub(calls), calls.saturating_sub(kernels)]
    }
}

impl LayerCost {
    const fn passes(&self) -> [&PassCost; 4] {
        [
            &self.forward,
            &self.backward,
            &self.backward_input,
            &self.backward_weight,
        ]
    }
}

impl LayerCosts {
    /// Whether no pass takes longer with these costs of a layer than with others of the same layers, wherever they lie;
    /// `checkpoint` is the time of the calls that recomputation adds.
    pub(super) fn take_no_longer_than(&self, other: &Self, checkpoint: SimDuration) -> bool {
        let host_is_ahead = (0..4).all(|pass| self.host_is_ahead(pass, checkpoint));
        let pairs = self.layers().zip(other.layers());
        let mut pairs = pairs.flat_map(|(own, other)| own.passes().into_iter().zip(other.passes()));
        pairs.all(|(own, other)| {
            own.takes_no_longer_than(other) && (host_is_ahead || own.issue <= other.issue)
        })
    }

    /// Whether the host's calls never delay a pass that holds a layer: every layer's calls are over before its kernels, by more
    /// than those of embedding and heads, which the pass may hold too, go on behind theirs.
    fn host_is_ahead(&self, pass: usize, checkpoint: SimDuration) -> bool {
        let ends = [&self.embedding, &self.head, &self.mtp];
        let behind = ends.map(|layer| layer.passes()[pass].calls_ahead()[1]);
        let behind: SimDuration = behind.into_iter().sum();
        let mut kinds = self.kinds.iter().map(|layer| layer.passes()[pass]);
        kinds.all(|pass| {
            let [ahead, more] = pass.calls_ahead();
            more == SimDuration::ZERO && ahead >= behind + checkpoint
        })
    }

    fn layers(&self) -> impl Iterator<Item = &LayerCost> {
        let ends = [&self.embedding, &self.head, &self.mtp];
        self.kinds.iter().chain(ends)
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
        host: HostCosts::of(scenario, layout),
        overlap: scenario.overlap(layout),
        merged: merged(layout),
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
    host: HostCosts,
    overlap: Overlap,
    /// Share of the passes in which exchanges with experts run behind another microbatch.
    merged: f64,
    layout: &'a Layout,
    pricing: &'a mut Pricing,
}

impl Costing<'_> {
    /// A layer, with what is copied over the host's link around its passes: what a copy outlasts its pass by is waited for.
    fn hidden_layer(&mut self, layer: &LayerWork) -> Result<LayerCost, Infeasible> {
        let mut cost = self.layer(layer, self.layout.recompute)?;
        if self.scenario.stack.offload.is_empty() {
            return Ok(cost);
        }
        let copies = HostCopies::of(self.scenario, self.layout, layer);
        let there = copies.forward.saturating_sub(cost.forward.parts.total());
        let back = copies.backward.saturating_sub(cost.backward.parts.total());
        cost.forward.parts[StepPart::Overhead] += there;
        cost.backward.parts[StepPart::Overhead] += back;
        cost.backward_input.parts[StepPart::Overhead] += back;
        Ok(cost)
    }

    fn layer(&mut self, layer: &LayerWork, recompute: Recompute) -> Result<LayerCost, Infeasible> {
        let mut forward = self.pass(&layer.forward)?;
        let mut backward_input = self.pass(&layer.backward_input)?;
        let mut backward_weight = self.kernels(&layer.backward_weight.kernels);
        let trained = layer.parameters.trained();
        let parameters = trained.dense + trained.expert;
        let accumulation = self.accumulation(parameters);
        backward_weight.parts[StepPart::Compute] += accumulation;
        // Where the host reads rows it is not ahead of the forward pass any more, whose calls then last as long as its kernels:
        // bursts come first.
        self.wait_for_calls(&mut forward);
        // It calls for both backward passes of a product at once.
        let (input, weight) = (backward_input.spans(), backward_weight.spans());
        let idle = self.host.idle((input.0 + weight.0, input.1 + weight.1));
        backward_input.parts[StepPart::Overhead] += idle;
        if layer.reads_rows
            && let Some(read) = self.host.reads_rows()
        {
            let read = read + self.host.behind_rows(self.layout.expert_dispatch);
            let routed = self.host.calls(layer.forward.kernels.calls.routed);
            wait_for_rows(&mut forward, read, [routed, layer.forward.before_experts()]);
        }
        let again = match recompute {
            Recompute::Full if layer.has_backward => {
                let mut again = forward;
                again.issue += self.host.checkpoint();
                again.scaled(self.layout.recomputed_share)
            }
            Recompute::Selective => {
                let mut again = self.pass(&layer.selective)?;
                self.wait_for_calls(&mut again);
                again
            }
            Recompute::None | Recompute::Full => PassCost::default(),
        };
        if !self.scenario.run.leaves_out(StepPart::Recompute) {
            backward_input += &as_recomputation(again);
        }
        let once = self.kernels(&layer.once);
        forward += &once;
        let copies = self.copies_of_gathered(layer);
        forward.parts[StepPart::Compute] += copies;
        if layer.has_backward {
            backward_input.parts[StepPart::Compute] += copies;
        }
        let mut backward = backward_input;
        backward += &backward_weight;
        Ok(LayerCost {
            forward,
            backward,
            backward_input,
            backward_weight,
            once: once.parts.total(),
            parameters: layer.parameters,
        })
    }

    /// Adds the time for which the GPU waits for calls inside a pass.
    fn wait_for_calls(&self, pass: &mut PassCost) {
        let idle = self.host.idle(pass.spans());
        pass.parts[StepPart::Overhead] += idle;
    }

    /// Time to copy the gathered parameters of a layer out of the gather's buffer, which reads and writes them on the stream of
    /// the kernels (`foreach_all_gather_copy_out` in PyTorch's torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py).
    fn copies_of_gathered(&self, layer: &LayerWork) -> SimDuration {
        if self.layout.zero != ZeroStage::Z3 || !self.overlap.copies_gathered {
            return SimDuration::ZERO;
        }
        let parameters = layer.parameters.dense + layer.parameters.expert;
        let bytes = gathered_bytes(self.scenario, self.layout) * parameters;
        stream(self.scenario, 2 * bytes)
    }

    /// Time to add a microbatch's weight gradients to the buffer: fp32 buffers move 8 bytes per
    /// parameter when the product does it, 12 when a kernel of its own does; 16-bit ones half. Behind the pass they
    /// are cast first (6 bytes), then added (12), the only microbatch's too.
    fn accumulation(&self, parameters: u64) -> SimDuration {
        let stack = &self.scenario.stack;
        if adds_behind_pass(self.scenario, self.layout) {
            return stream(self.scenario, parameters * (6 + 12));
        }
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
        cost.parts[StepPart::Overhead] = self.host.kernel_gap() * u64::from(kernels.count);
        cost.issue = self.host.inside(&kernels.calls);
        cost
    }

    fn pass(&mut self, work: &PassWork) -> Result<PassCost, Infeasible> {
        let mut cost = self.kernels(&work.kernels);
        cost.issue = self.host.pass(&work.kernels.calls);
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
            ..
        } = *communication;
        let groups = ranks(self.layout, group);
        if groups.size <= 1 || self.scenario.run.leaves_out(part_of(group)) {
            return Ok(());
        }
        if group == CommGroup::Expert {
            return self.exchange_tokens(cost, communication, groups);
        }
        let asked = self.scenario.communication.collective.as_ref();
        let algorithm = asked.filter(|asked| asked.built_in().is_some());
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
            CommOp::AllReduce | CommOp::AllGather | CommOp::ReduceScatter | CommOp::AllToAll => {
                if self.overlap.tensor && overlapped > SimDuration::ZERO {
                    // The first or last chunk has no product to hide behind.
                    let first = SimDuration::from_picos(busy.as_picos() / size);
                    first + self.hide(cost, groups, busy - first, overlapped)
                } else {
                    busy
                }
            }
        };
        if op == CommOp::RingExchange {
            // In a chain the last rank sends nothing; around a ring every rank sends in every round.
            let ring = f64::from(groups.size) / f64::from(groups.size - 1);
            price.sent_intra = price.sent_intra.scaled(ring);
            price.sent_inter = price.sent_inter.scaled(ring);
        }
        self.account(cost, group, (&price, rounds), exposed);
        Ok(())
    }

    /// Exchanges tokens with their experts, behind another microbatch where passes are merged.
    fn exchange_tokens(
        &mut self,
        cost: &mut PassCost,
        communication: &Communication,
        groups: GroupPattern,
    ) -> Result<(), Infeasible> {
        let Communication {
            op,
            bytes,
            overlapped,
            ..
        } = *communication;
        let dispatch = self.layout.expert_dispatch;
        let price = match token_exchange(self.scenario, dispatch, (bytes, groups)) {
            Some(exchange) => self.pricing.exchange(&exchange),
            None => self.pricing.price(collective_op(op), bytes, groups, None)?,
        };
        let hidden = price.time.min(overlapped).scaled(self.merged);
        let slowdown = beside_exchange(self.scenario, self.pricing, dispatch, groups);
        cost.parts[StepPart::Compute] += hidden.scaled(slowdown);
        self.account(cost, CommGroup::Expert, (&price, 1), price.time - hidden);
        Ok(())
    }

    /// Adds a communication that happens so many times, with its exposed time.
    fn account(
        &self,
        cost: &mut PassCost,
        group: CommGroup,
        (price, rounds): (&CollectiveCost, u64),
        exposed: SimDuration,
    ) {
        cost.parts[part_of(group)] += exposed;
        cost.issue += self.host.communication(group) * rounds;
        cost.comm_busy += price.time * rounds;
        let exposed = exposed.as_secs_f64();
        let filled = |filled, load: f64| filled + exposed * load;
        cost.link_time = cost.link_time.zip(price.loads, filled);
        cost.traffic.add(price, rounds);
    }

    /// Exposed time of a communication overlapped with kernels of `compute`, which are slower while both run.
    fn hide(
        &self,
        cost: &mut PassCost,
        groups: GroupPattern,
        busy: SimDuration,
        compute: SimDuration,
    ) -> SimDuration {
        let slowdown = beside_tensor(self.scenario, self.pricing, groups);
        cost.parts[StepPart::Compute] += busy.min(compute).scaled(slowdown);
        busy.saturating_sub(compute)
    }
}

/// Time that products lose beside the tensor-parallel communication behind them, over its length.
pub(super) fn beside_tensor(
    scenario: &TrainingScenario,
    pricing: &Pricing,
    groups: GroupPattern,
) -> f64 {
    let channels = pricing.channels(groups);
    slowdown(
        scenario.stack.overlap.taken_by_tensor(channels),
        scenario.gpu.sms,
    )
}

/// Time that kernels lose beside an exchange with experts, over its length.
pub(super) fn beside_exchange(
    scenario: &TrainingScenario,
    pricing: &Pricing,
    dispatch: Option<ExpertDispatch>,
    groups: GroupPattern,
) -> f64 {
    let library = dispatch.and_then(ExpertDispatch::token_library);
    let taken = library.map_or_else(
        || scenario.stack.overlap.taken(pricing.channels(groups)),
        token_sms,
    );
    slowdown(taken, scenario.gpu.sms)
}

/// Share of a step's passes in which the forward pass of a microbatch is merged with the backward pass of another. Of the
/// `vpp·m` forward passes of a mean stage `vpp·pp − 1` come before its first backward pass and are alone, as are as many
/// backward passes at the end: `1 − pp/m`. Without a pipeline the first forward and the last backward pass are alone.
fn merged(layout: &Layout) -> f64 {
    if layout.overlap_ep {
        (1.0 - f64::from(layout.pp) / f64::from(layout.microbatches)).max(0.0)
    } else {
        0.0
    }
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
        CommGroup::ExpertCounts => (ep * etp, 1),
        CommGroup::ExpertTensor => (etp, 1),
    };
    GroupPattern { size, stride }
}

/// Lets the host wait for the GPU once in a pass, in front of its experts, to read their rows: it is not ahead of the pass
/// then, and the GPU waits for the calls that it cannot have made ahead. The pass takes as long as all of them; and as those
/// for the experts and the kernels in front of the next layer's, which start behind them.
fn wait_for_rows(pass: &mut PassCost, read: SimDuration, [routed, before]: [SimDuration; 2]) {
    let calls = pass.issue.max(routed + before);
    let behind = calls.saturating_sub(pass.parts.total());
    pass.parts[StepPart::Overhead] += behind + read;
    pass.issue = pass.parts.total();
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
        CommGroup::Expert | CommGroup::ExpertCounts => StepPart::EpComm,
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
