//! The frame of a page and the sections that both kinds of studies have.

use itertools::Itertools;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::budget::Budget;
use crate::analysis::ChartValues;
use crate::record::Counts;
use crate::report::chart::{self, Drawing, palette};
use crate::report::panels::{custom_chart, custom_chart_note};
use crate::report::quantity::count;
use crate::visible::in_markup;

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
    /// How far the first choice can be trusted, in a sentence; empty where the rows have no spec beside them.
    pub trust: &'a str,
}

/// A part of a page, which the contents name.
pub(super) struct Section {
    title: String,
    body: Markup,
    /// Whether it shares a row with the one beside it.
    is_half: bool,
}

impl Section {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            body,
            is_half: false,
        }
    }

    /// Half as wide as the page.
    pub(super) fn half(self) -> Self {
        let is_half = true;
        Self { is_half, ..self }
    }

    /// With something on top.
    pub(super) fn below(self, above: &Markup) -> Self {
        let body = html! { (above) (self.body) };
        Self { body, ..self }
    }

    /// `how-far-it-scales`.
    fn id(&self) -> String {
        let letters = self.title.to_lowercase();
        let words = letters.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| !word.is_empty()).join("-")
    }

    fn markup(&self) -> Markup {
        html! { section id=(self.id()) { h2 { (self.title) } (self.body) } }
    }
}

/// A sentence whose words between backticks are code.
pub(super) fn prose(sentence: &str) -> Markup {
    html! {
        @for (place, words) in sentence.split('`').enumerate() {
            @if place % 2 == 1 { code { (words) } } @else { (words) }
        }
    }
}

/// Links to the sections.
fn contents(sections: &[Section]) -> Markup {
    html! {
        nav aria-label="Contents" {
            @for section in sections { a href={ "#" (section.id()) } { (section.title) } " " }
        }
    }
}

/// A whole document: title, contents, the answer, then the sections.
pub(super) fn document(heading: &Heading<'_>, answer: &Markup, sections: &[Section]) -> String {
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
                    (contents(sections))
                    (answer)
                    @for row in sections.chunk_by(|a, b| a.is_half && b.is_half) {
                        @if row[0].is_half { div.halves { @for section in row { (section.markup()) } } }
                        @else { @for section in row { (section.markup()) } }
                    }
                    footer { p { (heading.origin) } }
                }
                div #tip role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    in_markup(document.into_string()) + "\n"
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

/// A section with charts in as many columns as fill their rows; nothing without charts.
pub(super) fn charts(
    title: &str,
    note: &str,
    charts: &[Drawing],
    budget: &mut Budget,
) -> Option<Section> {
    let (drawn, left_out) = budget.fitting(charts);
    let columns = match drawn.len() {
        0 if !charts.is_empty() => "one",
        0 => return None,
        1 => "one",
        2 | 4 => "two",
        _ => "three",
    };
    let body = html! {
        p.note { (note) @if left_out > 0 { (left_out_words(left_out)) } }
        div class={ "grid " (columns) } { @for chart in drawn { (chart) } }
    };
    Some(Section::new(title, body))
}

/// Words on charts that the page has no room for.
pub(super) fn left_out_words(charts: usize) -> String {
    format!(
        " {charts} more of these charts would make the page too large; `sweep analyze --plots DIR` draws all."
    )
}

/// The field that finds series in all charts.
pub(super) fn finder(example: &str) -> Markup {
    html! {
        div.tools {
            label { "Find a series in the charts " input #find type="search" placeholder=(example); }
            span #found .soft role="status" {}
        }
    }
}

/// A table that scrolls inside its frame, for the keyboard too.
pub(super) fn scrolled(name: &str, class: Option<&str>, table: &Markup) -> Markup {
    html! {
        div class={ "scroll" @if let Some(class) = class { " " (class) } } role="region" aria-label=(name) tabindex="0" {
            (table)
        }
    }
}

/// The charts that a spec adds; nothing where it adds none.
pub(super) fn custom_charts(values: &[ChartValues], budget: &mut Budget) -> Option<Section> {
    let note: String = values.iter().map(custom_chart_note).collect();
    let drawn = values.iter().map(|values| custom_chart(values).draw());
    charts(
        "Charts of the spec",
        note.trim_end(),
        &drawn.collect::<Vec<_>>(),
        budget,
    )
}

/// The field that filters the table of id `series`, and how many of its rows are shown.
pub(super) fn filter(example: &str, rows: usize) -> Markup {
    html! {
        div.tools {
            label { "Filter " input #filter type="search" placeholder=(example); }
            span #shown .soft role="status" { (rows) " of " (rows) }
            button #csv type="button" { "Export as CSV" }
        }
    }
}

/// The section of infeasible points, with an example of each kind of reason; nothing where all ran.
pub(super) fn infeasible(
    counts: &Counts,
    example: impl Fn(&str) -> Option<String>,
) -> Option<Section> {
    const TITLE: &str = "What cannot run";
    if counts.reasons.is_empty() {
        return None;
    }
    let table = html! {
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
    };
    Some(Section::new(TITLE, scrolled(TITLE, None, &table)))
}
