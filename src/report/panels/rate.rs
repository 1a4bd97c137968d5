//! How fast: rate over size in log–log.

use super::{
    Panel, Scale, ValueAxis, lines, ran, rate, rate_unit, rings, size_axis, sizes_of, tip, titled,
};
use crate::analysis::{Findings, SeriesFinding};
use crate::report::chart::{LineChart, Mark, MarkKind, Rule};
use crate::report::quantity::short_decimal;

/// Rate over size in log–log, with the ideal line of the fastest series and breakdown points.
pub fn rate_chart(findings: &Findings, panel: &Panel<'_>) -> LineChart {
    let x = size_axis(findings, sizes_of(&panel.lines));
    let rates = panel
        .lines
        .iter()
        .flat_map(|(_, series)| ran(series).map(|(_, measured)| rate(&measured)));
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
        .find_map(|(_, series)| ran(series).next())
        .map_or("samples/s", |(_, measured)| rate_unit(&measured));
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
            ran(series)
                .map(|(size, measured)| Mark {
                    x: size.point.size,
                    y: rate(&measured),
                    tip: tip(findings, series, size),
                    kind: MarkKind::Value,
                })
                .collect()
        }),
        rings: ("breakdown", rings(findings, &panel.lines, rate_at)),
    }
}

/// `ideal`, and of which line where there are several.
fn ideal_name(panel: &Panel<'_>) -> String {
    match panel.lines.as_slice() {
        [(fastest, _), _, ..] => format!("ideal {fastest}"),
        _ => "ideal".to_owned(),
    }
}

/// From the smallest size of a series to its largest with the rate per GPU of the smallest.
fn ideal_end(series: &SeriesFinding) -> Option<((f64, f64), (f64, f64))> {
    let (small, slow) = ran(series).next()?;
    let (large, _) = ran(series).last()?;
    let (from, to) = (small.point.size, large.point.size);
    let rate = rate(&slow);
    (to > from).then_some(((from, rate), (to, rate * to / from)))
}

/// The rate at a size between two that ran, on the straight line between them in log–log.
fn rate_at(series: &SeriesFinding, at: f64) -> Option<f64> {
    let points: Vec<(f64, f64)> = ran(series)
        .map(|(size, measured)| (size.point.size, rate(&measured)))
        .collect();
    let pair = points
        .windows(2)
        .find(|pair| pair[0].0 <= at && at <= pair[1].0)?;
    let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
    let place = libm::log(at / x0) / libm::log(x1 / x0);
    Some(y0 * libm::pow(y1 / y0, place))
}
