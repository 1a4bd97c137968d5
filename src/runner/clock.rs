//! The clock: for manifests, progress and estimates, never for rows.
#![expect(
    clippy::disallowed_types,
    reason = "the one place that reads the clock; nothing of it enters a row"
)]

use std::time::{Duration, Instant, SystemTime};

/// Measures wall time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The time of day in UTC, as RFC 3339: `2026-11-22T21:05:07Z`.
pub(crate) fn now_utc() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A length of time as people type it: `30s`, `5min`, `1h 30min`.
///
/// # Errors
/// If it is none, or not more than zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationFault> {
    match humantime::parse_duration(text) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        Ok(_) | Err(_) => Err(DurationFault),
    }
}

/// Text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time over zero with its unit, as `30s`, `5min` or `1h 30min`")]
pub(crate) struct DurationFault;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit_and_is_not_nothing() {
        assert_eq!(parse_duration("1h 30min"), Ok(Duration::from_mins(90)));
        for wrong in ["", "30", "0s", "-1s", "soon"] {
            assert_eq!(parse_duration(wrong), Err(DurationFault), "{wrong}");
        }
    }
}
