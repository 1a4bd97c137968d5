//! Checks that the axes of a spec fit together.

use std::collections::BTreeMap;

use itertools::Itertools as _;

use crate::hardware::{Gpu, Precision};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::axis_values::AxisValues;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::names::Names;
use crate::spec::read::{Given, Parts, grids_or_zips};
use crate::spec::source::Place;

/// Refuses axes that are in two places, both of an exclusive pair, and axes that are missing.
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
    check_pairs(&parts.defaults, faults);
    let elsewhere = parts.defaults.iter().map(|given| given.axis);
    let elsewhere: Vec<Axis> = elsewhere.chain(parts.unread.iter().copied()).collect();
    for grid in grids_or_zips(parts) {
        let zipped = parts.zips.iter().flat_map(|zip| &zip.axes);
        let axes: Vec<&Given<AxisValues>> = grid.axes.iter().chain(zipped).collect();
        check_pairs(axes.iter().copied(), faults);
        let names: Vec<Axis> = axes.iter().map(|given| given.axis).collect();
        check_complete(&[&names, &elsewhere], kind, &grid.place, "the grid", faults);
    }
    for point in &parts.points {
        check_pairs(&point.axes, faults);
        let names: Vec<Axis> = point.axes.iter().map(|given| given.axis).collect();
        check_complete(
            &[&names, &elsewhere],
            kind,
            &point.place,
            "the point",
            faults,
        );
    }
}

/// Refuses a number format that no GPU of the spec has; where some have it, points with the others are rows without it.
pub(super) fn check_precision(parts: &Parts, names: &Names, faults: &mut Faults) {
    let gpus = parts.values_of(Axis::Gpu);
    let gpus: Vec<&Gpu> = gpus
        .filter_map(|(_, gpu)| names.catalog.gpus.get(gpu.as_text()?))
        .map(AsRef::as_ref)
        .collect();
    let asked: Vec<(&Place, Precision)> = parts
        .values_of(Axis::Precision)
        .filter_map(|(place, format)| Some((place, format.as_text()?.parse().ok()?)))
        .collect();
    let has = |gpu: &&Gpu, format| gpu.peaks.get(format).is_some();
    let everywhere = parts.gives_everywhere(Axis::Precision);
    let [(place, format), ..] = asked[..] else {
        return;
    };
    if gpus.is_empty()
        || !everywhere
        || asked
            .iter()
            .any(|(_, format)| gpus.iter().any(|gpu| has(gpu, *format)))
    {
        return;
    }
    let each = gpus.iter().unique_by(|gpu| &gpu.name).map(|gpu| {
        let formats = gpu.peaks.0.keys().join(", ");
        format!("`{}` has {formats}", gpu.name)
    });
    let message = format!("no GPU of the spec has {format}");
    faults.push(Diagnostic::error(place, message).hint(each.take(5).join("; ")));
}

fn check_pairs<'a, T: 'a>(axes: impl IntoIterator<Item = &'a Given<T>>, faults: &mut Faults) {
    let axes: Vec<&Given<T>> = axes.into_iter().collect();
    for first in &axes {
        let (one, Some(other)) = (first.axis, first.axis.alternative()) else {
            continue;
        };
        let second = axes.iter().find(|given| given.axis == other);
        if let Some(second) = second.filter(|_| one < other) {
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

fn check_complete(
    given: &[&[Axis]],
    kind: StudyKind,
    place: &Place,
    what: &str,
    faults: &mut Faults,
) {
    let lacks = |axis| !given.iter().any(|axes| axes.contains(&axis));
    let missing = Axis::ALL
        .iter()
        .copied()
        .filter(|axis| axis.belongs_to(kind) && axis.info().default.words().is_empty())
        .filter(|axis| lacks(*axis) && axis.alternative().is_none_or(lacks))
        // The first axis of an exclusive pair stands for both.
        .filter(|axis| axis.alternative().is_none_or(|other| *axis < other));
    for axis in missing {
        let or_other = axis
            .alternative()
            .map_or_else(String::new, |other| format!(" (or `{other}`)"));
        faults.push(
            Diagnostic::error(place, format!("{what} has no `{axis}`{or_other}")).hint(format!(
                "add it there or to [defaults]: {}",
                axis.info().doc
            )),
        );
    }
}
