//! `sweep validate`: measured cases against the simulator.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::catalog::{self, Catalog};
use crate::validation::{self, Assessment, Case, Judged, listing, page};

/// Arguments of `sweep validate`.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Files of measured cases; the header tells the kind [default: the cases of data/validation]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to print: the error table, one row per case, or both
    #[arg(long, value_enum, default_value_t = ValidateFormat::Text)]
    format: ValidateFormat,
    /// TOML file with own tables of gpus, clusters, models or stacks; repeatable
    #[arg(long, value_name = "FILE")]
    include: Vec<PathBuf>,
    /// Write the accuracy page and its plot into a folder as well
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// What `sweep validate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ValidateFormat {
    /// The error table.
    Text,
    /// One row per case.
    Csv,
    /// Both.
    Json,
}

/// Why `sweep validate` could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file of cases or of tables is wrong.
    #[error("{0}")]
    Input(String),
    /// A file could not be read or written.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// What goes to stdout.
///
/// # Errors
/// When a file cannot be read or written, or says what it cannot.
///
/// # Panics
/// Never: what is printed as JSON is numbers and texts.
pub fn run(args: &ValidateArgs) -> Result<String, ValidateError> {
    let catalog = own_catalog(&args.include)?;
    let mut cases = Vec::new();
    if args.files.is_empty() {
        for (name, text) in validation::SHIPPED {
            cases.extend(read_cases(name, text, &catalog)?);
        }
    } else {
        for path in &args.files {
            let text = read(path)?;
            cases.extend(read_cases(&path.display().to_string(), &text, &catalog)?);
        }
    }
    let judged = validation::judge(cases);
    let assessment = Assessment::of(&judged, &catalog);
    if let Some(folder) = &args.write_docs {
        write_docs(folder, &judged, &assessment)?;
    }
    Ok(match args.format {
        ValidateFormat::Text => listing::text(&assessment),
        ValidateFormat::Csv => listing::csv(&judged),
        ValidateFormat::Json => {
            let json = listing::json(&judged, &assessment);
            let text = serde_json::to_string_pretty(&json);
            text.expect("numbers and texts are JSON") + "\n"
        }
    })
}

fn read(path: &Path) -> Result<String, ValidateError> {
    fs::read_to_string(path).map_err(|source| ValidateError::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

fn read_cases(file: &str, text: &str, catalog: &Catalog) -> Result<Vec<Case>, ValidateError> {
    validation::read_cases(file, text, catalog)
        .map_err(|faults| ValidateError::Input(faults.to_string()))
}

/// The catalogue with the tables of files laid over it, one after another.
fn own_catalog(files: &[PathBuf]) -> Result<Catalog, ValidateError> {
    let mut whole = Catalog::builtin().clone();
    for path in files {
        let text = read(path)?;
        let input =
            |message: String| ValidateError::Input(format!("{}: {message}", path.display()));
        let tables: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| input(error.to_string()))?;
        whole = catalog::overlay(&whole, &tables).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            input(lines.join("\n"))
        })?;
    }
    Ok(whole)
}

fn write_docs(
    folder: &Path,
    judged: &[Judged],
    assessment: &Assessment,
) -> Result<(), ValidateError> {
    let files = [
        (page::PAGE, page::page(assessment)),
        (page::PLOT, page::plot(judged)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| ValidateError::File {
            verb: "write",
            path,
            source,
        })?;
    }
    Ok(())
}
