//! Value of an axis at a point.

use std::fmt;
use std::sync::Arc;

use crate::units::{Bytes, Power};

/// Value of one axis at one point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AxisValue {
    /// The simulator chooses.
    Auto,
    /// A name, or the stages of `layers_per_stage`.
    Text(Arc<str>),
    /// A count.
    Int(u64),
    /// A real number.
    Real(f64),
    /// Yes or no.
    Bool(bool),
    /// An amount of data.
    Size(Bytes),
    /// Electrical power.
    Power(Power),
}

impl AxisValue {
    /// A name.
    pub(crate) fn name(name: &str) -> Self {
        Self::Text(name.into())
    }

    /// The name, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Auto
            | Self::Int(_)
            | Self::Real(_)
            | Self::Bool(_)
            | Self::Size(_)
            | Self::Power(_) => None,
        }
    }

    /// The count, if it is one.
    pub(crate) fn as_int(&self) -> Option<u64> {
        match self {
            Self::Int(count) => Some(*count),
            Self::Auto
            | Self::Text(_)
            | Self::Real(_)
            | Self::Bool(_)
            | Self::Size(_)
            | Self::Power(_) => None,
        }
    }

    /// The number: a count, a real number, a size in bytes, or a power in watts.
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(count) => Some(*count as f64),
            Self::Real(number) => Some(*number),
            Self::Size(bytes) => Some(bytes.as_f64()),
            Self::Power(power) => Some(power.as_watts()),
            Self::Auto | Self::Text(_) | Self::Bool(_) => None,
        }
    }

    /// The power, if it is one.
    pub(crate) fn as_power(&self) -> Option<Power> {
        match self {
            Self::Power(power) => Some(*power),
            Self::Auto
            | Self::Text(_)
            | Self::Int(_)
            | Self::Real(_)
            | Self::Bool(_)
            | Self::Size(_) => None,
        }
    }

    /// Yes or no, if it is that.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(answer) => Some(*answer),
            Self::Auto
            | Self::Text(_)
            | Self::Int(_)
            | Self::Real(_)
            | Self::Size(_)
            | Self::Power(_) => None,
        }
    }

    /// The amount of data, if it is one.
    pub(crate) fn as_size(&self) -> Option<Bytes> {
        match self {
            Self::Size(bytes) => Some(*bytes),
            Self::Auto
            | Self::Text(_)
            | Self::Int(_)
            | Self::Real(_)
            | Self::Bool(_)
            | Self::Power(_) => None,
        }
    }

    /// The value as a spec writes it in TOML.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Auto => "\"auto\"".to_owned(),
            Self::Text(text) => toml::Value::String(text.to_string()).to_string(),
            Self::Int(count) => count.to_string(),
            Self::Real(number) => toml::Value::Float(*number).to_string(),
            Self::Bool(answer) => answer.to_string(),
            Self::Size(bytes) => format!("\"{}\"", ExactSize(*bytes)),
            Self::Power(power) => format!("\"{} W\"", power.as_watts()),
        }
    }
}

impl fmt::Display for AxisValue {
    /// As people write it: `auto`, `h100-sxm`, `512`, `64 MiB`, `500 W`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Text(text) => f.pad(text),
            Self::Int(count) => f.pad(&count.to_string()),
            Self::Real(number) => f.pad(&number.to_string()),
            Self::Bool(answer) => f.pad(if *answer { "true" } else { "false" }),
            Self::Size(bytes) => f.pad(&ExactSize(*bytes).to_string()),
            Self::Power(power) => f.pad(&format!("{} W", power.as_watts())),
        }
    }
}

/// A size in the largest binary unit that divides it, so that nothing is lost: `64 MiB`, `1000 B`.
struct ExactSize(Bytes);

impl fmt::Display for ExactSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get();
        let (factor, unit) = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
            .into_iter()
            .find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor))
            .unwrap_or((1, "B"));
        write!(f, "{} {unit}", bytes / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 64 MiB = 64·2²⁰; 1,000 B is no multiple of 1,024; 3 GiB = 3·2³⁰; nothing has no unit but B.
    #[test]
    fn sizes_are_written_without_loss() {
        for (bytes, text) in [
            (64 << 20, "64 MiB"),
            (1_000, "1000 B"),
            (3 << 30, "3 GiB"),
            (0, "0 B"),
        ] {
            assert_eq!(AxisValue::Size(Bytes::new(bytes)).to_string(), text);
            assert_eq!(text.parse(), Ok(Bytes::new(bytes)));
        }
    }

    #[test]
    fn reals_stay_reals_in_toml() {
        // `2` would be read back as a count.
        assert_eq!(AxisValue::Real(2.0).to_toml(), "2.0");
        assert_eq!(AxisValue::Text("a\"b".into()).to_toml(), "'a\"b'");
    }
}
