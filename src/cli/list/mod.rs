//! `sweep list`: everything a spec can name, with values and sources.

mod axes;
mod catalog;
mod columns;
mod listing;
mod model_file;
mod named;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::catalog::{Catalog, Kind};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::spec_args::spec_failure;
use crate::cli::terminal::{Format, Stderr};
use crate::spec::{CustomKind, Overrides, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of names to list
    what: What,
    /// Only these names, each value with its source
    names: Vec<String>,
    /// Spec whose custom entries are listed too
    #[arg(long, value_name = "SPEC")]
    spec: Option<PathBuf>,
    /// A config.json of Hugging Face's transformers: its parameters, FLOPs and layers
    #[arg(long, value_name = "CONFIG", conflicts_with_all = ["spec", "names"])]
    file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Gpus,
    Models,
    Clusters,
    Stacks,
    Prices,
    Collectives,
    Topologies,
    Axes,
    Columns,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    if let Some(path) = &args.file {
        if !matches!(args.what, What::Models) {
            return Err(Failure::usage("`--file` goes with `sweep list models`"));
        }
        let listing = model_file::listing(path, stderr)?;
        return args.format.print(|| listing.text, || listing.json.into());
    }
    let load = |path| Spec::load(path, &Overrides::default());
    let spec = args.spec.as_deref().map(load).transpose();
    let spec = spec.map_err(|error| spec_failure(&error, stderr))?;
    let spec = spec.as_ref();
    let known = spec.map_or(Catalog::builtin(), |spec| &**spec.catalog());
    let listing = match args.what {
        What::Gpus => catalog::listing(known, Kind::Gpus, &args.names),
        What::Models => catalog::listing(known, Kind::Models, &args.names),
        What::Clusters => catalog::listing(known, Kind::Clusters, &args.names),
        What::Stacks => catalog::listing(known, Kind::Stacks, &args.names),
        What::Prices => catalog::listing(known, Kind::Prices, &args.names),
        What::Collectives => named::listing(CustomKind::Collectives, spec, &args.names),
        What::Topologies => named::listing(CustomKind::Topologies, spec, &args.names),
        What::Axes => axes::listing(&args.names),
        What::Columns => columns::listing(spec, &args.names),
    }?;
    args.format.print(|| listing.text, || listing.json.into())
}
