//! The table of series that sorts and filters.

use crate::analysis::{BreakdownStatus, Estimate, Findings, KeyValue, SeriesFinding};
use crate::report::again::cause_words;
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::quantity::{count, decimal, dollars, percent, seconds};

/// Most rows: a page of ten thousand would load for seconds.
pub const ROWS: usize = 1_500;

/// One cell: what it shows, and the number it sorts by.
struct Cell {
    text: String,
    number: Option<f64>,
    is_text: bool,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            number: None,
            is_text: true,
        }
    }

    fn number(value: Option<f64>, format: impl Fn(f64) -> String) -> Self {
        Self {
            text: value.map(format).unwrap_or_default(),
            // An empty number sorts behind all others.
            number: Some(value.unwrap_or(f64::NAN)),
            is_text: false,
        }
    }

    fn push(&self, html: &mut String) {
        let class = if self.is_text { " class=\"t\"" } else { "" };
        let number = match self.number {
            Some(number) if number.is_nan() => " data-v=\"\u{2013}\"".to_owned(),
            Some(number) => format!(" data-v=\"{number}\""),
            None => String::new(),
        };
        push(
            html,
            format_args!("<td{class}{number}>{}</td>", escaped(&self.text)),
        );
    }
}

/// Appends the section with the table.
pub(super) fn push_series(html: &mut String, findings: &Findings) {
    let mut series: Vec<&SeriesFinding> = findings.series.iter().collect();
    let all = series.len();
    if all > ROWS {
        let rate = |series: &SeriesFinding| {
            series
                .recommended()
                .and_then(|size| size.point.measured)
                .map_or(0.0, |measured| measured.samples_per_s)
        };
        series.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.number.cmp(&b.number)));
        series.truncate(ROWS);
        series.sort_by_key(|series| series.number);
    }
    let note = if all > series.len() {
        format!(
            "The {} fastest of {} series; scaling.parquet holds all.",
            count(series.len() as f64),
            count(all as f64)
        )
    } else {
        "Each at its fastest size within the threshold. Click a heading to sort.".to_owned()
    };
    push(
        html,
        format_args!(
            "<h2>All series</h2>\n<p class=\"note\">{note}</p>\n<div class=\"tools\"><label>Filter \
         <input id=\"filter\" type=\"search\" placeholder=\"h100 ring …\"></label>\
         <span id=\"shown\" class=\"soft\" role=\"status\">{count} of {count}</span></div>\n\
         <div class=\"scroll tall\"><table id=\"series\"><thead><tr>",
            count = series.len()
        ),
    );
    for (title, is_text) in titles(findings) {
        let class = if is_text { " class=\"t\"" } else { "" };
        push(
            html,
            format_args!(
                "<th{class}><button type=\"button\">{}</button></th>",
                escaped(&title)
            ),
        );
    }
    html.push_str("</tr></thead><tbody>\n");
    for series in series {
        html.push_str("<tr>");
        for cell in cells(findings, series) {
            cell.push(html);
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

fn titles(findings: &Findings) -> Vec<(String, bool)> {
    let axes = findings.varied.iter().map(|axis| {
        let number = findings
            .series
            .iter()
            .filter_map(|series| series.value(*axis))
            .all(|value| matches!(value, KeyValue::Number(_)));
        (axis.to_string(), !number)
    });
    let rest = [
        ("scaling", true),
        ("best size", false),
        ("step", false),
        ("rate /s", false),
        ("MFU", false),
        ("efficiency", false),
        ("breaks at", false),
        ("because of", true),
        ("breaks at, layout frozen", false),
        ("knee", false),
        ("serial fraction", false),
        ("peak (USL)", false),
        ("USD / M tokens", false),
        ("cheapest size", false),
        ("bottleneck", true),
        ("layout", true),
    ];
    axes.chain(rest.map(|(title, is_text)| (title.to_owned(), is_text)))
        .collect()
}

fn cells(findings: &Findings, series: &SeriesFinding) -> Vec<Cell> {
    let best = series.recommended();
    let measured = best.and_then(|size| size.point.measured);
    let breakdown = &series.breakdown;
    let cheapest = series
        .choice
        .and_then(|choice| choice.cheapest)
        .map(|place| series.sizes[place].point.size);
    let axes = findings
        .varied
        .iter()
        .map(|axis| match series.value(*axis) {
            Some(KeyValue::Number(number)) => Cell::number(Some(*number), |n| n.to_string()),
            Some(value) => Cell::text(value.to_string()),
            None => Cell::text("auto"),
        });
    let rest = [
        Cell::text(series.scaling.as_str()),
        Cell::number(best.map(|size| size.point.size), count),
        Cell::number(measured.map(|m| m.step_time_s), seconds),
        Cell::number(
            measured.map(|m| m.tokens_per_s.unwrap_or(m.samples_per_s)),
            decimal,
        ),
        Cell::number(measured.and_then(|m| m.mfu), percent),
        Cell::number(
            best.and_then(|size| size.efficiency).map(|e| e.of_baseline),
            percent,
        ),
        Cell::number(breakdown.size, |size| match breakdown.status {
            BreakdownStatus::Unconfirmed => format!("{}?", count(size)),
            BreakdownStatus::Confirmed | BreakdownStatus::None => count(size),
        }),
        Cell::text(cause_words(series)),
        Cell::number(
            findings
                .frozen_of(series)
                .and_then(|frozen| frozen.breakdown.confirmed_size()),
            count,
        ),
        Cell::number(series.knee, count),
        Cell::number(
            series.fits.serial_fraction.as_ref().map(|e| e.value),
            |_| {
                series
                    .fits
                    .serial_fraction
                    .as_ref()
                    .map_or_else(String::new, bounded)
            },
        ),
        Cell::number(series.fits.peak_size, count),
        Cell::number(measured.and_then(|m| m.cost_per_mtoken_usd), dollars),
        Cell::number(cheapest, count),
        Cell::text(
            measured
                .and_then(|m| m.bottleneck)
                .map_or("", |bottleneck| bottleneck.as_str()),
        ),
        Cell::text(measured.map_or_else(String::new, |m| m.layout.words())),
    ];
    axes.chain(rest).collect()
}

/// `0.0021 (0.0018–0.0025)`.
fn bounded(estimate: &Estimate) -> String {
    format!(
        "{} ({}–{})",
        small(estimate.value),
        small(estimate.low),
        small(estimate.high)
    )
}

/// Two digits that count, in powers of ten where a fraction is tiny.
fn small(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 1e-3 {
        format!("{value:.1e}")
    } else {
        format!("{value:.4}")
    }
}
