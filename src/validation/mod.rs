//! Measured cases, and the errors of the simulator's predictions.
//!
//! A file of cases is a CSV of [`measured`](crate::measured) runs, or a JSON network of flows. Each row becomes a [`Case`](case::Case):
//! the scenario to simulate, or why there is none. [`judge`] simulates cases, [`Assessment`] summarises their errors by
//! group.

pub(crate) mod assessment;
pub(crate) mod case;
pub(crate) mod errors;
mod series;

mod collectives;
mod confidence;
mod files;
mod fitted;
mod flows;
mod ideal;
mod judgement;
mod margin;
mod memory;
mod steps;

pub use crate::measured::CaseKind;
pub use assessment::{Assessment, KindAssessment};
pub(crate) use assessment::{MissedCase, NamedError};
pub use case::{CaseStatus, Judged};
pub(crate) use confidence::{Accuracy, Confidence, NearCase, confidence};
pub use errors::ErrorSummary;
pub(crate) use errors::GroupErrors;
pub use files::{SHIPPED, read_cases};
pub(crate) use fitted::FittedConstant;
pub use judgement::judge;
pub(crate) use margin::{covering, measured_over_predicted};
pub(crate) use series::{Ranking, ScalingErrors};
