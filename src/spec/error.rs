//! Reasons for which a spec cannot be used.

use std::io;

use crate::spec::diagnostic::{Diagnostic, render_all};
use crate::visible::escaped;

/// Reason for which a spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A file could not be read.
    #[error("cannot read `{path}`: {reason}")]
    Read {
        /// The file.
        path: String,
        /// Reason that the system gives.
        #[source]
        reason: io::Error,
    },
    /// The spec is wrong.
    #[error("{}", render_all(.0, false))]
    Faults(Vec<Diagnostic>),
}

impl SpecError {
    /// The message for a terminal, with colours if it has them.
    pub(crate) fn render(&self, styled: bool) -> String {
        match self {
            Self::Read { .. } => format!("error: {}", escaped(&self.to_string())),
            Self::Faults(faults) => render_all(faults, styled),
        }
    }
}
