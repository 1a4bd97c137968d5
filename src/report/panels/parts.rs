//! Exclusive parts of a step over size.

use super::curves::{size_axis, titled_of_all};
use super::panel::Panel;
use super::tips::gap;
use crate::analysis::{BreakdownStatus, Findings, SizeFinding};
use crate::report::chart::{Bar, BarChart};
use crate::report::quantity::{percent, seconds, short_number};
use crate::report::series_row::SeriesRow;
use crate::report::summary::short_label;
use crate::report::words::{size_number, size_words};
use crate::simulation::StepPart;

/// GPU-seconds per sample by part over size: of the fastest variant that breaks down, else of the
/// panel's fastest series.
pub(crate) fn parts_chart(findings: &Findings, panel: &Panel<'_>) -> Option<BarChart> {
    let (variants, _) = panel.variants();
    let broken = variants
        .iter()
        .find(|(_, series)| series.breakdown.status == BreakdownStatus::Confirmed);
    let (_, series) = broken.or(panel.lines.first())?;
    let row = SeriesRow::new(findings, series);
    let label = short_label(&row, findings.answered_by());
    Some(BarChart {
        title: format!("{} {label}", titled_of_all("Time", panel)),
        x: size_axis(findings, std::iter::empty()).name,
        y: "GPU-seconds per sample".to_owned(),
        format: short_number,
        parts: StepPart::ALL
            .iter()
            .map(|part| (part.title(), part.index()))
            .collect(),
        bars: series
            .sizes
            .iter()
            .map(|size| bar(findings, size))
            .collect(),
    })
}

fn bar(findings: &Findings, size: &SizeFinding) -> Bar {
    let words = size_words(findings.size_axis, size);
    let parts = size.point.measured.map_or_else(Vec::new, |measured| {
        let scale = f64::from(size.point.gpus) / measured.samples_per_step();
        measured
            .parts
            .iter()
            .map(|(part, time)| {
                let tip = format!(
                    "{words}\n{}: {} per step, {} of it",
                    part.title(),
                    seconds(time),
                    percent(time / measured.parts.total())
                );
                (time * scale, tip)
            })
            .collect()
    });
    Bar {
        name: size_number(findings.size_axis, size.point.size),
        parts,
        gap: gap(findings, size),
    }
}
