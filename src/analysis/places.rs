//! Places that communications of a collective study run on, named by the axes that tell them apart.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::varied::telling_axes;
use crate::spec::{AXES, Axis, ColumnType, StudyKind};

/// Axes that are no part of a place: operation, size, algorithm and number of GPUs.
const OWN: &[Axis] = &[
    Axis::Op,
    Axis::Size,
    Axis::Collective,
    Axis::Nodes,
    Axis::Gpus,
];

/// Values of the axes of a place, in the order of [`place_axes`]; null where one is `auto`.
type Inputs = Vec<Option<String>>;

/// The axes of a place.
pub(super) fn place_axes() -> impl Iterator<Item = Axis> {
    AXES.iter()
        .map(|info| info.axis)
        .filter(|axis| axis.belongs_to(StudyKind::Collective) && !OWN.contains(axis))
}

/// The places of a study's rows, each with a number from 0.
#[derive(Debug, Default)]
pub(super) struct Places {
    distinct: Vec<Inputs>,
    numbers: BTreeMap<Inputs, usize>,
    /// Number of the place of the row before, which is mostly that of the next one too.
    last: usize,
}

impl Places {
    /// The number of a row's place, from the values of its axes.
    pub(super) fn number<'a>(
        &mut self,
        inputs: impl Iterator<Item = &'a Option<String>> + Clone,
    ) -> usize {
        let last = self.distinct.get(self.last);
        if last.is_none_or(|last| !last.iter().eq(inputs.clone())) {
            let inputs: Inputs = inputs.cloned().collect();
            let next = self.distinct.len();
            self.last = *self.numbers.entry(inputs.clone()).or_insert(next);
            if self.last == next {
                self.distinct.push(inputs);
            }
        }
        self.last
    }

    /// The name of every place, by number: the values of the axes that differ, clusters first; empty where
    /// none does.
    pub(super) fn names(&self) -> Vec<String> {
        let axes: Vec<Axis> = place_axes().collect();
        let order = (0..axes.len())
            .sorted_by_key(|axis| (axes[*axis] != Axis::Cluster, axes[*axis] != Axis::Gpu));
        let varied = telling_axes(&self.distinct, order, |inputs, axis| &inputs[axis]);
        let name = |inputs: &Inputs| {
            let words = varied.iter();
            words
                .map(|axis| word(axes[*axis], inputs[*axis].as_deref()))
                .join(" ")
        };
        self.distinct.iter().map(name).collect()
    }
}

/// A value in words: a name by itself, a number with its axis.
fn word(axis: Axis, value: Option<&str>) -> String {
    match (value, axis.info().domain.column_type()) {
        (Some(value), ColumnType::Text) => value.to_owned(),
        (Some(value), _) => format!("{axis} {value}"),
        (None, _) => format!("{axis} auto"),
    }
}
