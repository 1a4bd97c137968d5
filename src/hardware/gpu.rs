//! One accelerator: its data sheet, and the rates its kernels reach.

use std::collections::BTreeMap;

use crate::closed_set;
use crate::hardware::Precision;
use crate::units::{Bandwidth, Bytes, FlopRate, Power, SimDuration};

closed_set! {
    /// Generation of the attention kernel.
    pub enum AttentionKernel: "attention kernel" {
        /// Score matrices through memory, as separate kernels.
        Unfused = "unfused",
        /// FlashAttention 1 (arXiv 2205.14135).
        Flash1 = "flash1",
        /// FlashAttention 2 (arXiv 2307.08691).
        Flash2 = "flash2",
        /// FlashAttention 3 (arXiv 2407.08608).
        Flash3 = "flash3",
        /// Fused attention of cuDNN 9.
        CuDnn = "cudnn",
    }
}

/// One GPU (or accelerator) as programs see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    /// Catalog name: `h100-sxm`.
    pub name: String,
    /// Name for people: `NVIDIA H100 SXM5 80 GB`.
    pub title: String,
    /// Dense peak rates.
    pub peaks: Peaks,
    /// Memory that the driver reports.
    pub memory: Bytes,
    /// Memory bandwidth of the data sheet.
    pub memory_bandwidth: Bandwidth,
    /// Streaming multiprocessors or compute units.
    pub sms: u32,
    /// Last-level cache on the die.
    pub l2: Option<Bytes>,
    /// Board power limit; null when not published.
    pub power: Option<Power>,
    /// Rent of one GPU; null when none is published.
    pub price: Option<Price>,
    /// Catalog name of the cluster it usually comes in.
    pub cluster: String,
    /// Rates that its kernels reach.
    pub rates: KernelRates,
}

/// Dense peak rates by number format; `None` where the GPU lacks the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peaks(pub BTreeMap<Precision, FlopRate>);

impl Peaks {
    /// The peak in a format.
    pub fn get(&self, precision: Precision) -> Option<FlopRate> {
        self.0.get(&precision).copied()
    }
}

/// Rent of one GPU for an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// US dollars per GPU and hour.
    pub usd_per_hour: f64,
    /// When it was published, `YYYY-MM`; empty for a price of the user's own, and where its source
    /// names a version instead.
    pub date: String,
}

/// Rates that kernels reach on a GPU, measured where a measurement is known.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelRates {
    /// Matrix products by number format.
    pub gemm: BTreeMap<Precision, GemmRate>,
    /// Attention kernels that run on this GPU.
    pub attention: BTreeMap<AttentionKernel, AttentionRate>,
    /// Fraction of a matrix product's rate that a convolution of the same size reaches, 0–1.
    pub convolution_fraction: f64,
    /// Fraction of the memory bandwidth that a large streaming kernel reaches, 0–1.
    pub memory_fraction: f64,
    /// Time from the start of a memory-bound kernel to its end if it had no work.
    pub kernel_floor: SimDuration,
    /// Standard deviation of the speed of GPUs of this kind, over their mean.
    pub speed_spread: f64,
}

/// What matrix products reach in one number format.
///
/// A tile of `a × b` results takes `2ab·(k + k_half) / (peak / SMs · ceiling · i / (i + tile_half))`
/// on its SM, where `i = ab / (a + b)` is the tile's reuse of what it loads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GemmRate {
    /// Fraction of the peak that the inner loop of an endless tile would reach, 0–1.
    pub ceiling: f64,
    /// Filling and draining of a tile, as the length of k that takes as long.
    pub k_half: f64,
    /// Reuse at which a tile reaches half of the ceiling.
    pub tile_half: f64,
    /// Fraction of the peak that large products reach one after another under the power limit, 0–1.
    pub sustained: f64,
    /// Time of a product from start to end if it had no work.
    pub floor: SimDuration,
}

/// What one attention kernel reaches, as fractions of the bf16 (or fp16) peak.
///
/// A query that sees `s` keys on average reaches `rate · s / (s + half)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRate {
    /// Forward, head dimension 128, endless sequences, 0–1.
    pub forward: f64,
    /// Backward, likewise.
    pub backward: f64,
    /// Keys at which the forward kernel reaches half of its rate.
    pub forward_half: f64,
    /// Keys at which the backward kernel does.
    pub backward_half: f64,
    /// Rate at head dimension 64 over the rate at 128, 0–1.
    pub narrow: f64,
}

impl KernelRates {
    /// Rates of products in a format, or in the nearest one that is known.
    pub fn product(&self, precision: Precision) -> GemmRate {
        let nearest: &[Precision] = match precision {
            Precision::Fp32 => &[Precision::Fp32],
            Precision::Tf32 => &[Precision::Tf32, Precision::Bf16, Precision::Fp16],
            Precision::Fp16 => &[Precision::Fp16, Precision::Bf16],
            Precision::Bf16 => &[Precision::Bf16, Precision::Fp16],
            Precision::Fp8 => &[Precision::Fp8, Precision::MxFp8, Precision::Bf16],
            Precision::MxFp8 => &[Precision::MxFp8, Precision::Fp8, Precision::Bf16],
            Precision::NvFp4 => &[Precision::NvFp4, Precision::MxFp8, Precision::Fp8],
        };
        let known = nearest.iter().find_map(|format| self.gemm.get(format));
        known.copied().unwrap_or(GemmRate::TYPICAL)
    }

    /// Rates of an attention kernel, or of the nearest older one that is known.
    pub fn attention(&self, kernel: AttentionKernel) -> AttentionRate {
        let known = self.attention.range(..=kernel).next_back();
        known.map_or(AttentionRate::TYPICAL, |(_, rate)| *rate)
    }
}

impl GemmRate {
    /// For a GPU without measurements: what an A100 reaches.
    pub const TYPICAL: Self = Self {
        ceiling: 0.82,
        k_half: 140.0,
        tile_half: 3.0,
        sustained: 0.76,
        floor: SimDuration::from_micros(5),
    };
}

impl AttentionRate {
    /// For a GPU without measurements: what `FlashAttention` 2 reaches on an A100.
    pub const TYPICAL: Self = Self {
        forward: 0.61,
        backward: 0.54,
        forward_half: 150.0,
        backward_half: 300.0,
        narrow: 0.9,
    };
}

impl Gpu {
    /// Dense peak in a format, or in the nearest wider one that the GPU has.
    ///
    /// # Panics
    /// If the GPU has no peak at all.
    pub fn peak(&self, precision: Precision) -> FlopRate {
        let nearest = [
            precision,
            precision.high(),
            Precision::Fp16,
            Precision::Fp32,
        ];
        nearest
            .into_iter()
            .find_map(|format| self.peaks.get(format))
            .expect("every GPU has a peak in 16 or 32 bits")
    }

    /// The format a workload runs in when its spec names none: bf16, or fp16 where the GPU lacks it.
    pub fn default_precision(&self) -> Precision {
        if self.peaks.get(Precision::Bf16).is_some() {
            Precision::Bf16
        } else {
            Precision::Fp16
        }
    }
}
