//! The charts of a study: a few panels, each with the series worth showing.

mod busbw;
mod cost;
mod efficiency;
mod memory;
mod panel;
mod parts;
mod plots;
mod rate;
mod reach;

pub use busbw::{BusbwLine, BusbwPanel, busbw_chart, busbw_panels, transfer_time_chart};
pub use cost::cost_chart;
pub use efficiency::efficiency_chart;
pub use memory::memory_chart;
pub use panel::{Named, Panel, panels};
pub use parts::parts_chart;
pub use plots::{collective_plots, plots};
pub use rate::rate_chart;
pub use reach::reach_chart;

use crate::analysis::{BreakdownStatus, Findings, Measured, SeriesFinding, SizeFinding};
use crate::report::answer::size_words;
use crate::report::chart::{Line, Mark, Ring, Scale, Stroke, ValueAxis};
use crate::report::markup::push;
use crate::report::quantity::{count, decimal, percent, seconds, short_decimal};
use crate::spec::Axis;

/// Sizes that ran, with what was measured.
fn ran(series: &SeriesFinding) -> impl Iterator<Item = (&SizeFinding, Measured)> {
    series
        .sizes
        .iter()
        .filter_map(|size| size.point.measured.map(|measured| (size, measured)))
}

fn titled(what: &str, panel: &Panel<'_>) -> String {
    if panel.name.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", panel.name)
    }
}

/// The axis of sizes.
fn size_axis(findings: &Findings, sizes: impl Iterator<Item = f64>) -> ValueAxis {
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
fn sizes_of<'a>(series: &'a [Named<'a>]) -> impl Iterator<Item = f64> + 'a {
    series
        .iter()
        .flat_map(|(_, series)| ran(series).map(|(size, _)| size.point.size))
}

/// Rate in tokens where the workload has them, else in samples.
fn rate(measured: &Measured) -> f64 {
    measured.tokens_per_s.unwrap_or(measured.samples_per_s)
}

fn rate_unit(measured: &Measured) -> &'static str {
    if measured.tokens_per_s.is_some() {
        "tokens/s"
    } else {
        "samples/s"
    }
}

fn tip(findings: &Findings, series: &SeriesFinding, size: &SizeFinding) -> String {
    let Some(measured) = size.point.measured else {
        return String::new();
    };
    let mut tip = format!(
        "{}\n{}: {} per step, {} {}",
        series.label(&findings.varied),
        size_words(findings.size_axis, size),
        seconds(measured.step_time_s),
        decimal(rate(&measured)),
        rate_unit(&measured)
    );
    if let Some(efficiency) = size.efficiency {
        push(
            &mut tip,
            format_args!(
                "\nefficiency {}, of best {}",
                percent(efficiency.of_baseline),
                percent(efficiency.of_best)
            ),
        );
    }
    if size.sawtooth {
        tip.push_str("\nslower per GPU than both neighbours: a tooth of divisibility");
    }
    tip.push('\n');
    tip.push_str(&measured.layout.words());
    tip
}

fn lines(
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
fn rings(
    findings: &Findings,
    series: &[Named<'_>],
    height: impl Fn(&SeriesFinding, f64) -> Option<f64>,
) -> Vec<Ring> {
    series
        .iter()
        .filter(|(_, series)| series.breakdown.status == BreakdownStatus::Confirmed)
        .filter_map(|(_, series)| {
            let x = series.breakdown.size?;
            Some(Ring {
                x,
                y: height(series, x)?,
                tip: breakdown_words(findings, series)?,
            })
        })
        .collect()
}

/// `falls under 80% efficiency at about 286 GPUs: batch exhausted`.
fn breakdown_words(findings: &Findings, series: &SeriesFinding) -> Option<String> {
    let size = series.breakdown.size?;
    let at = match findings.size_axis {
        Axis::Gpus | Axis::Nodes => format!("{} GPUs", count(size)),
        other => format!("{other} {}", short_decimal(size)),
    };
    let why = series
        .breakdown
        .cause
        .map(|cause| format!(": {}", cause.title()))
        .unwrap_or_default();
    Some(format!(
        "{}\nfalls under {} efficiency at about {at}{why}",
        series.label(&findings.varied),
        percent(findings.threshold)
    ))
}

fn low_end(scale: Scale) -> f64 {
    match scale {
        Scale::Linear { low, .. } | Scale::Log { low, .. } => low,
    }
}

fn high_end(scale: Scale) -> f64 {
    match scale {
        Scale::Linear { high, .. } | Scale::Log { high, .. } => high,
    }
}
