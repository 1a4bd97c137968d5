//! Comparison of the values of one axis, everything else equal.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use itertools::Itertools;
use schemars::JsonSchema;
use serde::Serialize;

use super::dimension::Dimension;
use super::key_value::KeyValue;
use super::points::SizePoint;
use super::runs::Runs;
use super::same_simulation::SAME;
use super::series::{Along, Compared, SeriesReader, label, value_of};
use super::varied::telling_axes;
use crate::document::by_name;
use crate::record::{Counts, ReadError, Rows};
use crate::spec::{Axis, OwnPrices};

/// Whether an axis is a resource of which a job has more or less, so that it can scale over it.
pub(crate) const fn is_resource(axis: Axis) -> bool {
    matches!(
        axis,
        Axis::Gpus | Axis::Nodes | Axis::GpusPerNode | Axis::NicGbitPerS
    )
}

/// Values of an axis held against each other.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Comparison {
    /// The axis.
    pub axis: Axis,
    /// Prices that the spec of each file gives.
    #[serde(skip)]
    pub(crate) own_prices: Box<[OwnPrices]>,
    /// Points by status.
    pub(crate) counts: Counts,
    /// Dimensions in which the groups differ.
    pub varied: Vec<Dimension>,
    /// Jobs at which values are compared, in the order of their first rows.
    pub groups: Vec<ComparedJob>,
    /// Reason for an empty result.
    pub nothing: Option<String>,
}

/// Rows of one job that differ in the compared value alone.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ComparedJob {
    /// Axes that define the job.
    #[serde(rename = "axes", serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<KeyValue>")]
    pub key: Vec<(Axis, KeyValue)>,
    /// The run that its rows come from, where that tells them from others.
    pub run: Option<KeyValue>,
    /// Values, the fastest first, those that did not run last.
    pub values: Vec<ComparedValue>,
}

/// A value of the compared axis.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ComparedValue {
    /// The value; `None` where the simulator chooses.
    pub value: Option<KeyValue>,
    /// Row of the value.
    pub point: SizePoint,
    /// Time for the same work over that of the fastest value; `None` where it did not run.
    pub times_fastest: Option<f64>,
}

impl ComparedJob {
    /// The value that a dimension has in the job.
    pub(crate) fn dimension(&self, dimension: Dimension) -> Option<&KeyValue> {
        match dimension {
            Dimension::Axis(axis) => value_of(&self.key, axis),
            Dimension::Run => self.run.as_ref(),
        }
    }

    /// The values of some dimensions, in words.
    pub(crate) fn label(&self, dimensions: &[Dimension]) -> String {
        label(dimensions, |dimension| self.dimension(dimension))
    }

    /// The fastest value; `None` where none ran.
    pub(crate) fn fastest(&self) -> Option<&ComparedValue> {
        self.values.first().filter(|it| it.times_fastest.is_some())
    }

    /// Whether there are several values, and all of them ran and take as long.
    fn is_tied(&self) -> bool {
        let is_fastest =
            |it: &ComparedValue| it.times_fastest.is_some_and(|times| times - 1.0 <= SAME);
        self.values.len() > 1 && self.values.iter().all(is_fastest)
    }

    fn new(compared: Compared) -> Self {
        let values = compared.values.into_iter();
        // Equal points are kept in the file; here the first of them stands for all.
        let unique = values.unique_by(|(value, _)| value.clone());
        let sorted: Vec<(Option<KeyValue>, SizePoint)> = unique
            .sorted_by(|(_, a), (_, b)| rate(b).total_cmp(&rate(a)))
            .collect();
        let best = sorted.first().map_or(0.0, |(_, point)| rate(point));
        let values = sorted.into_iter().map(|(value, point)| ComparedValue {
            times_fastest: point.measured.map(|_| best / rate(&point)),
            value,
            point,
        });
        Self {
            key: compared.key,
            run: compared.run,
            values: values.collect(),
        }
    }
}

/// Work per second of a row, in tokens where it has them; zero where it did not run.
fn rate(point: &SizePoint) -> f64 {
    let measured = point.measured.as_ref();
    measured.map_or(0.0, |it| it.tokens_per_s.unwrap_or(it.samples_per_s))
}

impl Comparison {
    /// Whether a row has a rent.
    pub(crate) fn costs_money(&self) -> bool {
        let values = self.groups.iter().flat_map(|group| &group.values);
        let mut measured = values.filter_map(|it| it.point.measured);
        measured.any(|it| it.cost_per_step_usd.is_some())
    }

    /// Number of jobs at which several values ran and all of them take as long.
    pub(crate) fn ties(&self) -> usize {
        self.groups.iter().filter(|job| job.is_tied()).count()
    }

    /// Number of jobs at which each value is faster than another one, the most frequent first.
    pub(crate) fn wins(&self) -> Vec<(Option<&KeyValue>, usize)> {
        let untied = self.groups.iter().filter(|job| !job.is_tied());
        let fastest = untied.filter_map(ComparedJob::fastest);
        let mut wins: Vec<(Option<&KeyValue>, usize)> = Vec::new();
        for value in fastest.map(|it| it.value.as_ref()) {
            match wins.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => wins.push((value, 1)),
            }
        }
        wins.sort_by_key(|(_, count)| Reverse(*count));
        wins
    }
}

/// Gathers rows and compares them.
#[derive(Debug)]
pub(super) struct ComparisonReader {
    axis: Axis,
    reader: SeriesReader,
}

impl ComparisonReader {
    /// A reader of the values of an axis, from which those of some others follow.
    pub(super) fn new(axis: Axis, followers: BTreeSet<Axis>, runs: Runs) -> Self {
        let reader = SeriesReader::new(Along::Values(axis));
        Self {
            axis,
            reader: reader.with_followers(followers).with_runs(runs),
        }
    }

    /// Adds the rows of one record batch; `source` is the place of its file.
    ///
    /// # Errors
    /// If a column is missing, of another type or unit, or holds an impossible value.
    pub(super) fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        self.reader.add(rows, source)
    }

    pub(super) fn finish(self) -> Comparison {
        let counts = self.reader.counts().clone();
        let groups = self.reader.finish_compared();
        let groups: Vec<ComparedJob> = groups.into_iter().map(ComparedJob::new).collect();
        let nothing = nothing_to_compare(self.axis, &groups);
        let varied = telling_axes(&groups, Dimension::all(), ComparedJob::dimension);
        Comparison {
            axis: self.axis,
            own_prices: Box::default(),
            counts,
            varied,
            groups: if nothing.is_some() {
                Vec::new()
            } else {
                groups
            },
            nothing,
        }
    }
}

/// Reason for which no values are held against each other.
fn nothing_to_compare(axis: Axis, groups: &[ComparedJob]) -> Option<String> {
    let values = groups.iter().flat_map(|group| &group.values);
    let distinct: Vec<Option<&KeyValue>> = values.map(|it| it.value.as_ref()).unique().collect();
    let way_out = format!("give it several values in the grid, as `{axis} = […]`");
    match distinct.as_slice() {
        [] => Some("nothing to compare: the results hold no rows".to_owned()),
        [None] => Some(format!(
            "nothing to compare: `{axis}` is left to the simulator in every row, which chooses it for each; {way_out}"
        )),
        [Some(value)] => Some(format!(
            "nothing to compare: `{axis}` is {value} in every row; {way_out}"
        )),
        _ if groups.iter().all(|group| group.values.len() == 1) => Some(format!(
            "nothing to compare: no two rows differ in `{axis}` alone"
        )),
        _ => None,
    }
}
