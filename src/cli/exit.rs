//! How the process ends.

use std::fmt::Display;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Every point has a row; infeasible points are results, not failures.
    Success,
    /// A finding that a caller should stop for.
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

impl ExitStatus {
    const ALL: [Self; 6] = [
        Self::Success,
        Self::Finding,
        Self::Usage,
        Self::Io,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The code that the shell sees.
    pub const fn code(self) -> u8 {
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
                "diff found a regression, analyze --fail-below an efficiency under its value, or a point crashed"
            }
            Self::Usage => "the command line or the spec is wrong",
            Self::Io => "a file could not be read or written (disk full included)",
            Self::Interrupted => "interrupted by SIGINT; everything finished is kept",
            Self::Terminated => "ended by SIGTERM; everything finished is kept",
        }
    }
}

/// The exit codes for `--help`.
pub(super) fn help() -> String {
    let mut text = "Exit codes:".to_owned();
    for status in ExitStatus::ALL {
        text.push_str(&format!("\n  {:>3}  {}", status.code(), status.meaning()));
    }
    text
}

/// Why a command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub status: ExitStatus,
    /// What is printed on stderr, `error: ` included.
    pub message: String,
}

impl Failure {
    /// The user's mistake.
    pub fn usage(message: impl Display) -> Self {
        Self {
            status: ExitStatus::Usage,
            message: format!("error: {message}"),
        }
    }

    /// The file system's refusal.
    pub fn io(message: impl Display) -> Self {
        Self {
            status: ExitStatus::Io,
            message: format!("error: {message}"),
        }
    }
}
