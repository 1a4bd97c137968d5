//! One accelerator: its data sheet, and the rates its kernels reach.

use std::collections::BTreeMap;

use crate::closed_set;
use crate::data_table::quantity::{Dollars, Month};
use crate::data_table::{Fields, Key, Need, ValueKind, data_table};
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
        /// Fused attention of cuDNN 9.10 to 9.13, its releases of 2025: Blackwell's first kernels.
        CuDnn2025 = "cudnn-2025",
        /// FlashAttention 4 (arXiv 2603.05451).
        Flash4 = "flash4",
        /// Fused attention of cuDNN 9 on 8-bit queries, keys and values, inside an 8- or 4-bit recipe.
        Fp8 = "fp8",
    }
}

impl AttentionKernel {
    /// Format of its products in a step whose 16- or 32-bit format is `high`: its rates are fractions of that peak.
    pub(crate) const fn format(self, high: Precision) -> Precision {
        match self {
            Self::Fp8 => Precision::Fp8,
            Self::Unfused
            | Self::Flash1
            | Self::Flash2
            | Self::Flash3
            | Self::CuDnn
            | Self::CuDnn2025
            | Self::Flash4 => high,
        }
    }
}

closed_set! {
    /// Basis of a GPU's rates.
    pub(crate) enum Evidence: "evidence" {
        /// Products were measured on it.
        Measured = "measured",
        /// Nothing was measured on it: its rates are derived from those of its family.
        Derived = "derived",
        /// Announced, not on sale: its vendor's figures and the rates of its family; nothing was measured on it.
        Announced = "announced",
    }
}

data_table! {
    /// One GPU (or accelerator) as programs see it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Gpu {
        /// Name for people; default: the name.
        title: String = name.to_owned(),
        /// Basis of its rates; default: measured.
        evidence: Evidence = Evidence::Measured,
        /// Memory that the driver reports to programs.
        memory: Bytes,
        /// Memory bandwidth of the data sheet.
        memory_bandwidth: Bandwidth,
        /// Streaming multiprocessors (AMD: compute units; TPU: tensor cores).
        sms: u32 [ValueKind::CountTo(1_048_576)],
        /// Last-level cache on the die.
        l2: Option<Bytes>,
        /// Rate of its link to the host's memory, one direction; absent: not known, and nothing can be offloaded over it.
        host_link: Option<Bandwidth>,
        /// Board power limit, for the energy column.
        power: Option<Power>,
        /// Rent of one GPU for an hour; without it the money columns are null.
        price_per_hour: Option<Dollars>,
        /// Month the price was published.
        price_date: Option<Month>,
        /// Catalogue name of the cluster it usually comes in.
        cluster: String,
    } reads {
        /// Dense peak in this format; absent: the GPU lacks the format.
        peaks: BTreeMap<Precision, FlopRate>,
    } with |fields, name: &str| {
        /// Catalogue name: `h100-sxm`.
        name: String = name.to_owned(),
        /// Rates that its kernels reach.
        rates: KernelRates = KernelRates::read(fields, &peaks),
        /// Dense peak rates.
        peaks: Peaks = Peaks(peaks),
    }
}

/// Dense peak rates by number format; `None` where the GPU lacks the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Peaks(pub BTreeMap<Precision, FlopRate>);

impl Peaks {
    /// The peak in a format.
    pub(crate) fn get(&self, precision: Precision) -> Option<FlopRate> {
        self.0.get(&precision).copied()
    }
}

data_table! {
    /// Rates that kernels reach on a GPU, measured where a measurement is known.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct KernelRates {
        /// Attention kernels that run on this GPU.
        attention: BTreeMap<AttentionKernel, AttentionRate>,
        /// Fraction of a matrix product's rate that a convolution of the same size reaches.
        convolution_fraction: f64 [ValueKind::Fraction],
        /// Fraction of the memory bandwidth that a large streaming kernel reaches.
        memory_fraction: f64 [ValueKind::Fraction],
        /// The same of a framework's kernels of one operation each (stacks whose fusion.elementwise is false); default:
        /// memory_fraction.
        eager_fraction: f64 [ValueKind::Fraction] = memory_fraction,
        /// Time from a memory-bound kernel's start to its end if it had no work.
        kernel_floor: SimDuration,
        /// Standard deviation of the speed of GPUs of this kind, over their mean; default: 0.
        speed_spread: f64 [ValueKind::NumberTo(1)] = 0.0,
        /// Whether rates and memory are those of programs that its compiler made, as every framework's are there: a stack's
        /// kernel fractions and its reserve for context and libraries then do not apply; default: false.
        compiled: bool = false,
        /// Rows of a tile of a kernel that has the products of all experts of a rank: one that lies over the end of an
        /// expert's rows is computed for both; default: each expert's product is a kernel of its own.
        expert_tile_rows: Option<u32> [ValueKind::CountTo(1_048_576)],
        /// Columns and inner length of such a tile, for each of which its operands are read; default: expert_tile_rows.
        expert_tile_columns: Option<u32> [ValueKind::CountTo(1_048_576)],
        /// Devices that the GPU is to programs, which run such tiles over rows of their own; default: 1.
        expert_tile_devices: u32 [ValueKind::CountTo(1024)] = 1,
    } reads {} with |fields, peaks: &BTreeMap<Precision, FlopRate>| {
        /// Matrix products by number format.
        gemm: BTreeMap<Precision, GemmRate> = GemmRate::of_formats(fields, peaks),
    }
}

impl KernelRates {
    /// Tiles of the products of all experts of a rank; `None` where each expert's product is a kernel of its own.
    pub(crate) fn expert_tile(&self) -> Option<ExpertTile> {
        self.expert_tile_rows.map(|rows| ExpertTile {
            rows,
            columns: self.expert_tile_columns.unwrap_or(rows),
            devices: self.expert_tile_devices,
        })
    }
}

/// Tiles of a kernel that has the products of all experts of a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpertTile {
    /// Rows of tokens.
    pub rows: u32,
    /// Columns, and inner length.
    pub columns: u32,
    /// Devices that run tiles over rows of their own.
    pub devices: u32,
}

data_table! {
    /// Rates of matrix products in one number format.
    ///
    /// A tile of `a × b` results takes `2ab·(k + k_half) / (peak / SMs · ceiling · i / (i + tile_half))`
    /// on its SM, where `i = ab / (a + b)` is the tile's reuse of what it loads.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct GemmRate {
        /// Fraction of the peak that the inner loop of an endless tile reaches; absent: as in bf16 or fp16.
        ceiling: f64 [ValueKind::Fraction],
        /// Filling and draining of a tile, as the length of k that takes as long; absent: likewise.
        k_half: f64 [ValueKind::NumberTo(1_000_000)],
        /// Reuse at which a tile reaches half of the ceiling; absent: likewise.
        tile_half: f64 [ValueKind::NumberTo(1_000_000)],
        /// Fraction of the peak that large products reach one after another under the power limit; absent: likewise.
        sustained: f64 [ValueKind::Fraction],
        /// Time of a product from start to end if it had no work; absent: likewise.
        floor: SimDuration,
    }
}

data_table! {
    /// Rates of one attention kernel, as fractions of the bf16 (or fp16) peak; of the kernel `fp8` of the 8-bit one.
    ///
    /// A query that sees `s` keys on average reaches `rate · s / (s + half)`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) struct AttentionRate {
        /// Fraction of the peak that this kernel reaches forward (head 128, endless sequences): of 16 bits, of `fp8` of 8.
        forward: f64 [ValueKind::Fraction],
        /// Likewise backward.
        backward: f64 [ValueKind::Fraction],
        /// Keys at which the forward kernel reaches half of its rate.
        forward_half: f64 [ValueKind::NumberTo(1_000_000)],
        /// Keys at which the backward kernel does.
        backward_half: f64 [ValueKind::NumberTo(1_000_000)],
        /// Rate at head dimension 64 over the rate at 128.
        narrow: f64 [ValueKind::Fraction],
    }
}

impl GemmRate {
    /// The keys of every format, none of which has to be given.
    pub(crate) fn keys_of_formats() -> Vec<Key> {
        let formats = Precision::NAMES.iter();
        formats
            .flat_map(|format| Self::keys(&format!("gemm.{format}."), Need::Never))
            .collect()
    }

    /// The rates of each format that has a peak: key by key as given for the format, or else as for
    /// the 16-bit one. A format with no rates at all is left out.
    fn of_formats(
        fields: Fields<'_>,
        peaks: &BTreeMap<Precision, FlopRate>,
    ) -> BTreeMap<Precision, Self> {
        let given = |format: Precision| fields.table("gemm")?.table(format.as_str());
        let whole = Self::keys("", Need::Always).len();
        let rates = peaks.keys().filter_map(|format| {
            let mut table = toml::Table::new();
            for layer in [Precision::Fp16, Precision::Bf16, *format] {
                table.extend(given(layer).into_iter().flat_map(|layer| layer.0.clone()));
            }
            (table.len() == whole).then(|| (*format, Self::read(Fields(&table))))
        });
        rates.collect()
    }
}

/// The value in a format, or in the nearest wider one that has a value.
fn nearest<T: Copy>(values: &BTreeMap<Precision, T>, precision: Precision) -> Option<T> {
    let wider = [
        precision,
        precision.high(),
        Precision::Fp16,
        Precision::Fp32,
    ];
    wider.iter().find_map(|format| values.get(format).copied())
}

impl KernelRates {
    /// Rates of matrix products in a format, or in the nearest wider one that has rates.
    ///
    /// # Panics
    /// If there are none at all: a GPU is checked to have rates in each format that it has a peak in.
    pub(crate) fn product(&self, precision: Precision) -> GemmRate {
        nearest(&self.gemm, precision).expect("every GPU has rates in 16 or 32 bits")
    }
}

impl Gpu {
    /// A warning that nothing was measured on it, where that is so.
    pub(crate) fn unmeasured(&self) -> Option<String> {
        let name = &self.name;
        match self.evidence {
            Evidence::Measured => None,
            Evidence::Derived => Some(format!(
                "Nothing was measured on {name}: its kernels run at rates derived from those of its family."
            )),
            Evidence::Announced => Some(format!(
                "{name} is announced, not on sale: its figures are its vendor's, its kernels run at rates of its family, \
                 and nothing was measured on it."
            )),
        }
    }

    /// Dense peak in a format, or in the nearest wider one that the GPU has.
    ///
    /// # Panics
    /// If the GPU has no peak at all.
    pub(crate) fn peak(&self, precision: Precision) -> FlopRate {
        nearest(&self.peaks.0, precision).expect("every GPU has a peak in 16 or 32 bits")
    }

    /// The format a workload runs in when its spec names none: bf16, or fp16 where the GPU lacks it.
    pub(crate) fn default_precision(&self) -> Precision {
        if self.peaks.get(Precision::Bf16).is_some() {
            Precision::Bf16
        } else {
            Precision::Fp16
        }
    }
}
