//! Time of casts to 8 and 4 bits.

use crate::hardware::{AttentionKernel, Precision};
use crate::kernel::context::KernelContext;
use crate::model::Operator;
use crate::stack::Fp8Recipe;

/// Bytes that a GPU streams in the time of casting one element along rows and along columns.
///
/// Linear layers of Transformer Engine with a hidden width of 4,096 over 15,872 tokens, profiled as forward passes of twelve
/// shapes, cast 1.495 · 10⁹ elements of inputs along rows and columns and 0.987 · 10⁹ of weights along rows alone
/// (benchmarks/gemm/benchmark_gemm.py: the input of each layer has a gradient of weights, none of its own). What they take
/// beyond the same products on cast tensors (those of current scaling for both 8-bit recipes) is, on a B300 and an H200
/// NVL, 0.99 and 2.19 ms with delayed scaling and 2.34 and 3.50 ms with current scaling, and on the B300 1.82 ms in MXFP8
/// and 2.69 ms in NVFP4 (NVIDIA/TransformerEngine@d0067d0da docs/examples/gemm_profiling/gemm_profiling.rst). Rows alone take
/// 3 of the 4 bytes that both take, 5 of 6 with current scaling and 9 of 10 in NVFP4, which read the tensor once more first. At
/// the 6.72 and 4.15 TB/s that those GPUs stream: 3.0 and 4.1 bytes, 6.8 and 6.3, 5.5, and 7.6; means of two GPUs.
const CAST_DELAYED: f64 = 3.5;
/// The same with current scaling, which reads the tensor once more for its maximum.
const CAST_CURRENT: f64 = 6.5;
/// The same in MXFP8, one scale per 32 elements.
const CAST_MXFP8: f64 = 5.5;
/// The same in NVFP4, one scale per 16 elements behind a Hadamard transform.
const CAST_NVFP4: f64 = 7.6;
/// The same with a scale per block of 128 elements: a pass of delayed scaling that writes 4 bytes for each 128 as well, 4.06
/// bytes for 4.
const CAST_BLOCK: f64 = 3.6;
/// The same in MXFP4, whose pass moves 3.06 bytes where MXFP8's moves 4.06.
const CAST_MXFP4: f64 = 4.1;
/// The same in integers, which XLA casts: what is moved, once more for the maximum (unmeasured).
const CAST_INT8: f64 = 6.0;

impl KernelContext<'_> {
    /// Seconds of the casts in front of attention on 8 bits, and kernels of both: of queries, keys and values forward, of the
    /// output's gradient backward. A cast reads 2 bytes and writes 1, and but for delayed scaling reads them once more for
    /// the tensor's maximum.
    pub(super) fn around_attention(&self, operator: &Operator) -> (f64, u32) {
        let Operator::Attention {
            batch,
            heads,
            kv_heads,
            seq_q,
            seq_kv,
            dim_qk,
            dim_v,
            kv_blocks,
            backward,
            ..
        } = *operator
        else {
            return (0.0, 0);
        };
        // Backward: row sums of output times gradient, the five products, conversion of dQ.
        let (kernels, tensors) = if backward { (3, 1) } else { (1, 3) };
        let kernels = kernels * kv_blocks as u32;
        if self.attention != AttentionKernel::Fp8 {
            return (0.0, kernels);
        }
        let elements = if backward {
            batch * seq_q * heads * dim_v
        } else {
            batch * (seq_q * heads * dim_qk + seq_kv * kv_heads * (dim_qk + dim_v))
        };
        let (bytes, passes) = match self.recipe {
            Fp8Recipe::Delayed => (3.0, 1),
            Fp8Recipe::Current | Fp8Recipe::Block => (5.0, 2),
        };
        let seconds = elements as f64 * bytes / self.stream();
        (seconds, kernels + passes * tensors)
    }

    /// Seconds and kernels of casts, which write so many tensors along rows and along columns. With delayed scaling one
    /// kernel casts all of them, with every other recipe each has its own (`multi_tensor_quantize_impl` in
    /// transformer_engine/pytorch/csrc/extensions/cast.cpp of v2.9).
    pub(super) fn cast(&self, elements: u64, tensors: u64) -> (f64, u32) {
        let (bytes, each) = match (self.precision, self.recipe) {
            (Precision::Fp32 | Precision::Tf32 | Precision::Fp16 | Precision::Bf16, _) => {
                return (0.0, 0);
            }
            (Precision::Fp8, Fp8Recipe::Delayed) => (CAST_DELAYED, 1),
            (Precision::Fp8, Fp8Recipe::Current) => (CAST_CURRENT, 3),
            (Precision::Fp8, Fp8Recipe::Block) if self.scales_blocks() => (CAST_MXFP8, 1),
            (Precision::Fp8, Fp8Recipe::Block) => (CAST_BLOCK, 1),
            (Precision::MxFp8, _) => (CAST_MXFP8, 1),
            (Precision::MxFp4, _) => (CAST_MXFP4, 1),
            (Precision::NvFp4, _) => (CAST_NVFP4, 3),
            (Precision::Int8, _) => (CAST_INT8, 3),
        };
        let together = self.precision == Precision::Fp8 && self.recipe == Fp8Recipe::Delayed;
        let kernels = if together {
            each
        } else {
            each * u32::try_from(tensors).expect("a rank holds fewer than 2³² experts")
        };
        let seconds = elements as f64 * bytes / self.stream();
        (seconds + self.floors(kernels), kernels)
    }
}
