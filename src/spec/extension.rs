//! A spec extended by further values of its axes, in such a way that the points that it has keep their numbers.

use std::collections::BTreeSet;

use itertools::Itertools;
use toml::{Table, Value};

use crate::spec::axis::Axis;
use crate::spec::value::AxisValue;
use crate::spec::{Spec, text};

/// Key of the grids in a resolved text.
const GRID: &str = "grid";

/// Keys that may differ: no point depends on them.
const FREE: [&str; 2] = ["name", "description"];

/// The values of every axis of a grid, in the order of the file.
type GridAxes = Vec<(Axis, Vec<AxisValue>)>;

impl Spec {
    /// The text of this spec with the values that the grid of another one has besides: its own grids, then one for every
    /// axis with further values, so that new points follow those that it has.
    ///
    /// # Errors
    /// In words, where the two differ in more than values of axes in `[grid]`.
    pub(crate) fn extended_by(&self, other: &Self) -> Result<String, String> {
        let (mut table, given) = (self.table(), other.table());
        for key in table.keys().chain(given.keys()).unique() {
            let is_free = FREE.contains(&key.as_str()) || key == GRID;
            if !is_free && table.get(key) != given.get(key) {
                return Err(format!(
                    "`{key}` is not that of the run; only axes in [grid] can get further values"
                ));
            }
        }
        if table.contains_key("point") {
            return Err("a run with [[point]] has them behind its grid, which therefore cannot grow; run the new points by themselves".to_owned());
        }
        let (own, given) = (self.grid_axes(&table)?, other.grid_axes(&given)?);
        for (one, other, whose) in [(&own, &given, "the spec"), (&given, &own, "the run")] {
            if let Some((axis, _)) = one
                .iter()
                .find(|(axis, _)| values_of(other, *axis).is_none())
            {
                return Err(format!("`{axis}` is not in the grid of {whose}"));
            }
        }
        let further: Vec<Vec<AxisValue>> = own
            .iter()
            .map(|(axis, known)| {
                let known = texts(known);
                let values = values_of(&given, *axis).unwrap_or_default().iter();
                let values = values.filter(|value| !known.contains(&value.to_toml()));
                values.cloned().unique_by(AxisValue::to_toml).collect()
            })
            .collect();
        let grids = table.get_mut(GRID).and_then(Value::as_array_mut);
        grids
            .ok_or_else(|| "the run has no grid".to_owned())?
            .extend(added(&own, &further));
        Ok(text::written(table))
    }

    fn table(&self) -> Table {
        let text = self.resolved_text();
        text.parse().expect("a resolved text is TOML")
    }

    /// The values of every axis over all grids of a resolved text.
    ///
    /// # Errors
    /// In words, if the grids are not all combinations of them, each once.
    fn grid_axes(&self, table: &Table) -> Result<GridAxes, String> {
        let grids = table.get(GRID).and_then(Value::as_array);
        let grids = grids.map_or(&[][..], Vec::as_slice);
        let mut axes = GridAxes::new();
        let mut points = 0_u128;
        for (place, grid) in grids.iter().enumerate() {
            let of_grid: GridAxes = self
                .plan()
                .grid_axes(place, grid.as_table().map_or(0, Table::len));
            points += count(&of_grid);
            if place > 0
                && (of_grid.len() != axes.len()
                    || of_grid
                        .iter()
                        .any(|(axis, _)| values_of(&axes, *axis).is_none()))
            {
                return Err("its grids have different axes".to_owned());
            }
            for (axis, values) in of_grid {
                match axes.iter_mut().find(|(known, _)| *known == axis) {
                    None => axes.push((axis, values)),
                    Some((_, known)) => {
                        let seen = texts(known);
                        known.extend(
                            values
                                .into_iter()
                                .filter(|value| !seen.contains(&value.to_toml())),
                        );
                    }
                }
            }
        }
        if points == count(&axes) {
            Ok(axes)
        } else {
            Err("its grids are not all combinations of the values of their axes".to_owned())
        }
    }
}

/// Grids of the combinations in which an axis has a further value: for each axis those in which it is the first such one.
fn added(own: &GridAxes, further: &[Vec<AxisValue>]) -> Vec<Value> {
    let places = (0..own.len()).filter(|place| !further[*place].is_empty());
    let grid = |first: usize| -> Table {
        let axes = own.iter().zip(further).enumerate();
        axes.map(|(place, ((axis, known), further))| {
            let values: Vec<&AxisValue> = match place.cmp(&first) {
                std::cmp::Ordering::Less => known.iter().collect(),
                std::cmp::Ordering::Equal => further.iter().collect(),
                std::cmp::Ordering::Greater => known.iter().chain(further).collect(),
            };
            (axis.to_string(), written(&values))
        })
        .collect()
    };
    places.map(|place| Value::Table(grid(place))).collect()
}

/// A list of values in TOML.
fn written(values: &[&AxisValue]) -> Value {
    let text = values.iter().map(|value| value.to_toml()).join(", ");
    let table: Table = format!("values = [{text}]")
        .parse()
        .expect("each value is TOML");
    table["values"].clone()
}

fn values_of(axes: &GridAxes, axis: Axis) -> Option<&[AxisValue]> {
    let (_, values) = axes.iter().find(|(known, _)| *known == axis)?;
    Some(values)
}

fn texts(values: &[AxisValue]) -> BTreeSet<String> {
    values.iter().map(AxisValue::to_toml).collect()
}

/// Combinations of the values of axes.
fn count(axes: &GridAxes) -> u128 {
    axes.iter()
        .map(|(_, values)| values.len() as u128)
        .product()
}
