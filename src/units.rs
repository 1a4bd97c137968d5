//! Quantities of the simulation, with only the arithmetic that physics has.
//!
//! Time is integer picoseconds, so sums are exact and order cannot drift. Everything else that is
//! text in a data file carries its unit: `"400 Gbit/s"`, `"80 GiB"`, `"1.5 us"`. `GB` is 10⁹ bytes,
//! `GiB` is 2³⁰; a bare number is refused.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

const PICOS_PER_SEC: f64 = 1e12;

/// A point of simulated time, in picoseconds since the start of the simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// A span of simulated time, in picoseconds. About 213 days fit.
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
    /// If `secs` is NaN, negative or longer than 213 days: costs are finite by construction.
    pub fn from_secs_f64(secs: f64) -> Self {
        let picos = secs * PICOS_PER_SEC;
        assert!(
            picos >= 0.0 && picos < u64::MAX as f64,
            "a duration of {secs} s is out of range"
        );
        Self(libm::round(picos) as u64)
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
    /// If the factor is NaN or negative, or the product is longer than 213 days.
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
        Self(self.0 + span.0)
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
        Self(libm::round(bytes) as u64)
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

/// Amounts, which can be added up and multiplied by a number.
macro_rules! amounts {
    ($( $amount:ident * $factor:ident ),+ $(,)?) => { $(
        impl Add for $amount {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $amount {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
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
                Self(self.0 * times)
            }
        }
    )+ };
}

amounts!(SimDuration * u64, Bytes * u64);

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

        amounts!($name * f64);
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

/// A text that is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The number has no unit behind it.
    #[error("`{text}` has no unit; write it like \"{example}\"")]
    NoUnit {
        /// The text that was given.
        text: String,
        /// A correct quantity of the kind.
        example: &'static str,
    },
    /// The part before the unit is not a number.
    #[error("`{text}` does not start with a number; write it like \"{example}\"")]
    NoNumber {
        /// The text that was given.
        text: String,
        /// A correct quantity of the kind.
        example: &'static str,
    },
    /// The unit does not belong to the quantity.
    #[error("unknown unit `{unit}` in `{text}`; expected one of: {expected}")]
    UnknownUnit {
        /// The text that was given.
        text: String,
        /// The part behind the number.
        unit: String,
        /// The accepted units, separated by commas.
        expected: String,
    },
    /// NaN, infinite, negative, or zero where that makes no sense.
    #[error("`{text}` is out of range; a quantity is finite and {bound}")]
    OutOfRange {
        /// The text that was given.
        text: String,
        /// `positive` or `not negative`.
        bound: &'static str,
    },
}

/// A kind of quantity as text: an example, whether zero is allowed, and the units with their factors.
struct Notation {
    example: &'static str,
    zero_allowed: bool,
    units: &'static [(&'static str, f64)],
}

fn parse(text: &str, notation: &Notation) -> Result<f64, QuantityError> {
    let trimmed = text.trim();
    let split = trimmed
        .char_indices()
        .find(|&(at, c)| {
            c.is_alphabetic() && !(matches!(c, 'e' | 'E') && exponent_follows(&trimmed[at + 1..]))
                || c.is_whitespace()
        })
        .map_or(trimmed.len(), |(at, _)| at);
    let (number, unit) = (trimmed[..split].trim(), trimmed[split..].trim());
    let Ok(value) = number.replace('_', "").parse::<f64>() else {
        return Err(QuantityError::NoNumber {
            text: text.to_owned(),
            example: notation.example,
        });
    };
    if unit.is_empty() {
        return Err(QuantityError::NoUnit {
            text: text.to_owned(),
            example: notation.example,
        });
    }
    let Some((_, factor)) = notation.units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = notation.units.iter().map(|(name, _)| *name).collect();
        return Err(QuantityError::UnknownUnit {
            text: text.to_owned(),
            unit: unit.to_owned(),
            expected: names.join(", "),
        });
    };
    let bound = if notation.zero_allowed {
        "not negative"
    } else {
        "positive"
    };
    let scaled = value * factor;
    let in_range = scaled.is_finite()
        && if notation.zero_allowed {
            scaled >= 0.0
        } else {
            scaled > 0.0
        };
    if !in_range || scaled >= 1.8e19 && notation.units[0].0 == "B" {
        return Err(QuantityError::OutOfRange {
            text: text.to_owned(),
            bound,
        });
    }
    Ok(scaled)
}

fn exponent_follows(rest: &str) -> bool {
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

const KIB: f64 = 1024.0;

const BYTES: Notation = Notation {
    example: "80 GiB",
    zero_allowed: true,
    units: &[
        ("B", 1.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", KIB),
        ("MiB", KIB * KIB),
        ("GiB", KIB * KIB * KIB),
        ("TiB", KIB * KIB * KIB * KIB),
    ],
};

const BANDWIDTH: Notation = Notation {
    example: "400 Gbit/s",
    zero_allowed: false,
    units: &[
        ("Gbit/s", 1e9 / 8.0),
        ("Mbit/s", 1e6 / 8.0),
        ("Tbit/s", 1e12 / 8.0),
        ("B/s", 1.0),
        ("MB/s", 1e6),
        ("GB/s", 1e9),
        ("TB/s", 1e12),
        ("GiB/s", KIB * KIB * KIB),
    ],
};

const DURATION: Notation = Notation {
    example: "1.5 us",
    zero_allowed: true,
    units: &[
        ("ps", 1e-12),
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
    ],
};

const MICROS: Notation = Notation {
    example: "6.6 us",
    zero_allowed: true,
    units: &[("us", 1.0), ("µs", 1.0)],
};

const FLOP_RATE: Notation = Notation {
    example: "989 TFLOP/s",
    zero_allowed: false,
    units: &[("TFLOP/s", 1.0), ("GFLOP/s", 1e-3), ("PFLOP/s", 1e3)],
};

const POWER: Notation = Notation {
    example: "700 W",
    zero_allowed: false,
    units: &[("W", 1.0), ("kW", 1e3)],
};

/// Quantities that are read from text with a unit, and how the number makes them.
macro_rules! read_from_text {
    ($( $name:ident: $notation:ident => $make:ident; )+) => { $(
        impl FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                parse(text, &$notation).map(Self::$make)
            }
        }
    )+ };
}

read_from_text! {
    Bytes: BYTES => from_f64;
    Volume: BYTES => new;
    Bandwidth: BANDWIDTH => bytes_per_s;
    Micros: MICROS => new;
    FlopRate: FLOP_RATE => tflops;
    Power: POWER => watts;
}

impl FromStr for SimDuration {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let secs = parse(text, &DURATION)?;
        if secs >= 1e7 {
            return Err(QuantityError::OutOfRange {
                text: text.to_owned(),
                bound: "shorter than 115 days",
            });
        }
        Ok(Self::from_secs_f64(secs))
    }
}

/// Quantities that the program's own data files hold as text with a unit.
macro_rules! read_as_text {
    ($( $name:ident )+) => { $(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}

read_as_text! { Bandwidth Micros SimDuration Volume }

impl fmt::Display for Bytes {
    /// In the largest binary unit below the amount, with three significant digits: `79.3 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < units.len() {
            value /= 1024.0;
            unit += 1;
        }
        if unit == 0 {
            return write!(f, "{} B", self.0);
        }
        let digits = if value < 10.0 {
            2
        } else {
            usize::from(value < 100.0)
        };
        write!(f, "{value:.digits$} {}", units[unit])
    }
}

impl fmt::Display for SimDuration {
    /// In the largest unit below the span, with four significant digits: `12.34 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.as_secs_f64();
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ps", self.0),
            1_000..1_000_000 => (secs * 1e9, "ns"),
            1_000_000..1_000_000_000 => (secs * 1e6, "µs"),
            1_000_000_000..1_000_000_000_000 => (secs * 1e3, "ms"),
            _ => (secs, "s"),
        };
        let digits = if value < 10.0 {
            3
        } else if value < 100.0 {
            2
        } else {
            usize::from(value < 1000.0)
        };
        write!(f, "{value:.digits$} {unit}")
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} GB/s", self.0 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 400 Gbit/s = 400·10⁹ / 8 B/s; 80 GiB = 80·2³⁰ B; 1.5 µs = 1,500,000 ps.
    #[test]
    fn quantities_parse_with_their_unit() {
        assert_eq!("400 Gbit/s".parse(), Ok(Bandwidth::gbyte_per_s(50.0)));
        assert_eq!("80 GiB".parse(), Ok(Bytes::gib(80)));
        assert_eq!("1.5 us".parse(), Ok(SimDuration::from_picos(1_500_000)));
        assert_eq!("2e3 GB".parse(), Ok(Bytes::new(2_000_000_000_000)));
        assert_eq!("64MiB".parse(), Ok(Bytes::mib(64)));
    }

    #[test]
    fn a_quantity_without_a_unit_is_refused() {
        let error = "80".parse::<Bytes>().expect_err("no unit");
        assert_eq!(
            error.to_string(),
            "`80` has no unit; write it like \"80 GiB\""
        );
    }

    #[test]
    fn nan_zero_and_negative_rates_are_refused() {
        for text in ["NaN GB/s", "0 GB/s", "-1 GB/s", "inf GB/s", "1e400 GB/s"] {
            assert!(text.parse::<Bandwidth>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_unit_names_the_known_ones() {
        let error = "80 gigs".parse::<Bytes>().expect_err("no such unit");
        assert_eq!(
            error.to_string(),
            "unknown unit `gigs` in `80 gigs`; expected one of: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
        );
    }

    // 1 GB at 100 GB/s = 10 ms.
    #[test]
    fn bytes_over_bandwidth_is_time() {
        let time = Bytes::new(1_000_000_000) / Bandwidth::gbyte_per_s(100.0);
        assert_eq!(time, SimDuration::from_micros(10_000));
    }
}
