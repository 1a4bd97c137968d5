//! stdout and stderr, as far as they are terminals.

use std::io::{self, IsTerminal, Write};

use crate::cli::{ExitStatus, Failure};

/// Where a process prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    /// Whether stderr may have colours.
    pub(super) stderr_styled: bool,
    /// Whether stderr is a terminal, so that a progress bar can be drawn.
    pub(super) stderr_is_terminal: bool,
    /// Whether stdout may have colours.
    pub(super) stdout_styled: bool,
}

impl Terminal {
    /// Of this process: colours only on a terminal, and never with `NO_COLOR`.
    pub(super) fn of_process() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let stderr_is_terminal = io::stderr().is_terminal();
        Self {
            stderr_styled: colours && stderr_is_terminal,
            stderr_is_terminal,
            stdout_styled: colours && io::stdout().is_terminal(),
        }
    }

    /// Prints a result.
    ///
    /// A reader that has seen enough and hung up (`| head`) is no failure.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io(format!("cannot write to stdout: {error}")))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Prints a line about the work on stderr.
    pub(super) fn log(&self, line: &str) {
        // Nobody is left to tell when stderr itself is gone.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// What clap has to say: help and version on stdout, mistakes on stderr.
    pub(super) fn clap_message(self, error: &clap::Error) -> ExitStatus {
        // As above: a closed stream cannot be told about.
        let _ = error.print();
        if error.use_stderr() {
            ExitStatus::Usage
        } else {
            ExitStatus::Success
        }
    }
}
