//! The summary on the screen, at most 80 columns wide.

use crate::analysis::{BreakdownCause, BreakdownStatus, Findings, SeriesFinding};
use crate::record::Counts;
use crate::report::again;
use crate::report::answer::{Selection, select, sentences};
use crate::report::markup::push;
use crate::report::page::TABLE_ROWS;
use crate::report::quantity::{count, percent, seconds};
use crate::spec::Axis;

/// Widest line.
pub const WIDTH: usize = 80;

/// The question, the answer, and a table of series.
pub fn summary(findings: &Findings, question: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(question) = question.filter(|question| !question.trim().is_empty()) {
        push_wrapped(&mut text, question.trim(), "", "");
        text.push('\n');
    }
    for sentence in sentences(findings) {
        push_wrapped(&mut text, &sentence, "  ", "    ");
    }
    if findings.counts.ok > 0 {
        text.push('\n');
        push_table(&mut text, findings);
    }
    if let Some((heading, lines)) = again::help(findings) {
        text.push('\n');
        push_wrapped(&mut text, &heading, "", "  ");
        for line in lines {
            push_wrapped(&mut text, &line, "  ", "    ");
        }
    }
    text.push('\n');
    push_wrapped(&mut text, &counts_line(&findings.counts), "", "  ");
    text
}

/// `240 points: 200 ran, 40 infeasible (memory 35, divisibility 5)`.
pub fn counts_line(counts: &Counts) -> String {
    let plural = if counts.points() == 1 { "" } else { "s" };
    let mut line = format!(
        "{} point{plural}: {} ran",
        count(counts.points() as f64),
        count(counts.ok as f64)
    );
    if counts.infeasible > 0 {
        let mut reasons: Vec<(&String, &u64)> = counts.reasons.iter().collect();
        reasons.sort_by_key(|(kind, rows)| (std::cmp::Reverse(**rows), (*kind).clone()));
        let reasons: Vec<String> = reasons
            .into_iter()
            .map(|(kind, rows)| format!("{kind} {}", count(*rows as f64)))
            .collect();
        push(
            &mut line,
            format_args!(
                ", {} infeasible ({})",
                count(counts.infeasible as f64),
                reasons.join(", ")
            ),
        );
    }
    if counts.crashed > 0 {
        push(
            &mut line,
            format_args!(", {} crashed", count(counts.crashed as f64)),
        );
    }
    line
}

/// Appends words in lines of at most [`WIDTH`] columns.
pub(super) fn push_wrapped(text: &mut String, words: &str, first: &str, next: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            next.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

/// Columns of the table: title and width; the first is flush left, numbers flush right.
const COLUMNS: [(&str, usize); 7] = [
    ("series", 27),
    ("GPUs", 6),
    ("step", 7),
    ("eff.", 4),
    ("breaks at", 9),
    ("because of", 12),
    ("bound", 8),
];

fn push_table(text: &mut String, findings: &Findings) {
    let Selection { series, grouped_by } = select(findings);
    if !grouped_by.is_empty() || series.len() < findings.series.len() {
        let by: Vec<&str> = grouped_by.iter().map(|axis| axis.as_str()).collect();
        let each = match by.as_slice() {
            [] => "The fastest".to_owned(),
            by => format!("The fastest per {}", by.join(" and ")),
        };
        let all_in = if findings.series.len() > TABLE_ROWS {
            "scaling.parquet"
        } else {
            "report.html and scaling.parquet"
        };
        let line = format!(
            "{each} of {} series; all are in {all_in}.",
            count(findings.series.len() as f64)
        );
        push_wrapped(text, &line, "", "");
    }
    let title = match findings.size_axis {
        Axis::Gpus | Axis::Nodes => "GPUs",
        _ => "size",
    };
    let mut titles = COLUMNS.map(|(title, _)| title.to_owned());
    title.clone_into(&mut titles[1]);
    push_row(text, &titles);
    let mut unconfirmed = false;
    for finding in series {
        push_row(text, &cells(findings, finding));
        unconfirmed |= finding.breakdown.status == BreakdownStatus::Unconfirmed;
    }
    if unconfirmed {
        push_wrapped(
            text,
            "? only the largest size lies under the threshold; one more would tell",
            "",
            "  ",
        );
    }
}

fn cells(findings: &Findings, series: &SeriesFinding) -> [String; 7] {
    let label = match findings.varied.as_slice() {
        [] => "all points".to_owned(),
        axes => short_label(series, axes),
    };
    let Some(size) = series.recommended() else {
        return [
            label,
            "–".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            "never ran".to_owned(),
            String::new(),
        ];
    };
    let measured = size.point.measured;
    [
        label,
        size_cell(findings.size_axis, size.point.size),
        measured.map_or_else(String::new, |m| seconds(m.step_time_s)),
        size.efficiency
            .map_or_else(String::new, |e| percent(e.of_baseline)),
        breaks_at(findings.size_axis, series),
        series
            .breakdown
            .cause
            .map_or("", BreakdownCause::short)
            .to_owned(),
        measured
            .and_then(|m| m.bottleneck)
            .map_or("", |b| b.as_str())
            .to_owned(),
    ]
}

fn size_cell(axis: Axis, size: f64) -> String {
    match axis {
        Axis::Gpus | Axis::Nodes => count(size),
        _ => size.to_string(),
    }
}

/// Where a series breaks down; beyond its largest size when it does not, and a dash where it ran at
/// one size only, which says nothing about scaling.
fn breaks_at(axis: Axis, series: &SeriesFinding) -> String {
    let mut ran = series.sizes.iter().filter(|size| size.efficiency.is_some());
    let largest = ran.next_back().map_or(0.0, |size| size.point.size);
    if ran.next().is_none() {
        return "–".to_owned();
    }
    match (series.breakdown.status, series.breakdown.size) {
        (BreakdownStatus::None, _) | (_, None) => format!("> {}", size_cell(axis, largest)),
        (BreakdownStatus::Confirmed, Some(size)) => size_cell(axis, size),
        (BreakdownStatus::Unconfirmed, Some(size)) => format!("{}?", size_cell(axis, size)),
    }
}

/// The values of the varied axes, numbers under a short name: `llama3-70b h100-sxm b1024 ring`.
fn short_label(series: &SeriesFinding, axes: &[Axis]) -> String {
    // What people look for first stands where it is not cut.
    let (names, others): (Vec<Axis>, Vec<Axis>) = axes
        .iter()
        .partition(|axis| matches!(axis, Axis::Model | Axis::Gpu));
    let words: Vec<String> = names
        .iter()
        .chain(&others)
        .filter_map(|axis| {
            let value = series.value(*axis)?;
            Some(match value {
                crate::analysis::KeyValue::Text(name) => name.to_string(),
                crate::analysis::KeyValue::Number(number) => {
                    format!("{}{number}", short_axis(*axis))
                }
                crate::analysis::KeyValue::Bool(on) => {
                    format!("{}{}", if *on { "" } else { "no-" }, axis.as_str())
                }
            })
        })
        .collect();
    words.join(" ")
}

/// What stands before a number in a label.
fn short_axis(axis: Axis) -> String {
    match axis {
        Axis::GlobalBatch | Axis::BatchPerGpu => "b".to_owned(),
        Axis::MicroBatch => "mb".to_owned(),
        Axis::SeqLen => "s".to_owned(),
        Axis::NicGbitPerS => "nic".to_owned(),
        other => other.as_str().to_owned(),
    }
}

fn push_row(text: &mut String, cells: &[String; 7]) {
    let mut line = String::new();
    for (place, (cell, (_, width))) in cells.iter().zip(COLUMNS).enumerate() {
        let cell = shortened(cell, width);
        let pad = " ".repeat(width - cell.chars().count());
        if place > 0 {
            line.push(' ');
        }
        let flush_right = (1..=4).contains(&place);
        if flush_right {
            line.push_str(&pad);
        }
        line.push_str(&cell);
        if !flush_right {
            line.push_str(&pad);
        }
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// At most `width` letters, the middle left out where there are more: both ends tell apart.
pub(super) fn shortened(text: &str, width: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= width {
        return text.to_owned();
    }
    let mut short: String = letters[..width - 1].iter().collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_wide_as_the_screen() {
        // Widths and the blanks between them.
        let width: usize =
            COLUMNS.iter().map(|(_, width)| width).sum::<usize>() + COLUMNS.len() - 1;
        assert!(width <= WIDTH, "{width}");
    }

    #[test]
    fn long_labels_lose_their_middle() {
        assert_eq!(shortened("abcdefgh", 5), "abcd…");
        assert_eq!(shortened("abc", 5), "abc");
    }

    #[test]
    fn words_wrap_at_the_width() {
        let mut text = String::new();
        push_wrapped(&mut text, &"word ".repeat(40), "  ", "    ");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().nth(1).unwrap().starts_with("    word"));
    }
}
