//! A collective study: bus bandwidth and time over size.

use crate::analysis::{Transfer, Transfers};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Scale, Stroke, ValueAxis};
use crate::report::quantity::{
    bytes, count, seconds, short_bytes, short_number, short_seconds, three_digits,
};

/// Most lines of a chart: as many as there are colours.
const LINES: usize = 8;
/// Most charts of one operation; those of the largest jobs stay.
const CHARTS: usize = 12;

/// Transfers of one operation that are drawn together.
#[derive(Debug)]
pub struct BusbwPanel<'a> {
    /// What they have in common.
    pub name: String,
    /// Each line's name and transfers by rising size, fastest at the largest size first.
    pub lines: Vec<(String, Vec<&'a Transfer>)>,
}

/// The operations of a study, in the order of the grid.
pub fn operations(transfers: &Transfers) -> Vec<&str> {
    in_order(transfers.ran.iter().map(|run| run.op.as_str()))
}

fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// The panels of an operation: one per place and number of GPUs with a line per algorithm, where
/// several were asked for; else one per number of GPUs with a line per place. And how many do not fit.
pub fn busbw_panels<'a>(transfers: &'a Transfers, op: &str) -> (Vec<BusbwPanel<'a>>, usize) {
    let runs: Vec<&Transfer> = transfers.ran.iter().filter(|run| run.op == op).collect();
    let by_algorithm = runs.iter().any(|run| run.algorithm != runs[0].algorithm);
    let key = |run: &Transfer| {
        let place = if by_algorithm { run.place.as_str() } else { "" };
        (place.to_owned(), run.gpus)
    };
    let line = |run: &Transfer| {
        if by_algorithm {
            run.algorithm.clone()
        } else {
            run.place.clone()
        }
    };
    let mut keys = in_order(runs.iter().map(|run| key(run)));
    let hidden = keys.len().saturating_sub(CHARTS);
    if hidden > 0 {
        let mut sizes: Vec<u64> = keys.iter().map(|(_, gpus)| *gpus).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let least = sizes[CHARTS - 1];
        keys.retain(|(_, gpus)| *gpus >= least);
        keys.truncate(CHARTS);
    }
    let panels = keys.into_iter().map(|wanted| {
        let of_panel: Vec<&Transfer> = runs
            .iter()
            .copied()
            .filter(|run| key(run) == wanted)
            .collect();
        let mut lines: Vec<(String, Vec<&Transfer>)> =
            in_order(of_panel.iter().map(|run| line(run)))
                .into_iter()
                .map(|name| {
                    let mut of_line: Vec<&Transfer> = of_panel
                        .iter()
                        .copied()
                        .filter(|run| line(run) == name)
                        .collect();
                    of_line.sort_by(|a, b| a.size.total_cmp(&b.size));
                    (name, of_line)
                })
                .collect();
        // Colours follow the order of the grid, so that a line has the same in every panel.
        lines.truncate(LINES);
        let (place, gpus) = wanted;
        BusbwPanel {
            name: format!("{op} {place} {} GPUs", count(gpus as f64)).replace("  ", " "),
            lines,
        }
    });
    (panels.collect(), hidden)
}

fn sizes(panel: &BusbwPanel<'_>) -> ValueAxis {
    let sizes = panel
        .lines
        .iter()
        .flat_map(|(_, runs)| runs.iter().map(|run| run.size));
    ValueAxis {
        name: "size".to_owned(),
        scale: Scale::log_around(sizes, 2.0),
        format: short_bytes,
    }
}

fn lines(panel: &BusbwPanel<'_>, y: impl Fn(&Transfer) -> f64) -> Vec<Line> {
    panel
        .lines
        .iter()
        .enumerate()
        .map(|(style, (name, runs))| Line {
            name: if name.is_empty() {
                "all points".to_owned()
            } else {
                name.clone()
            },
            style,
            stroke: Stroke::Solid,
            marks: runs
                .iter()
                .map(|run| Mark {
                    x: run.size,
                    y: y(run),
                    tip: tip(name, run),
                    kind: MarkKind::Value,
                })
                .collect(),
        })
        .collect()
}

fn tip(line: &str, run: &Transfer) -> String {
    let by = if run.used == line {
        String::new()
    } else {
        format!(" by {}", run.used)
    };
    format!(
        "{line}\n{}: {}{by}\nbus bandwidth {} GB/s",
        bytes(run.size),
        seconds(run.time_s),
        three_digits(run.busbw / 1e9)
    )
}

/// Bus bandwidth over size, as nccl-tests counts it.
pub fn busbw_chart(panel: &BusbwPanel<'_>) -> LineChart {
    let values = panel
        .lines
        .iter()
        .flat_map(|(_, runs)| runs.iter().map(|run| run.busbw / 1e9));
    LineChart {
        title: panel.name.clone(),
        x: sizes(panel),
        y: ValueAxis {
            name: "bus bandwidth [GB/s]".to_owned(),
            scale: Scale::from_zero(values),
            format: short_number,
        },
        lines: lines(panel, |run| run.busbw / 1e9),
        rules: Vec::new(),
        rings: ("", Vec::new()),
    }
}

/// Time over size in log–log, where small sizes tell algorithms apart.
pub fn transfer_time_chart(panel: &BusbwPanel<'_>) -> LineChart {
    let values = panel
        .lines
        .iter()
        .flat_map(|(_, runs)| runs.iter().map(|run| run.time_s));
    LineChart {
        title: panel.name.clone(),
        x: sizes(panel),
        y: ValueAxis {
            name: "time".to_owned(),
            scale: Scale::log_around(values, 10.0),
            format: short_seconds,
        },
        lines: lines(panel, |run| run.time_s),
        rules: Vec::new(),
        rings: ("", Vec::new()),
    }
}
