//! Share of a transformer's tokens and widths that one rank works on.

use crate::model::layer::LayerBuilder;
use crate::model::lowered::Shard;
use crate::model::{Gradients, Transformer};

/// Tokens and widths of one rank.
#[derive(Clone, Copy)]
pub(super) struct Share<'a> {
    pub(super) network: &'a Transformer,
    pub(super) shard: &'a Shard,
    pub(super) tp: u64,
    /// Tokens of a sample.
    pub(super) seq_len: u64,
    /// Tokens of a linear layer.
    pub(super) tokens: u64,
    /// Tokens of a norm, a dropout and a residual.
    pub(super) norm_tokens: u64,
    pub(super) hidden: u64,
    /// Gradients that the backward pass computes of the network.
    pub(super) gradients: Gradients,
}

impl<'a> Share<'a> {
    /// Share of samples of so many tokens.
    pub(super) fn new(network: &'a Transformer, shard: &'a Shard, seq_len: u64) -> Self {
        let tp = u64::from(shard.tp);
        let tokens = u64::from(shard.micro_batch) * seq_len.div_ceil(u64::from(shard.cp));
        let norm_tokens = if shard.sequence_parallel {
            tokens.div_ceil(tp)
        } else {
            tokens
        };
        Self {
            network,
            shard,
            tp,
            seq_len,
            tokens,
            norm_tokens,
            hidden: u64::from(network.hidden),
            gradients: Gradients::of_trained(shard.lora_rank),
        }
    }

    /// The same rank's share of other tokens of the same samples.
    pub(super) fn over(&self, seq_len: u64) -> Self {
        Self {
            gradients: self.gradients,
            ..Self::new(self.network, self.shard, seq_len)
        }
    }

    /// An empty layer of the network whose input has `input` bytes on this rank.
    pub(super) fn layer(&self, name: &'static str, input: u64) -> LayerBuilder {
        LayerBuilder::new(name, self.shard, self.gradients, input)
    }

    /// Whether tensor-parallel ranks run norms and unsharded products on tokens of their own.
    pub(super) fn splits_tokens(&self) -> bool {
        self.tp > 1 && self.shard.sequence_parallel
    }

    /// Part of a width or a number of heads on this rank.
    pub(super) fn part(&self, width: u64) -> u64 {
        width.div_ceil(self.tp)
    }

    /// Bytes of the residual stream on this rank.
    pub(super) fn residual_bytes(&self) -> u64 {
        self.norm_tokens * self.hidden * self.shard.format.element_bytes
    }

    /// Columns of the head on this rank; vocabularies are padded to 128 per rank.
    pub(super) fn vocab(&self) -> u64 {
        self.part(u64::from(self.network.vocab))
            .next_multiple_of(128)
    }
}
