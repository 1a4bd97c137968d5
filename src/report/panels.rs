//! The charts of a study: a few panels, each with the series worth showing.

use crate::analysis::{
    BreakdownStatus, Findings, Measured, SeriesFinding, SizeFinding, TimePart, pareto_front,
};
use crate::report::answer::{select, size_words};
use crate::report::chart::{
    Bar, BarChart, Line, LineChart, Mark, MarkKind, Rule, Scale, standalone,
};
use crate::report::markup::push;
use crate::report::quantity::{bytes, count, decimal, dollars, percent, seconds, three_digits};
use crate::spec::Axis;

/// Most panels of a section.
const PANELS: usize = 6;
/// Most lines of a panel: as many as there are colours.
const LINES: usize = 8;
/// Most points of a cost chart beside its front.
const SCATTER: usize = 400;

/// The series that one panel shows.
#[derive(Debug)]
pub struct Panel<'a> {
    /// What its series have in common: the model, where models differ.
    pub name: String,
    /// The series, fastest first, with the names of their lines.
    pub lines: Vec<(String, &'a SeriesFinding)>,
    /// All series of the panel, shown or not.
    pub all: Vec<&'a SeriesFinding>,
}

/// Panels by model where models differ, else one; and how many models have no panel.
pub fn panels(findings: &Findings) -> (Vec<Panel<'_>>, usize) {
    let selection = select(findings);
    let by: &[Axis] = if findings.varied.contains(&Axis::Model) {
        &[Axis::Model]
    } else {
        &[]
    };
    let grouped = if selection.grouped_by.is_empty() {
        &findings.varied
    } else {
        &selection.grouped_by
    };
    let rest: Vec<Axis> = grouped
        .iter()
        .copied()
        .filter(|axis| !by.contains(axis))
        .collect();
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for series in selection.series {
        let name = series.label(by);
        let line = match series.label(&rest) {
            label if label.is_empty() => "measured".to_owned(),
            label => label,
        };
        match panels.iter_mut().find(|panel| panel.name == name) {
            Some(panel) => panel.lines.push((line, series)),
            None => panels.push(Panel {
                all: findings
                    .series
                    .iter()
                    .filter(|other| other.label(by) == name)
                    .collect(),
                name,
                lines: vec![(line, series)],
            }),
        }
    }
    for panel in &mut panels {
        panel
            .lines
            .sort_by(|a, b| best_rate(b.1).total_cmp(&best_rate(a.1)));
        panel.lines.truncate(LINES);
    }
    panels.retain(|panel| panel.all.iter().any(|series| series.choice.is_some()));
    let hidden = panels.len().saturating_sub(PANELS);
    panels.truncate(PANELS);
    (panels, hidden)
}

fn best_rate(series: &SeriesFinding) -> f64 {
    series
        .recommended()
        .and_then(|size| size.point.measured)
        .map_or(0.0, |measured| measured.samples_per_s)
}

/// Sizes that ran, with what was measured.
fn ran(series: &SeriesFinding) -> impl Iterator<Item = (usize, &SizeFinding, Measured)> {
    series
        .sizes
        .iter()
        .enumerate()
        .filter_map(|(place, size)| size.point.measured.map(|measured| (place, size, measured)))
}

fn titled(what: &str, panel: &Panel<'_>) -> String {
    if panel.name.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", panel.name)
    }
}

/// Name, scale and format of the axis of sizes.
fn size_axis(findings: &Findings, panel: &Panel<'_>) -> (String, Scale, fn(f64) -> String) {
    let sizes = panel
        .lines
        .iter()
        .flat_map(|(_, series)| ran(series).map(|(_, size, _)| size.point.size));
    match findings.size_axis {
        Axis::Gpus | Axis::Nodes => ("GPUs".to_owned(), Scale::log_around(sizes, 2.0), count),
        other => {
            let unit = other.info().unit;
            let name = match unit {
                "" | "1" => other.to_string(),
                unit => format!("{other} [{unit}]"),
            };
            (name, Scale::log_around(sizes, 10.0), decimal)
        }
    }
}

fn mark_kind(series: &SeriesFinding, place: usize) -> MarkKind {
    let broken = series.breakdown.status == BreakdownStatus::Confirmed
        && series.breakdown.first_bad == Some(place);
    if broken {
        MarkKind::Broken
    } else {
        MarkKind::Value
    }
}

/// Rate in tokens where the workload has them, else in samples.
fn rate(measured: &Measured) -> f64 {
    measured.tokens_per_s.unwrap_or(measured.samples_per_s)
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
    tip.push('\n');
    tip.push_str(&measured.layout.words());
    tip
}

fn rate_unit(measured: &Measured) -> &'static str {
    if measured.tokens_per_s.is_some() {
        "tokens/s"
    } else {
        "samples/s"
    }
}

/// Rate over size in log–log, with the ideal line of the fastest series and breakdown points.
pub fn rate_chart(findings: &Findings, panel: &Panel<'_>) -> LineChart {
    let x = size_axis(findings, panel);
    let rates = panel
        .lines
        .iter()
        .flat_map(|(_, series)| ran(series).map(|(_, _, measured)| rate(&measured)));
    let y = Scale::log_around(rates, 10.0);
    let unit = panel
        .lines
        .iter()
        .find_map(|(_, series)| ran(series).next())
        .map_or("samples/s", |(_, _, measured)| rate_unit(&measured));
    let lines = lines(panel, |series| {
        ran(series)
            .map(|(place, size, measured)| Mark {
                x: size.point.size,
                y: rate(&measured),
                tip: tip(findings, series, size),
                kind: mark_kind(series, place),
            })
            .collect()
    });
    LineChart {
        title: titled("Rate", panel),
        rules: ideal_line(panel, x.1, y),
        x,
        y: (unit.to_owned(), y, decimal),
        lines,
    }
}

fn lines(panel: &Panel<'_>, marks: impl Fn(&SeriesFinding) -> Vec<Mark>) -> Vec<Line> {
    panel
        .lines
        .iter()
        .enumerate()
        .map(|(style, (name, series))| Line {
            name: name.clone(),
            style,
            joined: true,
            marks: marks(series),
        })
        .collect()
}

/// From the smallest size of the fastest series upwards with its rate per GPU, inside the chart.
fn ideal_line(panel: &Panel<'_>, x: Scale, y: Scale) -> Vec<Rule> {
    let first = panel
        .lines
        .first()
        .and_then(|(_, series)| ran(series).next());
    let last = panel
        .lines
        .first()
        .and_then(|(_, series)| ran(series).last());
    match (first, last) {
        (Some((_, small, slow)), Some((_, large, _))) if large.point.size > small.point.size => {
            let per_size = rate(&slow) / small.point.size;
            // Back from the end until it lies inside both scales.
            let mut end = large.point.size;
            while !(x.holds(end) && y.holds(end * per_size)) && end > small.point.size {
                end /= 1.02;
            }
            vec![Rule {
                name: "ideal".to_owned(),
                from: (small.point.size, rate(&slow)),
                to: (end, end * per_size),
            }]
        }
        _ => Vec::new(),
    }
}

/// Efficiency over size, with the threshold.
pub fn efficiency_chart(findings: &Findings, panel: &Panel<'_>) -> LineChart {
    let x = size_axis(findings, panel);
    let values = panel
        .lines
        .iter()
        .flat_map(|(_, series)| &series.sizes)
        .filter_map(|size| size.efficiency.map(|e| e.of_baseline));
    let y = Scale::from_zero(values.chain([1.0]));
    let threshold = Rule {
        name: format!("threshold {}", percent(findings.threshold)),
        from: (low_end(x.1), findings.threshold),
        to: (high_end(x.1), findings.threshold),
    };
    LineChart {
        title: titled("Scaling efficiency", panel),
        x,
        y: ("of the smallest size".to_owned(), y, percent),
        lines: lines(panel, |series| {
            series
                .sizes
                .iter()
                .enumerate()
                .filter_map(|(place, size)| {
                    Some(Mark {
                        x: size.point.size,
                        y: size.efficiency?.of_baseline,
                        tip: tip(findings, series, size),
                        kind: mark_kind(series, place),
                    })
                })
                .collect()
        }),
        rules: vec![threshold],
    }
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

/// GPU-seconds per sample by part over size, of the panel's fastest series.
pub fn parts_chart(findings: &Findings, panel: &Panel<'_>) -> Option<BarChart> {
    let (name, series) = panel.lines.first()?;
    let bars: Vec<Bar> = series
        .sizes
        .iter()
        .map(|size| Bar {
            name: count(size.point.size),
            parts: size.point.measured.map_or_else(Vec::new, |measured| {
                let scale = f64::from(size.point.gpus) / measured.samples_per_step();
                measured
                    .parts
                    .iter()
                    .map(|(part, time)| {
                        let tip = format!(
                            "{}\n{}: {} per step, {} of it",
                            size_words(findings.size_axis, size),
                            part.title(),
                            seconds(time),
                            percent(time / measured.parts.total())
                        );
                        (time * scale, tip)
                    })
                    .collect()
            }),
        })
        .collect();
    Some(BarChart {
        title: titled("Where the time goes", panel),
        x: format!("{} — {name}", size_axis(findings, panel).0),
        y: "GPU-seconds per sample".to_owned(),
        format: three_digits,
        parts: TimePart::ALL
            .iter()
            .map(|part| (part.short(), part.index()))
            .collect(),
        bars,
    })
}

/// Peak memory over size, with the capacity of each GPU.
pub fn memory_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let x = size_axis(findings, panel);
    let mut capacities: Vec<f64> = panel
        .lines
        .iter()
        .flat_map(|(_, series)| ran(series))
        .filter_map(|(_, _, measured)| measured.memory_capacity_bytes)
        .collect();
    capacities.sort_by(f64::total_cmp);
    capacities.dedup();
    let largest = capacities.last().copied()?;
    let y = Scale::from_zero([largest / GIB].into_iter());
    let rules = capacities
        .into_iter()
        .map(|capacity| Rule {
            name: format!("capacity {}", bytes(capacity)),
            from: (low_end(x.1), capacity / GIB),
            to: (high_end(x.1), capacity / GIB),
        })
        .collect();
    Some(LineChart {
        title: titled("Memory of the fullest GPU", panel),
        x,
        y: ("GiB".to_owned(), y, |gib| format!("{gib:.0}")),
        lines: lines(panel, |series| {
            ran(series)
                .filter_map(|(_, size, measured)| {
                    let peak = measured.memory_peak_bytes?;
                    Some(Mark {
                        x: size.point.size,
                        y: peak / GIB,
                        tip: format!("{} peak\n{}", bytes(peak), tip(findings, series, size)),
                        kind: MarkKind::Value,
                    })
                })
                .collect()
        }),
        rules,
    })
}

const GIB: f64 = 1_073_741_824.0;

/// Cost and time of one point, for the chart of both.
struct CostPoint<'a> {
    time: f64,
    cost: f64,
    series: &'a SeriesFinding,
    size: &'a SizeFinding,
}

/// Points with a cost: of a whole training where its tokens are given, else of a million tokens.
fn cost_points<'a>(panel: &Panel<'a>, whole: bool) -> Vec<CostPoint<'a>> {
    let cost_of = |size: &SizeFinding| {
        if whole {
            let training = size.training?;
            return Some((training.time_s(), training.cost_usd?));
        }
        let measured = size.point.measured?;
        Some((1e6 / measured.tokens_per_s?, measured.cost_per_mtoken_usd?))
    };
    panel
        .all
        .iter()
        .flat_map(|series| series.sizes.iter().map(move |size| (*series, size)))
        .filter_map(|(series, size)| {
            cost_of(size).map(|(time, cost)| CostPoint {
                time,
                cost,
                series,
                size,
            })
        })
        .collect()
}

/// Cost against time over all points of a panel with the Pareto front: of a whole training where
/// its tokens are given, else of a million tokens. `None` without prices.
pub fn cost_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let whole = panel
        .all
        .iter()
        .flat_map(|series| &series.sizes)
        .any(|size| size.training.is_some());
    let points = cost_points(panel, whole);
    if points.is_empty() {
        return None;
    }
    let (what, unit, unit_s) = if whole {
        ("the training", "days", 86_400.0)
    } else {
        ("a million tokens", "s", 1.0)
    };
    let costs: Vec<(f64, f64)> = points.iter().map(|p| (p.time, p.cost)).collect();
    let front = pareto_front(&costs);
    let every = points.len().div_ceil(SCATTER).max(1);
    let others: Vec<usize> = (0..points.len())
        .step_by(every)
        .filter(|place| !front.contains(place))
        .collect();
    let marks = |places: &[usize], kind: MarkKind| {
        let mark = |place: &usize| {
            let point = &points[*place];
            Mark {
                x: point.time / unit_s,
                y: point.cost,
                tip: format!(
                    "{} in {}\n{}",
                    dollars(point.cost),
                    seconds(point.time),
                    tip(findings, point.series, point.size)
                ),
                kind,
            }
        };
        places.iter().map(mark).collect::<Vec<Mark>>()
    };
    let x = Scale::log_around(points.iter().map(|p| p.time / unit_s), 10.0);
    let y = Scale::log_around(points.iter().map(|p| p.cost), 10.0);
    let others_name = if every > 1 {
        format!("one point in {every}")
    } else {
        "other points".to_owned()
    };
    let line = |name: String, style: usize, joined: bool, marks: Vec<Mark>| Line {
        name,
        style,
        joined,
        marks,
    };
    Some(LineChart {
        title: titled("Cost against time", panel),
        x: (format!("time for {what} [{unit}]"), x, three_digits),
        y: (format!("USD for {what}"), y, dollars),
        lines: vec![
            line(others_name, 6, false, marks(&others, MarkKind::Dim)),
            line(
                "Pareto front".to_owned(),
                0,
                true,
                marks(&front, MarkKind::Value),
            ),
        ],
        rules: Vec::new(),
    })
}

/// Every chart as a file of its own: name and SVG.
pub fn plots(findings: &Findings) -> Vec<(String, String)> {
    let (panels, _) = panels(findings);
    let mut found = Vec::new();
    for panel in &panels {
        let charts = [
            ("rate", Some(rate_chart(findings, panel).svg())),
            ("efficiency", Some(efficiency_chart(findings, panel).svg())),
            ("parts", parts_chart(findings, panel).map(|c| c.svg())),
            ("memory", memory_chart(findings, panel).map(|c| c.svg())),
            ("cost", cost_chart(findings, panel).map(|c| c.svg())),
        ];
        let suffix = if panel.name.is_empty() {
            String::new()
        } else {
            format!("-{}", panel.name)
        };
        for (what, svg) in charts {
            if let Some(svg) = svg {
                found.push((format!("{what}{suffix}.svg"), standalone(&svg)));
            }
        }
    }
    found
}
