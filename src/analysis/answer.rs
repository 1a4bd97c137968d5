//! The answer of a study: the choices that no other row beats in both time and cost.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dimension::Dimension;
use super::key_value::KeyValue;
use super::pareto::pareto_front;
use super::series_finding::{SeriesFinding, SizeFinding};
use crate::closed_set;
use crate::spec::Axis;

closed_set! {
    /// Unit in which the costs of an answer are compared.
    pub(crate) enum CostUnit: "unit of cost" {
        /// Rent.
        Usd = "USD",
        /// GPUs times time, where no row has a price.
        GpuHours = "GPU-hours",
    }
}

/// Time and cost of the same work: of the whole training where its tokens are given, else of a million
/// tokens (samples of images).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WorkCost {
    /// Time in seconds, failures included where they are known.
    pub time_s: f64,
    /// GPUs times time, in hours.
    pub gpu_hours: f64,
    /// Rent; `None` without a price.
    pub usd: Option<f64>,
}

impl WorkCost {
    /// The work at a size; `None` where it did not run.
    pub(crate) fn new(size: &SizeFinding) -> Option<Self> {
        let measured = size.point.measured?;
        if let Some(training) = size.training {
            return Some(Self {
                time_s: training.time_s,
                gpu_hours: training.gpu_hours,
                usd: training.cost_usd,
            });
        }
        let time_s = 1e6 / measured.tokens_per_s.unwrap_or(measured.samples_per_s);
        let steps = time_s / measured.step_time_s;
        Some(Self {
            time_s,
            gpu_hours: f64::from(size.point.gpus) * time_s / 3_600.0,
            usd: measured.cost_per_step_usd.map(|cost| cost * steps),
        })
    }

    /// The cost in a unit.
    pub(crate) fn cost(&self, unit: CostUnit) -> Option<f64> {
        match unit {
            CostUnit::Usd => self.usd,
            CostUnit::GpuHours => Some(self.gpu_hours),
        }
    }
}

/// A row that no other one beats in both time and cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Number of its series.
    pub series: u32,
    /// Index among the sizes of the series.
    pub place: usize,
    /// Number of the point in its run.
    pub point: u64,
    /// GPUs of the job.
    pub gpus: u32,
    /// Time of one step.
    pub step_time_s: f64,
    /// Time of the work that is compared, in seconds.
    pub time_s: f64,
    /// Cost of that work; `None` for a row without a price that is faster than all that have one.
    pub cost: Option<f64>,
}

/// Choices of one model, or of a study of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Number of the first of its series.
    pub series: u32,
    /// Unit of the costs.
    pub(crate) cost_unit: CostUnit,
    /// Choices, the fastest first and the cheapest last; empty where nothing ran.
    pub front: Vec<Choice>,
}

impl Answer {
    /// The fastest choice.
    pub fn fastest(&self) -> Option<&Choice> {
        self.front.first()
    }

    /// The cheapest choice.
    pub fn cheapest(&self) -> Option<&Choice> {
        self.front.last()
    }

    /// The fastest, the cheapest and, of those between, the ones at which the front bends most: at most
    /// `most` in all, fastest first.
    pub(crate) fn named(&self, most: usize) -> Vec<&Choice> {
        let costs: Vec<(f64, f64)> = (self.front.iter())
            .map(|choice| (choice.time_s, choice.cost.unwrap_or(f64::INFINITY)))
            .collect();
        let bends = bends(&costs, most);
        bends.into_iter().map(|place| &self.front[place]).collect()
    }
}

/// Dimensions whose values have an answer each: the model, where models differ.
pub(super) fn answered_by(varied: &[Dimension]) -> &'static [Dimension] {
    const MODEL: Dimension = Dimension::Axis(Axis::Model);
    if varied.contains(&MODEL) {
        &[MODEL]
    } else {
        &[]
    }
}

/// The answers of all series, one for each group of equal values on `by`, in the order of their first rows.
pub(super) fn answers(series: &[SeriesFinding], by: &[Dimension]) -> Vec<Answer> {
    let mut places: BTreeMap<Vec<Option<&KeyValue>>, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&SeriesFinding>> = Vec::new();
    for one in series {
        let key = by.iter().map(|it| one.dimension(*it)).collect();
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.iter().map(|group| answer(group)).collect()
}

fn answer(group: &[&SeriesFinding]) -> Answer {
    let sizes = group.iter().flat_map(|series| {
        let sizes = series.sizes.iter().enumerate();
        sizes.map(|(place, size)| (series.number, place, size))
    });
    let rows: Vec<(u32, usize, &SizeFinding, WorkCost)> = sizes
        .filter_map(|(series, place, size)| Some((series, place, size, WorkCost::new(size)?)))
        .collect();
    let has_price = rows.iter().any(|(.., work)| work.usd.is_some());
    let cost_unit = if has_price {
        CostUnit::Usd
    } else {
        CostUnit::GpuHours
    };
    let costs: Vec<(f64, Option<f64>)> = (rows.iter())
        .map(|(.., work)| (work.time_s, work.cost(cost_unit)))
        .collect();
    let front = front(&costs).into_iter().filter_map(|place| {
        let (series, of_series, size, work) = &rows[place];
        Some(Choice {
            series: *series,
            place: *of_series,
            point: size.point.point,
            gpus: size.point.gpus,
            step_time_s: size.point.measured?.step_time_s,
            time_s: work.time_s,
            cost: costs[place].1,
        })
    });
    Answer {
        series: group.first().map_or(0, |series| series.number),
        cost_unit,
        front: front.collect(),
    }
}

/// The front of time and cost by rising time. A row of unknown cost is on it where it is faster than all others.
fn front(costs: &[(f64, Option<f64>)]) -> Vec<usize> {
    let priced: Vec<usize> = (0..costs.len())
        .filter(|place| costs[*place].1.is_some())
        .collect();
    let known: Vec<(f64, f64)> = priced
        .iter()
        .filter_map(|place| Some((costs[*place].0, costs[*place].1?)))
        .collect();
    let mut front: Vec<usize> = pareto_front(&known)
        .into_iter()
        .map(|place| priced[place])
        .collect();
    let fastest = (0..costs.len()).min_by(|a, b| costs[*a].0.total_cmp(&costs[*b].0));
    if let Some(fastest) = fastest
        && front
            .first()
            .is_none_or(|first| costs[fastest].0 < costs[*first].0)
    {
        front.insert(0, fastest);
    }
    front
}

/// Both ends of a front and the places where it bends most, at most `most`, in order.
///
/// The next place is always the one furthest under the chord between two that are chosen already, in log time
/// and log cost (Ramer 1972; Douglas and Peucker 1973).
fn bends(front: &[(f64, f64)], most: usize) -> Vec<usize> {
    let Some(last) = front.len().checked_sub(1) else {
        return Vec::new();
    };
    let logs: Vec<(f64, f64)> = (front.iter())
        .map(|(time, cost)| (libm::log(*time), libm::log(*cost)))
        .collect();
    // A fastest row of unknown cost bends nothing.
    let first = usize::from(!front[0].1.is_finite()).min(last);
    let mut chosen = vec![0, first, last];
    chosen.dedup();
    while chosen.len() < most.min(front.len()) {
        let depths = chosen.windows(2).flat_map(|ends| {
            let (a, b) = (logs[ends[0]], logs[ends[1]]);
            let places = ends[0] + 1..ends[1];
            let logs = &logs;
            places.map(move |place| {
                let way = (logs[place].0 - a.0) / (b.0 - a.0);
                (a.1 + way * (b.1 - a.1) - logs[place].1, place)
            })
        });
        let Some((_, deepest)) = depths.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            break;
        };
        chosen.push(deepest);
        chosen.sort_unstable();
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_without_a_price_is_named_where_nothing_is_faster() {
        // 1 s without a price, then 2 s for 3, 3 s for 1; 2.5 s without a price says nothing.
        let costs = [(3.0, Some(1.0)), (2.0, Some(3.0)), (1.0, None), (2.5, None)];
        assert_eq!(front(&costs), [2, 1, 0]);
    }

    #[test]
    fn of_many_choices_the_bend_of_the_front_is_named() {
        // Time halves at the same cost down to 4 s, then costs double with each halving.
        let front = [
            (1.0, 4.0),
            (2.0, 2.0),
            (4.0, 1.003),
            (8.0, 1.002),
            (16.0, 1.001),
        ];
        assert_eq!(bends(&front, 3), [0, 2, 4]);
        assert_eq!(bends(&front, 2), [0, 4]);
        assert_eq!(bends(&front, 9), [0, 1, 2, 3, 4]);
        assert_eq!(bends(&[], 3), [] as [usize; 0]);
        // The fastest has no price: the front begins behind it.
        assert_eq!(
            bends(&[(0.5, f64::INFINITY), (1.0, 4.0), (4.0, 1.0)], 3),
            [0, 1, 2]
        );
        assert_eq!(bends(&[(0.5, f64::INFINITY)], 3), [0]);
    }

    proptest! {
        // Few values, so that rows tie.
        #[test]
        fn nothing_beats_a_choice_in_both_time_and_cost(
            costs in prop::collection::vec((1_u8..9, prop::option::of(1_u8..9)), 1..40)
        ) {
            let costs: Vec<(f64, Option<f64>)> = costs
                .into_iter()
                .map(|(time, cost)| (f64::from(time), cost.map(f64::from)))
                .collect();
            let front = front(&costs);
            let fastest = costs.iter().map(|it| it.0).fold(f64::INFINITY, f64::min);
            prop_assert!(costs[front[0]].0 <= fastest);
            for place in &front {
                let (time, cost) = costs[*place];
                let beaten = costs.iter().any(|(other, price)| {
                    let cheaper = price.zip(cost).map(|(price, cost)| price - cost);
                    cheaper.is_some_and(|by| {
                        *other <= time && by <= 0.0 && (*other < time || by < 0.0)
                    })
                });
                prop_assert!(!beaten, "{} in {:?}", place, costs);
            }
        }
    }
}
