//! The answer of a study: the choices that no other row beats in both time and cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::choice::{Choice, CostUnit, choices, front_of};
use super::dimension::Dimension;
use super::key_value::KeyValue;
use super::series_finding::SeriesFinding;
use super::verdict::Verdict;
use crate::spec::Axis;

/// Choices of one model, or of a study of one model.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Answer {
    /// Number of the first of its series.
    pub series: u32,
    /// Unit of the costs.
    pub(crate) cost_unit: CostUnit,
    /// Choices, the fastest first and the cheapest last; empty where nothing ran.
    pub front: Vec<Choice>,
    /// Rows that the limits of the question leave; `None` without limits.
    pub verdict: Option<Verdict>,
}

impl Answer {
    /// The choices to show: those within the limits, else the front of all rows.
    pub(crate) fn shown(&self) -> &[Choice] {
        match &self.verdict {
            Some(verdict) if !verdict.within.is_empty() => &verdict.within,
            Some(_) | None => &self.front,
        }
    }

    /// The fastest choice.
    pub fn fastest(&self) -> Option<&Choice> {
        self.front.first()
    }

    /// The cheapest choice.
    pub fn cheapest(&self) -> Option<&Choice> {
        self.front.last()
    }

    /// Choices to show: the fastest, the cheapest and, of those between, the ones at which the front bends most: at
    /// most `most` in all, fastest first.
    pub(crate) fn named(&self, most: usize) -> Vec<&Choice> {
        let front = self.shown();
        let costs: Vec<(f64, f64)> = (front.iter())
            .map(|choice| (choice.time_s, choice.cost.unwrap_or(f64::INFINITY)))
            .collect();
        let bends = bends(&costs, most);
        bends.into_iter().map(|place| &front[place]).collect()
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
    let (cost_unit, choices) = choices(group);
    Answer {
        series: group.first().map_or(0, |series| series.number),
        cost_unit,
        front: front_of(&choices),
        verdict: None,
    }
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
    use super::*;

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
}
