//! `sweep merge`.

use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::run::print;
use crate::cli::terminal::{Format, detail};
use crate::commands::{Failure, merge};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders that `sweep run --shard K/N` wrote, all N of them
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,
    /// Run folder to write
    #[arg(short, long, value_name = "RUN")]
    out: PathBuf,
    /// Replace the result that the run folder holds
    #[arg(long)]
    overwrite: bool,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, verbose: bool) -> Result<ExitStatus, Failure> {
    merge(&args.shards, &args.out, args.overwrite, |conclusion| {
        print(&conclusion, args.format, detail(verbose))
    })?
}
