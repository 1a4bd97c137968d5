//! Algorithms as they are asked for: the program's, and those of a spec's schedule files.

use std::fmt;
use std::sync::Arc;

use crate::collective::CollectiveAlgorithm;
use crate::collective::schedule::Schedule;

/// A checked schedule under the name that a spec gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAlgorithm {
    /// The name.
    pub name: String,
    /// Its rounds.
    pub schedule: Schedule,
}

impl OwnAlgorithm {
    /// It in a few words: `all-reduce over 8 ranks, 14 rounds, 8 pieces`.
    pub fn description(&self) -> String {
        let Schedule {
            op,
            ranks,
            pieces,
            rounds,
            ..
        } = &self.schedule;
        let count = rounds.len();
        format!("{op} over {ranks} ranks, {count} rounds, {pieces} pieces")
    }
}

/// An algorithm that a spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// One of the program's.
    Known(CollectiveAlgorithm),
    /// One that a schedule describes.
    Own(Arc<OwnAlgorithm>),
}

impl Algorithm {
    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(algorithm) => algorithm.as_str(),
            Self::Own(own) => &own.name,
        }
    }

    /// The program's, if it is one.
    pub fn known(&self) -> Option<CollectiveAlgorithm> {
        match self {
            Self::Known(algorithm) => Some(*algorithm),
            Self::Own(_) => None,
        }
    }

    /// The spec's own, if it is one.
    pub fn own(&self) -> Option<&Arc<OwnAlgorithm>> {
        match self {
            Self::Known(_) => None,
            Self::Own(own) => Some(own),
        }
    }
}

impl From<CollectiveAlgorithm> for Algorithm {
    fn from(algorithm: CollectiveAlgorithm) -> Self {
        Self::Known(algorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What carried a collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedBy {
    /// One of the program's algorithms.
    Known(CollectiveAlgorithm),
    /// The schedule that was asked for.
    Schedule,
}

impl CarriedBy {
    /// The algorithm with its name, where `asked` is what was asked for.
    ///
    /// # Panics
    /// If a schedule carried it and none was asked for.
    pub fn named(self, asked: Option<&Algorithm>) -> Algorithm {
        match self {
            Self::Known(algorithm) => Algorithm::Known(algorithm),
            Self::Schedule => asked
                .expect("only a schedule that was asked for carries anything")
                .clone(),
        }
    }
}
