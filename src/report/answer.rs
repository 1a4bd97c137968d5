//! The answer of a training study in sentences: what is fastest, where scaling breaks down and why.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools;

use crate::analysis::{BreakdownStatus, Findings, KeyValue, SeriesFinding, SizeFinding};
use crate::report::networks::network_sentences;
use crate::report::quantity::{count, dollars, percent, seconds};
use crate::report::resimulated;
use crate::report::words::{capitalised, rate_words, size_unit, size_words};
use crate::spec::Axis;

/// The answer in sentences, the fastest series among them.
pub(super) fn sentences(findings: &Findings) -> Vec<String> {
    answer_sentences(findings, fastest_sentences)
}

/// The answer in sentences for a page whose table has the fastest series.
pub(super) fn sentences_beside_table(findings: &Findings) -> Vec<String> {
    answer_sentences(findings, |_| Vec::new())
}

fn answer_sentences(
    findings: &Findings,
    fastest: impl Fn(&Findings) -> Vec<String>,
) -> Vec<String> {
    let mut found = Vec::from_iter(findings.nothing.clone());
    if !found.is_empty() && findings.counts.ok == 0 {
        return found;
    }
    found.extend(network_sentences(findings));
    found.extend(fastest(findings));
    found.extend(breakdown_sentence(findings));
    found.extend(breakdown_by_batch(findings));
    found.extend(sawteeth(findings));
    found.extend(resimulated::sentences(findings));
    found
}

/// One sentence per model where models differ, else one.
fn fastest_sentences(findings: &Findings) -> Vec<String> {
    const MODELS: usize = 8;
    let best = findings.answers();
    let more = best.len().saturating_sub(MODELS);
    let sentences = best.iter().take(MODELS);
    sentences
        .map(|series| fastest_sentence(findings, series))
        .chain((more > 0).then(|| format!("{more} more models are in the report.")))
        .collect()
}

fn fastest_sentence(findings: &Findings, series: &SeriesFinding) -> String {
    let by = findings.answered_by();
    let subject = match by {
        [] => String::new(),
        _ => format!("{}: ", series.label(by)),
    };
    let Some(size) = series.recommended() else {
        let why = why_nothing_ran(findings, series);
        return format!("{subject}nothing runs: {why}.");
    };
    let with = match findings.other_axes().as_slice() {
        [] => String::new(),
        others => format!(" with {}", series.label(others)),
    };
    let threshold = percent(findings.threshold);
    let at = size_words(findings.size_axis, size);
    let measured = size.point.measured.map_or_else(String::new, |it| {
        let mfu = it.mfu.map(|mfu| format!(", MFU {}", percent(mfu)));
        let cost = it.cost_per_mtoken_usd;
        let cost = cost.map(|cost| format!(", {} per million tokens", dollars(cost)));
        let (mfu, cost) = (mfu.unwrap_or_default(), cost.unwrap_or_default());
        let step = seconds(it.step_time_s);
        format!(": {step} per step, {}{mfu}{cost}", rate_words(&it))
    });
    let sentence =
        format!("{subject}fastest within {threshold} efficiency{with} at {at}{measured}.");
    // Names of models keep their spelling.
    if by.is_empty() {
        capitalised(&sentence)
    } else {
        sentence
    }
}

/// The commonest reason why no point ran of the series with the same answer.
pub(super) fn why_nothing_ran(findings: &Findings, series: &SeriesFinding) -> String {
    let sizes = findings.alike(series).flat_map(|other| &other.sizes);
    let reasons = sizes.filter_map(|size| size.point.reason.as_ref());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *kinds.entry(reason.kind()).or_default() += 1;
    }
    let most = kinds.into_iter().max_by_key(|(_, count)| *count);
    most.map_or("no reason is given", |(kind, _)| kind)
        .to_owned()
}

/// Number of series that break down, the sizes where they do, and the commonest causes.
fn breakdown_sentence(findings: &Findings) -> Option<String> {
    let curves = findings.series.iter().filter(|it| has_curve(it)).count();
    if curves == 0 {
        return None;
    }
    let threshold = percent(findings.threshold);
    let with = |status| {
        let series = findings.series.iter();
        series.filter(move |it| it.breakdown.status == status)
    };
    let broken: Vec<&SeriesFinding> = with(BreakdownStatus::Confirmed).collect();
    let unconfirmed = with(BreakdownStatus::Unconfirmed).count();
    let maybe = match unconfirmed {
        0 => String::new(),
        n => format!("; {n} more fall under it at the largest size alone (unconfirmed)"),
    };
    if broken.is_empty() {
        return Some(format!(
            "Efficiency stays above {threshold} in {} of {curves} series{maybe}.",
            curves - unconfirmed
        ));
    }
    let unit = size_unit(findings.size_axis);
    let sizes = broken.iter().filter_map(|series| series.breakdown.size);
    let sizes: Vec<f64> = sizes.sorted_by(f64::total_cmp).collect();
    let range = match (sizes.first(), sizes.last()) {
        (Some(low), Some(high)) if count(*low) != count(*high) => format!(
            "between {} and {} {unit} (median {})",
            count(*low),
            count(*high),
            count(sizes[sizes.len() / 2])
        ),
        (Some(only), _) => format!("at {} {unit}", count(*only)),
        _ => String::new(),
    };
    Some(format!(
        "Scaling breaks down (under {threshold} efficiency) in {} of {curves} series, {range}{maybe}.{}",
        broken.len(),
        causes(&broken)
    ))
}

/// Whether a series ran at more than one size.
fn has_curve(series: &SeriesFinding) -> bool {
    series.ran().nth(1).is_some()
}

/// ` Causes: data-parallel communication (25), batch exhausted (10).`
fn causes(broken: &[&SeriesFinding]) -> String {
    const NAMED: usize = 3;
    let words = (broken.iter())
        .filter_map(|series| series.breakdown.cause)
        .sorted()
        .dedup_with_count()
        .sorted_by_key(|(count, _)| Reverse(*count))
        .take(NAMED)
        .map(|(count, cause)| format!("{} ({count})", cause.title()))
        .join(", ");
    if words.is_empty() {
        return words;
    }
    format!(" Causes: {words}.")
}

/// Number of series of each global batch that break down, with the median size.
fn breakdown_by_batch(findings: &Findings) -> Option<String> {
    const BATCHES: usize = 6;
    if !findings.varied.contains(&Axis::GlobalBatch) {
        return None;
    }
    // By the bits of the batch, which sort as positive numbers do: curves, and sizes where they break.
    let mut batches: BTreeMap<u64, (usize, Vec<f64>)> = BTreeMap::new();
    for series in findings.series.iter().filter(|series| has_curve(series)) {
        if let Some(KeyValue::Number(batch)) = series.value(Axis::GlobalBatch) {
            let (curves, sizes) = batches.entry(batch.to_bits()).or_default();
            *curves += 1;
            sizes.extend(series.breakdown.confirmed_size());
        }
    }
    let any_broken = batches.values().any(|(_, sizes)| !sizes.is_empty());
    if batches.len() > BATCHES || !any_broken {
        return None;
    }
    let unit = size_unit(findings.size_axis);
    let words = batches.into_iter().map(|(batch, (curves, mut sizes))| {
        let batch = f64::from_bits(batch);
        sizes.sort_by(f64::total_cmp);
        match sizes.get(sizes.len() / 2) {
            Some(median) => format!(
                "{batch} in {} of {curves} series (median {} {unit})",
                sizes.len(),
                count(*median)
            ),
            None => format!("{batch} in none of {curves}"),
        }
    });
    Some(format!(
        "Breakdowns by global batch: {}.",
        words.into_iter().join("; ")
    ))
}

/// Number of sizes that are slower per GPU than both of their neighbours, with the deepest as an example.
fn sawteeth(findings: &Findings) -> Option<String> {
    let mut deepest: Option<(f64, String)> = None;
    let mut teeth = 0;
    for series in &findings.series {
        let ran = series.ran().map(|(size, _)| size);
        for (before, tooth, _) in ran.tuple_windows().filter(|(_, tooth, _)| tooth.sawtooth) {
            teeth += 1;
            let rate = |it: &SizeFinding| it.efficiency.map_or(1.0, |e| e.of_baseline);
            let left = rate(tooth) / rate(before);
            if deepest.as_ref().is_none_or(|(least, _)| left < *least) {
                let at = size_words(findings.size_axis, tooth);
                let example = format!("{} at {at}", series.label(&findings.varied));
                deepest = Some((left, example.trim_start().to_owned()));
            }
        }
    }
    let (left, example) = deepest?;
    let plural = if teeth == 1 { " is" } else { "s are" };
    Some(format!(
        "{teeth} size{plural} slower per GPU than the sizes before and after, because batch or layers divide \
         unevenly; the largest drop is {example}, {} under the size before.",
        percent(1.0 - left)
    ))
}
