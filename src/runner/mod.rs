//! A plan's points on all cores, and the run folder that comes of them.
//!
//! Three stages run beside each other, joined by channels of two chunks, so that memory does not
//! grow with the plan: the plan is walked, a chunk of points is simulated on the rayon pool with its
//! order kept, and finished chunks are written to `parts/`, each a whole Parquet file. At the end the
//! parts become `points.parquet`. Which thread played a point shows nowhere in the rows.

mod assemble;
pub mod clock;
pub mod folder;
pub mod interrupt;
pub mod manifest;
mod planned;
mod play;
pub mod progress;
mod wall_time;

pub use folder::{FolderError, RunFolder};
pub use interrupt::{Interrupt, Signal};
pub use manifest::{Counts, Manifest, RunState};
pub use planned::Planned;
pub use play::{Study, WORKER_NAME};
pub use progress::{Progress, Silent};
pub use wall_time::WallTimes;

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::record::{
    PointStatus, Provenance, ReadError, Record, TableWriter, WriteError, points_batch,
    points_schema,
};
use crate::spec::GridPoint;
use play::{Players, StopFlag};

/// Points of a chunk: one row group in `parts/`, and what a crash of the machine loses at most.
pub const CHUNK_POINTS: usize = 512;

/// Chunks that wait between two stages.
const CHUNKS_WAITING: usize = 2;

/// How a run is carried out; nothing here changes a row.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Threads that simulate.
    pub threads: NonZeroUsize,
    /// Whether the first crashed point ends the run.
    pub fail_fast: bool,
}

/// A crashed point, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Index of the point in the full grid.
    pub point: u64,
    /// The panic's message.
    pub message: String,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Points by how they ended.
    pub counts: Counts,
    /// Wall time of each point.
    pub wall_times: WallTimes,
    /// The first crashed points.
    pub crashes: Vec<Crash>,
    /// The signal that ended the run early.
    pub interrupted: Option<Signal>,
    /// Whether every point has a row in `points.parquet`.
    pub complete: bool,
}

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A result cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A part that this run wrote cannot be read again.
    #[error(transparent)]
    Part(#[from] ReadError),
    /// The threads cannot be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Crashed points that a summary names.
const CRASHES_NAMED: usize = 10;

/// Simulates every point and writes `points.parquet` into the folder.
///
/// Interrupted, it finishes the points in flight and leaves what is finished in `parts/`.
///
/// # Errors
/// If the threads cannot be started or a file cannot be written; finished parts stay then.
pub fn run<S: Study>(
    study: &S,
    points: impl Iterator<Item = GridPoint> + Send,
    folder: &RunFolder,
    provenance: &Provenance,
    options: RunOptions,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> Result<RunSummary, RunError> {
    let players = Players::new(study, options.threads)?;
    let stop = StopFlag::new(interrupt);
    let mut tally = Tally::default();
    let written = thread::scope(|scope| {
        let (to_play, planned) = sync_channel(CHUNKS_WAITING);
        let (to_write, played) = sync_channel(CHUNKS_WAITING);
        let stop = &stop;
        scope.spawn(move || hand_out(points, &to_play, stop));
        let writer = scope.spawn(move || {
            let result = write_parts(&played, folder, provenance);
            if result.is_err() {
                stop.raise();
            }
            result
        });
        for chunk in planned {
            let records = players.play(study, &chunk, stop, options.fail_fast, progress);
            tally.add(&records);
            if to_write
                .send(records.into_iter().map(|played| played.record).collect())
                .is_err()
                || stop.is_raised()
            {
                break;
            }
        }
        drop(to_write);
        writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    progress.finished();
    let parts = written?;
    let complete = !stop.is_raised();
    if complete {
        assemble::points(folder, parts, provenance)?;
        folder.remove_parts()?;
    }
    Ok(RunSummary {
        counts: tally.counts,
        wall_times: tally.wall_times,
        crashes: tally.crashes,
        interrupted: interrupt.signal(),
        complete,
    })
}

/// Walks the plan and hands its points out in chunks.
fn hand_out(
    points: impl Iterator<Item = GridPoint>,
    chunks: &SyncSender<Vec<GridPoint>>,
    stop: &StopFlag<'_>,
) {
    let mut chunk = Vec::with_capacity(CHUNK_POINTS);
    for point in points {
        chunk.push(point);
        if chunk.len() == CHUNK_POINTS {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_POINTS));
            if stop.is_raised() || chunks.send(full).is_err() {
                return;
            }
        }
    }
    if !chunk.is_empty() {
        // Nobody listens any more when the run was stopped.
        let _ = chunks.send(chunk);
    }
}

/// Writes each chunk as a part; gives the number of parts.
fn write_parts(
    chunks: &Receiver<Vec<Record>>,
    folder: &RunFolder,
    provenance: &Provenance,
) -> Result<usize, WriteError> {
    let schema = points_schema(provenance);
    let mut parts = 0;
    for records in chunks {
        if records.is_empty() {
            continue;
        }
        let mut writer = TableWriter::create(&folder.part(parts), &schema, provenance)?;
        writer.write(&points_batch(provenance.study, &schema, &records))?;
        writer.finish()?;
        parts += 1;
    }
    Ok(parts)
}

#[derive(Default)]
struct Tally {
    counts: Counts,
    wall_times: WallTimes,
    crashes: Vec<Crash>,
}

impl Tally {
    fn add(&mut self, chunk: &[play::Played]) {
        for played in chunk {
            let record = &played.record;
            self.counts.add(record);
            self.wall_times.add(played.wall_time);
            if record.status() == PointStatus::Crashed && self.crashes.len() < CRASHES_NAMED {
                self.crashes.push(Crash {
                    point: record.point().index,
                    message: record.reason().unwrap_or_default(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
