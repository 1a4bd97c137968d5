//! The frame of a page and the sections that both kinds of studies have.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::analysis::ChartValues;
use crate::record::Counts;
use crate::report::chart::{self, Drawing, palette};
use crate::report::panels::{custom_chart, custom_chart_note};
use crate::report::quantity::count;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Title and origin of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Heading<'a> {
    /// Name of the study.
    pub name: &'a str,
    /// Question of the study; empty where the spec has none.
    pub question: &'a str,
    /// Version and hashes of the results.
    pub origin: &'a str,
}

/// A whole document around the body of a page.
pub(super) fn document(heading: &Heading<'_>, body: &Markup) -> String {
    let title = if heading.question.is_empty() {
        heading.name
    } else {
        heading.question
    };
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (heading.name) ": scaling report" }
                link rel="icon" href="data:,";
                style { (PreEscaped(style())) }
            }
            body {
                main {
                    h1 { (title) }
                    (body)
                    footer { p { (heading.origin) } }
                }
                div #tip role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    document.into_string() + "\n"
}

/// The style sheet: both colour schemes, the light one on paper whatever the screen shows.
fn style() -> String {
    let (light, dark) = (palette::LIGHT.properties(), palette::DARK.properties());
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
         {}{STYLE}",
        chart::STYLE
    )
}

/// A heading with charts in as many columns as fill their rows; nothing without charts.
pub(super) fn charts(title: &str, note: &str, charts: &[Drawing]) -> Markup {
    let columns = match charts.len() {
        0 => return Markup::default(),
        1 => "one",
        2 | 4 => "two",
        _ => "three",
    };
    html! {
        h2 { (title) }
        p.note { (note) }
        div class={ "grid " (columns) } { @for chart in charts { (chart.on_page()) } }
    }
}

/// The charts that a spec adds; nothing where it adds none.
pub(super) fn custom_charts(values: &[ChartValues]) -> Markup {
    let note: String = values.iter().map(custom_chart_note).collect();
    let drawn = values.iter().map(|values| custom_chart(values).draw());
    charts(
        "Charts of the spec",
        note.trim_end(),
        &drawn.collect::<Vec<_>>(),
    )
}

/// The field that filters the table of id `series`, and how many of its rows are shown.
pub(super) fn filter(example: &str, rows: usize) -> Markup {
    html! {
        div.tools {
            label { "Filter " input #filter type="search" placeholder=(example); }
            span #shown .soft role="status" { (rows) " of " (rows) }
        }
    }
}

/// The section of infeasible points, with an example of each kind of reason; nothing where all ran.
pub(super) fn infeasible(counts: &Counts, example: impl Fn(&str) -> Option<String>) -> Markup {
    if counts.reasons.is_empty() {
        return Markup::default();
    }
    html! {
        h2 { "What cannot run" }
        div.scroll {
            table {
                thead { tr { th.t { "reason" } th { "points" } th.t { "for example" } } }
                tbody {
                    @for (kind, points) in &counts.reasons {
                        tr {
                            td.t { (kind) }
                            td { (count(*points as f64)) }
                            td.t.long { (example(kind).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}
