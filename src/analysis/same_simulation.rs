//! Series that a dimension does not change are one.

use std::collections::HashMap;
use std::sync::Arc;

use super::dimension::Dimension;
use super::key_value::KeyValue;
use super::points::{Measured, SizePoint};
use super::series::Series;

/// Relative difference under which two simulations are the same.
pub(super) const SAME: f64 = 1e-3;

/// A key without one dimension.
type KeyBut<'a> = Vec<Option<&'a KeyValue>>;

/// Joins series that differ in one dimension alone and whose rows are the same simulations to 0.1%.
///
/// The first of them stands for all, with every value of the dimension and the fastest row of each size, so that no row
/// left out beats one that is named. Series of which nothing ran stay apart: they are no simulations.
pub(super) fn join_same(mut series: Vec<Series>) -> Vec<Series> {
    for dimension in Dimension::all() {
        let value = |one: &Series| one.dimension(dimension).cloned();
        let first = series.first().and_then(value);
        // Two files of one name hold the same run twice.
        let varies = series.iter().any(|one| value(one) != first);
        if varies || dimension == Dimension::Run {
            series = join_along(series, dimension);
        }
    }
    series
}

fn join_along(mut series: Vec<Series>, along: Dimension) -> Vec<Series> {
    // The series that each one joins.
    let joins: Vec<usize> = {
        let mut places: HashMap<KeyBut<'_>, Vec<usize>> = HashMap::new();
        let each = series.iter().enumerate().map(|(place, one)| {
            let others = Dimension::all().filter(|it| *it != along);
            let key: KeyBut<'_> = others.map(|it| one.dimension(it)).collect();
            let known = places.entry(key).or_default();
            let same = known.iter().find(|other| is_same(&series[**other], one));
            same.copied().unwrap_or_else(|| {
                known.push(place);
                place
            })
        });
        each.collect()
    };
    for (place, into) in joins.iter().enumerate() {
        let [one, other] = [*into, place].map(|it| series[it].dimension(along).cloned());
        if one != other {
            series[*into].set(along, several(one.as_ref(), other.as_ref()));
        }
        if place != *into {
            let points = series[place].points.clone();
            for (kept, point) in series[*into].points.iter_mut().zip(points) {
                if step_time(&point) < step_time(kept) {
                    *kept = point;
                }
            }
        }
    }
    let mut places = 0..;
    series.retain(|_| places.next().is_some_and(|place| joins[place] == place));
    series
}

/// Whether the rows of two series are the same simulations, one of them at least.
fn is_same(one: &Series, other: &Series) -> bool {
    one.scaling == other.scaling
        && one.points.len() == other.points.len()
        && one.points.iter().any(|point| point.measured.is_some())
        && (one.points.iter().zip(&other.points)).all(|(a, b)| is_same_point(a, b))
}

fn is_same_point(one: &SizePoint, other: &SizePoint) -> bool {
    let alike = |a: f64, b: f64| (a - b).abs() <= SAME * a.abs().max(b.abs());
    let both = |read: fn(&Measured) -> Option<f64>| match (&one.measured, &other.measured) {
        (Some(a), Some(b)) => match (read(a), read(b)) {
            (Some(a), Some(b)) => alike(a, b),
            (a, b) => a.is_none() && b.is_none(),
        },
        (a, b) => a.is_none() && b.is_none(),
    };
    let samples = [one, other].map(|it| it.measured.map_or(0.0, |it| it.samples_per_step()));
    one.size.to_bits() == other.size.to_bits()
        && (samples[0] - samples[1]).abs() < 0.5
        && one.gpus == other.gpus
        && one.status == other.status
        && one.measured.map(|it| it.layout) == other.measured.map(|it| it.layout)
        && both(|it| Some(it.step_time_s))
        && both(|it| it.tokens_per_s)
        && both(|it| it.mfu)
        && both(|it| it.memory_peak_bytes)
        && rent(one) == rent(other)
}

fn step_time(point: &SizePoint) -> f64 {
    point.measured.map_or(f64::INFINITY, |it| it.step_time_s)
}

/// Rent of the job in millionths of a dollar per hour.
fn rent(point: &SizePoint) -> Option<i64> {
    let measured = point.measured?;
    let per_second = measured.cost_per_step_usd? / measured.step_time_s;
    Some((per_second * 3_600.0 * 1e6).round() as i64)
}

/// The values of two keys together.
fn several(one: Option<&KeyValue>, other: Option<&KeyValue>) -> KeyValue {
    let mut values: Vec<Option<KeyValue>> = Vec::new();
    for value in [one, other] {
        match value {
            Some(KeyValue::Several(more)) => values.extend(more.iter().cloned()),
            value => values.push(value.cloned()),
        }
    }
    KeyValue::Several(Arc::from(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Scaling;
    use crate::analysis::points::LayoutUsed;
    use crate::record::PointStatus;
    use crate::simulation::PartSeconds;
    use crate::spec::Axis;

    /// A series of one size whose step takes so long, at a rent of so much an hour.
    fn series(collective: &str, point: u64, step_time_s: f64, usd_per_hour: f64) -> Series {
        let measured = Measured {
            step_time_s,
            samples_per_s: 512.0 / step_time_s,
            tokens_per_s: None,
            parts: PartSeconds::default(),
            mfu: None,
            layout: LayoutUsed::default(),
            memory_peak_bytes: None,
            memory_capacity_bytes: None,
            tight: None,
            bottleneck: None,
            cost_per_step_usd: Some(usd_per_hour * step_time_s / 3_600.0),
            cost_per_mtoken_usd: None,
            energy_per_step_kwh: None,
            training: None,
        };
        Series {
            key: vec![(Axis::Collective, KeyValue::Text(collective.into()))],
            run: None,
            scaling: Scaling::Strong,
            points: vec![SizePoint {
                point,
                source: 0,
                size: 8.0,
                gpus: 8,
                nodes: Some(1),
                status: PointStatus::Ok,
                reason: None,
                measured: Some(measured),
                metrics: Box::default(),
            }],
        }
    }

    // 0.9995 s are the same as 1 s to 0.1%, and faster; 1.01 s are not, and neither is another rent.
    #[test]
    fn series_that_an_axis_does_not_change_are_one_with_its_fastest_rows() {
        let all = vec![
            series("ring", 0, 1.0, 30.0),
            series("tree", 1, 0.9995, 30.0),
            series("direct", 2, 1.01, 30.0),
            series("nvls", 3, 1.0, 30.1),
        ];
        let joined = join_same(all);
        let found: Vec<(String, u64)> = (joined.iter())
            .map(|one| (one.key[0].1.to_string(), one.points[0].point))
            .collect();
        let owned = |name: &str, point| (name.to_owned(), point);
        assert_eq!(
            found,
            [owned("ring/tree", 1), owned("direct", 2), owned("nvls", 3)]
        );
    }
}
