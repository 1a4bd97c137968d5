//! Columns that a spec adds to the results: its metrics.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::record::column::{Column, ColumnGroup, Read};
use crate::record::columns;
use crate::spec::{Metric, ResultColumn, StudyKind};

/// Every column of a run's `points.parquet`, in the order of the file: those of its study, then its metrics.
pub(crate) fn point_table(study: StudyKind, metrics: &[Metric]) -> Vec<Column> {
    let custom = metric_columns(metrics);
    columns::table(study)
        .iter()
        .copied()
        .chain(custom)
        .collect()
}

/// The columns of some metrics.
pub(crate) fn metric_columns<R>(metrics: &[Metric]) -> Vec<Column<R>> {
    let column = |(place, metric): (usize, &Metric)| Column {
        name: lasting(&metric.name),
        group: ColumnGroup::Metrics,
        unit: lasting(&metric.unit),
        doc: lasting(&format!("Metric of the spec: {}.", metric.value)),
        read: Read::Metric(place),
    };
    metrics.iter().enumerate().map(column).collect()
}

/// Names and types of the columns of a study's points, for specs that name them.
pub(crate) fn result_columns(study: StudyKind) -> Vec<ResultColumn> {
    let column = |column: &Column| ResultColumn {
        name: column.name,
        column_type: column.column_type(),
    };
    columns::table(study).iter().map(column).collect()
}

/// The text for as long as the program runs, as columns are named; each distinct one is kept once.
fn lasting(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into());
    texts.insert(kept);
    kept
}
