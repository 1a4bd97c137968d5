//! stdout and stderr, as far as they are terminals.

use std::io::{self, IsTerminal, Write};

use crate::cli::{ExitStatus, Failure};

/// What stderr can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr {
    /// Whether it may have colours.
    pub(super) styled: bool,
    /// Whether a progress bar can be drawn on it.
    pub(super) is_terminal: bool,
}

impl Stderr {
    /// Of this process: colours only on a terminal, and never with `NO_COLOR`.
    pub(super) fn of_process() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let is_terminal = io::stderr().is_terminal();
        Self {
            styled: colours && is_terminal,
            is_terminal,
        }
    }
}

/// Prints a result on stdout.
///
/// A reader that has seen enough and hung up (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
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
pub(super) fn log(line: &str) {
    // Nobody is left to tell when stderr itself is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// What clap has to say: help and version on stdout, mistakes on stderr.
pub(super) fn clap_message(error: &clap::Error) -> ExitStatus {
    // As above: a closed stream cannot be told about.
    let _ = error.print();
    if error.use_stderr() {
        ExitStatus::Usage
    } else {
        ExitStatus::Success
    }
}
