//! Columns that a spec adds to the results: its metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Field, Schema};

use crate::record::column::{Column, ColumnGroup, DOC_KEY, Read, UNIT_KEY};
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

/// Beginning of what a metric's column means; the expression follows.
const MEANING: &str = "Metric of the spec: ";

/// The columns of some metrics.
pub(crate) fn metric_columns<R>(metrics: &[Metric]) -> Vec<Column<R>> {
    let column = |(place, metric): (usize, &Metric)| {
        let doc = format!("{MEANING}{}.", metric.value);
        metric_column(place, &metric.name, &metric.unit, &doc)
    };
    metrics.iter().enumerate().map(column).collect()
}

/// The columns of a file that are metrics of its spec.
pub(super) fn metric_columns_of(schema: &Schema) -> Vec<Column> {
    let text = |field: &Field, key: &str| field.metadata().get(key).cloned().unwrap_or_default();
    let fields = schema.fields().iter();
    let metrics = fields.filter(|field| text(field, DOC_KEY).starts_with(MEANING));
    let column = |(place, field): (usize, &Arc<Field>)| {
        let [unit, doc] = [UNIT_KEY, DOC_KEY].map(|key| text(field, key));
        metric_column(place, field.name(), &unit, &doc)
    };
    metrics.enumerate().map(column).collect()
}

fn metric_column<R>(place: usize, name: &str, unit: &str, doc: &str) -> Column<R> {
    Column {
        name: lasting(name),
        group: ColumnGroup::Metrics,
        unit: lasting(unit),
        doc: lasting(doc),
        read: Read::Metric(place),
    }
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
