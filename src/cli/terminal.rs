//! Output on stdout and stderr.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use crate::cli::exit::ExitStatus;
use crate::commands::Failure;

/// Format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Format {
    /// Prints a result on stdout.
    pub(super) fn print(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<ExitStatus, Failure> {
        print(&match self {
            Self::Text => text(),
            Self::Json => format!("{:#}\n", json()),
        })
    }
}

/// Capabilities of stderr.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr {
    /// Whether it may have colours.
    pub(super) styled: bool,
    /// Whether a progress bar can be drawn on it.
    pub(super) is_terminal: bool,
}

impl Stderr {
    /// Capabilities of this process' stderr: colours only on a terminal, and never with `NO_COLOR`.
    pub(super) fn of_process() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let is_terminal = io::stderr().is_terminal();
        Self {
            styled: colours && is_terminal,
            is_terminal,
        }
    }
}

/// Prints a text on stdout. A reader that closes the pipe early (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<ExitStatus, Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io(format!("cannot write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(ExitStatus::Success),
    }
}

/// Prints a line on stderr.
pub(super) fn log(line: &str) {
    // Where stderr itself is gone, nobody reads an error.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// What lines on stderr are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// For people: sentences.
    Prose,
    /// For programs: each line a JSON object.
    Json,
}

impl Lines {
    /// Prints a message on stderr; as JSON it is the `message` of an event of this name.
    pub(super) fn log(self, event: &str, message: &str) {
        match self {
            Self::Prose => log(message),
            Self::Json => log(&json!({"event": event, "message": message}).to_string()),
        }
    }
}

/// Prints clap's message: help and version on stdout, errors on stderr.
pub(super) fn clap_message(error: &clap::Error) -> ExitStatus {
    // As above.
    let _ = error.print();
    if error.use_stderr() {
        ExitStatus::Usage
    } else {
        ExitStatus::Success
    }
}
