//! The one binary of integration tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod analysis;
mod diagnostics;
mod house;
mod points_table;
mod sweeps;
mod synthetic_curves;
