//! `sweep run`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use std::{process, thread};

use crate::cli::event::{Ended, Event, Level};
use crate::cli::exit::ExitStatus;
use crate::cli::plan;
use crate::cli::progress::{Meter, Mode, Verbosity};
use crate::cli::spec_args::SpecArgs;
use crate::cli::terminal::{self, Format, Stderr};
use crate::cli::threads::threads;
use crate::commands::{
    Conclusion, Detail, Done, Failure, FolderRun, HeldResult, RunRequest, extended,
};
use crate::runner::{Finished, Interrupt, RunFolder, RunSummary, clock};
use crate::spec::Portion;
use crate::units::plural;

/// Time between two looks whether a signal came.
const SIGNAL_LOOKS_EVERY: Duration = Duration::from_millis(50);
/// Time from a signal to the end of the process.
const END_WITHIN: Duration = Duration::from_millis(1_800);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Run folder [default: results/NAME, after the name in the spec]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads that simulate [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Continue the run in the folder: simulate the missing points and retry crashed ones. Starts a new run
    /// where there is none
    #[arg(long)]
    resume: bool,
    /// Replace the result that the run folder holds
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Leave the table a dataset of the parts in which it was written, a folder `points.parquet`; `sweep merge` joins them
    #[arg(long)]
    no_join: bool,
    /// Extend the finished run in the folder by the values that the spec's axes have besides: its points keep their numbers
    /// and rows, new ones follow
    #[arg(long, conflicts_with_all = ["resume", "overwrite", "shard", "limit"])]
    append: bool,
    /// Show the plan only: axes, points, estimated time and size
    #[arg(long)]
    dry_run: bool,
    /// Display of progress
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    progress: Mode,
    /// Stop at the first point that crashes
    #[arg(long)]
    fail_fast: bool,
    /// Most events of a point's simulation, the search for its layout included; a point that takes more is infeasible
    #[arg(long, value_name = "N")]
    max_events: Option<u64>,
    /// Longest wall time of a point, as 30s or 5min; one that takes longer is a crashed row, which --resume retries
    #[arg(long, value_name = "TIME", value_parser = clock::parse_duration)]
    point_timeout: Option<Duration>,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print nothing but results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

impl Args {
    fn verbosity(&self, verbose: bool) -> Verbosity {
        if self.quiet {
            Verbosity::Quiet
        } else if verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Normal
        }
    }

    fn request(&self) -> RunRequest {
        RunRequest {
            out: self.out.clone(),
            portion: Portion {
                max_events: self.max_events,
                ..self.spec.portion()
            },
            threads: self.threads,
            fail_fast: self.fail_fast,
            point_timeout: self.point_timeout,
            no_join: self.no_join,
            held: match (self.resume, self.overwrite, self.append) {
                (true, ..) => HeldResult::Resume,
                (_, true, _) => HeldResult::Overwrite,
                (.., true) => HeldResult::Append,
                (false, false, false) => HeldResult::Refuse,
            },
        }
    }
}

pub(super) fn run(args: &Args, verbose: bool, stderr: Stderr) -> Result<ExitStatus, Failure> {
    args.progress.begin();
    let mut spec = args.spec.load(stderr)?;
    if args.append {
        spec = extended(&spec, &args.request())?;
    }
    if args.dry_run {
        return plan::show(&spec, args.spec.portion(), args.threads, args.format);
    }
    let run = FolderRun::open(&spec, &args.request())?;
    let verbosity = args.verbosity(verbose);
    log_finished(run.finished(), run.folder(), verbosity);
    let interrupt = Interrupt::listen()
        .map_err(|error| Failure::io(format!("cannot listen to signals: {error}")))?;
    end_in_time(interrupt.clone());
    let meter = Meter::new(args.progress, verbosity, run.points_left(), stderr);
    let done = run.simulate(&interrupt, &meter)?;
    let Done {
        summary, folder, ..
    } = &done;
    if terminal::says_json() {
        terminal::event(&closing_event(summary, &meter, folder));
    } else if verbosity > Verbosity::Quiet {
        terminal::log(&closing_line(summary, &meter, folder));
    }
    let conclusion = done.conclude()?;
    print(&conclusion, args.format, terminal::detail(verbose))
}

/// Ends the process two seconds after a signal, whatever it does by then: joining parts and analysing take minutes in a
/// large run, and both begin anew with `--resume`.
fn end_in_time(interrupt: Interrupt) {
    thread::spawn(move || {
        let signal = loop {
            match interrupt.signal() {
                Some(signal) => break signal,
                None => thread::sleep(SIGNAL_LOOKS_EVERY),
            }
        };
        thread::sleep(END_WITHIN);
        terminal::log("stopped; finished points are kept, continue with --resume");
        process::exit(ExitStatus::from(signal).code().into());
    });
}

/// Says what an earlier run left in the folder, damage included.
fn log_finished(finished: &Finished, folder: &RunFolder, verbosity: Verbosity) {
    for damaged in finished.damaged() {
        let path = damaged.display();
        let message = format!(
            "warning: `{path}` is damaged (it has not the digest it was written with); its points are simulated again"
        );
        terminal::say(Level::Warning, &message);
    }
    if !finished.is_empty() && verbosity > Verbosity::Quiet {
        let (count, path) = (finished.len(), folder.path().display());
        let message = format!("continuing {path}: {count} points are finished");
        terminal::log(&message);
    }
}

/// Prints the summary of a run or a merge.
pub(super) fn print(
    conclusion: &Conclusion<'_>,
    format: Format,
    detail: Detail,
) -> Result<ExitStatus, Failure> {
    format.try_print(|| conclusion.text(detail), || conclusion.json())?;
    Ok(match conclusion.stopped_by() {
        Some(signal) => signal.into(),
        None if conclusion.has_crashed() => ExitStatus::Finding,
        None => ExitStatus::Success,
    })
}

/// The end of a run for programs.
pub(super) fn closing_event<'a>(
    summary: &RunSummary,
    meter: &Meter,
    folder: &'a RunFolder,
) -> Event<'a> {
    let (points, seconds) = (summary.wall_times.count(), meter.elapsed().as_secs_f64());
    let counts = &summary.counts;
    let ended = Ended {
        points,
        ok: counts.ok,
        infeasible: counts.infeasible,
        crashed: counts.crashed,
        elapsed_s: seconds,
        points_per_s: points as f64 / seconds.max(1e-9),
        folder: folder.path(),
    };
    if summary.complete {
        Event::Finished(ended)
    } else {
        Event::Stopped(ended)
    }
}

fn closing_line(summary: &RunSummary, meter: &Meter, folder: &RunFolder) -> String {
    let points = summary.wall_times.count();
    let seconds = meter.elapsed().as_secs_f64();
    let rate = points as f64 / seconds.max(1e-9);
    let counted = format!("{points} point{}", plural(points));
    let where_to = folder.path().display();
    if summary.complete && points == 0 {
        format!("no point was left to simulate; {where_to} is complete")
    } else if summary.complete {
        format!("{counted} in {seconds:.1} s ({rate:.0}/s), written to {where_to}")
    } else {
        format!(
            "stopped after {counted}; finished ones are in {where_to}/parts, continue with --resume"
        )
    }
}
