//! The command line: one file per subcommand, and the only place that prints.
//!
//! Results go to stdout; progress, warnings and errors to stderr.

mod completions;
mod exit;
mod explain;
mod list;
mod plan;
mod progress;
mod run;
mod run_source;
mod spec_args;
mod table;
mod terminal;
pub mod validate;

pub use exit::{ExitStatus, Failure};

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use terminal::Terminal;

/// Where does a training job stop scaling, and on which cluster should it run?
#[derive(Debug, Parser)]
#[command(
    name = "sweep",
    version,
    after_help = exit::help(),
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate every point of a sweep
    Run(run::Args),
    /// Show what a sweep expands to, without running it
    Plan(plan::Args),
    /// Show one point in full: layout, time by cause, memory by part
    Explain(explain::Args),
    /// Simulate measured cases and print the errors against them
    Validate(validate::ValidateArgs),
    /// What a spec can name, with values and sources
    List(list::Args),
    /// Shell completions
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    ExitCode::from(run_arguments(std::env::args_os()).code())
}

/// Runs a command line and prints what is to be said about a failure.
fn run_arguments(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let terminal = Terminal::of_process();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return terminal.clap_message(&error),
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &terminal),
        Command::Plan(args) => plan::run(&args, &terminal),
        Command::Explain(args) => explain::run(&args, &terminal),
        Command::Validate(args) => validate(&args, &terminal),
        Command::List(args) => list::run(&args, &terminal),
        Command::Completions(args) => completions::run(&args, &terminal),
    };
    match result {
        Ok(status) => status,
        Err(failure) => {
            terminal.log(&failure.message);
            failure.status
        }
    }
}

fn validate(args: &validate::ValidateArgs, terminal: &Terminal) -> Result<ExitStatus, Failure> {
    let text = validate::run(args).map_err(|error| match error {
        validate::ValidateError::Input(_) => Failure::usage(error),
        validate::ValidateError::File { .. } => Failure::io(error),
    })?;
    terminal.print(&text)?;
    Ok(ExitStatus::Success)
}
