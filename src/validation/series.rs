//! Errors of scaling efficiency, and rankings of alternative layouts.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::SizeRate;

use super::case::Judged;
use super::errors::mean;

/// Errors of scaling efficiency in one model family.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ScalingErrors {
    /// Model family.
    pub family: String,
    /// Number of series with at least three sizes.
    pub series: usize,
    /// Number of points above the smallest size of their series.
    pub points: usize,
    /// Mean of |predicted − measured| efficiency.
    pub error: f64,
    /// Mean of |1 − measured| efficiency: the error of always predicting perfect scaling.
    pub error_of_perfect: f64,
}

/// Scaling efficiency against the smallest size of each series, per family.
///
/// A series with fewer than three sizes, or with a mixed batch, does not count.
pub(crate) fn scaling_errors(cases: &[Judged]) -> Vec<ScalingErrors> {
    let mut series: BTreeMap<(&str, &str), Vec<&Judged>> = BTreeMap::new();
    for judged in cases {
        if let Some(place) = &judged.case.series
            && place.scaling.is_some()
        {
            let key = (judged.case.groups.family.as_str(), place.series.as_str());
            series.entry(key).or_default().push(judged);
        }
    }
    let mut families: BTreeMap<&str, Vec<Vec<Efficiencies>>> = BTreeMap::new();
    for ((family, _), mut members) in series {
        members.sort_by_key(|judged| judged.case.gpus);
        let sizes = members.iter().map(|judged| judged.case.gpus).dedup();
        let points = efficiencies(&members);
        if sizes.count() >= 3 && !points.is_empty() {
            families.entry(family).or_default().push(points);
        }
    }
    families
        .into_iter()
        .map(|(family, series)| {
            let points = series.concat();
            let mean_of =
                |error: fn(&Efficiencies) -> f64| mean(&points.iter().map(error).collect_vec());
            ScalingErrors {
                family: family.to_owned(),
                series: series.len(),
                points: points.len(),
                error: mean_of(|point| (point.predicted - point.measured).abs()),
                error_of_perfect: mean_of(|point| (1.0 - point.measured).abs()),
            }
        })
        .collect()
}

/// Scaling efficiency of one case.
#[derive(Clone, Copy)]
struct Efficiencies {
    measured: f64,
    predicted: f64,
}

/// Efficiency of every case above the smallest size.
fn efficiencies(ascending: &[&Judged]) -> Vec<Efficiencies> {
    let rate = |judged: &Judged, seconds: f64| SizeRate {
        size: f64::from(judged.case.gpus),
        rate: f64::from(judged.case.samples) / seconds,
    };
    let mut rates = ascending.iter().filter_map(|judged| {
        let measured = rate(judged, judged.case.measured?);
        Some((measured, rate(judged, judged.result.predicted?)))
    });
    let Some(base) = rates.next() else {
        return Vec::new();
    };
    rates
        .filter(|(measured, _)| measured.size > base.0.size)
        .map(|(measured, predicted)| Efficiencies {
            measured: measured.efficiency_over(base.0),
            predicted: predicted.efficiency_over(base.1),
        })
        .collect()
}

/// Ranking of alternative layouts of one job.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Ranking {
    /// Key of the job, from the columns in which the layouts agree.
    pub contest: String,
    /// Number of layouts with a prediction.
    pub layouts: usize,
    /// Measured time of the layout predicted to be fastest over the best measured time, − 1.
    pub regret: f64,
    /// Spearman's rank correlation of predicted and measured times.
    pub spearman: f64,
}

/// Smallest number of alternative layouts that are ranked.
const RANKED_LAYOUTS: usize = 5;

/// Rankings of all sets of at least five alternative layouts.
pub(crate) fn rankings(cases: &[Judged]) -> Vec<Ranking> {
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
