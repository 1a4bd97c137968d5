//! The ten exclusive parts of a step's time, declared once: their names, their column, what they wait for.

use std::array;
use std::iter::Sum;
use std::ops::{AddAssign, Index, IndexMut};

use serde::Serialize;

use crate::closed_set;
use crate::units::SimDuration;

closed_set! {
    /// One exclusive part of a step's time.
    pub enum StepPart: "step part" {
        /// Kernels of forward and backward.
        Compute = "compute",
        /// Kernels that repeat forward work.
        Recompute = "recomputation",
        /// Waiting for tensor-parallel communication.
        TpComm = "tp-communication",
        /// Waiting for context-parallel communication.
        CpComm = "cp-communication",
        /// Waiting for expert-parallel communication.
        EpComm = "ep-communication",
        /// Waiting for sends between stages.
        PpComm = "pp-communication",
        /// Waiting for data-parallel communication: gradients, parameters, norms.
        DpComm = "dp-communication",
        /// Waiting for another stage's work.
        Bubble = "pipeline-bubble",
        /// The optimizer's kernels.
        Optimizer = "optimizer",
        /// Waiting for the host.
        Overhead = "host-overhead",
    }
}

/// Column, words and short name of each part, in the order of [`StepPart::ALL`].
const NAMES: [(&str, &str, &str); 10] = [
    ("compute_s", "compute", "compute"),
    ("recompute_s", "recomputation", "recompute"),
    (
        "tp_comm_exposed_s",
        "tensor-parallel communication",
        "tp comm",
    ),
    (
        "cp_comm_exposed_s",
        "context-parallel communication",
        "cp comm",
    ),
    (
        "ep_comm_exposed_s",
        "expert-parallel communication",
        "ep comm",
    ),
    ("pp_comm_exposed_s", "pipeline sends", "pp sends"),
    (
        "dp_comm_exposed_s",
        "data-parallel communication",
        "dp comm",
    ),
    ("bubble_s", "pipeline bubble", "bubble"),
    ("optimizer_s", "optimizer", "optimizer"),
    ("overhead_s", "host overhead", "host"),
];

impl StepPart {
    /// The part's column in `points.parquet`.
    pub const fn column(self) -> &'static str {
        NAMES[self.index()].0
    }

    /// The part in words.
    pub(crate) const fn title(self) -> &'static str {
        NAMES[self.index()].1
    }

    /// The part in at most 9 letters, for tables.
    pub(crate) const fn short(self) -> &'static str {
        NAMES[self.index()].2
    }

    /// Whether the part is exposed communication.
    pub(crate) const fn is_communication(self) -> bool {
        matches!(
            self,
            Self::TpComm | Self::CpComm | Self::EpComm | Self::PpComm | Self::DpComm
        )
    }

    /// Whether a counterfactual can leave the part out: all but compute.
    pub const fn is_avoidable(self) -> bool {
        !matches!(self, Self::Compute)
    }

    /// Position of the part in [`StepPart::ALL`], in [`Parts`] and in the palettes of charts.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// One value for each part of a step, indexed by [`StepPart`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts<T>([T; 10]);

/// Exclusive parts of a step on its critical device; they sum to the step exactly.
pub type TimeShares = Parts<SimDuration>;

/// Seconds of each part of one step, as a table of results has them.
pub(crate) type PartSeconds = Parts<f64>;

/// An object with each part under the name of its column.
impl Serialize for PartSeconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(part, seconds)| (part.column(), seconds)))
    }
}

impl schemars::JsonSchema for PartSeconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PartSeconds".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let parts = StepPart::ALL.iter().map(|part| {
            let schema = serde_json::json!({"type": "number", "description": part.title()});
            (part.column().to_owned(), schema)
        });
        let names: Vec<&str> = StepPart::ALL.iter().map(|part| part.column()).collect();
        schemars::json_schema!({
            "type": "object",
            "properties": parts.collect::<serde_json::Map<_, _>>(),
            "required": names,
        })
    }
}

impl<T> Index<StepPart> for Parts<T> {
    type Output = T;
    #[inline]
    fn index(&self, part: StepPart) -> &T {
        &self.0[part.index()]
    }
}

impl<T> IndexMut<StepPart> for Parts<T> {
    #[inline]
    fn index_mut(&mut self, part: StepPart) -> &mut T {
        &mut self.0[part.index()]
    }
}

impl<T: Default, const N: usize> From<[(StepPart, T); N]> for Parts<T> {
    /// The given parts; all others take no time.
    #[inline]
    fn from(given: [(StepPart, T); N]) -> Self {
        let mut parts = Self(array::from_fn(|_| T::default()));
        for (part, value) in given {
            parts[part] = value;
        }
        parts
    }
}

impl<T: Copy + Sum> Parts<T> {
    /// The step.
    #[inline]
    pub fn total(&self) -> T {
        self.0.iter().copied().sum()
    }

    /// All exposed communication.
    pub fn exposed_communication(&self) -> T {
        self.iter()
            .filter(|(part, _)| part.is_communication())
            .map(|(_, value)| value)
            .sum()
    }
}

impl<T: Copy> Parts<T> {
    /// The parts with their values, in order.
    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = (StepPart, T)> + ExactSizeIterator {
        StepPart::ALL.iter().copied().zip(self.0)
    }

    /// Every value changed alike.
    #[inline]
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Parts<U> {
        Parts(self.0.map(change))
    }
}

impl<T: Copy + AddAssign> AddAssign<&Self> for Parts<T> {
    #[inline]
    fn add_assign(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += *more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_under_its_index() {
        let mut seconds = Parts::<f64>::default();
        for (index, &part) in StepPart::ALL.iter().enumerate() {
            assert_eq!(part.index(), index);
            seconds[part] = 1.0;
            assert!(part.short().len() <= 9);
        }
        // Ten parts of a second each; five of them wait for the network.
        assert!((seconds.total() - 10.0).abs() < 1e-12);
        assert!((seconds.exposed_communication() - 5.0).abs() < 1e-12);
    }

    #[test]
    fn parts_that_are_not_given_take_no_time() {
        let us = SimDuration::from_micros;
        let shares = TimeShares::from([(StepPart::Compute, us(4)), (StepPart::Bubble, us(1))]);
        assert_eq!(shares[StepPart::Bubble], us(1));
        assert_eq!(shares[StepPart::DpComm], SimDuration::ZERO);
        assert_eq!(shares.total(), us(5));
    }
}
