//! `sweep diff`.

use std::path::PathBuf;

use crate::analysis::diff::Gates;
use crate::cli::exit::ExitStatus;
use crate::cli::fraction::fraction;
use crate::cli::terminal;
use crate::commands::{self, Failure, RunSource};
use crate::document::Document;
use crate::report::diff;

/// Format of the comparison.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DiffFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
    /// JUnit XML, for a build server
    Junit,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folder or points.parquet to compare against
    base: PathBuf,
    /// Run folder or points.parquet that may have regressed
    new: PathBuf,
    /// Relative change that counts as no change, 0.02 or 2%, of a metric that has none of its own
    #[arg(long, value_name = "FRACTION", default_value = "2%", value_parser = fraction)]
    tolerance: f64,
    /// Column to compare, with a tolerance of its own after `=`: step_time_s, step_time_s=2%, memory_peak_bytes=512MiB;
    /// repeatable [default: step time and memory]
    #[arg(long, value_name = "COLUMN[=TOLERANCE]")]
    metric: Vec<String>,
    /// Fail too where the new run lacks points of the base
    #[arg(long)]
    fail_missing: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    format: DiffFormat,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let base = RunSource::with_sound_rows(&args.base)?.points;
    let new = RunSource::with_sound_rows(&args.new)?.points;
    let gates = Gates {
        metrics: &args.metric,
        tolerance: args.tolerance,
        fail_missing: args.fail_missing,
    };
    let found = commands::diff(&base, &new, gates)?;
    let text = match args.format {
        DiffFormat::Text => diff::text(&found),
        DiffFormat::Json => format!("{:#}\n", Document::Diff.of(&found)),
        DiffFormat::Markdown => diff::markdown(&found),
        DiffFormat::Junit => diff::junit(&found),
    };
    terminal::print(&text)?;
    Ok(if found.has_regression() {
        ExitStatus::Finding
    } else {
        ExitStatus::Success
    })
}
