//! Kinds of definitions that a spec can hold besides catalogue entries.

use crate::closed_set;
use crate::collective::CollectiveAlgorithm;
use crate::hardware::TopologyKind;
use crate::spelling::named;

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

    /// Further names that people type for a built-in one.
    pub(crate) fn aliases(self, name: &str) -> &'static [&'static str] {
        match (self, name.parse()) {
            (Self::Topologies, Ok(TopologyKind::FatTree)) => &["clos", "leaf-spine", "spine-leaf"],
            (Self::Topologies, Ok(TopologyKind::Rail)) => &["rail-optimized", "rail-optimised"],
            (Self::Topologies, Ok(TopologyKind::Mesh2d)) => &["2d-mesh"],
            (Self::Topologies, Ok(TopologyKind::Torus2d)) => &["2d-torus"],
            (Self::Topologies, Ok(TopologyKind::Torus3d)) => &["3d-torus"],
            (Self::Topologies | Self::Collectives, _) => &[],
        }
    }

    /// The built-in name that a text stands for.
    pub(crate) fn named(self, text: &str) -> Option<&'static str> {
        let names = self.built_in().iter();
        named(text, names.map(|name| (*name, self.aliases(name))))
    }

    /// Names that need no definition.
    pub(crate) const fn built_in(self) -> &'static [&'static str] {
        match self {
            Self::Topologies => TopologyKind::NAMES,
            Self::Collectives => CollectiveAlgorithm::NAMES,
        }
    }
}
