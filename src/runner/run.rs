//! Runs a plan: simulates its points and writes the run folder.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use arrow::array::RecordBatch;

use crate::halt::Halt;
use crate::record::{
    Counts, PointStatus, Provenance, Record, TableWriter, WriteError, merge_points, points_batch,
    points_schema,
};
use crate::runner::dataset::keep_parts;
use crate::runner::error::RunError;
use crate::runner::finished::Finished;
use crate::runner::folder::{FolderError, RunFolder, is_sound, part_name};
use crate::runner::interrupt::{Interrupt, Signal};
use crate::runner::play::{Played, Players, RunOptions, Study};
use crate::runner::progress::Progress;
use crate::runner::stop_flag::StopFlag;
use crate::runner::wall_time::WallTimes;
use crate::runner::watch::watch;
use crate::simulation::panic_message;
use crate::spec::GridPoint;

/// Points of a chunk: one part. A crash of the machine loses up to three chunks: two that wait to be
/// written, and the one that is simulated.
pub(crate) const CHUNK_POINTS: usize = 512;

/// Chunks that wait between two stages.
const CHUNKS_WAITING: usize = 2;

/// The points of a run.
#[derive(Clone, Debug)]
pub struct Work<P> {
    /// The points of the plan, by rising index.
    pub points: P,
    /// Points among them that an earlier run finished.
    pub finished: Finished,
}

/// A crashed point, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Index of the point in the full grid.
    pub point: u64,
    /// The panic's message.
    pub message: String,
}

/// Outcome of a run.
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

/// Crashed points that a summary lists.
const CRASHES_NAMED: usize = 10;

/// Simulates every point that is not yet finished and writes `points.parquet` into the folder.
///
/// A signal lets the points in flight finish, for half a second; what is finished stays in `parts/`.
///
/// # Errors
/// If the threads cannot be started, a file cannot be written, or the plan or the writing panics; finished parts stay then.
pub fn run<S: Study>(
    study: &S,
    work: Work<impl Iterator<Item = GridPoint> + Send>,
    folder: &RunFolder,
    provenance: &Provenance,
    options: RunOptions,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> Result<RunSummary, RunError> {
    let stop = StopFlag::new(interrupt);
    let Work { points, finished } = work;
    let before = finished.len();
    let points = points.filter(|point| !finished.has(point.index));
    let first_part = next_part(folder)?;
    let mut tally = thread::scope(|scope| {
        let (to_write, played) = sync_channel(CHUNKS_WAITING);
        let stop = &stop;
        let writer = scope.spawn(move || {
            let result = write_parts(&played, folder, first_part, provenance);
            if result.is_err() {
                stop.raise();
            }
            result
        });
        let tally = for_each_chunk(study, points, options, stop, progress, |records| {
            to_write.send(records).is_ok()
        });
        drop(to_write);
        let written = joined("wrote finished points", writer);
        let tally = tally?;
        written??;
        Ok::<_, RunError>(tally)
    })?;
    let complete = !stop.is_raised();
    if complete {
        let expected = before + tally.wall_times.count();
        check_parts(folder)?;
        if options.no_join && !folder.part_files()?.is_empty() {
            keep_parts(folder, provenance, expected)?;
        } else {
            merge_parts(folder, provenance, expected)?;
        }
    }
    tally.counts.add_all(&finished.counts);
    Ok(tally.summary(interrupt, complete))
}

/// Simulates points and hands out the rows of each chunk, in their order, on this thread; `take` returns whether it
/// wants more.
///
/// # Errors
/// If the threads cannot be started, or the plan panics.
pub fn run_in_memory<S: Study>(
    study: &S,
    points: impl Iterator<Item = GridPoint> + Send,
    provenance: &Provenance,
    options: RunOptions,
    interrupt: &Interrupt,
    progress: &dyn Progress,
    mut take: impl FnMut(RecordBatch) -> bool,
) -> Result<RunSummary, RunError> {
    let stop = StopFlag::new(interrupt);
    let schema = points_schema(provenance);
    let tally = for_each_chunk(study, points, options, &stop, progress, |records| {
        let wanted = records.is_empty() || take(points_batch(provenance, &schema, &records));
        if !wanted {
            stop.raise();
        }
        wanted
    })?;
    Ok(tally.summary(interrupt, !stop.is_raised()))
}

/// Simulates points on the pool and hands out the rows of each chunk, in their order, on this thread, until `take`
/// wants no more or the flag rises.
fn for_each_chunk<S: Study>(
    study: &S,
    points: impl Iterator<Item = GridPoint> + Send,
    options: RunOptions,
    stop: &StopFlag<'_>,
    progress: &dyn Progress,
    mut take: impl FnMut(Vec<Record>) -> bool,
) -> Result<Tally, RunError> {
    let players = Players::new(options).map_err(|source| RunError::Threads {
        threads: options.threads.get(),
        source,
    })?;
    let mut tally = Tally::default();
    let (walk, seats) = (Halt::default(), players.seats());
    let planned = thread::scope(|scope| {
        // Dropped at the end of this scope, whatever ends it: the watch then ends too.
        let (_played, ended) = sync_channel(0);
        scope.spawn(|| watch(seats, &walk, options.point_timeout, stop, &{ ended }));
        let (to_play, planned) = sync_channel(CHUNKS_WAITING);
        let walk = &walk;
        let planner = scope.spawn(move || walk.over(|| hand_out(points, &to_play, stop)));
        for chunk in planned {
            let played = players.play(study, &chunk, stop, progress);
            tally.add(&played);
            let records = played.into_iter().map(|played| played.record).collect();
            if !take(records) || stop.is_raised() {
                break;
            }
        }
        // Nothing receives any more: a planner that waits to send ends.
        joined("expanded the plan", planner)
    });
    progress.finished();
    planned?;
    Ok(tally)
}

/// Result of a thread beside the pool, or its panic.
fn joined<T>(doing: &'static str, thread: ScopedJoinHandle<'_, T>) -> Result<T, RunError> {
    thread.join().map_err(|panic| RunError::Panicked {
        doing,
        message: panic_message(panic.as_ref()),
    })
}

/// Walks the plan and sends its points in chunks.
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

/// Number of the next part.
fn next_part(folder: &RunFolder) -> Result<usize, FolderError> {
    let files = folder.part_files()?;
    let numbers = files.iter().filter_map(|path| Some(part_name(path)?.0));
    Ok(numbers.max().map_or(0, |last| last + 1))
}

/// Writes each chunk as a part, from a number on.
fn write_parts(
    chunks: &Receiver<Vec<Record>>,
    folder: &RunFolder,
    first: usize,
    provenance: &Provenance,
) -> Result<(), WriteError> {
    let schema = points_schema(provenance);
    let chunks = chunks.iter().filter(|records| !records.is_empty());
    for (records, part) in chunks.zip(first..) {
        let mut writer = TableWriter::create(&folder.new_part(part), &schema, provenance)?;
        writer.write(&points_batch(provenance, &schema, &records))?;
        writer.finish_by_digest(|digest| folder.part(part, digest))?;
    }
    Ok(())
}

/// Merges the parts into `points.parquet` by rising point, a few thousand rows in memory at a time. Of a
/// point that was retried the later row counts.
///
/// # Errors
/// If the rows are not as many as the plan's points, or a file cannot be read or written.
fn merge_parts(folder: &RunFolder, provenance: &Provenance, expected: u64) -> Result<(), RunError> {
    let schema = points_schema(provenance);
    let files = folder.part_files()?;
    let mut writer = TableWriter::create(&folder.points(), &schema, provenance)?;
    let mut found = 0;
    merge_points(&files, provenance, &schema, &mut writer, |_| found += 1)?;
    if found != expected {
        let path = folder.points();
        return Err(RunError::Rows {
            path,
            found,
            expected,
        });
    }
    writer.finish()?;
    Ok(())
}

/// Refuses a part that is not what was written.
fn check_parts(folder: &RunFolder) -> Result<(), RunError> {
    let files = folder.part_files()?;
    match files.into_iter().find(|path| !is_sound(path)) {
        None => Ok(()),
        Some(path) => Err(RunError::Damaged { path }),
    }
}

#[derive(Default)]
struct Tally {
    counts: Counts,
    wall_times: WallTimes,
    crashes: Vec<Crash>,
}

impl Tally {
    fn summary(self, interrupt: &Interrupt, complete: bool) -> RunSummary {
        RunSummary {
            counts: self.counts,
            wall_times: self.wall_times,
            crashes: self.crashes,
            interrupted: interrupt.signal(),
            complete,
        }
    }

    fn add(&mut self, chunk: &[Played]) {
        for played in chunk {
            let record = &played.record;
            self.counts.add(record.status(), record.reason_kind());
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
