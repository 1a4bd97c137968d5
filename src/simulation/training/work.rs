//! Kernel times and communications of each kind of layer, before the network prices the latter.

use std::sync::Arc;

use crate::hardware::{AttentionKernel, Precision};
use crate::kernel::{KernelContext, operator_time};
use crate::memo::Memo;
use crate::model::{
    CommGroup, CommOp, ExpertDispatch, Format, Kept, LogitBytes, LossParts, LoweredLayer, Module,
    Modules, Operator, PassCalls, Shard, ShardParameters, lower,
};
use crate::simulation::training::bounds::floor::LeastWork;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{EncoderHead, Fp8Recipe, KernelFractions, LossMemory, Recipe};
use crate::units::{Bytes, SimDuration};

/// Total of kernels that run one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Kernels {
    /// Time.
    pub(super) busy: SimDuration,
    /// Time of the attention kernels among them.
    pub(super) attention: SimDuration,
    /// Time of the products of experts among them.
    experts: SimDuration,
    /// Kernels.
    pub(super) count: u32,
    /// Calls in which the host launches them.
    pub(super) calls: PassCalls,
    /// FLOPs.
    pub(super) flops: f64,
}

/// One communication of a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Communication {
    /// Operation.
    pub(super) op: CommOp,
    /// Group of ranks.
    pub(super) group: CommGroup,
    /// Bytes, as [`Operator::Comm`] counts them.
    pub(super) bytes: Bytes,
    /// Time of the matrix product that may hide it, or of the kernels of another microbatch that may hide an exchange with
    /// experts; zero where none can.
    pub(super) overlapped: SimDuration,
    /// Time of the kernels before it in its pass.
    before: SimDuration,
}

/// One pass of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PassWork {
    /// Kernels of the pass.
    pub(super) kernels: Kernels,
    /// Communications of the pass, in order.
    pub(super) communications: Vec<Communication>,
}

/// All passes of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LayerWork {
    pub(super) forward: PassWork,
    pub(super) backward_input: PassWork,
    pub(super) backward_weight: PassWork,
    /// Kernels of the forward pass that no recomputation repeats, behind the others.
    pub(super) once: Kernels,
    /// Work that selective recomputation repeats.
    pub(super) selective: PassWork,
    /// Bytes of its input.
    input: u64,
    /// Whether a backward pass runs through it.
    pub(super) has_backward: bool,
    pub(super) parameters: ShardParameters,
    pub(super) kept: Kept,
    pub(super) weight_shapes: Vec<(u64, u64)>,
    /// Elements of its largest tensor of weights.
    pub(super) largest_tensor: u64,
    /// Whether the forward pass waits for the host to read how many rows go to each expert.
    pub(super) reads_rows: bool,
    pub(super) model_flops_forward: f64,
    pub(super) model_flops_frozen: f64,
}

/// Kernel times, communications and parameters of a model on one GPU under one sharding.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelWork {
    pub(super) kinds: Vec<LayerWork>,
    pub(super) sequence: Vec<u16>,
    /// Layers among them of an encoder of images and its projector, which come first.
    image_layers: usize,
    pub(super) embedding: LayerWork,
    pub(super) head: LayerWork,
    pub(super) mtp: Option<LayerWork>,
    pub(super) mtp_layers: u32,
}

impl ModelWork {
    /// Model FLOPs of one microbatch, summed over one rank of every stage; the backward pass counts twice the forward, but
    /// for gradients of frozen weights.
    pub(super) fn model_flops(&self) -> f64 {
        let of = |flops: fn(&LayerWork) -> f64| {
            let kinds = self
                .sequence
                .iter()
                .map(|&kind| &self.kinds[usize::from(kind)]);
            let layers: f64 = kinds.map(flops).sum();
            let mtp = self.mtp.as_ref();
            let mtp = mtp.map_or(0.0, |layer| flops(layer) * f64::from(self.mtp_layers));
            layers + mtp + flops(&self.embedding) + flops(&self.head)
        };
        3.0 * of(|layer| layer.model_flops_forward) - of(|layer| layer.model_flops_frozen)
    }

    /// Bytes of the residual stream of one microbatch on this rank: what a stage sends to the next. Behind images it is the
    /// decoder's.
    pub(super) fn residual_bytes(&self) -> u64 {
        self.input_bytes(self.image_layers)
    }

    /// Bytes that a layer takes of the one before it, of one microbatch on this rank.
    pub(super) fn input_bytes(&self, layer: usize) -> u64 {
        let kind = self.sequence.get(layer);
        kind.map_or(0, |kind| self.kinds[usize::from(*kind)].input)
    }

    /// Whether no layer holds more than the same one of another sharding.
    pub(super) fn holds_no_more_than(&self, other: &Self) -> bool {
        let layers = |work: &'_ Self| {
            let ends = [&work.embedding, &work.head];
            let all = work.kinds.iter().chain(ends).chain(&work.mtp);
            all.map(|layer| layer.kept).collect::<Vec<_>>()
        };
        let (own, other) = (layers(self), layers(other));
        own.iter()
            .zip(&other)
            .all(|(own, other)| own.holds_no_more_than(other))
    }

    /// Whether a layer of an encoder of images, or its projector, comes before the network's own.
    pub(super) fn sees_images(&self) -> bool {
        self.image_layers > 0
    }

    /// Whether a backward pass runs through some of the first layers.
    pub(super) fn goes_back(&self, layers: usize) -> bool {
        let mut first = self.sequence[..layers].iter();
        first.any(|kind| self.kinds[usize::from(*kind)].has_backward)
    }
}

/// Sharding of one rank's operators under a layout.
pub(super) fn shard(scenario: &TrainingScenario, layout: &Layout) -> Shard {
    let stack = &scenario.stack;
    Shard {
        tp: layout.tp,
        cp: layout.cp,
        cp_exchange: layout.cp_exchange,
        ep: layout.ep,
        etp: layout.etp,
        sequence_parallel: layout.sequence_parallel,
        micro_batch: layout.micro_batch,
        seq_len: scenario.workload.seq_len,
        documents: documents(scenario, layout),
        format: Format {
            element_bytes: layout.precision.storage_bytes(),
            tensor_cores: layout.precision != Precision::Fp32,
            low_precision: is_low(layout.precision),
            attention_bytes: if layout.attention == AttentionKernel::Fp8 {
                1
            } else {
                layout.precision.storage_bytes()
            },
            shares_amax: layout.precision == Precision::Fp8
                && stack.fp8_recipe == Fp8Recipe::Current,
            block_scales: match layout.precision {
                Precision::Fp8 => stack.fp8_recipe == Fp8Recipe::Block,
                Precision::MxFp8 | Precision::NvFp4 | Precision::MxFp4 => true,
                Precision::Fp32
                | Precision::Tf32
                | Precision::Fp16
                | Precision::Bf16
                | Precision::Int8 => false,
            },
        },
        flash_attention: layout.attention != AttentionKernel::Unfused,
        expert_imbalance: scenario.workload.expert_imbalance,
        random_routing: scenario.stack.recipe.random_routing,
        expert_dispatch: layout.expert_dispatch.unwrap_or(ExpertDispatch::AllToAll),
        fusion: stack.fusion,
        logit_bytes: logit_bytes(&stack.recipe, layout.precision.storage_bytes()),
        loss_parts: loss_parts(&stack.recipe),
        masked_head: stack.encoder_head == EncoderHead::MaskedTokens,
        dropout: stack.recipe.dropout
            && scenario
                .model
                .transformer()
                .is_some_and(crate::model::Transformer::usual_dropout),
        lora_rank: scenario.workload.lora_rank.unwrap_or(0),
        frozen: scenario.workload.frozen,
        recomputed: recomputed(scenario, layout),
    }
}

/// Documents that a sample is packed of; a score matrix in memory has all tokens of a sample.
fn documents(scenario: &TrainingScenario, layout: &Layout) -> u32 {
    let workload = &scenario.workload;
    match workload.document_length {
        Some(length) if layout.attention != AttentionKernel::Unfused => {
            workload.seq_len.div_ceil(length).max(1)
        }
        Some(_) | None => 1,
    }
}

/// Modules that selective recomputation repeats: those asked for, else what takes much memory and little time. That is
/// the attention core (arXiv 2205.05198); of fused latent attention the expansions in its place; the experts'
/// activation (arXiv 2603.07685).
fn recomputed(scenario: &TrainingScenario, layout: &Layout) -> Modules {
    let usual = || {
        let network = scenario.model.transformer();
        let is_latent = network.is_some_and(|network| network.mla.is_some());
        let cheap = [Module::LatentExpansion, Module::MoeActivation];
        if is_latent && layout.attention != AttentionKernel::Unfused {
            Modules::of(&cheap)
        } else {
            Modules::of(&[cheap[0], cheap[1], Module::CoreAttention])
        }
    };
    scenario.stack.recompute_modules.unwrap_or_else(usual)
}

/// Parts of the tokens whose logits exist one after another.
fn loss_parts(recipe: &Recipe) -> LossParts {
    match (recipe.chunked_loss, recipe.loss_chunks) {
        (false, _) => LossParts::Whole,
        (true, None) => LossParts::AsStream,
        (true, Some(parts)) => LossParts::Count(parts),
    }
}

/// Bytes of each logit while the loss is computed, where an activation's element has `element` bytes. A kernel that makes
/// as many parts as leave logits as large as the stream writes gradients over them.
fn logit_bytes(recipe: &Recipe, element: u64) -> LogitBytes {
    let loss = match loss_parts(recipe) {
        LossParts::AsStream => LossMemory::InPlace,
        LossParts::Whole | LossParts::Count(_) => recipe.loss,
    };
    let (kept, transient) = match loss {
        LossMemory::InPlace => (element, 0),
        LossMemory::Gradient => (element, element),
        LossMemory::Fp32Gradient => (element, element + 4),
        LossMemory::LogSoftmax => (4, element),
        LossMemory::Half => (2 * element, 2 * element),
        LossMemory::Separate => (element + 8, element),
        LossMemory::Held => (element + 4, 2 * element + 4),
        LossMemory::Shifted => (element + 12, 4),
    };
    LogitBytes { kept, transient }
}

fn is_low(precision: Precision) -> bool {
    precision != precision.high()
}

/// Kernel times of one model on one GPU with one stack, cached by sharding.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkSource {
    known: Memo<(Shard, Precision, AttentionKernel), Arc<ModelWork>, 4096>,
    least: Memo<(Shard, Precision, AttentionKernel), Arc<LeastWork>, 4096>,
}

impl WorkSource {
    /// Work of a layout, computed once per sharding. All scenarios have the same GPU, model and stack.
    pub(super) fn work(&mut self, scenario: &TrainingScenario, layout: &Layout) -> Arc<ModelWork> {
        let shard = shard(scenario, layout);
        let key = (shard, layout.precision, layout.attention);
        let work = self
            .known
            .get_or_make(key, || Arc::new(measure(scenario, &shard, layout)));
        Arc::clone(work)
    }
}

impl WorkSource {
    /// Least work of a layout's sharding, for microbatches up to the layout's.
    pub(super) fn least(&mut self, scenario: &TrainingScenario, layout: &Layout) -> Arc<LeastWork> {
        let shard = shard(scenario, layout);
        let key = (shard, layout.precision, layout.attention);
        let least = self.least.get_or_make(key, || {
            let context = kernel_context(scenario, layout);
            Arc::new(LeastWork::of(scenario, &shard, &context))
        });
        Arc::clone(least)
    }
}

pub(super) fn kernel_context<'a>(
    scenario: &'a TrainingScenario,
    layout: &Layout,
) -> KernelContext<'a> {
    let TrainingScenario { gpu, stack, .. } = scenario;
    KernelContext {
        gpu,
        precision: layout.precision,
        attention: layout.attention,
        recipe: stack.fp8_recipe,
        fractions: if gpu.rates.compiled {
            KernelFractions::ALL
        } else {
            stack.kernels
        },
        eager: !gpu.rates.compiled && !stack.fusion.elementwise,
        free_sms: gpu.sms,
    }
}

fn measure(scenario: &TrainingScenario, shard: &Shard, layout: &Layout) -> ModelWork {
    let model = &scenario.model;
    let lowered = lower(model, shard);
    let context = kernel_context(scenario, layout);
    let measure = |layer: &LoweredLayer| {
        let has_experts = |operator: &Operator| matches!(operator, Operator::GroupedGemm { .. });
        LayerWork {
            reads_rows: (shard.ep > 1 || scenario.stack.host.expert_rows)
                && layer.forward.iter().any(has_experts),
            ..layer_work(layer, &context)
        }
    };
    ModelWork {
        kinds: lowered.layer_kinds.iter().map(measure).collect(),
        sequence: lowered.sequence,
        image_layers: lowered.image_layers,
        embedding: measure(&lowered.embedding),
        head: measure(&lowered.head),
        mtp: lowered.mtp.as_ref().map(measure),
        mtp_layers: model.transformer().map_or(0, |network| network.mtp_layers),
    }
}

fn layer_work(layer: &LoweredLayer, context: &KernelContext) -> LayerWork {
    let calls = layer.calls;
    let mut forward = pass_work(&layer.forward, calls.forward, context);
    let mut backward_input = pass_work(&layer.backward_input, calls.backward_input, context);
    let backward_weight = pass_work(&layer.backward_weight, calls.backward_weight, context);
    merge_exchanges(&mut forward, &mut backward_input, &backward_weight.kernels);
    LayerWork {
        forward,
        backward_input,
        backward_weight,
        once: pass_work(&layer.once, PassCalls::default(), context).kernels,
        selective: pass_work(&layer.selective, calls.selective, context),
        input: layer.input.get(),
        has_backward: layer.has_backward,
        parameters: layer.parameters,
        kept: layer.kept,
        weight_shapes: layer.weight_shapes.clone(),
        largest_tensor: layer.largest_tensor,
        reads_rows: false,
        model_flops_forward: layer.model_flops_forward.get(),
        model_flops_frozen: layer.model_flops_frozen.get(),
    }
}

/// Kernels behind which each exchange with experts may run where the forward pass of a microbatch is merged with the
/// backward pass of another: the combination of gradients behind the attention of the forward pass, both dispatches
/// behind the experts of both, the combination of outputs behind the attention of the backward pass
/// (`TransformerLayerSchedulePlan.run` of NVIDIA/Megatron-LM megatron/core/models/common/model_chunk_schedule_plan.py).
fn merge_exchanges(forward: &mut PassWork, backward: &mut PassWork, weights: &Kernels) {
    let (Some(there), Some(back)) = (forward.exchanges(), backward.exchanges()) else {
        return;
    };
    let (inside, inside_back) = (forward.between(there), backward.between(back));
    let experts = (inside + inside_back + weights.experts).scaled(0.5);
    let attention = forward.kernels.busy - inside;
    let attention_back = backward.kernels.busy - inside_back + (weights.busy - weights.experts);
    forward.hide(there, [experts, attention_back]);
    backward.hide(back, [attention, experts]);
}

impl PassWork {
    /// Places of the first and the last exchange with experts; `None` of a pass that has no two.
    fn exchanges(&self) -> Option<[usize; 2]> {
        let is_exchange = |it: &Communication| it.group == CommGroup::Expert;
        let first = self.communications.iter().position(is_exchange)?;
        let last = self.communications.iter().rposition(is_exchange)?;
        (first < last).then_some([first, last])
    }

    /// Time of the kernels between two communications.
    fn between(&self, [first, last]: [usize; 2]) -> SimDuration {
        self.communications[last].before - self.communications[first].before
    }

    /// Time of the kernels in front of the first exchange with experts; zero in a pass that has none.
    pub(super) fn before_experts(&self) -> SimDuration {
        self.exchanges().map_or(SimDuration::ZERO, |[first, _]| {
            self.communications[first].before
        })
    }

    /// Hides exchanges with experts behind other kernels: those in front of the experts' products behind the one time, those
    /// after them behind the other.
    fn hide(&mut self, [first, last]: [usize; 2], [in_front, after]: [SimDuration; 2]) {
        let start = self.communications[first].before;
        let all = self.communications[first..=last].iter_mut();
        for exchange in all.filter(|it| it.group == CommGroup::Expert) {
            let is_in_front = exchange.before == start;
            exchange.overlapped = if is_in_front { in_front } else { after };
        }
    }
}

fn pass_work(operators: &[Operator], calls: PassCalls, context: &KernelContext) -> PassWork {
    let mut work = PassWork::default();
    work.kernels.calls = calls;
    let mut last_product = SimDuration::ZERO;
    let mut waiting: Option<usize> = None;
    for operator in operators {
        if let Operator::Comm {
            op,
            group,
            bytes,
            overlappable,
        } = *operator
        {
            // A gather feeds the product behind it, a reduction drains the one before it.
            let gathers = op == CommOp::AllGather;
            let overlapped = if overlappable && !gathers {
                last_product
            } else {
                SimDuration::ZERO
            };
            work.communications.push(Communication {
                op,
                group,
                bytes,
                overlapped,
                before: work.kernels.busy,
            });
            waiting = (overlappable && gathers).then_some(work.communications.len() - 1);
            continue;
        }
        let time = operator_time(operator, context);
        work.kernels.busy += time.busy;
        work.kernels.count += time.kernels;
        work.kernels.flops += time.flops.get();
        match operator {
            Operator::Gemm { .. } | Operator::FullGemm { .. } | Operator::GroupedGemm { .. } => {
                if let Operator::GroupedGemm { .. } = operator {
                    work.kernels.experts += time.busy;
                }
                last_product = time.busy;
                if let Some(gather) = waiting.take() {
                    work.communications[gather].overlapped = time.busy;
                }
            }
            Operator::Attention { .. } => work.kernels.attention += time.busy,
            Operator::Conv { .. }
            | Operator::Scan { .. }
            | Operator::Memory { .. }
            | Operator::Cast { .. }
            | Operator::Comm { .. } => {}
        }
    }
    work
}
