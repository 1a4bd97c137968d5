//! The page of a collective study.

use maud::{Markup, html};

use super::budget::Budget;
use super::document::{
    Heading, Section, custom_charts, document, filter, finder, infeasible, left_out_words, prose,
    scrolled,
};
use crate::analysis::{ChartValues, CollectiveJob, Collectives};
use crate::report::busbw::{TRUST, busbw_sentences, carried_by};
use crate::report::panels::{busbw_chart, busbw_panels, transfer_time_chart};
use crate::report::quantity::{count, seconds, short_bytes, three_digits};
use crate::report::words::counts_line;

/// Most rows of the answer.
const ANSWERS: usize = 14;

/// The page of a collective study: the fastest algorithms, and bandwidth and time by size.
pub(crate) fn collective_page(
    found: &Collectives,
    custom: &[ChartValues],
    heading: &Heading<'_>,
) -> String {
    let mut budget = Budget::default();
    let charts = by_size(found, &mut budget);
    let custom = custom_charts(custom, &mut budget);
    let answer = html! {
        (answer(found))
        @if charts.is_some() || custom.is_some() { (finder("ring …")) }
    };
    let example = |kind: &str| found.examples.get(kind).cloned();
    let sections = charts.into_iter().chain(custom);
    let sections = sections.chain(all_jobs(&found.jobs, &budget));
    let sections = sections.chain(infeasible(&found.counts, example));
    let sections: Vec<Section> = sections.chain([reading()]).collect();
    document(heading, &answer, &sections)
}

fn reading() -> Section {
    let body = html! {
        p {
            "Sizes and bandwidths are counted as nccl-tests counts them: the bus bandwidth of an all-reduce is \
             2(n\u{2212}1)/n times its size over its time, so that it compares with the rate of a link. Small \
             messages are bound by latency, where time says more than bandwidth; large ones by the links."
        }
    };
    Section::new("How to read this", body)
}

/// The answer in sentences, and for each operation and cluster its largest job.
fn answer(found: &Collectives) -> Markup {
    let largest: Vec<&CollectiveJob> = found.largest().collect();
    let shown = &largest[..largest.len().min(ANSWERS)];
    let more = largest.len() - shown.len();
    html! {
        div.answer {
            @for sentence in busbw_sentences(found) { p { (prose(&sentence)) } }
            @if !found.jobs.is_empty() { p { (prose(TRUST)) } }
            @if !shown.is_empty() {
                (scrolled("The largest job of each cluster", None, &html! {
                    table {
                        caption { "The largest job of each cluster" }
                        (jobs_head(has_places(shown), |title| html! { (title) }))
                        (jobs_body(shown))
                    }
                }))
            }
            @if more > 0 {
                p.note { (more) " more, and smaller jobs, are in the table of all jobs below." }
            }
        }
        p.soft { (counts_line(&found.counts)) "." }
    }
}

/// Bus bandwidth and time by size: of one operation and job at a time, which the page lets people choose.
fn by_size(found: &Collectives, budget: &mut Budget) -> Option<Section> {
    if found.jobs.is_empty() {
        return None;
    }
    let body = html! {
        p.note {
            "How much of the links messages use, and how long they take: both axes are logarithmic where the values span \
             decades."
        }
        div.chooser data-of="operation|cluster and size" {
            @for jobs in found.by_op() { (operation(jobs, budget)) }
        }
    };
    Some(Section::new("Bandwidth and time by size", body))
}

/// The charts of one operation's jobs, the largest job shown first.
fn operation(jobs: &[CollectiveJob], budget: &mut Budget) -> Markup {
    let op = jobs.first().map_or("", |job| &job.op);
    let (panels, hidden) = busbw_panels(jobs);
    let largest = panels.iter().map(|panel| panel.gpus).max();
    let first = (panels.iter()).position(|panel| Some(panel.gpus) == largest);
    // The chart that is shown first is the last to be left out.
    let order = first
        .into_iter()
        .chain((0..panels.len()).filter(|place| Some(*place) != first));
    let mut drawn: Vec<Option<Markup>> = vec![None; panels.len()];
    for place in order {
        let panel = &panels[place];
        drawn[place] = budget.spent(html! {
            (busbw_chart(panel).draw().on_page())
            @if let Some(chart) = transfer_time_chart(panel) { (chart.draw().on_page()) }
        });
    }
    html! {
        @for (place, (panel, charts)) in panels.iter().zip(drawn).enumerate() {
            div.choice data-choice={ (op) "|" (panel.job) } data-first[Some(place) == first] {
                @match charts {
                    Some(charts) => { div.grid.two { (charts) } }
                    None => { p.note { (left_out_words(2)) } }
                }
                @if hidden > 0 {
                    p.note { (hidden) " more of " (op) " only in the table below." }
                }
            }
        }
    }
}

fn all_jobs(jobs: &[CollectiveJob], budget: &Budget) -> Option<Section> {
    const TITLE: &str = "All jobs";
    if jobs.is_empty() {
        return None;
    }
    let has_places = has_places(&Vec::from_iter(jobs));
    let example = jobs.first().map(|job| job_row(job, has_places));
    let fit = budget.rows(example.as_ref());
    let shown: Vec<&CollectiveJob> = jobs.iter().take(fit).collect();
    let body = html! {
        p.note {
            @if jobs.len() > shown.len() { "The first " (shown.len()) " of " (jobs.len()) " jobs; points.parquet holds all. " }
            "Click a heading to sort."
        }
        (filter("all-reduce ring …", shown.len()))
        (scrolled(TITLE, Some("tall"), &html! {
            table #series {
                (jobs_head(has_places, |title| html! { button type="button" { (title) } }))
                (jobs_body(&shown))
            }
        }))
    };
    Some(Section::new(TITLE, body))
}

/// Whether jobs are told apart by more than their size.
fn has_places(jobs: &[&CollectiveJob]) -> bool {
    jobs.iter().any(|job| !job.place.is_empty())
}

fn jobs_head(has_places: bool, heading: impl Fn(&str) -> Markup) -> Markup {
    let titles = [
        ("operation", Some("t")),
        ("cluster", Some("t")),
        ("GPUs", None),
        ("smallest size", None),
        ("takes", None),
        ("largest size", None),
        ("reaches", None),
        ("fastest algorithm by size", Some("t")),
    ];
    html! {
        thead { tr { @for (title, class) in titles.into_iter().filter(|it| has_places || it.0 != "cluster") { th class=[class] { (heading(title)) } } } }
    }
}

fn jobs_body(jobs: &[&CollectiveJob]) -> Markup {
    let has_places = has_places(jobs);
    html! { tbody { @for job in jobs { (job_row(job, has_places)) } } }
}

fn job_row(job: &CollectiveJob, has_places: bool) -> Markup {
    let fastest = job.fastest();
    let (Some(first), Some(last)) = (fastest.first(), fastest.last()) else {
        return Markup::default();
    };
    let carriers = (fastest.iter()).map(|run| (run.size_bytes, run.collective_used.as_ref()));
    html! {
        tr {
            td.t { (job.op) }
            @if has_places { td.t { (job.place) } }
            td data-v=(job.gpus) { (count(job.gpus as f64)) }
            td data-v=(first.size_bytes) { (short_bytes(first.size_bytes as f64)) }
            td data-v=(first.time_s) { (seconds(first.time_s)) }
            td data-v=(last.size_bytes) { (short_bytes(last.size_bytes as f64)) }
            td data-v=(last.busbw_bytes_per_s) { (three_digits(last.busbw_bytes_per_s / 1e9)) " GB/s" }
            td.t.wrap { (carried_by(carriers)) }
        }
    }
}
