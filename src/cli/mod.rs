//! The command line: one file per subcommand, and the only place that prints.
//!
//! Results go to stdout; progress, warnings and errors to stderr.

mod analyze;
mod answer;
mod completions;
mod diff;
mod event;
mod exit;
mod explain;
mod fraction;
mod init;
mod list;
mod man;

mod merge;
mod messages;
mod plan;
mod preset;
mod progress;
mod run;
mod schema;
mod spec_args;
mod terminal;
mod threads;
mod trace;
mod validate;
mod verify;

use event::Level;
use exit::ExitStatus;

use std::ffi::OsString;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::record::Provenance;
use crate::runner::interrupt::outlive_file_limit;
use crate::simulation::{is_guarded, panic_message};

use terminal::Stderr;

/// Where does a training job stop scaling, and on which cluster should it run?
#[derive(Debug, Parser)]
#[command(
    name = "sweep",
    version = Provenance::program(),
    after_help = exit::help(),
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true
)]
struct Cli {
    #[command(flatten)]
    log: messages::LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate every point of a sweep
    Run(run::Args),
    /// Show the points of a sweep and the estimated time, without running it
    Plan(plan::Args),
    /// Write a commented spec for a question, asked in a few prompts or options
    Init(init::Args),
    /// Answer a question: the cheapest and the fastest way to train on so many tokens by a deadline or within a budget
    Answer(answer::Args),
    /// Report scaling efficiency, breakdown points and bottlenecks of finished runs, or bus bandwidths of collective studies
    Analyze(analyze::Args),
    /// Compare two runs point by point
    Diff(diff::Args),
    /// Show one point in full: layout, time by part, memory by part, sensitivities
    Explain(explain::Args),
    /// Join the shards of a run into the run that one machine would have written
    Merge(merge::Args),
    /// Print the JSON Schema of a spec, for editors, or of what a command writes
    Schema(schema::Args),
    /// Write the timeline of one point as Chrome/Perfetto trace JSON
    Trace(trace::Args),
    /// Simulate measured cases and print the errors
    Validate(validate::Args),
    /// Check the files of a run against its manifest, and its rows against its plan
    Verify(verify::Args),
    /// List what a spec can name, with values and sources
    List(list::Args),
    /// Print shell completions
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands
    Man(man::Args),
}

/// Runs the command line of this process.
///
/// A panic is a fault of this program: inside a point it is a row, elsewhere a message and exit code 1.
pub fn run() -> ExitCode {
    panic::set_hook(Box::new(log_panic));
    // Without the handler such a write ends the process, as it did before.
    let _ = outlive_file_limit();
    let status = panic::catch_unwind(|| run_arguments(std::env::args_os()));
    ExitCode::from(status.unwrap_or(ExitStatus::Finding).code())
}

/// Prints a panic that becomes no row.
fn log_panic(panic: &PanicHookInfo<'_>) {
    if is_guarded() {
        return;
    }
    let message = panic_message(panic.payload());
    let place = panic
        .location()
        .map_or_else(String::new, |place| format!(" ({place})"));
    let message = format!("error: this is a fault of sweep, please report it: {message}{place}");
    terminal::say(Level::Error, &message);
}

/// Runs a command line and prints its failure, if any.
fn run_arguments(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let stderr = Stderr::of_process();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return terminal::clap_message(&error),
    };
    let verbose = cli.log.verbose > 0;
    let result = cli.log.begin().and_then(|()| match cli.command {
        Command::Run(args) => run::run(&args, verbose, stderr),
        Command::Plan(args) => plan::run(&args, stderr),
        Command::Init(args) => init::run(&args),
        Command::Answer(args) => answer::run(&args, stderr),
        Command::Analyze(args) => analyze::run(&args, verbose),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Merge(args) => merge::run(&args, verbose),
        Command::Schema(args) => schema::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::List(args) => list::run(&args),
        Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    });
    match result {
        Ok(status) => status,
        Err(failure) => {
            let render = |styled| failure.render(styled);
            terminal::say_rendered(Level::Error, render, stderr);
            ExitStatus::of(&failure)
        }
    }
}
