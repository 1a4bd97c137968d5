//! Quantities as text: read with their unit, shown with three or four digits.

use std::fmt;
use std::str::FromStr;

use super::{Bandwidth, Bytes, FlopRate, Micros, Power, Seconds, SimDuration, Volume};

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
        ("min", 60.0),
        ("h", 3_600.0),
    ],
};

/// Spans of calendars, longer than what is simulated.
const SECONDS: Notation = Notation {
    example: "60 days",
    zero_allowed: false,
    units: &[
        ("days", 86_400.0),
        ("day", 86_400.0),
        ("d", 86_400.0),
        ("weeks", 604_800.0),
        ("week", 604_800.0),
        ("hours", 3_600.0),
        ("hour", 3_600.0),
        ("h", 3_600.0),
        ("min", 60.0),
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
    // Data sheets write both.
    units: &[
        ("TFLOP/s", 1.0),
        ("GFLOP/s", 1e-3),
        ("PFLOP/s", 1e3),
        ("TFLOPS", 1.0),
        ("GFLOPS", 1e-3),
        ("PFLOPS", 1e3),
    ],
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
    Seconds: SECONDS => new;
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

/// `s` behind the name of any number of things but one.
pub(crate) const fn plural(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// Three significant digits without an exponent: `1.23`, `45.6`, `789`, `0.0123`.
pub(crate) fn three_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = libm::floor(libm::log10(value.abs())) as i32;
    let decimals = (2 - magnitude).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    // 9.996 is of magnitude 0 but rounds to 10.00, with one digit too many.
    let rounded: f64 = text.parse().unwrap_or(value);
    let magnitude_after = libm::floor(libm::log10(rounded.abs())) as i32;
    if magnitude_after > magnitude && decimals > 0 {
        let decimals = decimals - 1;
        format!("{value:.decimals$}")
    } else {
        text
    }
}

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
        // 60 days of 86,400 s, and 8 weeks of 7 days.
        assert_eq!("60 days".parse(), Ok(Seconds::new(5_184_000.0)));
        // As data sheets write it: 2.25 PFLOPS are 2,250 TFLOP/s.
        assert_eq!("2.25 PFLOPS".parse(), Ok(FlopRate::tflops(2_250.0)));
        assert_eq!("8 weeks".parse(), Ok(Seconds::new(4_838_400.0)));
    }

    #[test]
    fn three_digits_count_whatever_the_size() {
        for (value, text) in [
            (1.234, "1.23"),
            (45.67, "45.7"),
            (789.4, "789"),
            (0.012_34, "0.0123"),
            (9.996, "10.0"),
            (12_345.0, "12345"),
        ] {
            assert_eq!(three_digits(value), text);
        }
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
}
