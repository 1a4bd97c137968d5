//! Errors of the simulator against measured cases.

use std::path::{Path, PathBuf};

use itertools::Itertools;
use serde_json::Value;

use crate::catalog::{self, Catalog};
use crate::commands::failure::Failure;
use crate::document::Document;
use crate::files::read_named_text;
use crate::report::accuracy::{self, ValidateDocument};
use crate::validation::{self, Assessment, CaseStatus, Judged};

/// Measured cases with what the simulator predicts of each.
pub struct Validation {
    judged: Vec<Judged>,
    assessment: Assessment,
}

impl Validation {
    /// Simulates the cases of files; those of `data/validation` where none is named. The TOML tables of other files are
    /// laid over the catalogue.
    ///
    /// # Errors
    /// If a file cannot be read, or names what is not known.
    pub fn of_files(files: &[PathBuf], include: &[PathBuf]) -> Result<Self, Failure> {
        let texts = files
            .iter()
            .map(|path| Ok((path.display().to_string(), read(path)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        if texts.is_empty() {
            Self::of_texts(validation::SHIPPED.iter().copied(), include)
        } else {
            let texts = texts
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()));
            Self::of_texts(texts, include)
        }
    }

    /// Simulates the cases of texts, each with a name for messages.
    ///
    /// # Errors
    /// If a text names what is not known.
    pub fn of_texts<'a>(
        texts: impl Iterator<Item = (&'a str, &'a str)>,
        include: &[PathBuf],
    ) -> Result<Self, Failure> {
        let catalog = with_included(include)?;
        let mut cases = Vec::new();
        for (name, text) in texts {
            cases.extend(validation::read_cases(name, text, &catalog).map_err(Failure::usage)?);
        }
        let judged = validation::judge(cases);
        let assessment = Assessment::of(&judged, &catalog);
        Ok(Self { judged, assessment })
    }

    /// The error table for people.
    pub fn text(&self) -> String {
        accuracy::text(&self.assessment)
    }

    /// One row per case, as CSV.
    pub fn csv(&self) -> String {
        accuracy::csv(&self.judged)
    }

    /// The error table and the rows for programs, `clustersweep.validate/1`.
    pub fn json(&self) -> Value {
        Document::Validate.of(&ValidateDocument::new(&self.judged, &self.assessment))
    }

    /// The accuracy page, and its plot.
    pub(crate) fn page(&self) -> (String, String) {
        (
            accuracy::page(&self.assessment),
            accuracy::plot(&self.judged),
        )
    }

    /// Whether the simulator crashed on a case.
    pub fn has_crashed(&self) -> bool {
        let mut rows = self.judged.iter();
        rows.any(|row| row.result.status == CaseStatus::Crashed)
    }
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

/// Largest file of cases.
const CASES_BYTES_MAX: u64 = 64 << 20;

fn read(path: &Path) -> Result<String, Failure> {
    read_named_text(path, CASES_BYTES_MAX)
        .map_err(|error| Failure::io(format_args!("cannot read `{}`: {error}", path.display())))
}
