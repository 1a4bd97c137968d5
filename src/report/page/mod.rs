//! `report.html`: one page that needs nothing but itself.

mod table;

use crate::analysis::{Findings, SizeFinding};
use crate::report::answer::sentences;
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::panels::{
    Panel, cost_chart, efficiency_chart, memory_chart, panels, parts_chart, rate_chart,
};
use crate::report::quantity::percent;
use crate::report::text::counts_line;

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

/// The page.
pub fn page(findings: &Findings, heading: &Heading<'_>) -> String {
    let title = if heading.question.is_empty() {
        heading.name
    } else {
        heading.question
    };
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: scaling report</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        name = escaped(heading.name),
        title = escaped(title),
    );
    push_answer(&mut html, findings);
    if findings.counts.ok > 0 {
        push_charts(&mut html, findings);
        table::push_series(&mut html, findings);
    }
    push_infeasible(&mut html, findings);
    push_reading(&mut html, findings);
    push(
        &mut html,
        format_args!(
            "<footer><p>{}</p></footer>\n</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            escaped(heading.origin)
        ),
    );
    html
}

fn push_answer(html: &mut String, findings: &Findings) {
    html.push_str("<div class=\"answer\"><ul>\n");
    for sentence in sentences(findings) {
        push(html, format_args!("<li>{}</li>\n", escaped(&sentence)));
    }
    html.push_str("</ul></div>\n");
    push(
        html,
        format_args!(
            "<p class=\"soft\">{}.</p>\n",
            escaped(&counts_line(&findings.counts))
        ),
    );
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
    let section = |html: &mut String, title: &str, note: &str, charts: Vec<String>| {
        if !charts.is_empty() {
            push(
                html,
                format_args!(
                    "<h2>{title}</h2>\n<p class=\"note\">{note}</p>\n<div class=\"grid\">\n{}\n</div>\n",
                    charts.join("\n")
                ),
            );
        }
    };
    let draw =
        |chart: &dyn Fn(&Panel<'_>) -> Option<String>| panels.iter().filter_map(chart).collect();
    section(
        html,
        "How fast",
        "Both axes are logarithmic; dashed: the ideal line of the fastest series. A ring marks the \
         first size of a confirmed breakdown.",
        draw(&|panel| Some(rate_chart(findings, panel).svg())),
    );
    section(
        html,
        "How efficient",
        "Rate per GPU against the smallest size that ran.",
        draw(&|panel| Some(efficiency_chart(findings, panel).svg())),
    );
    section(
        html,
        "What takes the time",
        "GPU-seconds per sample of the fastest series by exclusive part: what grows is what stops \
         scaling. A gap is a size that did not run.",
        draw(&|panel| parts_chart(findings, panel).map(|chart| chart.svg())),
    );
    section(
        html,
        "Memory",
        "Peak of the fullest GPU.",
        draw(&|panel| memory_chart(findings, panel).map(|chart| chart.svg())),
    );
    section(
        html,
        "Cost against time",
        "Every point of the study; nothing beats the points on the front in both.",
        draw(&|panel| cost_chart(findings, panel).map(|chart| chart.svg())),
    );
}

/// Why points did not run, by kind, with one example each.
fn push_infeasible(html: &mut String, findings: &Findings) {
    if findings.counts.reasons.is_empty() {
        return;
    }
    html.push_str(
        "<h2>What cannot run</h2>\n<div class=\"scroll\"><table><thead><tr><th class=\"t\">reason</th>\
         <th>points</th><th class=\"t\">for example</th></tr></thead><tbody>\n",
    );
    for (kind, rows) in &findings.counts.reasons {
        let example = findings
            .series
            .iter()
            .flat_map(|series| &series.sizes)
            .find_map(|size| example_of(size, kind))
            .unwrap_or_default();
        push(
            html,
            format_args!(
                "<tr><td class=\"t\">{}</td><td>{rows}</td><td class=\"t\">{}</td></tr>\n",
                escaped(kind),
                escaped(&example)
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
