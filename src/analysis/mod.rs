//! How far a job scales, what stops it and which size to choose, from result rows alone.
//!
//! A series is every row that differs in nothing but its size. Its rate per GPU against that of
//! the smallest size that ran is the scaling efficiency `E(n)`; the same formula serves strong
//! scaling (one global batch) and weak scaling (one batch per GPU). What the rows do not say is
//! absent here, with the reason.

pub mod breakdown;
pub mod curve;
pub mod fit;
pub mod knee;
pub mod parts;

pub use breakdown::{BreakdownCause, BreakdownPoint, BreakdownStatus, Contribution};
pub use curve::{Efficiency, PointStatus, Scaling};
pub use parts::{PartSeconds, TimePart};
