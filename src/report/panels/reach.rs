//! Reach: the sizes at which each series runs, and where it breaks down.

use itertools::Itertools;

use super::curves::{size_axis, titled_of_all};
use super::panel::{Panel, best_rate};
use super::tips::{breakdown_words, gap, tip};
use crate::analysis::{
    BreakdownCause, BreakdownStatus, Dimension, Findings, KeyValue, SeriesFinding, SizeFinding,
};
use crate::report::chart::{Range, RangeChart, RangeMark};
use crate::report::quantity::percent;

/// Maximum number of rows of the chart.
const ROWS: usize = 24;

/// The reach of each series, or of the fastest of each group; `None` where no series ran at more
/// than one size.
pub(crate) fn reach_chart(findings: &Findings, panel: &Panel<'_>) -> Option<RangeChart> {
    let mut series = panel.groups(findings, ROWS);
    // The first and the last breakdown are among the rows, since the answer names them.
    let ends: Vec<&SeriesFinding> = panel.broken().collect();
    series.retain(|it| !ends.iter().any(|end| end.number == it.number));
    let room = ROWS - ends.len();
    if series.len() > room {
        series.sort_by(|a, b| best_rate(b).total_cmp(&best_rate(a)));
        series.truncate(room);
    }
    series.extend(ends);
    // Rows are named by the axes on which they differ.
    let mut axes = findings.other_dimensions();
    axes.retain(|axis| {
        series
            .iter()
            .any(|other| other.dimension(*axis) != series[0].dimension(*axis))
    });
    if series.iter().all(|series| series.ran().nth(1).is_none()) {
        return None;
    }
    // Rows of one colour together, in the order of the legend of the other charts.
    let place = |series: &SeriesFinding| {
        let style = panel.style_of(series);
        panel.styles.iter().position(|of_line| *of_line == style)
    };
    series.sort_by_key(|series| (place(series).unwrap_or(usize::MAX), series.number));
    let sizes = series
        .iter()
        .flat_map(|series| series.sizes.iter().map(|size| size.point.size));
    let threshold = percent(findings.threshold);
    Some(RangeChart {
        title: titled_of_all("Reach", panel),
        rows: axes.iter().join(" · "),
        x: size_axis(findings, sizes),
        ring: "breakdown",
        good: format!("within {threshold}"),
        bad: format!("under {threshold}"),
        ranges: series
            .iter()
            .map(|series| range(findings, panel, series, &axes))
            .collect(),
    })
}

fn range(
    findings: &Findings,
    panel: &Panel<'_>,
    series: &SeriesFinding,
    axes: &[Dimension],
) -> Range {
    let values = axes.iter().map(|axis| series.dimension(*axis));
    let name = values.map(|value| value.map_or_else(|| "auto".to_owned(), KeyValue::to_string));
    Range {
        name: match axes {
            [] => "all points".to_owned(),
            _ => name.into_iter().join(" · "),
        },
        marks: series
            .sizes
            .iter()
            .map(|size| mark(findings, series, size))
            .collect(),
        end: series
            .breakdown
            .confirmed_size()
            .zip(breakdown_words(findings, series)),
        note: note(series),
        style: panel.style_of(series),
    }
}

fn mark(
    findings: &Findings,
    series: &SeriesFinding,
    size: &SizeFinding,
) -> (f64, RangeMark, String) {
    let kind = match size.efficiency {
        None => RangeMark::Missing,
        Some(efficiency) if efficiency.of_baseline < findings.threshold => RangeMark::Bad,
        Some(_) => RangeMark::Good,
    };
    let tip = match kind {
        RangeMark::Missing => {
            format!(
                "{}\n{}",
                series.label(&findings.varied),
                gap(findings, size)
            )
        }
        RangeMark::Good | RangeMark::Bad => tip(findings, series, size),
    };
    (size.point.size, kind, tip)
}

/// The cause of a breakdown in a few letters, that it is unconfirmed, or that nothing ran.
fn note(series: &SeriesFinding) -> String {
    let cause = series.breakdown.cause.map_or("", BreakdownCause::short);
    match series.breakdown.status {
        BreakdownStatus::Confirmed => cause.to_owned(),
        BreakdownStatus::Unconfirmed => "unconfirmed".to_owned(),
        BreakdownStatus::None if series.choice.is_none() => "never runs".to_owned(),
        BreakdownStatus::None => String::new(),
    }
}
