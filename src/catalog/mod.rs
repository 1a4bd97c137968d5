//! GPUs, clusters, models, stacks and price lists from `data/` and from a spec's tables, as checked values with their
//! sources.
//!
//! One small TOML file is one entry: `data/gpus/h100-sxm.toml` is the GPU `h100-sxm`. Its keys are
//! those of [`Kind::keys`], dotted ones being tables (`peaks.bf16` is `bf16` under `[peaks]`).
//! Quantities are text with a unit; a bare number is refused. `[sources]` names for every key, or for
//! the table it lies in, where the figure is from:
//!
//! ```toml
//! title = "NVIDIA H100 SXM5 80 GB"
//! memory = "84942979072 B"
//!
//! [peaks]
//! bf16 = "989 TFLOP/s"
//!
//! [sources]
//! title = "NVIDIA H100 data sheet"
//! memory = "device memory as the driver reports it, XLA target_config h100_sxm"
//! peaks = "NVIDIA H100 data sheet, dense"
//! ```
//!
//! # How do I add a GPU, cluster, model or stack?
//!
//! Write `data/gpus/NAME.toml`. The catalogue's tests then check it: every key has a source, every value
//! is plausible, a model's parameters agree with the published count. Without touching the program, put the same keys into a
//! spec, under `[gpus.NAME]`; with `base = "h100-sxm"` only what differs:
//!
//! ```toml
//! [gpus.h100-quiet]
//! base = "h100-sxm"
//! power = "500 W"
//!
//! [gpus."h100-sxm"]                 # a preset's own name: changes the preset for this spec
//! price_per_hour = "2.50 USD"
//! ```
//!
//! # How do I add a key?
//!
//! Add a field to the struct that it describes, in [`hardware`](crate::hardware), [`model`](crate::model)
//! or [`stack`](crate::stack): its line gives the type, range, default and documentation. Checks, hints,
//! JSON Schema and `sweep list` follow from the line.

mod builtin;
mod check;
mod cluster;
mod config_json;
mod contents;
mod entry;
mod fault;
mod files;
mod gpu;
mod kind;
mod model;
mod overlay;
mod prices;
mod rent;
mod schema;
mod stack;

pub(crate) use config_json::{config_keys, model_table};
pub use contents::Catalog;
pub(crate) use entry::{Entry, EntryValue, Sources};
pub(crate) use fault::{CatalogFault, FaultPlace};
pub(crate) use kind::Kind;
pub(crate) use overlay::{model_of, overlay};
pub(crate) use prices::{DEFAULT_PRICES, OWN_PRICES, PriceList};
pub(crate) use schema::schema;

#[cfg(test)]
mod plausibility;
#[cfg(test)]
mod tests;
