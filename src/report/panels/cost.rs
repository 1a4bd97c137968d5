//! Cost against time, with the Pareto front.

use super::curves::titled_of_all;
use super::panel::Panel;
use super::tips::tip;
use crate::analysis::{Findings, SeriesFinding, SizeFinding, WorkCost, pareto_front};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Scale, Stroke, ValueAxis};
use crate::report::quantity::{dollars, seconds, short_dollars, short_number};

/// Most points of a chart beside its front.
const SCATTER: usize = 400;

/// Cost and time of one point.
struct CostPoint<'a> {
    time: f64,
    cost: f64,
    series: &'a SeriesFinding,
    size: &'a SizeFinding,
}

/// Points with a rent.
fn cost_points<'a>(panel: &Panel<'a>) -> Vec<CostPoint<'a>> {
    let series = panel.all.iter();
    let sizes = series.flat_map(|series| series.sizes.iter().map(move |size| (*series, size)));
    let costs = sizes.filter_map(|(series, size)| {
        let work = WorkCost::new(size)?;
        Some(CostPoint {
            time: work.time_s,
            cost: work.usd?,
            series,
            size,
        })
    });
    costs.collect()
}

/// Cost against time over all points of a panel with the Pareto front: of a whole training where
/// its tokens are given, else of a million tokens. `None` without prices.
pub(crate) fn cost_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let whole = panel
        .all
        .iter()
        .flat_map(|series| &series.sizes)
        .any(|size| size.training.is_some());
    let points = cost_points(panel);
    if points.is_empty() {
        return None;
    }
    let (what, unit, unit_s) = if whole {
        ("the training", "days", 86_400.0)
    } else if points.iter().any(has_tokens) {
        ("a million tokens", "s", 1.0)
    } else {
        ("a million samples", "s", 1.0)
    };
    let costs: Vec<(f64, f64)> = points.iter().map(|p| (p.time, p.cost)).collect();
    let front = pareto_front(&costs);
    let every = points.len().div_ceil(SCATTER).max(1);
    let mut lines = vec![Line {
        name: "Pareto front".to_owned(),
        style: 6,
        stroke: Stroke::Solid,
        marks: front
            .iter()
            .map(|place| Mark {
                x: points[*place].time / unit_s,
                y: points[*place].cost,
                tip: String::new(),
                kind: MarkKind::Joint,
            })
            .collect(),
    }];
    for ((name, _), style) in panel.lines.iter().zip(&panel.styles) {
        let marks = (0..points.len())
            .filter(|place| panel.style_of(points[*place].series) == *style)
            .filter(|place| place % every == 0 || front.contains(place))
            .map(|place| mark(findings, &points[place], unit_s, front.contains(&place)));
        lines.push(Line {
            name: name.clone(),
            style: *style,
            stroke: Stroke::None,
            marks: marks.collect(),
        });
    }
    let some = if every > 1 {
        format!(" (one point in {every})")
    } else {
        String::new()
    };
    let x = ValueAxis {
        name: format!("time for {what} [{unit}]"),
        scale: Scale::log_around(points.iter().map(|p| p.time / unit_s), 10.0),
        format: short_number,
    };
    let y = ValueAxis {
        name: format!("USD for {what}"),
        scale: Scale::log_around(points.iter().map(|p| p.cost), 10.0),
        format: short_dollars,
    };
    let title = format!("{}{some}", titled_of_all("Cost against time", panel));
    Some(LineChart::new(title, x, y, lines))
}

fn has_tokens(point: &CostPoint<'_>) -> bool {
    let measured = point.size.point.measured;
    measured.is_some_and(|measured| measured.tokens_per_s.is_some())
}

fn mark(findings: &Findings, point: &CostPoint<'_>, unit_s: f64, on_front: bool) -> Mark {
    Mark {
        x: point.time / unit_s,
        y: point.cost,
        tip: format!(
            "{} in {}\n{}",
            dollars(point.cost),
            seconds(point.time),
            tip(findings, point.series, point.size)
        ),
        kind: if on_front {
            MarkKind::Value
        } else {
            MarkKind::Dim
        },
    }
}
