//! Equal points: each is kept and simulated, and a warning names the first two.

use std::collections::BTreeMap;

use itertools::Itertools;

use crate::spec::axis_values::AxisValues;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::plan::Plan;
use crate::spec::read::{Parts, Table};
use crate::spec::source::Place;
use crate::spec::value::AxisValue;

/// Values of an axis that are compared with each other.
const VALUES_COMPARED: u64 = 1_000;

/// Points of several tables that are compared with each other.
const POINTS_COMPARED: u64 = 20_000;

/// The first two points that are found to be equal.
///
/// Within one product points are equal exactly when an axis (or a row of a zip) repeats. Between several
/// tables they are compared one by one, as long as there are not too many.
pub(super) fn points(parts: &Parts, plan: &Plan) -> Option<Diagnostic> {
    let mut axes = parts.grids.iter().flat_map(|grid| &grid.axes);
    let repeated_axis =
        axes.find_map(|given| Some((&given.place, first_repeat(&[&given.values])?)));
    let repeated_row = || {
        let mut rows = parts.zips.iter();
        rows.find_map(|zip| Some((&zip.place, first_repeat(&columns(zip))?)))
    };
    if let Some((place, values)) = repeated_axis.or_else(repeated_row) {
        return Some(warning(place, &format!("{values} is there twice")));
    }
    let tables: Vec<&Place> = parts
        .grids
        .iter()
        .map(|grid| &grid.place)
        .chain(parts.points.iter().map(|point| &point.place))
        .collect();
    if tables.len() < 2 || plan.len() > POINTS_COMPARED {
        return None;
    }
    let (first, second) = first_equal(plan)?;
    let last = tables.last().copied()?;
    let place = tables.get(plan.table_of(second)).copied().unwrap_or(last);
    Some(warning(
        place,
        &format!("number {second} is number {first} again"),
    ))
}

fn warning(place: &Place, which: &str) -> Diagnostic {
    let message = format!("some points are equal: {which}");
    Diagnostic::warning(place, message).hint("each of them is simulated and gets its row")
}

fn columns(zip: &Table<AxisValues>) -> Vec<&AxisValues> {
    zip.axes.iter().map(|given| &given.values).collect()
}

/// The first row that repeats an earlier one, as text.
fn first_repeat(columns: &[&AxisValues]) -> Option<String> {
    let rows = columns.iter().map(|values| values.len()).min()?;
    let mut seen: Vec<Vec<AxisValue>> = Vec::new();
    for at in 0..rows.min(VALUES_COMPARED) {
        // A range never repeats a value; a list is compared in full.
        let row: Vec<AxisValue> = columns.iter().map(|values| values.get(at)).collect();
        if seen.contains(&row) {
            return Some(row.iter().join(", "));
        }
        seen.push(row);
    }
    None
}

fn first_equal(plan: &Plan) -> Option<(u64, u64)> {
    let mut seen = BTreeMap::new();
    for index in 0..plan.len() {
        let point = plan.point(index);
        let values = point.iter().map(|(axis, value)| format!("{axis}={value}"));
        if let Some(first) = seen.insert(values.collect_vec(), index) {
            return Some((first, index));
        }
    }
    None
}
