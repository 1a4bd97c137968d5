//! Simulates chunks of points on the rayon pool.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError};

use crate::record::{PhaseStep, PointEnd, PointStatus, Record};
use crate::runner::clock::Stopwatch;
use crate::runner::progress::Progress;
use crate::runner::stop_flag::StopFlag;
use crate::runner::watch::Seat;
use crate::simulation::{Crash, Outcome, Scenario, guarded};
use crate::spec::{AnalysisSettings, GridPoint, Metric};

/// Points that a thread takes at a time: they differ in cost, so few.
const POINTS_AT_A_TIME: usize = 4;

/// Wall time from which a point is slow, and named in the log.
const SLOW: Duration = Duration::from_secs(2);

/// Points that a run simulates: a spec with its catalogue.
pub trait Study: Sync {
    /// Memory that one thread reuses from point to point.
    type Scratch: Send + Default;

    /// Simulates one point: its scenario, where it has one, and its outcome.
    fn play(&self, point: &GridPoint, scratch: &mut Self::Scratch) -> (Option<Scenario>, Outcome);

    /// Simulates the phases of a training whose main step ran.
    fn play_phases(&self, _: &Scenario, _: &mut Self::Scratch) -> Vec<PhaseStep> {
        Vec::new()
    }

    /// Settings by which its rows are judged.
    fn analysis(&self) -> &AnalysisSettings;

    /// Columns that it adds to its rows.
    fn metrics(&self) -> &Arc<[Metric]>;
}

/// Options of a run; none of them changes the row of a point that ends.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Threads that simulate.
    pub threads: NonZeroUsize,
    /// Whether the first crashed point ends the run.
    pub fail_fast: bool,
    /// Longest wall time of a point; one that takes longer is a crashed row.
    pub point_timeout: Option<Duration>,
    /// Whether the table stays a dataset of the parts.
    pub no_join: bool,
}

/// A row and its wall time.
pub(super) struct Played {
    pub(super) record: Record,
    pub(super) wall_time: Duration,
}

/// The pool, and of each thread its scratch memory and its seat under the watch.
pub(super) struct Players<T> {
    pool: ThreadPool,
    scratches: Vec<Mutex<T>>,
    seats: Vec<Seat>,
    options: RunOptions,
}

/// Name of the threads that simulate.
pub(crate) const WORKER_NAME: &str = "sweep-worker";

impl<T: Send + Default> Players<T> {
    pub(super) fn new(options: RunOptions) -> Result<Self, ThreadPoolBuildError> {
        let threads = options.threads;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("{WORKER_NAME}-{index}"))
            .build()?;
        let scratches = (0..threads.get()).map(|_| Mutex::default()).collect();
        let seats = (0..threads.get()).map(|_| Seat::default()).collect();
        Ok(Self {
            pool,
            scratches,
            seats,
            options,
        })
    }

    /// Seats of the threads.
    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Simulates a chunk, order kept; points that were not begun when the flag rose are left out, and those that were
    /// ended because of it.
    pub(super) fn play<S: Study<Scratch = T>>(
        &self,
        study: &S,
        chunk: &[GridPoint],
        stop: &StopFlag<'_>,
        progress: &dyn Progress,
    ) -> Vec<Played> {
        let play = |point: &GridPoint| {
            if stop.is_raised() {
                return None;
            }
            let watch = Stopwatch::start();
            let record = self.play_one(study, point)?;
            let status = record.status();
            if self.options.fail_fast && status == PointStatus::Crashed {
                stop.raise();
            }
            progress.point_done(&record);
            let wall_time = watch.elapsed();
            if wall_time > SLOW {
                let (point, seconds) = (point.index, wall_time.as_secs_f64());
                log::debug!(point, seconds; "slow point");
            }
            Some(Played { record, wall_time })
        };
        let played: Vec<Option<Played>> = self.pool.install(|| {
            chunk
                .par_iter()
                .with_max_len(POINTS_AT_A_TIME)
                .map(play)
                .collect()
        });
        played.into_iter().flatten().collect()
    }

    /// The row of a point; `None` where the end of the run ended it.
    fn play_one<S: Study<Scratch = T>>(&self, study: &S, point: &GridPoint) -> Option<Record> {
        let worker = rayon::current_thread_index().expect("points are played on the pool");
        // Only this thread takes this lock.
        let mut scratch = self.scratches[worker]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let seat = &self.seats[worker];
        let end = match (
            seat.play(|| played(study, point, &mut scratch)),
            self.options.point_timeout,
        ) {
            (Ok(record), _) => return Some(record),
            (Err(_), Some(most)) if seat.has_timed_out() => PointEnd::TimedOut(most),
            (Err(Crash::Halted), _) => return None,
            (Err(Crash::Panicked(message)), _) => PointEnd::Crashed(message),
        };
        Some(without_scenario(study, point, end))
    }
}

/// The row of one point; a crashed one where anything of it panics.
pub(crate) fn play_point<S: Study>(
    study: &S,
    point: &GridPoint,
    scratch: &mut S::Scratch,
) -> Record {
    played(study, point, scratch).unwrap_or_else(|crash| {
        let end = PointEnd::Crashed(crash.to_string());
        without_scenario(study, point, end)
    })
}

/// The row of one point.
///
/// # Errors
/// If anything of it panics, or it is halted.
fn played<S: Study>(
    study: &S,
    point: &GridPoint,
    scratch: &mut S::Scratch,
) -> Result<Record, Crash> {
    let (analysis, metrics) = (study.analysis(), study.metrics());
    guarded(scratch, |scratch| {
        let (scenario, outcome) = study.play(point, scratch);
        let mut phases = Vec::new();
        if let (Some(scenario), Outcome::Completed(_)) = (&scenario, &outcome) {
            phases = study.play_phases(scenario, scratch);
        }
        let end = PointEnd::Outcome(outcome);
        Record::new(point.clone(), scenario, end, &phases, analysis, metrics)
    })
}

/// The row of a point that gave no outcome.
fn without_scenario<S: Study>(study: &S, point: &GridPoint, end: PointEnd) -> Record {
    let (analysis, metrics) = (study.analysis(), study.metrics());
    Record::new(point.clone(), None, end, &[], analysis, metrics)
}
