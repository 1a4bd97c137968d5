//! Rows of one run, found by their inputs.

use std::collections::BTreeMap;

use itertools::Itertools;

use crate::analysis::varied::decides;
use crate::record::{Column, NumberColumn, PointStatus, PointsReader, ReadError, Rows, columns};
use crate::spec::{AXES, Axis, StudyKind};

/// One row: its inputs, how it ended, and its metrics.
pub(super) struct KeyedRow {
    pub(super) inputs: Vec<(Axis, String)>,
    pub(super) status: PointStatus,
    pub(super) values: Vec<Option<f64>>,
}

/// Rows by their inputs in words, and by their ordinal among equal points.
pub(super) type KeyedRows = BTreeMap<(String, usize), KeyedRow>;

pub(super) fn keyed_rows(
    reader: PointsReader,
    kind: StudyKind,
    metrics: &[Column],
) -> Result<KeyedRows, ReadError> {
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
    let mut found = KeyedRows::new();
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
        .map(|axis| {
            let words = rows.words(&Column::of_axis(axis.info()));
            words.map(|words| (*axis, words))
        })
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
    let values = |axis| rows.iter().map(move |row| row.input(axis));
    let varies = |axis: &Axis| !values(*axis).all_equal();
    let by_gpu = |axis| values(Axis::Gpu).zip(values(axis));
    let distinguishes = |axis: &Axis| *axis == Axis::Gpu || !decides(by_gpu(*axis));
    let axes = Axis::ALL.iter().copied();
    axes.filter(varies).filter(distinguishes).collect()
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
