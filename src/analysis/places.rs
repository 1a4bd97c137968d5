//! Where the communications of a collective study run, in words: the axes that tell places apart.

use std::collections::BTreeMap;

use crate::spec::{AXES, Axis, ColumnType, StudyKind};

/// Axes that do not belong to a place: each has a part of its own in a job.
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

    /// The name of every place, by number: the values of the axes that differ; empty where none does.
    pub(super) fn names(&self) -> Vec<String> {
        let axes: Vec<Axis> = place_axes().collect();
        let varied = self.varied(&axes);
        let name = |inputs: &Inputs| {
            let words: Vec<String> = varied
                .iter()
                .map(|axis| word(axes[*axis], inputs[*axis].as_deref()))
                .collect();
            words.join(" ")
        };
        self.distinct.iter().map(name).collect()
    }

    /// Axes that differ between places, clusters first, without those that another one decides.
    fn varied(&self, axes: &[Axis]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..axes.len()).collect();
        order.sort_by_key(|axis| {
            (
                axes[*axis] != Axis::Cluster,
                axes[*axis] != Axis::Gpu,
                *axis,
            )
        });
        let mut kept: Vec<usize> = Vec::new();
        for axis in order {
            let mut values = self.distinct.iter().map(|inputs| &inputs[axis]);
            let first = values.next();
            let differs = values.any(|value| Some(value) != first);
            if differs && !kept.iter().any(|by| self.decides(*by, axis)) {
                kept.push(axis);
            }
        }
        kept
    }

    /// Whether each value of one axis comes with a single value of the other.
    fn decides(&self, decider: usize, decided: usize) -> bool {
        let mut seen: BTreeMap<&Option<String>, &Option<String>> = BTreeMap::new();
        self.distinct.iter().all(|inputs| {
            *seen.entry(&inputs[decider]).or_insert(&inputs[decided]) == &inputs[decided]
        })
    }
}

/// A name says what it is; a number does with its axis.
fn word(axis: Axis, value: Option<&str>) -> String {
    match (value, axis.info().domain.column_type()) {
        (Some(value), ColumnType::Text) => value.to_owned(),
        (Some(value), _) => format!("{axis} {value}"),
        (None, _) => format!("{axis} auto"),
    }
}
