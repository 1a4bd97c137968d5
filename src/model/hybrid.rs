//! Layers of one block each, by a pattern of letters, and the sizes of layers that carry a state.

use crate::closed_set;
use crate::data_table::pattern::Pattern;
use crate::data_table::{ValueKind, data_table};

closed_set! {
    /// Block of a hybrid network's layer, a letter of `pattern`.
    pub(crate) enum Letter: "letter of a pattern" {
        /// Attention.
        Attention = "A",
        /// Mamba-2 (arXiv 2405.21060).
        Mamba2 = "M",
        /// Gated delta net (arXiv 2412.06464).
        DeltaNet = "G",
        /// Dense MLP.
        Mlp = "F",
        /// Routed experts.
        Experts = "E",
    }
}

data_table! {
    /// Sizes of Mamba-2 and gated-delta-net layers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Recurrence {
        /// M, G: rows of a head's state (of a key in a delta net); default: 128.
        state_size: u32 [ValueKind::CountTo(65_536)] = 128,
        /// M, G: columns of a head's state (of a value); default: 64, without M 128.
        state_head_dim: u32 [ValueKind::CountTo(65_536)] = if has_mamba { 64 } else { 128 },
        /// M, G: heads with a state; default: 2·hidden/state_head_dim.
        state_heads: u32 [ValueKind::CountTo(65_536)] = (2 * hidden / state_head_dim).max(1),
        /// M, G: groups of heads that share their keys, a divisor of state_heads; default: 8, or the power of 2 below that divides state_heads; without M state_heads/2.
        state_groups: u32 [ValueKind::CountTo(65_536)] = if has_mamba {
            1 << state_heads.trailing_zeros().min(3)
        } else {
            (state_heads / 2).max(1)
        },
        /// M, G: tokens that the convolution in front of the state sees; default: 4.
        conv_width: u32 [ValueKind::CountTo(64)] = 4,
    } reads {} with |fields, hidden: u32, has_mamba: bool| {}
}

impl Recurrence {
    /// Width of what the heads put out.
    pub(super) fn inner(&self) -> u64 {
        u64::from(self.state_heads) * u64::from(self.state_head_dim)
    }

    /// Width of the keys of all groups.
    pub(super) fn key_width(&self) -> u64 {
        u64::from(self.state_groups) * u64::from(self.state_size)
    }

    /// Channels that the convolution runs over: values, and a key and a query of each group.
    pub(super) fn convolved(&self) -> u64 {
        self.inner() + 2 * self.key_width()
    }
}

impl Pattern<Letter> {
    /// Whether any layer is of this kind.
    pub(crate) fn has(&self, letter: Letter) -> bool {
        self.letters().contains(&letter)
    }
}
