//! Local attention: which keys a token sees, layer by layer.

use std::num::NonZeroU32;

use crate::closed_set;
use crate::data_table::pattern::Pattern;

closed_set! {
    /// Reach of a layer's attention, a letter of `window_pattern`.
    pub(crate) enum Reach: "letter of a window pattern" {
        /// The last tokens.
        Local = "L",
        /// The tokens of its chunk (Llama 4).
        Chunk = "C",
        /// All tokens.
        Global = "G",
    }
}

impl Reach {
    /// The pattern in which the last layer of so many is global; `None`: none is.
    pub(super) fn global_every(layers: Option<NonZeroU32>) -> Pattern<Self> {
        let Some(layers) = layers else {
            return Pattern::of(vec![Self::Local]);
        };
        let mut letters = vec![Self::Local; layers.get() as usize - 1];
        letters.push(Self::Global);
        Pattern::of(letters)
    }
}

/// Local attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlidingWindow {
    /// Tokens of a window or chunk.
    pub tokens: NonZeroU32,
    /// Reach of each layer.
    pub pattern: Pattern<Reach>,
}

/// Keys that a token of one layer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of the sequence.
    All,
    /// The last so many.
    Last(u64),
    /// Those of its chunk of so many.
    Chunk(u64),
}

impl SlidingWindow {
    /// Keys that a token of layer `layer` (from 0) sees.
    pub(super) fn sight(&self, layer: u32) -> Sight {
        let tokens = u64::from(self.tokens.get());
        match self.pattern.at(layer) {
            Reach::Local => Sight::Last(tokens),
            Reach::Chunk => Sight::Chunk(tokens),
            Reach::Global => Sight::All,
        }
    }
}
