//! Axes, lines and rings that the charts over the size of the job share.

use itertools::Itertools;

use super::panel::{Named, Panel};
use super::tips::breakdown_words;
use crate::analysis::{Findings, SeriesFinding};
use crate::report::chart::{Line, Mark, Ring, Scale, Stroke, ValueAxis};
use crate::report::quantity::{count, short_decimal};
use crate::spec::Axis;

/// The title of a chart of a panel, with what its lines share of what the study varies: `Rate: llama3-70b b2048 nic400`.
pub(super) fn titled(what: &str, panel: &Panel<'_>) -> String {
    let shared = [panel.name.as_str(), &panel.common];
    let shared = shared.into_iter().filter(|it| !it.is_empty()).join(" ");
    if shared.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {shared}")
    }
}

/// The title of a chart of all series of a panel: `Reach: llama3-70b`.
pub(super) fn titled_of_all(what: &str, panel: &Panel<'_>) -> String {
    if panel.name.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", panel.name)
    }
}

/// The axis of sizes.
pub(super) fn size_axis(findings: &Findings, sizes: impl Iterator<Item = f64>) -> ValueAxis {
    match findings.size_axis {
        Axis::Gpus | Axis::Nodes => ValueAxis {
            name: "GPUs".to_owned(),
            scale: Scale::log_around(sizes, 2.0),
            format: count,
        },
        other => {
            let unit = other.info().unit;
            let name = match unit {
                "" | "1" => other.to_string(),
                unit => format!("{other} [{unit}]"),
            };
            ValueAxis {
                name,
                scale: Scale::log_around(sizes, 10.0),
                format: short_decimal,
            }
        }
    }
}

/// Sizes at which some series ran.
pub(super) fn sizes_of<'a>(series: &'a [Named<'a>]) -> impl Iterator<Item = f64> + 'a {
    series
        .iter()
        .flat_map(|(_, series)| series.ran().map(|(size, _)| size.point.size))
}

/// The lines of a chart; `marks` gives those of a series.
pub(super) fn lines(
    series: &[Named<'_>],
    styles: &[usize],
    marks: impl Fn(&SeriesFinding) -> Vec<Mark>,
) -> Vec<Line> {
    series
        .iter()
        .enumerate()
        .map(|(place, (name, series))| Line {
            name: name.clone(),
            style: styles.get(place).copied().unwrap_or(place),
            stroke: Stroke::Solid,
            marks: marks(series),
        })
        .collect()
}

/// A ring at each confirmed breakdown point, at the height that a curve has there.
pub(super) fn rings(
    findings: &Findings,
    series: &[Named<'_>],
    height: impl Fn(&SeriesFinding, f64) -> Option<f64>,
) -> Vec<Ring> {
    series
        .iter()
        .filter_map(|(name, series)| {
            let x = series.breakdown.confirmed_size()?;
            Some(Ring {
                x,
                y: height(series, x)?,
                of: name.clone(),
                tip: breakdown_words(findings, series)?,
            })
        })
        .collect()
}
