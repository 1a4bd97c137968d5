//! Quantities of the simulation, with only the arithmetic that physics has.
//!
//! Time is integer picoseconds, so sums are exact and order cannot drift. Everything else that is
//! text in a data file carries its unit: `"400 Gbit/s"`, `"80 GiB"`, `"1.5 us"`. `GB` is 10⁹ bytes,
//! `GiB` is 2³⁰; a bare number is refused.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

mod text;

pub use text::QuantityError;
pub(crate) use text::{plural, three_digits};

const PICOS_PER_SEC: f64 = 1e12;

/// The nearest integer of a number that is not negative, halves up; the largest where it is over 2⁶⁴. The largest number below
/// a half is added, so that no number below a half becomes one.
const fn rounded(number: f64) -> u64 {
    (number + 0.5_f64.next_down()) as u64
}

/// A point of simulated time, in picoseconds since the start of the simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// A span of simulated time, in picoseconds. About 213 days fit; a longer one stays there, and no step of that length
/// becomes a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(u64);

impl SimTime {
    /// The start of a simulation.
    pub const ZERO: Self = Self(0);
    /// Later than every event.
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// From picoseconds since the start.
    pub(crate) const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// Picoseconds since the start.
    pub(crate) const fn as_picos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / PICOS_PER_SEC
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole picoseconds.
    pub(crate) const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// From whole nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos * 1_000)
    }

    /// From whole microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000_000)
    }

    /// From seconds, rounded to the nearest picosecond.
    ///
    /// # Panics
    /// If `secs` is NaN or negative: costs are not.
    pub fn from_secs_f64(secs: f64) -> Self {
        let picos = secs * PICOS_PER_SEC;
        assert!(picos >= 0.0, "a duration of {secs} s is out of range");
        Self(rounded(picos))
    }

    /// Whole picoseconds.
    pub(crate) const fn as_picos(self) -> u64 {
        self.0
    }

    /// Seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / PICOS_PER_SEC
    }

    /// The span scaled by a factor ≥ 0, rounded to the nearest picosecond.
    ///
    /// # Panics
    /// If the factor is NaN or negative.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self::from_secs_f64(self.as_secs_f64() * factor)
    }

    /// This span less `other`, zero when `other` is longer.
    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    fn add(self, span: SimDuration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for SimTime {
    type Output = SimDuration;
    fn sub(self, earlier: Self) -> SimDuration {
        SimDuration(self.0 - earlier.0)
    }
}

impl Sub for SimDuration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

/// An amount of data, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

impl Bytes {
    /// The amount times a factor ≥ 0, rounded to whole bytes.
    ///
    /// # Panics
    /// If the result is negative, not a number, or too large.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self::from_f64(self.as_f64() * factor)
    }

    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);

    /// From a count of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From a real number of bytes, rounded to the nearest.
    ///
    /// # Panics
    /// If it is NaN, negative or over 2⁶⁴.
    pub(crate) fn from_f64(bytes: f64) -> Self {
        assert!(
            bytes >= 0.0 && bytes < u64::MAX as f64,
            "{bytes} bytes are out of range"
        );
        Self(rounded(bytes))
    }

    /// From mebibytes (2²⁰ bytes).
    pub(crate) const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// From gibibytes (2³⁰ bytes).
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// The count of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The count as a real number.
    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Gibibytes (2³⁰ bytes).
    pub(crate) fn as_gib(self) -> f64 {
        self.0 as f64 / f64::from(1_u32 << 30)
    }

    /// This amount less `other`, zero when `other` is more.
    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Amounts, which can be added up and multiplied by a number; each says what an overflow does.
macro_rules! amounts {
    ($( $amount:ident * $factor:ident by $add:path, $mul:path; )+) => { $(
        impl Add for $amount {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self($add(self.0, other.0))
            }
        }

        impl AddAssign for $amount {
            fn add_assign(&mut self, other: Self) {
                self.0 = $add(self.0, other.0);
            }
        }

        impl Sum for $amount {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, Add::add)
            }
        }

        impl Mul<$factor> for $amount {
            type Output = Self;
            fn mul(self, times: $factor) -> Self {
                Self($mul(self.0, times))
            }
        }
    )+ };
}

amounts! {
    SimDuration * u64 by u64::saturating_add, u64::saturating_mul;
    Bytes * u64 by Add::add, Mul::mul;
}

/// Quantities as real numbers, for sums and products that are rounded once, at their end.
macro_rules! real_quantities {
    ($( $(#[$doc:meta])+ $name:ident )+) => { $(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// Nothing.
            pub(crate) const ZERO: Self = Self(0.0);

            /// From a number of its unit.
            pub(crate) const fn new(number: f64) -> Self {
                Self(number)
            }

            /// The number of its unit.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The larger of two.
            pub const fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }

        impl Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }

        amounts!($name * f64 by Add::add, Mul::mul;);
    )+ };
}

real_quantities! {
    /// A span of time in seconds that is not yet rounded to picoseconds.
    Seconds
    /// A span of time in microseconds, the unit of the tables of communication libraries.
    Micros
    /// An amount of data in bytes that need not be whole: a share or a chunk of a buffer.
    Volume
    /// An amount of floating-point work, in operations (a fused multiply-add is two).
    Flops
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl schemars::JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        f64::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        f64::json_schema(generator)
    }
}

impl Seconds {
    /// Rounded to the nearest picosecond.
    ///
    /// # Panics
    /// If it is NaN, negative or longer than 213 days.
    pub(crate) fn rounded(self) -> SimDuration {
        SimDuration::from_secs_f64(self.0)
    }

    /// The whole number of picoseconds next to it, as seconds.
    pub(crate) fn whole_picos(self) -> Self {
        self.rounded().into()
    }
}

impl From<SimDuration> for Seconds {
    fn from(span: SimDuration) -> Self {
        Self(span.as_secs_f64())
    }
}

impl From<Micros> for Seconds {
    fn from(span: Micros) -> Self {
        Self(span.0 * 1e-6)
    }
}

impl From<Seconds> for Micros {
    fn from(span: Seconds) -> Self {
        Self(span.0 * 1e6)
    }
}

impl From<SimDuration> for Micros {
    fn from(span: SimDuration) -> Self {
        Self(span.as_secs_f64() * 1e6)
    }
}

impl Volume {
    /// Rounded to whole bytes.
    ///
    /// # Panics
    /// If it is NaN, negative or over 2⁶⁴.
    pub(crate) fn rounded(self) -> Bytes {
        Bytes::from_f64(self.0)
    }
}

impl From<Bytes> for Volume {
    fn from(bytes: Bytes) -> Self {
        Self(bytes.as_f64())
    }
}

impl Div<Bandwidth> for Volume {
    type Output = Seconds;
    fn div(self, rate: Bandwidth) -> Seconds {
        Seconds(self.0 / rate.0)
    }
}

impl Div<Seconds> for Volume {
    type Output = Bandwidth;
    fn div(self, time: Seconds) -> Bandwidth {
        Bandwidth(self.0 / time.0)
    }
}

/// Data rate in one direction of a link, or of a memory, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bandwidth(f64);

impl Mul<f64> for Bandwidth {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl Div<f64> for Bandwidth {
    type Output = Self;
    fn div(self, divisor: f64) -> Self {
        Self(self.0 / divisor)
    }
}

impl Div for Bandwidth {
    type Output = f64;
    fn div(self, other: Self) -> f64 {
        self.0 / other.0
    }
}

impl Bandwidth {
    /// From bytes per second.
    ///
    /// # Panics
    /// If the rate is NaN, zero, negative or infinite.
    pub(crate) fn bytes_per_s(n: f64) -> Self {
        assert!(
            n > 0.0 && n.is_finite(),
            "a bandwidth of {n} B/s is out of range"
        );
        Self(n)
    }

    /// From the unit of network datasheets (decimal gigabits).
    pub(crate) fn gbit_per_s(n: f64) -> Self {
        Self::bytes_per_s(n * 1e9 / 8.0)
    }

    /// From the unit of memory and NVLink datasheets (decimal gigabytes).
    pub fn gbyte_per_s(n: f64) -> Self {
        Self::bytes_per_s(n * 1e9)
    }

    /// Bytes per second.
    pub(crate) const fn as_bytes_per_s(self) -> f64 {
        self.0
    }

    /// Decimal gigabits per second.
    pub(crate) fn as_gbit_per_s(self) -> f64 {
        self.0 * 8.0 / 1e9
    }

    /// The smaller of two rates.
    pub(crate) const fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The larger of two rates.
    pub(crate) const fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The rate times a positive factor.
    pub fn scaled(self, factor: f64) -> Self {
        Self::bytes_per_s(self.0 * factor)
    }
}

impl Div<Bandwidth> for Bytes {
    type Output = SimDuration;
    fn div(self, rate: Bandwidth) -> SimDuration {
        SimDuration::from_secs_f64(self.0 as f64 / rate.0)
    }
}

/// Speed of floating-point work, in operations per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct FlopRate(f64);

impl FlopRate {
    /// From the unit of datasheets, 10¹² operations per second.
    ///
    /// # Panics
    /// If the rate is NaN, zero, negative or infinite.
    pub(crate) fn tflops(n: f64) -> Self {
        assert!(
            n > 0.0 && n.is_finite(),
            "a rate of {n} TFLOP/s is out of range"
        );
        Self(n * 1e12)
    }

    /// Operations per second.
    pub(crate) const fn as_flops_per_s(self) -> f64 {
        self.0
    }

    /// 10¹² operations per second.
    pub(crate) fn as_tflops(self) -> f64 {
        self.0 / 1e12
    }
}

impl Div<FlopRate> for Flops {
    type Output = SimDuration;
    fn div(self, rate: FlopRate) -> SimDuration {
        SimDuration::from_secs_f64(self.0 / rate.0)
    }
}

/// Electrical power, in watts.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Power(f64);

impl Power {
    /// From watts.
    pub(crate) const fn watts(n: f64) -> Self {
        Self(n)
    }

    /// Watts.
    pub(crate) const fn as_watts(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As libm's: halves go up, the largest number below a half down; from 2⁵² on numbers are whole.
    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        let half = 0.5_f64;
        let all = [0.0, 0.4, half.next_down(), half, 0.6, 1.5, 2.5, 3.499_999];
        let large = [51, 52, 53, 62].map(|power| 2.0_f64.powi(power));
        let large = large
            .into_iter()
            .flat_map(|it| [it.next_down(), it, it.next_up(), it + 0.5]);
        for number in all.into_iter().chain(large) {
            assert_eq!(rounded(number), libm::round(number) as u64, "{number}");
        }
        assert_eq!(rounded(1e30), u64::MAX);
    }

    // 1 GB at 100 GB/s = 10 ms.
    #[test]
    fn bytes_over_bandwidth_is_time() {
        let time = Bytes::new(1_000_000_000) / Bandwidth::gbyte_per_s(100.0);
        assert_eq!(time, SimDuration::from_micros(10_000));
    }
}
