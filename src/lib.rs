//! Where does a training job stop scaling, and on which cluster should it run?
//!
//! A sweep is a pure function from text to a table: `(spec, catalog, seed) → rows`. Everything in
//! the middle is values; files, threads, the clock and the terminal are only at the two ends. A
//! point that cannot run is a row, not an error and not a gap.
//!
//! # Rooms, lowest floor first
//!
//! A room names only rooms on lower floors; `tests/it/house.rs` holds it to that.
//!
//! | Floor | Room | What lives there |
//! |---|---|---|
//! | 1 | [`units`], [`closed_set`], [`memo`] | quantities; enums with fixed spellings; results remembered |
//! | 2 | [`des`] | event queue, clock, fair-shared links; has never heard of a GPU |
//! | 2 | [`hardware`] | GPU, node, cluster, topology |
//! | 2 | [`model`] | what a neural network is: layers, operators, parameters |
//! | 3 | [`stack`] | what a software generation fuses, overlaps and waits for |
//! | 4 | [`catalog`] | `data/*.toml` and a spec's own tables → checked values of floors 2 and 3 |
//! | 4 | [`collective`] | operation × algorithm → rounds of transfers, and their time on a topology |
//! | 5 | [`cost`] | time of a kernel on a GPU; bytes a rank must hold |
//! | 6 | [`simulation`] | a scenario is one resolved point; layouts, schedules, the step, the search |
//! | 7 | [`spec`] | text → spec → plan; `where` expressions; diagnostics with places |
//! | 8 | [`record`] | the result row, the column table, Parquet out and in |
//! | 9 | [`runner`] | chunks of the plan on the rayon pool; run folder; manifest |
//! | 9 | [`analysis`] | curves, breakdown points, fits, bottlenecks, from record batches alone |
//! | 9 | [`validation`] | measured cases and the errors against them |
//! | 10 | [`whatif`] | points simulated again: neighbours, frozen layouts, causes taken away, elasticities |
//! | 11 | [`report`] | findings → text, HTML, JSON |
//! | 12 | [`cli`] | one file per subcommand; the only place that prints |
//!
//! [`closed_set`]: mod@closed_set
//!
//! # Why …?
//!
//! *Why is `stack` a room of its own?* It names attention kernels (hardware) and is named by the
//! catalogue, so it needs a floor between the two.
//!
//! *Why are pictures drawn by `resvg` with a font of our own?* A chart is one drawing: as SVG for
//! people who edit it, as PNG for programs that take no SVG. A machine without fonts, and one with
//! others, must draw the same.
//!
//! *Why is time an integer?* Parts of a step must sum to the step, and two devices that do the same
//! must agree to the last digit, on any number of threads.

pub mod closed_set;
pub mod memo;
pub mod units;

pub mod des;
pub mod hardware;
pub mod model;

pub mod stack;

pub mod catalog;
pub mod collective;

pub mod cost;

pub mod simulation;

pub mod spec;

pub mod record;

pub mod analysis;
pub mod runner;
pub mod validation;

pub mod whatif;

pub mod report;

pub mod cli;
