//! The answer of a study in a few sentences, and the series that stand for many.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::{
    BreakdownCause, BreakdownStatus, Findings, KeyValue, SeriesFinding, SizeFinding,
};
use crate::report::again;
use crate::report::networks::network_sentences;
use crate::report::quantity::{count, decimal, dollars, percent, seconds};
use crate::spec::Axis;

/// Series up to which each has a line of its own.
pub const SERIES_IN_FULL: usize = 20;

/// Axes that a summary groups by, what people choose between first.
const GROUPING: &[Axis] = &[
    Axis::Model,
    Axis::Gpu,
    Axis::Cluster,
    Axis::Topology,
    Axis::NicGbitPerS,
    Axis::SeqLen,
    Axis::Precision,
    Axis::Stack,
    Axis::Collective,
    Axis::GlobalBatch,
    Axis::BatchPerGpu,
];

/// Series that a summary shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection<'a> {
    /// One series each, in order.
    pub series: Vec<&'a SeriesFinding>,
    /// Axes by which the series were grouped, when each shown one is the best of its group.
    pub grouped_by: Vec<Axis>,
}

/// Samples per second at the recommended size.
fn recommended_rate(series: &SeriesFinding) -> Option<f64> {
    series
        .recommended()
        .and_then(|size| size.point.measured)
        .map(|measured| measured.samples_per_s)
}

/// The group of a series: its values of some axes, which compare and sort.
fn group_of<'a>(series: &'a SeriesFinding, axes: &[Axis]) -> Vec<Option<&'a KeyValue>> {
    axes.iter().map(|axis| series.value(*axis)).collect()
}

/// Whether some axes tell more groups apart than are shown.
fn too_many_groups(all: &[&SeriesFinding], axes: &[Axis]) -> bool {
    let mut groups = BTreeSet::new();
    all.iter().any(|series| {
        groups.insert(group_of(series, axes));
        groups.len() > SERIES_IN_FULL
    })
}

/// All series when they are few, else the fastest of each group. Groups are made by as many of the
/// usual axes as keep them few.
pub fn select(findings: &Findings) -> Selection<'_> {
    let all: Vec<&SeriesFinding> = findings.series.iter().collect();
    if all.len() <= SERIES_IN_FULL {
        return Selection {
            series: all,
            grouped_by: Vec::new(),
        };
    }
    let mut axes: Vec<Axis> = Vec::new();
    for axis in GROUPING
        .iter()
        .filter(|axis| findings.varied.contains(axis))
    {
        let mut more = axes.clone();
        more.push(*axis);
        if !too_many_groups(&all, &more) {
            axes = more;
        }
    }
    Selection {
        series: best_of_groups(&all, &axes),
        grouped_by: axes,
    }
}

/// The fastest series of each group, in the order of first appearance.
pub(super) fn best_of_groups<'a>(
    all: &[&'a SeriesFinding],
    axes: &[Axis],
) -> Vec<&'a SeriesFinding> {
    let mut places: BTreeMap<Vec<Option<&KeyValue>>, usize> = BTreeMap::new();
    let mut best: Vec<&SeriesFinding> = Vec::new();
    for series in all {
        let group = group_of(series, axes);
        match places.get(&group) {
            None => {
                places.insert(group, best.len());
                best.push(series);
            }
            Some(place) => {
                if recommended_rate(series) > recommended_rate(best[*place]) {
                    best[*place] = series;
                }
            }
        }
    }
    best
}

/// The answer in sentences: which series is fastest for what, where scaling ends, what it costs.
pub fn sentences(findings: &Findings) -> Vec<String> {
    told(findings, true)
}

/// The same beside a table of what is fastest.
pub fn sentences_beside_table(findings: &Findings) -> Vec<String> {
    told(findings, false)
}

fn told(findings: &Findings, fastest: bool) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(nothing) = &findings.nothing {
        found.push(nothing.clone());
        if findings.counts.ok == 0 {
            return found;
        }
    }
    found.extend(network_sentences(findings));
    if fastest {
        found.extend(fastest_sentences(findings));
    }
    found.extend(breakdown_sentence(findings));
    found.extend(breakdown_by_batch(findings));
    found.extend(sawteeth(findings));
    found.extend(again::sentences(findings));
    found
}

/// How many sizes are slower per GPU than both of their neighbours, with the deepest as an example.
fn sawteeth(findings: &Findings) -> Option<String> {
    let mut deepest: Option<(f64, String)> = None;
    let mut teeth = 0;
    for series in &findings.series {
        let ran: Vec<&SizeFinding> = series
            .sizes
            .iter()
            .filter(|size| size.efficiency.is_some())
            .collect();
        for trio in ran.windows(3).filter(|trio| trio[1].sawtooth) {
            let [before, tooth, _] = trio else { continue };
            teeth += 1;
            let rate = |size: &SizeFinding| size.efficiency.map_or(1.0, |e| e.of_baseline);
            let left = rate(tooth) / rate(before);
            if deepest.as_ref().is_none_or(|(least, _)| left < *least) {
                let name = match findings.varied.as_slice() {
                    [] => String::new(),
                    axes => format!("{} ", series.label(axes)),
                };
                let size = size_words(findings.size_axis, tooth);
                deepest = Some((left, format!("{name}at {size}")));
            }
        }
    }
    let (left, example) = deepest?;
    let plural = if teeth == 1 { " is" } else { "s are" };
    Some(format!(
        "{teeth} size{plural} slower per GPU than both neighbours, as divisibility makes them; most of all {example}, {} \
         under the size before.",
        percent(1.0 - left)
    ))
}

/// Axes whose values have an answer each: the models, where they differ.
pub(super) fn answered_by(findings: &Findings) -> &'static [Axis] {
    if findings.varied.contains(&Axis::Model) {
        &[Axis::Model]
    } else {
        &[]
    }
}

/// How many series of each batch break down, and where: what a fixed batch does to scaling shows
/// only when batches are told apart.
fn breakdown_by_batch(findings: &Findings) -> Option<String> {
    const BATCHES: usize = 6;
    if !findings.varied.contains(&Axis::GlobalBatch) {
        return None;
    }
    // Batch, series that have more than one size, and where those of them break that do.
    let mut batches: Vec<(f64, usize, Vec<f64>)> = Vec::new();
    for series in &findings.series {
        let Some(KeyValue::Number(batch)) = series.value(Axis::GlobalBatch) else {
            continue;
        };
        if series
            .sizes
            .iter()
            .filter(|s| s.efficiency.is_some())
            .count()
            < 2
        {
            continue;
        }
        let place = batches
            .iter()
            .position(|(known, ..)| known.to_bits() == batch.to_bits())
            .unwrap_or_else(|| {
                batches.push((*batch, 0, Vec::new()));
                batches.len() - 1
            });
        batches[place].1 += 1;
        if series.breakdown.status == BreakdownStatus::Confirmed {
            batches[place].2.extend(series.breakdown.size);
        }
    }
    let any_broken = batches.iter().any(|(_, _, sizes)| !sizes.is_empty());
    if batches.len() > BATCHES || !any_broken {
        return None;
    }
    batches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let words: Vec<String> = batches
        .iter_mut()
        .map(|(batch, curves, sizes)| {
            sizes.sort_by(f64::total_cmp);
            match sizes.get(sizes.len() / 2) {
                Some(median) => format!(
                    "{batch} in {} of {curves} series (median {} {})",
                    sizes.len(),
                    count(*median),
                    size_unit(findings.size_axis)
                ),
                None => format!("{batch} in none of {curves}"),
            }
        })
        .collect();
    Some(format!(
        "By global batch it breaks down: {}.",
        words.join("; ")
    ))
}

/// One sentence per model, where models differ, else one.
fn fastest_sentences(findings: &Findings) -> Vec<String> {
    const MODELS: usize = 8;
    let by = answered_by(findings);
    let all: Vec<&SeriesFinding> = findings.series.iter().collect();
    let others: Vec<Axis> = findings
        .varied
        .iter()
        .copied()
        .filter(|axis| !by.contains(axis))
        .collect();
    let best = best_of_groups(&all, by);
    let mut found: Vec<String> = best
        .iter()
        .take(MODELS)
        .map(|series| fastest_sentence(findings, series, by, &others))
        .collect();
    if best.len() > MODELS {
        found.push(format!(
            "{} more models are in the report.",
            best.len() - MODELS
        ));
    }
    found
}

fn fastest_sentence(
    findings: &Findings,
    series: &SeriesFinding,
    by: &[Axis],
    others: &[Axis],
) -> String {
    let subject = match by {
        [] => String::new(),
        _ => format!("{}: ", series.label(by)),
    };
    let Some(size) = series.recommended() else {
        return format!(
            "{subject}nothing runs: {}.",
            why_nothing_ran(findings, series, by)
        );
    };
    let with = match others {
        [] => String::new(),
        _ => format!(" with {}", series.label(others)),
    };
    let sentence = format!(
        "{subject}fastest within {} efficiency{with} at {}{}.",
        percent(findings.threshold),
        size_words(findings.size_axis, size),
        rate_words(size)
    );
    // Names of models keep their spelling.
    if by.is_empty() {
        capitalised(&sentence)
    } else {
        sentence
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

/// The commonest reason in the group of a series that never ran.
pub(super) fn why_nothing_ran(findings: &Findings, series: &SeriesFinding, by: &[Axis]) -> String {
    let group = group_of(series, by);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in findings
        .series
        .iter()
        .filter(|other| group_of(other, by) == group)
        .flat_map(|other| &other.sizes)
        .filter_map(|size| size.point.reason.as_ref())
    {
        *reasons.entry(reason.kind()).or_default() += 1;
    }
    reasons
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map_or_else(
            || "no reason is given".to_owned(),
            |(kind, _)| kind.to_owned(),
        )
}

/// A size in words: `256 GPUs (32 nodes)`, or `nic_gbit_per_s 400`.
pub fn size_words(axis: Axis, size: &SizeFinding) -> String {
    let gpus = count(f64::from(size.point.gpus));
    let plural = if size.point.gpus == 1 { "" } else { "s" };
    match (axis, size.point.nodes) {
        (Axis::Gpus | Axis::Nodes, Some(nodes)) if nodes > 1 => {
            format!("{gpus} GPUs ({} nodes)", count(f64::from(nodes)))
        }
        (Axis::Gpus | Axis::Nodes, _) => format!("{gpus} GPU{plural}"),
        (other, _) => format!("{other} {}", size.point.size),
    }
}

fn rate_words(size: &SizeFinding) -> String {
    let Some(measured) = size.point.measured else {
        return String::new();
    };
    let rate = match measured.tokens_per_s {
        Some(tokens) => format!("{} tokens/s", decimal(tokens)),
        None => format!("{} samples/s", decimal(measured.samples_per_s)),
    };
    let cost = measured
        .cost_per_mtoken_usd
        .map(|cost| format!(", {} per million tokens", dollars(cost)))
        .unwrap_or_default();
    let mfu = measured
        .mfu
        .map(|mfu| format!(", MFU {}", percent(mfu)))
        .unwrap_or_default();
    format!(
        ": {} per step, {rate}{mfu}{cost}",
        seconds(measured.step_time_s)
    )
}

/// How many series break down, where, and most often why.
fn breakdown_sentence(findings: &Findings) -> Option<String> {
    let curves = findings
        .series
        .iter()
        .filter(|series| {
            series
                .sizes
                .iter()
                .filter(|s| s.efficiency.is_some())
                .count()
                > 1
        })
        .count();
    if curves == 0 {
        return None;
    }
    let threshold = percent(findings.threshold);
    let broken: Vec<&SeriesFinding> = findings
        .series
        .iter()
        .filter(|series| series.breakdown.status == BreakdownStatus::Confirmed)
        .collect();
    let unconfirmed = findings
        .series
        .iter()
        .filter(|series| series.breakdown.status == BreakdownStatus::Unconfirmed)
        .count();
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
    let mut sizes: Vec<f64> = broken.iter().filter_map(|s| s.breakdown.size).collect();
    sizes.sort_by(f64::total_cmp);
    let range = match (sizes.first(), sizes.last()) {
        (Some(low), Some(high)) if count(*low) != count(*high) => format!(
            "between {} and {} {} (median {})",
            count(*low),
            count(*high),
            size_unit(findings.size_axis),
            count(sizes[sizes.len() / 2])
        ),
        (Some(only), _) => format!("at {} {}", count(*only), size_unit(findings.size_axis)),
        _ => String::new(),
    };
    Some(format!(
        "Scaling breaks down (under {threshold} efficiency) in {} of {curves} series, {range}{}{maybe}.",
        broken.len(),
        causes(&broken)
    ))
}

fn size_unit(axis: Axis) -> &'static str {
    match axis {
        Axis::Gpus | Axis::Nodes => "GPUs",
        other => other.as_str(),
    }
}

/// `: data-parallel communication 25, batch exhausted 10`.
fn causes(broken: &[&SeriesFinding]) -> String {
    let mut counts: BTreeMap<BreakdownCause, usize> = BTreeMap::new();
    for cause in broken.iter().filter_map(|series| series.breakdown.cause) {
        *counts.entry(cause).or_default() += 1;
    }
    let mut counts: Vec<(BreakdownCause, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(cause, count)| (std::cmp::Reverse(*count), *cause));
    let words: Vec<String> = counts
        .iter()
        .take(3)
        .map(|(cause, count)| format!("{} ({count})", cause.title()))
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(", because of {}", words.join(", "))
    }
}
