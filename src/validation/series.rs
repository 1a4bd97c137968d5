//! What single errors do not show: scaling series and rankings of layouts.

use std::collections::BTreeMap;

use super::case::Judged;
use super::errors::mean;

/// How well scaling efficiency is predicted in one family.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingErrors {
    /// Model family.
    pub family: String,
    /// Series with at least three sizes.
    pub series: usize,
    /// Points above the smallest size of their series.
    pub points: usize,
    /// Mean |predicted − measured| efficiency.
    pub error: f64,
    /// Mean |1 − measured| efficiency: the error of always predicting perfect scaling.
    pub error_of_perfect: f64,
}

/// Scaling efficiency against the smallest size of each series, per family.
///
/// Efficiency is the rate per GPU (samples/s/GPU) over that of the smallest size, which covers strong and weak
/// scaling alike. A series with fewer than three sizes, or with a mixed batch, does not count.
pub fn scaling_errors(cases: &[Judged]) -> Vec<ScalingErrors> {
    let mut series: BTreeMap<(&str, &str), Vec<&Judged>> = BTreeMap::new();
    for judged in cases {
        if let Some(place) = &judged.case.series
            && matches!(place.scaling.as_str(), "strong" | "weak")
        {
            let key = (judged.case.groups.family.as_str(), place.series.as_str());
            series.entry(key).or_default().push(judged);
        }
    }
    let mut families: BTreeMap<&str, FamilyPoints> = BTreeMap::new();
    for ((family, _), mut members) in series {
        members.sort_by_key(|judged| judged.case.gpus);
        let mut sizes: Vec<u32> = members.iter().map(|judged| judged.case.gpus).collect();
        sizes.dedup();
        let points = efficiencies(&members);
        if sizes.len() < 3 || points.is_empty() {
            continue;
        }
        let entry = families.entry(family).or_default();
        entry.series += 1;
        entry.points.extend(points);
    }
    families
        .into_iter()
        .map(|(family, FamilyPoints { series, points })| {
            let off = |of: fn(&(f64, f64)) -> f64| mean(&points.iter().map(of).collect::<Vec<_>>());
            ScalingErrors {
                family: family.to_owned(),
                series,
                points: points.len(),
                error: off(|(measured, predicted)| (predicted - measured).abs()),
                error_of_perfect: off(|(measured, _)| (1.0 - measured).abs()),
            }
        })
        .collect()
}

#[derive(Default)]
struct FamilyPoints {
    series: usize,
    /// (measured, predicted) efficiency.
    points: Vec<(f64, f64)>,
}

/// (measured, predicted) efficiency of every case above the smallest size.
fn efficiencies(ascending: &[&Judged]) -> Vec<(f64, f64)> {
    let rates = |judged: &Judged| {
        let work = f64::from(judged.case.samples) / f64::from(judged.case.gpus);
        Some((
            work / judged.case.measured?,
            work / judged.result.predicted?,
        ))
    };
    let mut rates = ascending
        .iter()
        .filter_map(|judged| Some((judged.case.gpus, rates(judged)?)));
    let Some((smallest, base)) = rates.next() else {
        return Vec::new();
    };
    rates
        .filter(|(gpus, _)| *gpus > smallest)
        .map(|(_, rate)| (rate.0 / base.0, rate.1 / base.1))
        .collect()
}

/// How well a set of alternative layouts of one job is ranked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// What the layouts share.
    pub contest: String,
    /// Layouts with a prediction.
    pub layouts: usize,
    /// Measured time of the layout ranked first over the best measured one, − 1.
    pub regret: f64,
    /// Spearman's rank correlation of predicted and measured times.
    pub spearman: f64,
}

/// Smallest set of alternative layouts that is a ranking task.
const RANKED_LAYOUTS: usize = 5;

/// Rankings of all sets of at least five alternative layouts.
pub fn rankings(cases: &[Judged]) -> Vec<Ranking> {
    let mut contests: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for judged in cases {
        if let (Some(measured), Some(predicted)) = (judged.case.measured, judged.result.predicted)
            && !judged.case.contest.is_empty()
            && judged.is_scored()
        {
            contests
                .entry(&judged.case.contest)
                .or_default()
                .push((measured, predicted));
        }
    }
    contests
        .into_iter()
        .filter(|(_, times)| times.len() >= RANKED_LAYOUTS)
        .map(|(contest, times)| {
            let best = times.iter().map(|t| t.0).fold(f64::INFINITY, f64::min);
            let chosen = times
                .iter()
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(best, |t| t.0);
            Ranking {
                contest: contest.to_owned(),
                layouts: times.len(),
                regret: chosen / best - 1.0,
                spearman: spearman(&times),
            }
        })
        .collect()
}

/// Spearman's rank correlation: Pearson's of the ranks, ties sharing the mean of their ranks.
fn spearman(pairs: &[(f64, f64)]) -> f64 {
    let a = ranks(pairs.iter().map(|p| p.0));
    let b = ranks(pairs.iter().map(|p| p.1));
    let centre = f64::midpoint(pairs.len() as f64, 1.0);
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - centre) * (y - centre))
            .sum()
    };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale > 0.0 {
        product(&a, &b) / scale
    } else {
        0.0
    }
}

fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    values
        .iter()
        .map(|value| {
            let below = values.iter().filter(|other| *other < value).count();
            let equal = values
                .iter()
                .filter(|other| other.total_cmp(value).is_eq())
                .count();
            below as f64 + f64::midpoint(equal as f64, 1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_orders_correlate_fully_and_reversed_ones_negatively() {
        let up = [(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)];
        let down = [(1.0, 30.0), (2.0, 20.0), (3.0, 10.0)];
        assert!((spearman(&up) - 1.0).abs() < 1e-12);
        assert!((spearman(&down) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        // 5 is first; the two 7s share ranks 2 and 3; 9 is fourth.
        assert_eq!(
            ranks([7.0, 5.0, 7.0, 9.0].into_iter()),
            [2.5, 1.0, 2.5, 4.0]
        );
    }
}
