//! What takes the time: the exclusive parts of a step over size.

use super::{Panel, size_axis, titled};
use crate::analysis::{BreakdownStatus, Findings, SizeFinding};
use crate::report::answer::size_words;
use crate::report::chart::{Bar, BarChart};
use crate::report::quantity::{count, percent, seconds, short_number};
use crate::simulation::StepPart;
use crate::spec::Axis;

/// GPU-seconds per sample by part over size: of the fastest variant that breaks down, else of the
/// panel's fastest series.
pub fn parts_chart(findings: &Findings, panel: &Panel<'_>) -> Option<BarChart> {
    let (variants, _) = panel.variants();
    let broken = variants
        .iter()
        .find(|(_, series)| series.breakdown.status == BreakdownStatus::Confirmed);
    let (name, series) = broken.or(panel.lines.first())?;
    let fastest = match (broken, &panel.spread, panel.lines.first()) {
        (Some(_), Some(_), Some((fastest, _))) => format!("{fastest} "),
        _ => String::new(),
    };
    Some(BarChart {
        title: format!("{} {fastest}{name}", titled("Time", panel)),
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
        name: match findings.size_axis {
            Axis::Gpus | Axis::Nodes => count(size.point.size),
            _ => size.point.size.to_string(),
        },
        parts,
        gap: format!(
            "{words}: {}",
            size.point
                .reason
                .as_ref()
                .map_or("did not run", |reason| reason.as_str())
        ),
    }
}
