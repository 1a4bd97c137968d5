//! `sweep trace`.

use std::path::PathBuf;

use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::run_source::RunSource;
use crate::cli::terminal::{self, Stderr};
use crate::record::write_output;
use crate::report::trace::chrome_json;
use crate::simulation::training::trace_training;
use crate::simulation::{Scenario, Scratch};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folder
    run: PathBuf,
    /// Point, by its number in the column `point`
    point: u64,
    /// File to write; - for stdout
    #[arg(short, long, value_name = "FILE", default_value = "trace.json")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let (spec, point) = RunSource::new(&args.run)?.point(args.point, stderr)?;
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("point {} has no timeline: {why}", args.point))
    };
    let scenario = spec.plan().scenario(&point).map_err(|why| cannot(&why))?;
    let training = match scenario {
        Scenario::Training(training) => training,
        Scenario::Collective(_) => return Err(cannot(&"it is a single communication")),
    };
    let (_, trace) =
        trace_training(&training, &mut Scratch::default()).map_err(|why| cannot(&why))?;
    let name = format!("{} point {}", spec.name, args.point);
    let text = chrome_json(&trace, &name);
    if args.output.as_os_str() == "-" {
        return terminal::print(&text);
    }
    write_output(&args.output, text.as_bytes()).map_err(Failure::io)?;
    terminal::log(&format!(
        "{} slices of {} stages in {}; open it at https://ui.perfetto.dev",
        trace.slices.len(),
        trace.stages,
        args.output.display()
    ));
    Ok(ExitStatus::Success)
}
