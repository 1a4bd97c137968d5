//! Simulates chunks of points on the rayon pool.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError};

use crate::record::{PhaseStep, PointEnd, PointStatus, Record};
use crate::runner::clock::Stopwatch;
use crate::runner::interrupt::Interrupt;
use crate::runner::progress::Progress;
use crate::simulation::{Crash, Outcome, Scenario, guarded};
use crate::spec::{AnalysisSettings, GridPoint, Metric};

/// Points that a thread takes at a time: they differ in cost, so few.
const POINTS_AT_A_TIME: usize = 4;

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

/// Raised when a run is to end early, by a signal or by a failure.
pub(super) struct StopFlag<'a> {
    interrupt: &'a Interrupt,
    failed: AtomicBool,
}

impl<'a> StopFlag<'a> {
    pub(super) const fn new(interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn raise(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_raised(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.interrupt.is_raised()
    }
}

/// A row and its wall time.
pub(super) struct Played {
    pub(super) record: Record,
    pub(super) wall_time: Duration,
}

/// The pool, and the scratch memory of each thread.
pub(super) struct Players<T> {
    pool: ThreadPool,
    scratches: Vec<Mutex<T>>,
}

/// Name of the threads that simulate.
pub(crate) const WORKER_NAME: &str = "sweep-worker";

impl<T: Send + Default> Players<T> {
    pub(super) fn new(threads: NonZeroUsize) -> Result<Self, ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("{WORKER_NAME}-{index}"))
            .build()?;
        let scratches = (0..threads.get()).map(|_| Mutex::default()).collect();
        Ok(Self { pool, scratches })
    }

    /// Simulates a chunk, order kept; points that were not begun when the flag rose are left out.
    pub(super) fn play<S: Study<Scratch = T>>(
        &self,
        study: &S,
        chunk: &[GridPoint],
        stop: &StopFlag<'_>,
        fail_fast: bool,
        progress: &dyn Progress,
    ) -> Vec<Played> {
        let play = |point: &GridPoint| {
            if stop.is_raised() {
                return None;
            }
            let watch = Stopwatch::start();
            let record = self.play_one(study, point);
            let status = record.status();
            if fail_fast && status == PointStatus::Crashed {
                stop.raise();
            }
            progress.point_done(&record);
            Some(Played {
                record,
                wall_time: watch.elapsed(),
            })
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

    fn play_one<S: Study<Scratch = T>>(&self, study: &S, point: &GridPoint) -> Record {
        let worker = rayon::current_thread_index().expect("points are played on the pool");
        // Only this thread takes this lock.
        let mut scratch = self.scratches[worker]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        play_point(study, point, &mut scratch)
    }
}

/// The row of one point; a crashed one where anything of it panics.
pub(crate) fn play_point<S: Study>(
    study: &S,
    point: &GridPoint,
    scratch: &mut S::Scratch,
) -> Record {
    let (analysis, metrics) = (study.analysis(), study.metrics());
    let record = guarded(scratch, |scratch| {
        let (scenario, outcome) = study.play(point, scratch);
        let mut phases = Vec::new();
        if let (Some(scenario), Outcome::Completed(_)) = (&scenario, &outcome) {
            phases = study.play_phases(scenario, scratch);
        }
        let end = PointEnd::Outcome(outcome);
        Record::new(point.clone(), scenario, end, &phases, analysis, metrics)
    });
    record.unwrap_or_else(|Crash(message)| {
        let end = PointEnd::Crashed(message);
        Record::new(point.clone(), None, end, &[], analysis, metrics)
    })
}
