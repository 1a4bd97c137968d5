//! Hardware and software that a kernel runs on, and the rates that they make.

use crate::hardware::{AttentionKernel, AttentionRate, GemmRate, Gpu, Precision};
use crate::kernel::machine::Machine;
use crate::stack::{Fp8Recipe, KernelFractions};

/// Part of the rate of products with a scale per tensor that those with a scale per block reach where the matrix units do not
/// apply the scales: four linear layers of Transformer Engine take 22.88 ms on an H200 NVL, of which 2.22 are casts, for
/// 16.79 ms of products of cast tensors with current scaling (NVIDIA/TransformerEngine@d0067d0da
/// docs/examples/gemm_profiling/gemm_profiling.rst).
const BLOCK_FRACTION: f64 = 0.81;

/// Hardware and software that a kernel runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelContext<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// Format of the matrix products.
    pub precision: Precision,
    /// Kernel of fused attention.
    pub attention: AttentionKernel,
    /// Scaling recipe of 8-bit tensors.
    pub recipe: Fp8Recipe,
    /// Fractions of the GPU's rates that the stack's kernels reach.
    pub fractions: KernelFractions,
    /// Whether each operation of the framework is a kernel of its own.
    pub eager: bool,
    /// SMs that communication kernels leave free; `gpu.sms` when none run.
    pub free_sms: u32,
}

impl KernelContext<'_> {
    /// Bandwidth that large streams reach, B/s.
    pub(super) fn stream(&self) -> f64 {
        self.bandwidth(self.gpu.rates.memory_fraction)
    }

    /// Bandwidth that memory-bound kernels between the products reach, B/s.
    pub(super) fn memory_bound(&self) -> f64 {
        let rates = &self.gpu.rates;
        self.bandwidth(if self.eager {
            rates.eager_fraction
        } else {
            rates.memory_fraction
        })
    }

    fn bandwidth(&self, fraction: f64) -> f64 {
        self.gpu.memory_bandwidth.as_bytes_per_s() * fraction * self.fractions.memory
    }

    /// Precision of a product, which a recipe may run in the low one.
    pub(super) fn precision_of(&self, low_precision: bool) -> Precision {
        if low_precision {
            self.precision
        } else {
            self.precision.high()
        }
    }

    /// Format of a product in fp32: that of the others in 16 or 32 bits where the GPU has no rate in fp32.
    pub(super) fn full_precision(&self) -> Precision {
        match self.gpu.peaks.get(Precision::Fp32) {
            Some(_) => Precision::Fp32,
            None => self.precision.high(),
        }
    }

    /// Seconds from start to end of so many kernels if they had no work.
    pub(super) fn floors(&self, kernels: u32) -> f64 {
        f64::from(kernels) * self.gpu.rates.kernel_floor.as_secs_f64()
    }

    /// The GPU as products and attention in a format see it, at a fraction of its rates.
    pub(super) fn machine(&self, precision: Precision, fraction: f64) -> Machine {
        Machine {
            peak: self.gpu.peak(precision).as_flops_per_s(),
            sms: self.gpu.sms,
            free_sms: self.free_sms,
            stream: self.stream(),
            fraction,
        }
    }

    /// Whether the matrix units apply a scale per block.
    pub(super) fn scales_blocks(&self) -> bool {
        self.gpu.peaks.get(Precision::MxFp8).is_some()
    }

    /// Rate and machine of products in a format. Scales per block are MXFP8's where the GPU has that format, to which
    /// Transformer Engine converts them.
    pub(super) fn product_on(&self, precision: Precision) -> (GemmRate, Machine) {
        let is_block = precision == Precision::Fp8 && self.recipe == Fp8Recipe::Block;
        let (units, fraction) = match (is_block, self.scales_blocks()) {
            (true, true) => (Precision::MxFp8, 1.0),
            (true, false) => (precision, BLOCK_FRACTION),
            (false, _) => (precision, 1.0),
        };
        let machine = self.machine(units, self.product_fraction(units) * fraction);
        (self.gpu.rates.product(units), machine)
    }

    /// Fraction of the GPU's rate that the framework's products reach. In fp32 all call the same library with the same
    /// shapes; what they differ in is tensor cores' formats.
    pub(super) fn product_fraction(&self, precision: Precision) -> f64 {
        if precision == Precision::Fp32 {
            1.0
        } else {
            self.fractions.gemm
        }
    }

    /// Rate and machine of the products of all experts of a rank.
    pub(super) fn grouped_on(&self) -> (GemmRate, Machine) {
        let (rate, machine) = self.product_on(self.precision);
        let grouped = Machine {
            fraction: machine.fraction * self.fractions.grouped,
            ..machine
        };
        (rate, grouped)
    }

    /// Rate and machine of the attention kernel.
    pub(super) fn attention_on(&self) -> (AttentionRate, Machine) {
        let format = self.attention.format(self.precision.high());
        let machine = self.machine(format, self.fractions.attention);
        (self.gpu.rates.attention[&self.attention], machine)
    }
}
