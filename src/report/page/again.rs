//! What simulating points again says, as tables.

use crate::analysis::{AskedAs, Findings, PointAdvice, Resource, SeriesFinding};
use crate::report::again::{FrozenEnd, cause_words, frozen_end, gains_words, heading};
use crate::report::answer::size_words;
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::quantity::{count, percent};

/// Rows of the table of frozen curves at most.
const ROWS: usize = 40;

/// Appends what would help, and what a frozen layout would change.
pub(super) fn push_again(html: &mut String, findings: &Findings) {
    push_help(html, findings);
    push_frozen(html, findings);
}

fn push_help(html: &mut String, findings: &Findings) {
    let Some(advice) = &findings.advice else {
        return;
    };
    if advice.points.is_empty() {
        return;
    }
    push(
        html,
        format_args!(
            "<h2>What would help</h2>\n<p class=\"note\">{heading} best first; below zero is faster. Behind it, what the \
             step hangs on: the percent that it gets shorter by 1% more of each resource (1% less of latency and of the \
             host’s work), the layout held; a step is the sum of its causes, so they add up to 1.</p>\n\
             <div class=\"scroll\"><table><thead><tr><th class=\"t\">series</th><th class=\"t\">size</th>\
             <th class=\"t\">would help</th>",
            heading = escaped(&heading(findings))
        ),
    );
    for resource in Resource::ALL {
        push(html, format_args!("<th>{}</th>", escaped(resource.title())));
    }
    html.push_str("</tr></thead><tbody>\n");
    for point in &advice.points {
        push_point(html, findings, point);
    }
    html.push_str("</tbody></table></div>\n");
}

fn push_point(html: &mut String, findings: &Findings, point: &PointAdvice) {
    let series = &findings.series[point.series as usize];
    let broken = match point.asked_as {
        AskedAs::Recommended => "",
        AskedAs::Broken => ", under the threshold",
    };
    push(
        html,
        format_args!(
            "<tr><td class=\"t\">{}</td><td class=\"t\">{}{broken}</td><td class=\"t long\">{}</td>",
            escaped(&series.label(&findings.varied)),
            escaped(&size_words(findings.size_axis, &series.sizes[point.place])),
            escaped(&gains_words(point))
        ),
    );
    for resource in Resource::ALL {
        let value = point
            .elasticities
            .iter()
            .find(|elasticity| elasticity.resource == *resource)
            .map_or_else(String::new, |it| {
                // A jump of the algorithm aside, nothing here is below zero but by rounding.
                format!("{:.2}", it.percent_per_percent + 0.0)
            });
        push(
            html,
            format_args!("<td>{}</td>", value.replace("-0.00", "0.00")),
        );
    }
    html.push_str("</tr>\n");
}

/// Series that would end otherwise with the layout of their smallest size.
fn push_frozen(html: &mut String, findings: &Findings) {
    let pairs: Vec<(&SeriesFinding, &SeriesFinding)> = findings
        .frozen
        .iter()
        .map(|frozen| (&findings.series[frozen.of_series as usize], frozen))
        .filter(|(series, frozen)| frozen_end(series, frozen) != FrozenEnd::Alike)
        .collect();
    if pairs.is_empty() {
        return;
    }
    let shown = match pairs.len() {
        all if all > ROWS => format!(" The first {ROWS} of {all}; scaling.parquet holds all."),
        _ => String::new(),
    };
    push(
        html,
        format_args!(
            "<h2>With the layout of the smallest size</h2>\n<p class=\"note\">What the fabric does when the layout \
             does not adapt: every series that would end otherwise if only data parallelism grew.{shown}</p>\n\
             <div class=\"scroll\"><table><thead><tr><th class=\"t\">series</th><th>breaks at</th>\
             <th class=\"t\">because of</th><th>frozen: breaks at</th><th class=\"t\">because of</th>\
             <th>largest size</th><th>frozen: largest</th><th class=\"t\">frozen layout</th></tr></thead><tbody>\n"
        ),
    );
    for (series, frozen) in pairs.into_iter().take(ROWS) {
        let layout = frozen
            .baseline()
            .and_then(|size| size.point.measured)
            .map_or_else(String::new, |measured| measured.layout.words());
        push(
            html,
            format_args!(
                "<tr><td class=\"t\">{}</td><td>{}</td><td class=\"t\">{}</td><td>{}</td><td class=\"t\">{}</td>\
                 <td>{}</td><td>{}</td><td class=\"t\">{}</td></tr>\n",
                escaped(&series.label(&findings.varied)),
                breaks_at(series),
                escaped(&cause_words(series)),
                breaks_at(frozen),
                escaped(&cause_words(frozen)),
                largest(series),
                largest(frozen),
                escaped(&layout)
            ),
        );
    }
    html.push_str("</tbody></table></div>\n");
}

fn breaks_at(series: &SeriesFinding) -> String {
    series
        .breakdown
        .confirmed_size()
        .map_or_else(|| "–".to_owned(), count)
}

/// The largest size that ran, with its efficiency.
fn largest(series: &SeriesFinding) -> String {
    let last = series
        .sizes
        .iter()
        .rev()
        .find_map(|size| Some((size.point.size, size.efficiency?.of_baseline)));
    last.map_or_else(
        || "–".to_owned(),
        |(size, efficiency)| format!("{} ({})", count(size), percent(efficiency)),
    )
}
