//! Series: the rows that differ in nothing but their size.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::BooleanArray;
use itertools::Itertools;
use serde::Serialize;

use super::curve::Scaling;
use super::points::{PointColumns, SizePoint, point_columns};
use crate::record::{Column, NumberColumn, ReadError, Rows, TextColumn};
use crate::spec::{AXES, Axis, AxisGroup, ColumnType, StudyKind};

/// The value that an axis has throughout a series.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// A name.
    Text(Arc<str>),
    /// A number.
    Number(f64),
    /// A switch.
    Bool(bool),
}

/// Readers refuse cells that are no number.
impl Eq for KeyValue {}

impl PartialOrd for KeyValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Names, then numbers, then switches.
impl Ord for KeyValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(_) | Self::Number(_) | Self::Bool(_), _) => self.kind().cmp(&other.kind()),
        }
    }
}

impl KeyValue {
    const fn kind(&self) -> u8 {
        match self {
            Self::Text(_) => 0,
            Self::Number(_) => 1,
            Self::Bool(_) => 2,
        }
    }
}

impl Serialize for KeyValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(switch) => serializer.serialize_bool(*switch),
        }
    }
}

impl std::fmt::Display for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Bool(true) => f.pad("on"),
            Self::Bool(false) => f.pad("off"),
        }
    }
}

/// Rows of one series, smallest size first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// The axes that define the series, in the order of `Axis::ALL`; axes that are `auto` or do
    /// not apply are absent.
    pub key: Vec<(Axis, KeyValue)>,
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
}

/// The value that a key gives an axis.
pub(super) fn value_of(key: &[(Axis, KeyValue)], axis: Axis) -> Option<&KeyValue> {
    let found = key.iter().find(|(of, _)| *of == axis);
    found.map(|(_, value)| value)
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

/// Gathers rows into series.
#[derive(Debug)]
pub(crate) struct SeriesReader {
    size_axis: Axis,
    axes: Vec<AxisCodes>,
    index: HashMap<Box<[u32]>, usize>,
    groups: Vec<Group>,
    /// Place of the group that the last row went to.
    last: usize,
}

#[derive(Clone, Debug)]
struct Group {
    codes: Box<[u32]>,
    points: Vec<SizePoint>,
}

/// The distinct values of one axis, each under a code; 0 is null.
#[derive(Debug)]
struct AxisCodes {
    axis: Axis,
    column: Column,
    values: Vec<KeyValue>,
    texts: HashMap<Arc<str>, u32>,
    numbers: HashMap<u64, u32>,
}

const NULL: u32 = 0;

/// Codes with some axes left out, and the batch per GPU where that replaces the global batch.
type CoarseKey = (Box<[u32]>, u64);

impl AxisCodes {
    fn new(axis: Axis) -> Self {
        Self {
            axis,
            column: Column::of_axis(axis.info()),
            values: Vec::new(),
            texts: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    /// The value of a code; `None` for null.
    fn value(&self, code: u32) -> Option<&KeyValue> {
        code.checked_sub(1)
            .map(|place| &self.values[place as usize])
    }

    fn add(&mut self, value: KeyValue) -> u32 {
        self.values.push(value);
        self.values.len() as u32
    }

    /// The code of every row of a batch.
    fn codes(&mut self, rows: &Rows) -> Result<Vec<u32>, ReadError> {
        let column = self.column;
        match self.axis.info().domain.column_type() {
            ColumnType::Text => Ok(self.text_codes(&rows.text(&column)?, rows.len())),
            ColumnType::Int | ColumnType::Real => {
                Ok(self.number_codes(&rows.numbers(&column)?, rows.len()))
            }
            ColumnType::Bool => Ok(self.switch_codes(&rows.switches(&column)?)),
        }
    }

    fn text_codes(&mut self, column: &TextColumn, rows: usize) -> Vec<u32> {
        let of_name: Vec<u32> = column
            .names()
            .iter()
            .map(|name| {
                if let Some(code) = self.texts.get(name) {
                    return *code;
                }
                let code = self.add(KeyValue::Text(name.clone()));
                self.texts.insert(name.clone(), code);
                code
            })
            .collect();
        (0..rows)
            .map(|row| column.code(row).map_or(NULL, |code| of_name[code]))
            .collect()
    }

    fn number_codes(&mut self, column: &NumberColumn, rows: usize) -> Vec<u32> {
        // Neighbouring rows mostly agree, so the last value is tried before the map.
        let mut last = (None, NULL);
        (0..rows)
            .map(|row| {
                let bits = column.get(row).map(f64::to_bits);
                if bits != last.0 {
                    last = (bits, bits.map_or(NULL, |bits| self.number_code(bits)));
                }
                last.1
            })
            .collect()
    }

    fn number_code(&mut self, bits: u64) -> u32 {
        if let Some(code) = self.numbers.get(&bits) {
            return *code;
        }
        let code = self.add(KeyValue::Number(f64::from_bits(bits)));
        self.numbers.insert(bits, code);
        code
    }

    fn switch_codes(&mut self, column: &BooleanArray) -> Vec<u32> {
        if self.values.is_empty() {
            self.values = vec![KeyValue::Bool(false), KeyValue::Bool(true)];
        }
        let code = |switch: Option<bool>| switch.map_or(NULL, |on| 1 + u32::from(on));
        column.iter().map(code).collect()
    }
}

impl SeriesReader {
    /// A reader that takes `size_axis` as the size; [`Axis::Gpus`] and [`Axis::Nodes`] both mean
    /// the GPUs of the job.
    pub(crate) fn new(size_axis: Axis) -> Self {
        Self {
            size_axis,
            axes: key_axes().map(AxisCodes::new).collect(),
            index: HashMap::new(),
            groups: Vec::new(),
            last: 0,
        }
    }

    /// Adds the rows of one batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing or of another type, or a value impossible.
    pub(crate) fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        let points = PointColumns::new(rows)?;
        let codes: Vec<Vec<u32>> = self
            .axes
            .iter_mut()
            .map(|axis| axis.codes(rows))
            .collect::<Result<_, _>>()?;
        let nodes_place = self.place(Axis::Nodes);
        let size_place = match self.size_axis {
            Axis::Gpus | Axis::Nodes => None,
            other => self.place(other),
        };
        let number = |axes: &[AxisCodes], place: Option<usize>, row: usize| {
            let place = place?;
            match axes[place].value(codes[place][row])? {
                KeyValue::Number(number) => Some(*number),
                KeyValue::Text(_) | KeyValue::Bool(_) => None,
            }
        };
        let mut key = vec![NULL; self.axes.len()];
        for row in 0..rows.len() {
            let size = number(&self.axes, size_place, row);
            // A row without a number on the size axis has no place on its curves.
            if size_place.is_some() && size.is_none() {
                continue;
            }
            for (cell, codes) in key.iter_mut().zip(&codes) {
                *cell = codes[row];
            }
            if let Some(place) = size_place.or(nodes_place) {
                key[place] = NULL;
            }
            let nodes = number(&self.axes, nodes_place, row);
            let point = points.row(row, source, size, nodes)?;
            self.push(&key, point);
        }
        Ok(())
    }

    fn push(&mut self, key: &[u32], point: SizePoint) {
        // Sizes of a series mostly follow one another, so the last group is tried before the map.
        if let Some(group) = self.groups.get_mut(self.last)
            && *group.codes == *key
        {
            group.points.push(point);
            return;
        }
        if let Some(group) = self.index.get(key) {
            self.last = *group;
            self.groups[*group].points.push(point);
            return;
        }
        self.last = self.groups.len();
        let codes: Box<[u32]> = key.into();
        self.index.insert(codes.clone(), self.groups.len());
        self.groups.push(Group {
            codes,
            points: vec![point],
        });
    }

    /// The series, in the order of their first rows.
    ///
    /// Axes that advance together with the size (a `[[zip]]` of servers and batch, or of servers
    /// and layout) would leave series of a single size; those are joined again: first over the
    /// global batch where the batch per GPU is the same, then over the layout.
    pub(crate) fn finish(mut self) -> Vec<Series> {
        let groups = std::mem::take(&mut self.groups);
        let groups = split_by_source(groups);
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
            KeyValue::Text(_) | KeyValue::Bool(_) => return None,
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
                continue;
            }
            place_of.insert(key, joined.len());
            joined.push(Group {
                codes: key.0.clone(),
                points: group.points,
            });
        }
        joined
    }

    fn series(&self, group: Group) -> Series {
        let key: Vec<(Axis, KeyValue)> = self
            .axes
            .iter()
            .zip(&group.codes)
            .filter_map(|(axis, code)| axis.value(*code).map(|value| (axis.axis, value.clone())))
            .collect();
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
            scaling,
            points,
        }
    }
}

/// Sizes of a group's points, in bits.
fn sizes(group: &Group) -> impl Iterator<Item = u64> {
    group.points.iter().map(|point| point.size.to_bits())
}

/// Shards of one run hold different rows of a series and stay together; two runs that both hold
/// a size of it are two series.
fn split_by_source(groups: Vec<Group>) -> Vec<Group> {
    let mut found = Vec::with_capacity(groups.len());
    for group in groups {
        let sources = group.points.iter().map(|point| point.source);
        let rows = sizes(&group).zip(sources.clone()).sorted_unstable().dedup();
        if rows.tuple_windows().all(|(a, b)| a.0 != b.0) {
            found.push(group);
            continue;
        }
        for source in sources.unique().sorted_unstable() {
            let points = group.points.iter().filter(|point| point.source == source);
            found.push(Group {
                codes: group.codes.clone(),
                points: points.cloned().collect(),
            });
        }
    }
    found
}
