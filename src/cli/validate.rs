//! `sweep validate`: errors of the simulator against measured cases.

use std::fs;
use std::path::{Path, PathBuf};

use itertools::Itertools;

use crate::catalog::{self, Catalog};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::terminal;
use crate::report::accuracy;
use crate::validation::{self, Assessment, CaseStatus};

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
    let catalog = with_included(&args.include)?;
    let mut cases = Vec::new();
    let mut add = |file: &str, text: &str| -> Result<(), Failure> {
        cases.extend(validation::read_cases(file, text, &catalog).map_err(Failure::usage)?);
        Ok(())
    };
    for path in &args.files {
        add(&path.display().to_string(), &read(path)?)?;
    }
    if args.files.is_empty() {
        for (name, text) in validation::SHIPPED {
            add(name, text)?;
        }
    }
    let judged = validation::judge(cases);
    let assessment = Assessment::of(&judged, &catalog);
    if let Some(folder) = &args.write_docs {
        write(&folder.join(accuracy::PAGE), accuracy::page(&assessment))?;
        write(&folder.join(accuracy::PLOT), accuracy::plot(&judged))?;
    }
    let crashed = judged
        .iter()
        .any(|row| row.result.status == CaseStatus::Crashed);
    let printed = terminal::print(&match args.format {
        ValidateFormat::Text => accuracy::text(&assessment),
        ValidateFormat::Csv => accuracy::csv(&judged),
        ValidateFormat::Json => format!("{:#}\n", accuracy::json(&judged, &assessment)),
    })?;
    Ok(if crashed {
        ExitStatus::Finding
    } else {
        printed
    })
}

/// The built-in catalogue with the tables of files laid over it, one after another.
fn with_included(files: &[PathBuf]) -> Result<Catalog, Failure> {
    files
        .iter()
        .try_fold(Catalog::builtin().clone(), |below, path| {
            let at_fault =
                |message: String| Failure::usage(format_args!("{}: {message}", path.display()));
            let tables: toml::Table = read(path)?
                .parse()
                .map_err(|error: toml::de::Error| at_fault(error.to_string()))?;
            catalog::overlay(&below, &tables).map_err(|faults| at_fault(faults.iter().join("\n")))
        })
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| file_failure("read", path, &error))
}

fn write(path: &Path, text: String) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| file_failure("write", path, &error))
}

fn file_failure(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format_args!("cannot {verb} `{}`: {error}", path.display()))
}
