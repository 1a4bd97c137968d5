//! Sizes, rates, causes and counts in words, shared by all renderings.

use std::cmp::Reverse;

use itertools::Itertools;

use crate::analysis::{
    BreakdownCause, CauseCheck, Choice, Findings, Measured, SeriesFinding, SizeFinding,
};
use crate::record::Counts;
use crate::report::quantity::{count, decimal, percent, plural, short_decimal};
use crate::report::text::Text;
use crate::spec::Axis;

/// A value of the size axis: `1,024`.
pub(super) fn size_number(axis: Axis, size: f64) -> String {
    match axis {
        Axis::Gpus | Axis::Nodes => count(size),
        _ => size.to_string(),
    }
}

/// A value of the size axis with its unit: `1,024 GPUs`, `nic_gbit_per_s 400`.
pub(super) fn size_phrase(axis: Axis, size: f64) -> String {
    match axis {
        Axis::Gpus | Axis::Nodes => format!("{} GPUs", count(size)),
        other => format!("{other} {}", short_decimal(size)),
    }
}

/// A size that was simulated: `256 GPUs (32 nodes)`, `nic_gbit_per_s 400`.
pub(super) fn size_words(axis: Axis, size: &SizeFinding) -> String {
    let gpus = crate::report::quantity::gpus(size.point.gpus.into());
    match (axis, size.point.nodes) {
        (Axis::Gpus | Axis::Nodes, Some(nodes)) if nodes > 1 => {
            format!("{gpus} ({} nodes)", count(f64::from(nodes)))
        }
        (Axis::Gpus | Axis::Nodes, _) => gpus,
        (other, _) => format!("{other} {}", size.point.size),
    }
}

/// The number of a choice's point in a column: `12`, `1 refined` of the run between the sizes of the grid.
pub(super) fn point_number(findings: &Findings, choice: &Choice) -> String {
    let refined = if findings.is_refined(choice) {
        " refined"
    } else {
        ""
    };
    format!("{}{refined}", choice.point)
}

/// A point in a sentence: `point 12`, `point 1 of the refined run`.
pub(super) fn point_words(point: u64, is_refined: bool) -> String {
    let of = if is_refined {
        " of the refined run"
    } else {
        ""
    };
    format!("point {point}{of}")
}

/// The unit of the size axis: `GPUs`, or the name of the axis.
pub(super) fn size_unit(axis: Axis) -> &'static str {
    match axis {
        Axis::Gpus | Axis::Nodes => "GPUs",
        other => other.as_str(),
    }
}

/// Throughput and its unit: in tokens where the workload has them, else in samples.
pub(super) fn rate(measured: &Measured) -> (f64, &'static str) {
    match measured.tokens_per_s {
        Some(tokens) => (tokens, "tokens/s"),
        None => (measured.samples_per_s, "samples/s"),
    }
}

/// Throughput in words: `4.10 M tokens/s`.
pub(super) fn rate_words(measured: &Measured) -> String {
    let (rate, unit) = rate(measured);
    format!("{} {unit}", decimal(rate))
}

/// The text with a capital first letter.
pub(super) fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

/// `240 points: 200 ran, 40 infeasible (memory 35, divisibility 5)`.
pub(crate) fn counts_line(counts: &Counts) -> String {
    let plural = plural(counts.points());
    let number = |rows: u64| count(rows as f64);
    let mut line = Text::default();
    let (rows, ok) = (number(counts.points()), number(counts.ok));
    write!(line, "{rows} point{plural}: {ok} ran");
    if counts.infeasible > 0 {
        let reasons = counts.reasons.iter();
        let reasons = reasons
            .sorted_by_key(|(kind, rows)| (Reverse(**rows), (*kind).clone()))
            .map(|(kind, rows)| format!("{kind} {}", number(*rows)))
            .join(", ");
        write!(
            line,
            ", {} infeasible ({reasons})",
            number(counts.infeasible)
        );
    }
    if counts.crashed > 0 {
        write!(line, ", {} crashed", number(counts.crashed));
    }
    line.finish()
}

/// The cause of a breakdown with its check: `too few samples, confirmed: 86% without it`.
pub(super) fn cause_words(series: &SeriesFinding) -> String {
    let breakdown = &series.breakdown;
    let Some(cause) = breakdown.cause.map(BreakdownCause::title) else {
        return String::new();
    };
    let check = match breakdown.check {
        Some(CauseCheck::Confirmed) => "confirmed",
        Some(CauseCheck::NotAlone) => "not alone",
        Some(CauseCheck::NotChecked) | None => return cause.to_owned(),
    };
    match breakdown.efficiency_without_cause() {
        Some(without) => format!("{cause}, {check}: {} without it", percent(without)),
        None => cause.to_owned(),
    }
}
