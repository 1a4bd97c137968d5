//! Charts that a spec adds to its report: `[charts.NAME]`.

use std::sync::Arc;

use crate::spec::axis::ColumnType;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{CHART, check_keys};
use crate::spec::metrics::Metric;
use crate::spec::result_columns::ResultColumn;
use crate::spec::syntax::{Entry, Node, Value, find};
use crate::spelling::did_you_mean;

/// Chart of two columns of the results, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chart {
    pub(crate) name: Arc<str>,
    /// Column of numbers along the horizontal axis.
    pub(crate) x: Arc<str>,
    /// Column of numbers along the vertical axis.
    pub(crate) y: Arc<str>,
    /// Columns whose values tell the lines apart.
    pub(crate) series: Vec<Arc<str>>,
    /// Whether the horizontal axis is logarithmic.
    pub(crate) log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub(crate) log_y: bool,
}

/// Reads `[charts]`; what is wrong is noted and left out.
pub(super) fn read(
    top: &[Entry],
    columns: &[ResultColumn],
    metrics: &[Metric],
    faults: &mut Faults,
) -> Vec<Chart> {
    let Some(entry) = find(top, "charts") else {
        return Vec::new();
    };
    let entries = entry.node.entries("`charts`", faults).unwrap_or_default();
    let mut reader = Reader {
        columns,
        metrics,
        defined: find(top, "metrics"),
        faults,
    };
    entries
        .iter()
        .filter_map(|entry| reader.chart(entry))
        .collect()
}

struct Reader<'a> {
    columns: &'a [ResultColumn],
    metrics: &'a [Metric],
    /// Metrics as written: one with a fault is not missing besides.
    defined: Option<&'a Entry>,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn chart(&mut self, entry: &Entry) -> Option<Chart> {
        let name = &entry.key;
        let entries = (entry.node).entries(&format!("chart `{name}`"), self.faults)?;
        check_keys(entries, &[CHART], self.faults);
        let [x, y] = ["x", "y"].map(|key| self.number(entry, entries, key));
        let series = find(entries, "series").map_or(&[][..], |series| series.node.items());
        let series: Vec<Option<Arc<str>>> = (series.iter())
            .map(|item| Some(self.column("series", item)?.0))
            .collect();
        let log = find(entries, "log").map_or(Some((false, false)), |log| self.log(&log.node));
        let (log_x, log_y) = log?;
        Some(Chart {
            name: name.as_str().into(),
            x: x?,
            y: y?,
            series: series.into_iter().collect::<Option<_>>()?,
            log_x,
            log_y,
        })
    }

    /// Column of numbers that a key names.
    fn number(&mut self, chart: &Entry, entries: &[Entry], key: &str) -> Option<Arc<str>> {
        let Some(entry) = find(entries, key) else {
            let message = format!("chart `{}` has no `{key}`", chart.key);
            let fault = Diagnostic::error(&chart.key_place, message);
            self.faults
                .push(fault.hint(
                    "name a column of numbers, or a metric; `sweep list columns` shows them",
                ));
            return None;
        };
        let (name, column_type) = self.column(key, &entry.node)?;
        match column_type {
            ColumnType::Int | ColumnType::Real => Some(name),
            ColumnType::Text | ColumnType::Bool => {
                let message = format!("`{key}` is a column of numbers, and `{name}` holds none");
                let fault = Diagnostic::error(&entry.node.place, message);
                self.faults
                    .push(fault.hint("what tells the lines apart is `series`"));
                None
            }
        }
    }

    /// Name and type of the column or metric that a text names.
    fn column(&mut self, key: &str, node: &Node) -> Option<(Arc<str>, ColumnType)> {
        let Some(name) = node.text() else {
            self.faults.push(node.mismatch(key, "the name of a column"));
            return None;
        };
        if self.metrics.iter().any(|metric| &*metric.name == name) {
            return Some((name.into(), ColumnType::Real));
        }
        let mut columns = self.columns.iter();
        if let Some(column) = columns.find(|column| column.name == name) {
            return Some((name.into(), column.column_type));
        }
        let defined = self.defined.and_then(|metrics| metrics.node.table());
        if defined.is_some_and(|metrics| find(metrics, name).is_some()) {
            return None;
        }
        let metrics = self.metrics.iter().map(|metric| &*metric.name);
        let known = self.columns.iter().map(|column| column.name).chain(metrics);
        let hint = did_you_mean(name, known);
        let hint = hint.unwrap_or_else(|| {
            "`sweep list columns` shows them, and [metrics] adds some".to_owned()
        });
        let message = format!("unknown column `{name}`");
        self.faults
            .push(Diagnostic::error(&node.place, message).hint(hint));
        None
    }

    /// Whether each axis is logarithmic: `true` for both, or their names.
    fn log(&mut self, node: &Node) -> Option<(bool, bool)> {
        if let Value::Bool(both) = node.value {
            return Some((both, both));
        }
        let mut log = (false, false);
        for item in node.items() {
            match item.text() {
                Some("x") => log.0 = true,
                Some("y") => log.1 = true,
                Some(_) | None => {
                    let expected = "\"x\", \"y\", both in a list, or true";
                    self.faults.push(item.mismatch("log", expected));
                    return None;
                }
            }
        }
        Some(log)
    }
}
