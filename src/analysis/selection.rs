//! Series that stand for many: those that a summary shows and whose neighbours are simulated.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, answered_by};
use super::dimension::Dimension;
use super::findings::Findings;
use super::key_value::KeyValue;
use super::series_finding::SeriesFinding;
use crate::spec::Axis;

/// Most series that are shown one by one.
const SERIES_IN_FULL: usize = 20;

/// Dimensions that series are grouped by, those that people choose between first.
const GROUPING: &[Dimension] = &[
    Dimension::Axis(Axis::Model),
    Dimension::Run,
    Dimension::Axis(Axis::Gpu),
    Dimension::Axis(Axis::Cluster),
    Dimension::Axis(Axis::Topology),
    Dimension::Axis(Axis::NicGbitPerS),
    Dimension::Axis(Axis::SeqLen),
    Dimension::Axis(Axis::Precision),
    Dimension::Axis(Axis::Stack),
    Dimension::Axis(Axis::Collective),
    Dimension::Axis(Axis::GlobalBatch),
    Dimension::Axis(Axis::BatchPerGpu),
];

/// Series that a summary shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selection<'a> {
    /// The series, in their order.
    pub series: Vec<&'a SeriesFinding>,
    /// Dimensions of the groups of which each series is the fastest; empty where all series are shown.
    pub grouped_by: Vec<Dimension>,
}

/// The values of a series on some dimensions.
fn group_of<'a>(series: &'a SeriesFinding, by: &[Dimension]) -> Vec<Option<&'a KeyValue>> {
    by.iter().map(|it| series.dimension(*it)).collect()
}

impl Findings {
    /// All series when they are few, else the fastest of each group. Groups are made by as many of the
    /// usual axes as keep them few.
    pub(crate) fn selection(&self) -> Selection<'_> {
        let all: Vec<&SeriesFinding> = self.series.iter().collect();
        if all.len() <= SERIES_IN_FULL {
            return Selection {
                series: all,
                grouped_by: Vec::new(),
            };
        }
        let usual = GROUPING.iter().copied();
        let varied = usual.filter(|axis| self.varied.contains(axis));
        let axes = grouping(&all, Vec::new(), varied, SERIES_IN_FULL);
        Selection {
            series: fastest_of_groups(&all, &axes),
            grouped_by: axes,
        }
    }

    /// Dimensions whose values have an answer each: the model, where models differ.
    pub(crate) fn answered_by(&self) -> &'static [Dimension] {
        answered_by(&self.varied)
    }

    /// The first series of an answer.
    pub(crate) fn series_of(&self, answer: &Answer) -> &SeriesFinding {
        &self.series[answer.series as usize]
    }

    /// Varied dimensions besides those that have an answer each.
    pub(crate) fn other_dimensions(&self) -> Vec<Dimension> {
        let by = self.answered_by();
        let varied = self.varied.iter().copied();
        varied.filter(|axis| !by.contains(axis)).collect()
    }

    /// Series with the same answer as one of them.
    pub(crate) fn alike<'a>(
        &'a self,
        series: &'a SeriesFinding,
    ) -> impl Iterator<Item = &'a SeriesFinding> {
        let by = self.answered_by();
        let group = group_of(series, by);
        (self.series.iter()).filter(move |other| group_of(other, by) == group)
    }
}

/// Some dimensions and as many more as leave at most `most` groups of series.
pub(crate) fn grouping(
    all: &[&SeriesFinding],
    mut axes: Vec<Dimension>,
    more: impl Iterator<Item = Dimension>,
    most: usize,
) -> Vec<Dimension> {
    for axis in more {
        axes.push(axis);
        let mut groups = BTreeSet::new();
        let are_too_many = all.iter().any(|series| {
            groups.insert(group_of(series, &axes));
            groups.len() > most
        });
        if are_too_many {
            axes.pop();
        }
    }
    axes
}

/// The fastest series of each group of equal values on `axes`, in the order of first appearance.
pub(crate) fn fastest_of_groups<'a>(
    all: &[&'a SeriesFinding],
    axes: &[Dimension],
) -> Vec<&'a SeriesFinding> {
    let mut places: BTreeMap<Vec<Option<&KeyValue>>, usize> = BTreeMap::new();
    let mut best: Vec<&SeriesFinding> = Vec::new();
    for series in all {
        let place = *places.entry(group_of(series, axes)).or_insert(best.len());
        match best.get_mut(place) {
            None => best.push(series),
            Some(known) if series.recommended_rate() > known.recommended_rate() => *known = series,
            Some(_) => {}
        }
    }
    best
}
