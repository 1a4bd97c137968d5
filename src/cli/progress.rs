//! Progress of a run, on stderr.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use itertools::Itertools;

use crate::cli::event::Event;
use crate::cli::terminal::{self, Stderr};
use crate::record::{PointStatus, Record};
use crate::report::quantity::decimal;
use crate::runner::Progress;
use crate::runner::clock::Stopwatch;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Time between two JSON lines.
const JSON_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// A bar on a terminal, else a line every ten seconds
    Auto,
    /// A line every ten seconds even where stderr is no terminal, a bar where it is
    Always,
    /// Nothing
    Never,
    /// A JSON object per line and second
    Json,
}

impl Mode {
    /// Makes all lines on stderr JSON where progress is.
    pub(super) fn begin(self) {
        match self {
            Self::Json => terminal::say_json(),
            Self::Auto | Self::Always | Self::Never => {}
        }
    }
}

/// Points that are printed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// None, and errors alone.
    Quiet,
    /// Crashed points.
    Normal,
    /// Infeasible points too.
    Verbose,
}

enum Display {
    Silent,
    Bar(ProgressBar),
    Lines,
    Json,
}

/// Displays the progress of a run.
pub(super) struct Meter {
    display: Display,
    verbosity: Verbosity,
    total: Option<u64>,
    done: AtomicU64,
    infeasible: AtomicU64,
    crashed: AtomicU64,
    watch: Stopwatch,
    last_line: Mutex<Duration>,
}

impl Meter {
    pub(super) fn new(
        mode: Mode,
        verbosity: Verbosity,
        total: Option<u64>,
        stderr: Stderr,
    ) -> Self {
        let display = match mode {
            _ if verbosity == Verbosity::Quiet && mode != Mode::Json => Display::Silent,
            Mode::Never => Display::Silent,
            Mode::Json => Display::Json,
            // Prose between lines for programs would be no JSON.
            Mode::Auto | Mode::Always if terminal::says_json() => Display::Json,
            Mode::Auto | Mode::Always if stderr.is_terminal => Display::Bar(bar(total)),
            Mode::Auto | Mode::Always => Display::Lines,
        };
        Self {
            display,
            verbosity,
            total,
            done: AtomicU64::new(0),
            infeasible: AtomicU64::new(0),
            crashed: AtomicU64::new(0),
            watch: Stopwatch::start(),
            last_line: Mutex::new(Duration::ZERO),
        }
    }

    /// Wall time since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    fn say(&self, record: &Record) {
        if terminal::says_json() {
            return terminal::event(&Event::of_point(record));
        }
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| terminal::write(&described(record))),
            Display::Silent | Display::Lines | Display::Json => {
                terminal::write(&described(record));
            }
        }
    }

    /// Prints a line when the last one is old enough.
    fn line(&self, every: Duration, render: impl Fn(&Self, Duration) -> String) {
        let now = self.watch.elapsed();
        // A thread that finds another one writing has nothing newer to say.
        let Ok(mut last) = self.last_line.try_lock() else {
            return;
        };
        if now.saturating_sub(*last) >= every {
            *last = now;
            terminal::write(&render(self, now));
        }
    }

    /// Points per second so far, and the seconds that are left at this rate.
    fn rate(&self, now: Duration) -> (f64, Option<f64>) {
        let done = self.done.load(Ordering::Relaxed) as f64;
        let rate = done / now.as_secs_f64().max(1e-9);
        let left = self
            .total
            .map(|total| (total as f64 - done).max(0.0) / rate)
            .filter(|left| left.is_finite());
        (rate, left)
    }

    fn plain_line(&self, now: Duration) -> String {
        let (rate, left) = self.rate(now);
        let done = self.done.load(Ordering::Relaxed);
        let of = self
            .total
            .map(|total| format!("/{total}"))
            .unwrap_or_default();
        let left = left
            .map(|left| format!(", {left:.0} s left"))
            .unwrap_or_default();
        format!("{done}{of} points, {rate:.0}/s{left}")
    }

    fn json_line(&self, now: Duration) -> String {
        let (rate, left) = self.rate(now);
        let event = Event::Progress {
            done: self.done.load(Ordering::Relaxed),
            total: self.total,
            infeasible: self.infeasible.load(Ordering::Relaxed),
            crashed: self.crashed.load(Ordering::Relaxed),
            elapsed_s: now.as_secs_f64(),
            points_per_s: rate,
            left_s: left,
        };
        event.line()
    }
}

impl Progress for Meter {
    fn point_done(&self, record: &Record) {
        self.done.fetch_add(1, Ordering::Relaxed);
        let printed_from = match record.status() {
            PointStatus::Ok => None,
            PointStatus::Infeasible => {
                self.infeasible.fetch_add(1, Ordering::Relaxed);
                Some(Verbosity::Verbose)
            }
            PointStatus::Crashed => {
                self.crashed.fetch_add(1, Ordering::Relaxed);
                Some(Verbosity::Normal)
            }
        };
        if printed_from.is_some_and(|least| self.verbosity >= least) {
            self.say(record);
        }
        match &self.display {
            Display::Silent => {}
            Display::Bar(bar) => bar.inc(1),
            Display::Lines => self.line(LINE_EVERY, Self::plain_line),
            Display::Json => self.line(JSON_EVERY, Self::json_line),
        }
    }

    fn finished(&self) {
        match &self.display {
            Display::Silent | Display::Lines => {}
            Display::Bar(bar) => bar.finish_and_clear(),
            Display::Json => terminal::write(&self.json_line(self.watch.elapsed())),
        }
    }
}

/// A point that did not run, with its reason and its values.
fn described(record: &Record) -> String {
    let values = record.point().iter();
    format!(
        "point {} {}: {} ({})",
        record.point().index,
        record.status(),
        record.reason().unwrap_or_default(),
        values
            .map(|(axis, value)| format!("{axis}={value}"))
            .join(" ")
    )
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:32} {human_pos}/{human_len} points  {rate}  {eta} left",
        None => "{spinner} {human_pos} points  {rate}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let style = style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
        // A bar that cannot be drawn is none that anyone waits for.
        let _ = write!(text, "{}/s", decimal(state.per_sec()));
    });
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(style)
}
