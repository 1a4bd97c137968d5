//! Everything that a spec can name, with values and sources.

mod axes;
mod catalog;
mod columns;
mod entry;
mod listed;
mod listing;
mod model_file;
mod named;

use std::path::Path;

pub use listed::Listed;
pub(crate) use listing::ListDocument;
pub use listing::Listing;

use crate::catalog::{Catalog, Kind};
use crate::commands::failure::Failure;
use crate::spec::{CustomKind, Spec};

/// The names of a kind, those that a spec defines among them; only some of them where `names` says which.
///
/// # Errors
/// If a name is unknown.
pub fn list(what: Listed, names: &[String], spec: Option<&Spec>) -> Result<Listing, Failure> {
    let known = spec.map_or(Catalog::builtin(), |spec| &**spec.catalog());
    match what {
        Listed::Gpus => catalog::listing(known, Kind::Gpus, names),
        Listed::Models => catalog::listing(known, Kind::Models, names),
        Listed::Clusters => catalog::listing(known, Kind::Clusters, names),
        Listed::Stacks => catalog::listing(known, Kind::Stacks, names),
        Listed::Prices => catalog::listing(known, Kind::Prices, names),
        Listed::Collectives => named::listing(CustomKind::Collectives, spec, names),
        Listed::Topologies => named::listing(CustomKind::Topologies, spec, names),
        Listed::Axes => axes::listing(names),
        Listed::Columns => columns::listing(spec, names),
    }
}

/// The model that a `config.json` of Hugging Face's transformers describes: parameters, FLOPs and layers.
///
/// # Errors
/// If the file cannot be read, or describes no model that is known.
pub fn list_model_file(path: &Path) -> Result<Listing, Failure> {
    model_file::listing(path)
}
