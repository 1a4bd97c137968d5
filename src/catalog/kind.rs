//! Kinds of catalogue entries, with their keys.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::closed_set;
use crate::data_table::{Key, Need};
use crate::hardware::Cluster;

use super::prices::PriceList;
use super::{gpu, model, stack};

closed_set! {
    /// Kind of catalogue entry, spelt as the folder in `data/` and the table in a spec.
    ///
    /// In the order of declaration, so that a GPU finds its cluster.
    pub(crate) enum Kind: "kind of catalogue entry" {
        /// Nodes and fabrics.
        Clusters = "clusters",
        /// GPUs.
        Gpus = "gpus",
        /// Networks.
        Models = "models",
        /// Software generations.
        Stacks = "stacks",
        /// Price lists.
        Prices = "prices",
    }
}

impl Kind {
    /// Keys of the tables of this kind.
    pub(crate) fn keys(self) -> &'static [Key] {
        static KEYS: LazyLock<BTreeMap<Kind, Vec<Key>>> = LazyLock::new(|| {
            let keys = |kind| match kind {
                Kind::Clusters => Cluster::keys("", Need::Always),
                Kind::Gpus => gpu::keys(),
                Kind::Models => model::keys(),
                Kind::Stacks => stack::keys(),
                Kind::Prices => PriceList::keys("", Need::Always),
            };
            Kind::ALL.iter().map(|kind| (*kind, keys(*kind))).collect()
        });
        &KEYS[&self]
    }

    /// An entry of this kind, in words.
    pub(crate) const fn singular(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Gpus => "GPU",
            Self::Models => "model",
            Self::Stacks => "stack",
            Self::Prices => "price list",
        }
    }
}
