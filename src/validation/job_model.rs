//! The network that a row's job trains.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::model::{Architecture, Family, Mlp, Model, Moe, Norm, Transformer};

use super::job::JobRow;

impl JobRow {
    /// The network: a preset's architecture, which wins over the columns for mixtures of experts; the columns
    /// win for dense transformers.
    pub(super) fn model(&self, catalog: &Catalog) -> Result<Arc<Model>, String> {
        // A source adds what it did to the network: `llama3-70b cut to 12 layers`, `gpt-20b (ALiBi)`.
        let end = [" cut to ", " ("]
            .iter()
            .filter_map(|word| self.model.find(word));
        let wanted = alike(&self.model[..end.min().unwrap_or(self.model.len())]);
        let preset = catalog
            .models
            .values()
            .find(|model| alike(&model.name) == wanted);
        let Some(preset) = preset else {
            return self.dense_model().map(Arc::new);
        };
        let Architecture::Transformer(base) = &preset.architecture else {
            return Ok(Arc::clone(preset));
        };
        if let Some(moe) = base.moe {
            let Some(layers) = self.cut_to_layers else {
                return Ok(Arc::clone(preset));
            };
            let moe = Moe {
                dense_layers: self.dense_layers.unwrap_or(moe.dense_layers),
                ..moe
            };
            let transformer = Transformer {
                layers,
                moe: Some(moe),
                mtp_layers: 0,
                ..base.clone()
            };
            return Ok(changed(preset, transformer));
        }
        let head_dim = match (self.hidden, self.heads) {
            (Some(hidden), Some(heads)) if (hidden, heads) != (base.hidden, base.heads) => {
                hidden / heads
            }
            _ => base.head_dim,
        };
        let heads = self.heads.unwrap_or(base.heads);
        let transformer = Transformer {
            layers: self.layers.unwrap_or(base.layers),
            hidden: self.hidden.unwrap_or(base.hidden),
            ffn_hidden: self.ffn_hidden.unwrap_or(base.ffn_hidden),
            heads,
            kv_heads: self.kv_heads.unwrap_or(if heads == base.heads {
                base.kv_heads
            } else {
                heads
            }),
            head_dim,
            vocab: self.vocab.unwrap_or(base.vocab),
            ..base.clone()
        };
        if &transformer == base {
            return Ok(Arc::clone(preset));
        }
        Ok(changed(preset, transformer))
    }

    /// A dense transformer from the columns alone. What they leave open follows the family: gated MLPs come
    /// with RMS norm, no biases and rotary positions, plain ones with what GPT-2 and BERT had.
    fn dense_model(&self) -> Result<Model, String> {
        let (Some(layers), Some(hidden), Some(heads)) = (self.layers, self.hidden, self.heads)
        else {
            return Err(format!(
                "unknown model `{}`, and the row gives no architecture (`layers`, `hidden`, `heads`)",
                self.model
            ));
        };
        let family = match self
            .family
            .as_deref()
            .map_or(Ok(Family::Decoder), str::parse)
        {
            Ok(family @ (Family::Decoder | Family::Encoder)) => family,
            Ok(family @ (Family::Moe | Family::Cnn)) => {
                return Err(format!(
                    "unknown model `{}`; the columns describe no {family} network",
                    self.model
                ));
            }
            Err(error) => return Err(error.to_string()),
        };
        if hidden % heads != 0 {
            return Err(format!(
                "hidden {hidden} cannot be divided by heads {heads}"
            ));
        }
        // A gated MLP has three matrices and is therefore narrower (or wider) than 4 · hidden.
        let usual = match self.ffn_hidden {
            Some(width) if width != 4 * hidden => Mlp::SwiGlu,
            Some(_) | None => Mlp::Gelu,
        };
        let mlp = self.mlp.as_deref().map_or(Ok(usual), str::parse::<Mlp>);
        let mlp = mlp.map_err(|error| error.to_string())?;
        let classic = match mlp {
            Mlp::Gelu => true,
            Mlp::SwiGlu | Mlp::SquaredRelu => false,
        };
        let causal = match family {
            Family::Encoder => false,
            Family::Decoder | Family::Moe | Family::Cnn => true,
        };
        let seq_len = self.seq_len.unwrap_or(2048);
        Ok(Model {
            name: self.model.clone(),
            title: self.model.clone(),
            family,
            seq_len,
            published_parameters: None,
            architecture: Architecture::Transformer(Transformer {
                causal,
                layers,
                hidden,
                ffn_hidden: self.ffn_hidden.unwrap_or(4 * hidden),
                heads,
                kv_heads: self.kv_heads.unwrap_or(heads),
                head_dim: hidden / heads,
                // GPT-2's and BERT's vocabularies, as Megatron pads the former.
                vocab: self.vocab.unwrap_or(if causal { 51_200 } else { 30_522 }),
                mlp,
                norm: if classic {
                    Norm::LayerNorm
                } else {
                    Norm::RmsNorm
                },
                biases: classic,
                qkv_biases: false,
                qk_norm: false,
                // BERT's embeddings are normalised.
                embedding_norm: self.embedding_norm.unwrap_or(family == Family::Encoder),
                tied_embeddings: self.tied_embeddings.unwrap_or(classic),
                learned_positions: if classic { seq_len } else { 0 },
                mtp_layers: 0,
                sliding_window: None,
                mla: None,
                moe: None,
            }),
        })
    }
}

fn changed(preset: &Arc<Model>, transformer: Transformer) -> Arc<Model> {
    Arc::new(Model {
        architecture: Architecture::Transformer(transformer),
        published_parameters: None,
        ..Model::clone(preset)
    })
}

/// A name without what people spell differently: `Llama-2-7B` is `llama2-7b`.
fn alike(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
