//! Arguments that name a spec, change it and choose points of it.

use std::path::PathBuf;

use crate::cli::event::Level;
use crate::cli::preset::Preset;
use crate::cli::terminal::{self, Stderr};
use crate::commands::Failure;
use crate::spec::{Overrides, Portion, Shard, Spec};

/// Message where nothing names a sweep.
const NO_SPEC: &str = "no sweep is named; give a SPEC file, or --preset small, medium or large";

#[derive(Debug, clap::Args)]
pub(super) struct SpecArgs {
    /// Spec of the sweep: a TOML, YAML or JSON file
    #[arg(conflicts_with = "preset")]
    spec: Option<PathBuf>,
    /// A sweep that comes with the program, in place of a file
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,
    /// Replace an axis of the grid, or a default; repeatable
    #[arg(long, value_name = "AXIS=VALUE[,VALUE…]")]
    set: Vec<String>,
    /// Keep only points for which this holds; repeatable
    #[arg(long = "where", value_name = "EXPR")]
    where_clauses: Vec<String>,
    /// Run only the first N points that are kept
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Run only the K-th of N parts of these, alike in cost, as one of N machines; `sweep merge` joins the shards
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

impl SpecArgs {
    /// Reads the spec or the preset and prints its warnings.
    pub(super) fn load(&self, stderr: Stderr) -> Result<Spec, Failure> {
        let overrides = Overrides {
            set: self
                .set
                .iter()
                .map(|text| Overrides::set_argument(text))
                .collect(),
            where_clauses: self.where_clauses.clone(),
            question: Vec::new(),
        };
        let spec = match (self.preset, &self.spec) {
            (Some(preset), _) => preset.load(&overrides),
            (None, Some(path)) => Spec::load(path, &overrides),
            (None, None) => return Err(Failure::usage(NO_SPEC)),
        }?;
        for warning in &spec.warnings {
            let render = |styled| warning.render(styled);
            terminal::say_rendered(Level::Warning, render, stderr);
        }
        Ok(spec)
    }

    /// The portion of the points that was asked for.
    pub(super) const fn portion(&self) -> Portion {
        Portion {
            limit: self.limit,
            shard: self.shard,
            max_events: None,
        }
    }
}
