//! Layers of a network by kind, with their parameters and work.

use crate::model::lowered::{LoweredLayer, Shard};
use crate::model::{Architecture, Model, lower, transformer};

/// Layers of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerSummary {
    /// Kind in words.
    pub kind: String,
    /// Layers of this kind.
    pub count: u32,
    /// Parameters of one layer.
    pub parameters: u64,
    /// Parameters of one layer that a token passes.
    pub active_parameters: u64,
    /// FLOPs of one layer's forward pass per token (per image where there are none), masked attention left out.
    pub flops_per_token: f64,
}

impl Model {
    /// Layers by kind, from the first to the last, with both ends, for samples of `seq_len` tokens.
    pub(crate) fn layer_summaries(&self, seq_len: u32) -> Vec<LayerSummary> {
        let lowered = lower(self, &Shard::whole(seq_len));
        let names = match &self.architecture {
            Architecture::Transformer(network) => transformer::kinds(network)
                .0
                .iter()
                .map(ToString::to_string)
                .collect(),
            Architecture::Cnn(_) => Vec::new(),
        };
        let summary = |kind: &str, count: usize, layer: &LoweredLayer| LayerSummary {
            kind: kind.to_owned(),
            count: u32::try_from(count).expect("layers are counted in 32 bits"),
            parameters: layer.parameters.dense + layer.parameters.expert,
            active_parameters: layer.parameters.dense + self.visited(layer.parameters.expert),
            flops_per_token: layer.model_flops_forward.get() / f64::from(seq_len),
        };
        let count = |at: usize| {
            let same = lowered.sequence.iter();
            same.filter(|kind| usize::from(**kind) == at).count()
        };
        let kinds = lowered.layer_kinds.iter().enumerate();
        let kinds = kinds.map(|(at, layer)| {
            summary(
                names.get(at).map_or(layer.name, String::as_str),
                count(at),
                layer,
            )
        });
        let mtp_layers = self.transformer().map_or(0, |network| network.mtp_layers);
        let mtp = lowered.mtp.iter();
        let mtp = mtp.map(|layer| summary("multi-token prediction", mtp_layers as usize, layer));
        let first = summary(lowered.embedding.name, 1, &lowered.embedding);
        let last = summary(lowered.head.name, 1, &lowered.head);
        [first]
            .into_iter()
            .chain(kinds)
            .chain([last])
            .chain(mtp)
            .collect()
    }

    /// FLOPs of a forward pass per token (per image where there are none) in samples of `seq_len` tokens,
    /// multi-token prediction included. Forward and backward pass together have three times as many.
    pub(crate) fn flops_per_token(&self, seq_len: u32) -> f64 {
        let layers = self.layer_summaries(seq_len);
        layers
            .iter()
            .map(|layer| f64::from(layer.count) * layer.flops_per_token)
            .sum()
    }

    /// Parameters of experts that one token passes, of so many.
    fn visited(&self, experts: u64) -> u64 {
        let moe = self.transformer().and_then(|network| network.moe);
        moe.map_or(0, |moe| {
            experts / u64::from(moe.experts) * u64::from(moe.experts_per_token)
        })
    }
}
