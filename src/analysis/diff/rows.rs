//! Rows of two runs without their text: what tells them apart, how they ended, and their metrics.

use std::collections::{BTreeMap, BTreeSet};

use itertools::{EitherOrBoth, Itertools};

use crate::analysis::axis_codes::{AxisCodes, input_column};
use crate::record::{Column, NumberColumn, PointStatus, PointsReader, ReadError, Rows, columns};
use crate::spec::{AXES, Axis, StudyKind};

/// Inputs of a row in 16 bytes: the first half of the BLAKE3 hash of their codes. Of 10⁹ rows two different ones agree with a
/// probability of 10⁻²¹.
pub(super) type RowKey = u128;

/// Rows of one run, each by its place in the file.
#[derive(Debug, Default)]
pub(super) struct RunRows {
    /// Key by which a row is found.
    pub(super) keys: Vec<RowKey>,
    /// How each ended.
    pub(super) statuses: Vec<PointStatus>,
    /// Values of each metric; NaN where a row has none.
    pub(super) values: Vec<Vec<f64>>,
}

/// The inputs of both runs, as far as their rows were read.
#[derive(Debug)]
pub(super) struct Inputs {
    axes: Vec<AxisCodes>,
    /// Codes of the first row of each GPU.
    first: BTreeMap<u32, Vec<u32>>,
    /// Whether an axis differs between rows of one GPU.
    within_gpu: Vec<bool>,
}

/// The axes of a study, in the order of the columns; `gpus` is one of the layout and comes last.
fn input_axes(kind: StudyKind) -> impl Iterator<Item = Axis> {
    AXES.iter()
        .map(|info| info.axis)
        .filter(move |axis| axis.belongs_to(kind) && *axis != Axis::Gpus)
        .chain([Axis::Gpus])
}

impl Inputs {
    /// The inputs of a kind of study, no row read.
    pub(super) fn of(kind: StudyKind) -> Self {
        let axes: Vec<AxisCodes> = input_axes(kind).map(AxisCodes::new).collect();
        Self {
            first: BTreeMap::new(),
            within_gpu: vec![false; axes.len()],
            axes,
        }
    }

    /// Reads the rows of a run, a few thousand at a time.
    ///
    /// # Errors
    /// If a column is missing or holds something else, or a value is impossible.
    pub(super) fn rows(
        &mut self,
        reader: PointsReader,
        metrics: &[Column],
    ) -> Result<RunRows, ReadError> {
        let inputs = self.axes.iter().map(|codes| input_column(codes.axis));
        let wanted: Vec<Column> = inputs
            .chain([columns::STATUS, columns::POINT])
            .chain(metrics.iter().copied())
            .collect();
        let mut found = RunRows {
            values: vec![Vec::new(); metrics.len()],
            ..RunRows::default()
        };
        for rows in reader.rows(&wanted)? {
            let rows = rows?;
            self.add_keys(&rows, &mut found.keys)?;
            add_ends(&rows, metrics, &mut found)?;
        }
        Ok(found)
    }

    fn add_keys(&mut self, rows: &Rows, keys: &mut Vec<RowKey>) -> Result<(), ReadError> {
        let gpu = self.axes.iter().position(|codes| codes.axis == Axis::Gpu);
        let columns: Vec<Vec<u32>> = (self.axes.iter_mut())
            .map(|axis| axis.codes(rows))
            .try_collect()?;
        let mut codes = vec![0; columns.len()];
        let mut bytes = Vec::new();
        for row in 0..rows.len() {
            bytes.clear();
            for (code, column) in codes.iter_mut().zip(&columns) {
                *code = column[row];
                bytes.extend(code.to_le_bytes());
            }
            keys.push(row_key(&bytes));
            let gpu = gpu.map_or(0, |place| codes[place]);
            let first = self.first.entry(gpu).or_insert_with(|| codes.clone());
            for (differs, (code, first)) in self.within_gpu.iter_mut().zip(codes.iter().zip(first))
            {
                *differs |= *code != *first;
            }
        }
        Ok(())
    }

    /// Axes that differ between rows, without those that the GPU decides: where each comes with one
    /// cluster, it tells the points apart.
    pub(super) fn varied(&self) -> Vec<Axis> {
        let differs_by_gpu = self.axes.iter().find(|codes| codes.axis == Axis::Gpu);
        let differs_by_gpu = differs_by_gpu.filter(|_| self.first.len() > 1);
        let within = self.axes.iter().zip(&self.within_gpu);
        within
            .filter(|(_, differs)| **differs)
            .map(|(codes, _)| codes)
            .chain(differs_by_gpu)
            .map(|codes| codes.axis)
            .collect()
    }
}

fn row_key(codes: &[u8]) -> RowKey {
    let hash = blake3::hash(codes);
    let half = hash.as_bytes().iter().take(size_of::<RowKey>());
    half.fold(0, |key, byte| (key << 8) | RowKey::from(*byte))
}

fn add_ends(rows: &Rows, metrics: &[Column], found: &mut RunRows) -> Result<(), ReadError> {
    let statuses = rows.members(&columns::STATUS)?;
    let metrics: Vec<NumberColumn> = (metrics.iter())
        .map(|column| rows.numbers(column))
        .try_collect()?;
    for row in 0..rows.len() {
        let status = rows.status(&statuses, row)?;
        found.statuses.push(status);
        for (values, column) in found.values.iter_mut().zip(&metrics) {
            let value = match status {
                PointStatus::Ok if !column.is_null(row) => Some(rows.not_negative(column, row)?),
                PointStatus::Ok | PointStatus::Infeasible | PointStatus::Crashed => column.get(row),
            };
            values.push(value.unwrap_or(f64::NAN));
        }
    }
    Ok(())
}

/// Rows of two runs that have the same inputs, equal ones in the order of their files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// Places in the base run and in the new one, in the order of the base run.
    pub(super) common: Vec<(usize, usize)>,
    /// Places of rows that only the base run holds.
    pub(super) gone: Vec<usize>,
    /// Places of rows that only the new run holds.
    pub(super) added: Vec<usize>,
}

impl Matches {
    /// Finds the rows of one run in the other.
    pub(super) fn of(base: &[RowKey], new: &[RowKey]) -> Self {
        let by_key = |keys: &[RowKey]| {
            let mut places: Vec<usize> = (0..keys.len()).collect();
            places.sort_unstable_by_key(|place| (keys[*place], *place));
            places
        };
        let (base_places, new_places) = (by_key(base), by_key(new));
        let mut found = Self::default();
        let pairs = base_places
            .into_iter()
            .merge_join_by(new_places, |a, b| base[*a].cmp(&new[*b]));
        for pair in pairs {
            match pair {
                EitherOrBoth::Both(base, new) => found.common.push((base, new)),
                EitherOrBoth::Left(base) => found.gone.push(base),
                EitherOrBoth::Right(new) => found.added.push(new),
            }
        }
        found.common.sort_unstable();
        found.gone.sort_unstable();
        found.added.sort_unstable();
        found
    }
}

/// Points by their varied axes, in words, by their places in a run.
pub(super) type Labels = BTreeMap<usize, String>;

/// Label of a point that no input tells from others.
const ONLY: &str = "the only point";

/// Labels of some rows of a file, by their places in it: the inputs that vary, in words.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn labels(
    reader: PointsReader,
    varied: &[Axis],
    places: &BTreeSet<usize>,
) -> Result<Labels, ReadError> {
    let axes = input_axes(reader.kind()).filter(|axis| varied.contains(axis));
    let inputs: Vec<(Axis, Column)> = axes.map(|axis| (axis, input_column(axis))).collect();
    let mut found = Labels::new();
    let Some(last) = places.last().filter(|_| !inputs.is_empty()) else {
        let only = places.iter().map(|place| (*place, ONLY.to_owned()));
        return Ok(only.collect());
    };
    let wanted: Vec<Column> = inputs.iter().map(|(_, column)| *column).collect();
    let mut start = 0;
    for rows in reader.rows(&wanted)? {
        let rows = rows?;
        let end = start + rows.len();
        let mut here = places.range(start..end).peekable();
        if here.peek().is_some() {
            let words: Vec<Vec<Option<String>>> = (wanted.iter())
                .map(|column| rows.words(column))
                .try_collect()?;
            for place in here {
                let words = inputs.iter().zip(&words);
                let word = words.filter_map(|((axis, _), words)| {
                    Some(format!("{axis}={}", words[place - start].as_ref()?))
                });
                let label = match word.into_iter().join(" ") {
                    empty if empty.is_empty() => ONLY.to_owned(),
                    label => label,
                };
                found.insert(*place, label);
            }
        }
        start = end;
        if start > *last {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Base 5 7 5 9, new 7 5 8 5 5: the two fives of the base meet the first two of the new run; 9 is gone; 8 and the
    // third five are new.
    #[test]
    fn equal_rows_are_matched_in_their_order() {
        let found = Matches::of(&[5, 7, 5, 9], &[7, 5, 8, 5, 5]);
        let expected = Matches {
            common: vec![(0, 1), (1, 0), (2, 3)],
            gone: vec![3],
            added: vec![2, 4],
        };
        assert_eq!(found, expected);
    }
}
