//! Which spec, and what the command line changes of it.

use std::path::PathBuf;

use crate::catalog::Catalog;
use crate::cli::Failure;
use crate::cli::terminal::{self, Stderr};
use crate::record::Provenance;
use crate::spec::{GridPoint, Overrides, Portion, Shard, Spec, SpecError};

/// Points of a plan that are looked at to count what `where` keeps.
const LOOKS: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub(super) struct SpecArgs {
    /// The sweep: a TOML, YAML or JSON file
    spec: PathBuf,
    /// Replace an axis of the grid, or a default
    #[arg(long, value_name = "AXIS=VALUE[,VALUE…]")]
    set: Vec<String>,
    /// Keep only points for which this holds
    #[arg(long = "where", value_name = "EXPR")]
    where_clauses: Vec<String>,
    /// Only the first N points that are kept
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only every N-th of these, from the K-th on: one machine's part of N; `sweep merge` joins them
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

impl SpecArgs {
    /// Reads the spec and prints its warnings.
    pub(super) fn load(&self, stderr: Stderr) -> Result<Spec, Failure> {
        let overrides = Overrides {
            set: self
                .set
                .iter()
                .map(|text| Overrides::set_argument(text))
                .collect(),
            where_clauses: self.where_clauses.clone(),
        };
        let spec =
            Spec::load(&self.spec, &overrides).map_err(|error| spec_failure(&error, stderr))?;
        for warning in &spec.warnings {
            terminal::log(&warning.render(stderr.styled));
        }
        Ok(spec)
    }

    /// The points that are asked for.
    pub(super) const fn portion(&self) -> Portion {
        Portion {
            limit: self.limit,
            shard: self.shard,
        }
    }
}

/// The points that are to be played, in order.
pub(super) fn points(spec: &Spec, portion: Portion) -> impl Iterator<Item = GridPoint> + Send + '_ {
    let plan = spec.plan();
    portion.of(plan.kept(0..plan.len()))
}

/// How many points are to be played; `None` where that takes too long to count.
pub(super) fn point_count(spec: &Spec, portion: Portion) -> Option<u64> {
    let tally = spec.plan().tally(LOOKS);
    let limit = portion.limit.unwrap_or(u64::MAX);
    (tally.exact || tally.kept > limit).then(|| portion.count(tally.kept))
}

/// What is to be said about a spec that cannot be used.
pub(super) fn spec_failure(error: &SpecError, stderr: Stderr) -> Failure {
    let message = error.render(stderr.styled);
    match error {
        SpecError::Read { .. } => Failure {
            message,
            ..Failure::io("")
        },
        SpecError::Faults(_) => Failure {
            message,
            ..Failure::usage("")
        },
    }
}

/// Where the tables of a spec come from, or of a portion of its points.
pub(super) fn provenance(spec: &Spec, portion: Portion) -> Provenance {
    Provenance {
        study: spec.kind,
        spec_name: spec.name.clone(),
        spec: spec.resolved_text(),
        catalog_hash: Catalog::hash(),
        portion,
    }
}
