//! Shards that ZeRO makes of a layout.

use crate::stack::ZeroStage;

/// ZeRO stage, with the ranks that share one set of ZeRO-3's shards (1 for the other stages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shards {
    pub(super) zero: ZeroStage,
    pub(super) group: u32,
}

impl Shards {
    /// Nothing sharded.
    pub(super) const NONE: Self = Self::of_stage(ZeroStage::Z0);

    pub(super) const fn of_stage(zero: ZeroStage) -> Self {
        Self { zero, group: 1 }
    }
}
