//! A plan's points on all cores, and the run folder that comes of them.
//!
//! Three stages run beside each other, joined by channels of two chunks, so that memory does not
//! grow with the plan: the plan is walked, a chunk of points is simulated on the rayon pool with its
//! order kept, and finished chunks are written to `parts/`, each a whole Parquet file. At the end the
//! parts become `points.parquet`. Which thread played a point shows nowhere in the rows.

pub mod clock;
mod finished;
pub mod folder;
pub mod interrupt;
pub mod manifest;
mod planned;
mod play;
pub mod progress;
mod run;
mod shards;
mod wall_time;

pub use finished::{Finished, ResumeError};
pub use folder::{FolderError, RunFolder};
pub use interrupt::{Interrupt, Signal};
pub use manifest::{Earlier, Manifest, RunState};
pub use planned::Planned;
pub use play::{Study, WORKER_NAME};
pub use progress::{Progress, Silent};
pub use run::{CHUNK_POINTS, Crash, RunError, RunOptions, RunSummary, Work, reopen, run};
pub use shards::{ShardError, Shards};
pub use wall_time::WallTimes;

#[cfg(test)]
mod tests;
