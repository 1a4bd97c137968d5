//! `sweep man`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::{Failure, refuse_files_of_run};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write a page for every command into this folder, as sweep.1 and sweep-run.1, in place of printing that of sweep
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, command: Command) -> Result<ExitStatus, Failure> {
    let Some(folder) = &args.out else {
        let page = page(command).map_err(|error| Failure::io(format!("no page: {error}")))?;
        return terminal::print(&String::from_utf8_lossy(&page));
    };
    refuse_files_of_run(folder)?;
    let failed = |error| Failure::io(format!("cannot write `{}`: {error}", folder.display()));
    write_pages(folder, command).map_err(failed)?;
    Ok(ExitStatus::Success)
}

/// Writes the page of the program and of each of its commands.
fn write_pages(folder: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
