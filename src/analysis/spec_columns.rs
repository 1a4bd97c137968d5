//! Reading of specs whose metrics and charts name columns of the results.
//!
//! The rooms of the columns lie above that of the spec, so the spec is read from here.

use std::path::Path;

use super::scaling_table::scaling_names;
use crate::record::result_columns;
use crate::spec::{Overrides, ResultColumns, Spec, SpecError, Syntax};

/// The columns of this program's results.
const COLUMNS: ResultColumns = ResultColumns {
    points: result_columns,
    scaling: scaling_names,
};

impl Spec {
    /// Reads a spec from a file, with the files that it includes and what the command line changes.
    ///
    /// # Errors
    /// If the file cannot be read, or with every fault of the spec.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, SpecError> {
        Self::load_knowing(&COLUMNS, path, overrides)
    }

    /// Reads a spec from a text that is no file; `name` stands for it in messages.
    ///
    /// # Errors
    /// With every fault of the spec.
    pub fn parse(
        name: &str,
        text: &str,
        syntax: Syntax,
        overrides: &Overrides,
    ) -> Result<Self, SpecError> {
        Self::parse_knowing(&COLUMNS, name, text, syntax, overrides)
    }
}
