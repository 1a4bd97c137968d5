//! Throughput over size in log–log.

use itertools::Itertools;

use super::curves::{lines, rings, size_axis, sizes_of, titled};
use super::panel::Panel;
use super::tips::tip;
use crate::analysis::{Findings, SeriesFinding};
use crate::report::chart::{LineChart, Mark, MarkKind, Rule, Scale, ValueAxis};
use crate::report::quantity::short_decimal;
use crate::report::words::rate;

/// Rate over size in log–log, with the ideal line of the fastest series and breakdown points.
pub(crate) fn rate_chart(findings: &Findings, panel: &Panel<'_>) -> LineChart {
    let x = size_axis(findings, sizes_of(&panel.lines));
    let rates = panel
        .lines
        .iter()
        .flat_map(|(_, series)| series.ran().map(|(_, measured)| rate(&measured).0));
    let ideal = panel
        .lines
        .first()
        .and_then(|(_, series)| ideal_end(series));
    let mut scale = Scale::log_around(rates, 10.0);
    if let Some((_, (_, end))) = ideal {
        scale = scale.reaching(end);
    }
    let unit = panel
        .lines
        .iter()
        .find_map(|(_, series)| series.ran().next())
        .map_or("samples/s", |(_, measured)| rate(&measured).1);
    LineChart {
        title: titled("Rate", panel),
        rules: ideal
            .filter(|(_, (_, end))| scale.holds(*end))
            .map(|(from, to)| Rule {
                name: ideal_name(panel),
                label: String::new(),
                from,
                to,
            })
            .into_iter()
            .collect(),
        x,
        y: ValueAxis {
            name: unit.to_owned(),
            scale,
            format: short_decimal,
        },
        lines: lines(&panel.lines, &panel.styles, |series| {
            series
                .ran()
                .map(|(size, measured)| Mark {
                    x: size.point.size,
                    y: rate(&measured).0,
                    tip: tip(findings, series, size),
                    kind: MarkKind::Value,
                })
                .collect()
        }),
        rings: ("breakdown", rings(findings, &panel.lines, rate_at)),
    }
}

/// `ideal`, with the name of its line where there are several.
fn ideal_name(panel: &Panel<'_>) -> String {
    match panel.lines.as_slice() {
        [(fastest, _), _, ..] => format!("ideal {fastest}"),
        _ => "ideal".to_owned(),
    }
}

/// Ends of the ideal line: the smallest size of a series, and the largest at the same rate per GPU.
fn ideal_end(series: &SeriesFinding) -> Option<((f64, f64), (f64, f64))> {
    let (small, slow) = series.ran().next()?;
    let (large, _) = series.ran().last()?;
    let (from, to) = (small.point.size, large.point.size);
    let rate = rate(&slow).0;
    (to > from).then_some(((from, rate), (to, rate * to / from)))
}

/// The rate at a size between two that ran, interpolated in log–log.
fn rate_at(series: &SeriesFinding, at: f64) -> Option<f64> {
    let points = series
        .ran()
        .map(|(size, it)| (size.point.size, rate(&it).0));
    let mut pairs = points.tuple_windows();
    let ((x0, y0), (x1, y1)) = pairs.find(|((from, _), (to, _))| *from <= at && at <= *to)?;
    let place = libm::log(at / x0) / libm::log(x1 / x0);
    Some(y0 * libm::pow(y1 / y0, place))
}
