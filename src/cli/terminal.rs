//! Output on stdout and stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::cli::event::{Event, Level};
use crate::cli::exit::ExitStatus;
use crate::commands::{Detail, Failure};
use crate::runner::clock;
use crate::visible::escaped;

/// Format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Format {
    /// Prints a result on stdout whose text may fail to come about.
    pub(super) fn try_print(
        self,
        text: impl FnOnce() -> Result<String, Failure>,
        json: impl FnOnce() -> Value,
    ) -> Result<ExitStatus, Failure> {
        match self {
            Self::Text => print(&text()?),
            Self::Json => self.print(String::new, json),
        }
    }

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

/// How much a summary says: everything where that is asked for, else the first screen, in `COLUMNS` columns of a terminal
/// (80 without it).
pub(super) fn detail(is_verbose: bool) -> Detail {
    /// Columns of a terminal that does not say.
    const COLUMNS: usize = 80;
    if is_verbose {
        return Detail::Full;
    }
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    let room = io::stdout()
        .is_terminal()
        .then(|| columns.unwrap_or(COLUMNS));
    Detail::Brief { room }
}

/// Prints a text on stdout. A reader that closes the pipe early (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<ExitStatus, Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(escaped(text).as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io(format!("cannot write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(ExitStatus::Success),
    }
}

/// Asks a question on stderr, whose answer goes into the same line.
pub(super) fn prompt(question: &str) {
    let mut stderr = io::stderr().lock();
    // As below.
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
}

/// Whether the lines on stderr are JSON.
static SAYS_JSON: AtomicBool = AtomicBool::new(false);

/// Makes every line on stderr an event for programs, from here to the end of the process.
pub(super) fn say_json() {
    SAYS_JSON.store(true, Ordering::Relaxed);
}

/// Whether the lines on stderr are for programs.
pub(super) fn says_json() -> bool {
    SAYS_JSON.load(Ordering::Relaxed)
}

/// Prints what a command did on stderr.
pub(super) fn log(line: &str) {
    say(Level::Info, line);
}

/// Prints a message of the command on stderr: as it is for people, as an event for programs.
pub(super) fn say(level: Level, line: &str) {
    if says_json() {
        let event = Event::Log {
            level,
            message: line,
            time: clock::now_utc(),
            fields: Map::new(),
        };
        write(&event.line());
    } else {
        write(line);
    }
}

/// Prints a message that was rendered for stderr, with its colours where it has them.
pub(super) fn say_rendered(level: Level, render: impl Fn(bool) -> String, stderr: Stderr) {
    if says_json() || !stderr.styled {
        say(level, &render(false));
    } else {
        write_line(&render(true));
    }
}

/// Prints an event on stderr, for programs.
pub(super) fn event(event: &Event<'_>) {
    write(&event.line());
}

/// Prints a line on stderr as it is.
pub(super) fn write(line: &str) {
    write_line(&escaped(line));
}

fn write_line(line: &str) {
    // Where stderr itself is gone, nobody reads an error.
    let _ = writeln!(io::stderr().lock(), "{line}");
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
