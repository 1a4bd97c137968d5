//! The first screen: the answer in sentences, and the choices of each model.

use maud::{Markup, html};

use super::document::{prose, scrolled};
use crate::analysis::{Answer, CostUnit, Findings};
use crate::report::answer::{over_the_measure, sentences_beside_table, why_nothing_ran};
use crate::report::brief::answer_in_brief;
use crate::report::choices::{NamedChoice, named_choices};
use crate::report::quantity::{percent, seconds};
use crate::report::series_row::{BreaksAt, SeriesRow};
use crate::report::summary::short_label;
use crate::report::words::{counts_line, point_number, rate_words, size_number, size_unit};

/// Most models of the table.
const MODELS: usize = 8;

/// Rows of the table that fit the first screen, at least two for each model.
const ROWS: usize = 12;

/// Letters of a choice's values with their names; the table has longer ones in short.
const WITH: usize = 30;

/// Columns that a narrow page leaves out.
const MORE: [&str; 2] = ["step", "rate"];

/// The answer in a sentence or two, how far to trust it, the choices of each model; then where scaling ends.
pub(super) fn answer(findings: &Findings, trust: &str) -> Markup {
    let first = answer_in_brief(findings);
    html! {
        div.answer {
            @for sentence in &first { p { (prose(sentence)) } }
            @if !trust.is_empty() { p { (prose(trust)) } }
            @if findings.counts.ok > 0 { (choices(findings)) }
        }
        @for sentence in sentences_beside_table(findings).iter().filter(|it| !first.contains(it)) { p { (prose(sentence)) } }
        p.soft { (counts_line(&findings.counts)) "." }
    }
}

/// A row for each choice of a model that is named: the fastest, the cheapest, some between.
fn choices(findings: &Findings) -> Markup {
    let by = findings.answered_by();
    let shown = &findings.answers[..findings.answers.len().min(MODELS)];
    let most = (ROWS / shown.len().max(1)).clamp(2, 5);
    let costs_money = shown.iter().any(|answer| answer.cost_unit == CostUnit::Usd);
    let named = shown
        .iter()
        .flat_map(|answer| named_choices(findings, answer, most));
    let named: Vec<NamedChoice<'_>> = named.collect();
    let is_whole = named.iter().any(|choice| choice.size.training.is_some());
    let over = over_the_measure(named.iter().map(|choice| (choice.series, choice.size)));
    // Titles, and whether a study has the column.
    let titles = [
        ("model", !by.is_empty()),
        ("choice", true),
        ("with", !findings.other_dimensions().is_empty()),
        (size_unit(findings.size_axis), true),
        ("point", true),
        ("time", is_whole),
        ("cost", true),
        ("step", true),
        ("rate", true),
        ("MFU", true),
        ("efficient", true),
        ("breaks at", true),
    ];
    let has_column = |place: &usize| titles[*place].1;
    let columns: Vec<usize> = (0..titles.len()).filter(has_column).collect();
    let left_out = findings.answers.len() - shown.len();
    let than = if costs_money {
        "cheaper"
    } else {
        "of fewer GPU-hours"
    };
    html! {
        (scrolled("Choices", Some("cards"), &html! {
            table {
                caption { "The choices: nothing else is both faster and " (than) " than one of these" }
                thead { tr { @for place in &columns { th.t { (titles[*place].0) } } } }
                tbody {
                    @for cells in shown.iter().flat_map(|answer| rows(findings, answer, most)) {
                        tr.between[cells.is_between] {
                            // A narrow page shows the title before each cell.
                            @for place in &columns {
                                td.t.wraps[*place == 2].more[MORE.contains(&titles[*place].0)] data-of=(titles[*place].0) {
                                    (cells.texts[*place])
                                }
                            }
                        }
                    }
                }
            }
        }))
        @if let Some(over) = over { p.note { (over) } }
        @if left_out > 0 {
            p.note { (left_out) " more models are in the table of all series below." }
        }
    }
}

/// Cells of the table, one for each title.
struct Cells {
    texts: [String; 12],
    /// Whether the choice is neither the fastest nor the cheapest, so that a narrow page leaves it out.
    is_between: bool,
}

/// The rows of an answer, a cell for each title.
fn rows(findings: &Findings, answer: &Answer, most: usize) -> Vec<Cells> {
    let series = findings.series_of(answer);
    let model = series.label(findings.answered_by());
    let choices = named_choices(findings, answer, most);
    if choices.is_empty() {
        let why = format!("nothing runs: {}", why_nothing_ran(findings, series));
        let mut texts = std::array::from_fn(|_| "–".to_owned());
        (texts[0], texts[1]) = (model, why);
        return vec![Cells {
            texts,
            is_between: false,
        }];
    }
    let rows = choices.iter();
    rows.map(|choice| cells(findings, &model, choice)).collect()
}

fn cells(findings: &Findings, model: &str, choice: &NamedChoice<'_>) -> Cells {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let row = SeriesRow::new(findings, choice.series);
    let number = |size: f64| size_number(findings.size_axis, size);
    let cause = row.cause.map(|cause| format!(" {}", cause.short()));
    let cause = cause.unwrap_or_default();
    let efficiency = choice.size.efficiency;
    let texts = [
        model.to_owned(),
        choice.title.to_owned(),
        match choice.series.label(&findings.other_dimensions()) {
            label if label.chars().count() > WITH => short_label(&row, findings.answered_by()),
            label => label,
        },
        number(choice.size.point.size),
        point_number(findings, choice.choice),
        seconds(choice.choice.time_s),
        or_dash(choice.cost_alone()),
        seconds(choice.measured.step_time_s),
        rate_words(&choice.measured),
        or_dash(choice.measured.mfu.map(percent)),
        or_dash(efficiency.map(|it| percent(it.of_baseline))),
        match row.breaks_at {
            BreaksAt::NeverRan => "–".to_owned(),
            BreaksAt::OneSize => "only one size ran".to_owned(),
            BreaksAt::Beyond(largest) => format!("> {}", number(largest)),
            BreaksAt::Confirmed(size) => format!("{}{cause}", number(size)),
            BreaksAt::Unconfirmed(size) => format!("{}{cause}, unconfirmed", number(size)),
        },
    ];
    Cells {
        texts,
        is_between: choice.title == "between",
    }
}
