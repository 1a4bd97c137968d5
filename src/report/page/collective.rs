//! The page of a collective study.

use super::{Heading, document, push_infeasible, push_section};
use crate::analysis::{CollectiveJob, Collectives};
use crate::report::busbw::{busbw_sentences, carried_by};
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::panels::{busbw_chart, busbw_panels, transfer_time_chart};
use crate::report::quantity::{count, seconds, short_bytes, three_digits};
use crate::report::text::counts_line;

/// Most rows of the answer.
const ANSWERS: usize = 14;

/// Most rows of the table.
const ROWS: usize = 1_500;

/// The page of a collective study: who is fastest where, and the curves.
pub fn collective_page(found: &Collectives, heading: &Heading<'_>) -> String {
    let mut body = String::new();
    push_answer(&mut body, found);
    for jobs in found.by_op() {
        push_operation(&mut body, jobs);
    }
    push_table(&mut body, &found.jobs);
    let example = |kind: &String| found.examples.get(kind).cloned().unwrap_or_default();
    let reasons: Vec<(&str, u64, String)> = (found.counts.reasons.iter())
        .map(|(kind, rows)| (kind.as_str(), *rows, example(kind)))
        .collect();
    push_infeasible(&mut body, &reasons);
    body.push_str(
        "<h2>How to read this</h2>\n<p>Sizes and bandwidths are counted as nccl-tests counts them: the \
         bus bandwidth of an all-reduce is 2(n\u{2212}1)/n times its size over its time, so that it can be held \
         against the links. Small sizes are bound by latency, where time tells more than bandwidth; \
         large ones by the links.</p>\n",
    );
    document(heading, &body)
}

/// The answer in sentences, and for each operation and place its largest job.
fn push_answer(html: &mut String, found: &Collectives) {
    html.push_str("<div class=\"answer\">\n<ul>\n");
    for sentence in busbw_sentences(found) {
        push(html, format_args!("<li>{}</li>\n", escaped(&sentence)));
    }
    html.push_str("</ul>\n");
    let largest: Vec<&CollectiveJob> = found.largest().collect();
    let shown = &largest[..largest.len().min(ANSWERS)];
    if !shown.is_empty() {
        push_jobs(html, "The largest job of each place", shown, "");
    }
    if largest.len() > shown.len() {
        push(
            html,
            format_args!(
                "<p class=\"note\">{} more, and smaller jobs, are in the table of all jobs below.</p>\n",
                largest.len() - shown.len()
            ),
        );
    }
    push(
        html,
        format_args!(
            "</div>\n<p class=\"soft\">{}.</p>\n",
            escaped(&counts_line(&found.counts))
        ),
    );
}

/// The charts of one operation's jobs.
fn push_operation(html: &mut String, jobs: &[CollectiveJob]) {
    let op = jobs.first().map_or("", |job| &job.op);
    let (panels, hidden) = busbw_panels(jobs);
    let hidden = match hidden {
        0 => String::new(),
        1 => " 1 more job is only in the table below.".to_owned(),
        n => format!(" {n} more jobs are only in the table below."),
    };
    let charts: Vec<String> = panels
        .iter()
        .map(|panel| busbw_chart(panel).draw().on_page())
        .collect();
    push_section(
        html,
        &format!("{}: bus bandwidth", escaped(op)),
        &format!("What large sizes get out of the links.{hidden}"),
        &charts,
    );
    let charts: Vec<String> = panels
        .iter()
        .filter_map(|panel| Some(transfer_time_chart(panel)?.draw().on_page()))
        .collect();
    push_section(
        html,
        &format!("{}: time", escaped(op)),
        "Both axes are logarithmic: what small sizes wait for.",
        &charts,
    );
}

fn push_table(html: &mut String, jobs: &[CollectiveJob]) {
    if jobs.is_empty() {
        return;
    }
    let shown: Vec<&CollectiveJob> = jobs.iter().take(ROWS).collect();
    let note = if jobs.len() > shown.len() {
        format!("The first {} of {} jobs. ", shown.len(), jobs.len())
    } else {
        String::new()
    };
    push(
        html,
        format_args!(
            "<h2>All jobs</h2>\n<p class=\"note\">{note}Click a heading to sort.</p>\n\
             <div class=\"tools\"><label>Filter \
             <input id=\"filter\" type=\"search\" placeholder=\"all-reduce ring …\"></label>\
             <span id=\"shown\" class=\"soft\" role=\"status\">{count} of {count}</span></div>\n",
            count = shown.len()
        ),
    );
    push_jobs(html, "", &shown, " id=\"series\"");
}

/// A table of jobs; one that sorts has buttons for headings.
fn push_jobs(html: &mut String, caption: &str, jobs: &[&CollectiveJob], id: &str) {
    let (scroll, caption) = if id.is_empty() {
        ("scroll", format!("<caption>{caption}</caption>"))
    } else {
        ("scroll tall", String::new())
    };
    push(
        html,
        format_args!("<div class=\"{scroll}\"><table{id}>{caption}<thead><tr>"),
    );
    for (title, class) in [
        ("operation", " class=\"t\""),
        ("place", " class=\"t\""),
        ("GPUs", ""),
        ("smallest size", ""),
        ("takes", ""),
        ("largest size", ""),
        ("reaches", ""),
        ("fastest algorithm by size", " class=\"t\""),
    ] {
        if id.is_empty() {
            push(html, format_args!("<th{class}>{title}</th>"));
        } else {
            push(
                html,
                format_args!("<th{class}><button type=\"button\">{title}</button></th>"),
            );
        }
    }
    html.push_str("</tr></thead><tbody>\n");
    for job in jobs {
        let fastest = job.fastest();
        let (Some(first), Some(last)) = (fastest.first(), fastest.last()) else {
            continue;
        };
        let carriers = fastest
            .iter()
            .map(|run| (run.size_bytes, run.collective_used.as_str()));
        push(
            html,
            format_args!(
                "<tr><td class=\"t\">{}</td><td class=\"t\">{}</td><td data-v=\"{gpus}\">{}</td>\
                 <td data-v=\"{}\">{}</td><td data-v=\"{}\">{}</td><td data-v=\"{}\">{}</td>\
                 <td data-v=\"{}\">{} GB/s</td><td class=\"t wrap\">{}</td></tr>\n",
                escaped(&job.op),
                escaped(&job.place),
                count(job.gpus as f64),
                first.size_bytes,
                short_bytes(first.size_bytes as f64),
                first.time_s,
                seconds(first.time_s),
                last.size_bytes,
                short_bytes(last.size_bytes as f64),
                last.busbw_bytes_per_s,
                three_digits(last.busbw_bytes_per_s / 1e9),
                escaped(&carried_by(carriers)),
                gpus = job.gpus,
            ),
        );
    }
    html.push_str("</tbody></table></div>\n");
}
