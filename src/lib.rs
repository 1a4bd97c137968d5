//! Where does a training job stop scaling, and on which cluster should it run?
//!
//! A sweep is a pure function from text to a table: `(spec, catalog, seed) → rows`. Everything in
//! the middle is values; files, threads, the clock and the terminal are only at the two ends. A
//! point that cannot run is a row, not an error and not a gap.
//!
//! # Examples
//!
//! From the text of a spec to the report of each point:
//!
//! ```
//! use clustersweep::simulation::{Outcome, Scratch, simulate};
//! use clustersweep::spec::{Overrides, Spec, Syntax};
//!
//! let text = r#"
//!     grid = { gpu = "h100-sxm", nodes = [1, 4], model = "llama3-8b", global_batch = 512 }
//! "#;
//! let spec = Spec::parse("mine", text, Syntax::Toml, &Overrides::default())?;
//! let (plan, mut scratch) = (spec.plan(), Scratch::default());
//! for point in plan.kept(0..plan.len()) {
//!     match simulate(&plan.scenario(&point)?, &mut scratch) {
//!         Outcome::Completed(step) => println!("{:.2} s", step.step_time().as_secs_f64()),
//!         Outcome::Infeasible(reason) => println!("{reason}"),
//!         Outcome::Communicated(collective) => println!("{:?}", collective.time),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A job built by hand, without a spec:
//!
//! ```
//! use clustersweep::catalog::Catalog;
//! use clustersweep::simulation::{Scratch, TrainingScenario, simulate_training};
//!
//! let catalog = Catalog::builtin();
//! let mut job = TrainingScenario::new(
//!     catalog.models["llama3-8b"].clone(),
//!     catalog.gpus["h100-sxm"].clone(),
//!     catalog.clusters["dgx-h100"].clone(),
//!     catalog.stacks["current"].clone(),
//! );
//! (job.gpus, job.workload.global_batch, job.layout.tp) = (64, 512, Some(2));
//! let step = simulate_training(&job, &mut Scratch::default())?;
//! let layout = &step.layout;
//! assert_eq!((layout.tp, layout.tp * layout.cp * layout.pp * layout.dp), (2, 64));
//! # Ok::<(), clustersweep::simulation::Infeasible>(())
//! ```
//!
//! # Rooms, lowest floor first
//!
//! A room names only rooms on lower floors; `tests/it/house.rs` holds it to that.
//!
//! | Floor | Room | What lives there |
//! |---|---|---|
//! | 1 | [`units`], [`closed_set`], [`divisors`], [`memo`], [`halt`], [`spelling`], [`visible`] | quantities; enums with fixed spellings; divisors of whole numbers; bounded caches; work that another thread ends; names as people type them; text without control characters |
//! | 2 | [`document`] | JSON that names its schema |
//! | 2 | [`des`] | event queue, clock, fair-shared links; has never heard of a GPU |
//! | 2 | [`files`] | files that people name and entries of run folders, opened so that nothing hangs or leads elsewhere |
//! | 2 | [`data_table`] | tables of data files: each key declared once, with its field |
//! | 3 | [`hardware`] | GPU, node, cluster, topology |
//! | 3 | [`model`] | neural networks: layers, operators, parameters |
//! | 4 | [`stack`] | software generations: fused kernels, overlap, synchronisation, memory recipe |
//! | 5 | [`catalog`] | `data/*.toml` and a spec's own tables → checked values of floors 3 and 4 |
//! | 5 | [`collective`] | operation × algorithm → rounds of transfers, and their time on a topology; constants of NCCL, RCCL and XLA in `data/libraries/` |
//! | 6 | [`kernel`] | time of a kernel on a GPU |
//! | 7 | [`simulation`] | a scenario is one resolved point; layouts, schedules, the step, the search |
//! | 8 | [`measured`] | files of measured runs: rows → the jobs that they are about |
//! | 8 | [`interval`] | where a measurement would lie, from the errors of measured runs that are alike |
//! | 9 | [`spec`] | text → spec → plan; `where` expressions; diagnostics with places |
//! | 10 | [`record`] | the result row, the column table, Parquet out and in |
//! | 11 | [`runner`] | chunks of the plan on the rayon pool; run folder; manifest |
//! | 11 | [`analysis`] | curves, breakdown points, fits, bottlenecks, from record batches alone |
//! | 12 | [`validation`] | measured cases, and the errors of predictions |
//! | 12 | [`whatif`] | re-simulated points: neighbours, frozen layouts, counterfactuals, sensitivities |
//! | 13 | [`report`] | findings → text, HTML, JSON |
//! | 14 | [`commands`] | what each command does, as values; for the command line and for Python |
//! | 15 | [`cli`] | one file per subcommand; the only place that prints |
//!
//! [`closed_set`]: mod@closed_set
//!
//! # Why …?
//!
//! *Why is `stack` a room of its own?* Stacks name attention kernels (hardware) and the fused parts of a
//! layer (model), and the catalogue names stacks: they need a floor between.
//!
//! *Why do hardware, models and stacks declare the keys of data files?* A key is a field with a type, a
//! range, a default and a meaning. Written once, with the field, they cannot disagree.
//!
//! *Why do `Spec::load` and `Spec::parse` stand in `analysis`?* A spec's metrics and charts name columns of the results,
//! which lie on floors above it. The rooms that declare the columns hand their names down there, so that every fault of
//! a spec is still found at once.
//!
//! *Why are pictures drawn by `resvg` with a font of our own?* A chart is one drawing: as SVG for
//! people who edit it, as PNG for programs that take no SVG. A machine without fonts, and one with
//! others, must draw the same.
//!
//! *Why is time an integer?* Parts of a step must sum to the step, and two devices that do the same
//! must agree to the last digit, on any number of threads.

pub mod closed_set;
mod divisors;
pub mod document;
mod halt;
mod memo;
mod spelling;
pub mod units;
mod visible;

mod data_table;
pub mod des;
mod files;
pub mod hardware;
pub mod model;

pub mod stack;

pub mod catalog;
pub mod collective;

mod kernel;

pub mod simulation;

mod interval;
mod measured;

pub mod spec;

pub mod record;

pub mod analysis;
pub mod runner;

pub mod validation;
pub mod whatif;

pub mod report;

pub mod commands;

pub mod cli;
