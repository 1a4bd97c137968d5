//! Kinds of definitions that a spec can hold besides catalogue entries.

use crate::closed_set;
use crate::collective::CollectiveAlgorithm;
use crate::hardware::TopologyKind;

closed_set! {
    /// Kind of custom definition, spelt as its table.
    pub(crate) enum CustomKind: "kind of custom table" {
        /// Networks between nodes.
        Topologies = "topologies",
        /// Schedules of collectives.
        Collectives = "collectives",
    }
}

impl CustomKind {
    /// Name of one entry, in words.
    pub(crate) const fn singular(self) -> &'static str {
        match self {
            Self::Topologies => "topology",
            Self::Collectives => "collective",
        }
    }

    /// Names that need no definition.
    pub(crate) const fn built_in(self) -> &'static [&'static str] {
        match self {
            Self::Topologies => TopologyKind::NAMES,
            Self::Collectives => CollectiveAlgorithm::NAMES,
        }
    }
}
