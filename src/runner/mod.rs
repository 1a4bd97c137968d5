//! A plan's points on all cores, and the run folder that comes of them.
//!
//! Three stages run concurrently, joined by channels of two chunks, so that memory does not
//! grow with the plan: the plan is walked, a chunk of points is simulated on the rayon pool with its
//! order kept, and finished chunks are written to `parts/`, each a whole Parquet file. At the end the
//! parts become `points.parquet`. Which thread played a point shows nowhere in the rows.

pub(crate) mod clock;
mod dataset;
mod error;
mod extension;
mod finished;
pub(crate) mod folder;
mod host;
pub(crate) mod interrupt;
mod lock;
pub(crate) mod manifest;
mod newer;
mod planned;
mod play;
pub(crate) mod progress;
mod reopen;
mod run;
mod shards;
mod stop_flag;
pub(crate) mod verify;
mod wall_time;
mod watch;

pub(crate) use error::RunError;
pub(crate) use extension::{check_extended, extend};
pub use finished::{Finished, ResumeError};
pub use folder::RunFolder;
pub use interrupt::Interrupt;
pub(crate) use interrupt::Signal;
pub(crate) use manifest::{Earlier, Manifest};
pub(crate) use newer::{NewerRows, is_made_of_parts, recorded};
pub use planned::Planned;
pub use play::{RunOptions, Study};
pub(crate) use play::{WORKER_NAME, play_point};
pub use progress::{Progress, Silent};
pub(crate) use reopen::reopen;
pub(crate) use run::RunSummary;
pub use run::{Work, run, run_in_memory};
pub(crate) use shards::{ShardError, Shards};
pub(crate) use wall_time::WallTimes;

#[cfg(test)]
mod tests;
