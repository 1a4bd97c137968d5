//! Kernels and communications that layers are made of.

use crate::units::{Bytes, Flops};

/// Ranks that take part in a communication of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CommGroup {
    /// Tensor-parallel group.
    Tensor,
    /// Context-parallel group.
    Context,
    /// Expert-parallel group.
    Expert,
    /// All ranks that hold experts or parts of them, which tell each other how many rows each expert gets.
    ExpertCounts,
    /// Tensor-parallel group inside the experts.
    ExpertTensor,
}

/// Communication inside a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CommOp {
    /// Every rank gets the sum of all buffers.
    AllReduce,
    /// Every rank gets all shares.
    AllGather,
    /// Every rank gets its share of the sum.
    ReduceScatter,
    /// Every rank gets a share from every other.
    AllToAll,
    /// Every rank passes a share on around the ring (ring attention).
    RingExchange,
}

/// One kernel or communication of a layer, as one rank executes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operator {
    /// `batch` products of an m×k by a k×n matrix.
    Gemm {
        /// Independent products.
        batch: u64,
        /// Rows of the result.
        m: u64,
        /// Columns of the result.
        n: u64,
        /// Length of the inner loop.
        k: u64,
        /// Whether an 8- or 4-bit recipe applies (not to head, router and unfused attention).
        low_precision: bool,
    },
    /// A product of an m×k by a k×n matrix in fp32, whatever the format of the others.
    FullGemm {
        /// Rows of the result.
        m: u64,
        /// Columns of the result.
        n: u64,
        /// Length of the inner loop.
        k: u64,
    },
    /// `groups` products of different weights, the same number of tokens each on average.
    GroupedGemm {
        /// Experts on this rank.
        groups: u64,
        /// Rows of each result.
        m: u64,
        /// Columns of the result.
        n: u64,
        /// Length of the inner loop.
        k: u64,
        /// Whether tokens lie along the inner loop (a gradient of weights), otherwise along the rows.
        over_tokens: bool,
        /// Whether each expert has as many tokens as visit it, otherwise all the same number.
        ragged: bool,
    },
    /// Fused attention.
    Attention {
        /// Sequences.
        batch: u64,
        /// Query heads on this rank.
        heads: u64,
        /// Key and value heads on this rank.
        kv_heads: u64,
        /// Query tokens of a sequence on this rank.
        seq_q: u64,
        /// Key tokens of a sequence.
        seq_kv: u64,
        /// Width of a query and key head.
        dim_qk: u64,
        /// Width of a value head.
        dim_v: u64,
        /// Blocks in which the keys that a query may see come to a rank, a kernel each.
        kv_blocks: u64,
        /// Whether half of the square is masked.
        causal: bool,
        /// Window of local attention in tokens; `None`: all tokens.
        window: Option<u64>,
        /// Whether it is the backward pass (5 products instead of 2).
        backward: bool,
    },
    /// Convolution as an implicit matrix product.
    Conv {
        /// Images.
        batch: u64,
        /// Channels in.
        channels_in: u64,
        /// Channels out.
        channels_out: u64,
        /// Pixels of a side of the square output.
        size_out: u64,
        /// Pixels of a side of the square kernel.
        kernel: u64,
        /// Step between output pixels.
        stride: u64,
    },
    /// Kernels of a layer that carries a state.
    Scan {
        /// Products of all kernels.
        flops: Flops,
        /// Bytes that they read and write.
        bytes: Bytes,
        /// Kernels.
        kernels: u32,
    },
    /// Work bounded by memory: norms, activations, residuals, dropout, permutations, casts.
    Memory {
        /// Bytes read and written.
        bytes: Bytes,
        /// Kernels that share them.
        kernels: u32,
    },
    /// Quantisation of a product's input to 8 or 4 bits; what it moves depends on the recipe.
    Cast {
        /// Elements that are read once in 16 bits.
        elements: u64,
        /// Tensors that they form, each with scales of its own: one for each expert of a group.
        tensors: u64,
    },
    /// Communication.
    Comm {
        /// Operation.
        op: CommOp,
        /// Ranks that take part.
        group: CommGroup,
        /// The whole buffer in the convention of nccl-tests: for all-gather the gathered result,
        /// for reduce-scatter the input, for all-to-all what one rank sends in all (its own share
        /// included), for a ring exchange what one rank passes on in one of its rounds.
        bytes: Bytes,
        /// Whether a matrix product can hide it (tensor-parallel overlap).
        overlappable: bool,
    },
}

impl Operator {
    /// Floating-point work of the kernel; zero for memory-bound work and communication.
    ///
    /// A product of `m × k` by `k × n` is `2mnk`. Fused attention counts the visible part of the
    /// score matrix only: two products forward, five backward. Masked tiles that the kernel
    /// computes all the same are not counted.
    pub(crate) fn flops(&self) -> Flops {
        let count = match *self {
            Self::Gemm { batch, m, n, k, .. } => product_flops(batch, m, n, k),
            Self::FullGemm { m, n, k } => product_flops(1, m, n, k),
            Self::GroupedGemm {
                groups, m, n, k, ..
            } => product_flops(groups, m, n, k),
            Self::Attention {
                batch,
                heads,
                dim_qk,
                dim_v,
                backward,
                ..
            } => {
                let widths = if backward {
                    3 * dim_qk + 2 * dim_v
                } else {
                    dim_qk + dim_v
                };
                2.0 * (batch * heads) as f64 * self.visible_scores() * widths as f64
            }
            Self::Conv {
                batch,
                channels_in,
                channels_out,
                size_out,
                kernel,
                ..
            } => product_flops(
                batch,
                size_out * size_out,
                channels_out,
                channels_in * kernel * kernel,
            ),
            Self::Scan { flops, .. } => flops.get(),
            Self::Memory { .. } | Self::Cast { .. } | Self::Comm { .. } => 0.0,
        };
        Flops::new(count)
    }

    /// Entries of one head's score matrix that are not masked; zero for everything but attention.
    ///
    /// Causal: half of the square; with a window `w` of local attention the band `s·w − w²/2`.
    /// A rank of a context-parallel group has its proportion (the tokens are dealt out so that all
    /// ranks have equal work).
    pub(crate) fn visible_scores(&self) -> f64 {
        let Self::Attention {
            seq_q,
            seq_kv,
            causal,
            window,
            ..
        } = *self
        else {
            return 0.0;
        };
        let (rows, columns) = (seq_q as f64, seq_kv as f64);
        let local = window
            .map(|tokens| tokens as f64)
            .filter(|tokens| *tokens < columns);
        let seen = match (causal, local) {
            (true, None) => columns / 2.0,
            (true, Some(window)) => window - window * window / (2.0 * columns),
            (false, None) => columns,
            (false, Some(window)) => window,
        };
        rows * seen
    }
}

fn product_flops(batch: u64, m: u64, n: u64, k: u64) -> f64 {
    2.0 * batch as f64 * m as f64 * n as f64 * k as f64
}
