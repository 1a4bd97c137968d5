//! What the commands do, on stderr: `-v`, `-vv`, `SWEEP_LOG`, `--log-format`.

use std::io::{self, Write};

use log::kv::{self, Key, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value};

use crate::cli::event::{Event, Level};
use crate::cli::terminal;
use crate::commands::Failure;
use crate::runner::clock;

/// Variable that says which messages are printed, whatever `-v` says.
const VARIABLE: &str = "SWEEP_LOG";

/// Format of the lines on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// For programs: each line a JSON object
    Json,
}

/// How much is told, and in which form; every command takes it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Say more: all findings instead of the first screen, every infeasible point, and in the log what was read,
    /// resumed and written; twice for what takes long and what comes from a cache. SWEEP_LOG=error|warn|info|debug|trace
    /// sets the log alone
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub(super) verbose: u8,
    /// Format of the lines on stderr: for people, or each a JSON object
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        hide_possible_values = true,
        value_name = "text|json",
        help_heading = "Messages"
    )]
    log_format: LogFormat,
}

impl LogArgs {
    /// Begins the log of the process.
    ///
    /// # Errors
    /// If `SWEEP_LOG` names no level.
    pub(super) fn begin(self) -> Result<(), Failure> {
        if self.log_format == LogFormat::Json {
            terminal::say_json();
        }
        let level = match std::env::var(VARIABLE) {
            Ok(name) if !name.is_empty() => name.parse().map_err(|_| {
                Failure::usage(format!(
                    "{VARIABLE} is `{name}`; it takes off, error, warn, info, debug or trace"
                ))
            })?,
            Ok(_) | Err(_) => match self.verbose {
                0 => LevelFilter::Warn,
                1 => LevelFilter::Info,
                _ => LevelFilter::Debug,
            },
        };
        // Where a log has begun, as in a second call of one process, its level is what changes.
        let _ = log::set_logger(&Stderr);
        log::set_max_level(level);
        Ok(())
    }
}

/// The log of this program on stderr.
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Packages have logs of their own.
        metadata.target().starts_with(env!("CARGO_PKG_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut fields = Fields::default();
        if record.key_values().visit(&mut fields).is_err() {
            return;
        }
        let level = match record.level() {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warning,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
            log::Level::Trace => Level::Trace,
        };
        message(level, &record.args().to_string(), fields.0);
    }

    fn flush(&self) {
        // Where stderr itself is gone, nobody reads an error.
        let _ = io::stderr().flush();
    }
}

/// Prints a message: `2026-11-29T04:00:00Z info: read points path=… rows=120`; for programs as an event.
fn message(level: Level, text: &str, fields: Map<String, Value>) {
    let time = clock::now_utc();
    if terminal::says_json() {
        terminal::write(
            &Event::Log {
                level,
                message: text,
                time,
                fields,
            }
            .line(),
        );
        return;
    }
    let fields = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        value => format!(" {name}={value}"),
    });
    let fields: String = fields.collect();
    terminal::write(&format!("{time} {level}: {text}{fields}"));
}

/// Values of a message by name.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let value = match (value.to_u64(), value.to_f64(), value.to_bool()) {
            (Some(count), ..) => count.into(),
            (None, Some(number), _) => number.into(),
            (None, None, Some(switch)) => switch.into(),
            (None, None, None) => value.to_string().into(),
        };
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}
