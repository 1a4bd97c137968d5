//! Scaling efficiency over size.

use itertools::Itertools;

use super::curves::{lines, rings, size_axis, sizes_of, titled};
use super::panel::{Named, Panel};
use super::tips::tip;
use crate::analysis::{Findings, SeriesFinding};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Rule, Scale, Stroke, ValueAxis};
use crate::report::quantity::percent;
use crate::report::series_row::SeriesRow;
use crate::report::summary::short_label;

/// Efficiency over size with the threshold: the variants of the fastest series along one more axis where
/// there are some, else the lines of the other charts. `None` where no series ran at more than one size.
pub(crate) fn efficiency_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let (variants, styles) = panel.variants();
    let with_broken = panel.with_broken(findings, variants);
    let shown = with_broken.as_slice();
    if shown
        .iter()
        .all(|(_, series)| series.ran().nth(1).is_none())
    {
        return None;
    }
    let x = size_axis(findings, sizes_of(shown));
    let frozen = frozen_lines(findings, shown, styles);
    let frozen_values = frozen
        .iter()
        .flat_map(|line| &line.marks)
        .map(|mark| mark.y);
    let values = shown
        .iter()
        .flat_map(|(_, series)| &series.sizes)
        .filter_map(|size| size.efficiency.map(|e| e.of_baseline));
    let scale = scale(values.chain(frozen_values).chain([1.0, findings.threshold]));
    let threshold = Rule {
        name: format!("threshold {}", percent(findings.threshold)),
        label: String::new(),
        from: (x.scale.low(), findings.threshold),
        to: (x.scale.high(), findings.threshold),
    };
    let mut lines = lines(shown, styles, |series| {
        marks(findings, series, MarkKind::Value)
    });
    lines.extend(frozen);
    Some(LineChart {
        title: title(findings, panel),
        x,
        y: ValueAxis {
            name: match scale.low() {
                zero if zero <= 0.0 => "rate per GPU against the smallest size".to_owned(),
                low => format!(
                    "rate per GPU against the smallest size, from {}",
                    percent(low)
                ),
            },
            scale,
            format: percent,
        },
        lines,
        rules: vec![threshold],
        rings: (
            "breakdown",
            rings(findings, shown, |_, _| Some(findings.threshold)),
        ),
    })
}

fn marks(findings: &Findings, series: &SeriesFinding, kind: MarkKind) -> Vec<Mark> {
    series
        .sizes
        .iter()
        .filter_map(|size| {
            Some(Mark {
                x: size.point.size,
                y: size.efficiency?.of_baseline,
                tip: tip(findings, series, size),
                kind,
            })
        })
        .collect()
}

/// Dashed curves with the layout of the smallest size, in the colours of their series; only those that differ.
fn frozen_lines(findings: &Findings, shown: &[Named<'_>], styles: &[usize]) -> Vec<Line> {
    const APART: f64 = 0.01;
    let mut found: Vec<Line> = Vec::new();
    for (place, (_, series)) in shown.iter().enumerate() {
        let Some(frozen) = findings.frozen_of(series) else {
            continue;
        };
        let differs = series.sizes.iter().zip(&frozen.sizes).any(|(own, other)| {
            let both = own.efficiency.zip(other.efficiency);
            both.is_some_and(|(own, other)| (own.of_baseline - other.of_baseline).abs() > APART)
        });
        if differs {
            found.push(Line {
                // One name stands for all of them.
                name: if found.is_empty() {
                    "layout frozen".to_owned()
                } else {
                    String::new()
                },
                style: styles.get(place).copied().unwrap_or(place),
                stroke: Stroke::Dashed,
                marks: marks(findings, frozen, MarkKind::Dim),
            });
        }
    }
    found
}

/// `Efficiency: llama2-7b b200 nic400 by global_batch`.
fn title(findings: &Findings, panel: &Panel<'_>) -> String {
    match (&panel.spread, panel.lines.first()) {
        (Some((axis, _)), Some((_, fastest))) => {
            let row = SeriesRow::new(findings, fastest);
            let but = [findings.answered_by(), &[*axis]].concat();
            let words = ["Efficiency:", &panel.name, &short_label(&row, &but)];
            let words = words.into_iter().filter(|it| !it.is_empty()).join(" ");
            format!("{words} by {axis}")
        }
        _ => titled("Efficiency", panel),
    }
}

/// y axis around the values in steps of 10%, from zero where the lowest value is small.
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
