//! The answer of a training study in sentences: what is fastest, where scaling breaks down and why.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools;

use crate::analysis::{
    BreakdownStatus, Dimension, Findings, KeyValue, Measured, SeriesFinding, SizeFinding,
};
use crate::report::choices::{choices_words, named_choices};
use crate::report::contrasts::{rate_sentences, value_sentences};
use crate::report::networks::network_sentences;
use crate::report::quantity::{count, percent};
use crate::report::question::question_sentences;
use crate::report::resimulated;
use crate::report::words::{capitalised, size_unit, size_words};
use crate::simulation::StepPart;
use crate::spec::Axis;

/// The answer in sentences, the choices among them.
pub(crate) fn sentences(findings: &Findings) -> Vec<String> {
    let mut found = answer_sentences(findings, choice_sentences);
    found.extend(breakdown_details(findings));
    found
}

/// The answer in sentences for a page whose table has the choices, and whose section on breakdowns has
/// [`breakdown_details`].
pub(super) fn sentences_beside_table(findings: &Findings) -> Vec<String> {
    answer_sentences(findings, |_| Vec::new())
}

fn answer_sentences(
    findings: &Findings,
    choices: impl Fn(&Findings) -> Vec<String>,
) -> Vec<String> {
    let nothing = nothing_sentence(findings);
    if findings.counts.ok == 0 {
        return Vec::from_iter(nothing);
    }
    // Limits are the question where there are some.
    let mut found = question_sentences(findings);
    found.extend(asked_sentences(findings));
    found.extend(choices(findings));
    found.extend(nothing);
    found.extend(breakdown_sentence(findings));
    found
}

/// What more there is to say of breakdowns: by batch, of sizes that divide unevenly, and after re-simulation.
pub(super) fn breakdown_details(findings: &Findings) -> Vec<String> {
    if findings.counts.ok == 0 {
        return Vec::new();
    }
    let mut found = Vec::from_iter(breakdown_by_batch(findings));
    found.extend(teeth(findings));
    found.extend(same_simulations(findings));
    found.extend(resimulated::sentences(findings));
    found
}

/// The answer to what the study asks besides time and cost: of its networks, of the choice that it varies, of its rate per
/// GPU as the batch grows.
pub(super) fn asked_sentences(findings: &Findings) -> Vec<String> {
    let mut found = network_sentences(findings);
    found.extend(rate_sentences(findings));
    found.extend(value_sentences(findings));
    found
}

/// Why nothing is said, as a sentence.
pub(super) fn nothing_sentence(findings: &Findings) -> Option<String> {
    let nothing = findings.nothing.as_ref()?;
    Some(format!("{}.", capitalised(nothing)))
}

/// Sentences for each model where models differ, else for the study.
fn choice_sentences(findings: &Findings) -> Vec<String> {
    const MODELS: usize = 8;
    /// Choices that are named of each.
    const CHOICES: usize = 4;
    let more = findings.answers.len().saturating_sub(MODELS);
    let answers = findings.answers.iter().take(MODELS);
    // Limits leave a choice or two, which their own sentences name.
    let answers = answers.filter(|answer| answer.verdict.is_none());
    answers
        .map(|answer| {
            let (by, series) = (findings.answered_by(), findings.series_of(answer));
            let choices = named_choices(findings, answer, CHOICES);
            let words = if choices.is_empty() {
                format!("nothing runs: {}.", why_nothing_ran(findings, series))
            } else {
                choices_words(findings, &choices)
            };
            // Names of models keep their spelling.
            match by {
                [] => capitalised(&words),
                _ => format!("{}: {words}", series.label(by)),
            }
        })
        .chain((more > 0).then(|| format!("{more} more models are in the report.")))
        .collect()
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
    if broken.is_empty() && unconfirmed == curves {
        let kinds = kinds_of_unconfirmed(findings);
        let kinds = kinds.map(|(count, how)| format!("{count} of {curves} series {how}"));
        let kinds: Vec<String> = kinds.collect();
        return Some(format!(
            "Efficiency falls under {threshold} in {} (unconfirmed).",
            kinds.join(", in ")
        ));
    }
    let maybe = unconfirmed_words(findings);
    if broken.is_empty() {
        return Some(format!(
            "Efficiency stays above {threshold} in {} of {curves} series{maybe}.",
            curves - unconfirmed
        ));
    }
    let range = sizes_broken(&broken, size_unit(findings.size_axis));
    Some(format!(
        "Scaling breaks down (under {threshold} efficiency) in {} of {curves} series, {range}{maybe}.{}",
        broken.len(),
        causes(&broken)
    ))
}

/// `; 16 more fall under it only at their largest size (unconfirmed)`, those that do at more sizes apart; empty where none
/// does.
fn unconfirmed_words(findings: &Findings) -> String {
    let words = kinds_of_unconfirmed(findings).map(|(count, how)| match count {
        1 => format!("; 1 more falls under it {how} (unconfirmed)"),
        n => format!("; {n} more fall under it {how} (unconfirmed)"),
    });
    words.collect()
}

/// How many series fall under the threshold without confirmation, and where: those that do at one size first.
fn kinds_of_unconfirmed(findings: &Findings) -> impl Iterator<Item = (usize, &'static str)> {
    let series = findings.series.iter();
    let unconfirmed = series.filter(|it| it.breakdown.status == BreakdownStatus::Unconfirmed);
    let (at_one, at_more): (Vec<_>, Vec<_>) =
        unconfirmed.partition(|it| it.sizes_under(findings.threshold) == 1);
    let largest = match at_one.len() {
        1 => "only at its largest size",
        _ => "only at their largest size",
    };
    let uneven = "where fewer than two sizes divide the batch evenly";
    [(at_one.len(), largest), (at_more.len(), uneven)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
}

/// Why some sizes are more efficient than the size that measures them: `Efficiency over 100%: the smallest
/// size, its yardstick, recomputes or is tight.`; `None` where none is.
pub(super) fn over_the_measure<'a>(
    sizes: impl Iterator<Item = (&'a SeriesFinding, &'a SizeFinding)>,
) -> Option<String> {
    /// Efficiency that is shown as more than 100%.
    const OVER: f64 = 1.005;
    /// Share of a step by which recomputation differs for good.
    const MORE: f64 = 0.01;
    let over = sizes.filter(|(_, size)| size.efficiency.is_some_and(|it| it.of_baseline >= OVER));
    let why = over.filter_map(|(series, size)| {
        let (measure, own) = (series.baseline()?.point.measured?, size.point.measured?);
        let recomputed = |it: &Measured| it.parts[StepPart::Recompute] / it.step_time_s;
        Some(if recomputed(&measure) > recomputed(&own) + MORE {
            "recomputes"
        } else if measure.tight == Some(true) {
            "is tight"
        } else {
            "runs a slower layout"
        })
    });
    let why = why.unique().join(" or ");
    (!why.is_empty())
        .then(|| format!("Efficiency over 100%: the smallest size, its yardstick, {why}."))
}

/// The same in brief: where each of a few models breaks down, and the commonest causes.
pub(super) fn breakdown_in_brief(findings: &Findings) -> Option<String> {
    let curves = findings.series.iter().filter(|it| has_curve(it)).count();
    let broken = findings.series.iter();
    let broken: Vec<&SeriesFinding> = broken
        .filter(|series| series.breakdown.confirmed_size().is_some())
        .collect();
    if curves == 0 || broken.is_empty() {
        return breakdown_sentence(findings);
    }
    let sizes = match broken_by_model(findings) {
        models if models.is_empty() => {
            format!(", {}", sizes_broken(&broken, size_unit(findings.size_axis)))
        }
        models => format!(": {}", models.join(", ")),
    };
    let unconfirmed = kinds_of_unconfirmed(findings)
        .map(|(count, how)| format!("; {count} more {how} (unconfirmed)"));
    Some(format!(
        "Scaling breaks down (under {} efficiency) in {} of {curves} series{sizes}; {}{}.",
        percent(findings.threshold),
        broken.len(),
        commonest_causes(&broken),
        unconfirmed.collect::<String>()
    ))
}

/// `main causes: host overhead (3), too few samples (2)`.
fn commonest_causes(broken: &[&SeriesFinding]) -> String {
    /// Causes that are named.
    const CAUSES: usize = 3;
    let causes = broken.iter().filter_map(|series| series.breakdown.cause);
    let counted: Vec<_> = (causes.sorted().dedup_with_count())
        .sorted_by_key(|(count, _)| Reverse(*count))
        .collect();
    let title = match counted.len() {
        1 => "cause",
        2..=CAUSES => "causes",
        _ => "main causes",
    };
    let named = counted.iter().take(CAUSES);
    let named = named.map(|(count, cause)| match counted.len() {
        1 => cause.title().to_owned(),
        _ => format!("{} ({count})", cause.title()),
    });
    format!("{title}: {}", named.into_iter().join(", "))
}

/// The sizes at which each model breaks down: `llama2-7b at 47–171 GPUs (12 series)`, `llama2-13b at 54 (1)`; empty of one
/// model or of many.
fn broken_by_model(findings: &Findings) -> Vec<String> {
    /// Models that are named.
    const MODELS: usize = 4;
    let by = findings.answered_by();
    if by.is_empty() || findings.answers.len() > MODELS {
        return Vec::new();
    }
    let unit = size_unit(findings.size_axis);
    let answers = findings.answers.iter();
    let models = answers.filter_map(|answer| {
        let first = findings.series_of(answer);
        let sizes = findings.alike(first);
        let sizes: Vec<f64> = sizes
            .filter_map(|series| series.breakdown.confirmed_size())
            .sorted_by(f64::total_cmp)
            .collect();
        let (low, high) = (count(*sizes.first()?), count(*sizes.last()?));
        let at = if low == high {
            low
        } else {
            format!("{low}–{high}")
        };
        Some((first.label(by), at, sizes.len()))
    });
    let words = models
        .enumerate()
        .map(|(place, (model, at, series))| match (place, series) {
            (0, 1) => format!("{model} at {at} {unit}"),
            (0, _) => format!("{model} at {at} {unit} ({series} series)"),
            _ => format!("{model} at {at} ({series})"),
        });
    words.collect()
}

/// The sizes at which series break down: `between 44 and 427 GPUs (median 201)`.
fn sizes_broken(broken: &[&SeriesFinding], unit: &str) -> String {
    let sizes = broken.iter().filter_map(|series| series.breakdown.size);
    let sizes: Vec<f64> = sizes.sorted_by(f64::total_cmp).collect();
    match (sizes.first(), sizes.last()) {
        (Some(low), Some(high)) if count(*low) != count(*high) => format!(
            "between {} and {} {unit} (median {})",
            count(*low),
            count(*high),
            count(sizes[sizes.len() / 2])
        ),
        (Some(only), _) => format!("at {} {unit}", count(*only)),
        _ => String::new(),
    }
}

/// Whether a series ran at more than one size.
fn has_curve(series: &SeriesFinding) -> bool {
    series.ran().nth(1).is_some()
}

/// Every cause with its number of series, which sum to those that break down:
/// ` Causes: data-parallel communication (25), batch exhausted (10).`
fn causes(broken: &[&SeriesFinding]) -> String {
    let words = (broken.iter())
        .filter_map(|series| series.breakdown.cause)
        .sorted()
        .dedup_with_count()
        .sorted_by_key(|(count, _)| Reverse(*count))
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
    if !findings
        .varied
        .contains(&Dimension::Axis(Axis::GlobalBatch))
    {
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

/// Number of sizes under the upper envelope of their series, with the deepest as an example.
fn teeth(findings: &Findings) -> Option<String> {
    let mut deepest: Option<(f64, String)> = None;
    let mut teeth = 0_u32;
    for series in &findings.series {
        let mut best = 0.0_f64;
        for (size, _) in series.ran() {
            let efficiency = size.efficiency.map_or(1.0, |e| e.of_baseline);
            best = best.max(efficiency);
            if !size.sawtooth {
                continue;
            }
            teeth += 1;
            let left = efficiency / best;
            if deepest.as_ref().is_none_or(|(least, _)| left < *least) {
                let at = size_words(findings.size_axis, size);
                let example = format!("{} at {at}", series.label(&findings.varied));
                deepest = Some((left, example.trim_start().to_owned()));
            }
        }
    }
    let (left, example) = deepest?;
    let plural = if teeth == 1 { " is" } else { "s are" };
    Some(format!(
        "{} size{plural} slower per GPU than sizes around, because batch, layers or network divide unevenly there, and \
         count for no breakdown; the largest drop is {example}, {} under the best smaller size.",
        count(f64::from(teeth)),
        percent(1.0 - left)
    ))
}

/// Dimensions along which rows are the same simulations: `… counted as one series: collective ring/tree in 48 of 48.`
fn same_simulations(findings: &Findings) -> Option<String> {
    let series = findings.series.iter();
    let joined = series.flat_map(|series| {
        let dimensions = Dimension::all();
        dimensions.filter_map(|it| {
            let value = series.dimension(it)?;
            matches!(value, KeyValue::Several(_)).then(|| format!("{it} {value}"))
        })
    });
    let words = (joined.counts().into_iter())
        .sorted_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)))
        .map(|(values, count)| format!("{values} in {count} of {}", findings.series.len()))
        .join("; ");
    (!words.is_empty()).then(|| {
        format!("The same to 0.1% whatever the value, and counted as one series: {words}.")
    })
}
