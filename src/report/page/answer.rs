//! The first screen: the answer in sentences, and the fastest series of each model.

use maud::{Markup, html};

use crate::analysis::{Findings, SeriesFinding};
use crate::report::answer::{sentences_beside_table, why_nothing_ran};
use crate::report::quantity::{dollars, percent, seconds};
use crate::report::series_row::{BreaksAt, SeriesRow};
use crate::report::words::{counts_line, rate_words, size_phrase};

/// Most rows of the table of answers.
const ROWS: usize = 8;

/// The answer: where scaling ends in sentences, and the fastest series of each model.
pub(super) fn answer(findings: &Findings) -> Markup {
    html! {
        div.answer {
            @for sentence in sentences_beside_table(findings) { p { (sentence) } }
            @if findings.counts.ok > 0 { (choices(findings)) }
        }
        p.soft { (counts_line(&findings.counts)) "." }
    }
}

/// One row per model: the fastest series and its fastest size within the threshold.
fn choices(findings: &Findings) -> Markup {
    let by = findings.answered_by();
    let best = findings.answers();
    let others = findings.other_axes();
    let has_cost = |series: &&SeriesFinding| {
        let measured = series.recommended().and_then(|size| size.point.measured);
        measured.is_some_and(|measured| measured.cost_per_mtoken_usd.is_some())
    };
    // Titles, and whether a study has the column.
    let titles = [
        ("fastest with", !others.is_empty()),
        ("at", true),
        ("step", true),
        ("rate", true),
        ("MFU", true),
        ("USD per M tokens", best.iter().any(has_cost)),
        ("efficient", true),
        ("breaks down at", true),
    ];
    let shown = || titles.iter().filter(|(_, shown)| *shown);
    html! {
        div.scroll.cards {
            table {
                caption { "Fastest within " (percent(findings.threshold)) " efficiency" }
                thead {
                    tr {
                        @if !by.is_empty() { th.t {} }
                        @for (title, _) in shown() { th.t { (title) } }
                    }
                }
                tbody {
                    @for series in best.iter().take(ROWS) {
                        tr {
                            @if !by.is_empty() { th.t { (series.label(by)) } }
                            // A narrow page shows the title before each cell.
                            @for (cell, (title, _)) in cells(findings, series).iter().zip(&titles)
                                .filter(|(_, (_, shown))| *shown) {
                                td.t data-of=(title) { (cell) }
                            }
                        }
                    }
                }
            }
        }
        @if best.len() > ROWS {
            p.note { (best.len() - ROWS) " more models are in the table of all series below." }
        }
    }
}

/// One cell for each title.
fn cells(findings: &Findings, series: &SeriesFinding) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let row = SeriesRow::new(findings, series);
    let phrase = |size: f64| size_phrase(findings.size_axis, size);
    let why = || why_nothing_ran(findings, series);
    let cause = row.cause.map(|cause| format!(": {}", cause.title()));
    let cause = cause.unwrap_or_default();
    [
        match row.size {
            Some(_) => series.label(&findings.other_axes()),
            None => format!("nothing runs: {}", why()),
        },
        or_dash(row.size.map(phrase)),
        or_dash(row.step_time_s.map(seconds)),
        or_dash(row.measured.as_ref().map(rate_words)),
        or_dash(row.mfu.map(percent)),
        or_dash(row.cost_per_mtoken_usd.map(dollars)),
        or_dash(row.efficiency.map(percent)),
        match row.breaks_at {
            BreaksAt::NeverRan => "–".to_owned(),
            BreaksAt::OneSize => "only one size ran".to_owned(),
            BreaksAt::Beyond(largest) => format!("not up to {}", phrase(largest)),
            BreaksAt::Confirmed(size) => format!("{}{cause}", phrase(size)),
            BreaksAt::Unconfirmed(size) => format!("{}{cause} (unconfirmed)", phrase(size)),
        },
    ]
}
