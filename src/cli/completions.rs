//! `sweep completions`.

use clap_complete::Shell;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell to complete commands in
    shell: Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "sweep", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))
}
