//! Time of one operator on one GPU.

use crate::hardware::{AttentionKernel, Gpu, Precision};
use crate::model::Operator;
use crate::stack::{KernelFractions, LowPrecisionRecipe};
use crate::units::{Bytes, Flops, SimDuration};

/// What a kernel runs on and with.
#[derive(Clone, Copy, Debug)]
pub struct KernelContext<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// Format of the matrix products.
    pub precision: Precision,
    /// Kernel of fused attention.
    pub attention: AttentionKernel,
    /// How 8-bit tensors get their scale.
    pub recipe: LowPrecisionRecipe,
    /// What the stack's kernels reach of the GPU's rates.
    pub fractions: KernelFractions,
    /// SMs left beside communication kernels; `gpu.sms` when none run.
    pub free_sms: u32,
}

/// Time of one operator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KernelTime {
    /// Time that the GPU is busy, without the gaps between kernels.
    pub busy: SimDuration,
    /// Kernels that are launched.
    pub kernels: u32,
    /// Work done.
    pub flops: Flops,
}

/// Time of one operator; a communication takes none here, since its time depends on the network.
pub fn operator_time(operator: &Operator, context: &KernelContext) -> KernelTime {
    let flops = operator.flops();
    let (seconds, kernels) = match *operator {
        Operator::Gemm {
            batch,
            m,
            n,
            k,
            low_precision,
        } => (
            product_seconds(
                context,
                low_precision,
                flops,
                batch * (m * k + n * k + m * n),
            ),
            1,
        ),
        Operator::GroupedGemm { groups, m, n, k } => (
            product_seconds(context, true, flops, groups * (m * k + n * k + m * n)),
            1,
        ),
        Operator::Conv {
            batch,
            channels_in,
            channels_out,
            size_out,
            stride,
            ..
        } => {
            let pixels = batch * size_out * size_out;
            let elements = pixels * (channels_in * stride * stride + channels_out);
            (product_seconds(context, false, flops, elements), 1)
        }
        Operator::Attention { backward, .. } => attention_seconds(context, flops, backward),
        Operator::Memory { bytes, kernels } => (memory_seconds(context, bytes, kernels), kernels),
        Operator::Cast { elements } => (memory_seconds(context, Bytes::new(4 * elements), 1), 1),
        Operator::Comm { .. } => (0.0, 0),
    };
    KernelTime {
        busy: SimDuration::from_secs_f64(seconds),
        kernels,
        flops,
    }
}

fn product_seconds(
    context: &KernelContext,
    low_precision: bool,
    flops: Flops,
    elements: u64,
) -> f64 {
    let precision = if low_precision {
        context.precision
    } else {
        context.precision.high()
    };
    let rates = &context.gpu.rates;
    let ceiling = rates.gemm.get(&precision).map_or(0.6, |rate| rate.ceiling);
    let compute = flops.get() / (peak(context.gpu, precision) * ceiling);
    let bytes = elements * precision.storage_bytes();
    compute.max(stream_seconds(context.gpu, bytes)) + rates.kernel_floor.as_secs_f64()
}

fn attention_seconds(context: &KernelContext, flops: Flops, backward: bool) -> (f64, u32) {
    let rate = context.gpu.rates.attention.get(&context.attention);
    let fraction = rate.map_or(0.4, |rate| {
        if backward {
            rate.backward
        } else {
            rate.forward
        }
    });
    let compute = flops.get() / (peak(context.gpu, context.precision.high()) * fraction);
    let kernels = if backward { 3 } else { 1 };
    let floor = context.gpu.rates.kernel_floor.as_secs_f64();
    (compute + f64::from(kernels) * floor, kernels)
}

fn memory_seconds(context: &KernelContext, bytes: Bytes, kernels: u32) -> f64 {
    let floor = context.gpu.rates.kernel_floor.as_secs_f64();
    stream_seconds(context.gpu, bytes.get()) + f64::from(kernels) * floor
}

fn stream_seconds(gpu: &Gpu, bytes: u64) -> f64 {
    bytes as f64 / (gpu.memory_bandwidth.as_bytes_per_s() * gpu.rates.memory_fraction)
}

/// Dense peak in a format, or in the widest the GPU has.
fn peak(gpu: &Gpu, precision: Precision) -> f64 {
    gpu.peaks
        .get(precision)
        .or_else(|| gpu.peaks.0.values().next_back().copied())
        .map_or(1e12, crate::units::FlopRate::as_flops_per_s)
}
