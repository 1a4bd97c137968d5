//! The first screen: what to run, and where it ends.

use crate::analysis::{BreakdownStatus, Findings, SeriesFinding};
use crate::report::answer::{answered_by, best_of_groups, sentences_beside_table, why_nothing_ran};
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::quantity::{count, decimal, dollars, percent, seconds, short_decimal};
use crate::report::text::counts_line;
use crate::spec::Axis;

/// Most rows of the table of answers.
const ROWS: usize = 8;

/// Appends the answer: where scaling ends in sentences, and the best choice for each model.
pub(super) fn push_answer(html: &mut String, findings: &Findings) {
    html.push_str("<div class=\"answer\">\n");
    for sentence in sentences_beside_table(findings) {
        push(html, format_args!("<p>{}</p>\n", escaped(&sentence)));
    }
    if findings.counts.ok > 0 {
        push_choices(html, findings);
    }
    html.push_str("</div>\n");
    push(
        html,
        format_args!(
            "<p class=\"soft\">{}.</p>\n",
            escaped(&counts_line(&findings.counts))
        ),
    );
}

/// One row per model: the fastest series and its fastest size within the threshold.
fn push_choices(html: &mut String, findings: &Findings) {
    let by = answered_by(findings);
    let all: Vec<&SeriesFinding> = findings.series.iter().collect();
    let best = best_of_groups(&all, by);
    let others: Vec<Axis> = findings
        .varied
        .iter()
        .copied()
        .filter(|axis| !by.contains(axis))
        .collect();
    let titles = [
        ("", !by.is_empty()),
        ("fastest with", !others.is_empty()),
        ("at", true),
        ("step", true),
        ("rate", true),
        ("MFU", true),
        ("USD per M tokens", has_cost(&best)),
        ("efficient", true),
        ("breaks down at", true),
    ];
    push(
        html,
        format_args!(
            "<div class=\"scroll cards\"><table><caption>Fastest within {} efficiency</caption><thead><tr>",
            percent(findings.threshold)
        ),
    );
    for (title, _) in titles.iter().filter(|(_, shown)| *shown) {
        push(html, format_args!("<th class=\"t\">{title}</th>"));
    }
    html.push_str("</tr></thead><tbody>\n");
    for series in best.iter().take(ROWS) {
        let cells = match series.recommended() {
            Some(_) => cells(findings, series, &others),
            None => never_ran(findings, series, by),
        };
        push(
            html,
            format_args!("<tr><th class=\"t\">{}</th>", escaped(&series.label(by))),
        );
        for (cell, (title, shown)) in cells.iter().zip(&titles[1..]) {
            if *shown {
                // A narrow page shows the title before each cell.
                push(
                    html,
                    format_args!("<td class=\"t\" data-of=\"{title}\">{}</td>", escaped(cell)),
                );
            }
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    if best.len() > ROWS {
        push(
            html,
            format_args!(
                "<p class=\"note\">{} more models are in the table of all series below.</p>\n",
                best.len() - ROWS
            ),
        );
    }
}

fn has_cost(series: &[&SeriesFinding]) -> bool {
    series.iter().any(|series| {
        series
            .recommended()
            .and_then(|size| size.point.measured)
            .is_some_and(|measured| measured.cost_per_mtoken_usd.is_some())
    })
}

/// One cell for each title but the first.
fn cells(findings: &Findings, series: &SeriesFinding, others: &[Axis]) -> [String; 8] {
    let size = series.recommended();
    let measured = size.and_then(|size| size.point.measured);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    [
        series.label(others),
        size.map_or_else(String::new, |size| size_cell(findings, size.point.size)),
        or_dash(measured.map(|m| seconds(m.step_time_s))),
        or_dash(measured.map(|m| match m.tokens_per_s {
            Some(tokens) => format!("{} tokens/s", decimal(tokens)),
            None => format!("{} samples/s", decimal(m.samples_per_s)),
        })),
        or_dash(measured.and_then(|m| m.mfu).map(percent)),
        or_dash(measured.and_then(|m| m.cost_per_mtoken_usd).map(dollars)),
        or_dash(
            size.and_then(|size| size.efficiency)
                .map(|efficiency| percent(efficiency.of_baseline)),
        ),
        breakdown_cell(findings, series),
    ]
}

fn size_cell(findings: &Findings, size: f64) -> String {
    match findings.size_axis {
        Axis::Gpus | Axis::Nodes => format!("{} GPUs", count(size)),
        other => format!("{other} {}", short_decimal(size)),
    }
}

/// `286 GPUs: batch exhausted`, or that it does not up to its largest size.
fn breakdown_cell(findings: &Findings, series: &SeriesFinding) -> String {
    let mut ran = series.sizes.iter().filter(|size| size.efficiency.is_some());
    let largest = ran.next_back().map_or(0.0, |size| size.point.size);
    if ran.next().is_none() {
        return "only one size ran".to_owned();
    }
    let cause = series
        .breakdown
        .cause
        .map(|cause| format!(": {}", cause.title()))
        .unwrap_or_default();
    match (series.breakdown.status, series.breakdown.size) {
        (BreakdownStatus::None, _) | (_, None) => {
            format!("not up to {}", size_cell(findings, largest))
        }
        (BreakdownStatus::Confirmed, Some(size)) => {
            format!("{}{cause}", size_cell(findings, size))
        }
        (BreakdownStatus::Unconfirmed, Some(size)) => {
            format!("{}{cause} (unconfirmed)", size_cell(findings, size))
        }
    }
}

fn never_ran(findings: &Findings, series: &SeriesFinding, by: &[Axis]) -> [String; 8] {
    let dash = || "–".to_owned();
    let why = why_nothing_ran(findings, series, by);
    [
        format!("nothing runs: {why}"),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
    ]
}
