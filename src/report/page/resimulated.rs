//! Answers from re-simulated points, as tables.

use maud::{Markup, html};

use super::document::{Section, scrolled};
use crate::analysis::{Findings, PointAdvice, Resource, SeriesFinding};
use crate::report::quantity::{count, percent};
use crate::report::resimulated::{FrozenEnd, frozen_end, gains_words, heading, point_size};
use crate::report::words::cause_words;

/// Most rows of the table of frozen curves.
const ROWS: usize = 40;

/// The changes that would help, and what a frozen layout would change.
pub(super) fn resimulated(findings: &Findings) -> impl Iterator<Item = Section> {
    help(findings).into_iter().chain(frozen(findings))
}

fn help(findings: &Findings) -> Option<Section> {
    const TITLE: &str = "What would help";
    let points = findings.advice.as_ref().map_or(&[][..], |it| &it.points);
    if points.is_empty() {
        return None;
    }
    let body = html! {
        p.note {
            (heading(findings)) " best first; below zero is faster. The columns behind it are the sensitivities \
             at a fixed layout: the percent by which 1% more of each resource (latency and host: 1% less) shortens \
             the step. Every part of a step depends on one resource, so they add up to 1."
        }
        (scrolled(TITLE, None, &html! {
            table {
                thead {
                    tr {
                        th.t { "series" } th.t { "size" } th.t { "would help" }
                        @for resource in Resource::ALL { th.wraps { (resource.title()) } }
                    }
                }
                tbody { @for point in points { (point_row(findings, point)) } }
            }
        }))
    };
    Some(Section::new(TITLE, body))
}

fn point_row(findings: &Findings, point: &PointAdvice) -> Markup {
    let series = &findings.series[point.series as usize];
    let sensitivity = |resource: &Resource| {
        let found = (point.elasticities.iter()).find(|it| it.resource == *resource);
        let text = found.map(|it| format!("{:.2}", it.percent_per_percent));
        // Below zero only by rounding, but where the algorithm changes.
        text.map(|text| text.replace("-0.00", "0.00"))
    };
    html! {
        tr {
            td.t.wraps { (series.label(&findings.varied)) }
            td.t.wraps { (point_size(findings, point)) }
            td.t.long { (gains_words(point)) }
            @for resource in Resource::ALL { td { (sensitivity(resource).unwrap_or_default()) } }
        }
    }
}

/// A series and its curve with a frozen layout.
type Pair<'a> = (&'a SeriesFinding, &'a SeriesFinding);

/// Series that would end otherwise with the layout of their smallest size.
fn frozen(findings: &Findings) -> Option<Section> {
    const TITLE: &str = "Layout frozen";
    let pairs: Vec<Pair<'_>> = findings
        .frozen
        .iter()
        .map(|frozen| (&findings.series[frozen.of_series as usize], frozen))
        .filter(|(series, frozen)| frozen_end(series, frozen) != FrozenEnd::Alike)
        .collect();
    if pairs.is_empty() {
        return None;
    }
    // Where breakdowns differ, series that only end earlier are told in number: their rows would be all but empty.
    let (mut pairs, mut short): (Vec<Pair<'_>>, Vec<Pair<'_>>) = pairs
        .into_iter()
        .partition(|(series, frozen)| frozen_end(series, frozen) != FrozenEnd::EndsEarlier);
    if pairs.is_empty() {
        std::mem::swap(&mut pairs, &mut short);
    }
    let breaks = pairs.iter().any(|(series, frozen)| {
        let mut both = [series, frozen].into_iter();
        both.any(|it| it.breakdown.confirmed_size().is_some())
    });
    let body = html! {
        p.note {
            "Every series that would end otherwise if the layout did not adapt and only data parallelism grew."
            @if !short.is_empty() {
                " " (short.len()) " more break down nowhere but cannot run at their largest sizes; scaling.parquet has them."
            }
            @if pairs.len() > ROWS {
                " The first " (ROWS) " of " (pairs.len()) "; scaling.parquet holds all."
            }
        }
        (scrolled(TITLE, None, &html! {
            table {
                thead {
                    tr {
                        th.t { "series" }
                        @if breaks { th { "breaks at" } th.t { "cause" } th.wraps { "frozen: breaks at" } th.t { "cause" } }
                        th { "largest size" } th { "frozen: largest" } th.t { "frozen layout" }
                    }
                }
                tbody {
                    @for (series, frozen) in pairs.into_iter().take(ROWS) {
                        tr {
                            td.t.wraps { (series.label(&findings.varied)) }
                            @if breaks {
                                td { (breaks_at(series)) }
                                td.t.wraps { (cause_words(series)) }
                                td { (breaks_at(frozen)) }
                                td.t.wraps { (cause_words(frozen)) }
                            }
                            td { (largest(series)) }
                            td { (largest(frozen)) }
                            td.t.wraps {
                                @if let Some((_, measured)) = frozen.ran().next() { (measured.layout.words()) }
                            }
                        }
                    }
                }
            }
        }))
    };
    Some(Section::new(TITLE, body))
}

fn breaks_at(series: &SeriesFinding) -> String {
    let size = series.breakdown.confirmed_size();
    size.map_or_else(|| "–".to_owned(), count)
}

/// The largest size that ran, with its efficiency.
fn largest(series: &SeriesFinding) -> String {
    let sizes = series.sizes.iter().rev();
    let mut ran = sizes.filter_map(|size| Some((size.point.size, size.efficiency?.of_baseline)));
    ran.next().map_or_else(
        || "–".to_owned(),
        |(size, efficiency)| format!("{} ({})", count(size), percent(efficiency)),
    )
}
