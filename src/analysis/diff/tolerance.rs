//! Change of a metric that counts as none: a share of its value, or an amount in its unit.

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use crate::record::Column;
use crate::units::{Bandwidth, Bytes, FlopRate, Seconds, SimDuration};

/// Change of a metric up to which it counts as the same.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// Share of the value in the base run.
    Relative(f64),
    /// Amount in the unit of the metric.
    Absolute(f64),
}

/// A text that is no tolerance of a metric.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("`{text}` is no tolerance of `{metric}`; write {}", written(unit))]
pub struct NoTolerance {
    text: String,
    metric: &'static str,
    unit: &'static str,
}

/// Tolerances of a metric with a unit, as they are written.
fn written(unit: &str) -> String {
    match unit {
        "" | "1" => "2% or 0.02".to_owned(),
        "s" => "2%, 0.02 or a time: 10ms".to_owned(),
        "B" => "2%, 0.02 or an amount: 512MiB".to_owned(),
        unit => format!("2%, 0.02 or an amount: 5{unit}"),
    }
}

impl Tolerance {
    /// Tolerance of a metric, from text: `2%`, `0.02`, `10 ms`.
    pub(super) fn of(metric: Column, text: &str) -> Result<Self, NoTolerance> {
        let text = text.trim();
        let number = |digits: &str| digits.trim().parse::<f64>().ok();
        let found = if let Some(percent) = text.strip_suffix('%') {
            number(percent).map(|percent| Self::Relative(percent / 100.0))
        } else if let Some(share) = number(text) {
            // 80 would be 8000%.
            Some(Self::Relative(share)).filter(|_| share <= 1.0)
        } else {
            amount(metric.unit, text).map(Self::Absolute)
        };
        found
            .filter(|it| it.value().is_finite() && it.value() >= 0.0)
            .ok_or_else(|| NoTolerance {
                text: text.to_owned(),
                metric: metric.name,
                unit: metric.unit,
            })
    }

    const fn value(self) -> f64 {
        match self {
            Self::Relative(value) | Self::Absolute(value) => value,
        }
    }

    /// Change of a value beyond which it differs, and the change: both relative, or both in the unit of the metric.
    pub(super) fn against(self, base: f64, new: f64, relative: f64) -> (f64, f64) {
        match self {
            Self::Relative(most) => (most, relative),
            Self::Absolute(most) if base.to_bits() == new.to_bits() => (most, 0.0),
            Self::Absolute(most) => (most, new - base),
        }
    }
}

/// An amount in a unit; `None` of one in another.
fn amount(unit: &str, text: &str) -> Option<f64> {
    match unit {
        "s" => text.parse().ok().map(SimDuration::as_secs_f64),
        "d" => {
            let seconds: Seconds = text.parse().ok()?;
            Some(seconds.get() / 86_400.0)
        }
        "B" => text.parse().ok().map(|bytes: Bytes| bytes.get() as f64),
        "B/s" => text.parse().ok().map(Bandwidth::as_bytes_per_s),
        "FLOP/s" => text
            .parse()
            .ok()
            .map(|rate: FlopRate| rate.as_tflops() * 1e12),
        "" | "1" => None,
        unit => text.strip_suffix(unit)?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::columns;

    #[test]
    fn a_tolerance_is_a_share_or_an_amount_in_the_unit_of_the_metric() {
        let of = Tolerance::of;
        for share in ["2%", " 2 % ", "0.02"] {
            assert_eq!(of(columns::MFU, share), Ok(Tolerance::Relative(0.02)));
        }
        assert_eq!(
            of(columns::STEP_TIME_S, "10 ms"),
            Ok(Tolerance::Absolute(0.01))
        );
        // 512·2²⁰ bytes.
        assert_eq!(
            of(columns::MEMORY_PEAK_BYTES, "512 MiB"),
            Ok(Tolerance::Absolute(536_870_912.0))
        );
        for (metric, wrong) in [
            (columns::MFU, "5 s"),
            (columns::STEP_TIME_S, "5 GiB"),
            (columns::STEP_TIME_S, "80"),
            (columns::STEP_TIME_S, "-2%"),
            (columns::STEP_TIME_S, ""),
        ] {
            let fault = of(metric, wrong).expect_err(wrong).to_string();
            assert!(fault.contains("write 2%"), "{fault}");
        }
    }
}
