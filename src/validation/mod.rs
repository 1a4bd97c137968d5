//! Measured cases, and the errors of the simulator's predictions.
//!
//! A file of cases is a CSV whose header tells the [`CaseKind`], or a JSON network of flows. Each row becomes a [`Case`](case::Case):
//! the scenario to simulate, or why there is none. [`judge`] simulates cases, [`Assessment`] summarises their errors by
//! group.
//!
//! A row is read in three steps: `wording` turns what its source says in words into columns, `cells` and `table` turn
//! the columns into a struct, and `job*` or `collectives` look up presets and apply the row's own sizes as a spec does.

pub(crate) mod assessment;
pub(crate) mod case;
pub(crate) mod errors;
pub(crate) mod recipes;
mod series;

mod cells;
mod collectives;
mod confidence;
mod fault;
mod files;
mod fitted;
mod flows;
mod ideal;
mod job;
mod job_cluster;
mod job_model;
mod job_scenario;
mod judgement;
mod margin;
mod memory;
mod steps;
mod table;
mod wording;

pub use assessment::{Assessment, KindAssessment};
pub(crate) use assessment::{MissedCase, NamedError};
pub(crate) use case::Score;
pub use case::{CaseKind, CaseStatus, Judged};
pub(crate) use confidence::{Accuracy, Confidence, NearCase, confidence};
pub use errors::ErrorSummary;
pub(crate) use errors::GroupErrors;
pub use files::{SHIPPED, read_cases};
pub(crate) use fitted::FittedConstant;
pub use judgement::judge;
pub(crate) use margin::{covering, measured_over_predicted};
pub(crate) use series::{Ranking, ScalingErrors};
