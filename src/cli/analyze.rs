//! `sweep analyze`.

use std::path::PathBuf;

use crate::cli::event::Level;
use crate::cli::exit::ExitStatus;
use crate::cli::fraction::share;
use crate::cli::terminal::{self, Format};
use crate::commands::{Analysis, AnalysisRequest, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folders or points.parquet files; several are analysed together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder for the findings [default: the run's own; beside it for bare files, several runs, --x and --threshold]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resource to scale over in place of the GPUs (nodes, gpus_per_node, nic_gbit_per_s), or another axis whose values
    /// to compare; training studies only
    #[arg(long, value_name = "AXIS")]
    x: Option<String>,
    /// Scaling efficiency under which a series counts as broken, 0.8 or 80% [default: the spec's]
    #[arg(long, value_name = "EFFICIENCY", value_parser = share)]
    threshold: Option<f64>,
    /// Exit with code 1 when the scaling efficiency of any size is below this, 0.8 or 80%; training studies only
    #[arg(long, value_name = "EFFICIENCY", value_parser = share)]
    fail_below: Option<f64>,
    /// Hold only series with these values against --fail-below: gpu=b200,h100-sxm; repeatable, all have to hold
    #[arg(long, value_name = "AXIS=VALUE[,VALUE…]", requires = "fail_below")]
    series: Vec<String>,
    /// Also write each chart into this folder as SVG and PNG, as wide as a column of print
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, verbose: bool) -> Result<ExitStatus, Failure> {
    let analysis = Analysis::of(&AnalysisRequest {
        runs: args.runs.clone(),
        x: args.x.clone(),
        threshold: args.threshold,
        fail_below: args.fail_below,
        series: args.series.clone(),
    })?;
    if let Some(warning) = analysis.warnings() {
        terminal::say(Level::Warning, &warning);
    }
    let folder = analysis.write(args.out.as_deref())?;
    if analysis.is_apart() {
        terminal::log(&format!("findings are in {}", folder.display()));
    }
    if let Some(directory) = &args.plots {
        analysis.write_plots(directory)?;
        if cfg!(not(feature = "png")) {
            terminal::log("charts are SVG only: this program was built without the feature `png`");
        }
    }
    args.format.try_print(
        || analysis.text(terminal::detail(verbose)),
        || analysis.json(Some(&folder)),
    )?;
    Ok(match analysis.below()? {
        Some(sizes) => {
            terminal::log(&sizes);
            ExitStatus::Finding
        }
        None => ExitStatus::Success,
    })
}
