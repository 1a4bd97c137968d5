//! Why a result says nothing: the reason that most rows give, and the way out of it.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::points::{Reason, SizePoint};
use super::series::Series;
use crate::record::Counts;
use crate::simulation::ReasonKind;
use crate::spec::{Axis, AxisGroup};

/// Why there is nothing to say about scaling; `None` where there is something.
pub(super) fn nothing_to_say(counts: &Counts, series: &[Series]) -> Option<String> {
    let ran = |point: &&SizePoint| point.measured.is_some();
    let sizes = |series: &Series| series.points.iter().filter(ran).count();
    let longest = series.iter().map(sizes).max().unwrap_or(0);
    if let Some(none) = nothing_ran(counts, " about scaling") {
        return Some(none + &commonest(series).unwrap_or_default());
    }
    (longest < 2)
        .then(|| "nothing to say about scaling: no series ran at more than one size".to_owned())
}

/// Reason for an empty result, where no row ran; `about` follows the words `nothing to say`.
pub(super) fn nothing_ran(counts: &Counts, about: &str) -> Option<String> {
    let points = counts.points();
    if points == 0 {
        return Some("nothing to say: the results hold no rows".to_owned());
    }
    (counts.ok == 0).then(|| {
        format!(
            "nothing to say{about}: none of {points} points ran ({} infeasible, {} crashed)",
            counts.infeasible, counts.crashed
        )
    })
}

/// `; point 3 (as 11 others): memory: …. Way out: …`: a row with the sentence that is commonest among those of the
/// commonest kind, and what may run instead.
fn commonest(series: &[Series]) -> Option<String> {
    let rows = series.iter().flat_map(|series| {
        let rows = series.points.iter();
        rows.filter_map(move |point| Some((series, point, point.reason.as_ref()?)))
    });
    let rows: Vec<(&Series, &SizePoint, &Reason)> = rows.collect();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sentences: BTreeMap<&str, u64> = BTreeMap::new();
    for (.., reason) in &rows {
        *kinds.entry(reason.kind()).or_default() += 1;
        *sentences.entry(reason.as_str()).or_default() += 1;
    }
    let often = |reason: &Reason| (kinds[reason.kind()], sentences[reason.as_str()]);
    let (most, ..) = rows
        .iter()
        .map(|(.., reason)| (often(reason), reason.kind()))
        .max()?;
    let (series, point, reason) = rows
        .iter()
        .filter(|(.., reason)| often(reason) == most)
        .min_by_key(|(_, point, _)| point.point)?;
    let alike = match kinds[reason.kind()] - 1 {
        0 => String::new(),
        others => format!(" ({others} more: {})", reason.kind()),
    };
    let way_out = way_out(series, reason).map_or_else(String::new, |it| format!(". Way out: {it}"));
    let number = point.point;
    Some(format!(
        "; point {number}{alike}: {}{way_out}",
        reason.as_str()
    ))
}

/// What may run in the place of a row that did not, in words; `None` where its reason says it.
fn way_out(series: &Series, reason: &Reason) -> Option<String> {
    let is_layout = |axis: &Axis| {
        let info = axis.info();
        info.group == AxisGroup::Parallelism && info.takes_auto() || *axis == Axis::MicroBatch
    };
    let given = series.key.iter().map(|(axis, _)| *axis).filter(is_layout);
    let given: Vec<&str> = given.map(Axis::as_str).collect();
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        parts.map(str::to_owned).collect()
    };
    let sentence = words(reason.as_str());
    let is_named = |axis: &&str| {
        let own = words(&axis.replace('_', " "));
        sentence.iter().any(|word| word == axis)
            || sentence.windows(own.len()).any(|words| words == own)
    };
    let left_out = |axes: &[&str]| match axes {
        [] => None,
        [axis] => Some(format!("{axis} left out, which is then chosen")),
        [rest @ .., last] => Some(format!(
            "{} and {last} left out, which are then chosen",
            rest.join(", ")
        )),
    };
    match reason.kind {
        Some(ReasonKind::Memory) => {
            let or = left_out(&given).unwrap_or_else(|| "`offload`".to_owned());
            Some(format!("more GPUs, GPUs with more memory, or {or}"))
        }
        Some(ReasonKind::Divisibility | ReasonKind::Limit | ReasonKind::Unsupported) => {
            left_out(&given.into_iter().filter(is_named).collect_vec())
        }
        Some(ReasonKind::Crash | ReasonKind::Timeout) | None => None,
    }
}
