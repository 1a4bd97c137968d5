//! How efficient: what is left of the rate per GPU.

use super::{
    Named, Panel, Scale, ValueAxis, high_end, lines, low_end, ran, rings, size_axis, sizes_of, tip,
    titled,
};
use crate::analysis::{Findings, SeriesFinding};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Rule, Stroke};
use crate::report::quantity::percent;

/// Colour and marker of the line of a frozen layout: the last one, which few lines come to.
const FROZEN_STYLE: usize = 7;

/// Efficiency over size with the threshold: the variants of the fastest series, where one more axis
/// is varied than tells the lines of the other charts apart, else the same lines. `None` where no
/// series ran at more than one size.
pub fn efficiency_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let (shown, styles) = panel.variants();
    if shown.iter().all(|(_, series)| ran(series).count() < 2) {
        return None;
    }
    let x = size_axis(findings, sizes_of(shown));
    let values = shown
        .iter()
        .flat_map(|(_, series)| &series.sizes)
        .filter_map(|size| size.efficiency.map(|e| e.of_baseline));
    let frozen = frozen(findings, shown);
    let beside = frozen
        .iter()
        .flat_map(|line| line.marks.iter().map(|m| m.y));
    let scale = scale(values.chain(beside).chain([1.0, findings.threshold]));
    let threshold = Rule {
        name: format!("threshold {}", percent(findings.threshold)),
        label: String::new(),
        from: (low_end(x.scale), findings.threshold),
        to: (high_end(x.scale), findings.threshold),
    };
    Some(LineChart {
        title: title(panel),
        x,
        y: ValueAxis {
            name: "rate per GPU against the smallest size".to_owned(),
            scale,
            format: percent,
        },
        lines: lines(shown, styles, |series| marks(findings, series))
            .into_iter()
            .chain(frozen)
            .collect(),
        rules: vec![threshold],
        rings: (
            "breakdown",
            rings(findings, shown, |_, _| Some(findings.threshold)),
        ),
    })
}

fn marks(findings: &Findings, series: &SeriesFinding) -> Vec<Mark> {
    series
        .sizes
        .iter()
        .filter_map(|size| {
            Some(Mark {
                x: size.point.size,
                y: size.efficiency?.of_baseline,
                tip: tip(findings, series, size),
                kind: MarkKind::Value,
            })
        })
        .collect()
}

/// The fastest series with the layout of its smallest size at every size, where that was simulated.
fn frozen(findings: &Findings, shown: &[Named<'_>]) -> Option<Line> {
    let (name, series) = shown.first()?;
    let marks = marks(findings, findings.frozen_of(series)?);
    (marks.len() > 1).then(|| Line {
        name: format!("{name}, layout frozen"),
        style: FROZEN_STYLE,
        stroke: Stroke::Dashed,
        marks,
    })
}

/// `Efficiency: llama2-7b b200 by global_batch`.
fn title(panel: &Panel<'_>) -> String {
    match (&panel.spread, panel.lines.first()) {
        (Some((axis, _)), Some((fastest, _))) => {
            format!("{} {fastest} by {axis}", titled("Efficiency", panel))
        }
        _ => titled("Efficiency", panel),
    }
}

/// Around the values in steps of ten percent; from zero where that is not far.
fn scale(values: impl Iterator<Item = f64>) -> Scale {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let low = libm::floor((low - 0.02) * 10.0) / 10.0;
    Scale::Linear {
        low: if low < 0.35 { 0.0 } else { low },
        high: high + 0.04,
    }
}
