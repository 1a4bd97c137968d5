//! A watch over the threads of a run: ends points past their time, and what goes on long after a signal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::halt::Halt;
use crate::runner::clock::Stopwatch;
use crate::runner::stop_flag::StopFlag;

/// Time between two looks at the threads.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// Time that points in flight have left to finish once a run is to end.
const GRACE: Duration = Duration::from_millis(500);

/// A thread that simulates, for whoever watches it.
#[derive(Debug, Default)]
pub(super) struct Seat {
    halt: Halt,
    /// Runs since the point began; `None` between points.
    playing: Mutex<Option<Stopwatch>>,
    timed_out: AtomicBool,
}

impl Seat {
    /// Plays a point on this thread, under the eyes of the watch.
    pub(super) fn play<T>(&self, play: impl FnOnce() -> T) -> T {
        self.set(Some(Stopwatch::start()));
        let played = self.halt.over(play);
        self.set(None);
        played
    }

    /// Whether the last point was ended because its time was over.
    pub(super) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Relaxed)
    }

    fn set(&self, playing: Option<Stopwatch>) {
        let mut place = self.playing.lock().unwrap_or_else(PoisonError::into_inner);
        if playing.is_some() {
            self.halt.lower();
            self.timed_out.store(false, Ordering::Relaxed);
        }
        *place = playing;
    }

    /// Ends the point that is played where its time, or that of the whole run, is over.
    fn look(&self, timeout: Option<Duration>, run_is_over: bool) {
        let playing = self.playing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watch) = *playing else {
            return;
        };
        if timeout.is_some_and(|most| watch.elapsed() > most) {
            self.timed_out.store(true, Ordering::Relaxed);
            self.halt.raise();
        } else if run_is_over {
            self.halt.raise();
        }
    }
}

/// Watches the threads until `ended` is dropped: ends points that take longer than `timeout`, the walk of the `plan` as
/// soon as the run is to stop, and the points in flight a little later.
pub(super) fn watch(
    seats: &[Seat],
    plan: &Halt,
    timeout: Option<Duration>,
    stop: &StopFlag<'_>,
    ended: &Receiver<()>,
) {
    let mut stopped: Option<Stopwatch> = None;
    while ended.recv_timeout(LOOKS_EVERY) == Err(RecvTimeoutError::Timeout) {
        if stop.is_raised() {
            stopped.get_or_insert_with(Stopwatch::start);
            plan.raise();
        }
        let run_is_over = stopped.is_some_and(|since| since.elapsed() > GRACE);
        for seat in seats {
            seat.look(timeout, run_is_over);
        }
    }
}
