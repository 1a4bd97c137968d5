//! `sweep explain`: one point in full.

use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal::Format;
use crate::commands::{Failure, PointReport, RunSource, WherePoints};
use crate::spec::Spec;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folder
    run: PathBuf,
    /// Point, by its number in the column `point`
    #[arg(required_unless_present = "where_clauses")]
    point: Option<u64>,
    /// The point for which this holds, in place of its number: "gpu == 'b200' and gpus == 512"; several points are listed,
    /// the fastest per sample first; repeatable
    #[arg(long = "where", value_name = "EXPR", conflicts_with = "point")]
    where_clauses: Vec<String>,
    /// Simulate the point with one axis changed: nic_gbit_per_s=800; repeatable
    #[arg(long, value_name = "AXIS=VALUE")]
    what_if: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let Some(point) = args.point else {
        let found = WherePoints::of(&args.run, &args.where_clauses)?;
        return match found.only() {
            Some(point) => explain(found.spec(), point, args),
            None => args.format.print(|| found.text(), || found.json()),
        };
    };
    explain(&RunSource::new(&args.run)?.spec_of_points()?, point, args)
}

fn explain(spec: &Spec, point: u64, args: &Args) -> Result<ExitStatus, Failure> {
    let explanation = PointReport::of(spec, point)?.explain(&args.what_if)?;
    args.format
        .print(|| explanation.text(), || explanation.json())
}
