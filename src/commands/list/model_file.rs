//! Model that a config describes, layer by layer.

use std::path::Path;

use super::entry::{Entry, LayerEntry, ModelFile};
use super::listed::Listed;
use super::listing::Listing;
use crate::commands::failure::Failure;
use crate::model::Model;
use crate::report::text::{Table, Text};
use crate::spec::model_of_config;

/// The model of a `config.json`: parameters, FLOPs per token and the table of its layers.
pub(super) fn listing(path: &Path) -> Result<Listing, Failure> {
    let model = model_of_config(path)?;
    Ok(Listing {
        text: text(&model),
        what: Listed::Models,
        entries: vec![Entry::ModelFile(entry(&model))],
    })
}

/// Tokens that a forward pass is counted over.
fn unit(model: &Model) -> &'static str {
    if model.transformer().is_some() {
        "token"
    } else {
        "image"
    }
}

fn text(model: &Model) -> String {
    let (parameters, seq_len) = (model.parameters(), model.seq_len());
    let forward = model.flops_per_token(seq_len);
    let unit = unit(model);
    let mut text = Text::default();
    writeln!(text, "{} ({})", model.title, model.family);
    writeln!(
        text,
        "parameters          {}",
        count(parameters.without_mtp())
    );
    if parameters.active() < parameters.without_mtp() {
        writeln!(text, "  that a token uses {}", count(parameters.active()));
    }
    writeln!(
        text,
        "FLOPs per {unit}     {} forward, {} forward and backward",
        flops(forward),
        flops(3.0 * forward)
    );
    if unit == "token" {
        writeln!(text, "                    in samples of {seq_len} tokens");
    }
    if let Some(warning) = model.unmeasured() {
        text.wrap(&warning, "", "");
    }
    let mut table = Table::new(&["LAYER", ">COUNT", ">PARAMETERS", ">ACTIVE", ">FLOPS"]);
    for layer in model.layer_summaries(seq_len) {
        table.row([
            layer.kind,
            layer.count.to_string(),
            count(layer.parameters),
            count(layer.active_parameters),
            flops(layer.flops_per_token),
        ]);
    }
    writeln!(text, "\n{}", table.render());
    writeln!(
        text,
        "Parameters and FLOPs (forward, per {unit}) are those of one layer."
    );
    text.finish()
}

fn entry(model: &Model) -> ModelFile {
    let (parameters, seq_len) = (model.parameters(), model.seq_len());
    let layers = model.layer_summaries(seq_len).into_iter();
    ModelFile {
        name: model.name.clone(),
        family: model.family,
        seq_len,
        parameters: parameters.without_mtp(),
        active_parameters: parameters.active(),
        mtp_parameters: parameters.mtp,
        flops_per_token_forward: model.flops_per_token(seq_len),
        layers: layers
            .map(|layer| LayerEntry {
                kind: layer.kind,
                count: layer.count,
                parameters: layer.parameters,
                active_parameters: layer.active_parameters,
                flops_per_token_forward: layer.flops_per_token,
            })
            .collect(),
    }
}

/// A count of parameters with its unit.
fn count(parameters: u64) -> String {
    let parameters = parameters as f64;
    if parameters >= 1e9 {
        format!("{:.3} B", parameters / 1e9)
    } else {
        format!("{:.3} M", parameters / 1e6)
    }
}

/// FLOPs with their unit.
fn flops(flops: f64) -> String {
    if flops >= 1e9 {
        format!("{:.3} GFLOP", flops / 1e9)
    } else {
        format!("{:.3} MFLOP", flops / 1e6)
    }
}
