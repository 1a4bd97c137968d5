//! `sweep list`: everything a spec can name, with values and sources.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::exit::ExitStatus;
use crate::cli::terminal::Format;
use crate::commands::{Failure, Listed, list, list_model_file};
use crate::spec::{Overrides, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of names to list
    #[arg(value_parser = PossibleValuesParser::new(Listed::NAMES).try_map(|name| name.parse::<Listed>()))]
    what: Listed,
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

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let listing = match (&args.file, args.what) {
        (Some(path), Listed::Models) => list_model_file(path)?,
        (Some(_), _) => return Err(Failure::usage("`--file` goes with `sweep list models`")),
        (None, what) => {
            let load = |path| Spec::load(path, &Overrides::default());
            let spec = args.spec.as_deref().map(load).transpose()?;
            list(what, &args.names, spec.as_ref())?
        }
    };
    args.format
        .print(|| listing.text.clone(), || listing.json())
}
