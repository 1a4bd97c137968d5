//! Rows of a study as choices: time and cost of the same work at each.

use schemars::JsonSchema;
use serde::Serialize;

use super::pareto::pareto_front;
use super::series_finding::{SeriesFinding, SizeFinding};
use crate::closed_set;

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
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Choice {
    /// Number of its series.
    pub series: u32,
    /// Index among the sizes of the series.
    #[serde(skip)]
    pub place: usize,
    /// Number of the point in its run.
    pub point: u64,
    /// GPUs of the job.
    pub gpus: u32,
    /// Time of one step.
    pub step_time_s: f64,
    /// Time of the work that is compared, in seconds.
    pub time_s: f64,
    /// GPUs times that time, in hours.
    pub gpu_hours: f64,
    /// Cost of that work; `None` for a row without a price that is faster than all that have one.
    pub cost: Option<f64>,
}

/// Every row that ran as a choice, and the unit of the costs: US dollars where any has a price.
pub(super) fn choices(group: &[&SeriesFinding]) -> (CostUnit, Vec<Choice>) {
    let sizes = group.iter().flat_map(|series| {
        let sizes = series.sizes.iter().enumerate();
        sizes.map(|(place, size)| (series.number, place, size))
    });
    let rows: Vec<(u32, usize, &SizeFinding, WorkCost)> = sizes
        .filter_map(|(series, place, size)| Some((series, place, size, WorkCost::new(size)?)))
        .collect();
    // Where the whole training is compared, a row without its time has none.
    let is_whole = rows.iter().any(|(.., size, _)| size.training.is_some());
    let rows: Vec<_> = (rows.into_iter())
        .filter(|(.., size, _)| !is_whole || size.training.is_some())
        .collect();
    let has_price = rows.iter().any(|(.., work)| work.usd.is_some());
    let unit = if has_price {
        CostUnit::Usd
    } else {
        CostUnit::GpuHours
    };
    let choices = rows.iter().filter_map(|(series, place, size, work)| {
        Some(Choice {
            series: *series,
            place: *place,
            point: size.point.point,
            gpus: size.point.gpus,
            step_time_s: size.point.measured?.step_time_s,
            time_s: work.time_s,
            gpu_hours: work.gpu_hours,
            cost: work.cost(unit),
        })
    });
    (unit, choices.collect())
}

/// Choices that no other one beats in both time and cost, the fastest first.
pub(super) fn front_of(choices: &[Choice]) -> Vec<Choice> {
    let costs: Vec<(f64, Option<f64>)> = choices.iter().map(|it| (it.time_s, it.cost)).collect();
    let front = front(&costs).into_iter();
    front.map(|place| choices[place]).collect()
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
