//! The network that a row's job trains, read as a spec's own model table is.

use std::sync::Arc;

use itertools::Itertools as _;

use crate::catalog::{self, Catalog, Kind};
use crate::model::{Architecture, Family, Mlp, Model, Transformer};

use super::job::JobRow;

/// Vocabularies of GPT-2, as Megatron pads it, and of BERT.
const USUAL_VOCABULARY: (u32, u32) = (51_200, 30_522);

impl JobRow {
    /// The network: a preset's architecture, which wins over the columns for mixtures of experts; the columns
    /// win for dense transformers.
    pub(super) fn model(&self, catalog: &Catalog) -> Result<Arc<Model>, String> {
        // A source adds what it did to the network: `llama3-70b cut to 12 layers`, `gpt-20b (ALiBi)`.
        let ends = [" cut to ", " ("].map(|word| self.model.find(word));
        let end = ends.into_iter().flatten().min();
        let name = &self.model[..end.unwrap_or(self.model.len())];
        let Some(preset) = preset(catalog, name) else {
            return self.described().map(Arc::new);
        };
        let Architecture::Transformer(base) = &preset.architecture else {
            return Ok(Arc::clone(preset));
        };
        let mut table = catalog
            .entry(Kind::Models, &preset.name)
            .map(|entry| entry.table.clone())
            .unwrap_or_default();
        match (base.moe, self.cut_to_layers) {
            (None, _) => self.resize(base, &mut table),
            (Some(_), cut) => {
                if cut.is_some() {
                    table.extend(counts(&[
                        ("layers", cut),
                        ("dense_layers", self.dense_layers.map(|count| count.0)),
                        ("mtp_layers", Some(0)),
                    ]));
                }
                table.extend(counts(&[(
                    "mtp_layers",
                    self.mtp_layers.map(|count| count.0),
                )]));
                table.extend(self.capacity());
            }
        }
        let model = read(&preset.name, &table)?;
        Ok(if model == **preset {
            Arc::clone(preset)
        } else {
            Arc::new(model)
        })
    }

    /// Lays the row's sizes over a preset's table, whose head sizes hold for its own heads only.
    fn resize(&self, base: &Transformer, table: &mut toml::Table) {
        let changed = |cell: Option<u32>, size| cell.is_some_and(|cell| cell != size);
        if changed(self.heads, base.heads) {
            table.remove("kv_heads");
        }
        if changed(self.heads, base.heads) || changed(self.hidden, base.hidden) {
            table.remove("head_dim");
        }
        table.extend(self.sizes());
    }

    /// Keys of a model table that the row states as numbers.
    fn sizes(&self) -> toml::Table {
        counts(&[
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("ffn_hidden", self.ffn_hidden),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("vocab", self.vocab),
        ])
    }

    /// Keys of the experts that the row states.
    fn experts(&self) -> toml::Table {
        let counts = counts(&[
            ("experts", self.experts),
            ("experts_per_token", self.experts_per_token),
            ("expert_ffn_hidden", self.expert_ffn_hidden),
            ("shared_experts", self.shared_experts.map(|count| count.0)),
            ("dense_layers", self.dense_layers.map(|count| count.0)),
            ("mtp_layers", self.mtp_layers.map(|count| count.0)),
        ]);
        counts.into_iter().chain(self.capacity()).collect()
    }

    /// Room of each expert that the row states, over the mean of all.
    fn capacity(&self) -> toml::Table {
        let factor = self.capacity_factor.into_iter();
        factor
            .map(|factor| ("capacity_factor".to_owned(), factor.into()))
            .collect()
    }

    /// Family of a network that no preset has: as the row says, or as its columns do.
    fn described_family(&self) -> Result<Family, String> {
        let usual = if self.pattern.is_some() {
            Family::Hybrid
        } else if self.experts.is_some() {
            Family::Moe
        } else {
            Family::Decoder
        };
        let stated = self.family.as_deref().map(str::parse::<Family>);
        stated
            .unwrap_or(Ok(usual))
            .map_err(|error| error.to_string())
    }

    /// A transformer from the columns alone; the catalogue's defaults fill what they leave open.
    fn described(&self) -> Result<Model, String> {
        let (Some(_), Some(hidden), Some(_)) = (self.layers, self.hidden, self.heads) else {
            return Err(format!(
                "unknown model `{}`, and the row gives no architecture (`layers`, `hidden`, `heads`)",
                self.model
            ));
        };
        let family = self.described_family()?;
        let unknown = |why: &str| format!("unknown model `{}`, and {why}", self.model);
        let vocabulary = match family {
            Family::Decoder => USUAL_VOCABULARY.0,
            Family::Encoder => USUAL_VOCABULARY.1,
            Family::Moe if self.experts.is_some() && self.experts_per_token.is_some() => {
                USUAL_VOCABULARY.0
            }
            Family::Moe => {
                let why = "the row gives no experts (`experts`, `experts_per_token`)";
                return Err(unknown(why));
            }
            Family::Hybrid if self.pattern.is_some() => USUAL_VOCABULARY.0,
            Family::Hybrid => return Err(unknown("the row gives no `pattern` of its layers")),
            Family::Cnn | Family::Vit | Family::EncoderDecoder | Family::Dit => {
                return Err(unknown(&format!("no columns describe the family {family}")));
            }
        };
        // A gated MLP has three matrices and is therefore narrower (or wider) than 4 · hidden.
        let wide = self.ffn_hidden.is_some_and(|width| width != 4 * hidden);
        let gated = wide || family == Family::Moe;
        let usual_mlp = if gated { Mlp::SwiGlu } else { Mlp::Gelu };
        let seq_len = Some(self.seq_len.unwrap_or(2048));
        let mut table = counts(&[("vocab", Some(vocabulary)), ("seq_len", seq_len)]);
        table.extend(self.sizes());
        if family == Family::Moe || self.experts.is_some() {
            table.extend(self.experts());
        }
        if let Some(pattern) = &self.pattern {
            table.insert("pattern".to_owned(), pattern.as_str().into());
        }
        let mlp = self.mlp.as_deref().unwrap_or(usual_mlp.as_str());
        table.extend(
            [("family", family.as_str()), ("mlp", mlp)]
                .map(|(key, name)| (key.to_owned(), name.into())),
        );
        let flags = [
            ("tied_embeddings", self.tied_embeddings),
            ("alibi", self.alibi),
            ("embedding_norm", self.embedding_norm),
        ];
        let stated = flags
            .into_iter()
            .filter_map(|(key, flag)| Some((key.to_owned(), flag?.into())));
        table.extend(stated);
        read(&self.model, &table)
    }
}

fn counts(keys: &[(&str, Option<u32>)]) -> toml::Table {
    keys.iter()
        .filter_map(|(key, count)| Some(((*key).to_owned(), (*count)?.into())))
        .collect()
}

fn read(name: &str, table: &toml::Table) -> Result<Model, String> {
    catalog::model_of(name, table)
        .map_err(|faults| faults.iter().map(|fault| &fault.message).join("; "))
}

/// The preset that a name means: that of the same title, letter for letter (ViT-g and ViT-G are two), or of a name alike.
fn preset<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Arc<Model>> {
    let wanted = alike(name);
    let named = |model: &&Arc<Model>| alike(&model.name) == wanted;
    let titled = |model: &&Arc<Model>| letters(&model.title) == letters(name);
    let presets = || catalog.models.values();
    presets().find(titled).or_else(|| presets().find(named))
}

/// A name without separators.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A name without what people spell differently: `Llama-2-7B` is `llama2-7b`.
fn alike(name: &str) -> String {
    letters(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::table::MeasuredTable;
    use super::*;

    /// The model of a row with these columns.
    fn model_of(columns: &str, cells: &str) -> Result<Arc<Model>, String> {
        let text = format!(
            "id,gpu,gpus,global_batch,measured_step_time_s,model,layers,hidden,heads,{columns}\n\
             a,h100-sxm,8,64,1,own,4,2560,32,{cells}\n"
        );
        let table = MeasuredTable::read("cases.csv", &text).expect("a table");
        let models = table.map_rows(|_, row: JobRow| row.model(Catalog::builtin()));
        models.expect("no faults").remove(0)
    }

    // Qwen3 4B has 32 heads of 128 over a stream of 2560, where 2560/32 is 80.
    #[test]
    fn heads_may_be_of_another_width_than_their_part() {
        let head_dim = |columns, cells| {
            let model = model_of(columns, cells).expect("described");
            model.transformer().map(|network| network.head_dim)
        };
        assert_eq!(head_dim("head_dim", "128"), Some(128));
        assert_eq!(head_dim("seq_len", "4096"), Some(80));
    }

    // 4 layers, one of them dense; 16 experts of 3·2560·512 in the others, and a shared one.
    #[test]
    fn columns_describe_a_mixture_of_experts() {
        let columns = "experts,experts_per_token,expert_ffn_hidden,shared_experts,dense_layers";
        let model = model_of(columns, "16,2,512,1,1").expect("described");
        assert_eq!(model.family, Family::Moe);
        let count = model.parameters();
        let expert = 3 * 2560 * 512;
        assert_eq!(count.experts, 3 * 16 * expert);
        assert_eq!(count.active_experts, 3 * 2 * expert);
        // No dense layer and no shared expert are counts too.
        let none = model_of(columns, "16,2,512,0,0").expect("described");
        assert_eq!(none.parameters().experts, 4 * 16 * expert);
    }

    // Experts of a preset, and of columns, that a row gives room for 1.25 times their mean.
    #[test]
    fn a_row_says_how_much_room_experts_have() {
        let text = "id,gpu,gpus,global_batch,measured_step_time_s,model,capacity_factor,layers,hidden,heads,experts,experts_per_token\n\
                    a,h100-sxm,8,64,1,mixtral-8x7b,1.25,,,,,\n\
                    b,h100-sxm,8,64,1,own,1.25,4,2560,32,16,2\n\
                    c,h100-sxm,8,64,1,mixtral-8x7b,,,,,,\n";
        let table = MeasuredTable::read("cases.csv", text).expect("a table");
        let models = table.map_rows(|_, row: JobRow| row.model(Catalog::builtin()));
        let factors: Vec<Option<f64>> = models
            .expect("no faults")
            .into_iter()
            .map(|model| {
                let model = model.expect("described");
                let moe = model.transformer().and_then(|network| network.moe);
                moe.expect("experts").capacity_factor
            })
            .collect();
        assert_eq!(factors, [Some(1.25), Some(1.25), None]);
    }

    // DeepSeek-V3 predicts a token further by one layer more, which runs leave out: 0 is a count too. Cut to 4 layers it has none.
    #[test]
    fn a_row_says_how_many_tokens_further_are_predicted() {
        let text = "id,gpu,gpus,global_batch,measured_step_time_s,model,mtp_layers\n\
                    a,h100-sxm,8,64,1,deepseek-v3,\n\
                    b,h100-sxm,8,64,1,deepseek-v3,0\n\
                    c,h100-sxm,8,64,1,deepseek-v3 cut to 4 layers,\n";
        let table = MeasuredTable::read("cases.csv", text).expect("a table");
        let models = table.map_rows(|_, row: JobRow| row.model(Catalog::builtin()));
        let layers: Vec<Option<u32>> = models
            .expect("no faults")
            .into_iter()
            .map(|model| {
                let model = model.expect("described");
                Some(model.transformer()?.mtp_layers)
            })
            .collect();
        assert_eq!(layers, [1, 0, 0].map(Some));
    }

    // ViT-g/14 has 40 layers of 1408, ViT-G/14 48 of 1664.
    #[test]
    fn a_title_is_told_from_another_by_its_case() {
        let hidden = |name| {
            preset(Catalog::builtin(), name).and_then(|model| Some(model.transformer()?.hidden))
        };
        assert_eq!(
            (hidden("ViT-g/14"), hidden("ViT G/14")),
            (Some(1408), Some(1664))
        );
        assert_eq!(
            (hidden("vit-g14"), hidden("VIT-B/16")),
            (Some(1408), Some(768))
        );
        assert_eq!(hidden("Llama-2-7B"), Some(4096));
    }

    #[test]
    fn a_pattern_describes_a_hybrid() {
        let model = model_of("pattern,experts,experts_per_token", "MEA,16,2").expect("described");
        assert_eq!(model.family, Family::Hybrid);
        let network = model.transformer().expect("a transformer");
        assert!(network.state.is_some() && network.moe.is_some());
    }

    #[test]
    fn what_the_columns_do_not_describe_is_said() {
        let cases = [
            ("family,experts", "moe,16", "the row gives no experts"),
            ("family", "hybrid", "the row gives no `pattern`"),
            ("family", "vit", "no columns describe the family vit"),
            ("pattern", "MX", "unknown letter `X`"),
        ];
        for (columns, cells, expected) in cases {
            let why = model_of(columns, cells).expect_err("it cannot be described");
            assert!(why.contains(expected), "{why}");
        }
    }
}
