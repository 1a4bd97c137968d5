//! How far a job scales, what stops it and which size to choose, from result rows alone.
//!
//! A series is every row that differs in nothing but its size. Its rate per GPU against that of
//! the smallest size that ran is the scaling efficiency `E(n)`; the same formula serves strong
//! scaling (one global batch) and weak scaling (one batch per GPU). What the rows do not show is
//! absent here, with the reason.
//!
//! The rows of a collective study have no step to scale: there each algorithm's bus bandwidth over
//! size is the result.

pub(crate) mod advice;
mod answer;
mod axis_codes;
pub mod breakdown;
pub(crate) mod busbw;
pub(crate) mod cause;
mod chart_values;
mod choice;
mod collective_runs;
mod comparison;
pub mod curve;
pub mod diff;
pub(crate) mod dimension;
mod divisibility;
pub(crate) mod files;
pub(crate) mod findings;
pub mod fit;
mod gathered_curves;
mod key_value;
pub(crate) mod knee;
pub(crate) mod nothing;
mod pareto;
mod places;
pub(crate) mod points;
mod runs;
mod same_simulation;
pub(crate) mod scaling_table;
pub(crate) mod selection;
pub(crate) mod series;
pub(crate) mod series_finding;
mod size_choice;
mod spec_columns;
pub(crate) mod training_cost;
mod transfer_reader;
mod varied;
mod verdict;

pub use advice::Resource;
pub(crate) use advice::{Advice, AskedAs, Elasticity, Improvement, PointAdvice};
pub use answer::Answer;
pub use breakdown::{BreakdownCause, BreakdownStatus};
pub(crate) use busbw::{AlgorithmCurve, CollectiveJob, Collectives};
pub(crate) use cause::{Breakdown, CauseCheck, Trial};
pub use chart_values::ChartValues;
pub(crate) use chart_values::{ChartLine, chart_values};
pub use choice::Choice;
pub(crate) use choice::{CostUnit, WorkCost};
pub(crate) use collective_runs::{AUTO, CollectiveRun};
pub use comparison::{ComparedJob, ComparedValue, Comparison};
pub use curve::Scaling;
pub(crate) use curve::SizeRate;
pub use dimension::Dimension;
pub(crate) use files::StudyFindings;
pub use files::{FilesError, analyse_files};
pub use findings::{Analysis, Findings};
pub(crate) use fit::Estimate;
pub(crate) use key_value::KeyValue;
pub(crate) use pareto::pareto_front;
pub(crate) use points::{LayoutUsed, Measured, SizePoint};
pub(crate) use scaling_table::{scaling_batches, scaling_columns, scaling_schema};
pub(crate) use selection::{Selection, fastest_of_groups, grouping};
pub(crate) use series::Series;
pub use series::columns_read;
pub(crate) use series_finding::{Layouts, SeriesFinding, SizeFinding, series_finding};
pub(crate) use size_choice::SizePlace;
pub use training_cost::TrainingCost;
pub use verdict::Verdict;
pub(crate) use verdict::{Between, Limit, Margin, Miss, Turn};
