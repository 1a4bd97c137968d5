//! Letters that repeat over the layers of a network.

use crate::closed_set::ClosedSet;

use super::{Value, ValueKind};

/// One letter of a closed set for each layer, begun anew where the letters end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern<T>(Vec<T>);

impl<T: ClosedSet> Pattern<T> {
    /// A pattern of these letters.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn of(letters: Vec<T>) -> Self {
        assert!(!letters.is_empty(), "a pattern has at least one letter");
        Self(letters)
    }

    /// The letters, each once.
    pub(crate) fn letters(&self) -> &[T] {
        &self.0
    }

    /// The letter of a layer (from 0).
    pub(crate) fn at(&self, layer: u32) -> T {
        self.0[layer as usize % self.0.len()]
    }
}

/// Text of one-letter spellings.
impl<T: ClosedSet> Value for Pattern<T> {
    const KIND: ValueKind = ValueKind::Letters(T::SPELLINGS);

    fn read(value: &toml::Value) -> Option<Self> {
        let letters = value.as_str()?.chars();
        let letters: Option<Vec<T>> = letters.map(|it| it.to_string().parse().ok()).collect();
        letters.filter(|letters| !letters.is_empty()).map(Self)
    }
}
