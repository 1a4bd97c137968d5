//! Everything the rows say, series by series.

use std::collections::BTreeMap;

use serde::Serialize;

use super::advice::Advice;
use super::points::{Reason, SizePoint};
use super::series::{KeyValue, Series, SeriesReader};
use super::series_finding::{Layouts, SeriesFinding, series_finding};
use crate::record::{Counts, ReadError, Rows};
use crate::spec::{AnalysisSettings, Axis};

/// What all rows together say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// Axis that is taken as the size.
    pub size_axis: Axis,
    /// Efficiency under which a series counts as broken.
    pub threshold: f64,
    /// How many rows ended how.
    pub counts: Counts,
    /// Axes that differ between series.
    pub varied: Vec<Axis>,
    /// The series, in the order of their first rows.
    pub series: Vec<SeriesFinding>,
    /// The same series with the layout of their smallest size, only data parallelism growing: simulated again, so
    /// empty where the rows have no spec beside them, and without the series that fix their layout. In their order.
    pub frozen: Vec<SeriesFinding>,
    /// What simulating points again says; `None` where nothing was.
    pub advice: Option<Advice>,
    /// Why there is nothing to say, where there is not.
    pub nothing: Option<String>,
}

impl Findings {
    /// The curve of a series with the layout of its smallest size.
    pub fn frozen_of(&self, series: &SeriesFinding) -> Option<&SeriesFinding> {
        let place = self
            .frozen
            .binary_search_by_key(&series.number, |frozen| frozen.of_series)
            .ok()?;
        Some(&self.frozen[place])
    }
}

/// Gathers rows and finds what they say.
#[derive(Debug)]
pub struct Analysis {
    settings: AnalysisSettings,
    size_axis: Axis,
    reader: SeriesReader,
}

impl Analysis {
    /// An analysis over the size of the job.
    pub fn new(settings: AnalysisSettings) -> Self {
        Self::over(settings, Axis::Nodes)
    }

    /// An analysis over another numeric axis.
    pub fn over(settings: AnalysisSettings, size_axis: Axis) -> Self {
        Self {
            settings,
            size_axis,
            reader: SeriesReader::new(size_axis),
        }
    }

    /// Adds the rows of one record batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing, of another type or unit, or holds an impossible value.
    pub fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        self.reader.add(rows, source)
    }

    /// What the rows say.
    pub fn finish(self) -> Findings {
        let threshold = self.settings.efficiency_threshold;
        let series = self.reader.finish();
        let mut counts = Counts::default();
        for point in series.iter().flat_map(|series| &series.points) {
            counts.add(point.status, point.reason.as_ref().map(Reason::kind));
        }
        let varied = varied_axes(&series);
        let nothing = nothing_to_say(&counts, &series);
        Findings {
            size_axis: self.size_axis,
            threshold,
            counts,
            varied,
            series: series
                .into_iter()
                .zip(0..)
                .map(|(series, number)| {
                    series_finding(series, number, Layouts::ReOptimised, &self.settings)
                })
                .collect(),
            frozen: Vec::new(),
            advice: None,
            nothing,
        }
    }
}

/// Axes whose value is not the same in every series, without those that another axis decides: where
/// every GPU comes with one cluster, the GPU tells the series apart.
fn varied_axes(series: &[Series]) -> Vec<Axis> {
    let varies = |axis: &Axis| {
        let first = series.first().and_then(|first| key_value(first, *axis));
        series.iter().any(|other| key_value(other, *axis) != first)
    };
    let (names, others): (Vec<Axis>, Vec<Axis>) =
        Axis::ALL.iter().copied().filter(varies).partition(|axis| {
            matches!(
                axis,
                Axis::Gpu | Axis::Model | Axis::GlobalBatch | Axis::BatchPerGpu
            )
        });
    let mut kept: Vec<Axis> = Vec::new();
    for axis in names.into_iter().chain(others) {
        if !kept.iter().any(|decider| decides(series, *decider, axis)) {
            kept.push(axis);
        }
    }
    kept.sort_by_key(|axis| Axis::ALL.iter().position(|other| other == axis));
    kept
}

fn key_value(series: &Series, axis: Axis) -> Option<&KeyValue> {
    series
        .key
        .iter()
        .find(|(of, _)| *of == axis)
        .map(|(_, value)| value)
}

/// Whether each value of one axis comes with a single value of the other.
fn decides(series: &[Series], decider: Axis, decided: Axis) -> bool {
    let mut seen: BTreeMap<Option<&KeyValue>, Option<&KeyValue>> = BTreeMap::new();
    series.iter().all(|series| {
        let value = key_value(series, decided);
        *seen.entry(key_value(series, decider)).or_insert(value) == value
    })
}

fn nothing_to_say(counts: &Counts, series: &[Series]) -> Option<String> {
    let longest = series
        .iter()
        .map(|series| {
            let ran = |point: &&SizePoint| point.measured.is_some();
            series.points.iter().filter(ran).count()
        })
        .max()
        .unwrap_or(0);
    nothing_ran(counts, " about scaling").or_else(|| {
        (longest < 2)
            .then(|| "nothing to say about scaling: no series ran at more than one size".to_owned())
    })
}

/// Why there is nothing to say, where no row ran; `about` follows the words `nothing to say`.
pub(super) fn nothing_ran(counts: &Counts, about: &str) -> Option<String> {
    let points = counts.points();
    if points == 0 {
        return Some("nothing to say: the results hold no rows".to_owned());
    }
    (counts.ok == 0).then(|| {
        format!(
            "nothing to say{about}: none of {points} points ran ({} infeasible, {} crashed)",
            counts.infeasible, counts.crashed
        )
    })
}
