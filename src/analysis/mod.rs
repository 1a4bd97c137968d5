//! How far a job scales, what stops it and which size to choose, from result rows alone.
//!
//! A series is every row that differs in nothing but its size. Its rate per GPU against that of
//! the smallest size that ran is the scaling efficiency `E(n)`; the same formula serves strong
//! scaling (one global batch) and weak scaling (one batch per GPU). What the rows do not show is
//! absent here, with the reason.
//!
//! The rows of a collective study have no step to scale: there each algorithm's bus bandwidth over
//! size is the result.

pub mod advice;
pub mod breakdown;
pub mod busbw;
pub mod cause;
pub mod choice;
pub mod curve;
pub mod diff;
pub mod files;
pub mod findings;
pub mod fit;
pub mod knee;
pub mod pareto;
mod places;
pub mod points;
pub mod scaling_table;
pub mod selection;
pub mod series;
pub mod series_finding;
pub mod training_cost;
mod transfers;
mod varied;

pub use advice::{Advice, AskedAs, Elasticity, Improvement, PointAdvice, Resource};
pub use breakdown::{BreakdownCause, BreakdownPoint, BreakdownStatus, Contribution};
pub use busbw::{AlgorithmCurve, CollectiveJob, Collectives};
pub use cause::{Breakdown, CauseCheck, Trial};
pub use choice::Choice;
pub use curve::{Efficiency, Scaling, SizeRate};
pub use files::{FilesError, StudyFindings, analyse_files};
pub use findings::{Analysis, Findings};
pub use fit::{Estimate, Fits};
pub use pareto::pareto_front;
pub use points::{LayoutUsed, Measured, SizePoint};
pub use scaling_table::{scaling_batches, scaling_schema};
pub(crate) use selection::grouping;
pub use selection::{Selection, fastest_of_groups};
pub use series::{KeyValue, Series, columns_read};
pub use series_finding::{Layouts, SeriesFinding, SizeFinding, series_finding};
pub use training_cost::TrainingCost;
pub use transfers::{AUTO, CollectiveRun};
