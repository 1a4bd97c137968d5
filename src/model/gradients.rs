//! What of a layer is trained, and so what its backward pass computes.

/// Gradients that the backward pass of a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradients {
    /// Those of inputs and weights.
    OfWeights,
    /// Those of inputs, and of adapters of this rank beside frozen weights.
    OfAdapters(u32),
    /// Those of inputs alone: the weights are frozen, and something in front of them is trained.
    OfInputs,
    /// None: there is no backward pass, for nothing here or in front is trained.
    None,
}

impl Gradients {
    /// Those of a layer that is trained, with adapters of this rank, or of itself where the rank is 0.
    pub(crate) const fn of_trained(lora_rank: u32) -> Self {
        match lora_rank {
            0 => Self::OfWeights,
            rank => Self::OfAdapters(rank),
        }
    }

    /// Whether the weights themselves are not trained.
    pub(crate) const fn are_frozen(self) -> bool {
        !matches!(self, Self::OfWeights)
    }

    /// Whether there is a backward pass.
    pub(crate) const fn any(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Rank of the adapters; 0 where there are none.
    pub(crate) const fn lora_rank(self) -> u32 {
        match self {
            Self::OfAdapters(rank) => rank,
            Self::OfWeights | Self::OfInputs | Self::None => 0,
        }
    }

    /// Matrix products of the size of the forward one that the backward pass lacks, of two.
    pub(super) const fn lacking(self) -> f64 {
        match self {
            Self::OfWeights => 0.0,
            Self::OfAdapters(_) | Self::OfInputs => 1.0,
            Self::None => 2.0,
        }
    }
}
