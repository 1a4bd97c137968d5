//! `report.html`: one page that needs nothing but itself.

mod again;
mod answer;
mod collective;
mod table;

pub use collective::collective_page;
pub use table::ROWS as TABLE_ROWS;

use crate::analysis::{Findings, SizeFinding};
use crate::report::chart::{self, escaped, palette};
use crate::report::markup::push;
use crate::report::panels::{
    Panel, cost_chart, efficiency_chart, memory_chart, panels, parts_chart, rate_chart, reach_chart,
};
use crate::report::quantity::{count, percent};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What stands on a page besides the findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Heading<'a> {
    /// Name of the study.
    pub name: &'a str,
    /// Its question; empty where the spec has none.
    pub question: &'a str,
    /// Where the results come from: version, hashes.
    pub origin: &'a str,
}

/// The page of a training study.
pub fn page(findings: &Findings, heading: &Heading<'_>) -> String {
    let mut body = String::new();
    answer::push_answer(&mut body, findings);
    if findings.counts.ok > 0 {
        push_charts(&mut body, findings);
        again::push_again(&mut body, findings);
        table::push_series(&mut body, findings);
    }
    let example = |kind: &str| {
        findings
            .series
            .iter()
            .flat_map(|series| &series.sizes)
            .find_map(|size| example_of(size, kind))
            .unwrap_or_default()
    };
    let reasons: Vec<(&str, u64, String)> = findings
        .counts
        .reasons
        .iter()
        .map(|(kind, rows)| (kind.as_str(), *rows, example(kind)))
        .collect();
    push_infeasible(&mut body, &reasons);
    push_reading(&mut body, findings);
    document(heading, &body)
}

/// A whole document around the body of a page.
fn document(heading: &Heading<'_>, body: &str) -> String {
    let title = if heading.question.is_empty() {
        heading.name
    } else {
        heading.question
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: scaling report</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\
         <footer><p>{origin}</p></footer>\n</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        style = style(),
        name = escaped(heading.name),
        title = escaped(title),
        origin = escaped(heading.origin),
    )
}

/// The style sheet: both schemes, the light one on paper whatever the screen shows.
fn style() -> String {
    let (light, dark) = (palette::LIGHT.properties(), palette::DARK.properties());
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
         {}{STYLE}",
        chart::STYLE
    )
}

fn push_charts(html: &mut String, findings: &Findings) {
    let (panels, hidden) = panels(findings);
    let shown: usize = panels.iter().map(|panel| panel.lines.len()).sum();
    if shown < findings.series.len() {
        push(
            html,
            format_args!(
                "<p class=\"note\">The charts show {shown} of {} series: the fastest of each group, at \
             most eight per chart{}. The table below holds the others.</p>\n",
                findings.series.len(),
                match hidden {
                    0 => String::new(),
                    n => format!(", and leave out {n} models"),
                }
            ),
        );
    }
    let draw = |chart: &dyn Fn(&Panel<'_>) -> Option<String>| -> Vec<String> {
        panels.iter().filter_map(chart).collect()
    };
    push_section(
        html,
        "How far it scales",
        "One row per series: filled where it runs within the threshold, hollow under it, a cross where \
         it cannot run. The ring is the breakdown point; behind it stands what breaks it.",
        &draw(&|panel| reach_chart(findings, panel).map(|chart| chart.draw().on_page())),
    );
    push_section(
        html,
        "How fast",
        "Both axes are logarithmic; dashed: the ideal line of the fastest series. A ring marks a \
         confirmed breakdown.",
        &draw(&|panel| Some(rate_chart(findings, panel).draw().on_page())),
    );
    push_section(
        html,
        "How efficient",
        "Rate per GPU against the smallest size that ran. The axis need not start at zero. Dashed, where it \
         differs: the same series with the layout of its smallest size, only data parallelism growing.",
        &draw(&|panel| efficiency_chart(findings, panel).map(|chart| chart.draw().on_page())),
    );
    push_section(
        html,
        "What takes the time",
        "GPU-seconds per sample by exclusive part: what grows is what stops scaling. Shown is the \
         fastest series that breaks down, else the fastest.",
        &draw(&|panel| parts_chart(findings, panel).map(|chart| chart.draw().on_page())),
    );
    push_section(
        html,
        "Memory",
        "Peak of the fullest GPU against what a GPU has for it, by size.",
        &draw(&|panel| memory_chart(findings, panel).map(|chart| chart.draw().on_page())),
    );
    push_section(
        html,
        "Cost against time",
        "Every point of the study; nothing beats the points on the front in both.",
        &draw(&|panel| cost_chart(findings, panel).map(|chart| chart.draw().on_page())),
    );
}

/// A heading with charts in as many columns as fill their rows.
fn push_section(html: &mut String, title: &str, note: &str, charts: &[String]) {
    let columns = match charts.len() {
        0 => return,
        1 => "one",
        2 | 4 => "two",
        _ => "three",
    };
    push(
        html,
        format_args!(
            "<h2>{title}</h2>\n<p class=\"note\">{note}</p>\n<div class=\"grid {columns}\">\n{}\n</div>\n",
            charts.join("\n")
        ),
    );
}

/// Why points did not run: the kind of the reason, how many, and one example.
fn push_infeasible(html: &mut String, reasons: &[(&str, u64, String)]) {
    if reasons.is_empty() {
        return;
    }
    html.push_str(
        "<h2>What cannot run</h2>\n<div class=\"scroll\"><table><thead><tr><th class=\"t\">reason</th>\
         <th>points</th><th class=\"t\">for example</th></tr></thead><tbody>\n",
    );
    for (kind, rows, example) in reasons {
        push(
            html,
            format_args!(
                "<tr><td class=\"t\">{}</td><td>{}</td><td class=\"t long\">{}</td></tr>\n",
                escaped(kind),
                count(*rows as f64),
                escaped(example)
            ),
        );
    }
    html.push_str("</tbody></table></div>\n");
}

fn example_of(size: &SizeFinding, kind: &str) -> Option<String> {
    let reason = size.point.reason.as_ref()?;
    (reason.kind() == kind).then(|| format!("point {}: {}", size.point.point, reason.as_str()))
}

fn push_reading(html: &mut String, findings: &Findings) {
    push(
        html,
        format_args!(
            "<h2>How to read this</h2>\n\
         <p>Efficiency is the rate per GPU over that of the smallest size that ran; strong series keep \
         the global batch, weak ones the batch per GPU. A series breaks down where efficiency falls under \
         {threshold} and stays there for at least two sizes; the size is interpolated in log size. \
         A question mark: only the largest size lies under it. The cause is the part whose GPU-seconds \
         per sample grow most from the last good size to the first bad one; a batch is exhausted where \
         every replica has one microbatch left.</p>\n\
         <p>Serial fractions are Amdahl's (Gustafson's for weak series), referred to one GPU, fitted on \
         log time, with 95% bounds by jackknife. Layouts are chosen anew at each size unless the study \
         fixes them.</p>\n",
            threshold = percent(findings.threshold)
        ),
    );
}
