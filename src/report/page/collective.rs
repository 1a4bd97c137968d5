//! The page of a collective study.

use super::{Heading, document, push_infeasible, push_section};
use crate::analysis::{Transfer, Transfers, collective_jobs};
use crate::report::busbw::busbw_sentences;
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::panels::{busbw_chart, busbw_panels, operations, transfer_time_chart};
use crate::report::quantity::{count, seconds, short_bytes, three_digits};

/// Most rows of the answer.
const ANSWERS: usize = 14;

/// Most rows of the table.
const ROWS: usize = 1_500;

/// The fastest transfers of one operation on one job, by size.
struct Job<'a> {
    op: &'a str,
    place: &'a str,
    gpus: u64,
    fastest: Vec<&'a Transfer>,
}

/// The page of a collective study: who is fastest where, and the curves.
pub fn collective_page(transfers: &Transfers, heading: &Heading<'_>) -> String {
    let mut body = String::new();
    let jobs = jobs(transfers);
    push_answer(&mut body, transfers, &jobs);
    for op in operations(transfers) {
        push_operation(&mut body, transfers, op);
    }
    push_table(&mut body, &jobs);
    let reasons: Vec<(&str, u64, String)> = transfers
        .reasons
        .iter()
        .map(|(kind, (rows, example))| (kind.as_str(), *rows, example.clone()))
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

fn jobs(transfers: &Transfers) -> Vec<Job<'_>> {
    let mut found: Vec<Job<'_>> = Vec::new();
    for run in &transfers.ran {
        let known = found
            .iter()
            .position(|job| job.op == run.op && job.place == run.place && job.gpus == run.gpus);
        let place = known.unwrap_or_else(|| {
            found.push(Job {
                op: &run.op,
                place: &run.place,
                gpus: run.gpus,
                fastest: Vec::new(),
            });
            found.len() - 1
        });
        let job = &mut found[place];
        match job
            .fastest
            .iter_mut()
            .find(|known| known.size.to_bits() == run.size.to_bits())
        {
            Some(known) if known.time_s > run.time_s => *known = run,
            Some(_) => {}
            None => job.fastest.push(run),
        }
    }
    for job in &mut found {
        job.fastest.sort_by(|a, b| a.size.total_cmp(&b.size));
    }
    found
}

/// For each operation and place its largest job.
fn push_answer(html: &mut String, transfers: &Transfers, jobs: &[Job<'_>]) {
    let mut largest: Vec<&Job<'_>> = jobs
        .iter()
        .filter(|job| {
            jobs.iter().all(|other| {
                other.op != job.op || other.place != job.place || other.gpus <= job.gpus
            })
        })
        .collect();
    let order = operations(transfers);
    largest.sort_by_key(|job| order.iter().position(|op| *op == job.op));
    html.push_str("<div class=\"answer\">\n");
    if largest.is_empty() {
        push(
            html,
            format_args!(
                "<p>nothing to say: none of {} points ran</p>\n",
                count(transfers.rows as f64)
            ),
        );
    } else {
        html.push_str("<ul>\n");
        for sentence in busbw_sentences(&collective_jobs(transfers)) {
            push(html, format_args!("<li>{}</li>\n", escaped(&sentence)));
        }
        html.push_str("</ul>\n");
        let shown = &largest[..largest.len().min(ANSWERS)];
        push_jobs(html, "The largest job of each place", shown, "");
        if largest.len() > shown.len() {
            push(
                html,
                format_args!(
                    "<p class=\"note\">{} more, and smaller jobs, are in the table of all jobs below.</p>\n",
                    largest.len() - shown.len()
                ),
            );
        }
    }
    let infeasible: u64 = transfers.reasons.values().map(|(rows, _)| rows).sum();
    push(
        html,
        format_args!(
            "</div>\n<p class=\"soft\">{} points: {} ran, {} infeasible.</p>\n",
            count(transfers.rows as f64),
            count(transfers.ran.len() as f64),
            count(infeasible as f64)
        ),
    );
}

fn push_operation(html: &mut String, transfers: &Transfers, op: &str) {
    let (panels, hidden) = busbw_panels(transfers, op);
    let hidden = match hidden {
        0 => String::new(),
        n => format!(" {n} smaller jobs are only in the table below."),
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
        .map(|panel| transfer_time_chart(panel).draw().on_page())
        .collect();
    push_section(
        html,
        &format!("{}: time", escaped(op)),
        "Both axes are logarithmic: what small sizes wait for.",
        &charts,
    );
}

fn push_table(html: &mut String, jobs: &[Job<'_>]) {
    if jobs.is_empty() {
        return;
    }
    let shown: Vec<&Job<'_>> = jobs.iter().take(ROWS).collect();
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
fn push_jobs(html: &mut String, caption: &str, jobs: &[&Job<'_>], id: &str) {
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
        let (Some(first), Some(last)) = (job.fastest.first(), job.fastest.last()) else {
            continue;
        };
        push(
            html,
            format_args!(
                "<tr><td class=\"t\">{}</td><td class=\"t\">{}</td><td data-v=\"{gpus}\">{}</td>\
                 <td data-v=\"{}\">{}</td><td data-v=\"{}\">{}</td><td data-v=\"{}\">{}</td>\
                 <td data-v=\"{}\">{} GB/s</td><td class=\"t wrap\">{}</td></tr>\n",
                escaped(job.op),
                escaped(job.place),
                count(job.gpus as f64),
                first.size,
                short_bytes(first.size),
                first.time_s,
                seconds(first.time_s),
                last.size,
                short_bytes(last.size),
                last.busbw,
                three_digits(last.busbw / 1e9),
                escaped(&ranges(&job.fastest)),
                gpus = job.gpus,
            ),
        );
    }
    html.push_str("</tbody></table></div>\n");
}

/// `direct up to 2 MiB, then ring`.
fn ranges(fastest: &[&Transfer]) -> String {
    let mut parts: Vec<(&str, f64)> = Vec::new();
    for run in fastest {
        match parts.last_mut() {
            Some((algorithm, up_to)) if *algorithm == run.used => *up_to = run.size,
            _ => parts.push((&run.used, run.size)),
        }
    }
    let last = parts.len().saturating_sub(1);
    let words: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(place, (algorithm, up_to))| {
            if place == last {
                (*algorithm).to_owned()
            } else {
                format!("{algorithm} up to {}", short_bytes(*up_to))
            }
        })
        .collect();
    words.join(", then ")
}
