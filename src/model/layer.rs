//! A layer while it is being lowered.

mod adapter;

use crate::model::calls::{Calls, LayerCalls, PassCalls};
use crate::model::lowered::{Kept, LoweredLayer, Shard, ShardParameters};
use crate::model::{CommGroup, CommOp, Fusion, Gradients, Module, Modules, Operator};
use crate::units::{Bytes, Flops};

/// A matrix product with weights: `tokens × inputs` by `inputs × outputs`.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub(super) tokens: u64,
    pub(super) outputs: u64,
    pub(super) inputs: u64,
    pub(super) bias: bool,
    /// Whether an 8- or 4-bit recipe applies.
    pub(super) low_precision: bool,
}

/// Experts of a rank.
#[derive(Clone, Copy)]
pub(super) struct ExpertRows {
    pub(super) experts: u64,
    /// Rows of each that are tokens, not padding.
    pub(super) visited: u64,
    /// Whether each has as many rows as tokens visit it, otherwise all the same number.
    pub(super) ragged: bool,
}

impl ExpertRows {
    /// Products of `m` by `k` and `k` by `n` elements of each expert; over tokens where they are what is summed up.
    fn product(self, over_tokens: bool) -> impl Fn(u64, u64, u64) -> Operator {
        move |m, n, k| Operator::GroupedGemm {
            groups: self.experts,
            m,
            n,
            k,
            over_tokens,
            ragged: self.ragged,
        }
    }
}

/// A memory-bound step: bytes moved and kernels launched, forward and backward.
#[derive(Clone, Copy, Default)]
pub(super) struct Passes {
    pub(super) forward: (u64, u32),
    pub(super) backward: (u64, u32),
}

/// A communication with its counterpart in the backward pass.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    pub(super) group: CommGroup,
    pub(super) forward: Option<(CommOp, u64)>,
    pub(super) backward: Option<(CommOp, u64)>,
    pub(super) overlappable: bool,
}

/// Pass that a call of the host belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    BackwardInput,
    BackwardWeight,
}

/// Collects the operators of one layer in forward order; `finish` reverses the backward lists.
pub(super) struct LayerBuilder {
    name: &'static str,
    low_precision: bool,
    element_bytes: u64,
    /// Gradients that the backward pass computes of what is added now.
    gradients: Gradients,
    /// Modules that selective recomputation repeats, and how many of them are being lowered.
    repeated: Modules,
    inside: u32,
    fusion: Fusion,
    /// Whether routing decides the sizes of what is added now.
    is_routed: bool,
    calls: LayerCalls,
    forward: Vec<Operator>,
    backward_input: Vec<Operator>,
    backward_weight: Vec<Operator>,
    selective: Vec<Operator>,
    once: Vec<Operator>,
    parameters: ShardParameters,
    /// Bytes that are kept for the backward pass, and those that selective recomputation drops of them.
    kept: u64,
    dropped: u64,
    /// Outputs of products and of the attention kernel.
    product_outputs: u64,
    attention_output: u64,
    /// Bytes that all-to-alls deliver in the forward pass.
    delivered: u64,
    weight_shapes: Vec<(u64, u64)>,
    largest_tensor: u64,
    input: u64,
    transient: u64,
    model_flops: f64,
    model_flops_frozen: f64,
}

impl LayerBuilder {
    /// An empty layer whose input has `input` bytes on this rank.
    pub(super) fn new(name: &'static str, shard: &Shard, gradients: Gradients, input: u64) -> Self {
        Self {
            name,
            low_precision: shard.format.low_precision,
            element_bytes: shard.format.element_bytes,
            gradients,
            repeated: shard.recomputed,
            inside: 0,
            fusion: shard.fusion,
            is_routed: false,
            calls: LayerCalls::default(),
            forward: Vec::with_capacity(24),
            backward_input: Vec::with_capacity(32),
            backward_weight: Vec::with_capacity(12),
            selective: Vec::new(),
            once: Vec::new(),
            parameters: ShardParameters::default(),
            kept: 0,
            dropped: 0,
            product_outputs: 0,
            attention_output: 0,
            delivered: 0,
            weight_shapes: Vec::with_capacity(8),
            largest_tensor: 0,
            input,
            transient: 0,
            model_flops: 0.0,
            model_flops_frozen: 0.0,
        }
    }

    /// Bytes of an activation's element.
    pub(super) fn element_bytes(&self) -> u64 {
        self.element_bytes
    }

    /// Runs `body` as a part of the layer of which the backward pass computes these gradients.
    pub(super) fn with_gradients(&mut self, gradients: Gradients, body: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.gradients, gradients);
        body(self);
        self.gradients = before;
    }

    /// Runs `body` as a module: where selective recomputation repeats it, the backward pass runs its forward operators
    /// once more, and nothing that it keeps is kept from the forward pass.
    pub(super) fn module(&mut self, module: Module, body: impl FnOnce(&mut Self)) {
        let repeated = u32::from(self.repeated.contains(module));
        self.inside += repeated;
        body(self);
        self.inside -= repeated;
    }

    /// Runs `body` as work whose sizes routing decides.
    pub(super) fn routed(&mut self, body: impl FnOnce(&mut Self)) {
        self.is_routed = true;
        body(self);
        self.is_routed = false;
    }

    fn push_forward(&mut self, operator: Operator) {
        if self.repeats() {
            self.selective.push(operator.clone());
        }
        self.forward.push(operator);
    }

    /// Whether selective recomputation repeats what is added now.
    fn repeats(&self) -> bool {
        self.inside > 0 && self.gradients.any()
    }

    fn push_backward(&mut self, operator: Operator) {
        if self.gradients.any() {
            self.backward_input.push(operator);
        }
    }

    /// Counts calls of the host.
    pub(super) fn call(&mut self, direction: Direction, calls: Calls) {
        if direction != Direction::Forward && !self.gradients.any() {
            return;
        }
        let (is_routed, repeats) = (self.is_routed, self.repeats());
        let add = |pass: &mut PassCalls| {
            if is_routed {
                pass.routed += calls;
            } else {
                pass.fixed += calls;
            }
        };
        match direction {
            Direction::Forward => {
                add(&mut self.calls.forward);
                if repeats {
                    add(&mut self.calls.selective);
                }
            }
            Direction::BackwardInput => add(&mut self.calls.backward_input),
            Direction::BackwardWeight => add(&mut self.calls.backward_weight),
        }
    }

    /// Counts the calls of a group of experts' products beside their module's: a product of each in every pass, and the rows of
    /// its input and of its gradient.
    fn call_experts(&mut self, experts: u32) {
        let products = Calls::experts(experts, self.low_precision);
        let rows = Calls::rows(experts, self.low_precision);
        for direction in [Direction::Forward, Direction::BackwardInput] {
            self.call(direction, products);
            self.call(direction, rows);
        }
        if !self.is_frozen() {
            self.call(Direction::BackwardWeight, products);
        }
    }

    /// Counts the calls of so many linear layers: a module's forward and backward call, of which the latter has the
    /// weights' gradient computed by a second product, and adds it to earlier ones where that is not done by the
    /// product.
    fn call_modules(&mut self, count: u32, casting: bool) {
        let module = Calls::modules(count, casting);
        self.call(Direction::Forward, module);
        self.call(Direction::BackwardInput, module);
        if self.is_frozen() {
            return;
        }
        let products = if self.fusion.gradient_accumulation {
            1
        } else {
            2
        };
        self.call(
            Direction::BackwardWeight,
            Calls::operators(products * count),
        );
    }

    /// A forward operator and its counterparts, the backward ones in order of execution.
    pub(super) fn operator(
        &mut self,
        forward: Operator,
        backward: impl IntoIterator<Item = Operator>,
    ) {
        self.call(Direction::Forward, Calls::of(&forward));
        self.push_forward(forward);
        if !self.gradients.any() {
            return;
        }
        let start = self.backward_input.len();
        self.backward_input.extend(backward);
        for at in start..self.backward_input.len() {
            let calls = Calls::of(&self.backward_input[at]);
            self.call(Direction::BackwardInput, calls);
        }
        self.backward_input[start..].reverse();
    }

    /// A linear layer whose weights every rank of the data-parallel group holds.
    pub(super) fn linear(&mut self, linear: Linear) {
        self.linear_of(linear, 1);
    }

    /// A linear layer that is so many of their own where projections are not fused.
    pub(super) fn linear_of(&mut self, linear: Linear, parts: u32) {
        self.count(linear.parameters());
        self.product(linear);
        let parts = if self.fusion.projections { 1 } else { parts };
        self.tensors(u64::from(parts) * linear.tensors());
        if parts > 1 {
            let casting = linear.low_precision && self.low_precision;
            self.call_modules(parts - 1, casting);
            // Their gradients of the one input are summed up.
            self.call(Direction::BackwardInput, Calls::operators(parts - 1));
        }
        // The router, and what runs once per sample, have no adapter.
        if self.gradients.lora_rank() > 0 && linear.low_precision {
            self.adapter(linear);
        }
    }

    /// Whether the weights of the network itself are not trained.
    fn is_frozen(&self) -> bool {
        self.gradients.are_frozen()
    }

    /// A linear layer whose input is cast to fp32 for products in that format. A compiler writes the copy where it computes the
    /// input, and makes it again for the backward pass.
    pub(super) fn linear_in_fp32(&mut self, linear: Linear) {
        let elements = linear.tokens * linear.inputs;
        let read = if self.fusion.elementwise {
            0
        } else {
            self.keep(4 * elements);
            self.element_bytes
        };
        let cast = ((read + 4) * elements, 1);
        self.operators(Passes {
            forward: cast,
            backward: cast,
        });
        self.count(linear.parameters());
        self.product_of(linear, |m, n, k| Operator::FullGemm { m, n, k });
        self.tensors(linear.tensors());
    }

    /// A product with weights that another layer counts (tied embeddings).
    pub(super) fn product(&mut self, linear: Linear) {
        let low_precision = linear.low_precision && self.low_precision;
        self.product_of(linear, |m, n, k| Operator::Gemm {
            batch: 1,
            m,
            n,
            k,
            low_precision,
        });
    }

    /// A product and those for the gradients of its input and weights, each a kernel of its rows, columns and inner length.
    fn product_of(&mut self, linear: Linear, gemm: impl Fn(u64, u64, u64) -> Operator) {
        let Linear {
            tokens,
            outputs,
            inputs,
            bias,
            low_precision,
        } = linear;
        let low_precision = low_precision && self.low_precision;
        self.call_modules(1, low_precision);
        if self.gradients.any() {
            self.product_outputs += tokens * outputs * self.element_bytes;
        }
        self.has_weights(1, inputs, outputs);
        if low_precision {
            self.push_forward(Operator::Cast {
                elements: tokens * inputs,
                tensors: 1,
            });
        }
        self.push_forward(gemm(tokens, outputs, inputs));
        self.push_backward(gemm(tokens, inputs, outputs));
        if low_precision {
            self.push_backward(Operator::Cast {
                elements: tokens * outputs,
                tensors: 1,
            });
        }
        let flops = 2.0 * tokens as f64 * outputs as f64 * inputs as f64;
        self.model_flops += flops;
        self.model_flops_frozen += self.gradients.lacking() * flops;
        if self.is_frozen() {
            return;
        }
        self.backward_weight.push(gemm(outputs, inputs, tokens));
        if bias {
            self.weight_memory(tokens * outputs * self.element_bytes, 1);
        }
    }

    /// Products of equal expert weights, `linear.tokens` rows each.
    pub(super) fn experts(&mut self, rows: ExpertRows, linear: Linear) {
        let ExpertRows {
            experts, visited, ..
        } = rows;
        let Linear {
            tokens,
            outputs,
            inputs,
            bias,
            ..
        } = linear;
        let (grouped, over_tokens) = (rows.product(false), rows.product(true));
        let stacks = self.expert_stacks(experts);
        let cast = |width: u64| Operator::Cast {
            elements: experts * tokens * width,
            tensors: stacks,
        };
        if self.low_precision {
            self.push_forward(cast(inputs));
        }
        self.call_modules(1, self.low_precision);
        self.call_experts(experts as u32);
        self.push_forward(grouped(tokens, outputs, inputs));
        self.push_backward(grouped(tokens, inputs, outputs));
        if self.low_precision {
            self.push_backward(cast(outputs));
        }
        self.parameters.expert += experts * linear.parameters();
        self.has_weights(experts, inputs, outputs);
        let flops = 2.0 * (experts * visited) as f64 * (outputs * inputs) as f64;
        self.model_flops += flops;
        self.model_flops_frozen += self.gradients.lacking() * flops;
        if self.is_frozen() {
            self.parameters.frozen_expert += experts * linear.parameters();
            if self.gradients.lora_rank() > 0 {
                self.expert_adapters(rows, linear);
            }
            return;
        }
        self.backward_weight
            .push(over_tokens(outputs, inputs, tokens));
        if bias {
            let bytes = experts * tokens * outputs * self.element_bytes;
            self.weight_memory(bytes, 1);
        }
        self.tensors(stacks * linear.tensors());
    }

    fn has_weights(&mut self, matrices: u64, inputs: u64, outputs: u64) {
        let elements = matrices * inputs * outputs;
        self.largest_tensor = self.largest_tensor.max(elements);
        if self.is_frozen() {
            return;
        }
        if !self.weight_shapes.contains(&(inputs, outputs)) {
            self.weight_shapes.push((inputs, outputs));
        }
    }

    /// Memory-bound work: where kernels are fused a function around each, whose gradient takes one call.
    pub(super) fn memory(&mut self, passes: Passes) {
        let (forward, backward) = (passes.forward.1, passes.backward.1);
        if self.fusion.elementwise && forward > 0 {
            self.call(Direction::Forward, Calls::functions(forward));
            let gradients = Calls::functions(forward.min(backward));
            self.call(Direction::BackwardInput, gradients);
            self.kernels(passes);
        } else {
            self.operators(passes);
        }
    }

    /// The forward sum of rows of so many bytes by index, an operator which no recomputation repeats: its result is no
    /// input of a gradient.
    pub(super) fn add_by_index(&mut self, bytes: u64) {
        self.call(Direction::Forward, Calls::operators(1));
        self.once.push(memory(bytes * ADDED_BY_INDEX, 1));
    }

    /// Memory-bound work of an operator for each kernel.
    pub(super) fn operators(&mut self, passes: Passes) {
        let (forward, backward) = (passes.forward.1, passes.backward.1);
        self.call(Direction::Forward, Calls::operators(forward));
        self.call(Direction::BackwardInput, Calls::operators(backward));
        self.kernels(passes);
    }

    /// Memory-bound work inside a call that is counted elsewhere.
    pub(super) fn kernels(&mut self, passes: Passes) {
        let Passes { forward, backward } = passes;
        if forward.1 > 0 {
            self.push_forward(memory(forward.0, forward.1));
        }
        if backward.1 > 0 {
            self.push_backward(memory(backward.0, backward.1));
        }
    }

    /// A gradient of weights that is not a matrix product.
    pub(super) fn weight_operator(&mut self, operator: Operator) {
        if self.is_frozen() {
            return;
        }
        self.call(Direction::BackwardWeight, Calls::of(&operator));
        self.backward_weight.push(operator);
    }

    /// Memory-bound work on gradients of weights.
    pub(super) fn weight_memory(&mut self, bytes: u64, kernels: u32) {
        self.weight_operator(memory(bytes, kernels));
    }

    /// The same inside a call that is counted elsewhere.
    pub(super) fn weight_kernels(&mut self, bytes: u64, kernels: u32) {
        if !self.is_frozen() {
            self.backward_weight.push(memory(bytes, kernels));
        }
    }

    /// A communication.
    pub(super) fn exchange(&mut self, exchange: Exchange) {
        let Exchange {
            group,
            forward,
            backward,
            overlappable,
        } = exchange;
        let comm = |(op, bytes)| Operator::Comm {
            op,
            group,
            bytes: Bytes::new(bytes),
            overlappable,
        };
        if let Some(forward) = forward {
            if group == CommGroup::Expert && forward.0 == CommOp::AllToAll {
                self.delivered += if self.gradients.any() { forward.1 } else { 0 };
            }
            self.push_forward(comm(forward));
        }
        if let Some(backward) = backward {
            self.push_backward(comm(backward));
        }
    }

    /// Says that of the parameters so far `count` have gradients on each tensor-parallel rank for a part of the work
    /// alone.
    pub(super) fn partial(&mut self, count: u64) {
        if self.is_frozen() {
            return;
        }
        self.parameters.partial += count;
    }

    /// A tensor of parameters that take no product: norms, tables.
    pub(super) fn parameters(&mut self, count: u64) {
        self.count(count);
        self.tensors(1);
    }

    /// Tensors of the network itself, which are trained unless it is frozen.
    fn tensors(&mut self, count: u64) {
        if !self.is_frozen() {
            self.parameters.tensors += count;
        }
    }

    /// Tensors that hold a matrix of so many experts.
    fn expert_stacks(&self, experts: u64) -> u64 {
        if self.fusion.stacked_experts {
            1
        } else {
            experts
        }
    }

    /// Parameters of the network itself that every rank of the data-parallel group holds.
    fn count(&mut self, count: u64) {
        self.parameters.dense += count;
        if self.is_frozen() {
            self.parameters.frozen_dense += count;
        }
        if !self.gradients.any() {
            self.parameters.forward_only += count;
        }
    }

    /// Bytes kept for the backward pass.
    pub(super) fn keep(&mut self, bytes: u64) {
        if !self.gradients.any() {
            return;
        }
        self.kept += bytes;
        if self.inside > 0 {
            self.dropped += bytes;
        }
    }

    /// A linear layer's input of `elements`, at 1 byte where it is cast; for the gradient of its weights or adapters alone.
    pub(super) fn keep_linear_input(&mut self, elements: u64) {
        if self.gradients == Gradients::OfInputs {
            return;
        }
        let element = if self.low_precision {
            1
        } else {
            self.element_bytes
        };
        self.keep(elements * element);
    }

    /// A linear layer's input of `elements` that a norm put out.
    pub(super) fn keep_normed_input(&mut self, elements: u64) {
        self.module(Module::LayerNorm, |layer| layer.keep_linear_input(elements));
    }

    /// Output of the attention kernel, kept by every policy but full recomputation.
    pub(super) fn keep_attention_output(&mut self, bytes: u64) {
        self.keep(bytes);
        if self.gradients.any() {
            self.attention_output += bytes;
        }
    }

    /// Bytes held only while the layer runs; the peak counts.
    pub(super) fn transient(&mut self, bytes: u64) {
        self.transient = self.transient.max(bytes);
    }

    /// FLOPs of the model outside linear layers.
    pub(super) fn model_flops(&mut self, flops: f64) {
        self.model_flops += flops;
        if !self.gradients.any() {
            self.model_flops_frozen += self.gradients.lacking() * flops;
        }
    }

    /// The finished layer.
    pub(super) fn finish(mut self) -> LoweredLayer {
        // Autograd hands each tensor's gradient over by itself.
        let tensors = self.parameters.tensors as u32;
        self.call(Direction::BackwardWeight, Calls::operators(tensors));
        self.backward_input.reverse();
        self.backward_weight.reverse();
        let has_backward = self.gradients.any();
        let input = if has_backward { self.input } else { 0 };
        LoweredLayer {
            name: self.name,
            input: Bytes::new(self.input),
            has_backward,
            forward: self.forward,
            backward_input: self.backward_input,
            backward_weight: self.backward_weight,
            selective: self.selective,
            once: self.once,
            calls: self.calls,
            parameters: self.parameters,
            kept: Kept {
                none: Bytes::new(self.kept),
                selective: Bytes::new(self.kept - self.dropped),
                full: Bytes::new(input),
                operations: Bytes::new(
                    input + self.attention_output + self.delivered + self.product_outputs / 2,
                ),
                transient: Bytes::new(self.transient),
            },
            weight_shapes: self.weight_shapes,
            largest_tensor: self.largest_tensor,
            model_flops_forward: Flops::new(self.model_flops),
            model_flops_frozen: Flops::new(self.model_flops_frozen),
        }
    }
}

impl Linear {
    /// Tensors of its parameters.
    fn tensors(self) -> u64 {
        1 + u64::from(self.bias)
    }

    /// Weights and biases of this rank.
    pub(super) fn parameters(self) -> u64 {
        self.inputs * self.outputs + if self.bias { self.outputs } else { 0 }
    }
}

/// Bytes of PyTorch's kernels whose operands are slices of rows or broadcast, as those of a plain one that takes as long. Such
/// a kernel finds the place of each element and loads it by itself (`gpu_kernel_impl_nocast` in
/// aten/src/ATen/native/cuda/CUDALoops.cuh): 1.18 TB/s of an H200 with a broadcast weight of each column, where a plain one of
/// the same size reaches 2.57 (prelu and leaky_relu of 1024 · 10240 elements in tile-ai/TileOPs PR 500).
pub(super) fn by_element(bytes: u64) -> u64 {
    bytes * 257 / 118
}

/// Bytes that a GPU streams in the time in which PyTorch adds up a byte of rows by index: `index_put_` with `accumulate` sorts
/// the indices and adds the rows of each one after another (`indexing_backward_kernel`). 196,608 rows of 2,048 columns
/// in bf16 take 1.848 ms on a B200 and 1.804 on a GPU of the MI350 series, padding among them (pytorch/ao PR 4623): 15 and 13
/// at what those stream. 65,536 of 4,096 for 8,192 places take 11 times as long for their bytes as the same sum by a kernel of its
/// own, on one GPU (DeepLink-org/DLBlas PR 66).
const ADDED_BY_INDEX: u64 = 13;

fn memory(bytes: u64, kernels: u32) -> Operator {
    Operator::Memory {
        bytes: Bytes::new(bytes),
        kernels,
    }
}
