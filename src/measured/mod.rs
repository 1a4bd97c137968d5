//! Files of measured runs: from rows to the jobs that they are about.
//!
//! A file is a CSV whose header tells the [`CaseKind`]. A row is read in three steps: `wording` turns what its source
//! says in words into columns, `cells` and `table` turn the columns into a struct, and `job*` look up presets and apply
//! the row's own sizes as a spec does.

pub(crate) mod cells;
pub(crate) mod job;
pub(crate) mod recipes;
pub(crate) mod steps;
pub(crate) mod table;
pub(crate) mod wording;

mod fault;
mod job_cluster;
mod job_model;
mod job_scenario;
mod kinds;

pub(crate) use cells::SPEEDS;
pub(crate) use fault::{TableFault, TableFaults};
pub use kinds::CaseKind;
pub(crate) use kinds::{MemoryMeasure, Score};
