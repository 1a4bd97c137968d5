//! Dimensions by which series are told apart.

use std::fmt::{Display, Formatter, Result};

use serde::{Serialize, Serializer};

use crate::document::written_as;
use crate::spec::Axis;

written_as!(Dimension, String);

/// A dimension in which series differ: an axis of the spec, or the run that they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// An axis.
    Axis(Axis),
    /// The run, where several are analysed together.
    Run,
}

impl Dimension {
    /// Every dimension: the axes in their order, then the run.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let axes = Axis::ALL.iter().copied();
        axes.map(Self::Axis).chain([Self::Run])
    }

    /// The name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Axis(axis) => axis.as_str(),
            Self::Run => "run",
        }
    }
}

impl PartialEq<Axis> for Dimension {
    fn eq(&self, axis: &Axis) -> bool {
        *self == Self::Axis(*axis)
    }
}

impl Display for Dimension {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
