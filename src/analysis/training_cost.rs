//! Time and cost of a whole training at one size, as its row has them.

use schemars::JsonSchema;
use serde::Serialize;

/// A whole training of a number of tokens or samples, with everything that comes beside its steps.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct TrainingCost {
    /// Time of its steps by themselves over the expected time, 0–1.
    pub goodput: f64,
    /// Expected time in seconds.
    pub time_s: f64,
    /// GPUs times expected time, in hours.
    pub gpu_hours: f64,
    /// Rent; `None` without a price.
    pub cost_usd: Option<f64>,
    /// Energy of the GPUs; `None` without a power limit.
    pub energy_kwh: Option<f64>,
}

impl TrainingCost {
    /// Expected time in days.
    pub(crate) fn days(&self) -> f64 {
        self.time_s / 86_400.0
    }
}
