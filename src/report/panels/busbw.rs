//! Charts of a collective study: bus bandwidth and time over size.

use crate::analysis::{AlgorithmCurve, CollectiveJob, CollectiveRun};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Scale, Stroke, ValueAxis};
use crate::report::quantity::{
    bytes, gpus, seconds, short_bytes, short_number, short_seconds, three_digits,
};

/// Most lines of a chart: as many as there are colours.
const LINES: usize = 8;
/// Most charts of one operation; those of the largest jobs stay.
const CHARTS: usize = 12;

/// Curves of one operation that are drawn together.
#[derive(Debug)]
pub struct BusbwPanel<'a> {
    /// What they have in common.
    pub name: String,
    /// Its lines, in the order of the rows.
    pub lines: Vec<BusbwLine<'a>>,
}

/// The curve of an algorithm or a place.
#[derive(Debug)]
pub struct BusbwLine<'a> {
    /// The algorithm or the place; empty where there is but one place.
    pub name: &'a str,
    /// Colour and marker: the same for the same name in every panel of an operation.
    pub style: usize,
    /// Its runs by rising size.
    pub runs: &'a [CollectiveRun],
}

/// The panels of an operation's jobs: one per job with a line per algorithm, where several were asked
/// for; else one per number of GPUs with a line per place. And how many jobs do not fit.
pub fn busbw_panels(jobs: &[CollectiveJob]) -> (Vec<BusbwPanel<'_>>, usize) {
    let mut asked = jobs
        .iter()
        .flat_map(|job| job.curves.iter().map(|curve| &curve.collective));
    let first = asked.next();
    let (mut panels, drawn) = if asked.any(|algorithm| Some(algorithm) != first) {
        let panels = of_algorithms(jobs);
        let drawn = panels.len();
        (panels, drawn)
    } else {
        let panels = of_places(jobs);
        let drawn = panels.iter().map(|panel| panel.lines.len()).sum();
        (panels, drawn)
    };
    give_styles(&mut panels);
    (panels, jobs.len() - drawn)
}

fn of_algorithms(jobs: &[CollectiveJob]) -> Vec<BusbwPanel<'_>> {
    let mut shown: Vec<&CollectiveJob> = jobs.iter().collect();
    if shown.len() > CHARTS {
        let mut sizes: Vec<u64> = jobs.iter().map(|job| job.gpus).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let least = sizes[CHARTS - 1];
        shown.retain(|job| job.gpus >= least);
        shown.truncate(CHARTS);
    }
    let panels = shown.into_iter().map(|job| BusbwPanel {
        name: panel_name(&job.op, &job.place, job.gpus),
        lines: job
            .curves
            .iter()
            .take(LINES)
            .map(|curve| line(&curve.collective, curve))
            .collect(),
    });
    panels.collect()
}

fn of_places(jobs: &[CollectiveJob]) -> Vec<BusbwPanel<'_>> {
    let mut sizes: Vec<u64> = jobs.iter().map(|job| job.gpus).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let largest = sizes.split_off(sizes.len().saturating_sub(CHARTS));
    let panels = largest.into_iter().map(|size| BusbwPanel {
        name: panel_name(&jobs[0].op, "", size),
        lines: jobs
            .iter()
            .filter(|job| job.gpus == size)
            .filter_map(|job| Some(line(&job.place, job.curves.first()?)))
            .take(LINES)
            .collect(),
    });
    panels.collect()
}

fn line<'a>(name: &'a str, curve: &'a AlgorithmCurve) -> BusbwLine<'a> {
    BusbwLine {
        name,
        style: 0,
        runs: &curve.runs,
    }
}

/// A style of its own for each name; within each panel alone where there are too many names.
fn give_styles(panels: &mut [BusbwPanel<'_>]) {
    let mut names: Vec<&str> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&line.name) {
            names.push(line.name);
        }
    }
    for panel in panels {
        for (place, line) in panel.lines.iter_mut().enumerate() {
            let everywhere = names.iter().position(|name| *name == line.name);
            line.style = everywhere.filter(|_| names.len() <= LINES).unwrap_or(place);
        }
    }
}

fn panel_name(op: &str, place: &str, size: u64) -> String {
    let size = gpus(size);
    if place.is_empty() {
        format!("{op} {size}")
    } else {
        format!("{op} {place} {size}")
    }
}

fn sizes(panel: &BusbwPanel<'_>) -> ValueAxis {
    let sizes = runs(panel).map(|run| run.size_bytes as f64);
    ValueAxis {
        name: "size".to_owned(),
        scale: Scale::log_around(sizes, 2.0),
        format: short_bytes,
    }
}

fn runs<'a>(panel: &'a BusbwPanel<'_>) -> impl Iterator<Item = &'a CollectiveRun> {
    panel.lines.iter().flat_map(|line| line.runs)
}

/// The lines of a panel; `y` is the height of a run, where it has one.
fn lines(panel: &BusbwPanel<'_>, y: impl Fn(&CollectiveRun) -> Option<f64>) -> Vec<Line> {
    let marks = |line: &BusbwLine<'_>| {
        let mark = |run: &CollectiveRun| {
            Some(Mark {
                x: run.size_bytes as f64,
                y: y(run)?,
                tip: tip(line.name, run),
                kind: MarkKind::Value,
            })
        };
        line.runs.iter().filter_map(mark).collect()
    };
    panel
        .lines
        .iter()
        .map(|line| Line {
            name: match line.name {
                "" => "all points".to_owned(),
                name => name.to_owned(),
            },
            style: line.style,
            stroke: Stroke::Solid,
            marks: marks(line),
        })
        .collect()
}

fn tip(line: &str, run: &CollectiveRun) -> String {
    let by = if run.collective_used == line {
        String::new()
    } else {
        format!(" by {}", run.collective_used)
    };
    format!(
        "{line}\n{}: {}{by}\nbus bandwidth {} GB/s",
        bytes(run.size_bytes as f64),
        seconds(run.time_s),
        three_digits(run.busbw_bytes_per_s / 1e9)
    )
}

/// Bus bandwidth over size, as nccl-tests counts it.
pub fn busbw_chart(panel: &BusbwPanel<'_>) -> LineChart {
    let values = runs(panel).map(|run| run.busbw_bytes_per_s / 1e9);
    LineChart {
        title: panel.name.clone(),
        x: sizes(panel),
        y: ValueAxis {
            name: "bus bandwidth [GB/s]".to_owned(),
            scale: Scale::from_zero(values),
            format: short_number,
        },
        lines: lines(panel, |run| Some(run.busbw_bytes_per_s / 1e9)),
        rules: Vec::new(),
        rings: ("", Vec::new()),
    }
}

/// Time over size in log–log, where small sizes tell algorithms apart; `None` where nothing takes
/// any, as with a single GPU.
pub fn transfer_time_chart(panel: &BusbwPanel<'_>) -> Option<LineChart> {
    let time = |run: &CollectiveRun| Some(run.time_s).filter(|time| *time > 0.0);
    runs(panel).find_map(time)?;
    Some(LineChart {
        title: panel.name.clone(),
        x: sizes(panel),
        y: ValueAxis {
            name: "time".to_owned(),
            scale: Scale::log_around(runs(panel).filter_map(time), 10.0),
            format: short_seconds,
        },
        lines: lines(panel, time),
        rules: Vec::new(),
        rings: ("", Vec::new()),
    })
}
