//! Wall time per point, for the manifest.

use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

/// Longest wall time that the histogram resolves: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Wall time of each point in a high-dynamic-range histogram of three digits, in microseconds.
#[derive(Clone, Debug)]
pub struct WallTimes(Histogram<u64>);

impl Default for WallTimes {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order"))
    }
}

/// Wall times for `manifest.json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct WallTimeReport {
    /// Points.
    pub count: u64,
    /// Mean, in microseconds.
    pub mean_us: f64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 90th percentile, in microseconds.
    pub p90_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Longest, in microseconds.
    pub max_us: u64,
    /// The histogram: every bucket that is not empty, ascending.
    pub histogram: Vec<WallTimeBucket>,
}

/// Points whose wall times lie in one bucket of the histogram.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub(crate) struct WallTimeBucket {
    /// Upper end of the bucket, in microseconds.
    pub up_to_us: u64,
    /// Points in it.
    pub points: u64,
}

impl WallTimes {
    /// Counts one point.
    pub(crate) fn add(&mut self, wall_time: Duration) {
        let micros = u64::try_from(wall_time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// Counts points of one bucket of another histogram, by its upper end in microseconds.
    pub(super) fn add_many(&mut self, micros: u64, points: u64) {
        self.0.saturating_record_n(micros.max(1), points);
    }

    /// Adds the points of another histogram.
    ///
    /// # Panics
    /// Never: both have the same bounds.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    /// Points.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The histogram with its mean and percentiles.
    pub(crate) fn report(&self) -> WallTimeReport {
        WallTimeReport {
            count: self.0.len(),
            mean_us: self.0.mean(),
            p50_us: self.0.value_at_quantile(0.5),
            p90_us: self.0.value_at_quantile(0.9),
            p99_us: self.0.value_at_quantile(0.99),
            max_us: self.0.max(),
            histogram: self
                .0
                .iter_recorded()
                .map(|bucket| WallTimeBucket {
                    up_to_us: bucket.value_iterated_to(),
                    points: bucket.count_at_value(),
                })
                .collect(),
        }
    }
}
