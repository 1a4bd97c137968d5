//! Training steps: layout and placement, pipeline schedules, the step on the engine, the search.

pub mod schedule;
