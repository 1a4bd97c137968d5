//! Whether the axes of a spec fit together.

use std::collections::BTreeMap;

use crate::spec::axis::{Axis, StudyKind};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::product::AxisValues;
use crate::spec::read::{Given, Parts, grids_or_zips};
use crate::spec::source::Place;

/// Axes of which a point has one or the other.
pub(super) const TWINS: [(Axis, Axis); 2] = [
    (Axis::Nodes, Axis::Gpus),
    (Axis::GlobalBatch, Axis::BatchPerGpu),
];

/// The axis that stands in the place of another one.
pub(super) fn twin(axis: Axis) -> Option<Axis> {
    TWINS
        .iter()
        .flat_map(|(one, other)| [(one, other), (other, one)])
        .find_map(|(one, other)| (*one == axis).then_some(*other))
}

/// Says which axes are in two places, lack their twin, or are missing.
pub(super) fn check_axes(parts: &Parts, kind: StudyKind, faults: &mut Faults) {
    let mut zipped: BTreeMap<Axis, &Place> = BTreeMap::new();
    for given in parts.zips.iter().flat_map(|zip| &zip.axes) {
        if zipped.insert(given.axis, &given.place).is_some() {
            let message = format!("axis `{}` is in two zips", given.axis);
            faults.push(Diagnostic::error(&given.place, message));
        }
    }
    for given in parts.grids.iter().flat_map(|grid| &grid.axes) {
        if let Some(place) = zipped.get(&given.axis) {
            let (line, _) = place.line_column();
            let message = format!(
                "axis `{}` is in the grid and in a zip (line {line})",
                given.axis
            );
            faults.push(Diagnostic::error(&given.place, message).hint("an axis is in one of them"));
        }
    }
    check_twins(&parts.defaults, faults);
    let besides: Vec<Axis> = parts
        .defaults
        .iter()
        .map(|given| given.axis)
        .chain(parts.unread.iter().copied())
        .collect();
    for grid in grids_or_zips(parts) {
        let axes: Vec<&Given<AxisValues>> = grid
            .axes
            .iter()
            .chain(parts.zips.iter().flat_map(|zip| &zip.axes))
            .collect();
        check_twins(axes.iter().copied(), faults);
        let names: Vec<Axis> = axes
            .iter()
            .map(|given| given.axis)
            .chain(besides.iter().copied())
            .collect();
        check_complete(&names, kind, &grid.place, "the grid", faults);
    }
    for point in &parts.points {
        check_twins(&point.axes, faults);
        let names: Vec<Axis> = point
            .axes
            .iter()
            .map(|given| given.axis)
            .chain(besides.iter().copied())
            .collect();
        check_complete(&names, kind, &point.place, "the point", faults);
    }
}

fn check_twins<'a, T: 'a>(axes: impl IntoIterator<Item = &'a Given<T>>, faults: &mut Faults) {
    let axes: Vec<&Given<T>> = axes.into_iter().collect();
    for (one, other) in TWINS {
        let find = |wanted| axes.iter().find(|given| given.axis == wanted);
        if let (Some(first), Some(second)) = (find(one), find(other)) {
            let later = if first.place.span.start > second.place.span.start {
                first
            } else {
                second
            };
            faults.push(
                Diagnostic::error(
                    &later.place,
                    format!("`{one}` and `{other}` are both given"),
                )
                .hint("one follows from the other: keep one of them"),
            );
        }
    }
}

fn check_complete(axes: &[Axis], kind: StudyKind, place: &Place, what: &str, faults: &mut Faults) {
    let missing = Axis::ALL
        .iter()
        .copied()
        .filter(|axis| axis.belongs_to(kind) && axis.info().default.is_empty())
        .filter(|axis| !axes.contains(axis))
        .filter(|axis| twin(*axis).is_none_or(|twin| !axes.contains(&twin)));
    // Of two twins the first stands for both.
    for axis in missing.filter(|axis| !TWINS.iter().any(|(_, other)| other == axis)) {
        let or_twin = twin(axis).map_or_else(String::new, |twin| format!(" (or `{twin}`)"));
        faults.push(
            Diagnostic::error(place, format!("{what} has no `{axis}`{or_twin}")).hint(format!(
                "add it there or to [defaults]: {}",
                axis.info().doc
            )),
        );
    }
}
