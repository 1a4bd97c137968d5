//! `sweep verify`.

use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal::Format;
use crate::commands::{Failure, verify};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folder
    run: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let found = verify(&args.run)?;
    args.format.print(|| found.text(), || found.json())?;
    Ok(if found.is_damaged() {
        ExitStatus::Io
    } else if found.is_unfinished() {
        ExitStatus::Finding
    } else {
        ExitStatus::Success
    })
}
