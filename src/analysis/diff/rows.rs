//! The rows of one run, found by their inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::DiffError;
use crate::analysis::error::AnalysisError;
use crate::analysis::input::{NumberColumn, Rows};
use crate::record::{Column, PointsReader, columns};
use crate::spec::{AXES, Axis, StudyKind};

/// One row: its inputs, how it ended, and its metrics.
pub(super) struct Row {
    pub(super) inputs: Vec<(Axis, String)>,
    pub(super) status: String,
    pub(super) values: Vec<Option<f64>>,
}

/// Inputs in words and which of several equal points it is.
pub(super) type Key = (String, usize);

pub(super) fn keyed_rows(
    path: &Path,
    reader: PointsReader,
    kind: StudyKind,
    metrics: &[Column],
) -> Result<BTreeMap<Key, Row>, DiffError> {
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
    let file = path.display().to_string();
    let mut found = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for batch in reader.read(&wanted)? {
        let rows = Rows {
            file: &file,
            batch: &batch,
        };
        for row in batch_rows(&rows, &axes, metrics)? {
            let words: Vec<String> = row
                .inputs
                .iter()
                .map(|(axis, value)| format!("{axis}={value}"))
                .collect();
            let key = words.join(";");
            let count = seen.entry(key.clone()).or_default();
            found.insert((key, *count), row);
            *count += 1;
        }
    }
    Ok(found)
}

fn batch_rows(
    rows: &Rows<'_>,
    axes: &[Axis],
    metrics: &[Column],
) -> Result<Vec<Row>, AnalysisError> {
    let status = rows.text(&columns::STATUS)?;
    let gpus = rows.numbers(&columns::GPUS)?;
    let points = rows.numbers(&columns::POINT)?;
    let values: Vec<NumberColumn> = metrics
        .iter()
        .map(|column| rows.numbers(column))
        .collect::<Result<_, _>>()?;
    for (column, values) in metrics.iter().zip(&values) {
        let possible = |value: f64| value >= 0.0 && value.is_finite();
        if let Some((row, value)) = (0..rows.len())
            .filter(|row| status.get(*row).is_some_and(|name| &**name == "ok"))
            .find_map(|row| Some((row, values.raw(row).filter(|v| !possible(*v))?)))
        {
            return Err(AnalysisError::BadValue {
                file: rows.file.to_owned(),
                column: column.name.to_owned(),
                point: points.get(row).unwrap_or(row as f64) as u64,
                value: value.to_string(),
                expected: "a number, not negative",
            });
        }
    }
    let inputs: Vec<(Axis, Vec<Option<String>>)> = axes
        .iter()
        .map(|axis| rows.words(*axis).map(|words| (*axis, words)))
        .collect::<Result<_, _>>()?;
    Ok((0..rows.len())
        .map(|row| Row {
            inputs: inputs
                .iter()
                .filter_map(|(axis, words)| words[row].clone().map(|word| (*axis, word)))
                .chain(gpus.get(row).map(|n| (Axis::Gpus, n.to_string())))
                .collect(),
            status: status
                .get(row)
                .map_or_else(String::new, std::string::ToString::to_string),
            values: values.iter().map(|column| column.get(row)).collect(),
        })
        .collect())
}

/// Axes that differ between points, without those that the GPU decides: where each comes with one
/// cluster, it tells the points apart.
pub(super) fn varied_inputs(rows: &[&Row]) -> Vec<Axis> {
    let mut values: BTreeMap<Axis, BTreeSet<&str>> = BTreeMap::new();
    let mut counts: BTreeMap<Axis, usize> = BTreeMap::new();
    for row in rows {
        for (axis, value) in &row.inputs {
            values.entry(*axis).or_default().insert(value);
            *counts.entry(*axis).or_default() += 1;
        }
    }
    values
        .into_iter()
        .filter(|(axis, values)| values.len() > 1 || counts[axis] < rows.len())
        .map(|(axis, _)| axis)
        .filter(|axis| *axis == Axis::Gpu || !decided_by_gpu(rows, *axis))
        .collect()
}

/// Whether points with the same GPU have the same value of an axis.
fn decided_by_gpu(rows: &[&Row], axis: Axis) -> bool {
    let mut seen: BTreeMap<Option<&str>, Option<&str>> = BTreeMap::new();
    rows.iter().all(|row| {
        let value = row.input(axis);
        *seen.entry(row.input(Axis::Gpu)).or_insert(value) == value
    }) && seen.len() > 1
}

impl Row {
    fn input(&self, axis: Axis) -> Option<&str> {
        self.inputs
            .iter()
            .find(|(of, _)| *of == axis)
            .map(|(_, value)| value.as_str())
    }
}

pub(super) fn label(row: &Row, varied: &[Axis]) -> String {
    let words: Vec<String> = row
        .inputs
        .iter()
        .filter(|(axis, _)| varied.contains(axis))
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    if words.is_empty() {
        "the only point".to_owned()
    } else {
        words.join(" ")
    }
}
