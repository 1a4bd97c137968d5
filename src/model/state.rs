//! Layers that carry a state along the sequence: Mamba-2, Mamba and the gated delta net.
//!
//! Mamba-2 and the delta net run in chunks: products inside a chunk, and a state that is handed from chunk to chunk. Widths,
//! kernels and intermediates are those of the public Triton kernels: `mamba_ssm/ops/triton/ssd_combined.py` of
//! state-spaces/mamba, and `fla/ops/gated_delta_rule` of fla-org/flash-linear-attention; of Mamba, those of
//! `mamba_ssm/ops/selective_scan_interface.py`. Their time is a part of a roofline ([`Operator::Scan`]).
//!
//! Context-parallel ranks exchange tokens for heads in front of the convolution and behind the scan, so that each has all
//! tokens of 1/cp of the heads, whatever attention does. Keys and queries of heads that several ranks share are sent to each of them
//! (NVIDIA/Megatron-LM megatron/core/ssm/mamba_context_parallel.py). Of Mamba's channels no framework does that.

use crate::model::hybrid::Recurrence;
use crate::model::layer::{Exchange, LayerBuilder, Linear, Passes};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, gather_again, leave};
use crate::model::{CommGroup, CommOp, Operator};
use crate::units::{Bytes, Flops};

/// Tokens of a chunk of Mamba-2 (NVIDIA/Megatron-LM megatron/core/ssm/mamba_mixer.py).
const MAMBA_CHUNK: u64 = 128;
/// Tokens of a chunk of the delta net (fla/ops/gated_delta_rule/chunk.py).
const DELTA_CHUNK: u64 = 64;
/// Bytes that the backward pass of a scan moves over those of the forward pass: what was not kept is made again, and
/// each input has a gradient as well as a use (estimate).
const BACKWARD_BYTES: u64 = 3;

/// Sizes of such a layer on one rank.
struct Part {
    heads: u64,
    groups: u64,
    /// Rows and columns of a head's state.
    rows: u64,
    columns: u64,
    inner: u64,
    convolved: u64,
    element: u64,
}

impl Part {
    fn of(share: &Share, state: &Recurrence, element: u64) -> Self {
        let heads = share.part(u64::from(state.state_heads));
        let groups = share.part(u64::from(state.state_groups));
        let (rows, columns) = (u64::from(state.state_size), u64::from(state.state_head_dim));
        Self {
            heads,
            groups,
            rows,
            columns,
            inner: heads * columns,
            convolved: heads * columns + 2 * groups * rows,
            element,
        }
    }
}

impl Part {
    /// Heads that a context-parallel rank has behind the exchange.
    fn of_each(&self, cp: u64) -> Self {
        if cp == 1 {
            return Self { ..*self };
        }
        let (heads, groups) = (self.heads / cp, self.groups.max(cp) / cp);
        let inner = heads * self.columns;
        Self {
            heads,
            groups,
            inner,
            convolved: inner + 2 * groups * self.rows,
            ..*self
        }
    }
}

/// Work of a scan for one token: products inside chunks, products with the state, and bytes of the forward pass.
struct Scan {
    /// FLOPs of the forward pass.
    flops: u64,
    /// Those among them that the backward pass does once more because their results were not kept.
    repeated: u64,
    bytes: u64,
    kernels: (u32, u32),
}

impl Scan {
    /// Recurrence-space duality (arXiv 2405.21060 §6): scores of a group and values of a head inside a chunk, of which
    /// half is masked; the chunk's state and its use. Kernels: sums of the steps, states of chunks, their passing,
    /// scores, outputs; fourteen backward.
    fn mamba2(part: &Part) -> Self {
        let scores = MAMBA_CHUNK * part.rows * part.groups;
        let inside = MAMBA_CHUNK * part.inner;
        let states = 2 * part.rows * part.inner;
        let passed = 4 * part.inner * part.rows * 4 / MAMBA_CHUNK;
        Self {
            flops: scores + inside + 2 * states,
            repeated: scores + states,
            bytes: 3 * part.inner * part.element
                + 4 * part.groups * part.rows * part.element
                + passed
                + 2 * part.groups * MAMBA_CHUNK * 4
                + 16 * part.heads,
            kernels: (5, 14),
        }
    }

    /// A selective scan (arXiv 2312.00752 §3.3): values, steps and gate are read and the output is written once, keys and
    /// queries of all channels too; the state stays on the chip. 9 FLOPs for each channel and row, and 2 for each channel
    /// (state-spaces/mamba issue 110), which are no products: bytes alone decide its time.
    fn mamba(part: &Part) -> Self {
        Self {
            flops: part.inner * (9 * part.rows + 2),
            repeated: part.inner * 9 * part.rows,
            bytes: (4 * part.inner + 2 * part.rows) * part.element,
            kernels: (1, 1),
        }
    }

    /// The gated delta rule in chunks (arXiv 2412.06464 §3.3): products of keys with keys, of the inverse with
    /// keys and values, of queries with keys and of scores with values, half of each masked; corrections by the
    /// state, the chunk's state and its use. Kernels: sums of the gates, products of keys, inverse, keys and values,
    /// states, outputs; nine backward.
    fn delta_net(part: &Part) -> Self {
        let (keys, values) = (part.rows, part.columns);
        let inside = DELTA_CHUNK * (3 * keys + 2 * values);
        let state = 2 * keys * values;
        let moved = part.element * (5 * keys + 4 * values + 2 * (keys + values))
            + 12 * DELTA_CHUNK
            + 2 * keys * values * part.element / DELTA_CHUNK;
        Self {
            flops: part.heads * (inside + 3 * state),
            repeated: part.heads * (DELTA_CHUNK * (keys + values) + 2 * state),
            bytes: part.heads * moved,
            kernels: (6, 9),
        }
    }

    /// Adds the scan over so many tokens.
    fn run(&self, layer: &mut LayerBuilder, tokens: u64) {
        let flops = |each: u64| Flops::new(tokens as f64 * each as f64);
        let forward = Operator::Scan {
            flops: flops(self.flops),
            bytes: Bytes::new(tokens * self.bytes),
            kernels: self.kernels.0,
        };
        let backward = Operator::Scan {
            flops: flops(2 * self.flops + self.repeated),
            bytes: Bytes::new(BACKWARD_BYTES * tokens * self.bytes),
            kernels: self.kernels.1,
        };
        layer.operator(forward, [backward]);
    }

    /// Counts the scan over so many tokens as work of the model.
    fn count(&self, layer: &mut LayerBuilder, tokens: u64) {
        layer.model_flops(tokens as f64 * self.flops as f64);
    }
}

/// All-to-all of context-parallel ranks, with the copies that order what is sent and what arrives.
fn trade(layer: &mut LayerBuilder, share: &Share, width: u64, tensors: u32) {
    if share.shard.cp == 1 {
        return;
    }
    let bytes = share.tokens * width * layer.element_bytes();
    let all = Some((CommOp::AllToAll, bytes));
    layer.exchange(Exchange {
        group: CommGroup::Context,
        forward: all,
        backward: all,
        overlappable: false,
    });
    // Parts of each tensor are put one behind the other, and tokens back into their order, or out of it.
    layer.memory(Passes {
        forward: (4 * bytes, tensors + 1),
        backward: (4 * bytes, tensors + 1),
    });
    layer.transient(bytes);
}

/// Exchange of tokens for heads: values and gate, keys and queries, and `numbers` of each head; gives the heads of a rank and
/// the tokens that it has of them.
fn to_heads(layer: &mut LayerBuilder, share: &Share, part: &Part, numbers: u64) -> (Part, u64) {
    let cp = u64::from(share.shard.cp);
    let groups = if cp == 1 {
        part.groups
    } else {
        part.groups.max(cp)
    };
    let shared = 2 * groups * part.rows;
    trade(
        layer,
        share,
        2 * part.inner + shared + numbers * part.heads,
        5,
    );
    let again = 2 * (groups - part.groups) * part.rows;
    let element = layer.element_bytes();
    layer.keep(share.tokens * again * element);
    (part.of_each(cp), cp * share.tokens)
}

/// Mamba-2: gate, values, keys, queries and steps in one product, convolution, scan, gated norm, product.
pub(super) fn mamba2(layer: &mut LayerBuilder, share: &Share, state: &Recurrence) {
    let part = Part::of(share, state, layer.element_bytes());
    let projected = part.inner + part.convolved + part.heads;
    project(layer, share, projected);
    let (own, tokens) = to_heads(layer, share, &part, 1);
    // The combined kernel keeps the projection alone and convolves once more.
    convolve(layer, tokens, &own);
    layer.parameters(part.convolved * (u64::from(state.conv_width) + 1));
    // Decay, skip and step bias of each head.
    layer.parameters(3 * part.heads);
    Scan::mamba2(&part).count(layer, share.tokens);
    Scan::mamba2(&own).run(layer, tokens);
    trade(layer, share, part.inner, 1);
    layer.parameters(part.inner);
    put_out(layer, share, &part);
}

/// Mamba: values and gate in one product, convolution, steps, keys and queries of the convolved values, scan, product. The
/// fused function keeps the first product's output, steps, keys and queries, and computes what lies between once more
/// (`MambaInnerFn`, `checkpoint_lvl` = 1). A tensor-parallel rank has a part of the channels, and sums steps, keys and queries
/// with the others.
pub(super) fn mamba(layer: &mut LayerBuilder, share: &Share, state: &Recurrence) {
    let part = Part {
        groups: 0,
        convolved: share.part(state.inner()),
        ..Part::of(share, state, layer.element_bytes())
    };
    let selected = state.selected();
    project(layer, share, 2 * part.inner);
    convolve(layer, share.tokens, &part);
    layer.parameters(part.convolved * (u64::from(state.conv_width) + 1));
    let linear = |outputs, inputs, bias| Linear {
        tokens: share.tokens,
        outputs,
        inputs,
        bias,
        low_precision: true,
    };
    layer.linear(linear(selected, part.inner, false));
    let bytes = share.tokens * selected * part.element;
    if share.tp > 1 {
        let summed = Some((CommOp::AllReduce, bytes));
        layer.exchange(Exchange {
            group: CommGroup::Tensor,
            forward: summed,
            backward: summed,
            overlappable: false,
        });
    }
    layer.keep(bytes);
    if state.state_norms {
        layer.parameters(selected);
        if share.tp > 1 {
            layer.partial(selected);
        }
        layer.memory(Passes {
            forward: (2 * bytes, 3),
            backward: (3 * bytes, 3),
        });
    }
    layer.linear(linear(part.inner, u64::from(state.step_rank), true));
    // Decay of each channel and row, and skip of each channel.
    layer.parameters(part.inner * part.rows);
    layer.parameters(part.inner);
    let scan = Scan::mamba(&part);
    scan.count(layer, share.tokens);
    scan.run(layer, share.tokens);
    layer.linear(linear(share.hidden, part.inner, share.network.biases));
    layer.keep_linear_input(share.tokens * part.inner);
    leave(layer, share);
}

/// Gated delta net: queries, keys, values, gate and two numbers of each head in one product, convolution, scan,
/// gated norm, product.
pub(super) fn delta_net(layer: &mut LayerBuilder, share: &Share, state: &Recurrence) {
    let part = Part::of(share, state, layer.element_bytes());
    project(layer, share, part.inner + part.convolved + 2 * part.heads);
    let (own, tokens) = to_heads(layer, share, &part, 2);
    convolve(layer, tokens, &own);
    layer.parameters(part.convolved * u64::from(state.conv_width));
    // Convolved queries, keys and values, and the inverse of each chunk.
    let kept = own.convolved + own.heads * DELTA_CHUNK;
    layer.keep(tokens * kept * part.element);
    layer.parameters(2 * part.heads);
    Scan::delta_net(&part).count(layer, share.tokens);
    Scan::delta_net(&own).run(layer, tokens);
    // The gated norm is behind the exchange, so that the gate goes back, too.
    trade(layer, share, 2 * part.inner, 2);
    // One norm for all heads.
    layer.parameters(part.columns);
    if share.tp > 1 {
        layer.partial(part.columns);
    }
    put_out(layer, share, &part);
}

/// The product in front; its output is kept.
fn project(layer: &mut LayerBuilder, share: &Share, outputs: u64) {
    enter(layer, share, Gathered::of(share.hidden));
    layer.linear(Linear {
        tokens: share.tokens,
        outputs,
        inputs: share.hidden,
        bias: share.network.biases,
        low_precision: true,
    });
    layer.keep_normed_input(share.norm_tokens * share.hidden);
    gather_again(layer, share, Gathered::of(share.hidden));
    let element = layer.element_bytes();
    layer.keep(share.tokens * outputs * element);
}

/// Convolution of each channel along the sequence, with its activation.
fn convolve(layer: &mut LayerBuilder, tokens: u64, part: &Part) {
    let bytes = tokens * part.convolved * part.element;
    layer.memory(Passes {
        forward: (2 * bytes, 1),
        backward: (4 * bytes, 2),
    });
}

/// Norm of the heads' outputs times their gate, and the product behind it.
fn put_out(layer: &mut LayerBuilder, share: &Share, part: &Part) {
    let bytes = share.tokens * part.inner * part.element;
    layer.memory(Passes {
        forward: (3 * bytes, 1),
        backward: (6 * bytes, 2),
    });
    layer.keep(bytes);
    layer.linear(Linear {
        tokens: share.tokens,
        outputs: share.hidden,
        inputs: part.inner,
        bias: share.network.biases,
        low_precision: true,
    });
    layer.keep_linear_input(share.tokens * part.inner);
    leave(layer, share);
}
