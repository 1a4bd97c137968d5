//! Points of a run that clauses keep, the best first.

use std::collections::BTreeSet;
use std::path::Path;

use itertools::Itertools;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::commands::failure::Failure;
use crate::commands::run_source::RunSource;
use crate::document::{Document, by_name};
use crate::record::{PointsReader, ReadError, columns};
use crate::report::seconds;
use crate::report::text::{Table, Text};
use crate::spec::{Axis, Overrides, Spec, StudyKind};

/// Most points that are listed.
const LISTED: usize = 20;

/// Points of a training study that clauses keep.
#[derive(Debug)]
pub struct WherePoints {
    spec: Spec,
    /// Numbers with the time per sample, the shortest first; those that did not run last.
    points: Vec<(u64, Option<f64>)>,
    clauses: String,
}

impl WherePoints {
    /// The points of a run folder for which all clauses hold.
    ///
    /// # Errors
    /// If the run cannot be read, a clause is malformed, or none of the points is kept.
    pub fn of(folder: &Path, clauses: &[String]) -> Result<Self, Failure> {
        let source = RunSource::with_sound_rows(folder)?;
        let spec = source.spec_of_points()?;
        if spec.kind != StudyKind::Training {
            return Err(Failure::usage(format!(
                "`{}` is a collective study; `--where` finds points of training studies, name one by its number",
                folder.display()
            )));
        }
        let overrides = Overrides {
            where_clauses: clauses.to_vec(),
            ..Overrides::default()
        };
        let kept = Spec::load(&folder.join("spec.toml"), &overrides)?;
        let kept: BTreeSet<u64> = kept
            .plan()
            .kept(0..kept.plan().len())
            .map(|it| it.index)
            .collect();
        let mut points = times(&source, &kept).map_err(Failure::io)?;
        points.sort_by(|a, b| {
            let time = |time: Option<f64>| time.unwrap_or(f64::INFINITY);
            time(a.1).total_cmp(&time(b.1)).then(a.0.cmp(&b.0))
        });
        let clauses = clauses.iter().join(" and ");
        if points.is_empty() {
            return Err(Failure::usage(format!(
                "no point of `{}` holds `{clauses}`",
                folder.display()
            )));
        }
        Ok(Self {
            spec,
            points,
            clauses,
        })
    }

    /// The spec of the run.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The only point; `None` where there are several.
    pub fn only(&self) -> Option<u64> {
        match self.points.as_slice() {
            [(point, _)] => Some(*point),
            _ => None,
        }
    }

    fn varied(&self) -> Vec<Axis> {
        self.spec.plan().varied()
    }

    /// The points for people, with what tells them apart.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        let (all, varied) = (self.points.len(), self.varied());
        let line = format!(
            "{all} points hold `{}`; the fastest per sample first:",
            self.clauses
        );
        text.wrap(&line, "", "  ");
        let headings: Vec<&str> = (varied.iter().map(|axis| axis.as_str()))
            .chain([">per sample"])
            .collect();
        let headings = [&[">point"], &headings[..]].concat();
        let mut table = Table::new(&headings);
        for (point, time) in self.points.iter().take(LISTED) {
            let values = self.spec.plan().point(*point);
            let value = |axis: &Axis| {
                values
                    .value(*axis)
                    .map_or_else(|| "auto".to_owned(), ToString::to_string)
            };
            let cells = std::iter::once(point.to_string())
                .chain(varied.iter().map(value))
                .chain([time.map_or_else(|| "did not run".to_owned(), seconds)]);
            table.row(cells.collect::<Vec<_>>());
        }
        write!(text, "{}", table.render());
        if all > LISTED {
            writeln!(text, "{} more", all - LISTED);
        }
        text.finish()
    }

    /// The points for programs, `clustersweep.points/1`.
    pub fn json(&self) -> Value {
        let varied = self.varied();
        let points = self.points.iter().map(|(point, time)| {
            let values = self.spec.plan().point(*point);
            let axes = varied.iter().map(|axis| {
                let value = values.value(*axis).map(ToString::to_string);
                (*axis, value)
            });
            KeptPoint {
                point: *point,
                seconds_per_sample: *time,
                axes: axes.collect(),
            }
        });
        Document::Points.of(&PointsDocument {
            clauses: &self.clauses,
            points: points.collect(),
        })
    }
}

/// Several points, of `sweep explain --where`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct PointsDocument<'a> {
    /// The clauses.
    #[serde(rename = "where")]
    clauses: &'a str,
    /// The points, the fastest per sample first, those that did not run last.
    points: Vec<KeptPoint>,
}

/// A point that the clauses keep.
#[derive(JsonSchema, Serialize)]
struct KeptPoint {
    point: u64,
    /// Step time over the samples of the step; null where it did not run.
    seconds_per_sample: Option<f64>,
    /// Values of the axes that the spec varies, as text; null where the simulator chooses.
    #[serde(serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<Option<String>>")]
    axes: Vec<(Axis, Option<String>)>,
}

/// Time per sample of some points of a run, in the order of the file; `None` where one did not run.
fn times(source: &RunSource, kept: &BTreeSet<u64>) -> Result<Vec<(u64, Option<f64>)>, ReadError> {
    let reader = PointsReader::open(&source.points)?;
    let mut found = Vec::new();
    for rows in reader.rows(&[columns::POINT, columns::SAMPLES_PER_S])? {
        let rows = rows?;
        let (points, rates) = (rows.points()?, rows.numbers(&columns::SAMPLES_PER_S)?);
        let of_rows = (0..rows.len()).map(|row| (points.get(row), rates.get(row)));
        let of_rows = of_rows.filter(|(point, _)| kept.contains(point));
        found.extend(of_rows.map(|(point, rate)| (point, rate.map(|rate| 1.0 / rate))));
    }
    Ok(found)
}
