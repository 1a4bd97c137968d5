//! Collectives as rounds of transfers that can be checked.
//!
//! The buffer is cut into chunks. In a round every rank sends what it had when the round began; a
//! transfer either adds what arrives to what is there or replaces it. [`Schedule::verify`] plays the
//! rounds with sets of contributions instead of numbers: at the end every rank must hold what the
//! operation promises, each contribution once. MSCCL's XML describes thread blocks in place of rounds
//! and is played step by step.
//!
//! ```
//! use clustersweep::collective::schedule::read_schedule;
//!
//! // Two ranks reduce one half each, then give it to the other one.
//! let text = "op all-reduce\nranks 2\nround\n0 1 1 add\n1 0 0 add\nround\n1 0 1\n0 1 0\n";
//! let swap = read_schedule(text).expect("every contribution arrives once");
//! assert_eq!((swap.rounds(), swap.chunks()), (2, 2));
//!
//! let without_the_last = text.trim_end().trim_end_matches("0 1 0");
//! let fault = read_schedule(without_the_last).expect_err("rank 1 lacks half of the sum");
//! assert_eq!(
//!     fault.to_string(),
//!     "round 2, rank 1: chunk 0 ends without the contribution of rank 0",
//! );
//! ```

mod custom;
mod fault;
mod file;
mod messages;
mod msccl;
mod pipeline;
mod program;
mod rounds;
mod verify;

pub use custom::CustomSchedule;
pub use file::read_schedule;
pub(super) use messages::{Messages, RoundMessages};
pub(super) use pipeline::{Pipeline, rounds_of, stages_of};
pub use rounds::{GroupLayout, Schedule, Transfer};
pub(super) use rounds::{Rounds, chunk_of_buffer, reducing, reducing_by, reversed};
