//! Values that a cell of a file of cases can hold.

use std::ops::RangeInclusive;

use crate::closed_set::{Subset, UnknownName};
use crate::collective::{CollectiveAlgorithm, CollectiveOp};
use crate::hardware::{Precision, ScaleUpKind};
use crate::model::{CpExchange, ExpertDispatch, Modules, Parts};
use crate::stack::{
    CudaGraphs, Fp8Recipe, GradientPrecision, Loss, LossMemory, Offload, Optimizer,
    PipelineSchedule, Recompute, SelectiveRecompute, ZeroStage,
};
use crate::units::{Bytes, Power, QuantityError};

use super::kinds::{MemoryMeasure, Score};

/// A value that a cell can hold.
pub(crate) trait Cell: Sized {
    /// True where the column has to exist and its cells have to be filled.
    const REQUIRED: bool = true;

    /// The value of a trimmed cell; an absent column reads as an empty cell.
    ///
    /// # Errors
    /// A message that follows the column's name where the text is no such value.
    fn read(text: &str) -> Result<Self, String>;
}

impl<T: Cell> Cell for Option<T> {
    const REQUIRED: bool = false;

    fn read(text: &str) -> Result<Self, String> {
        (!text.is_empty()).then(|| T::read(text)).transpose()
    }
}

impl Cell for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// Measured times and rates that are taken, in their column's unit: what lies beyond must be a typing error, and would
/// leave the range of a real number once it is divided by.
pub(crate) const SPEEDS: RangeInclusive<f64> = 1e-12..=1e18;

/// A number from 0 to the most of [`SPEEDS`].
impl Cell for f64 {
    fn read(text: &str) -> Result<Self, String> {
        match number(text)? {
            value if value <= *SPEEDS.end() => Ok(value),
            _ => Err(format!("`{text}` has to be at most {:e}", SPEEDS.end())),
        }
    }
}

/// A finite number, 0 or more; the cell's type has its limits.
fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Ok(_) => Err(format!("`{text}` has to be finite and at least 0")),
        Err(_) => Err(format!("`{text}` is no number")),
    }
}

/// A number above 0: a measured time or rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Positive(pub f64);

impl Cell for Positive {
    fn read(text: &str) -> Result<Self, String> {
        match f64::read(text)? {
            value if SPEEDS.contains(&value) => Ok(Self(value)),
            value if value > 0.0 => {
                Err(format!("`{text}` has to be at least {:e}", SPEEDS.start()))
            }
            _ => Err(format!("`{text}` has to be above 0")),
        }
    }
}

/// A buffer from 1 byte to 8 EiB, as on the axis `size`.
impl Cell for Bytes {
    fn read(text: &str) -> Result<Self, String> {
        const MOST: f64 = (1_u64 << 63) as f64;
        match number(text)? {
            bytes if (1.0..MOST).contains(&bytes) => Ok(Self::from_f64(bytes)),
            _ => Err(format!(
                "`{text}` has to be from 1 to 2⁶³ − 1 bytes (8 EiB)"
            )),
        }
    }
}

/// A whole number from 1 to 16,777,216: no run has more of anything that is counted.
impl Cell for u32 {
    fn read(text: &str) -> Result<Self, String> {
        const MOST: u32 = 1 << 24;
        let value = number(text)?;
        if (1.0..=f64::from(MOST)).contains(&value) && value.fract() == 0.0 {
            Ok(value as Self)
        } else {
            Err(format!(
                "`{text}` has to be a whole number from 1 to {MOST}"
            ))
        }
    }
}

/// A pipeline stage or another number that counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index(pub u32);

impl Cell for Index {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` has to be a whole number from 0"))
    }
}

impl Cell for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(format!("`{text}` has to be yes or no")),
        }
    }
}

/// A power with its unit: `500 W`.
impl Cell for Power {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: QuantityError| error.to_string())
    }
}

macro_rules! names {
    ($($name:ty),* $(,)?) => { $(
        impl Cell for $name {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: UnknownName| error.to_string())
            }
        }
    )* };
}

names!(
    CollectiveAlgorithm,
    CollectiveOp,
    ExpertDispatch,
    CudaGraphs,
    Fp8Recipe,
    GradientPrecision,
    Loss,
    LossMemory,
    MemoryMeasure,
    Modules,
    Optimizer,
    Parts,
    ScaleUpKind,
    Score,
    SelectiveRecompute,
    Subset<Offload>,
    ZeroStage,
    CpExchange,
    PipelineSchedule,
);

/// A name that makes the row unsupported, not the file faulty, where the simulator does not know it.
pub(crate) type Stated<T> = Result<T, UnknownName>;

macro_rules! stated_names {
    ($($name:ty),*) => { $(
        impl Cell for Stated<$name> {
            fn read(text: &str) -> Result<Self, String> {
                Ok(text.parse())
            }
        }
    )* };
}

stated_names!(Precision, Recompute);
