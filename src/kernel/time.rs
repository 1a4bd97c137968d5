//! Time of one operator on one GPU.

use crate::hardware::{ExpertTile, GemmRate, Precision};
use crate::kernel::attention::{attention_growth, attention_seconds};
use crate::kernel::context::KernelContext;
use crate::kernel::machine::Machine;
use crate::kernel::product::{Product, product_growth, product_seconds};
use crate::model::Operator;
use crate::units::{Bytes, Flops, SimDuration};

/// Part of its roofline that a scan reaches: the outputs of Mamba-2's chunks (batch 8, 8,192 tokens, 80 heads of 64, a state of
/// 128, chunks of 256) take 1.278 ms on an H800, where 1.75 GB of inputs and outputs are 0.61 ms
/// (tile-ai/tilelang benchmark/mamba2/README.md). The one measurement that is published, of one kernel on one GPU,
/// taken for every scan and GPU.
const SCAN_FRACTION: f64 = 0.48;

/// Rate of 3×3 convolutions in fp32 over that of the matrix product that they are, by Winograd's minimal filtering, which needs 36
/// multiplications for 16 outputs and not 144. neon's kernels take 320 ms for the 2.93·10¹² operations of 64 images forward and
/// backward through VGG-A, all of whose convolutions are such, on a Titan X: 1.39 times its peak of 6.6 TFLOP/s, where products
/// reach 0.93 (soumith/convnet-benchmarks README.md; of a GTX 1080 Ti, the next generation, in the V100's file).
const MINIMAL_FILTERING: f64 = 1.39 / 0.93;

/// Time of one operator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct KernelTime {
    /// Time that the GPU is busy, without the gaps between kernels.
    pub busy: SimDuration,
    /// Kernels that run.
    pub kernels: u32,
    /// Work done.
    pub flops: Flops,
}

/// Time of one operator; a communication takes none here, since its time depends on the network.
///
/// A gradient of weights writes its result once; adding it to a gradient buffer is not in it.
pub(crate) fn operator_time(operator: &Operator, context: &KernelContext) -> KernelTime {
    let (seconds, kernels) = match *operator {
        Operator::Gemm {
            batch,
            m,
            n,
            k,
            low_precision,
        } => {
            let precision = context.precision_of(low_precision);
            (context.product([batch, m, n, k], precision), 1)
        }
        Operator::FullGemm { m, n, k } => {
            (context.product([1, m, n, k], context.full_precision()), 1)
        }
        Operator::GroupedGemm {
            groups,
            m,
            n,
            k,
            over_tokens,
            ragged,
        } => {
            let tile = context.gpu.rates.expert_tile().filter(|_| ragged);
            context.grouped([groups, m, n, k], over_tokens, tile)
        }
        Operator::Conv { .. } => (context.convolution(operator), 1),
        Operator::Attention { .. } => {
            let (casts, kernels) = context.around_attention(operator);
            (
                context.attention(operator) + casts + context.floors(kernels),
                kernels,
            )
        }
        Operator::Scan {
            flops,
            bytes,
            kernels,
        } => (
            context.scan(flops, bytes) + context.floors(kernels),
            kernels,
        ),
        Operator::Memory { bytes, kernels } => (
            bytes.as_f64() / context.memory_bound() + context.floors(kernels),
            kernels,
        ),
        Operator::Cast { elements, tensors } => context.cast(elements, tensors),
        Operator::Comm { .. } => (0.0, 0),
    };
    KernelTime {
        busy: SimDuration::from_secs_f64(seconds),
        kernels,
        flops: operator.flops(),
    }
}

/// Least time of an operator: `launched + growing` seconds are never more than what [`operator_time`] gives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LeastTime {
    /// Seconds that its launches take, however many tokens it works on.
    pub launched: f64,
    /// Seconds that grow with its tokens. Of two operators that differ in their tokens alone, the one with more has no
    /// more of them per token, since what its weights cost is spread over more: those of many tokens, per token, bound
    /// the time of any fewer.
    pub growing: f64,
    /// Kernels that run.
    pub kernels: u32,
}

/// Least time of one operator; a communication takes none here.
pub(crate) fn least_time(operator: &Operator, context: &KernelContext) -> LeastTime {
    let (launched, growing, kernels) = match *operator {
        Operator::Gemm {
            batch,
            m,
            n,
            k,
            low_precision,
        } => {
            let precision = context.precision_of(low_precision);
            let growing = context.product_growth([batch, m, n, k], precision);
            (context.product_floor(precision), growing, 1)
        }
        Operator::FullGemm { m, n, k } => {
            let precision = context.full_precision();
            let growing = context.product_growth([1, m, n, k], precision);
            (context.product_floor(precision), growing, 1)
        }
        Operator::GroupedGemm {
            groups,
            m,
            n,
            k,
            ragged,
            ..
        } => {
            let growing = context.grouped_growth([m, n, k]);
            let floor = context.product_floor(context.precision);
            let is_one = ragged && context.gpu.rates.expert_tile().is_some();
            let kernels = if is_one { 1 } else { groups as u32 };
            (f64::from(kernels) * floor, groups as f64 * growing, kernels)
        }
        Operator::Conv { .. } => match context.convolved(operator) {
            Some((product, rate, machine)) => {
                let growing = product_growth(&product, &rate, &machine);
                (rate.floor.as_secs_f64(), growing, 1)
            }
            None => (0.0, 0.0, 0),
        },
        Operator::Attention { .. } => {
            let (rate, machine) = context.attention_on();
            let (casts, kernels) = context.around_attention(operator);
            let growing = attention_growth(operator, &rate, &machine) + casts;
            (context.floors(kernels), growing, kernels)
        }
        Operator::Scan {
            flops,
            bytes,
            kernels,
        } => (context.floors(kernels), context.scan(flops, bytes), kernels),
        Operator::Memory { bytes, kernels } => (
            context.floors(kernels),
            bytes.as_f64() / context.memory_bound(),
            kernels,
        ),
        Operator::Cast { elements, tensors } => {
            let (seconds, kernels) = context.cast(elements, tensors);
            let floors = context.floors(kernels);
            (floors, seconds - floors, kernels)
        }
        Operator::Comm { .. } => (0.0, 0.0, 0),
    };
    LeastTime {
        launched,
        growing,
        kernels,
    }
}

impl KernelContext<'_> {
    /// Seconds of the kernels of a scan: of their products at the rate that long matrix products sustain, or of their bytes,
    /// whichever is more, over the part of that roofline that a scan reaches.
    fn scan(&self, flops: Flops, bytes: Bytes) -> f64 {
        let precision = self.precision.high();
        let peak = self.gpu.peak(precision).as_flops_per_s();
        let sustained =
            self.gpu.rates.product(precision).sustained * self.product_fraction(precision);
        let products = flops.get() / (peak * sustained);
        products.max(bytes.as_f64() / self.stream()) / SCAN_FRACTION
    }

    fn product(&self, sizes: [u64; 4], precision: Precision) -> f64 {
        let (rate, machine) = self.product_on(precision);
        product_seconds(&Product::of(sizes, precision), &rate, &machine)
    }

    fn product_floor(&self, precision: Precision) -> f64 {
        self.product_on(precision).0.floor.as_secs_f64()
    }

    fn product_growth(&self, sizes: [u64; 4], precision: Precision) -> f64 {
        let (rate, machine) = self.product_on(precision);
        product_growth(&Product::of(sizes, precision), &rate, &machine)
    }

    /// Products of experts run one after another, each a kernel with its own waves and floor, as
    /// Transformer Engine issues them; its streams hide little of it: the sum of the single
    /// products is 0.99–1.07 (medians by pass) of what `SimuMax` measured for 20 to 256 experts on
    /// a B200, and 1.2 of that for 20 and 40 on an A100. Tiles that run over all rows make them one kernel.
    fn grouped(
        &self,
        [groups, m, n, k]: [u64; 4],
        over_tokens: bool,
        tile: Option<ExpertTile>,
    ) -> (f64, u32) {
        let (rate, machine) = self.grouped_on();
        if let Some(tile) = tile {
            let product = Product::tiled([groups, m, n, k], over_tokens, (tile, self.precision));
            return (product_seconds(&product, &rate, &machine), 1);
        }
        let product = Product::of([1, m, n, k], self.precision);
        let one = product_seconds(&product, &rate, &machine);
        let kernels = u32::try_from(groups).expect("a rank holds fewer than 2³² experts");
        (one * f64::from(kernels), kernels)
    }

    /// Part of one expert's product that grows with its sizes.
    fn grouped_growth(&self, [m, n, k]: [u64; 3]) -> f64 {
        let (rate, machine) = self.grouped_on();
        let product = Product::of([1, m, n, k], self.precision);
        product_growth(&product, &rate, &machine)
    }

    fn convolution(&self, operator: &Operator) -> f64 {
        self.convolved(operator)
            .map_or(0.0, |(product, rate, machine)| {
                product_seconds(&product, &rate, &machine)
            })
    }

    /// An implicit matrix product over pixels, output channels and the inputs of one pixel; few
    /// input channels (of an image) are padded to 8.
    fn convolved(&self, operator: &Operator) -> Option<(Product, GemmRate, Machine)> {
        let Operator::Conv {
            batch,
            channels_in,
            channels_out,
            size_out,
            kernel,
            stride,
        } = *operator
        else {
            return None;
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
        let is_minimal =
            precision == Precision::Fp32 && (kernel, stride) == (3, 1) && !self.gpu.rates.compiled;
        let fraction = self.fractions.convolution
            * self.gpu.rates.convolution_fraction
            * if is_minimal { MINIMAL_FILTERING } else { 1.0 };
        Some((
            product,
            self.gpu.rates.product(precision),
            self.machine(precision, fraction),
        ))
    }

    fn attention(&self, operator: &Operator) -> f64 {
        let (rate, machine) = self.attention_on();
        attention_seconds(operator, &rate, &machine)
    }
}
