//! Answers from re-simulated points, in sentences: confirmed causes, frozen layouts, changes that help.

use itertools::Itertools;

use crate::analysis::{AskedAs, CauseCheck, Findings, PointAdvice, SeriesFinding};
use crate::report::quantity::count;
use crate::report::words::size_words;

/// Gains that are named of one point.
const GAINS: usize = 3;
/// First sizes under the threshold whose gains the summary names.
const BROKEN_NAMED: usize = 3;

/// Checks of the causes of breakdowns, and ends of curves with a frozen layout.
pub(super) fn sentences(findings: &Findings) -> Vec<String> {
    checked(findings)
        .into_iter()
        .chain(frozen(findings))
        .chain(not_reproduced(findings))
        .collect()
}

/// `Re-simulated without its cause, 24 of 30 stay above the threshold; in 6 no single cause suffices, …`
fn checked(findings: &Findings) -> Option<String> {
    let broken = (findings.series.iter())
        .filter(|series| series.breakdown.confirmed_size().is_some())
        .filter_map(|series| series.breakdown.check);
    let of = broken.counts();
    let number = |check| of.get(&check).copied().unwrap_or(0);
    let (confirmed, not_alone) = (number(CauseCheck::Confirmed), number(CauseCheck::NotAlone));
    let simulated = confirmed + not_alone;
    if simulated == 0 {
        return None;
    }
    let rest = match not_alone {
        0 => String::new(),
        n => format!("; in {n} no single cause suffices, and the one that helps most is named"),
    };
    Some(format!(
        "Re-simulated without the cause, {confirmed} of {simulated} would not have broken down there{rest}."
    ))
}

/// End of a curve with a frozen layout, against the one with layouts chosen anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FrozenEnd {
    /// No run at sizes where another layout runs.
    EndsEarlier,
    /// Breakdown where the other has none, or at two thirds of its size or less.
    BreaksEarlier,
    /// Breakdown at one and a half times the size or more, or none.
    BreaksLater,
    /// Much the same.
    Alike,
}

/// Compares the ends of a curve and its frozen one.
pub(super) fn frozen_end(series: &SeriesFinding, frozen: &SeriesFinding) -> FrozenEnd {
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

/// Number of series that end otherwise with a frozen layout; `None` where none does.
fn frozen(findings: &Findings) -> Option<String> {
    let frozen = findings.frozen.iter();
    let ends = frozen.map(|it| frozen_end(&findings.series[it.of_series as usize], it));
    let ends = ends.counts();
    let words = [
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
    .filter_map(|(end, words)| Some(format!("{} {words}", ends.get(&end)?)))
    .join(", ");
    (!words.is_empty()).then(|| {
        let all = findings.frozen.len();
        format!("With the layout of the smallest size and only data parallelism growing, of {all} series {words}.")
    })
}

/// Number of series whose rows this version does not reproduce; `None` where there is none.
pub(super) fn not_reproduced(findings: &Findings) -> Option<String> {
    let number = findings.advice.as_ref()?.not_reproduced;
    (number > 0).then(|| {
        format!(
            "{number} series were not re-simulated: another version or catalogue wrote their rows, and this \
             version computes other step times."
        )
    })
}

/// Changes that would help, a heading and a line per point: the fastest choice of each model and the first
/// breakdowns. `None` where no point was re-simulated.
pub(super) fn help(findings: &Findings) -> Option<(String, Vec<String>)> {
    let advice = findings.advice.as_ref()?;
    let fastest = advice.asked_as(AskedAs::Fastest);
    let broken = advice.asked_as(AskedAs::Broken).take(BROKEN_NAMED);
    let lines: Vec<String> = fastest
        .chain(broken)
        .map(|point| {
            let label = findings.series[point.series as usize].label(&findings.varied);
            let at = format!("{label} at {}", point_size(findings, point));
            format!("{}: {}", at.trim_start(), gains_words(point))
        })
        .collect();
    (!lines.is_empty()).then(|| (heading(findings), lines))
}

/// `What would help, by change in time per sample (86 one-axis changes simulated):`.
pub(super) fn heading(findings: &Findings) -> String {
    let advice = findings.advice.as_ref();
    let (neighbours, left_out) = advice.map_or((0, 0), |it| (it.neighbours, it.left_out));
    let left_out = match left_out {
        0 => String::new(),
        n => format!("; {n} more points were not tried"),
    };
    format!(
        "What would help, by change in time per sample ({} one-axis changes simulated{left_out}):",
        count(f64::from(neighbours))
    )
}

/// The size of a re-simulated point: `512 GPUs (64 nodes), under the threshold`.
pub(super) fn point_size(findings: &Findings, point: &PointAdvice) -> String {
    let series = &findings.series[point.series as usize];
    let size = size_words(findings.size_axis, &series.sizes[point.place]);
    match point.asked_as {
        AskedAs::Fastest | AskedAs::Chosen | AskedAs::Recommended => size,
        AskedAs::Broken => format!("{size}, under the threshold"),
    }
}

/// The best gains of a point: `NICs at 800 Gbit/s per GPU instead of 400: -14.0%; …`.
pub(super) fn gains_words(point: &PointAdvice) -> String {
    if point.gains.is_empty() {
        return "no one-axis change is faster".to_owned();
    }
    (point.gains.iter().take(GAINS))
        .map(|gain| format!("{}: {:+.1}%", gain.change, 100.0 * gain.time_per_sample))
        .join("; ")
}
