//! `sweep answer`: the answer to a planner's question.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::cli::event::Level;
use crate::cli::exit::ExitStatus;
use crate::cli::fraction::share;
use crate::cli::progress::{Meter, Mode, Verbosity};
use crate::cli::run::{closing_event, print};
use crate::cli::terminal::{self, Format, Stderr};
use crate::cli::threads::threads;
use crate::commands::{Answered, Asked, Failure, FolderRun, HeldResult, RunRequest, RunSource};
use crate::runner::Interrupt;
use crate::spec::{Overrides, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Spec, which is run first, or the folder of a finished run
    #[arg(value_name = "SPEC|RUN")]
    source: PathBuf,
    /// Tokens of the whole training
    #[arg(long, value_name = "N", conflicts_with = "samples")]
    tokens: Option<String>,
    /// Samples of the whole training, in place of its tokens
    #[arg(long, value_name = "N")]
    samples: Option<String>,
    /// Longest time that the training may take: "60 days"
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Most that it may cost: "700000 USD"
    #[arg(long, value_name = "MONEY")]
    budget: Option<String>,
    /// Most GPUs that it may use
    #[arg(long, value_name = "N")]
    gpus_max: Option<String>,
    /// Share of the measured trainings of the model's family for which the limits have to hold, 0.9 or 90%, were they
    /// predicted as this one is
    #[arg(long, value_name = "SHARE", value_parser = share)]
    confidence: Option<f64>,
    /// Also simulate the sizes between those of the grid that may be cheaper, into RUN-refined
    #[arg(long)]
    refine: bool,
    /// Replace an axis of the grid, or a default; repeatable
    #[arg(long, value_name = "AXIS=VALUE[,VALUE…]")]
    set: Vec<String>,
    /// Keep only points for which this holds; repeatable
    #[arg(long = "where", value_name = "EXPR")]
    where_clauses: Vec<String>,
    /// Run folder [default: results/NAME, after the name in the spec]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace another result that the run folder holds; one of the same points is read, not replaced
    #[arg(long)]
    overwrite: bool,
    /// Threads that simulate [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Display of progress
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    progress: Mode,
    /// Format of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Args {
    fn overrides(&self) -> Overrides {
        let typed = [
            ("tokens", self.tokens.clone()),
            ("samples", self.samples.clone()),
            ("deadline", self.deadline.clone()),
            ("budget", self.budget.clone()),
            ("gpus_max", self.gpus_max.clone()),
            ("confidence", self.confidence.map(|share| share.to_string())),
        ];
        let typed = typed.into_iter();
        Overrides {
            set: (self.set.iter())
                .map(|text| Overrides::set_argument(text))
                .collect(),
            where_clauses: self.where_clauses.clone(),
            question: typed
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect(),
        }
    }

    fn request(&self, out: Option<PathBuf>) -> RunRequest {
        RunRequest {
            out,
            threads: self.threads,
            held: if self.overwrite {
                HeldResult::Overwrite
            } else {
                HeldResult::Resume
            },
            ..RunRequest::default()
        }
    }
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    args.progress.begin();
    let request = args.request(args.out.clone());
    let asked = Asked::at(&args.source, &args.overrides())?.or_finished(&request)?;
    let (source, spec) = match asked {
        Asked::Run(source, spec) => (source, spec),
        Asked::Spec(spec) => {
            for warning in &spec.warnings {
                let render = |styled| warning.render(styled);
                terminal::say_rendered(Level::Warning, render, stderr);
            }
            match simulated(&spec, &request, args, stderr)? {
                Ok(source) => (source, spec),
                Err(stopped) => return Ok(stopped),
            }
        }
    };
    let answered = Answered::of(&[(&source, &spec)], args.threads)?;
    let print = |answered: &Answered| {
        args.format
            .print(|| answered.text() + &answered.files(), || answered.json())
    };
    if !args.refine {
        return print(&answered);
    }
    let Some(refined) = answered.refined(&spec)? else {
        terminal::log("no size between those of the grid may be cheaper: nothing to refine");
        return print(&answered);
    };
    let request = args.request(Some(answered.refined_folder()));
    let more = match simulated(&refined, &request, args, stderr)? {
        Ok(source) => source,
        Err(stopped) => return Ok(stopped),
    };
    let answered = Answered::of(&[(&source, &spec), (&more, &refined)], args.threads)?;
    answered.write_beside(&more, &refined)?;
    print(&answered)
}

/// Runs a spec and opens its run; the exit status where a signal stopped it.
fn simulated(
    spec: &Spec,
    request: &RunRequest,
    args: &Args,
    stderr: Stderr,
) -> Result<Result<RunSource, ExitStatus>, Failure> {
    let run = FolderRun::open(spec, request)?;
    let interrupt = Interrupt::listen()
        .map_err(|error| Failure::io(format!("cannot listen to signals: {error}")))?;
    let meter = Meter::new(args.progress, Verbosity::Normal, run.points_left(), stderr);
    let done = run.simulate(&interrupt, &meter)?;
    if terminal::says_json() {
        terminal::event(&closing_event(&done.summary, &meter, &done.folder));
    }
    let folder = done.folder.path().to_owned();
    let conclusion = done.conclude()?;
    if conclusion.stopped_by().is_some() {
        return Ok(Err(print(
            &conclusion,
            args.format,
            terminal::detail(false),
        )?));
    }
    Ok(Ok(RunSource::new(&folder)?))
}
