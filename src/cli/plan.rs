//! `sweep plan`, and `sweep run --dry-run`: what a spec expands to.

use std::num::NonZeroUsize;

use crate::cli::exit::ExitStatus;
use crate::cli::spec_args::SpecArgs;
use crate::cli::terminal::{Format, Stderr};
use crate::cli::threads::threads;
use crate::commands::{Failure, PlanOverview};
use crate::spec::{Portion, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Threads to estimate the time for [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let spec = args.spec.load(stderr)?;
    show(&spec, args.spec.portion(), args.threads, args.format)
}

/// Prints the plan of a spec.
pub(super) fn show(
    spec: &Spec,
    portion: Portion,
    threads: Option<NonZeroUsize>,
    format: Format,
) -> Result<ExitStatus, Failure> {
    let overview = PlanOverview::of(spec, portion, threads);
    format.print(|| overview.text(), || overview.json())
}
