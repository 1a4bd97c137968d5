//! Charts of a collective study: bus bandwidth and time over size.

use itertools::Itertools;

use super::styles::{LINES, styles};
use crate::analysis::{AUTO, AlgorithmCurve, CollectiveJob, CollectiveRun};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Ring, Scale, Stroke, ValueAxis};
use crate::report::quantity::{
    bytes, gpus, seconds, short_bytes, short_number, short_seconds, three_digits,
};

/// Most charts of one operation; those of the largest jobs stay.
const CHARTS: usize = 12;

/// Curves of one operation that are drawn together.
#[derive(Debug)]
pub(crate) struct BusbwPanel<'a> {
    /// Label that the curves share, the operation first.
    pub(crate) name: String,
    /// Label without the operation: `dgx-h100 512 GPUs`.
    pub(crate) job: String,
    /// GPUs of the job.
    pub(crate) gpus: u64,
    /// Lines, in the order of the rows.
    pub(crate) lines: Vec<BusbwLine<'a>>,
}

/// The curve of an algorithm or a cluster.
#[derive(Debug)]
pub(crate) struct BusbwLine<'a> {
    /// The algorithm or the cluster; empty where there is one cluster only.
    pub(crate) name: &'a str,
    /// Colour and marker: the same for the same name in every panel of an operation.
    pub(crate) style: usize,
    /// Runs by rising size.
    pub(crate) runs: &'a [CollectiveRun],
}

/// The panels of an operation's jobs: one per job with a line per algorithm, where several were asked
/// for; else one per number of GPUs with a line per cluster. The number of jobs without a line comes second.
pub(crate) fn busbw_panels(jobs: &[CollectiveJob]) -> (Vec<BusbwPanel<'_>>, usize) {
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
    let names = |panel: &BusbwPanel<'_>| panel.lines.iter().map(|it| it.name.to_owned()).collect();
    let styles = styles(&panels.iter().map(names).collect::<Vec<_>>());
    for (panel, styles) in panels.iter_mut().zip(styles) {
        for (line, style) in panel.lines.iter_mut().zip(styles) {
            line.style = style;
        }
    }
    (panels, jobs.len() - drawn)
}

fn of_algorithms(jobs: &[CollectiveJob]) -> Vec<BusbwPanel<'_>> {
    let sizes = jobs.iter().map(|job| job.gpus).sorted().rev();
    let least = sizes.take(CHARTS).min().unwrap_or(0);
    let shown = jobs.iter().filter(|job| job.gpus >= least).take(CHARTS);
    let panels = shown.map(|job| BusbwPanel {
        name: panel_name(&job.op, &job.place, job.gpus),
        job: panel_name("", &job.place, job.gpus),
        gpus: job.gpus,
        lines: (job.curves.iter().take(LINES))
            .map(|curve| line(&curve.collective, curve))
            .collect(),
    });
    panels.collect()
}

fn of_places(jobs: &[CollectiveJob]) -> Vec<BusbwPanel<'_>> {
    let mut sizes: Vec<u64> = jobs.iter().map(|job| job.gpus).sorted().dedup().collect();
    let largest = sizes.split_off(sizes.len().saturating_sub(CHARTS));
    let panels = largest.into_iter().map(|size| BusbwPanel {
        name: panel_name(&jobs[0].op, "", size),
        job: panel_name("", "", size),
        gpus: size,
        lines: (jobs.iter().filter(|job| job.gpus == size))
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

/// `all-reduce dgx-h100 512 GPUs`.
fn panel_name(op: &str, place: &str, size: u64) -> String {
    let size = gpus(size);
    let words = [op, place, &size];
    words.into_iter().filter(|word| !word.is_empty()).join(" ")
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
    let mark = |name: &str, run: &CollectiveRun| {
        Some(Mark {
            x: run.size_bytes as f64,
            y: y(run)?,
            tip: tip(name, run),
            kind: MarkKind::Value,
        })
    };
    let lines = panel.lines.iter().map(|line| Line {
        name: match line.name {
            "" => "all points".to_owned(),
            name => name.to_owned(),
        },
        style: line.style,
        stroke: Stroke::Solid,
        marks: (line.runs.iter())
            .filter_map(|run| mark(line.name, run))
            .collect(),
    });
    lines.collect()
}

fn tip(line: &str, run: &CollectiveRun) -> String {
    let by = if run.collective_used.as_ref() == line {
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

/// A chart of the lines of a panel. The library's own choice is a ring around the run that it takes, and a line of its own
/// only where it takes none of those beside it.
fn chart(
    panel: &BusbwPanel<'_>,
    y: ValueAxis,
    height: impl Fn(&CollectiveRun) -> Option<f64>,
) -> LineChart {
    let mut lines = lines(panel, &height);
    let rings = chosen(panel, &height);
    if rings.is_some() {
        lines.retain(|line| line.name != AUTO);
    }
    let mut chart = LineChart::new(panel.name.clone(), sizes(panel), y, lines);
    chart.rings = ("the library's choice", rings.unwrap_or_default());
    chart
}

/// A ring around each run that the library takes; `None` where one of them has no run beside it.
fn chosen(
    panel: &BusbwPanel<'_>,
    height: impl Fn(&CollectiveRun) -> Option<f64>,
) -> Option<Vec<Ring>> {
    /// Relative difference of times up to which two runs are the same.
    const SAME: f64 = 1e-3;
    let (auto, others): (Vec<_>, Vec<_>) = panel.lines.iter().partition(|it| it.name == AUTO);
    let ring = |run: &CollectiveRun| {
        let same = |line: &&&BusbwLine<'_>| {
            let of_size = |other: &&CollectiveRun| other.size_bytes == run.size_bytes;
            let other = line.runs.iter().find(of_size);
            other.is_some_and(|other| (other.time_s - run.time_s).abs() <= SAME * run.time_s)
        };
        let line = others.iter().find(same)?;
        Some(Ring {
            x: run.size_bytes as f64,
            y: height(run)?,
            of: line.name.to_owned(),
            tip: format!("the library's choice\n{}", tip(line.name, run)),
        })
    };
    let drawn = auto
        .first()?
        .runs
        .iter()
        .filter(|run| height(run).is_some());
    drawn.map(ring).collect()
}

/// Bus bandwidth over size, as nccl-tests counts it; in log-log where it spans decades.
pub(crate) fn busbw_chart(panel: &BusbwPanel<'_>) -> LineChart {
    let busbw = |run: &CollectiveRun| run.busbw_bytes_per_s / 1e9;
    let scale = Scale::by_spread(&runs(panel).map(busbw).collect::<Vec<_>>());
    let y = ValueAxis {
        name: "bus bandwidth [GB/s]".to_owned(),
        scale,
        format: short_number,
    };
    chart(panel, y, |run| {
        Some(busbw(run)).filter(|it| scale.holds(*it))
    })
}

/// Time over size in log–log, where the algorithms differ at small sizes; `None` where nothing takes
/// any, as with a single GPU.
pub(crate) fn transfer_time_chart(panel: &BusbwPanel<'_>) -> Option<LineChart> {
    let time = |run: &CollectiveRun| Some(run.time_s).filter(|time| *time > 0.0);
    runs(panel).find_map(time)?;
    let y = ValueAxis {
        name: "time".to_owned(),
        scale: Scale::log_around(runs(panel).filter_map(time), 10.0),
        format: short_seconds,
    };
    Some(chart(panel, y, time))
}
