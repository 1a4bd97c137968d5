//! The page of a comparison of values.

use maud::{Markup, html};

use super::budget::Budget;
use super::document::{
    Heading, Section, custom_charts, document, filter, infeasible, prose, scrolled,
};
use crate::analysis::{ChartValues, ComparedJob, ComparedValue, Comparison};
use crate::report::comparison::{comparison_sentences, job_label, value_words, why};
use crate::report::prices::compared_prices_words;
use crate::report::quantity::{count, dollars, percent, seconds, three_digits};
use crate::report::words::{counts_line, rate_words};

/// The page of a comparison: the fastest value of each job, and a table of all.
pub(crate) fn comparison_page(
    found: &Comparison,
    custom: &[ChartValues],
    heading: &Heading<'_>,
) -> String {
    let jobs = found.groups.iter();
    let rows: Vec<(&ComparedJob, &ComparedValue)> = jobs
        .flat_map(|job| job.values.iter().map(move |value| (job, value)))
        .collect();
    let example = |kind: &str| {
        let of_kind = rows.iter().find(|(_, value)| {
            let reason = value.point.reason.as_ref();
            reason.is_some_and(|reason| reason.kind() == kind)
        });
        let (_, value) = of_kind?;
        let reason = value.point.reason.as_ref()?;
        Some(format!("point {}: {}", value.point.point, reason.as_str()))
    };
    let answer = html! {
        div.answer { @for sentence in comparison_sentences(found) { p { (prose(&sentence)) } } }
        p.soft { (counts_line(&found.counts)) "." }
        @if let Some(prices) = compared_prices_words(found) { p.soft { (prose(&prices)) } }
    };
    let mut budget = Budget::default();
    let custom = custom_charts(custom, &mut budget);
    let rows_shown = (!rows.is_empty()).then(|| table(found, &rows, &budget));
    let sections = custom.into_iter().chain(rows_shown);
    let sections = sections.chain(infeasible(&found.counts, example));
    document(heading, &answer, &sections.collect::<Vec<_>>())
}

fn table(found: &Comparison, rows: &[(&ComparedJob, &ComparedValue)], budget: &Budget) -> Section {
    const TITLE: &str = "All values";
    let example = rows.first().map(|(job, value)| row(found, job, value));
    let shown = &rows[..rows.len().min(budget.rows(example.as_ref()))];
    let axis = found.axis.as_str();
    let titles = [
        ("job", Some("t")),
        (axis, Some("t")),
        ("step", None),
        ("rate /s", None),
        ("times the fastest", None),
        ("MFU", None),
        ("USD / M tokens", None),
        ("layout", Some("t")),
    ];
    let body = html! {
        p.note {
            @if rows.len() > shown.len() {
                "The first " (count(shown.len() as f64)) " of " (count(rows.len() as f64)) " rows; points.parquet holds all. "
            }
            "Jobs differ in " (axis) " alone; the fastest value first. Click a heading to sort."
        }
        (filter("h100 …", shown.len()))
        (scrolled(TITLE, Some("tall"), &html! {
            table #series {
                thead {
                    tr {
                        @for (title, class) in titles {
                            th class=[class] { button type="button" { (title) } }
                        }
                    }
                }
                tbody { @for (job, value) in shown { (row(found, job, value)) } }
            }
        }))
    };
    Section::new(TITLE, body)
}

fn row(found: &Comparison, job: &ComparedJob, value: &ComparedValue) -> Markup {
    let measured = value.point.measured.as_ref();
    // What is absent sorts behind all others.
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |it| it.to_string());
    let step = measured.map(|it| it.step_time_s);
    let rate = measured.map(|it| it.tokens_per_s.unwrap_or(it.samples_per_s));
    let (mfu, cost) = (
        measured.and_then(|it| it.mfu),
        measured.and_then(|it| it.cost_per_mtoken_usd),
    );
    let times = value.times_fastest;
    html! {
        tr {
            td.t { (job_label(found, job)) }
            td.t { (value_words(value.value.as_ref())) }
            td data-v=(number(step)) { (step.map(seconds).unwrap_or_default()) }
            td data-v=(number(rate)) { (measured.map(rate_words).unwrap_or_default()) }
            td data-v=(number(times)) { (times.map(three_digits).unwrap_or_default()) }
            td data-v=(number(mfu)) { (mfu.map(percent).unwrap_or_default()) }
            td data-v=(number(cost)) { (cost.map(dollars).unwrap_or_default()) }
            td.t {
                @match measured {
                    Some(measured) => { (measured.layout.words()) }
                    None => { "cannot run: " (why(value)) }
                }
            }
        }
    }
}
