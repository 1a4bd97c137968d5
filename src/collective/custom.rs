//! Algorithms as they are asked for: built-in ones, and those of a spec's schedule files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::collective::algorithm::CollectiveAlgorithm;
use crate::collective::schedule::CustomSchedule;

/// A checked schedule under the name that a spec gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomAlgorithm {
    /// Name on the `collective` axis.
    pub name: String,
    /// Who sends what to whom, and when.
    pub schedule: CustomSchedule,
}

impl CustomAlgorithm {
    /// One-line summary: `all-reduce over 8 ranks, 14 rounds, 8 chunks`.
    pub(crate) fn description(&self) -> String {
        let schedule = &self.schedule;
        let (op, ranks) = (schedule.op_name(), schedule.ranks());
        let (count, chunks) = (schedule.rounds(), schedule.chunks());
        format!("{op} over {ranks} ranks, {count} rounds, {chunks} chunks")
    }
}

/// An algorithm that a spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// One of the program's.
    BuiltIn(CollectiveAlgorithm),
    /// One that a schedule describes.
    Custom(Arc<CustomAlgorithm>),
}

impl Algorithm {
    /// Name on the `collective` axis.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::BuiltIn(algorithm) => algorithm.as_str(),
            Self::Custom(custom) => &custom.name,
        }
    }

    /// The built-in algorithm, if it is one.
    pub(crate) fn built_in(&self) -> Option<CollectiveAlgorithm> {
        match self {
            Self::BuiltIn(algorithm) => Some(*algorithm),
            Self::Custom(_) => None,
        }
    }

    /// The custom algorithm, if it is one.
    pub(crate) fn custom(&self) -> Option<&Arc<CustomAlgorithm>> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Custom(custom) => Some(custom),
        }
    }
}

impl From<CollectiveAlgorithm> for Algorithm {
    fn from(algorithm: CollectiveAlgorithm) -> Self {
        Self::BuiltIn(algorithm)
    }
}

impl Hash for Algorithm {
    /// A custom algorithm by its name: two with one name differ by their rounds.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::BuiltIn(algorithm) => algorithm.hash(state),
            Self::Custom(custom) => custom.name.hash(state),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The algorithm that carried a collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedBy {
    /// One of the program's.
    BuiltIn(CollectiveAlgorithm),
    /// The schedule that was asked for.
    Custom,
}

impl CarriedBy {
    /// The algorithm with its name, where `asked` is the requested one.
    ///
    /// # Panics
    /// If a schedule carried it and none was asked for.
    pub(crate) fn named(self, asked: Option<&Algorithm>) -> Algorithm {
        match self {
            Self::BuiltIn(algorithm) => Algorithm::BuiltIn(algorithm),
            Self::Custom => asked
                .expect("only a schedule that was asked for carries anything")
                .clone(),
        }
    }
}
