//! The answer of a study that varies a choice besides models, sizes and batches: how its values compare, everything else
//! equal; and what remains of the rate per GPU where the batch grows with the job.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools;

use crate::analysis::{Dimension, Findings, KeyValue, Scaling, SeriesFinding};
use crate::report::quantity::{count, percent, three_digits};
use crate::spec::Axis;

/// Most models with a sentence of their own.
const MODELS: usize = 4;

/// Most values of the other axes that a sentence names.
const NAMES: usize = 4;

/// Rows that differ in the value of one axis alone.
struct Contrast<'a> {
    /// The values of the other axes, in words.
    others: String,
    /// Step time in seconds of each value, the fastest first; `None` where the axis is left open.
    times: Vec<(Option<&'a KeyValue>, f64)>,
}

/// The values of every axis that is asked for: of two values the ratio of their times, in one sentence; of more the fastest
/// for each model, at its largest size.
pub(super) fn value_sentences(findings: &Findings) -> Vec<String> {
    let asked = asked(findings).into_iter();
    let (pairs, others): (Vec<Asked>, Vec<Asked>) = asked.partition(|it| it.values == 2);
    let all: Vec<&SeriesFinding> = findings.series.iter().collect();
    let ratios = pairs.iter().filter_map(|it| {
        let contrasts = contrasts(findings, &all, it.axis, largest_of_both);
        ratio(it.axis, &contrasts)
    });
    let ratios = ratios.collect::<Vec<_>>().join("; ");
    let ratios = (!ratios.is_empty())
        .then(|| format!("At the largest size that both ran, all else equal: {ratios}."));
    let of_model = |series: &SeriesFinding, axis: Axis| {
        let alike: Vec<&SeriesFinding> = findings.alike(series).collect();
        let gpus = largest(&alike)?;
        let words = fastest(axis, &contrasts(findings, &alike, axis, |_| Some(gpus)))?;
        let subject = subject(findings, series);
        let at = count(f64::from(gpus));
        Some(format!("{subject}on {at} GPUs, all else equal: {words}."))
    };
    let answers = findings.answers.iter().take(MODELS);
    let fastest = answers.flat_map(|answer| {
        let axes = others.iter().map(|it| it.axis);
        axes.filter_map(|axis| of_model(findings.series_of(answer), axis))
    });
    ratios.into_iter().chain(fastest).collect()
}

/// A sentence for each model of a study of weak scaling: the rate per GPU at the largest size over that at the smallest.
pub(super) fn rate_sentences(findings: &Findings) -> Vec<String> {
    let is_weak = |series: &SeriesFinding| series.scaling == Scaling::Weak;
    let is_over_gpus = matches!(findings.size_axis, Axis::Gpus | Axis::Nodes);
    if !is_over_gpus || !findings.series.iter().all(is_weak) {
        return Vec::new();
    }
    let of_model = |series: &SeriesFinding| {
        let alike: Vec<&SeriesFinding> = findings.alike(series).collect();
        let gpus = largest(&alike)?;
        let kept = alike.iter().filter(|it| it.ran().nth(1).is_some());
        let kept = kept.filter_map(|it| {
            let (last, _) = it.ran().find(|(size, _)| size.point.gpus == gpus)?;
            Some(last.efficiency?.of_baseline)
        });
        let (least, most) = kept.minmax_by(f64::total_cmp).into_option()?;
        let range = range(&percent(least), &percent(most));
        let subject = subject(findings, series);
        let at = count(f64::from(gpus));
        Some(format!(
            "{subject}each of {at} GPUs keeps {range} of its rate at the smallest size."
        ))
    };
    let answers = findings.answers.iter().take(MODELS);
    answers
        .filter_map(|answer| of_model(findings.series_of(answer)))
        .collect()
}

/// `llama2-7b: `, where models differ.
fn subject(findings: &Findings, series: &SeriesFinding) -> String {
    match series.label(findings.answered_by()) {
        label if label.is_empty() => label,
        label => format!("{label}: "),
    }
}

/// The largest size in GPUs that any of the series ran.
fn largest(series: &[&SeriesFinding]) -> Option<u32> {
    let sizes = series.iter().flat_map(|it| it.ran());
    sizes.map(|(size, _)| size.point.gpus).max()
}

/// An axis whose values a study asks about.
struct Asked {
    axis: Axis,
    /// Number of its values.
    values: usize,
}

/// The axes whose values the study asks about: GPUs where there are two, with the two networks behind them, and the only other
/// axis. None of a study of networks, which has sentences of its own, nor where several axes are searched together.
fn asked(findings: &Findings) -> Vec<Asked> {
    let axes = findings
        .varied
        .iter()
        .filter_map(|dimension| match dimension {
            Dimension::Axis(axis) => Some(*axis),
            Dimension::Run => None,
        });
    let (named, others): (Vec<Axis>, Vec<Axis>) = axes.partition(|axis| {
        matches!(
            axis,
            Axis::Model
                | Axis::Gpu
                | Axis::NicGbitPerS
                | Axis::GlobalBatch
                | Axis::BatchPerGpu
                | Axis::SeqLen
        )
    });
    let is_over_gpus = matches!(findings.size_axis, Axis::Gpus | Axis::Nodes);
    if !is_over_gpus || others.contains(&Axis::Topology) {
        return Vec::new();
    }
    let of = |axis: Axis| {
        let values = findings.series.iter().map(|it| it.value(axis));
        let values = values.unique().count();
        Asked { axis, values }
    };
    let has_two_gpus = of(Axis::Gpu).values == 2;
    let hardware = named
        .into_iter()
        .filter(|axis| has_two_gpus && matches!(axis, Axis::Gpu | Axis::NicGbitPerS));
    let hardware = hardware.map(of).filter(|it| it.values == 2);
    let only = others.first().filter(|_| others.len() == 1);
    hardware.chain(only.copied().map(of)).collect()
}

/// The largest size in GPUs that two series ran.
fn largest_of_both(series: &[&SeriesFinding]) -> Option<u32> {
    let sizes = series.iter().flat_map(|it| it.ran());
    let times = sizes.map(|(size, _)| size.point.gpus).counts();
    let both = times.into_iter().filter(|(_, times)| *times > 1);
    both.map(|(gpus, _)| gpus).max()
}

/// Rows of a size that differ in the value of an axis alone, one contrast for each combination of the other values that at
/// least two values of the axis ran.
fn contrasts<'a>(
    findings: &Findings,
    series: &[&'a SeriesFinding],
    axis: Axis,
    size: impl Fn(&[&SeriesFinding]) -> Option<u32>,
) -> Vec<Contrast<'a>> {
    let others = findings.varied.iter().copied().filter(|it| *it != axis);
    let others: Vec<Dimension> = others.collect();
    let named = others.iter().copied();
    let named = named.filter(|it| !findings.answered_by().contains(it));
    let named: Vec<Dimension> = named.collect();
    let mut alike: BTreeMap<Vec<Option<&KeyValue>>, Vec<&SeriesFinding>> = BTreeMap::new();
    for one in series {
        let key = others.iter().map(|it| one.dimension(*it)).collect();
        alike.entry(key).or_default().push(one);
    }
    let contrasts = alike.into_values().filter_map(|series| {
        let gpus = size(&series)?;
        let times = series.iter().filter_map(|one| {
            let (_, measured) = one.ran().find(|(size, _)| size.point.gpus == gpus)?;
            Some((one.value(axis), measured.step_time_s))
        });
        let times = times.sorted_by(|a, b| a.1.total_cmp(&b.1));
        Some(Contrast {
            others: series[0].label(&named),
            times: times.collect(),
        })
    });
    contrasts.filter(|it| it.times.len() > 1).collect()
}

/// Of two values the ratio of their times, as that which is faster more often: `h100-sxm is 2.05 to 2.12 times as fast as
/// a100-80gb-sxm`; `None` without a contrast.
fn ratio(axis: Axis, contrasts: &[Contrast<'_>]) -> Option<String> {
    let wins = contrasts.iter().map(|it| it.times[0].0).counts();
    let wins = wins.into_iter().sorted();
    let (fast, _) = wins.max_by_key(|(_, times)| *times)?;
    let of_both = &contrasts.first()?.times;
    let (slow, _) = of_both.iter().find(|(value, _)| *value != fast)?;
    let ratios = contrasts.iter().map(|contrast| {
        let ratio = contrast.times[1].1 / contrast.times[0].1;
        if contrast.times[0].0 == fast {
            ratio
        } else {
            ratio.recip()
        }
    });
    let (least, most) = ratios.minmax_by(f64::total_cmp).into_option()?;
    let times = range(&three_digits(least), &three_digits(most));
    let (fast, slow) = (value_words(axis, fast), value_words(axis, *slow));
    if times == three_digits(1.0) {
        return Some(format!("{fast} and {slow} are equally fast"));
    }
    Some(format!("{fast} is {times} times as fast as {slow}"))
}

/// The value that is fastest in each contrast, and how much longer the slowest takes: `ep 4 is fastest with gb200, ep 8 with
/// h100-sxm, and ep 64 takes up to 1.90 times as long`, or that all are equally fast, as price lists are; `None` without a
/// contrast.
fn fastest(axis: Axis, contrasts: &[Contrast<'_>]) -> Option<String> {
    let mut winners: Vec<(Option<&KeyValue>, Vec<&str>)> = Vec::new();
    for contrast in contrasts {
        let (value, others) = (contrast.times[0].0, contrast.others.as_str());
        match winners.iter_mut().find(|(known, _)| *known == value) {
            Some((_, with)) => with.push(others),
            None => winners.push((value, vec![others])),
        }
    }
    winners.sort_by_key(|(_, with)| Reverse(with.len()));
    let all = contrasts.len();
    let words = winners.iter().enumerate().map(|(place, (value, with))| {
        let value = value_words(axis, *value);
        let verb = if place == 0 { " is fastest" } else { "" };
        if winners.len() == 1 {
            format!("{value}{verb}")
        } else if all <= NAMES {
            format!("{value}{verb} with {}", with.join(" and "))
        } else {
            format!("{value}{verb} in {} of {all} cases", with.len())
        }
    });
    let words = words.collect::<Vec<_>>().join(", ");
    let slowest = contrasts.iter().filter_map(|contrast| {
        let (value, time) = contrast.times.last()?;
        Some((time / contrast.times[0].1, *value))
    });
    let (times, value) = slowest.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (value, times) = (value_words(axis, value), three_digits(times));
    if times == three_digits(1.0) {
        let values = contrasts.first()?.times.len();
        return Some(format!("all {values} values of {axis} are equally fast"));
    }
    Some(format!(
        "{words}, and {value} takes up to {times} times as long"
    ))
}

/// `h100-sxm`, `ep 4`; `ep auto` of a series that leaves the axis open.
fn value_words(axis: Axis, value: Option<&KeyValue>) -> String {
    let Some(value) = value else {
        return format!("{axis} auto");
    };
    match value {
        KeyValue::Text(name) => name.to_string(),
        KeyValue::Number(_) | KeyValue::Bool(_) | KeyValue::Several(_) => format!("{axis} {value}"),
    }
}

/// `1.01`, `1.01 to 1.20`.
fn range(low: &str, high: &str) -> String {
    if low == high {
        return low.to_owned();
    }
    format!("{low} to {high}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast<'a>(others: &str, times: &[(&'a KeyValue, f64)]) -> Contrast<'a> {
        Contrast {
            others: others.to_owned(),
            times: times
                .iter()
                .map(|(value, time)| (Some(*value), *time))
                .collect(),
        }
    }

    // 2.1 s against 1 s, then 2 s against 1 s: the faster is 2 to 2.1 times as fast. Where it loses once, by 1.25, it is
    // 1 / 1.25 = 0.8 times as fast there.
    #[test]
    fn two_values_are_told_by_the_ratio_of_their_times() {
        let [old, new] = ["a100", "h100"].map(|name| KeyValue::Text(name.into()));
        let twice = [
            contrast("512", &[(&new, 1.0), (&old, 2.1)]),
            contrast("1024", &[(&new, 1.0), (&old, 2.0)]),
        ];
        assert_eq!(
            ratio(Axis::Gpu, &twice).as_deref(),
            Some("h100 is 2.00 to 2.10 times as fast as a100")
        );
        let mixed = [
            contrast("1", &[(&new, 1.0), (&old, 2.0)]),
            contrast("2", &[(&new, 1.0), (&old, 2.0)]),
            contrast("3", &[(&old, 1.0), (&new, 1.25)]),
        ];
        assert_eq!(
            ratio(Axis::Gpu, &mixed).as_deref(),
            Some("h100 is 0.800 to 2.00 times as fast as a100")
        );
        assert_eq!(ratio(Axis::Gpu, &[]), None);
        let same = [contrast("1", &[(&old, 1.0), (&new, 1.0)])];
        assert_eq!(
            ratio(Axis::Gpu, &same).as_deref(),
            Some("a100 and h100 are equally fast")
        );
    }

    #[test]
    fn of_several_values_the_fastest_is_named_with_what_it_is_fastest_with() {
        let [four, eight, many] = [4.0, 8.0, 64.0].map(KeyValue::Number);
        let contrasts = [
            contrast("gb200", &[(&four, 1.0), (&eight, 1.1), (&many, 1.5)]),
            contrast("h100", &[(&eight, 2.0), (&four, 2.2), (&many, 3.8)]),
            contrast("h200", &[(&four, 2.0), (&eight, 2.1), (&many, 3.0)]),
        ];
        assert_eq!(
            fastest(Axis::Ep, &contrasts).as_deref(),
            Some(
                "ep 4 is fastest with gb200 and h200, ep 8 with h100, and ep 64 takes up to 1.90 times as long"
            )
        );
        assert_eq!(
            fastest(Axis::Ep, &contrasts[..1]).as_deref(),
            Some("ep 4 is fastest, and ep 64 takes up to 1.50 times as long")
        );
        let open = Contrast {
            others: "gb200".into(),
            times: vec![(None, 1.0), (Some(&four), 2.0)],
        };
        assert_eq!(
            fastest(Axis::Ep, &[open]).as_deref(),
            Some("ep auto is fastest, and ep 4 takes up to 2.00 times as long")
        );
        // What the GPUs are rented for makes no step faster.
        let lists = ["aws", "lambda", "own"].map(|name| KeyValue::Text(name.into()));
        let same = [contrast("1", &lists.each_ref().map(|list| (list, 1.0)))];
        assert_eq!(
            fastest(Axis::Prices, &same).as_deref(),
            Some("all 3 values of prices are equally fast")
        );
    }
}
