//! Series: the rows that differ in nothing but their size.

use std::collections::{BTreeSet, HashMap};

use itertools::Itertools;

use super::axis_codes::{AxisCodes, NULL};
use super::curve::Scaling;
use super::dimension::Dimension;
use super::key_value::KeyValue;
use super::points::{PointColumns, SizePoint, point_columns};
use super::runs::Runs;
use crate::record::{Column, Counts, ReadError, Rows};
use crate::spec::{AXES, Axis, AxisGroup, StudyKind};

/// Rows of one series, smallest size first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// The axes that define the series, in the order of `Axis::ALL`; axes that are `auto` or do
    /// not apply are absent.
    pub key: Vec<(Axis, KeyValue)>,
    /// The run that the rows come from, where that tells them from others.
    pub run: Option<KeyValue>,
    /// Strong or weak: global batch or batch per GPU fixed.
    pub scaling: Scaling,
    /// Points, smallest first, one per size.
    pub points: Vec<SizePoint>,
}

impl Series {
    /// The value that an axis has in the series.
    pub(crate) fn value(&self, axis: Axis) -> Option<&KeyValue> {
        value_of(&self.key, axis)
    }

    /// The value that a dimension has in the series.
    pub(super) fn dimension(&self, dimension: Dimension) -> Option<&KeyValue> {
        match dimension {
            Dimension::Axis(axis) => self.value(axis),
            Dimension::Run => self.run.as_ref(),
        }
    }

    /// Replaces the value of a dimension.
    pub(super) fn set(&mut self, dimension: Dimension, value: KeyValue) {
        match dimension {
            Dimension::Axis(axis) => {
                self.key.retain(|(of, _)| *of != axis);
                self.key.push((axis, value));
                self.key.sort_by_key(|(of, _)| *of);
            }
            Dimension::Run => self.run = Some(value),
        }
    }
}

/// The value that a key gives an axis.
pub(super) fn value_of(key: &[(Axis, KeyValue)], axis: Axis) -> Option<&KeyValue> {
    let found = key.iter().find(|(of, _)| *of == axis);
    found.map(|(_, value)| value)
}

/// The values of some dimensions, in words, what people look for first before the others: `llama3-70b h100-sxm nodes 4`.
pub(super) fn label<'a>(
    dimensions: &[Dimension],
    value: impl Fn(Dimension) -> Option<&'a KeyValue>,
) -> String {
    let (names, others): (Vec<Dimension>, Vec<Dimension>) =
        (dimensions.iter()).partition(|it| matches!(it, Dimension::Axis(Axis::Model | Axis::Gpu)));
    let words = names
        .iter()
        .chain(&others)
        .map(|dimension| match value(*dimension) {
            Some(value @ KeyValue::Text(_)) => value.to_string(),
            Some(value) => format!("{dimension} {value}"),
            None => format!("{dimension} auto"),
        });
    words.into_iter().join(" ")
}

/// Every column that [`SeriesReader`] reads.
pub fn columns_read() -> Vec<Column> {
    key_axes()
        .map(|axis| Column::of_axis(axis.info()))
        .chain(point_columns())
        .collect()
}

/// Axes that have a column of their own; `gpus` is a column of the layout.
fn key_axes() -> impl Iterator<Item = Axis> {
    AXES.iter()
        .filter(|info| info.axis != Axis::Gpus && info.axis.belongs_to(StudyKind::Training))
        .map(|info| info.axis)
}

/// Axes that a reader takes out of the key of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// The GPUs of the job.
    Gpus,
    /// A resource: rows without a number have no place on its curves.
    Resource(Axis),
    /// Values that are compared, `auto` among them.
    Values(Axis),
}

/// Gathers rows into groups that differ in one thing alone: series along their size, or compared values.
#[derive(Debug)]
pub(crate) struct SeriesReader {
    along: Along,
    /// Rows without a number on the axis.
    without_number: u64,
    /// Rows of the groups by status, equal points among them.
    counts: Counts,
    /// Axes whose values follow from that along which the rows differ: they are no difference.
    followers: BTreeSet<Axis>,
    runs: Runs,
    /// Columns of the spec's metrics.
    metrics: Vec<Column>,
    axes: Vec<AxisCodes>,
    index: HashMap<Box<[u32]>, usize>,
    groups: Vec<Group>,
    /// Place of the group that the last row went to.
    last: usize,
}

#[derive(Clone, Debug)]
struct Group {
    /// Codes of the axes, then the number of the run, then the GPUs where they are no size.
    codes: Box<[u32]>,
    points: Vec<SizePoint>,
    /// Code of each point on the axis along which the rows differ.
    values: Vec<u32>,
    /// Whether another file holds a size of the same series, so that the file's name tells them apart.
    is_split: bool,
}

/// Codes with some axes left out, and the batch per GPU where that replaces the global batch.
type CoarseKey = (Box<[u32]>, u64);

impl SeriesReader {
    /// A reader of groups along something.
    pub(super) fn new(along: Along) -> Self {
        Self {
            along,
            without_number: 0,
            counts: Counts::default(),
            followers: BTreeSet::new(),
            runs: Runs::default(),
            metrics: Vec::new(),
            axes: key_axes().map(AxisCodes::new).collect(),
            index: HashMap::new(),
            groups: Vec::new(),
            last: 0,
        }
    }

    /// Tells rows of several runs apart.
    pub(super) fn with_runs(self, runs: Runs) -> Self {
        Self { runs, ..self }
    }

    /// Holds axes for no difference whose values follow from that along which the rows differ.
    pub(super) fn with_followers(self, followers: BTreeSet<Axis>) -> Self {
        Self { followers, ..self }
    }

    /// Reads some metrics besides.
    pub(super) fn with_metrics(self, metrics: Vec<Column>) -> Self {
        Self { metrics, ..self }
    }

    /// Adds the rows of one batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing or of another type, or a value impossible.
    pub(crate) fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        let points = PointColumns::new(rows, &self.metrics)?;
        let codes: Vec<Vec<u32>> = self
            .axes
            .iter_mut()
            .map(|axis| axis.codes(rows))
            .collect::<Result<_, _>>()?;
        let nodes_place = self.place(Axis::Nodes);
        let along_place = match self.along {
            Along::Gpus => None,
            Along::Resource(axis) | Along::Values(axis) => self.place(axis),
        };
        let is_resource = matches!(self.along, Along::Resource(_));
        let number = |axes: &[AxisCodes], place: Option<usize>, row: usize| {
            let place = place?;
            match axes[place].value(codes[place][row])? {
                KeyValue::Number(number) => Some(*number),
                KeyValue::Text(_) | KeyValue::Bool(_) | KeyValue::Several(_) => None,
            }
        };
        let mut key = vec![NULL; self.axes.len()];
        key.extend([self.runs.of_file(source), NULL]);
        let gpus_place = key.len() - 1;
        let axes = self.axes.iter().enumerate();
        let followers = axes.filter(|(_, codes)| self.followers.contains(&codes.axis));
        let followers: Vec<usize> = followers.map(|(place, _)| place).collect();
        for row in 0..rows.len() {
            let size = number(&self.axes, along_place.filter(|_| is_resource), row);
            if is_resource && size.is_none() {
                self.without_number += 1;
                continue;
            }
            for (cell, codes) in key.iter_mut().zip(&codes) {
                *cell = codes[row];
            }
            let value = along_place.map_or(NULL, |place| key[place]);
            for place in along_place.or(nodes_place).iter().chain(&followers) {
                key[*place] = NULL;
            }
            let nodes = number(&self.axes, nodes_place, row);
            let point = points.row(row, source, size, nodes)?;
            key[gpus_place] = match self.along {
                Along::Gpus => NULL,
                Along::Resource(_) | Along::Values(_) if self.followers.contains(&Axis::Gpus) => {
                    NULL
                }
                Along::Resource(_) | Along::Values(_) => point.gpus,
            };
            let kind = point.reason.as_ref().and_then(|it| it.kind);
            self.counts.add(point.status, kind);
            self.push(&key, point, value);
        }
        Ok(())
    }

    fn push(&mut self, key: &[u32], point: SizePoint, value: u32) {
        // Sizes of a series mostly follow one another, so the last group is tried before the map.
        let is_of_last = (self.groups.get(self.last)).is_some_and(|group| *group.codes == *key);
        let found = if is_of_last {
            Some(self.last)
        } else {
            self.index.get(key).copied()
        };
        if let Some(group) = found {
            self.last = group;
            self.groups[group].points.push(point);
            self.groups[group].values.push(value);
            return;
        }
        self.last = self.groups.len();
        let codes: Box<[u32]> = key.into();
        self.index.insert(codes.clone(), self.groups.len());
        self.groups.push(Group {
            codes,
            points: vec![point],
            values: vec![value],
            is_split: false,
        });
    }

    /// The series, in the order of their first rows.
    ///
    /// Axes that advance together with the size (a `[[zip]]` of servers and batch, or of servers
    /// and layout) would leave series of a single size; those are joined again: first over the
    /// global batch where the batch per GPU is the same, then over the layout.
    pub(crate) fn finish(mut self) -> Vec<Series> {
        let groups = std::mem::take(&mut self.groups);
        let groups = split_by_source(groups, |group| sizes(group).collect());
        let groups = self.join_lone(groups, Self::weak_key);
        let groups = self.join_lone(groups, Self::layout_key);
        groups.into_iter().map(|group| self.series(group)).collect()
    }

    fn place(&self, axis: Axis) -> Option<usize> {
        self.axes.iter().position(|codes| codes.axis == axis)
    }

    /// The key without the global batch, which is replaced by that per GPU.
    fn weak_key(&self, group: &Group) -> Option<CoarseKey> {
        let place = self.place(Axis::GlobalBatch)?;
        let point = group.points.first()?;
        let batch = match self.axes[place].value(group.codes[place])? {
            KeyValue::Number(number) => *number,
            KeyValue::Text(_) | KeyValue::Bool(_) | KeyValue::Several(_) => return None,
        };
        let mut codes = group.codes.clone();
        codes[place] = NULL;
        Some((codes, (batch / f64::from(point.gpus)).to_bits()))
    }

    /// The key without the layout.
    fn layout_key(&self, group: &Group) -> Option<CoarseKey> {
        let mut codes = group.codes.clone();
        for (code, axis) in codes.iter_mut().zip(&self.axes) {
            if axis.axis.info().group == AxisGroup::Parallelism || axis.axis == Axis::MicroBatch {
                *code = NULL;
            }
        }
        (!group.points.is_empty()).then_some((codes, 0))
    }

    /// Joins groups of a single size under a coarser key, where that gives several sizes.
    fn join_lone(
        &self,
        groups: Vec<Group>,
        coarser: impl Fn(&Self, &Group) -> Option<CoarseKey>,
    ) -> Vec<Group> {
        let is_lone = |group: &Group| sizes(group).all_equal();
        let keys: Vec<Option<CoarseKey>> = groups
            .iter()
            .map(|group| is_lone(group).then(|| coarser(self, group))?)
            .collect();
        let sizes_of = groups.iter().zip(&keys);
        let sizes_of = sizes_of
            .filter_map(|(group, key)| Some((key.as_ref()?, sizes(group).next()?)))
            .into_group_map();
        // Two rows of one size under the coarser key differ in what it leaves out.
        let joins = |key: &CoarseKey| {
            let sizes = &sizes_of[key];
            sizes.len() > 1 && sizes.iter().all_unique()
        };
        let mut joined: Vec<Group> = Vec::with_capacity(groups.len());
        let mut place_of: HashMap<&CoarseKey, usize> = HashMap::new();
        for (group, key) in groups.into_iter().zip(&keys) {
            let Some(key) = key.as_ref().filter(|key| joins(key)) else {
                joined.push(group);
                continue;
            };
            if let Some(place) = place_of.get(key) {
                joined[*place].points.extend(group.points);
                joined[*place].values.extend(group.values);
                continue;
            }
            place_of.insert(key, joined.len());
            joined.push(Group {
                codes: key.0.clone(),
                points: group.points,
                values: group.values,
                is_split: group.is_split,
            });
        }
        joined
    }

    /// The groups of rows that differ in the compared value alone, each row with its value, in the order of their
    /// first rows.
    pub(super) fn finish_compared(mut self) -> Vec<Compared> {
        let groups = std::mem::take(&mut self.groups);
        let place = match self.along {
            Along::Gpus | Along::Resource(_) => None,
            Along::Values(axis) => self.place(axis),
        };
        let compared = split_by_source(groups, |group| {
            group.values.iter().map(|code| u64::from(*code)).collect()
        })
        .into_iter()
        .map(|group| {
            let values = group.values.iter().map(|code| {
                let axis = &self.axes[place?];
                axis.value(*code).cloned()
            });
            Compared {
                key: self.key(&group),
                run: self.run(&group),
                values: values.zip(group.points.iter().cloned()).collect(),
            }
        });
        compared.collect()
    }

    /// Rows of the groups by status, equal points among them, of which the findings have the first.
    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Number of rows that have no number on the resource's axis.
    pub(super) const fn without_number(&self) -> u64 {
        self.without_number
    }

    fn key(&self, group: &Group) -> Vec<(Axis, KeyValue)> {
        let codes = self.axes.iter().zip(&group.codes);
        let mut key: Vec<(Axis, KeyValue)> = codes
            .filter_map(|(axis, code)| axis.value(*code).map(|value| (axis.axis, value.clone())))
            .collect();
        // GPUs that are no size tell jobs in a part of one server apart.
        let has_nodes = key.iter().any(|(axis, _)| *axis == Axis::Nodes);
        if let (Some(gpus), false) = (group.codes.last().filter(|gpus| **gpus > 0), has_nodes) {
            key.push((Axis::Gpus, KeyValue::Number(f64::from(*gpus))));
            key.sort_by_key(|(axis, _)| *axis);
        }
        key
    }

    /// The run of a group, where that tells it from others.
    fn run(&self, group: &Group) -> Option<KeyValue> {
        let source = group.points.first()?.source;
        if group.is_split {
            Some(self.runs.name(source))
        } else {
            self.runs.label(source)
        }
    }

    fn series(&self, group: Group) -> Series {
        let (key, run) = (self.key(&group), self.run(&group));
        let has = |axis| key.iter().any(|(of, _)| *of == axis);
        let scaling = if has(Axis::GlobalBatch) {
            Scaling::Strong
        } else {
            Scaling::Weak
        };
        let mut points = group.points;
        points.sort_by(|a, b| a.size.total_cmp(&b.size).then(a.point.cmp(&b.point)));
        // Equal points are kept in the file; here the first of them stands for all.
        points.dedup_by(|later, first| later.size.to_bits() == first.size.to_bits());
        Series {
            key,
            run,
            scaling,
            points,
        }
    }
}

/// Rows that differ in a compared value alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    pub key: Vec<(Axis, KeyValue)>,
    pub run: Option<KeyValue>,
    /// Each row with its value; `None` where the simulator chooses.
    pub values: Vec<(Option<KeyValue>, SizePoint)>,
}

/// Sizes of a group's points, in bits.
fn sizes(group: &Group) -> impl Iterator<Item = u64> {
    group.points.iter().map(|point| point.size.to_bits())
}

/// Shards of one run hold different rows of a group and stay together; two files that both hold a place of it (a size,
/// a compared value) are two groups.
fn split_by_source(groups: Vec<Group>, places: impl Fn(&Group) -> Vec<u64>) -> Vec<Group> {
    let mut found = Vec::with_capacity(groups.len());
    for group in groups {
        let sources = group.points.iter().map(|point| point.source);
        let places = places(&group).into_iter();
        let rows = places.zip(sources.clone()).sorted_unstable().dedup();
        if rows.tuple_windows().all(|(a, b)| a.0 != b.0) {
            found.push(group);
            continue;
        }
        for source in sources.unique().sorted_unstable() {
            let of_source = group.points.iter().zip(&group.values);
            let of_source = of_source.filter(|(point, _)| point.source == source);
            let (points, values) = of_source
                .map(|(point, value)| (point.clone(), *value))
                .unzip();
            found.push(Group {
                codes: group.codes.clone(),
                points,
                values,
                is_split: true,
            });
        }
    }
    found
}
