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
        /// Mamba (arXiv 2312.00752): a selective scan, whose channels each have a state.
        Mamba = "S",
        /// Gated delta net (arXiv 2412.06464).
        DeltaNet = "G",
        /// Dense MLP.
        Mlp = "F",
        /// Routed experts.
        Experts = "E",
    }
}

data_table! {
    /// Sizes of Mamba, Mamba-2 and gated-delta-net layers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Recurrence {
        /// M, G, S: rows of a head's state (of a key in a delta net); default: 128, of S 16.
        state_size: u32 [ValueKind::CountTo(65_536)] = match letter {
            Letter::Mamba => 16,
            Letter::Mamba2 | Letter::DeltaNet | Letter::Attention | Letter::Mlp | Letter::Experts => 128,
        },
        /// M, G, S: columns of a head's state (of a value); default: 64, without M 128, of S 1.
        state_head_dim: u32 [ValueKind::CountTo(65_536)] = match letter {
            Letter::Mamba => 1,
            Letter::Mamba2 => 64,
            Letter::DeltaNet | Letter::Attention | Letter::Mlp | Letter::Experts => 128,
        },
        /// M, G, S: heads with a state; default: 2·hidden/state_head_dim.
        state_heads: u32 [ValueKind::CountTo(1_048_576)] = (2 * hidden / state_head_dim).max(1),
        /// M, G: groups of heads that share their keys, a divisor of state_heads; default: 8, or the power of 2 below that divides state_heads; without M state_heads/2.
        state_groups: u32 [ValueKind::CountTo(1_048_576)] = match letter {
            Letter::Mamba => state_heads,
            Letter::Mamba2 => 1 << state_heads.trailing_zeros().min(3),
            Letter::DeltaNet | Letter::Attention | Letter::Mlp | Letter::Experts => (state_heads / 2).max(1),
        },
        /// M, G, S: tokens that the convolution in front of the state sees; default: 4.
        conv_width: u32 [ValueKind::CountTo(64)] = 4,
        /// S: rank of the projection to steps; default: hidden/16, rounded up.
        step_rank: u32 [ValueKind::CountTo(65_536)] = hidden.div_ceil(16),
        /// S: whether steps, keys and queries are normalised (Jamba); default: false.
        state_norms: bool = false,
    } reads {} with |fields, hidden: u32, letter: Letter| {}
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

    /// Columns of a selective scan's steps, keys and queries, before the steps are projected to all channels.
    pub(super) fn selected(&self) -> u64 {
        u64::from(self.step_rank) + 2 * u64::from(self.state_size)
    }
}

impl Pattern<Letter> {
    /// The letter of its layers with a state, the first of Mamba-2, Mamba and delta nets that it has; `None`: they have none.
    pub(crate) fn state(&self) -> Option<Letter> {
        let kinds = [Letter::Mamba2, Letter::Mamba, Letter::DeltaNet];
        kinds.into_iter().find(|letter| self.has(*letter))
    }

    /// Whether any layer is of this kind.
    pub(crate) fn has(&self, letter: Letter) -> bool {
        self.letters().contains(&letter)
    }
}
