//! The summary of a training study on a terminal, at most 80 columns wide.

use itertools::Itertools;

use crate::analysis::{
    BreakdownCause, BreakdownStatus, Dimension, Findings, KeyValue, Selection, SeriesFinding,
};
use crate::record::Bottleneck;
use crate::report::answer::sentences;
use crate::report::prices::prices_words;
use crate::report::quantity::{count, percent, seconds};
use crate::report::resimulated;
use crate::report::series_row::{BreaksAt, SeriesRow};
use crate::report::text::{Shortened, Table, Text};
use crate::report::words::{counts_line, size_number};
use crate::spec::Axis;

/// Letters of a label in one line of the table.
const LABEL: usize = 27;

/// Series that the page shows however long their rows are; above, only scaling.parquet is sure to hold all.
const PAGE_ROWS: usize = 200;

/// The question, the answer, a table of series, what would help, and how the points ended.
pub fn summary(findings: &Findings, question: Option<&str>) -> String {
    let mut text = Text::default();
    if let Some(question) = question.filter(|question| !question.trim().is_empty()) {
        text.wrap(question, "", "");
        writeln!(text);
    }
    for sentence in sentences(findings) {
        text.wrap(&sentence, "  ", "    ");
    }
    if findings.counts.ok > 0 {
        writeln!(text);
        push_table(&mut text, findings);
    }
    if let Some((heading, lines)) = resimulated::help(findings) {
        writeln!(text);
        text.wrap(&heading, "", "  ");
        for line in lines {
            text.wrap(&line, "  ", "    ");
        }
    }
    writeln!(text);
    if let Some(prices) = prices_words(findings) {
        text.wrap(&prices, "", "  ");
    }
    text.wrap(&counts_line(&findings.counts), "", "  ");
    text.finish()
}

fn push_table(text: &mut Text, findings: &Findings) {
    let Selection { series, grouped_by } = findings.selection();
    let all = findings.series.len();
    let at = format!(
        "at its fastest size within {} efficiency",
        percent(findings.threshold)
    );
    let line = if grouped_by.is_empty() && series.len() == all {
        format!("Each series {at}.")
    } else {
        let each = match grouped_by.as_slice() {
            [] => "The fastest".to_owned(),
            by => format!("The fastest per {}", by.iter().join(" and ")),
        };
        let all_in = if all > PAGE_ROWS {
            "scaling.parquet"
        } else {
            "report.html and scaling.parquet"
        };
        let all = count(all as f64);
        format!("{each} of {all} series, each {at}; all are in {all_in}.")
    };
    text.wrap(&line, "", "");
    let size_title = match findings.size_axis {
        Axis::Gpus | Axis::Nodes => ">GPUs",
        _ => ">size",
    };
    let rows: Vec<SeriesRow<'_>> = series
        .iter()
        .map(|series| SeriesRow::new(findings, series))
        .collect();
    let labels = labels(&rows);
    if !labels.common.is_empty() {
        text.wrap(&format!("All of them: {}.", labels.common), "", "");
    }
    let mut table = Table::fixed(&[
        ("series", LABEL),
        (size_title, 6),
        (">step", 7),
        (">eff.", 4),
        (">breaks at", 9),
        ("cause", 12),
        ("bound", 8),
    ]);
    let names = labels.rest.clone();
    for (row, label) in rows.iter().zip(labels.rest) {
        table.row(cells(findings, row, label));
    }
    write!(text, "{}", table.render());
    push_tight(text, &rows, &names);
    let is_unconfirmed = |it: &&SeriesFinding| it.breakdown.status == BreakdownStatus::Unconfirmed;
    if series.iter().any(is_unconfirmed) {
        let note = "Unconfirmed: fewer than two sizes under the threshold divide the batch evenly.";
        text.wrap(note, "", "  ");
    }
}

/// Rows named whose memory is tight; the rest is counted.
const TIGHT: usize = 3;

/// The rows of the table whose peak lies inside the memory's headroom.
fn push_tight(text: &mut Text, rows: &[SeriesRow<'_>], names: &[String]) {
    let tight = rows
        .iter()
        .zip(names)
        .filter(|(row, _)| row.tight == Some(true));
    let tight: Vec<String> = tight
        .map(|(row, name)| format!("{name} ({})", row.memory.map(percent).unwrap_or_default()))
        .collect();
    if tight.is_empty() {
        return;
    }
    let more = tight.len().saturating_sub(TIGHT);
    let more = (more > 0).then(|| format!("{more} more"));
    let named = tight.into_iter().take(TIGHT).chain(more).join(", ");
    let note = format!("Tight on memory (the peak lies inside the headroom): {named}.");
    text.wrap(&note, "", "  ");
}

fn cells(findings: &Findings, row: &SeriesRow<'_>, label: String) -> [String; 7] {
    let size = |size: f64| size_number(findings.size_axis, size);
    let cause = match (row.size, row.breaks_at) {
        (None, _) => "never ran",
        (Some(_), BreaksAt::Unconfirmed(_)) => "unconfirmed",
        (Some(_), _) => row.cause.map_or("", BreakdownCause::short),
    };
    [
        label,
        row.size.map_or_else(|| "–".to_owned(), size),
        row.step_time_s.map(seconds).unwrap_or_default(),
        row.efficiency.map(percent).unwrap_or_default(),
        match row.breaks_at {
            BreaksAt::NeverRan => String::new(),
            BreaksAt::OneSize => "–".to_owned(),
            BreaksAt::Beyond(largest) => format!("> {}", size(largest)),
            BreaksAt::Confirmed(at) | BreaksAt::Unconfirmed(at) => size(at),
        },
        cause.to_owned(),
        row.bottleneck.map_or("", Bottleneck::as_str).to_owned(),
    ]
}

/// The label of each row; where one does not fit into its column, without the values that all rows share.
fn labels(rows: &[SeriesRow<'_>]) -> Shortened {
    let words: Vec<Vec<(Dimension, String)>> = rows.iter().map(label_words).collect();
    let joined = |words: &[(Dimension, String)], kept: &dyn Fn(Dimension) -> bool| {
        let kept = words.iter().filter(|(axis, _)| kept(*axis));
        kept.map(|(_, word)| word).join(" ")
    };
    let full = |words: &Vec<(Dimension, String)>| match words.as_slice() {
        [] => "all points".to_owned(),
        words => joined(words, &|_| true),
    };
    let labels: Vec<String> = words.iter().map(full).collect();
    if rows.len() < 2 || labels.iter().all(|label| label.chars().count() <= LABEL) {
        return Shortened {
            common: String::new(),
            rest: labels,
        };
    }
    let of_axis = |words: &[(Dimension, String)], axis: Dimension| {
        let found = words.iter().find(|(other, _)| *other == axis);
        found.map(|(_, word)| word.clone())
    };
    let is_common = |axis: Dimension| words.iter().map(|it| of_axis(it, axis)).all_equal();
    Shortened {
        common: joined(&words[0], &is_common),
        rest: words
            .iter()
            .zip(labels)
            .map(
                |(words, label)| match joined(words, &|axis| !is_common(axis)) {
                    empty if empty.is_empty() => label,
                    short => short,
                },
            )
            .collect(),
    }
}

/// The values of the varied axes, numbers under a short name: `llama3-70b h100-sxm b1024 ring`.
fn label_words(row: &SeriesRow<'_>) -> Vec<(Dimension, String)> {
    // What people look for first stands first.
    let (names, others): (Vec<_>, Vec<_>) = (row.axes.iter().copied())
        .partition(|(axis, _)| matches!(axis, Dimension::Axis(Axis::Model | Axis::Gpu)));
    let words = names.into_iter().chain(others).filter_map(|(axis, value)| {
        let word = match value? {
            KeyValue::Text(name) => name.to_string(),
            // As networks state it: 2:1 is twice as much towards the nodes as upwards.
            KeyValue::Number(ratio) if axis == Axis::Oversubscription => format!("{ratio}:1"),
            KeyValue::Number(number) => format!("{}{number}", short_name(axis)),
            KeyValue::Bool(true) => axis.to_string(),
            KeyValue::Bool(false) => format!("no-{axis}"),
            KeyValue::Several(values) => match &**values {
                // The sentences above the table name all of them.
                [Some(first), _, _, ..] => format!("{first}/+{}", values.len() - 1),
                _ => value?.to_string(),
            },
        };
        Some((axis, word))
    });
    words.collect()
}

/// The values of a row's varied axes in short, some left out: `b200 b2048 nic400`.
pub(super) fn short_label(row: &SeriesRow<'_>, but: &[Dimension]) -> String {
    let words = label_words(row).into_iter();
    let kept = words.filter(|(axis, _)| !but.contains(axis));
    kept.map(|(_, word)| word).join(" ")
}

/// The prefix of a number in a label.
const fn short_name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Axis(Axis::GlobalBatch | Axis::BatchPerGpu) => "b",
        Dimension::Axis(Axis::MicroBatch) => "mb",
        Dimension::Axis(Axis::SeqLen) => "s",
        Dimension::Axis(Axis::NicGbitPerS) => "nic",
        other => other.as_str(),
    }
}
