//! Number formats of training.

use crate::closed_set;

closed_set! {
    /// Format in which the matrix products of a step run.
    ///
    /// The 8- and 4-bit formats keep attention (but for the kernel `fp8`), head, router and norms in bf16.
    pub enum Precision: "precision" {
        /// 32-bit IEEE, no tensor cores.
        Fp32 = "fp32",
        /// 32-bit storage, 19-bit products on tensor cores.
        Tf32 = "tf32",
        /// 16-bit IEEE with loss scaling.
        Fp16 = "fp16",
        /// 16-bit brain float.
        Bf16 = "bf16",
        /// 8-bit, one scale per tensor.
        Fp8 = "fp8",
        /// 8-bit, one scale per block of 32.
        MxFp8 = "mxfp8",
        /// 4-bit, one scale per block of 16.
        NvFp4 = "nvfp4",
        /// 4-bit, one scale per block of 32.
        MxFp4 = "mxfp4",
        /// 8-bit integers, one scale per row or column, taken from the tensor itself.
        Int8 = "int8",
    }
}

impl Precision {
    /// Bytes of an activation or weight outside the low-precision products.
    pub(crate) const fn storage_bytes(self) -> u64 {
        match self {
            Self::Fp32 | Self::Tf32 => 4,
            Self::Fp16
            | Self::Bf16
            | Self::Fp8
            | Self::MxFp8
            | Self::NvFp4
            | Self::MxFp4
            | Self::Int8 => 2,
        }
    }

    /// Format of the operators that never run in 8 or 4 bits (attention, head, router).
    pub(crate) const fn high(self) -> Self {
        match self {
            Self::Fp8 | Self::MxFp8 | Self::NvFp4 | Self::MxFp4 | Self::Int8 => Self::Bf16,
            Self::Fp32 | Self::Tf32 | Self::Fp16 | Self::Bf16 => self,
        }
    }
}
