//! Points simulated into a run folder, or into memory.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::commands::conclusion::Done;
use crate::commands::failure::Failure;
use crate::commands::points::{point_count, points, provenance, threads};
use crate::record::{PointStatus, Provenance, Record, TableWriter, points_schema};
use crate::runner::{
    Earlier, Finished, Interrupt, Planned, Progress, ResumeError, RunError, RunFolder, RunOptions,
    Work, clock, extend, folder::names, reopen, run as run_points, run_in_memory,
};
use crate::spec::{Portion, Spec};

/// Treatment of a result that the folder of a run holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldResult {
    /// Refuses the folder.
    #[default]
    Refuse,
    /// Simulates the missing points and retries crashed ones.
    Resume,
    /// Replaces it.
    Overwrite,
    /// Keeps its rows, and simulates the points that the spec has besides.
    Append,
}

/// Points to run and where to put them.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// Run folder; `results/NAME` after the spec's name where there is none.
    pub out: Option<PathBuf>,
    /// Points to run.
    pub portion: Portion,
    /// Threads that simulate; one per core where there is none.
    pub threads: Option<NonZeroUsize>,
    /// Whether the first crashed point ends the run.
    pub fail_fast: bool,
    /// Longest wall time of a point.
    pub point_timeout: Option<Duration>,
    /// Whether the table stays a dataset of the parts in which it was written.
    pub no_join: bool,
    /// Treatment of a result that the folder holds.
    pub held: HeldResult,
}

impl RunRequest {
    /// The folder that was asked for, or one named after the spec.
    pub(super) fn folder(&self, spec: &Spec) -> PathBuf {
        let name = match (&self.out, self.portion.shard) {
            (Some(path), _) => return path.clone(),
            (None, Some(shard)) => format!("{}-{}-of-{}", spec.name, shard.number(), shard.of()),
            (None, None) => spec.name.clone(),
        };
        PathBuf::from("results").join(name)
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            threads: threads(self.threads),
            fail_fast: self.fail_fast,
            point_timeout: self.point_timeout,
            no_join: self.no_join,
        }
    }
}

/// A run whose folder is locked and holds its spec.
#[derive(Debug)]
pub struct FolderRun<'a> {
    spec: &'a Spec,
    folder: RunFolder,
    provenance: Provenance,
    options: RunOptions,
    finished: Finished,
    earlier: Earlier,
}

impl<'a> FolderRun<'a> {
    /// Makes a folder ready for a run, or opens the run that it holds to go on with it.
    ///
    /// # Errors
    /// If the folder holds a result that the request does not give up, another run, or cannot be written to.
    pub fn open(spec: &'a Spec, request: &RunRequest) -> Result<Self, Failure> {
        let path = request.folder(spec);
        let provenance = provenance(spec, request.portion);
        let (folder, finished, earlier) = match request.held {
            HeldResult::Resume => resume(&path, &provenance)?,
            HeldResult::Append => append(&path, &provenance)?,
            held @ (HeldResult::Refuse | HeldResult::Overwrite) => {
                let overwrite = held == HeldResult::Overwrite;
                let folder = RunFolder::prepare(&path, overwrite).map_err(Failure::io)?;
                (folder, Finished::default(), Earlier::default())
            }
        };
        if !finished.is_empty() {
            log::info!(path:% = path.display(), points = finished.len(); "resumed");
        }
        if !folder.holds_table() {
            write_spec(&folder, &provenance)?;
        }
        Ok(Self {
            spec,
            folder,
            provenance,
            options: request.options(),
            finished,
            earlier,
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Points that an earlier run finished, and files of it that are damaged.
    pub(crate) fn finished(&self) -> &Finished {
        &self.finished
    }

    /// Points that are left to simulate; `None` where counting takes too long.
    pub fn points_left(&self) -> Option<u64> {
        let total = point_count(self.spec, self.provenance.portion);
        total.map(|total| total.saturating_sub(self.finished.len()))
    }

    /// Simulates the points that are left. An interrupt lets the points in flight finish; what is finished stays.
    ///
    /// # Errors
    /// If the threads cannot be started, a file cannot be written, or this program fails beside a point.
    pub fn simulate(
        self,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) -> Result<Done<'a>, Failure> {
        let started = self.earlier.started.clone();
        let started = started.unwrap_or_else(clock::now_utc);
        let work = Work {
            points: points(self.spec, self.provenance.portion),
            finished: self.finished,
        };
        let result = run_points(
            &Planned::new(self.spec).with_max_events(self.provenance.portion.max_events),
            work,
            &self.folder,
            &self.provenance,
            self.options,
            interrupt,
            progress,
        );
        let summary = result.map_err(|error| run_failure(&error))?;
        if summary.complete {
            // Not before: it stands for the table of the result that this one replaces.
            write_spec(&self.folder, &self.provenance)?;
        }
        Ok(Done {
            spec: self.spec,
            folder: self.folder,
            provenance: self.provenance,
            summary,
            earlier: self.earlier,
            started,
            threads: self.options.threads,
        })
    }
}

fn write_spec(folder: &RunFolder, provenance: &Provenance) -> Result<(), Failure> {
    let text = provenance.spec.as_bytes();
    folder.add(names::SPEC, text).map_err(Failure::io)
}

/// Opens a folder to continue its run: its finished points, and what its manifest says.
fn resume(path: &Path, provenance: &Provenance) -> Result<(RunFolder, Finished, Earlier), Failure> {
    let folder = RunFolder::resume(path).map_err(Failure::io)?;
    let earlier = Earlier::of(&folder);
    let finished = reopen(&folder, earlier.points.as_deref(), provenance);
    let finished = finished.map_err(|error| run_failure(&error))?;
    Ok((folder, finished, earlier.of_spec(&provenance.spec_hash())))
}

/// Opens a folder to extend its run: the rows that it has become the first part of the new one, whose provenance is given.
///
/// # Errors
/// If another run writes there, its table is damaged, or a file cannot be written.
fn append(path: &Path, provenance: &Provenance) -> Result<(RunFolder, Finished, Earlier), Failure> {
    let folder = RunFolder::resume(path).map_err(Failure::io)?;
    let earlier = Earlier::of(&folder);
    let whole = earlier.points.as_deref();
    extend(&folder, whole, provenance).map_err(|error| run_failure(&error))?;
    let finished = reopen(&folder, whole, provenance);
    let finished = finished.map_err(|error| run_failure(&error))?;
    Ok((folder, finished, earlier))
}

/// Simulates points and hands out their rows, a few hundred at a time, in the order of the points, on this thread;
/// `take` returns whether it wants more. Returns the rows' schema.
///
/// # Errors
/// If the threads cannot be started, or this program fails beside a point.
pub fn run_rows(
    spec: &Spec,
    request: &RunRequest,
    interrupt: &Interrupt,
    progress: &dyn Progress,
    take: impl FnMut(RecordBatch) -> bool,
) -> Result<SchemaRef, Failure> {
    let provenance = provenance(spec, request.portion);
    let ended = run_in_memory(
        &Planned::new(spec).with_max_events(request.portion.max_events),
        points(spec, request.portion),
        &provenance,
        request.options(),
        interrupt,
        progress,
        take,
    );
    ended.map_err(|error| run_failure(&error))?;
    Ok(points_schema(&provenance))
}

fn run_failure(error: &RunError) -> Failure {
    match error {
        RunError::Resume(ResumeError::Differs { .. }) | RunError::Threads { .. } => {
            Failure::usage(error)
        }
        RunError::Panicked { .. } => Failure::fault(error),
        RunError::Folder(_)
        | RunError::Write(_)
        | RunError::Join(_)
        | RunError::Resume(_)
        | RunError::Damaged { .. }
        | RunError::DamagedTable { .. }
        | RunError::Rows { .. } => Failure::io(error),
    }
}

/// Writes the rows of a portion of a spec's points into a folder that exists, as `points.parquet` with the spec beside it, so that
/// they can be analysed as a run.
///
/// # Errors
/// If the file system refuses, or the rows are none of the spec's.
pub fn save_rows(
    spec: &Spec,
    portion: Portion,
    rows: &[RecordBatch],
    folder: &Path,
) -> Result<(), Failure> {
    let provenance = provenance(spec, portion);
    let schema = points_schema(&provenance);
    if rows.iter().any(|batch| batch.schema_ref() != &schema) {
        return Err(Failure::usage(
            "the rows belong to another spec; save them with their own",
        ));
    }
    let folder = RunFolder::existing(folder);
    let write = || {
        folder.add(names::SPEC, provenance.spec.as_bytes())?;
        let mut writer = TableWriter::create(&folder.points(), &schema, &provenance)?;
        rows.iter().try_for_each(|batch| writer.write(batch))?;
        writer.finish()
    };
    write().map_err(Failure::io)
}

/// Points of a run under way by how they ended, for whoever shows them from another thread.
#[derive(Debug, Default)]
pub struct PointCounter {
    done: AtomicU64,
    infeasible: AtomicU64,
    crashed: AtomicU64,
}

impl PointCounter {
    /// Points that have a row: all, infeasible, crashed.
    pub fn counts(&self) -> [u64; 3] {
        [&self.done, &self.infeasible, &self.crashed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Progress for PointCounter {
    fn point_done(&self, record: &Record) {
        self.done.fetch_add(1, Ordering::Relaxed);
        match record.status() {
            PointStatus::Ok => 0,
            PointStatus::Infeasible => self.infeasible.fetch_add(1, Ordering::Relaxed),
            PointStatus::Crashed => self.crashed.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn finished(&self) {}
}
