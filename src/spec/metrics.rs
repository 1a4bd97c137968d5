//! Metrics that a spec adds to the columns of its results: `[metrics.NAME]`.
//!
//! ```
//! use clustersweep::spec::{Overrides, Spec, Syntax};
//!
//! let grid = "grid = { gpu = 'h100-sxm', nodes = 1, model = 'llama3-8b', global_batch = 64 }";
//! let metric = "[metrics.usd_per_day]\nvalue = 'cost_per_step_usd / step_time_s * 86_400'\nunit = 'USD'";
//! Spec::parse("mine", &format!("{grid}\n{metric}"), Syntax::Toml, &Overrides::default())?;
//! # Ok::<(), clustersweep::spec::SpecError>(())
//! ```

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::spec::axis::StudyKind;
use crate::spec::condition::{Expression, Field, Operand, parse_number};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{METRIC, check_keys};
use crate::spec::names::Names;
use crate::spec::plan::operand;
use crate::spec::point::GridPoint;
use crate::spec::read::malformed;
use crate::spec::result_columns::{ResultColumn, ResultColumns};
use crate::spec::syntax::{Entry, find};
use crate::visible::is_obeyed;

/// Whether a letter cannot be part of a unit, which stands beside numbers in one line.
fn is_hidden(letter: char) -> bool {
    is_obeyed(letter) || matches!(letter, '\n' | '\t')
}

/// Unit of a metric that states none: a plain number.
const PLAIN: &str = "1";

/// Column that a spec adds to its results.
#[derive(Clone, Debug)]
pub struct Metric {
    pub(crate) name: Arc<str>,
    pub(crate) unit: Arc<str>,
    /// Expression as written.
    pub(crate) value: Arc<str>,
    /// Kind of study whose columns it can name.
    pub(crate) study: StudyKind,
    expression: Expression,
    catalog: Arc<Catalog>,
}

impl Metric {
    /// Value at a point; `column` gives what the point's results hold, by the place of the column in the study's
    /// table. `None` where a value that it needs is null, and where it divides by zero.
    pub(crate) fn at(&self, point: &GridPoint, column: &dyn Fn(usize) -> Operand) -> Option<f64> {
        self.expression.number(&|field| match field {
            Field::Column(place) => column(*place),
            Field::Axis(_) | Field::Fact(_) => operand(field, point, &self.catalog),
        })
    }
}

/// Reads `[metrics]`; what is wrong is noted and left out.
pub(super) fn read(
    top: &[Entry],
    names: &Names,
    known: &ResultColumns,
    faults: &mut Faults,
) -> Vec<Metric> {
    let Some(entry) = find(top, "metrics") else {
        return Vec::new();
    };
    let columns = (known.points)(names.kind);
    let scaling = (known.scaling)();
    let entries = entry.node.entries("`metrics`", faults).unwrap_or_default();
    let mut metrics: Vec<Metric> = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = checked_name(entry, &columns, &scaling);
        let name = faults.ok(name.and_then(|()| unlike_others(entry, &metrics)));
        let metric = metric(entry, names, &columns, faults);
        metrics.extend(name.and(metric));
    }
    metrics
}

/// Refuses a name that is none, or that another column has.
fn checked_name(
    entry: &Entry,
    columns: &[ResultColumn],
    scaling: &[&str],
) -> Result<(), Diagnostic> {
    let name = entry.key.as_str();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || name.len() > 100 || !name.chars().all(is_word) {
        let fault = Diagnostic::error(
            &entry.key_place,
            format!("`{name}` is no name for a column"),
        );
        return Err(fault.hint("a metric has 1 to 100 letters, digits and _, a letter first"));
    }
    // Databases tell names apart by their letters, not by case.
    let is_taken = |column: &str| column.eq_ignore_ascii_case(name);
    let in_points = columns.iter().any(|column| is_taken(column.name));
    if in_points || scaling.iter().any(|column| is_taken(column)) {
        let file = if in_points {
            "points.parquet"
        } else {
            "scaling.parquet"
        };
        let message = format!("`{name}` is a column of {file} already");
        return Err(
            Diagnostic::error(&entry.key_place, message).hint("give the metric another name")
        );
    }
    Ok(())
}

/// Refuses a name that differs from an earlier one in case alone.
fn unlike_others(entry: &Entry, metrics: &[Metric]) -> Result<(), Diagnostic> {
    let name = entry.key.as_str();
    let mut others = metrics.iter().map(|metric| &*metric.name);
    let Some(other) = others.find(|other| other.eq_ignore_ascii_case(name)) else {
        return Ok(());
    };
    let message = format!("`{name}` and `{other}` differ in case alone");
    Err(Diagnostic::error(&entry.key_place, message).hint("give the metric another name"))
}

fn metric(
    entry: &Entry,
    names: &Names,
    columns: &[ResultColumn],
    faults: &mut Faults,
) -> Option<Metric> {
    let name = &entry.key;
    let entries = entry.node.entries(&format!("metric `{name}`"), faults)?;
    check_keys(entries, &[METRIC], faults);
    let unit = match find(entries, "unit") {
        Some(entry) => {
            let is_shown = |unit: &&str| !unit.is_empty() && !unit.contains(is_hidden);
            let unit = entry.node.text().filter(is_shown);
            let expected = "text such as \"USD\", without control characters";
            faults.ok(unit.ok_or_else(|| entry.node.mismatch("unit", expected)))
        }
        None => Some(PLAIN),
    };
    let Some(value) = find(entries, "value") else {
        let fault = Diagnostic::error(&entry.key_place, format!("metric `{name}` has no value"));
        faults.push(
            fault.hint("write `value` with an expression over columns, such as \"mfu * 100\""),
        );
        return None;
    };
    let Some(text) = value.node.text() else {
        faults.push(value.node.mismatch("value", "an expression in quotes"));
        return None;
    };
    let parsed = parse_number(text, names, columns);
    let expression = faults.ok(parsed.map_err(|fault| malformed(&value.node.place, text, fault)))?;
    Some(Metric {
        name: name.as_str().into(),
        unit: unit?.into(),
        value: text.into(),
        study: names.kind,
        expression,
        catalog: Arc::clone(&names.catalog),
    })
}
