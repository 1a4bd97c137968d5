//! Lines on stderr for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::{Document, by_name};
use crate::record::{PointStatus, Record};
use crate::spec::Axis;

/// A line of `--progress json` and of `--log-format json`.
#[derive(JsonSchema, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    /// Points of the run so far, once a second and when the last one is done.
    Progress {
        /// Points that are done.
        done: u64,
        /// Points to simulate; null where that is not known.
        total: Option<u64>,
        infeasible: u64,
        crashed: u64,
        elapsed_s: f64,
        points_per_s: f64,
        /// Time that is left at this rate; null where the total is not known, and before the first point.
        left_s: Option<f64>,
    },
    /// A point that crashed, or that cannot run where `-v` asks for those.
    Point {
        point: u64,
        status: PointStatus,
        reason: Option<String>,
        /// Values of its axes, as text.
        #[serde(serialize_with = "by_name::serialize")]
        #[schemars(schema_with = "by_name::schema::<String>")]
        axes: Vec<(Axis, String)>,
    },
    /// Every point of the run has a row.
    Finished(Ended<'a>),
    /// A signal or `--fail-fast` ended the run; finished points are kept.
    Stopped(Ended<'a>),
    /// A message of the log, with what it is about.
    Log {
        level: Level,
        message: &'a str,
        /// When it was written, in UTC.
        time: String,
        /// What the message is about, by name: `path`, `points`, `seconds`.
        fields: Map<String, Value>,
    },
}

/// End of a run.
#[derive(JsonSchema, Serialize)]
pub(super) struct Ended<'a> {
    /// Points that were simulated.
    pub(super) points: u64,
    pub(super) ok: u64,
    pub(super) infeasible: u64,
    pub(super) crashed: u64,
    pub(super) elapsed_s: f64,
    pub(super) points_per_s: f64,
    /// Folder of the run.
    pub(super) folder: &'a Path,
}

crate::closed_set! {
    /// Weight of a message.
    pub(super) enum Level: "level of a message" {
        /// The command failed.
        Error = "error",
        /// Something may not be as it was meant.
        Warning = "warning",
        /// What a command did.
        Info = "info",
        /// What it did in detail.
        Debug = "debug",
        /// All of it.
        Trace = "trace",
    }
}

impl Event<'_> {
    /// The event as one line.
    pub(super) fn line(&self) -> String {
        Document::Progress.of(self).to_string()
    }

    /// A point that did not run.
    pub(super) fn of_point(record: &Record) -> Event<'_> {
        let values = record.point().iter();
        Event::Point {
            point: record.point().index,
            status: record.status(),
            reason: record.reason(),
            axes: values
                .map(|(axis, value)| (axis, value.to_string()))
                .collect(),
        }
    }
}
