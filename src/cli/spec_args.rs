//! Arguments that name a spec, change it and choose points of it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::catalog::Catalog;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::preset::Preset;
use crate::cli::terminal::{Lines, Stderr};
use crate::record::Provenance;
use crate::spec::{GridPoint, Overrides, Portion, Shard, Spec, SpecError};

/// Points of a plan that are tested to count those that `where` keeps.
pub(super) const LOOKS: u64 = 1_000_000;

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
    /// Run only every N-th of these, from the K-th on, as one of N machines; `sweep merge` joins the shards
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

impl SpecArgs {
    /// Reads the spec or the preset and prints its warnings.
    pub(super) fn load(&self, stderr: Stderr, lines: Lines) -> Result<Spec, Failure> {
        let overrides = Overrides {
            set: self
                .set
                .iter()
                .map(|text| Overrides::set_argument(text))
                .collect(),
            where_clauses: self.where_clauses.clone(),
        };
        let spec = match (self.preset, &self.spec) {
            (Some(preset), _) => preset.load(&overrides),
            (None, Some(path)) => Spec::load(path, &overrides),
            (None, None) => return Err(Failure::usage(NO_SPEC)),
        };
        let spec = spec.map_err(|error| spec_failure(&error, stderr))?;
        for warning in &spec.warnings {
            lines.log("warning", &warning.render(stderr.styled));
        }
        Ok(spec)
    }

    /// The portion of the points that was asked for.
    pub(super) const fn portion(&self) -> Portion {
        Portion {
            limit: self.limit,
            shard: self.shard,
        }
    }
}

/// The points of a portion, in order.
pub(super) fn points(spec: &Spec, portion: Portion) -> impl Iterator<Item = GridPoint> + Send + '_ {
    let plan = spec.plan();
    portion.of(plan.kept(0..plan.len()))
}

/// Number of points of a portion; `None` where counting takes too long.
pub(super) fn point_count(spec: &Spec, portion: Portion) -> Option<u64> {
    let tally = spec.plan().tally(LOOKS);
    let limit = portion.limit.unwrap_or(u64::MAX);
    (tally.exact || tally.kept > limit).then(|| portion.count(tally.kept))
}

/// Threads that simulate: as many as were asked for, or one per core.
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// The failure of a spec that could not be read or has faults.
pub(super) fn spec_failure(error: &SpecError, stderr: Stderr) -> Failure {
    Failure {
        status: match error {
            SpecError::Read { .. } => ExitStatus::Io,
            SpecError::Faults(_) => ExitStatus::Usage,
        },
        message: error.render(stderr.styled),
    }
}

/// Provenance of the tables of a portion of a spec's points.
pub(super) fn provenance(spec: &Spec, portion: Portion) -> Provenance {
    Provenance {
        study: spec.kind,
        spec_name: spec.name.clone(),
        spec: spec.resolved_text(),
        catalog_hash: Catalog::hash(),
        metrics: Arc::clone(&spec.metrics),
        portion,
    }
}
