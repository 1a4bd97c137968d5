//! `sweep explain`: one point in full.

use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal::Format;
use crate::commands::{Failure, PointReport, RunSource};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folder
    run: PathBuf,
    /// Point, by its number in the column `point`
    point: u64,
    /// Simulate the point with one axis changed: nic_gbit_per_s=800; repeatable
    #[arg(long, value_name = "AXIS=VALUE")]
    what_if: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let spec = RunSource::new(&args.run)?.spec_of_points()?;
    let explanation = PointReport::of(&spec, args.point)?.explain(&args.what_if)?;
    args.format
        .print(|| explanation.text(), || explanation.json())
}
