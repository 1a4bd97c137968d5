//! The answer of a study that varies the network between nodes: topologies within 5% of the fastest, and
//! the oversubscription that each tolerates.

use itertools::Itertools;

use crate::analysis::{Dimension, Findings, KeyValue, SeriesFinding};
use crate::report::quantity::{count, three_digits};
use crate::spec::Axis;

/// Largest ratio of step times that counts as equally fast.
const AS_FAST: f64 = 1.05;

/// Most models with a sentence of their own.
const MODELS: usize = 6;

/// One topology at the size that is compared.
struct Contender<'a> {
    name: &'a KeyValue,
    oversubscription: f64,
    /// Step time; `None` where it did not run.
    step_time_s: Option<f64>,
}

/// A sentence or two per model: topologies against the fastest at the largest size, everything else
/// as the fastest has it; then oversubscription.
pub(super) fn network_sentences(findings: &Findings) -> Vec<String> {
    if !findings.varied.contains(&Dimension::Axis(Axis::Topology)) {
        return Vec::new();
    }
    let mut models: Vec<Option<&KeyValue>> = Vec::new();
    for series in &findings.series {
        let model = series.value(Axis::Model);
        if !models.contains(&model) {
            models.push(model);
        }
    }
    (models.into_iter().take(MODELS))
        .flat_map(|model| of_model(findings, model))
        .collect()
}

fn step_time(series: &SeriesFinding, gpus: u32) -> Option<f64> {
    let (_, measured) = series.ran().find(|(size, _)| size.point.gpus == gpus)?;
    Some(measured.step_time_s)
}

fn of_model(findings: &Findings, model: Option<&KeyValue>) -> Vec<String> {
    let series = || {
        let all = findings.series.iter();
        all.filter(|series| series.value(Axis::Model) == model)
    };
    let sizes = series().flat_map(|series| series.ran().map(|(size, _)| size.point.gpus));
    let Some(gpus) = sizes.max() else {
        return Vec::new();
    };
    let fastest = series()
        .filter_map(|series| Some((step_time(series, gpus)?, series)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((least, best)) = fastest else {
        return Vec::new();
    };
    let is_of_network = |dimension: &Dimension| {
        matches!(
            dimension,
            Dimension::Axis(Axis::Topology | Axis::Oversubscription)
        )
    };
    let (_, others): (Vec<Dimension>, Vec<Dimension>) =
        findings.varied.iter().copied().partition(is_of_network);
    let is_contender = |series: &&SeriesFinding| {
        let mut others = others.iter();
        others.all(|it| series.dimension(*it) == best.dimension(*it))
    };
    let contenders: Vec<Contender<'_>> = series()
        .filter(is_contender)
        .flat_map(|series| contenders_of(series, step_time(series, gpus)))
        .collect();
    let sentence = topologies(&contenders, least).map(|words| {
        let subject = model.map_or_else(String::new, |model| format!("{model}: "));
        let with = others.into_iter().filter(|it| *it != Axis::Model);
        let with = match best.label(&with.collect::<Vec<_>>()) {
            label if label.is_empty() => String::new(),
            label => format!(" with {label}"),
        };
        let gpus = count(f64::from(gpus));
        format!("{subject}on {gpus} GPUs{with}, {words}.")
    });
    (sentence.into_iter())
        .chain(oversubscription(&contenders))
        .collect()
}

/// The topologies that a series stands for, with each of its ratios of oversubscription.
fn contenders_of(series: &SeriesFinding, step_time_s: Option<f64>) -> Vec<Contender<'_>> {
    let names = series.value(Axis::Topology).map(KeyValue::values);
    let ratios = series.value(Axis::Oversubscription);
    let ratios = ratios.map_or_else(|| vec![None], KeyValue::values);
    let pairs = names.into_iter().flatten().cartesian_product(ratios);
    let contenders = pairs.filter_map(|(name, ratio)| {
        Some(Contender {
            name: name?,
            oversubscription: match ratio {
                Some(KeyValue::Number(ratio)) => *ratio,
                Some(KeyValue::Text(_) | KeyValue::Bool(_) | KeyValue::Several(_)) | None => 1.0,
            },
            step_time_s,
        })
    });
    contenders.collect()
}

/// The contenders of each topology, least oversubscribed first.
fn by_topology<'a, 'b>(
    contenders: &'b [Contender<'a>],
) -> Vec<(&'a KeyValue, Vec<&'b Contender<'a>>)> {
    let mut found: Vec<(&KeyValue, Vec<&Contender<'_>>)> = Vec::new();
    let sorted = contenders.iter();
    for it in sorted.sorted_by(|a, b| a.oversubscription.total_cmp(&b.oversubscription)) {
        match found.iter_mut().find(|(name, _)| *name == it.name) {
            Some((_, known)) => known.push(it),
            None => found.push((it.name, vec![it])),
        }
    }
    found.sort_by_key(|(name, _)| contenders.iter().position(|it| it.name == *name));
    found
}

/// `switch and rail are within 5% of the fastest; mesh2d takes 1.26 times as long; torus3d cannot run`.
fn topologies(contenders: &[Contender<'_>], least: f64) -> Option<String> {
    let all = by_topology(contenders);
    if all.len() < 2 {
        return None;
    }
    let (mut as_fast, mut slower, mut cannot) = (Vec::new(), Vec::new(), Vec::new());
    for (name, of_name) in all {
        match of_name.first().and_then(|contender| contender.step_time_s) {
            Some(secs) if secs <= AS_FAST * least => as_fast.push(name.to_string()),
            Some(secs) => slower.push((secs / least, name)),
            None => cannot.push(name.to_string()),
        }
    }
    slower.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut parts = vec![match as_fast.as_slice() {
        [only] => format!("{only} is fastest"),
        several => format!("{} are within 5% of the fastest", joined(several)),
    }];
    if !slower.is_empty() {
        let factor = |(factor, name): &(f64, _)| format!("{name} {} times", three_digits(*factor));
        let factors: Vec<String> = slower.iter().map(factor).collect();
        parts.push(format!("{} as long", joined(&factors)));
    }
    if !cannot.is_empty() {
        parts.push(format!("{} cannot run", joined(&cannot)));
    }
    Some(parts.join("; "))
}

/// The oversubscription up to which each topology stays within 5% of its least oversubscribed step.
fn oversubscription(contenders: &[Contender<'_>]) -> Option<String> {
    let of_topology = |(name, of_name): (&KeyValue, Vec<&Contender<'_>>)| {
        let ran = of_name.iter();
        let ran = ran.filter_map(|it| Some((it.oversubscription, it.step_time_s?)));
        let ran: Vec<(f64, f64)> = ran.collect();
        let [(_, base), .., (most, _)] = ran[..] else {
            return None;
        };
        let costly = ran.iter().find(|(_, secs)| *secs > AS_FAST * base);
        Some(match costly {
            None => format!("{name} tolerates {most}:1"),
            Some((ratio, secs)) => {
                let factor = three_digits(secs / base);
                format!("{name} at {ratio}:1 takes {factor} times as long")
            }
        })
    };
    let words = by_topology(contenders).into_iter().filter_map(of_topology);
    let words = words.into_iter().join(", ");
    (!words.is_empty()).then(|| format!("Oversubscription on these: {words}."))
}

/// `a`, `a and b`, `a, b and c`.
fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Against 100 ms: 104 is as fast, 126 is 1.26 times; the tree at 4:1 takes twice its own time.
    #[test]
    fn topologies_are_held_against_the_fastest() {
        let names = ["switch", "rail", "mesh2d", "tree"].map(|name| KeyValue::Text(name.into()));
        let contender = |name: usize, oversubscription, step_time_s| Contender {
            name: &names[name],
            oversubscription,
            step_time_s,
        };
        let contenders = [
            contender(0, 1.0, Some(0.1)),
            contender(1, 1.0, Some(0.104)),
            contender(1, 2.0, Some(0.105)),
            contender(2, 1.0, Some(0.126)),
            contender(3, 4.0, Some(0.2)),
            contender(3, 1.0, Some(0.1)),
        ];
        assert_eq!(
            topologies(&contenders, 0.1).as_deref(),
            Some("switch, rail and tree are within 5% of the fastest; mesh2d 1.26 times as long")
        );
        assert_eq!(
            oversubscription(&contenders).as_deref(),
            Some(
                "Oversubscription on these: rail tolerates 2:1, tree at 4:1 takes 2.00 times as long."
            )
        );
    }
}
