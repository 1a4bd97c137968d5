//! Commands as values: requests in; tables, texts and JSON out. Nothing here prints.
//!
//! The command line and the Python package are two ways to say the same: both call this room, so that they give the
//! same results and the same errors.

mod analyze;
mod analyze_target;
mod answer;
mod append;
mod conclusion;
mod corrected;
mod detail;
mod diff;
mod efficiency_gate;
mod explain;
pub(crate) mod explain_document;
mod failure;
mod findings;
pub(crate) mod findings_document;
mod init;
pub(crate) mod list;
mod merge;
mod named_output;
pub(crate) mod plan;
mod points;
mod run;
mod run_source;
mod trace;
mod trust;
mod validate;
pub(crate) mod verify;
pub(crate) mod where_points;

pub use analyze::{Analysis, AnalysisRequest};
pub use answer::{Answered, Asked};
pub use append::extended;
pub use conclusion::{Conclusion, Done};
pub use detail::Detail;
pub use diff::diff;
pub use explain::{Explanation, PointReport};
pub use failure::Failure;
pub use init::{DEFAULT_GPUS, Drafted, InitRequest};
pub use list::{Listed, Listing, list, list_model_file};
pub use merge::merge;
pub(crate) use named_output::{refuse_files_of_run, write_output};
pub use plan::PlanOverview;
pub use points::{point_count, varied_values};
pub use run::{FolderRun, HeldResult, PointCounter, RunRequest, run_rows, save_rows};
pub use run_source::RunSource;
pub use trace::Timeline;
pub use validate::Validation;
pub use verify::{Verification, verify};
pub use where_points::WherePoints;
