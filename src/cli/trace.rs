//! `sweep trace`.

use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::{Failure, RunSource, Timeline, write_output};

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

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let spec = RunSource::new(&args.run)?.spec_of_points()?;
    let timeline = Timeline::of(&spec, args.point)?;
    if args.output.as_os_str() == "-" {
        return terminal::print(&timeline.chrome_json);
    }
    write_output(&args.output, timeline.chrome_json.as_bytes())?;
    terminal::log(&format!(
        "{} slices of {} stages in {}; open it at https://ui.perfetto.dev",
        timeline.slices,
        timeline.stages,
        args.output.display()
    ));
    Ok(ExitStatus::Success)
}
