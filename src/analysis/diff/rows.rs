//! Rows of one run, found by their inputs.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use crate::record::{Column, NumberColumn, PointStatus, PointsReader, ReadError, Rows, columns};
use crate::spec::{AXES, Axis, StudyKind};

/// One row: its inputs, how it ended, and its metrics.
pub(super) struct KeyedRow {
    pub(super) inputs: Vec<(Axis, String)>,
    pub(super) status: PointStatus,
    pub(super) values: Vec<Option<f64>>,
}

/// Inputs in words, and the ordinal among equal points.
pub(super) type Key = (String, usize);

pub(super) fn keyed_rows(
    reader: PointsReader,
    kind: StudyKind,
    metrics: &[Column],
) -> Result<BTreeMap<Key, KeyedRow>, ReadError> {
    let axes: Vec<Axis> = AXES
        .iter()
        .map(|info| info.axis)
        .filter(|axis| axis.belongs_to(kind) && *axis != Axis::Gpus)
        .collect();
    let wanted: Vec<Column> = axes
        .iter()
        .map(|axis| Column::of_axis(axis.info()))
        .chain([columns::GPUS, columns::STATUS, columns::POINT])
        .chain(metrics.iter().copied())
        .collect();
    let mut found = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for rows in reader.rows(&wanted)? {
        for row in keyed(&rows?, &axes, metrics)? {
            let key = words(&row.inputs).join(";");
            let count = seen.entry(key.clone()).or_default();
            found.insert((key, *count), row);
            *count += 1;
        }
    }
    Ok(found)
}

fn keyed(rows: &Rows, axes: &[Axis], metrics: &[Column]) -> Result<Vec<KeyedRow>, ReadError> {
    let statuses = rows.members(&columns::STATUS)?;
    let gpus = rows.numbers(&columns::GPUS)?;
    let values: Vec<NumberColumn> = metrics
        .iter()
        .map(|column| rows.numbers(column))
        .try_collect()?;
    let inputs: Vec<(Axis, Vec<Option<String>>)> = axes
        .iter()
        .map(|axis| rows.words(*axis).map(|words| (*axis, words)))
        .try_collect()?;
    let keyed = |row| {
        let status = rows.status(&statuses, row)?;
        let value = |column: &NumberColumn| match status {
            PointStatus::Ok if !column.is_null(row) => rows.not_negative(column, row).map(Some),
            PointStatus::Ok | PointStatus::Infeasible | PointStatus::Crashed => Ok(column.get(row)),
        };
        Ok(KeyedRow {
            inputs: inputs
                .iter()
                .filter_map(|(axis, words)| words[row].clone().map(|word| (*axis, word)))
                .chain(gpus.get(row).map(|n| (Axis::Gpus, n.to_string())))
                .collect(),
            status,
            values: values.iter().map(value).try_collect()?,
        })
    };
    (0..rows.len()).map(keyed).collect()
}

/// Axes that differ between points, without those that the GPU decides: where each comes with one
/// cluster, it tells the points apart.
pub(super) fn varied_inputs(rows: &[&KeyedRow]) -> Vec<Axis> {
    let mut values: BTreeMap<Axis, BTreeSet<&str>> = BTreeMap::new();
    let mut counts: BTreeMap<Axis, usize> = BTreeMap::new();
    for (axis, value) in rows.iter().flat_map(|row| &row.inputs) {
        values.entry(*axis).or_default().insert(value);
        *counts.entry(*axis).or_default() += 1;
    }
    values
        .into_iter()
        .filter(|(axis, values)| values.len() > 1 || counts[axis] < rows.len())
        .map(|(axis, _)| axis)
        .filter(|axis| *axis == Axis::Gpu || !decided_by_gpu(rows, *axis))
        .collect()
}

/// Whether points with the same GPU have the same value of an axis.
fn decided_by_gpu(rows: &[&KeyedRow], axis: Axis) -> bool {
    let mut seen: BTreeMap<Option<&str>, Option<&str>> = BTreeMap::new();
    rows.iter().all(|row| {
        let value = row.input(axis);
        *seen.entry(row.input(Axis::Gpu)).or_insert(value) == value
    }) && seen.len() > 1
}

impl KeyedRow {
    fn input(&self, axis: Axis) -> Option<&str> {
        let found = self.inputs.iter().find(|(of, _)| *of == axis);
        found.map(|(_, value)| value.as_str())
    }

    /// The inputs that vary, in words.
    pub(super) fn label(&self, varied: &[Axis]) -> String {
        let shown = self.inputs.iter().filter(|(axis, _)| varied.contains(axis));
        match words(shown).join(" ") {
            label if label.is_empty() => "the only point".to_owned(),
            label => label,
        }
    }
}

fn words<'a>(inputs: impl IntoIterator<Item = &'a (Axis, String)>) -> impl Iterator<Item = String> {
    inputs
        .into_iter()
        .map(|(axis, value)| format!("{axis}={value}"))
}
