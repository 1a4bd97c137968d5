//! What simulating points again says, in sentences.

use std::collections::BTreeMap;

use crate::analysis::{AskedAs, BreakdownStatus, CauseCheck, Findings, PointAdvice, SeriesFinding};
use crate::report::answer::{best_of_groups, size_words};
use crate::report::quantity::{count, percent};
use crate::spec::Axis;

/// Gains that are named of one point.
const GAINS: usize = 3;
/// First bad sizes whose gains the summary names.
const BROKEN_NAMED: usize = 3;

/// Whether the causes of breakdowns were confirmed, and what a frozen layout would change.
pub fn sentences(findings: &Findings) -> Vec<String> {
    checked(findings)
        .into_iter()
        .chain(frozen(findings))
        .chain(not_reproduced(findings))
        .collect()
}

/// `Simulated again without its cause, 24 of 30 stay above 80% at their first bad size; in 6 no part decides alone.`
fn checked(findings: &Findings) -> Option<String> {
    let mut of: BTreeMap<CauseCheck, usize> = BTreeMap::new();
    for series in &findings.series {
        if series.breakdown.status == BreakdownStatus::Confirmed
            && let Some(check) = series.breakdown.check
        {
            *of.entry(check).or_default() += 1;
        }
    }
    let number = |check| of.get(&check).copied().unwrap_or(0);
    let (confirmed, not_alone) = (number(CauseCheck::Confirmed), number(CauseCheck::NotAlone));
    let simulated = confirmed + not_alone;
    if simulated == 0 {
        return None;
    }
    let rest = match not_alone {
        0 => String::new(),
        n => format!("; in {n} no part decides alone, and the one that helps most is named"),
    };
    Some(format!(
        "Simulated again without the cause, {confirmed} of {simulated} would not have broken there{rest}."
    ))
}

/// How a frozen curve ends against the curve with layouts chosen anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrozenEnd {
    /// It cannot run at sizes where another layout does.
    EndsEarlier,
    /// It breaks down where the other does not, or at two thirds of its size or less.
    BreaksEarlier,
    /// It breaks down at one and a half times the size or more, or not at all.
    BreaksLater,
    /// Much the same.
    Alike,
}

/// Compares the ends of a curve and its frozen one.
pub fn frozen_end(series: &SeriesFinding, frozen: &SeriesFinding) -> FrozenEnd {
    let largest = |of: &SeriesFinding| of.sizes.iter().rposition(|size| size.efficiency.is_some());
    let (own, other) = (
        series.breakdown.confirmed_size(),
        frozen.breakdown.confirmed_size(),
    );
    match (own, other) {
        (None, Some(_)) => FrozenEnd::BreaksEarlier,
        (Some(own), Some(other)) if other <= own / 1.5 => FrozenEnd::BreaksEarlier,
        (Some(own), Some(other)) if other >= own * 1.5 => FrozenEnd::BreaksLater,
        // A curve that ends before it breaks says nothing about breaking.
        (_, None) if largest(frozen) < largest(series) => FrozenEnd::EndsEarlier,
        (Some(_), None) => FrozenEnd::BreaksLater,
        (Some(_), Some(_)) | (None, None) => FrozenEnd::Alike,
    }
}

/// `With the layout of its smallest size and only data parallelism growing, …`, where that changes an answer.
fn frozen(findings: &Findings) -> Option<String> {
    let mut ends: BTreeMap<FrozenEnd, usize> = BTreeMap::new();
    for frozen in &findings.frozen {
        let series = &findings.series[frozen.of_series as usize];
        *ends.entry(frozen_end(series, frozen)).or_default() += 1;
    }
    let number = |end| ends.get(&end).copied().unwrap_or(0);
    let words: Vec<String> = [
        (FrozenEnd::BreaksEarlier, "would break down earlier"),
        (
            FrozenEnd::EndsEarlier,
            "could not run at their largest sizes",
        ),
        (
            FrozenEnd::BreaksLater,
            "would break down later or not at all",
        ),
    ]
    .into_iter()
    .filter(|(end, _)| number(*end) > 0)
    .map(|(end, words)| format!("{} {words}", number(end)))
    .collect();
    (!words.is_empty()).then(|| {
        format!(
            "With the layout of the smallest size and only data parallelism growing, of {} series {}.",
            findings.frozen.len(),
            words.join(", ")
        )
    })
}

fn not_reproduced(findings: &Findings) -> Option<String> {
    let number = findings.advice.as_ref()?.not_reproduced;
    (number > 0).then(|| {
        format!(
            "Nothing was simulated again of {number} series: this version gives other times than their rows, \
             which another version or catalogue wrote."
        )
    })
}

/// What the summary says would help, a line per point: of the fastest series per model, and of the first
/// breakdowns. A heading comes first; nothing where nothing was asked.
pub fn help(findings: &Findings) -> Option<(String, Vec<String>)> {
    let advice = findings.advice.as_ref()?;
    let by: &[Axis] = if findings.varied.contains(&Axis::Model) {
        &[Axis::Model]
    } else {
        &[]
    };
    let all: Vec<&SeriesFinding> = findings.series.iter().collect();
    let best = best_of_groups(&all, by);
    let recommended = best
        .iter()
        .filter_map(|series| advice.of(series.number, AskedAs::Recommended));
    // Series that differ in what changes nothing (ring and tree where nothing is all-reduced) gain the same.
    let mut broken: Vec<&PointAdvice> = Vec::new();
    for point in &advice.points {
        let is_new = broken.iter().all(|other| other.gains != point.gains);
        if point.asked_as == AskedAs::Broken && is_new && broken.len() < BROKEN_NAMED {
            broken.push(point);
        }
    }
    let lines: Vec<String> = recommended
        .chain(broken)
        .map(|point| line(findings, point))
        .collect();
    (!lines.is_empty()).then(|| (heading(findings), lines))
}

/// `What would help, in time per sample (86 neighbours simulated):`.
pub fn heading(findings: &Findings) -> String {
    let advice = findings.advice.as_ref();
    let neighbours = advice.map_or(0, |advice| advice.neighbours);
    let left_out = match advice.map_or(0, |advice| advice.left_out) {
        0 => String::new(),
        n => format!("; {n} more points were not asked"),
    };
    format!(
        "What would help, in time per sample ({} neighbours simulated{left_out}):",
        count(f64::from(neighbours))
    )
}

fn line(findings: &Findings, point: &PointAdvice) -> String {
    let series = &findings.series[point.series as usize];
    let name = match findings.varied.as_slice() {
        [] => String::new(),
        axes => format!("{} ", series.label(axes)),
    };
    let size = size_words(findings.size_axis, &series.sizes[point.place]);
    let broken = match point.asked_as {
        AskedAs::Recommended => "",
        AskedAs::Broken => ", under the threshold",
    };
    format!("{name}at {size}{broken}: {}", gains_words(point))
}

/// The best gains of a point: `NICs at 800 Gbit/s per GPU instead of 400: -14.0%; …`.
pub fn gains_words(point: &PointAdvice) -> String {
    if point.gains.is_empty() {
        return "no neighbour is faster".to_owned();
    }
    let words: Vec<String> = point
        .gains
        .iter()
        .take(GAINS)
        .map(|gain| format!("{}: {:+.1}%", gain.change, 100.0 * gain.time_per_sample))
        .collect();
    words.join("; ")
}

/// The check of a cause, for tables: `batch exhausted, confirmed: 86% without it`.
pub fn cause_words(series: &SeriesFinding) -> String {
    let breakdown = &series.breakdown;
    let Some(cause) = breakdown.cause else {
        return String::new();
    };
    match (breakdown.check, breakdown.efficiency_without_cause()) {
        (Some(CauseCheck::Confirmed), Some(without)) => {
            format!(
                "{}, confirmed: {} without it",
                cause.title(),
                percent(without)
            )
        }
        (Some(CauseCheck::NotAlone), Some(without)) => {
            format!(
                "{}, not alone: {} without it",
                cause.title(),
                percent(without)
            )
        }
        (Some(_) | None, _) => cause.title().to_owned(),
    }
}
