//! Errors that end a command.

use std::fmt::{self, Display};

use crate::spec::{Diagnostic, SpecError};
use crate::visible::escaped;

/// Error that ends a command.
#[derive(Debug)]
pub enum Failure {
    /// An argument is wrong.
    Usage(String),
    /// The spec is wrong, or cannot be read.
    Spec(SpecError),
    /// A file could not be read or written.
    Io(String),
    /// This program is wrong.
    Fault(String),
}

impl Failure {
    /// A wrong argument.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A fault of this program.
    pub(crate) fn fault(message: impl Display) -> Self {
        Self::Fault(message.to_string())
    }

    /// A file that could not be read or written.
    pub(crate) fn io(message: impl Display) -> Self {
        Self::Io(message.to_string())
    }

    /// Whether files alone are at fault, and not what was asked for.
    pub fn is_io(&self) -> bool {
        match self {
            Self::Io(_) | Self::Spec(SpecError::Read { .. }) => true,
            Self::Spec(SpecError::Faults(found)) => found.iter().all(|it| it.is_unreadable),
            Self::Usage(_) | Self::Fault(_) => false,
        }
    }

    /// The faults of a spec, each with its place; none of another failure.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Spec(SpecError::Faults(found)) => found,
            Self::Spec(SpecError::Read { .. }) | Self::Usage(_) | Self::Io(_) | Self::Fault(_) => {
                &[]
            }
        }
    }

    /// The message with its `error: `, in colours for a terminal that has them.
    pub(crate) fn render(&self, styled: bool) -> String {
        match self {
            Self::Spec(error) => error.render(styled),
            Self::Usage(message) | Self::Io(message) | Self::Fault(message) => {
                format!("error: {}", escaped(message))
            }
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Failure {}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}
