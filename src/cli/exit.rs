//! Exit codes.

use crate::commands::Failure;
use crate::runner::Signal;

/// Exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Every point has a row; infeasible points are results, not failures.
    Success,
    /// A regression, an efficiency under its bound, a crashed point, or a panic of this program.
    Finding,
    /// The command line or the spec is wrong.
    Usage,
    /// A file could not be read or written.
    Io,
    /// SIGINT ended the run.
    Interrupted,
    /// SIGTERM ended the run.
    Terminated,
}

impl From<Signal> for ExitStatus {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}

impl ExitStatus {
    /// The status that a failure ends with.
    pub(super) fn of(failure: &Failure) -> Self {
        match failure {
            _ if failure.is_io() => Self::Io,
            Failure::Fault(_) => Self::Finding,
            Failure::Usage(_) | Failure::Spec(_) | Failure::Io(_) => Self::Usage,
        }
    }

    /// The code that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Finding => 1,
            Self::Usage => 2,
            Self::Io => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "every point has a row (infeasible points are results, not failures)",
            Self::Finding => {
                "diff found a regression, analyze --fail-below an efficiency under its value, verify an unfinished run, or a point or sweep itself crashed"
            }
            Self::Usage => "the command line or the spec is wrong",
            Self::Io => "a file could not be read or written (disk full included), or is damaged",
            Self::Interrupted => "interrupted by SIGINT; everything finished is kept",
            Self::Terminated => "ended by SIGTERM; everything finished is kept",
        }
    }
}

/// The exit codes for `--help`.
pub(super) fn help() -> String {
    use ExitStatus::{Finding, Interrupted, Io, Success, Terminated, Usage};
    let all = [Success, Finding, Usage, Io, Interrupted, Terminated];
    let lines = all.map(|status| format!("\n  {:>3}  {}", status.code(), status.meaning()));
    format!("Exit codes:{}", lines.concat())
}
