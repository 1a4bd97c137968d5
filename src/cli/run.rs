//! `sweep run`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::conclusion::{Done, conclude};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::plan;
use crate::cli::progress::{Meter, Mode, Verbosity};
use crate::cli::spec_args::{SpecArgs, point_count, points, provenance, threads};
use crate::cli::terminal::{self, Format, Lines, Stderr};
use crate::record::Provenance;
use crate::runner::{
    Earlier, Finished, Interrupt, Planned, ResumeError, RunError, RunFolder, RunOptions,
    RunSummary, Work, clock, folder::names, reopen, run as run_points,
};
use crate::spec::Spec;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Run folder [default: results/NAME, after the name in the spec]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads that simulate [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Continue the run in the folder: simulate the missing points and retry crashed ones. Starts a new run
    /// where there is none
    #[arg(long)]
    resume: bool,
    /// Replace the result that the run folder holds
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Show the plan only: axes, points, estimated time and size
    #[arg(long)]
    dry_run: bool,
    /// Display of progress
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    progress: Mode,
    /// Stop at the first point that crashes
    #[arg(long)]
    fail_fast: bool,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print nothing but results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every infeasible point with its reason
    #[arg(short, long)]
    verbose: bool,
}

impl Args {
    fn verbosity(&self) -> Verbosity {
        if self.quiet {
            Verbosity::Quiet
        } else if self.verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Normal
        }
    }

    /// The folder that was asked for, or one named after the spec.
    fn folder(&self, spec: &Spec) -> PathBuf {
        let name = match (&self.out, self.spec.portion().shard) {
            (Some(path), _) => return path.clone(),
            (None, Some(shard)) => format!("{}-{}-of-{}", spec.name, shard.number(), shard.of()),
            (None, None) => spec.name.clone(),
        };
        PathBuf::from("results").join(name)
    }
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let spec = args.spec.load(stderr, args.progress.lines())?;
    let portion = args.spec.portion();
    if args.dry_run {
        return plan::show(&spec, portion, args.threads, args.format);
    }
    let path = args.folder(&spec);
    let provenance = provenance(&spec, portion);
    let (folder, before) = if args.resume {
        resume(&path, &provenance, args.progress.lines())?
    } else {
        let folder = RunFolder::prepare(&path, args.overwrite).map_err(Failure::io)?;
        (folder, Before::default())
    };
    let done = simulate(args, &spec, &folder, &provenance, before, stderr)?;
    conclude(&done, args.format)
}

/// The finished points of an earlier run, and its manifest.
type Before = (Finished, Earlier);

/// Opens a folder to continue its run.
fn resume(
    path: &Path,
    provenance: &Provenance,
    lines: Lines,
) -> Result<(RunFolder, Before), Failure> {
    let folder = RunFolder::resume(path).map_err(Failure::io)?;
    let run = Earlier::of(&folder);
    let finished =
        reopen(&folder, run.points.as_deref(), provenance).map_err(|error| run_failure(&error))?;
    for damaged in finished.damaged() {
        let path = damaged.display();
        let message = format!(
            "warning: `{path}` is damaged (it has not the digest it was written with); its points are simulated again"
        );
        lines.log("damaged", &message);
    }
    Ok((folder, (finished, run)))
}

fn simulate<'a>(
    args: &Args,
    spec: &'a Spec,
    folder: &'a RunFolder,
    provenance: &'a Provenance,
    (finished, run): Before,
    stderr: Stderr,
) -> Result<Done<'a>, Failure> {
    let portion = provenance.portion;
    folder
        .add(names::SPEC, provenance.spec.as_bytes())
        .map_err(Failure::io)?;
    let interrupt = Interrupt::listen()
        .map_err(|error| Failure::io(format!("cannot listen to signals: {error}")))?;
    let started = run.started.unwrap_or_else(clock::now_utc);
    let options = RunOptions {
        threads: threads(args.threads),
        fail_fast: args.fail_fast,
    };
    let total = point_count(spec, portion);
    let total = total.map(|total| total.saturating_sub(finished.len()));
    if !finished.is_empty() && args.verbosity() > Verbosity::Quiet {
        let (count, path) = (finished.len(), folder.path().display());
        let message = format!("continuing {path}: {count} points are finished");
        args.progress.lines().log("resumed", &message);
    }
    let meter = Meter::new(args.progress, args.verbosity(), total, stderr);
    let result = run_points(
        &Planned::new(spec),
        Work {
            points: points(spec, portion),
            finished,
        },
        folder,
        provenance,
        options,
        &interrupt,
        &meter,
    );
    let mut summary = result.map_err(|error| run_failure(&error))?;
    if args.progress.lines() == Lines::Json {
        terminal::log(&closing_event(&summary, &meter, folder));
    } else if args.verbosity() > Verbosity::Quiet {
        terminal::log(&closing_line(&summary, &meter, folder));
    }
    summary.wall_times.add_all(&run.wall_times);
    Ok(Done {
        spec,
        folder,
        provenance,
        summary,
        started,
        threads: options.threads,
    })
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
        | RunError::Rows { .. } => Failure::io(error),
    }
}

/// The last line for programs: `{"event": "finished", …}`, or `stopped` where points are missing.
fn closing_event(summary: &RunSummary, meter: &Meter, folder: &RunFolder) -> String {
    let (points, seconds) = (summary.wall_times.count(), meter.elapsed().as_secs_f64());
    let counts = &summary.counts;
    json!({
        "event": if summary.complete { "finished" } else { "stopped" },
        "points": points,
        "ok": counts.ok,
        "infeasible": counts.infeasible,
        "crashed": counts.crashed,
        "elapsed_s": seconds,
        "points_per_s": points as f64 / seconds.max(1e-9),
        "folder": folder.path(),
    })
    .to_string()
}

fn closing_line(summary: &RunSummary, meter: &Meter, folder: &RunFolder) -> String {
    let points = summary.wall_times.count();
    let seconds = meter.elapsed().as_secs_f64();
    let rate = points as f64 / seconds.max(1e-9);
    let where_to = folder.path().display();
    if summary.complete && points == 0 {
        format!("no point was left to simulate; {where_to} is complete")
    } else if summary.complete {
        format!("{points} points in {seconds:.1} s ({rate:.0}/s), written to {where_to}")
    } else {
        format!(
            "stopped after {points} points; finished ones are in {where_to}/parts, continue with --resume"
        )
    }
}
