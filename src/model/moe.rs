//! Routed experts: router, permutation, dispatch, grouped products, combination.

use std::num::NonZeroU32;

use crate::model::layer::{Exchange, ExpertRows, LayerBuilder, Linear, Passes, by_element};
use crate::model::mlp::{
    Activated, activation_of, beside_activation, gates, keep_activation_input, mlp,
};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, leave};
use crate::model::{
    CommGroup, CommOp, ExpertDispatch, ExpertImbalance, ExpertOutputs, Mixture, Module, Operator,
    TokenLibrary, places_met,
};
use crate::units::Bytes;

/// The MLP of a routed layer behind its norm. Tokens are dispatched from the shard that the norm
/// holds, so tensor-parallel ranks act as further data-parallel ones (arXiv 2504.14960).
///
/// The rank is the one that holds the busiest expert, for which the others wait; balanced, every rank is. It is another
/// one in every layer, so that what a rank keeps from layer to layer is that of a mean rank.
pub(super) fn block(layer: &mut LayerBuilder, share: &Share, moe: &Mixture) {
    // The router takes what the norm put out as it is, a shared expert possibly cast.
    let elements = share.norm_tokens * share.hidden;
    layer.module(Module::LayerNorm, |layer| {
        layer.keep(elements * layer.element_bytes());
    });
    if moe.shared_experts > 0 && share.shard.format.low_precision {
        layer.keep_normed_input(elements);
    }
    layer.module(Module::Moe, |layer| whole(layer, share, moe));
}

/// Router, shared and routed experts.
fn whole(layer: &mut LayerBuilder, share: &Share, moe: &Mixture) {
    let tokens = share.tokens.div_ceil(share.tp);
    router(layer, share, moe, tokens);
    if moe.shared_experts > 0 {
        layer.module(Module::SharedExperts, |layer| {
            enter(layer, share, Gathered::of(share.hidden));
            let width = u64::from(moe.shared_experts) * u64::from(moe.shared_ffn_hidden);
            mlp(layer, share, width);
            leave(layer, share);
        });
    }
    let width = moe.routed_width(share.hidden);
    let visits = tokens * u64::from(moe.experts_per_token);
    let local = moe.experts.div_ceil(share.shard.ep);
    let routed = Routed {
        tokens,
        visited: moe.experts_per_token,
        most_groups: moe.node_limit.map(NonZeroU32::get),
        local,
        visits,
        kept: moe.rows(visits, 1.0),
        copies: moe.rows(
            visits,
            share.shard.expert_imbalance.of_rank(local, moe.experts),
        ),
        width,
    };
    if width != share.hidden {
        latent(layer, share, &routed, Direction::Dispatch);
    }
    let masks = Masks::of(share, moe, width);
    let permute = |layer: &mut LayerBuilder, direction| match &masks {
        Some(masks) => masks.multiply(layer, share, direction),
        None => permute(layer, share, &routed, direction),
    };
    layer.routed(|layer| {
        permute(layer, Direction::Dispatch);
        exchange_tokens(layer, share, &routed, Direction::Dispatch);
        experts(layer, share, moe, &routed);
        exchange_tokens(layer, share, &routed, Direction::Combine);
        permute(layer, Direction::Combine);
    });
    if width != share.hidden {
        latent(layer, share, &routed, Direction::Combine);
    }
}

impl Mixture {
    /// Width of what routed experts see.
    fn routed_width(&self, hidden: u64) -> u64 {
        self.latent_hidden
            .map_or(hidden, |width| u64::from(width.get()))
    }

    /// Most tokens of the busiest expert over the mean of all: those of an expert that every token visits.
    pub(crate) fn most_imbalance(&self) -> f64 {
        f64::from(self.experts) / f64::from(self.experts_per_token)
    }

    /// Share of the visits of tokens to experts that the busiest expert has beyond its capacity, 0–1: `max(f − c, 0) / E` of
    /// E experts with room for c times the mean, of which the busiest has f times the mean; `None` where experts take as many as
    /// come.
    pub(crate) fn dropped(&self, imbalance: ExpertImbalance) -> Option<f64> {
        let beyond = (imbalance.over_mean() - self.capacity_factor?).max(0.0);
        Some(beyond / f64::from(self.experts))
    }

    /// Rows that the experts of a rank work on for so many visits of a mean one, which has `busier` times as many: with a
    /// capacity all experts are padded to it, and tokens beyond it are dropped.
    fn rows(&self, visits: u64, busier: f64) -> u64 {
        match self.capacity_factor {
            Some(factor) => libm::ceil(visits as f64 * factor) as u64,
            None if busier > 1.0 => libm::ceil(visits as f64 * busier) as u64,
            None => visits,
        }
    }
}

/// Tokens of one rank on their way to the experts and back.
struct Routed {
    tokens: u64,
    /// Experts that each of them visits.
    visited: u32,
    /// Groups of experts that a token's may lie in at most.
    most_groups: Option<u32>,
    /// Experts of a rank.
    local: u32,
    /// Experts that they visit, all together.
    visits: u64,
    /// Rows that are sent, and that the rank's experts get: a visit each, or as many as the experts' capacity.
    copies: u64,
    /// Those of a mean rank.
    kept: u64,
    width: u64,
}

/// Projection of tokens to the width of the routed experts, or of their outputs back; every rank holds it whole.
fn latent(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let (inputs, outputs) = match direction {
        Direction::Dispatch => (share.hidden, routed.width),
        Direction::Combine => (routed.width, share.hidden),
    };
    let projection = Linear {
        tokens: routed.tokens,
        outputs,
        inputs,
        bias: share.network.biases,
        low_precision: true,
    };
    layer.linear(projection);
    layer.keep_linear_input(routed.tokens * inputs);
    if share.tp > 1 {
        layer.partial(projection.parameters());
    }
}

/// Scores in 32 bits, top-k, and the map from tokens to experts. As separate kernels: product, casts, soft-max,
/// top-k with its sort, scatters of map and weights, and the sums of the balancing loss, 26 forward and 19 backward with the
/// product's one and two (operators of TopKRouter of Megatron-Core 0.16.1 that are no views, counted by a dispatch mode of
/// PyTorch; with sigmoid scores, a bias for each expert and a loss for each sequence 45 and 34).
fn router(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, tokens: u64) {
    let experts = u64::from(moe.experts);
    let weights = Linear {
        tokens,
        outputs: experts,
        inputs: share.hidden,
        bias: share.network.biases,
        low_precision: false,
    };
    if share.shard.fusion.fp32_router {
        layer.linear_in_fp32(weights);
    } else {
        layer.linear(weights);
    }
    if share.tp > 1 {
        layer.partial(weights.parameters());
    }
    let scores = 4 * tokens * experts;
    let (forward, backward) = match share.shard.expert_dispatch.token_library() {
        Some(TokenLibrary::DeepEp | TokenLibrary::HybridEp) => (6, 3),
        None => (24, 16),
    };
    layer.operators(Passes {
        forward: (4 * scores, forward),
        backward: (4 * scores, backward),
    });
    layer.keep(2 * scores);
}

/// Rows copied into (or summed from) the order of the experts, and the same for their gradients. Around an
/// all-to-all the host launches counts, their exchange and copies, row maps, and the sorting of tokens by expert
/// as well (NVIDIA/Megatron-LM megatron/core/transformer/moe/token_dispatcher.py).
fn permute(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let bytes = routed.permuted(share, direction) * layer.element_bytes();
    layer.memory(Passes {
        forward: (bytes, 2),
        backward: (bytes, 2),
    });
    if !share.shard.fusion.permutation {
        weigh_and_pad(layer, routed, direction);
    }
    if share.shard.expert_dispatch.token_library().is_none() {
        layer.operators(Passes {
            forward: (0, 8),
            backward: (0, 4),
        });
    }
}

/// Kernels that weigh rows, and pad each expert's to a multiple of what its product needs. Dispatch: a product with the
/// weights and a copy by index, two passes over the rows each; backward the gradient of the copy is added into rows that were set
/// to zero, four passes, and the product has two inputs, three. Combination: another copy by index (pytorch/torchtitan torchtitan/models/moe/moe.py, `MoE.forward`, and utils.py,
/// `indices_padding_wrapper`).
fn weigh_and_pad(layer: &mut LayerBuilder, routed: &Routed, direction: Direction) {
    let rows = routed.copies * routed.width * layer.element_bytes();
    let (forward, backward) = match direction {
        Direction::Dispatch => ((4 * rows, 2), (7 * rows, 4)),
        Direction::Combine => ((2 * rows, 1), (2 * rows, 1)),
    };
    layer.memory(Passes { forward, backward });
}

impl Routed {
    /// Elements that permutation reads and writes on one way.
    ///
    /// Around an all-to-all tokens are copied for each expert that they visit, and where a rank has several experts the
    /// rows that arrive are sorted by expert (`sort_chunks_by_idxs`). What DeepEP and HybridEP deliver is a row for each
    /// token that a rank has experts for, copied for each of these experts. Of gathered tokens a rank copies the rows
    /// that visit its experts, and adds their outputs into rows of all.
    fn permuted(&self, share: &Share, direction: Direction) -> u64 {
        let ranks = u64::from(share.shard.ep);
        if ranks == 1 {
            return (self.tokens + self.copies) * self.width;
        }
        match share.shard.expert_dispatch {
            ExpertDispatch::AllToAll => {
                let sorted = if self.local > 1 { 2 * self.copies } else { 0 };
                (self.tokens + self.copies + sorted) * self.width
            }
            ExpertDispatch::AllGather => match direction {
                Direction::Dispatch => 2 * self.copies * self.width,
                Direction::Combine => (self.copies + self.tokens * ranks) * self.width,
            },
            ExpertDispatch::DeepEp | ExpertDispatch::HybridEp => {
                let met = places_met(ranks as f64, f64::from(self.visited), self.most_groups);
                let arrive = libm::ceil(met * self.width as f64) as u64;
                self.tokens * arrive + self.copies * self.width
            }
        }
    }
}

/// One-hot masks of each token of a sample and each place of its experts, by which products bring rows of tokens into the
/// order of the experts, and their outputs back (`dense_matmul` and `generate_masks` of AI-Hypercomputer/maxtext
/// src/maxtext/layers/moe.py; arXiv 2006.16668).
struct Masks {
    samples: u64,
    /// Tokens of a sample on this rank.
    tokens: u64,
    /// Places of all experts for a sample: `E · floor(ceil(S · k / E) · c)`, at least one each.
    places: u64,
    /// Columns of a token on this rank.
    width: u64,
}

impl Masks {
    /// The masks of a layer whose experts see tokens of a width; `None` where rows are copied.
    fn of(share: &Share, moe: &Mixture, width: u64) -> Option<Self> {
        let factor = moe.capacity_factor?;
        if !share.shard.fusion.capacity_masks {
            return None;
        }
        let experts = u64::from(moe.experts);
        let mean = (share.seq_len * u64::from(moe.experts_per_token)).div_ceil(experts);
        let places = libm::floor(mean as f64 * factor).max(1.0) as u64;
        Some(Self {
            samples: u64::from(share.shard.micro_batch),
            tokens: share.seq_len.div_ceil(u64::from(share.shard.cp)),
            places: experts * places,
            width: share.part(width),
        })
    }

    fn elements(&self) -> u64 {
        self.samples * self.tokens * self.places
    }

    /// The product on one way, and those of its gradients. The mask of the dispatch is of truth values, without a gradient;
    /// that of the combination holds the routing weights, whose gradient is a product of the mask's size.
    ///
    /// Both masks are written as they are made, by a byte an element and in 16 bits, and kept for the backward pass, which
    /// sums up the gradient of the latter. A low-precision recipe casts both operands of each product (`get_einsum`).
    fn multiply(&self, layer: &mut LayerBuilder, share: &Share, direction: Direction) {
        let low_precision = share.shard.format.low_precision;
        let product = |m, n, k| Operator::Gemm {
            batch: self.samples,
            m,
            n,
            k,
            low_precision,
        };
        let (tokens, places, width) = (self.tokens, self.places, self.width);
        let element = layer.element_bytes();
        let (mask, rows) = (self.elements(), self.samples * width);
        let cast = |elements| Operator::Cast { elements };
        if low_precision {
            let (there, back) = match direction {
                Direction::Dispatch => (mask + rows * tokens, rows * places),
                Direction::Combine => (mask + rows * places, rows * tokens),
            };
            layer.operator(cast(there), [cast(back)]);
        }
        match direction {
            Direction::Dispatch => {
                layer.operators(Passes {
                    forward: ((1 + element) * mask, 1),
                    backward: (0, 0),
                });
                layer.keep((1 + element) * mask);
                layer.operator(
                    product(places, width, tokens),
                    [product(tokens, width, places)],
                );
            }
            Direction::Combine => {
                let summed = Operator::Memory {
                    bytes: Bytes::new(element * mask),
                    kernels: 1,
                };
                layer.operator(
                    product(tokens, width, places),
                    [
                        product(places, width, tokens),
                        product(tokens, places, width),
                        summed,
                    ],
                );
                layer.transient(element * (mask + rows * places));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Dispatch,
    Combine,
}

fn exchange_tokens(layer: &mut LayerBuilder, share: &Share, routed: &Routed, direction: Direction) {
    let bytes = routed.copies * routed.width * layer.element_bytes();
    let etp = u64::from(share.shard.etp);
    let tokens = routed.tokens * routed.width * layer.element_bytes();
    let ((there, back), sent) = match (share.shard.expert_dispatch, direction) {
        (ExpertDispatch::AllGather, Direction::Dispatch) => (
            (CommOp::AllGather, CommOp::ReduceScatter),
            tokens * u64::from(share.shard.ep),
        ),
        (ExpertDispatch::AllGather, Direction::Combine) => (
            (CommOp::ReduceScatter, CommOp::AllGather),
            tokens * u64::from(share.shard.ep),
        ),
        (ExpertDispatch::AllToAll | ExpertDispatch::DeepEp | ExpertDispatch::HybridEp, _) => {
            ((CommOp::AllToAll, CommOp::AllToAll), bytes)
        }
    };
    let between_experts = (share.shard.ep > 1).then_some(Exchange {
        group: CommGroup::Expert,
        forward: Some((there, sent)),
        backward: Some((back, sent)),
        overlappable: false,
    });
    let gathered = etp * bytes;
    let (there, back) = match direction {
        Direction::Dispatch => (CommOp::AllGather, CommOp::ReduceScatter),
        Direction::Combine => (CommOp::ReduceScatter, CommOp::AllGather),
    };
    let expert_tensor = (etp > 1).then_some(Exchange {
        group: CommGroup::ExpertTensor,
        forward: Some((there, gathered)),
        backward: Some((back, gathered)),
        overlappable: false,
    });
    let order = match direction {
        Direction::Dispatch => [between_experts, expert_tensor],
        Direction::Combine => [expert_tensor, between_experts],
    };
    for exchange in order.into_iter().flatten() {
        layer.exchange(exchange);
    }
}

/// The experts' MLPs over the tokens that were dispatched to them.
fn experts(layer: &mut LayerBuilder, share: &Share, moe: &Mixture, routed: &Routed) {
    let etp = u64::from(share.shard.etp);
    let local = u64::from(routed.local);
    let rows = routed.copies * etp;
    let width = u64::from(moe.expert_ffn_hidden).div_ceil(etp);
    let group = ExpertRows {
        experts: local,
        visited: (routed.visits * etp).div_ceil(local),
        ragged: moe.capacity_factor.is_none(),
    };
    let linear = |outputs, inputs| Linear {
        tokens: rows.div_ceil(local),
        outputs,
        inputs,
        bias: share.network.biases,
        low_precision: true,
    };
    layer.experts(
        group,
        linear(gates(share.network.mlp) * width, routed.width),
    );
    let kept = routed.kept * etp;
    layer.keep_linear_input(kept * routed.width);
    keep_activation_input(layer, share, kept * width);
    layer.module(Module::MoeActivation, |layer| {
        if share.network.clamped_activation && !share.shard.fusion.expert_biases {
            limit_gates(layer, rows * width);
        }
        let fused = share.shard.fusion.expert_activation;
        let activated = Activated {
            elements: rows * width,
            kept: kept * width,
            fused,
        };
        activation_of(layer, share, activated);
        layer.keep_linear_input(kept * width);
    });
    layer.experts(group, linear(routed.width, width));
    if share.network.biases && !share.shard.fusion.expert_biases {
        add_biases(layer, rows * routed.width, routed.local);
    }
    let tokens = routed.copies * routed.width;
    let element = layer.element_bytes();
    // Outputs, and what their gradient passes through: in fp32 it, its products with weights and with outputs.
    let (outputs, weighing) = match share.shard.fusion.expert_outputs {
        ExpertOutputs::Freed => (0, 0),
        ExpertOutputs::Kept => (element, element),
        ExpertOutputs::Fp32 => (4, element + 3 * 4),
    };
    layer.keep(routed.kept * routed.width * outputs);
    layer.transient(tokens * weighing);
    // Gradients of tokens beside those of gate and input of the second product; then of tokens alone, as they come from the
    // first product and as they are sent back.
    let inner = beside_activation(share, rows * width);
    layer.transient((inner.max(tokens) + tokens) * element);
}

/// Limits both halves of what the activation sees, of `elements` each, which are slices of its rows. Forward two clamps and
/// their concatenation (NVIDIA/Megatron-LM megatron/core/fusions/fused_bias_geglu.py, `weighted_bias_quick_geglu_impl`).
/// Backward, of the one limit and the two, comparisons with what was limited, whose result is a byte, their conjunction (3) and a
/// choice between gradient and zero, and the gradient of the split (`clamp_backward` in
/// torch/csrc/autograd/FunctionsManual.cpp of PyTorch).
fn limit_gates(layer: &mut LayerBuilder, elements: u64) {
    let element = layer.element_bytes();
    let (compared, chosen) = (3 * (element + 1), 2 * (2 * element + 1));
    layer.operators(Passes {
        forward: (
            by_element(4 * element * elements) + 4 * element * elements,
            3,
        ),
        backward: (
            by_element((compared + chosen) * elements) + (3 + 4 * element) * elements,
            9,
        ),
    });
}

/// Adds the weighted biases of so many experts to their outputs, of `elements` together, expert by expert and in fp32.
/// Forward the product of a bias, which all rows share, and weights, which all columns do (4 bytes an element), its sum with the
/// output (10), the concatenation of all experts' (8) and the cast back (6); backward the casts of the gradient to fp32 (6)
/// and for the output (6), its products with weights and biases (16) and their sums (8), and the gradient of the split (4)
/// (NVIDIA/Megatron-LM megatron/core/transformer/moe/experts.py, `TEGroupedMLP._apply_bias`).
fn add_biases(layer: &mut LayerBuilder, elements: u64, experts: u32) {
    layer.operators(Passes {
        forward: (
            by_element(4 * elements) + (10 + 8 + 6) * elements,
            2 * experts + 2,
        ),
        backward: (
            by_element(16 * elements) + (6 + 6 + 8 + 4) * elements,
            7 * experts + 2,
        ),
    });
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::model::{
        Architecture, ExpertImbalance, LoweredLayer, Mixture, Model, Operator, Shard, lower,
    };

    // 8,000 visits of 8 experts are 1,000 each, and 1.25 times as many are room for 1,250. A busiest expert of 2,000 turns 750 away,
    // 0.09375 of all; one of 4,000, which every token visits, 2,750. One of 1,250 is full, and the others never are.
    #[test]
    fn a_busiest_expert_drops_what_it_has_no_room_for() {
        let model = &Catalog::builtin().models["mixtral-8x7b"];
        let moe = model.transformer().and_then(|it| it.moe).expect("experts");
        let of = |capacity_factor, imbalance| {
            let moe = Mixture {
                capacity_factor,
                ..moe
            };
            moe.dropped(ExpertImbalance::new(imbalance))
        };
        assert_eq!(moe.experts, 8);
        let limited = [1.0, 1.25, 2.0, 4.0].map(|imbalance| of(Some(1.25), imbalance));
        let dropped = [0.0, 0.0, 750.0 / 8000.0, 2750.0 / 8000.0];
        assert_eq!(limited, dropped.map(Some));
        assert_eq!(of(None, 4.0), None, "experts that take all drop none");
    }

    // 4,096 tokens of 2,048 against 128 experts of Qwen3 30B: one product forward and one for each gradient, all in fp32, and none of
    // them in 16 bits. The copy of the tokens takes 4 bytes an element, and its gradient as many: 33.6 MB each way.
    #[test]
    fn a_router_in_fp32_has_its_products_there() {
        let lowered = |fp32_router: bool| {
            let mut shard = Shard::whole(4096);
            shard.fusion.fp32_router = fp32_router;
            let mut model = lower(&Catalog::builtin().models["qwen3-30b-a3b"], &shard);
            model.layer_kinds.pop().expect("a model has layers")
        };
        let [cast, full] = [false, true].map(lowered);
        let passes = |layer: &LoweredLayer| {
            let input = layer.backward_input.iter();
            let weight = layer.backward_weight.iter();
            let all = layer.forward.iter().chain(input).chain(weight);
            all.cloned().collect::<Vec<_>>()
        };
        let products = |layer: &LoweredLayer| {
            let all = passes(layer).into_iter();
            let sizes = all.filter_map(|operator| match operator {
                Operator::FullGemm { m, n, k } => Some((m, n, k)),
                _ => None,
            });
            sizes.collect::<Vec<_>>()
        };
        let expected = [(4096, 128, 2048), (4096, 2048, 128), (128, 2048, 4096)];
        assert_eq!(products(&full), expected);
        assert!(products(&cast).is_empty());
        let in_half = |layer: &LoweredLayer| {
            let all = passes(layer);
            let of_router = |it: &&Operator| {
                matches!(
                    it,
                    Operator::Gemm {
                        n: 128,
                        k: 2048,
                        ..
                    }
                )
            };
            all.iter().filter(of_router).count()
        };
        assert_eq!((in_half(&cast), in_half(&full)), (1, 0));
        let moved = |layer: &LoweredLayer| -> u64 {
            let bytes = passes(layer).into_iter().map(|operator| match operator {
                Operator::Memory { bytes, .. } => bytes.get(),
                _ => 0,
            });
            bytes.sum()
        };
        assert_eq!(moved(&full) - moved(&cast), 2 * 4 * 4096 * 2048);
    }

    // GPT-OSS 20B: 4,096 tokens visit 4 of 32 experts, 16,384 rows of 2,880 elements in front of the second product and behind
    // it, 47.2 million. In kernels of their own limits move 16 bytes an element forward, of which 8 go element by element and take
    // 257/118 as long, and 30 with 19 such backward; biases 28 with 4, and 40 with 16. The calls: three limits forward and nine
    // back; two operators an expert and two around them forward, seven and two backward.
    #[test]
    fn limits_and_biases_of_experts_cost_their_passes() {
        let lowered = |fused: bool| {
            let mut shard = Shard::whole(4096);
            shard.fusion.expert_biases = fused;
            let mut model = lower(&Catalog::builtin().models["gpt-oss-20b"], &shard);
            model.layer_kinds.pop().expect("a model has layers")
        };
        let [fused, apart] = [true, false].map(lowered);
        let moved = |operators: &[Operator]| -> u64 {
            let bytes = operators.iter().map(|operator| match operator {
                Operator::Memory { bytes, .. } => bytes.get(),
                _ => 0,
            });
            bytes.sum()
        };
        let elements = 4096 * 4 * 2880;
        let forward = |layer: &LoweredLayer| moved(&layer.forward);
        let backward = |layer: &LoweredLayer| moved(&layer.backward_input);
        let near = |moved: u64, plain: u64, slow: u64| {
            let expected = (plain as f64 + slow as f64 * 257.0 / 118.0) * f64::from(elements);
            assert!((moved as f64 / expected - 1.0).abs() < 1e-6, "{moved}");
        };
        near(forward(&apart) - forward(&fused), 8 + 24, 8 + 4);
        near(backward(&apart) - backward(&fused), 11 + 24, 19 + 16);
        let operators = |layer: &LoweredLayer| {
            let calls = layer.calls;
            let routed = [calls.forward, calls.backward_input].map(|pass| pass.routed.operators);
            (routed[0], routed[1])
        };
        let (there, back) = operators(&fused);
        assert_eq!(
            operators(&apart),
            (there + 3 + 2 * 32 + 2, back + 9 + 7 * 32 + 2)
        );
    }

    // Mixtral 8x7B, 2 samples of 4,096 tokens that visit 2 of 8 experts with room for 1.25 times the mean: 1,280 places of an
    // expert, 10,240 of all. Dispatch multiplies 10,240 × 4,096 by 4,096 × 4,096 and has one gradient, combination has two; the
    // masks have 83.9 million elements, written by 3 bytes and read by 2 once more.
    #[test]
    fn masks_take_their_products_in_the_place_of_copies() {
        let lowered = |capacity_masks: bool, capacity_factor: Option<f64>| {
            let mut model = Model::clone(&Catalog::builtin().models["mixtral-8x7b"]);
            if let Architecture::Transformer(network) = &mut model.architecture {
                let moe = network.moe.as_mut().expect("experts");
                moe.capacity_factor = capacity_factor;
            }
            let mut shard = Shard::whole(4096);
            (shard.micro_batch, shard.fusion.capacity_masks) = (2, capacity_masks);
            let mut lowered = lower(&model, &shard);
            lowered.layer_kinds.pop().expect("a model has layers")
        };
        let (copied, masked) = (lowered(false, Some(1.25)), lowered(true, Some(1.25)));
        let batched = |operators: &[Operator]| {
            let products = operators.iter().filter_map(|operator| match operator {
                Operator::Gemm {
                    batch: 2, m, n, k, ..
                } => Some((*m, *n, *k)),
                _ => None,
            });
            products.collect::<Vec<_>>()
        };
        let (dispatch, combine) = ((10240, 4096, 4096), (4096, 4096, 10240));
        assert_eq!(batched(&masked.forward), [dispatch, combine]);
        // Backward the combination's products come first.
        let backward = batched(&masked.backward_input);
        assert_eq!(backward, [dispatch, (4096, 10240, 4096), combine]);
        assert!(batched(&copied.forward).is_empty());
        let elements = 2 * 4096 * 10240;
        let kept = |layer: &LoweredLayer| layer.kept.none.get();
        assert_eq!(kept(&masked) - kept(&copied), 3 * elements);
        // Experts that take as many as come get their rows by copies.
        let free = [false, true].map(|masks| batched(&lowered(masks, None).forward).len());
        assert_eq!(free, [0, 0]);
    }

    // Eight of GPT-OSS 20B's 32 experts a rank, of which the busiest has 3 times the mean: (3 + 7 · 29/31)/8 = 1.1935 times the rows
    // pass the products, and as many are kept as of balanced experts.
    #[test]
    fn the_busiest_rank_multiplies_more_and_keeps_as_much() {
        let layer = |imbalance| {
            let mut shard = Shard::whole(4096);
            shard.ep = 4;
            shard.expert_imbalance = ExpertImbalance::new(imbalance);
            let mut lowered = lower(&Catalog::builtin().models["gpt-oss-20b"], &shard);
            lowered.layer_kinds.pop().expect("a model has layers")
        };
        let rows = |layer: &LoweredLayer| {
            let products = layer.forward.iter().filter_map(|operator| match operator {
                Operator::GroupedGemm { groups, m, .. } => Some(groups * m),
                _ => None,
            });
            products.sum::<u64>() as f64
        };
        let (even, busy) = (layer(1.0), layer(3.0));
        assert!((rows(&busy) / rows(&even) / 1.1935 - 1.0).abs() < 1e-3);
        assert_eq!(busy.kept.none, even.kept.none);
        assert!(busy.kept.transient > even.kept.transient);
    }
}
