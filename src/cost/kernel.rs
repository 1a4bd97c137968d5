//! Time of one operator on one GPU.

use crate::cost::attention::{self, attention_seconds};
use crate::cost::product::{self, Product, product_seconds};
use crate::hardware::{AttentionKernel, Gpu, Precision};
use crate::model::Operator;
use crate::stack::{KernelFractions, LowPrecisionRecipe};
use crate::units::{Flops, SimDuration};

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
///
/// A gradient of weights writes its result once; adding it to a gradient buffer is not in it.
pub fn operator_time(operator: &Operator, context: &KernelContext) -> KernelTime {
    let (seconds, kernels) = match *operator {
        Operator::Gemm {
            batch,
            m,
            n,
            k,
            low_precision,
        } => {
            let precision = if low_precision {
                context.precision
            } else {
                context.precision.high()
            };
            (context.product([batch, m, n, k], precision), 1)
        }
        Operator::GroupedGemm { groups, m, n, k } => {
            (context.product([groups, m, n, k], context.precision), 1)
        }
        Operator::Conv { .. } => (context.convolution(operator), 1),
        Operator::Attention { backward, .. } => {
            // Backward: row sums of output times gradient, the five products, conversion of dQ.
            let kernels = if backward { 3 } else { 1 };
            (
                context.attention(operator) + context.floors(kernels),
                kernels,
            )
        }
        Operator::Memory { bytes, kernels } => (
            bytes.as_f64() / context.stream() + context.floors(kernels),
            kernels,
        ),
        Operator::Cast { elements } => context.cast(elements),
        Operator::Comm { .. } => (0.0, 0),
    };
    KernelTime {
        busy: SimDuration::from_secs_f64(seconds),
        kernels,
        flops: operator.flops(),
    }
}

impl KernelContext<'_> {
    /// Bandwidth that memory-bound kernels reach, B/s.
    fn stream(&self) -> f64 {
        let rates = &self.gpu.rates;
        self.gpu.memory_bandwidth.as_bytes_per_s() * rates.memory_fraction * self.fractions.memory
    }

    fn floors(&self, kernels: u32) -> f64 {
        f64::from(kernels) * self.gpu.rates.kernel_floor.as_secs_f64()
    }

    fn machine(&self, precision: Precision, fraction: f64) -> product::Machine {
        product::Machine {
            peak: self.gpu.peak(precision).as_flops_per_s(),
            rate: self.gpu.rates.product(precision),
            sms: self.gpu.sms,
            free_sms: self.free_sms,
            stream: self.stream(),
            fraction,
        }
    }

    fn product(&self, [batch, m, n, k]: [u64; 4], precision: Precision) -> f64 {
        let operands = (batch * (m * k + n * k)) as f64 * operand_bytes(precision);
        let result = (batch * m * n * precision.storage_bytes()) as f64;
        let product = Product {
            batch,
            m,
            n,
            k,
            bytes: operands + result,
        };
        product_seconds(&product, &self.machine(precision, self.fractions.gemm))
    }

    /// An implicit matrix product over pixels, output channels and the inputs of one pixel; few
    /// input channels (of an image) are padded to 8.
    fn convolution(&self, operator: &Operator) -> f64 {
        let Operator::Conv {
            batch,
            channels_in,
            channels_out,
            size_out,
            kernel,
            stride,
        } = *operator
        else {
            return 0.0;
        };
        let precision = self.precision.high();
        let pixels = batch * size_out * size_out;
        let elements = pixels * (stride * stride * channels_in + channels_out);
        let product = Product {
            batch: 1,
            m: pixels,
            n: channels_out,
            k: channels_in.next_multiple_of(8) * kernel * kernel,
            bytes: (elements * precision.storage_bytes()) as f64,
        };
        let fraction = self.fractions.convolution * self.gpu.rates.convolution_fraction;
        product_seconds(&product, &self.machine(precision, fraction))
    }

    fn attention(&self, operator: &Operator) -> f64 {
        let machine = attention::Machine {
            peak: self.gpu.peak(self.precision.high()).as_flops_per_s(),
            rate: self.gpu.rates.attention(self.attention),
            sms: self.gpu.sms,
            free_sms: self.free_sms,
            fraction: self.fractions.attention,
        };
        attention_seconds(operator, &machine)
    }

    /// Seconds and kernels of a cast. Every recipe writes the tensor twice, along rows and along
    /// columns, with one scale per 32 or 16 elements for the block formats; 4-bit tensors are read
    /// once more for their maximum, as are 8-bit ones with current scaling.
    fn cast(&self, elements: u64) -> (f64, u32) {
        let current = match self.recipe {
            LowPrecisionRecipe::Delayed => false,
            LowPrecisionRecipe::Current => true,
        };
        let (bytes, kernels) = match self.precision {
            Precision::Fp32 | Precision::Tf32 | Precision::Fp16 | Precision::Bf16 => {
                return (0.0, 0);
            }
            Precision::Fp8 if current => (6.0, 3),
            Precision::Fp8 => (4.0, 1),
            Precision::MxFp8 => (4.0 + 2.0 / 32.0, 1),
            Precision::NvFp4 => (5.0 + 2.0 / 16.0, 3),
        };
        (
            elements as f64 * bytes / self.stream() + self.floors(kernels),
            kernels,
        )
    }
}

/// Bytes of an operand's element.
fn operand_bytes(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 | Precision::Tf32 => 4.0,
        Precision::Fp16 | Precision::Bf16 => 2.0,
        Precision::Fp8 | Precision::MxFp8 => 1.0,
        Precision::NvFp4 => 0.5,
    }
}
