//! Checks that the axes of a spec fit together.

use std::collections::BTreeMap;

use itertools::Itertools as _;

use crate::hardware::{Cluster, Gpu, Precision};
use crate::simulation::Infeasible;
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::axis_values::AxisValues;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::mixed_gpus::{MixedGpus, check_types, type_names};
use crate::spec::names::Names;
use crate::spec::read::{Given, Parts, Table, grids_or_zips};
use crate::spec::source::Place;
use crate::spec::value::AxisValue;

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
    let by_default = parts.defaults.iter();
    let stated = by_default
        .filter(|given| states_size(given.axis, &given.values))
        .map(|_| Axis::Gpus);
    let elsewhere = elsewhere.chain(parts.unread.iter().copied());
    let elsewhere: Vec<Axis> = elsewhere.chain(stated).collect();
    for grid in grids_or_zips(parts) {
        let zipped = parts.zips.iter().flat_map(|zip| &zip.axes);
        let axes: Vec<&Given<AxisValues>> = grid.axes.iter().chain(zipped).collect();
        check_pairs(axes.iter().copied(), faults);
        let stated = axes.iter().filter(|given| {
            let mut values = given.values.iter();
            given.values.len() > 0 && values.all(|value| states_size(given.axis, &value))
        });
        let names = axes.iter().map(|given| given.axis);
        let names: Vec<Axis> = names.chain(stated.map(|_| Axis::Gpus)).collect();
        check_complete(&[&names, &elsewhere], kind, &grid.place, "the grid", faults);
    }
    for point in &parts.points {
        check_pairs(&point.axes, faults);
        let each = point.axes.iter();
        let stated = each.filter(|given| states_size(given.axis, &given.values));
        let names = point.axes.iter().map(|given| given.axis);
        let names: Vec<Axis> = names.chain(stated.map(|_| Axis::Gpus)).collect();
        check_complete(
            &[&names, &elsewhere],
            kind,
            &point.place,
            "the point",
            faults,
        );
    }
}

/// Refuses a measured run that gives both axes of an exclusive pair, or lacks one.
pub(super) fn check_run(run: &Table<AxisValue>, faults: &mut Faults) {
    check_pairs(&run.axes, faults);
    let names: Vec<Axis> = run.axes.iter().map(|given| given.axis).collect();
    let given = [names.as_slice()];
    let missing = missing_axes(&given, StudyKind::Training);
    faults.extend_from_list(
        missing
            .map(|axis| {
                let message = format!("the measured run has no {}", axis_or_alternative(axis));
                Diagnostic::error(&run.place, message).hint(format!("add it: {}", axis.info().doc))
            })
            .collect(),
    );
}

/// Refuses a number format that no GPU of the spec has; where some have it, points with the others are rows without it.
pub(super) fn check_precision(parts: &Parts, names: &Names, faults: &mut Faults) {
    let gpus = parts.values_of(Axis::Gpu);
    let gpus: Vec<&Gpu> = gpus
        .filter_map(|(_, gpu)| gpu.as_text().map(type_names))
        .flatten()
        .filter_map(|gpu| names.catalog.gpus.get(&gpu))
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

/// Refuses types of GPU in one job that cannot form one in their usual nodes; where the spec gives nodes, points say so.
pub(super) fn check_mixed_gpus(parts: &Parts, names: &Names, faults: &mut Faults) {
    let gives = |axis| parts.values_of(axis).next().is_some();
    if gives(Axis::GpusPerNode) || gives(Axis::Cluster) {
        return;
    }
    for (place, gpu) in parts.values_of(Axis::Gpu) {
        let text = gpu.as_text().unwrap_or_default();
        let Some(mixed) = MixedGpus::parse(text)
            .ok()
            .filter(|_| MixedGpus::is_in(text))
        else {
            continue;
        };
        let catalog = &names.catalog;
        let types = mixed.types().filter_map(|(count, name)| {
            let cluster = &catalog.gpus.get(name)?.cluster;
            Some((count, name, &**catalog.clusters.get(cluster)?))
        });
        let types: Vec<(u64, &str, &Cluster)> = types.collect();
        let Err(why) = check_types(&types) else {
            continue;
        };
        let nodes = types
            .iter()
            .map(|(_, name, cluster)| format!("{} GPUs of {name}", cluster.gpus_per_node));
        let hint = match why {
            Infeasible::Indivisible { .. } => format!(
                "nodes have {}; `gpus_per_node` gives them others",
                nodes.format(", ")
            ),
            Infeasible::OutOfMemory { .. } | Infeasible::Limit(_) | Infeasible::Unsupported(_) => {
                "take types of one maker, or a job for each".to_owned()
            }
        };
        faults.push(Diagnostic::error(place, format!("gpu `{text}`: {why}")).hint(hint));
    }
}

/// Whether a value says how many GPUs the job has: several types do.
fn states_size(axis: Axis, value: &AxisValue) -> bool {
    axis == Axis::Gpu && value.as_text().is_some_and(MixedGpus::is_in)
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
    for axis in missing_axes(given, kind) {
        let message = format!("{what} has no {}", axis_or_alternative(axis));
        faults.push(Diagnostic::error(place, message).hint(format!(
            "add it there or to [defaults]: {}",
            axis.info().doc
        )));
    }
}

/// Axes that a point needs and none of some lists has.
fn missing_axes(given: &[&[Axis]], kind: StudyKind) -> impl Iterator<Item = Axis> {
    let lacks = move |axis| !given.iter().any(|axes| axes.contains(&axis));
    Axis::ALL
        .iter()
        .copied()
        .filter(move |axis| axis.belongs_to(kind) && axis.info().default.words().is_empty())
        .filter(move |axis| lacks(*axis) && axis.alternative().is_none_or(lacks))
        // The first axis of an exclusive pair stands for both.
        .filter(|axis| axis.alternative().is_none_or(|other| *axis < other))
}

/// An axis with the one that may stand in its place: `nodes` (or `gpus`).
fn axis_or_alternative(axis: Axis) -> String {
    let or_other = axis.alternative();
    let or_other = or_other.map_or_else(String::new, |other| format!(" (or `{other}`)"));
    format!("`{axis}`{or_other}")
}
