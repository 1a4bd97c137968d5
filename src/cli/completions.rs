//! `sweep completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::terminal;
use crate::cli::{Cli, ExitStatus, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell that the completions are for
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sweep", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Success)
}
