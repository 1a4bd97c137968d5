//! Measured cases, and how far the simulator is from them.
//!
//! A file of cases is a CSV whose header tells what was measured ([`CaseKind`]), or a JSON network of flows. Each row
//! becomes a [`Case`]: what to simulate, or why that is not possible. [`judge`] simulates them; [`Assessment`] says
//! by group how far predictions lie off; [`listing`] and [`page`] write both down.

pub mod assessment;
pub mod case;
pub mod errors;
pub mod listing;
pub mod page;
pub mod series;

mod collectives;
mod columns;
mod confidence;
mod distance;
mod files;
mod fitted;
mod flows;
mod ideal;
mod job;
mod job_cluster;
mod job_model;
mod job_scenario;
mod judgement;
mod memory;
mod steps;
mod table;
mod wording;

pub use assessment::{Assessment, KindAssessment};
pub use case::{
    Case, CaseGroups, CaseKind, CaseResult, CaseStatus, Judged, MemoryMeasure, Score, SeriesPlace,
    Subject,
};
pub use confidence::{Accuracy, Confidence, NearCase, confidence};
pub use errors::{ErrorSummary, GroupErrors};
pub use files::{SHIPPED, read_cases};
pub use fitted::FittedConstant;
pub use judgement::judge;
pub use series::{Ranking, ScalingErrors};
pub use table::{TableFault, TableFaults};
