//! The page of a collective study.

use maud::{Markup, html};

use super::document::{Heading, charts, custom_charts, document, filter, infeasible};
use crate::analysis::{ChartValues, CollectiveJob, Collectives};
use crate::report::busbw::{busbw_sentences, carried_by};
use crate::report::chart::Drawing;
use crate::report::panels::{busbw_chart, busbw_panels, transfer_time_chart};
use crate::report::quantity::{count, seconds, short_bytes, three_digits};
use crate::report::words::counts_line;

/// Most rows of the answer.
const ANSWERS: usize = 14;

/// Most rows of the table.
const ROWS: usize = 1_500;

/// The page of a collective study: the fastest algorithms, and bandwidth and time by size.
pub(crate) fn collective_page(
    found: &Collectives,
    custom: &[ChartValues],
    heading: &Heading<'_>,
) -> String {
    let body = html! {
        (answer(found))
        @for jobs in found.by_op() { (operation(jobs)) }
        (custom_charts(custom))
        (all_jobs(&found.jobs))
        (infeasible(&found.counts, |kind| found.examples.get(kind).cloned()))
        h2 { "How to read this" }
        p {
            "Sizes and bandwidths are counted as nccl-tests counts them: the bus bandwidth of an all-reduce is \
             2(n\u{2212}1)/n times its size over its time, so that it compares with the rate of a link. Small \
             messages are bound by latency, where time says more than bandwidth; large ones by the links."
        }
    };
    document(heading, &body)
}

/// The answer in sentences, and for each operation and cluster its largest job.
fn answer(found: &Collectives) -> Markup {
    let largest: Vec<&CollectiveJob> = found.largest().collect();
    let shown = &largest[..largest.len().min(ANSWERS)];
    let more = largest.len() - shown.len();
    html! {
        div.answer {
            ul { @for sentence in busbw_sentences(found) { li { (sentence) } } }
            @if !shown.is_empty() {
                div.scroll {
                    table {
                        caption { "The largest job of each cluster" }
                        (jobs_head(|title| html! { (title) }))
                        (jobs_body(shown))
                    }
                }
            }
            @if more > 0 {
                p.note { (more) " more, and smaller jobs, are in the table of all jobs below." }
            }
        }
        p.soft { (counts_line(&found.counts)) "." }
    }
}

/// The charts of one operation's jobs.
fn operation(jobs: &[CollectiveJob]) -> Markup {
    let op = jobs.first().map_or("", |job| &job.op);
    let (panels, hidden) = busbw_panels(jobs);
    let hidden = match hidden {
        0 => String::new(),
        1 => " 1 more job is only in the table below.".to_owned(),
        n => format!(" {n} more jobs are only in the table below."),
    };
    let busbw: Vec<Drawing> = (panels.iter())
        .map(|panel| busbw_chart(panel).draw())
        .collect();
    let times: Vec<Drawing> = (panels.iter())
        .filter_map(|panel| Some(transfer_time_chart(panel)?.draw()))
        .collect();
    let note = format!("How much of the links large messages use.{hidden}");
    html! {
        (charts(&format!("{op}: bus bandwidth"), &note, &busbw))
        (charts(&format!("{op}: time"), "Both axes are logarithmic: small messages wait for latency.", &times))
    }
}

fn all_jobs(jobs: &[CollectiveJob]) -> Markup {
    if jobs.is_empty() {
        return Markup::default();
    }
    let shown: Vec<&CollectiveJob> = jobs.iter().take(ROWS).collect();
    html! {
        h2 { "All jobs" }
        p.note {
            @if jobs.len() > shown.len() { "The first " (shown.len()) " of " (jobs.len()) " jobs. " }
            "Click a heading to sort."
        }
        (filter("all-reduce ring …", shown.len()))
        div.scroll.tall {
            table #series {
                (jobs_head(|title| html! { button type="button" { (title) } }))
                (jobs_body(&shown))
            }
        }
    }
}

fn jobs_head(heading: impl Fn(&str) -> Markup) -> Markup {
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
        thead { tr { @for (title, class) in titles { th class=[class] { (heading(title)) } } } }
    }
}

fn jobs_body(jobs: &[&CollectiveJob]) -> Markup {
    html! { tbody { @for job in jobs { (job_row(job)) } } }
}

fn job_row(job: &CollectiveJob) -> Markup {
    let fastest = job.fastest();
    let (Some(first), Some(last)) = (fastest.first(), fastest.last()) else {
        return Markup::default();
    };
    let carriers = (fastest.iter()).map(|run| (run.size_bytes, run.collective_used.as_str()));
    html! {
        tr {
            td.t { (job.op) }
            td.t { (job.place) }
            td data-v=(job.gpus) { (count(job.gpus as f64)) }
            td data-v=(first.size_bytes) { (short_bytes(first.size_bytes as f64)) }
            td data-v=(first.time_s) { (seconds(first.time_s)) }
            td data-v=(last.size_bytes) { (short_bytes(last.size_bytes as f64)) }
            td data-v=(last.busbw_bytes_per_s) { (three_digits(last.busbw_bytes_per_s / 1e9)) " GB/s" }
            td.t.wrap { (carried_by(carriers)) }
        }
    }
}
