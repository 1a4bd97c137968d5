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
