//! `sweep validate`: errors of the simulator against measured cases.

use std::path::{Path, PathBuf};

use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::{Failure, Validation, write_output};
use crate::report::accuracy;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Files of measured cases; the header tells the kind [default: the cases of data/validation]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output: the error table, one row per case, or both
    #[arg(long, value_enum, default_value_t = ValidateFormat::Text)]
    format: ValidateFormat,
    /// TOML file with custom tables of gpus, clusters, models or stacks; repeatable
    #[arg(long, value_name = "FILE")]
    include: Vec<PathBuf>,
    /// Write the accuracy page and its plot into a folder as well
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Output format of `sweep validate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ValidateFormat {
    /// The error table
    Text,
    /// One row per case
    Csv,
    /// Both
    Json,
}

/// Prints the errors of the cases and writes the accuracy page where it is asked for.
pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let validation = Validation::of_files(&args.files, &args.include)?;
    if let Some(folder) = &args.write_docs {
        let (page, plot) = validation.page();
        write(&folder.join(accuracy::PAGE), &page)?;
        write(&folder.join(accuracy::PLOT), &plot)?;
    }
    let printed = terminal::print(&match args.format {
        ValidateFormat::Text => validation.text(),
        ValidateFormat::Csv => validation.csv(),
        ValidateFormat::Json => format!("{:#}\n", validation.json()),
    })?;
    Ok(if validation.has_crashed() {
        ExitStatus::Finding
    } else {
        printed
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_output(path, text.as_bytes())
}
