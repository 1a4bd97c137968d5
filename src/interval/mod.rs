//! Intervals around predictions: where a measurement would lie, judged by the errors of measured runs that are alike.

mod errors;
mod features;
mod own;
mod quantiles;
mod unseen;

pub(crate) use self::errors::Quantity;
pub(crate) use self::features::Features;
pub(crate) use self::own::{Influence, OwnRun, OwnRuns};
pub(crate) use self::quantiles::{Interval, NEAR};
pub(crate) use self::unseen::{UnseenErrors, unseen};
